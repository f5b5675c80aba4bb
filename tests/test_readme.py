"""A newcomer follows the README by copy and paste: so does this test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def run(arguments: list[str], folder: Path) -> None:
    # As in an activated environment.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_shell_commands(tmp_path: Path) -> None:
    ran = 0
    for block in blocks("sh"):
        if not block.startswith("make "):
            run(["bash", "-euo", "pipefail", "-c", block], tmp_path)
            ran += 1
    assert ran >= 3
    assert (tmp_path / "runs" / "pack" / "report.html").exists()


def test_python(tmp_path: Path) -> None:
    code = "".join(blocks("python"))
    assert "dsice.tune(" in code
    (tmp_path / "example.py").write_text(code)
    run([sys.executable, "example.py"], tmp_path)


def test_make_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = re.findall(r"^make (\S+)$", "".join(blocks("sh")), re.MULTILINE)
    assert named == ["demo", "test"]
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize(
    "page", sorted(["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))])
)
def test_links_and_files_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), target
    for named in re.findall(r"`((?:tests|studies|benchmarks|docs)/[\w./-]+\.\w+)`", text):
        assert (ROOT / named).exists(), named
