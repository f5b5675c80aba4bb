"""Every block of code of every page of the site is run, or says why it is not.

A block that cannot be run here stands below ``<!-- not run: WHY -->``; its command lines are still
read by the parsers of the programs that they call. tests/test_readme.py runs those of the README.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from dsice import cli
from dsice.study.config import parse
from superres.arguments import make_parser
from tests.test_readme import blocks as of_readme

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
RUN = ("sh", "bash", "python", "toml")
SHOWN = ("", "text", "slurm", "json", "ini", "jinja", "csv")  # output, and files of other programs
FENCE = re.compile(
    r"(?:^<!-- not run: (?P<why>.*) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```",
    re.DOTALL | re.MULTILINE,
)
HEAD = 'name = "piece"\nminimize = "y"\n[grid]\na = [1, 2]\n[trial]\ncommand = ["true"]\n'


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    why_not: str | None


def blocks(page: str) -> list[Block]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [Block(m["language"], m["code"], m["why"]) for m in FENCE.finditer(text)]


def in_language(page: str, *languages: str) -> list[str]:
    found = [block for block in blocks(page) if block.language in languages]
    return [block.code for block in found if block.why_not is None]


def run(arguments: list[str], folder: Path) -> None:
    # As in an activated environment.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the blocks run, with the study that the README's reader has by then."""
    path = tmp_path_factory.mktemp("docs")
    first = next(block for block in of_readme("sh") if "pack.py" in block)
    run(["bash", "-euc", first.replace("trials = 40", "trials = 6")], path)
    return path


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_run_or_say_why_not(page: str) -> None:
    for block in blocks(page):
        assert block.language in (*RUN, *SHOWN), block.code
        if block.why_not is not None:
            assert len(block.why_not.split()) >= 4, "say why"
            for named in re.findall(r"tests/[\w./]+", block.why_not):
                assert (ROOT / named).exists(), named


@pytest.mark.parametrize("page", [page for page in PAGES if in_language(page, "sh", "bash")])
def test_shell(page: str, folder: Path) -> None:
    for code in in_language(page, "sh", "bash"):
        # A few trials show that the commands work.
        code = re.sub(r"^trials = \d+", "trials = 4", code, flags=re.MULTILINE)
        code = re.sub(r"--trials \d+", "--trials 5", code)
        run(["bash", "-euo", "pipefail", "-c", code], folder)


@pytest.mark.parametrize("page", [page for page in PAGES if in_language(page, "python")])
def test_python(page: str, folder: Path) -> None:
    example = folder / "example.py"
    example.write_text("".join(in_language(page, "python")), encoding="utf-8")
    run([sys.executable, "example.py"], folder)


@pytest.mark.parametrize("page", [page for page in PAGES if in_language(page, "toml")])
def test_pieces_of_study_files(page: str, tmp_path: Path) -> None:
    for code in in_language(page, "toml"):
        whole = code if "[grid]" in code else HEAD + code
        assert parse(whole, tmp_path).grid.names


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_are_not_run_exist(page: str) -> None:
    parsers = {"dsice": cli.parser(), "superres": make_parser(defaultdict(lambda: print))}
    for block in blocks(page):
        if block.why_not is None or block.language not in ("sh", "bash"):
            continue
        for line in block.code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] in parsers:
                parsers[words[0]].parse_args(words[1:])
