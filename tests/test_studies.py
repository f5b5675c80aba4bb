"""The study files that come with dsice: where the two packages meet."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from dsice.study import command
from dsice.study.config import load
from superres.arguments import make_parser
from tests.conftest import Dsice

STUDIES = sorted((Path(__file__).parents[1] / "studies").glob("*.toml"))


every_study = pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)


@every_study
def test_superres_takes_the_arguments(path: Path) -> None:
    config = load(path)
    parser = make_parser(defaultdict(lambda: print))
    commands = [program.command for program in (*config.stages.values(), config.trial)]
    for program, *arguments in commands:
        assert program == "superres"
        fields = {name: 1 for each in arguments for name in command.fields(each)}
        parser.parse_args([command.fill(each, fields) for each in arguments])


@every_study
def test_a_dry_run(dsice: Dsice, path: Path) -> None:
    done = dsice("run", "--dry-run", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Grid        61,440 points, 14,190 distinct\n" in done.stdout
    trials = {"demo": "48 in all, 2 at once", "poster": "545 in all, 40 at once"}[path.stem]
    assert f"Trials      {trials}" in done.stdout
