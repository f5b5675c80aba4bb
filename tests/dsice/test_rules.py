"""Tight rules on large grids, from the command line: what used to walk the grid for hours."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dsice import Axis, Goal, Grid, InvalidInput, make_search, tune
from dsice.allowed import find
from dsice.grid import Point
from dsice.pace import require_quick
from dsice.search.base import NONE_FOUND

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
StudyFile = Callable[..., Path]

SEVEN = [*"abcdefg"]
TWELVE = [f"p{k}" for k in range(12)]
LARGE = {
    "36 points": (SEVEN, f"{' + '.join(SEVEN)} <= 2", "10,000,000 points, 36 allowed"),
    "1 point": (TWELVE, f"{' + '.join(TWELVE)} == 0", "1,000,000,000,000 points, 1 allowed"),
    "nearly all": (
        TWELVE,
        f"{' + '.join(TWELVE)} >= 5",
        "1,000,000,000,000 points, 999,999,998,180 allowed",
    ),
}


def write(study_file: StudyFile, names: list[str], rule: str, run: str = "trials = 3") -> None:
    study_file(
        top=f'minimize = "y"\nallowed = "{rule}"',
        grid="\n".join(f"{name} = {{ integers = [0, 9] }}" for name in names),
        command=f'["{{study}}/program.sh", "{{{names[0]}}}", "{{{names[1]}}}"]',
        run=run,
    )


@pytest.mark.parametrize("case", LARGE)
def test_a_dry_run_counts(dsice: Dsice, study_file: StudyFile, case: str) -> None:
    names, rule, counted = LARGE[case]
    write(study_file, names, rule)
    done = dsice("run", "study.toml", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"Grid        {counted}\n" in done.stdout


def test_a_study_runs_and_resumes_and_ends_when_all_is_measured(
    dsice: Dsice, study_file: StudyFile
) -> None:
    names, rule, counted = LARGE["36 points"]
    write(study_file, names, rule, "trials = 30\nparallel = 4")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    done = dsice("run", "study.toml", "--in", "out", "--trials", 50)
    assert done.returncode == 0
    assert "Ended: every allowed point is measured." in done.stdout
    status = json.loads(dsice("status", "out", "--json").stdout)
    assert status["trials"]["done"] == 36
    assert status["grid"] == {
        "points": 10**7,
        "allowed": 36,
        "distinct": 36,
        "least": 36,
    }
    assert f"Grid: {counted}." in dsice("status", "out").stdout


def test_a_rule_that_allows_nothing_is_an_error_before_anything_is_done(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    write(study_file, TWELVE, "p1 > 100")
    said = "the rule 'p1 > 100' allows none of the 1,000,000,000,000 points"
    for command in (["run"], ["simulate", "--duration", "1 h"]):
        done = dsice(command[0], "study.toml", *command[1:])
        assert done.returncode == 2
        assert done.stderr == f"dsice: {said}\n"
    assert not (tmp_path / "runs").exists()
    done = dsice("run", "study.toml", "--dry-run")
    assert "1,000,000,000,000 points, none allowed" in done.stdout
    assert "the rule 'allowed' lets no point be measured" in done.stdout


def test_a_rule_that_cannot_be_counted_ends_in_words(dsice: Dsice, study_file: StudyFile) -> None:
    study_file(
        top='minimize = "y"\nallowed = "(a * b + b * c + c * a) ** 2 % 1000003 == 5"',
        grid="\n".join(f"{name} = {{ integers = [1, 1000] }}" for name in "abc"),
    )
    done = dsice("run", "study.toml", "--dry-run")
    assert done.returncode == 0
    assert "Grid        1,000,000,000 points, allowed ones not counted" in done.stdout
    assert "no point that the rule 'allowed' allows was found" in done.stdout
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 1
    assert "Ended: no other point that the rule allows was found in 20,000 tries." in done.stdout


def test_a_rule_without_a_value_is_an_error_before_anything_is_done(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    write(study_file, SEVEN, "a % b == 0")
    done = dsice("run", "study.toml")
    assert done.returncode == 2
    assert "'a % b == 0' has no value at {'a': 0, 'b': 0}: integer modulo by zero" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_simulations_and_imports_know_the_rule(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    names, rule, _ = LARGE["36 points"]
    write(study_file, names, rule, "trials = 100")
    done = dsice("simulate", "study.toml", "--duration", "1 h", "--parallel", "1,2", "--json")
    played = json.loads(done.stdout)["slots"]
    assert [each["trials"]["median"] for each in played] == [36, 36]
    rows = [point for point in Grid([Axis.integers(name, 0, 9) for name in names], rule)]
    assert len(rows) == 36
    with (tmp_path / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "y", "seconds"])
        writer.writerows([*row, sum(row), 60] for row in rows)
        writer.writerow([9] * 7 + [1, 60])
    done = dsice("simulate", "study.toml", "--table", "table.csv", "--repetitions", 2)
    assert done.returncode == 0, done.stderr
    assert "which has all points of the grid" in done.stdout
    done = dsice("import", "study.toml", "table.csv")
    assert "36 new, 0 known before" in done.stdout
    assert "1 left out: the rule" in done.stdout


def test_what_would_take_for_ever_is_refused(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(run="trials = 100000000")
    command = ["simulate", "study.toml", "--duration", "1 s", "--parallel", "1,2"]
    done = dsice(*command, "--repetitions", 1, "--json")  # the grid has a hundred points
    assert json.loads(done.stdout)["slots"][0]["trials"]["median"] == 100
    write(study_file, SEVEN, "a > 0")
    done = dsice(*command, "--trials", 100_000_000)
    assert done.returncode == 2
    assert "100,000,000 trials: a simulation plays up to 100,000" in done.stderr
    done = dsice("simulate", "study.toml", "--table", "/dev/zero")
    assert done.returncode == 2
    assert "cannot read /dev/zero: not a text file" in done.stderr
    done = dsice("run", "/dev/zero")
    assert done.returncode == 2
    assert "cannot read study file '/dev/zero': it is a device, not a regular file" in done.stderr


# -- the searches ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dsice", "random", "dsice-2017", "dsice-2018", "dsice-2024"])
def test_every_search_goes_through_a_tight_rule(name: str) -> None:
    names, rule, _ = LARGE["36 points"]
    grid = Grid([Axis.integers(each, 0, 9) for each in names], rule)
    search = make_search(name, grid, Goal(minimize="y"), capacity=3)
    asked: list[Point] = []
    while points := search.ask(3):
        asked += points
        for point in points:
            search.tell(point, {"y": float(sum((k + 1) * n for k, n in enumerate(point)))})
    assert search.finished
    assert set(asked) <= set(grid)
    assert len(asked) == len(set(asked)) > 5
    assert len(asked) == 36 or name not in ("dsice", "random")


def test_points_of_a_rule_that_cannot_be_counted_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(find, "MOST_STATES", 5)
    rule = "a * 7 + b * 3 + c == d * 11 and e != f"
    grid = Grid([Axis.integers(name, 0, 19) for name in "abcdef"], rule)
    for name in ("random", "dsice"):
        search = make_search(name, grid, Goal(minimize="y"))
        for _ in range(40):
            (point,) = search.ask()
            assert grid.allows(point)
            search.tell(point, {"y": float(sum(point))})
        assert len(search.history) == 40


@pytest.mark.parametrize("allowed", [0, 3])
def test_the_search_for_points_that_a_function_allows_ends(allowed: int) -> None:
    asked = []

    def rule(params: dict[str, int]) -> bool:
        asked.append(params)
        return len(set(params.values())) == 1 and params["a"] < allowed

    grid = Grid([Axis.integers(name, 0, 9) for name in SEVEN], rule)
    search = make_search("random", grid, Goal(minimize="y"))
    for point in search.ask(10):
        search.tell(point, {"y": 1.0})
    assert search.finished
    assert search.reason == NONE_FOUND
    assert len(asked) < 100_000


def test_a_function_must_be_quick(tmp_path: Path) -> None:
    grid = Grid([Axis.integers("a", 0, 9)], lambda params: True)
    times = iter(range(10))
    with pytest.raises(InvalidInput, match="takes 1 s at one point"):
        require_quick(grid, lambda: next(times))
    slow_once = iter([0.0, 5.0, 5.0, 5.001])
    require_quick(grid, lambda: next(slow_once))
    require_quick(Grid(grid.axes, "a > 3"), lambda: 1 / 0)

    def slow(params: dict[str, int]) -> bool:
        sum(range(5_000_000))
        return True

    with pytest.raises(InvalidInput, match=r"up to 10 ms are accepted"):
        tune(lambda params: {"y": 1.0}, Grid(grid.axes, slow), Goal(minimize="y"),
             directory=tmp_path / "out", trials=1, progress=False)  # fmt: skip
    assert not (tmp_path / "out").exists()


# -- Optuna ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fixed", [{}, {"a": 1, "c": 0}, {"a": 2}, {"g": 2, "b": 1}])
def test_the_sampler_completes_what_is_enqueued_under_a_tight_rule(fixed: dict[str, int]) -> None:
    optuna = pytest.importorskip("optuna")
    from dsice.optuna import DsiceSampler

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names, rule, _ = LARGE["36 points"]
    grid = Grid([Axis.integers(name, 0, 9) for name in names], rule)
    study = optuna.create_study(sampler=DsiceSampler(search_space=grid, seed=0))
    fitting = [p for p in grid if all(p[names.index(k)] == v for k, v in fixed.items())]
    for _ in range(min(3, len(fitting))):
        study.enqueue_trial(fixed)
    study.optimize(lambda t: float(sum(t.suggest_int(n, 0, 9) for n in names)), n_trials=6)
    points = [tuple(trial.params[name] for name in names) for trial in study.trials]
    assert len(set(points)) == len(points) == 6
    assert set(points) <= set(grid)
    for trial in study.trials[: min(3, len(fitting))]:
        assert fixed.items() <= trial.params.items()
