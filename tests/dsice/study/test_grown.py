"""A study with results whose file changes: its results stay, and nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsice.errors import DamagedStudy, OtherStudy
from dsice.files import write_atomically
from dsice.grid import Axis, Grid
from dsice.study import frozen
from dsice.study.config import StudyConfig, parse
from dsice.study.directory import StudyDirectory, write_json
from dsice.study.journal import Journal
from dsice.study.run import Session, run_study
from dsice.study.state import Study
from tests.conftest import Dsice, StudyFile

FIRST = "a = { integers = [0, 4] }\nb = [1, 2, 3]"
COMMAND = '["{study}/program.sh", "{a}", "{b}"]'


def values(study: Study) -> list[tuple[Any, ...]]:
    return [tuple(trial.params.values()) for trial in study.trials]


def test_levels_are_added_and_removed(
    dsice: Dsice, study_file: StudyFile, program_calls: Callable[[], list[str]], tmp_path: Path
) -> None:
    study_file(grid=FIRST, run="trials = 7\nparallel = 2")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    before = Study.open(tmp_path / "out")
    # a = 4 is removed, 5 to 9 are added; b has another order, and one level more between.
    study_file(
        grid="a = [0, 1, 2, 3, 5, 6, 7, 8, 9]\nb = [0, 1, 2, 3]", run="trials = 16\nparallel = 2"
    )
    planned = dsice("run", "study.toml", "--in", "out", "--dry-run")
    assert "what changes: a: 5, 6, 7, 8, 9 added; a: 4 removed; b: 0 added" in " ".join(
        planned.stdout.split()
    )
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 0, done.stderr
    study = Study.open(tmp_path / "out")
    assert values(study)[:7] == values(before)
    assert [t.metrics for t in study.trials[:7]] == [t.metrics for t in before.trials]
    new = values(study)[7:]
    assert len(set(values(study))) == len(study.trials) == 16
    assert all(a != 4 for a, _ in new)
    assert len(program_calls()) == 16
    assert study.best.params["a"] != 4
    assert [what for _, what in study.changes] == [
        ("a: 5, 6, 7, 8, 9 added", "a: 4 removed", "b: 0 added")
    ]
    # What level indices said of lines is gone for the trials of before; all views still open.
    for command in (("status",), ("explain",), ("explain", 3), ("explain", 15), ("report",)):
        shown = dsice(command[0], "out", *command[1:])
        assert shown.returncode == 0, shown.stderr
    # Levels that come back are as they were, and once more the same file changes nothing.
    assert dsice("run", "study.toml", "--in", "out", "--trials", 17).returncode == 0
    assert len(Study.open(tmp_path / "out").changes) == 1
    study_file(grid="a = { integers = [0, 9] }\nb = [0, 1, 2, 3]", run="trials = 19")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    study = Study.open(tmp_path / "out")
    assert [axis.retired for axis in study.config.grid.axes] == [(), ()]
    assert len(set(values(study))) == 19


def test_an_axis_is_added(dsice: Dsice, study_file: StudyFile, tmp_path: Path) -> None:
    study_file(grid=FIRST, run="trials = 6")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    more = "\nc = { values = [0, 10, 20], was = 0 }"
    program = '#!/bin/sh\necho "{\\"y\\": $(($1 + $2 - $3))}"\n'
    command = '["{study}/program.sh", "{a}", "{b}", "{c}"]'
    study_file(grid=FIRST + more, run="trials = 15", command=command, program=program)
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 0, done.stderr
    study = Study.open(tmp_path / "out")
    assert {trial.params["c"] for trial in study.trials[:6]} == {0}
    assert len({tuple(t.params.values()) for t in study.trials}) == 15
    assert any(trial.params["c"] for trial in study.trials[6:])
    assert "parameter 'c' was added; it was 0 so far" in study.changes[0][1]


@pytest.mark.parametrize(
    ("grid", "top", "words"),
    [
        ("a = { integers = [0, 4] }", 'minimize = "y"', "parameter 'b' is missing"),
        (FIRST + "\nc = [1, 2]", 'minimize = "y"', "parameter 'c' is new: say which level it had"),
        ("a = { choice = [0, 1, 2, 3, 4] }\nb = [1, 2, 3]", 'minimize = "y"', "'a' is a choice on"),
        (FIRST, 'minimize = "x"', "the goal reads 'x', which trial 1 did not return"),
        (FIRST, 'minimize = "y"\nseed = 3', "another seed: 0 there, 3 here"),
        (FIRST + "\n[report]\n", 'minimize = "y"\nonly_ratios_of = ["a", "b"]', "'only_ratios_of'"),
    ],
)
def test_what_cannot_be_is_named(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path, grid: str, top: str, words: str
) -> None:
    study_file(grid=FIRST, run="trials = 3")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    kept = (tmp_path / "out" / "study.toml").read_text()
    command = '["{study}/program.sh", "{a}"]' if "b" not in grid else COMMAND
    study_file(grid=grid, top=top, command=command)
    for options in ((), ("--dry-run",)):
        refused = dsice("run", "study.toml", "--in", "out", *options)
        assert words in refused.stderr + " ".join(refused.stdout.split())
    assert refused.returncode in (0, 2)
    assert (tmp_path / "out" / "study.toml").read_text() == kept
    assert len(Study.open(tmp_path / "out").trials) == 3


def test_goal_and_bounds_change(dsice: Dsice, study_file: StudyFile, tmp_path: Path) -> None:
    study_file(run="trials = 8")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    study_file(top='maximize = "y"\nsubject_to = ["z <= 5"]', run="trials = 20")
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 0, done.stderr
    study = Study.open(tmp_path / "out")
    assert study.changes[0][1] == ("goal: minimize y before, maximize y subject to z <= 5 now",)
    assert study.best.metrics["z"] <= 5
    assert study.best.metrics["y"] == max(
        trial.metrics["y"] for trial in study.trials if trial.metrics["z"] <= 5
    )


# -- kills at every step of a change ---------------------------------------------------------------


class Killed(Exception):
    pass


@pytest.mark.parametrize("step", range(6))
def test_a_kill_at_every_step_of_a_change(
    dsice: Dsice,
    study_file: StudyFile,
    program_calls: Callable[[], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    """Each write of the change is the last one once: the study is the old or the new one."""
    study_file(grid=FIRST, run="trials = 3")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    before = values(Study.open(tmp_path / "out"))
    path = study_file(grid="a = { integers = [1, 8] }\nb = [1, 2, 3, 4]", run="trials = 6")
    count = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            nonlocal count
            count += 1
            if count > step:
                raise Killed
            return function(*arguments, **more)

        return call

    monkeypatch.setattr("dsice.study.frozen.write_json", counted(write_json))
    monkeypatch.setattr("dsice.study.frozen.write_atomically", counted(write_atomically))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    monkeypatch.setattr(Journal, "append", counted(Journal.append))
    config = frozen.load_study_file(path)
    with pytest.raises(Killed):
        run_study(config, tmp_path / "out", Session(None))  # type: ignore[arg-type]
    monkeypatch.undo()
    study = Study.open(tmp_path / "out")
    assert values(study) == before
    assert len(study.config.grid.axes[0]) in (5, 8, 9)
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 0, done.stderr
    study = Study.open(tmp_path / "out")
    assert values(study)[:3] == before
    assert len(set(values(study))) == len(program_calls()) == 6
    assert len(study.changes) == 1
    assert not (tmp_path / "out" / "next.json").exists()
    # Another session makes the same search of it: the proposals that it would have made.
    assert [line for line in program_calls()] == [
        " ".join(map(str, each)) for each in values(study)
    ]


def test_a_study_file_that_nobody_announced_is_damage(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(grid=FIRST, run="trials = 3")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    kept = tmp_path / "out" / "study.toml"
    kept.write_text(kept.read_text().replace("[0, 4]", "[0, 9]"))
    with pytest.raises(DamagedStudy, match="has another grid than"):
        Study.open(tmp_path / "out")


def test_retired_levels() -> None:
    axes = [
        Axis("a", [1, 2, 3, 4], retired=[2]),
        Axis("b", [1, 2, 3], retired=[2], when="a > 2"),
    ]
    grid = Grid(axes, "a < 4")
    assert {tuple(grid.params(point).values()) for point in grid} == {(1,), (3, 1), (3, 3)}
    assert grid.counts().allowed == 3
    assert not grid.allows(grid.point({"a": 2}))
    assert grid.allows(grid.point({"a": 1}))
    assert Grid(axes, lambda params: params["a"] < 4).counts().allowed == 3


def test_a_study_of_format_1_stays_as_it_is(tmp_path: Path) -> None:
    def config(levels: str) -> StudyConfig:
        return parse(
            f'name = "x"\nminimize = "y"\n[grid]\na = {levels}\n[trial]\ncommand = ["true"]',
            tmp_path,
        )

    study = Study(config("[1, 2]"), StudyDirectory.at(tmp_path))
    study.by_index = True
    with pytest.raises(OtherStudy, match="format 1"):
        frozen.accepted(study, config("[1, 2, 3]"))


def test_first_settings_are_found_beside_removed_levels(
    dsice: Dsice, study_file: StudyFile, program_calls: Callable[[], list[str]]
) -> None:
    study_file(grid=FIRST, run="trials = 15")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    # Level 0 of a is removed: it comes before the others, and shifts their indices.
    study_file(
        top='minimize = "y"\nfirst = [{ a = 2, b = 9 }]',
        grid="a = [1, 2, 3, 4]\nb = [1, 2, 3, 9]",
        run="trials = 16",
    )
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 0, done.stderr
    assert program_calls()[-1] == "2 9"
    assert "Best" in done.stdout
