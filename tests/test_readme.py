"""A newcomer follows the README by copy and paste: so does this test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from dsice.launch.make import SETTINGS
from dsice.launch.names import SLURM
from dsice.launch.settings import SlurmSettings
from dsice.study.config import parse, with_budget
from superres.photos import wheel_photos

ROOT = Path(__file__).parents[1]
# Pages of the site that docs/hooks/site.py makes.
GENERATED = {"study-file.md", "commands.md", "changelog.md"}
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


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


def ten_photographs(folder: Path) -> None:
    """Those that the demo uses, and two halves."""
    folder.mkdir()
    sources = wheel_photos()
    for source in sources:
        shutil.copy(source.path, folder)
    for source in sources[:2]:
        with Image.open(source.path) as image:
            half = image.crop((0, 0, image.width // 2, image.height))
            half.save(folder / f"{source.name}-half.png")
    assert len(list(folder.iterdir())) == 10


def test_shell_commands(tmp_path: Path) -> None:
    ran = 0
    for block in blocks("sh"):
        if not block.startswith("make "):
            run(["bash", "-euo", "pipefail", "-c", block], tmp_path)
            ran += 1
    assert ran == 2
    assert (tmp_path / "runs" / "pack" / "report.html").exists()


def test_commands_of_superres(tmp_path: Path) -> None:
    ten_photographs(tmp_path / "photos")
    page = (ROOT / "docs" / "superres.md").read_text(encoding="utf-8")
    block = next(block for block in blocks("sh", page) if "superres upscale " in block)
    # Real trainings take minutes: short ones show that the commands work.
    block = block.replace("superres pretrain ", "superres pretrain --steps 30 --warmup 10 ")
    block = block.replace("superres finetune ", "superres finetune --steps 10 ")
    run(["bash", "-euo", "pipefail", "-c", block], tmp_path)
    for picture in ("start.png", "tuned.png", "start/curves.svg"):
        assert (tmp_path / picture).stat().st_size > 10_000
    assert list((tmp_path / "big").iterdir())


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
        assert target in GENERATED or ((ROOT / page).parent / target).exists(), target
    for named in re.findall(r"`((?:tests|studies|benchmarks|docs)/[\w./-]+\.\w+)`", text):
        assert (ROOT / named).exists(), named


@pytest.mark.parametrize("system", SETTINGS)
def test_every_setting_of_a_batch_system_is_documented(system: str) -> None:
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| .* \| (.*) \|$", page, re.MULTILINE)
    documented = {key: default for key, table, default in rows if table in ("all", system)}
    fields = SETTINGS[system].model_fields
    assert set(documented) == set(fields)
    for key, field in fields.items():
        words = documented[key]
        match field.default:
            case None:
                assert words.startswith(("the system's", "none", "the program's")), key
            case bool() as value:
                assert words == f"`{str(value).lower()}`"
            case tuple():
                assert words == "`[]`"
            case value:
                assert words.removesuffix(" s") == f"{value:g}"


def test_the_template_is_accepted_with_its_comments_taken_away(tmp_path: Path) -> None:
    text = (ROOT / "src" / "dsice" / "study" / "template.toml").read_text(encoding="utf-8")
    head, table = text.split("# [run.slurm]")
    settings = "[run.slurm]" + table.replace("\n# ", "\n")
    config = with_budget(parse(head + settings, tmp_path), on=SLURM)
    assert config.run.batch == SlurmSettings(
        gpus=1, time=3600.0, partition="gpu", account="abc123", modules=("cuda",)
    )
