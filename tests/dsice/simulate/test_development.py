"""Trials that report in simulated worlds: their curves, and what ending them early saves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dsice.goal import Goal
from dsice.grid import Axis, Grid, Point
from dsice.search import make_search
from dsice.simulate.development import LEAST, Developing, Development, Told
from dsice.simulate.play import Terms, play
from dsice.simulate.world import Result, Tabulated

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
StudyFile = Callable[..., Path]

GRID = Grid([Axis.integers("a", 0, 9), Axis.integers("b", 0, 9)])
GOAL = Goal(minimize="y")
MARKS = (0.25, 0.5, 1.0)


def last(point: Point) -> float:
    return (point[0] - 6.0) ** 2 + (point[1] - 2.0) ** 2


def told(noise: float, count: int = 60) -> list[Told]:
    """Trials whose value halfway is the last one, doubled, and one more, but for some noise."""
    chance = np.random.default_rng(0)
    found = []
    for _ in range(count):
        point = (int(chance.integers(10)), int(chance.integers(10)))
        middle = 2 * last(point) + 1 + noise * chance.normal()
        found.append(
            Told(point, {"y": last(point)}, [(0.3, {"y": middle + 5}), (0.5, {"y": middle})])
        )
    return found


def made(noise: float, count: int = 60) -> Development:
    found = Development.of(GRID, ["y"], told(noise, count), MARKS)
    assert found is not None
    return found


def test_simulated_curves_tell_as_much_as_those_of_the_history() -> None:
    ends = np.random.default_rng(1).uniform(0, 80, 400)
    for noise, low, high in ((0.0, 0.9999, 1.01), (40.0, 0.4, 0.95)):
        development = made(noise)
        assert development.shares == pytest.approx((0.3, 0.5))
        halfway = []
        for k, end in enumerate(ends):
            point = (k % 10, k // 10 % 10)
            reports = development.draw(point, {"y": float(end)}, np.random.default_rng(k))
            assert [share for share, _ in reports] == list(development.shares)
            assert reports[0][1]["y"] == pytest.approx(reports[1][1]["y"] + 5)
            halfway.append(reports[1][1]["y"])
        assert low < np.corrcoef(ends, halfway)[0, 1] < high


def test_what_has_too_few_reports_teaches_nothing() -> None:
    assert Development.of(GRID, ["y"], told(1.0, LEAST - 1), MARKS) is None
    silent = [Told((0, 0), {"y": 1.0}, []) for _ in range(40)]
    assert Development.of(GRID, ["y"], [*told(1.0, 10), *silent], MARKS) is None
    assert Development.of(GRID, ["y", "z"], told(1.0), MARKS) is None


@pytest.mark.parametrize("pause", [False, True])
def test_a_play_with_trials_that_end_early(pause: bool) -> None:
    rows = {p: [Result({"y": last(p)}, 100.0)] for p in GRID}
    worlds = Developing(Tabulated(GRID, rows), made(1.0))
    terms = Terms(trials=40)

    def played(**options: object) -> tuple[float, float, int]:
        search = make_search("dsice", GRID, GOAL, seed=2, capacity=4, **options)
        done = play(search, worlds.world(0), 4, terms)
        assert len(done.jobs) == 40
        assert not search.pending
        for job in done.jobs:
            assert job.stopped == (job.metrics is None)
            assert job.seconds == pytest.approx(100.0) or job.stopped
            assert any(job.seconds == pytest.approx(100 * share) for share in (0.3, 0.5, 1.0))
        # Four slots are busy, but at the end.
        assert done.work <= 4 * done.wall + 1e-6
        assert done.work > 3.4 * done.wall
        return done.work, done.curve(GOAL)[-1][1], sum(job.stopped for job in done.jobs)

    whole, best, none = played()
    assert whole == pytest.approx(4000.0)
    assert none == 0
    work, found, stopped = played(steps=[0.3, 0.5, 1.0], end_below=0.05, pause=pause)
    assert work < 0.85 * whole
    assert stopped > 8
    assert found == best == 0


def test_simulate_says_what_ending_early_would_save(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    program = """#!/bin/sh
end=$((($1 - 3) * ($1 - 3) + ($2 - 6) * ($2 - 6)))
for epoch in 2 4 8; do
  echo "{\\"epoch\\": $epoch, \\"val\\": $((2 * end + 16 / epoch))}" >> "$DSICE_PROGRESS"
done
echo "{\\"loss\\": $end}"
"""
    study_file(
        top='minimize = "loss"',
        grid="a = { integers = [0, 9] }\nb = { integers = [0, 9] }",
        command='["{study}/program.sh", "{a}", "{b}"]',
        run="parallel = 4\ntrials = 12",
        program=program,
    )
    path = tmp_path / "study.toml"
    assert dsice("run", "study.toml", "--in", "past").returncode == 0
    command = ["simulate", "study.toml", "--history", "past", "--trials", 24, "--parallel", "3,4"]
    command += ["--repetitions", 1, "--duration", "1 h", "--json"]
    plain = json.loads(dsice(*command).stdout)
    assert "ending_early" not in plain
    table = '[trial.progress]\nstep = "epoch"\nfull = 16\nmetrics = { loss = "val" }\n[run]'
    path.write_text(path.read_text().replace("[run]", table))
    done = dsice(*command)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    row = found["slots"][-1]
    assert row["ended_early"] > 0
    before = found["to_their_ends"]["slots"][-1]
    assert before["job_hours"]["median"] == pytest.approx(24)
    assert row["job_hours"]["median"] < before["job_hours"]["median"]
    assert found["ending_early"][0].startswith("Ending trials early saves")
    assert any("12 that ran to their end" in words for words in found["worlds"])
    (tmp_path / "study.toml").write_text(path.read_text().replace('"val"', '"other"'))
    nothing = json.loads(dsice(*command).stdout)
    assert "ending_early" not in nothing
    assert any("Trials run to their ends here" in words for words in nothing["worlds"])
