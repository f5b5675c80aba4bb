"""Several measurements of every point: `samples`, and which of them counts."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from dsice import Goal, InvalidInput
from dsice.incumbent import best_standing, standings
from dsice.launch.job import Kind, Outcome
from dsice.search import make_search
from dsice.search.why import Role
from dsice.study.config import parse
from dsice.study.summary import repeats_text
from dsice.study.task import Status
from tests.dsice.study.machine import Bench, Machine, quadratic


def noisy(argument: str) -> Outcome:
    """Fails where a is 7; otherwise as `quadratic`, with what was asked before."""
    if argument.startswith("7"):
        return Outcome(Kind.EXIT, "exit code 1")
    return quadratic(argument)


def sampled(path: Path, run: str, search: str = "random") -> Bench:
    return Bench(path, noisy, search=search, run=run)


@pytest.mark.parametrize("search", ["random", "dsice-2024", "dsice"])
@pytest.mark.parametrize("parallel", [1, 4])
def test_every_point_is_measured_so_often(tmp_path: Path, parallel: int, search: str) -> None:
    study = sampled(tmp_path, f"parallel = {parallel}\ntrials = 31\nsamples = 3", search).run()
    counts = Counter(trial.point for trial in study.trials)
    failed = {trial.point for trial in study.with_status(Status.FAILED)}
    assert {n for point, n in counts.items() if point not in failed} == {3}
    assert {n for point, n in counts.items() if point in failed} <= {1}
    assert 29 <= len(study.trials) <= 31
    assert study.sessions[-1].why == "the budget of 31 trials is used"
    again = [t for t in study.trials if t.why is not None and t.why.role is Role.SAMPLE]
    assert len(again) == 2 * (len(counts) - len(failed))
    assert len(study.best_standing(study.goal).of) == 3  # type: ignore[union-attr]


def test_samples_of_a_point_lie_apart_in_time(tmp_path: Path) -> None:
    """While new points begin, no two trials of one point run at once."""
    bench = sampled(tmp_path, "parallel = 4\ntrials = 60\nsamples = 3")
    bench.machine = Machine(bench.clock, noisy, 10.0)
    study = bench.run()
    spans: dict[tuple[int, ...], list[float]] = {}
    for trial in study.trials[:40]:
        spans.setdefault(trial.point, []).append(trial.attempts[0].submitted)
    for begun in spans.values():
        assert all(b - a >= 10 for a, b in itertools.pairwise(begun))


def test_with_one_slot_samples_take_turns(tmp_path: Path) -> None:
    """As long as points are left, no two trials in a row are of the same one."""
    study = sampled(tmp_path, "parallel = 1\ntrials = 30\nsamples = 3", "random").run()
    points = [trial.point for trial in study.trials]
    same = [a == b for a, b in itertools.pairwise(points)]
    assert set(Counter(points).values()) <= {1, 3}
    assert not any(same[:-2])


def test_the_search_ends_and_the_samples_follow(tmp_path: Path) -> None:
    study = sampled(tmp_path, "parallel = 3\nsamples = 2", "dsice-2024").run()
    counts = Counter(trial.point for trial in study.with_status(Status.DONE))
    assert set(counts.values()) == {2}
    assert "no line through the best point" in study.sessions[-1].why


def test_more_samples_later(tmp_path: Path) -> None:
    first = sampled(tmp_path, "parallel = 2\ntrials = 6")
    assert len(first.run().trials) == 6
    more = sampled(tmp_path, "parallel = 2\ntrials = 12\nsamples = 2")
    study = more.run()
    done = Counter(trial.point for trial in study.with_status(Status.DONE))
    assert set(done.values()) == {2}


def test_the_best_of_several_counts_where_the_goal_says_so(tmp_path: Path) -> None:
    class Measured:
        def __init__(self, number: int, point: tuple[int, ...], y: float) -> None:
            self.number, self.point, self.metrics = number, point, {"y": y}

    measured = [
        Measured(k, point, y)
        for k, (point, y) in enumerate(
            [((0,), 1.0), ((0,), 9.0), ((0,), 8.0), ((1,), 3.0), ((1,), 4.0), ((1,), 5.0)]
        )
    ]
    for word, best, value, text in (
        ("median", (1,), 4.0, "median of 3 (3 to 5)"),
        ("best", (0,), 1.0, "best of 3 (1 to 9)"),
    ):
        goal = Goal(minimize="y", of_repeats=word)  # type: ignore[arg-type]
        found = best_standing(measured, goal)
        assert found is not None
        assert (found.counted.point, found.counted.metrics["y"]) == (best, value)
        assert repeats_text(found, "y") == text  # type: ignore[arg-type]
        assert len(standings(measured, goal)) == 2
    from dsice import Axis, Grid

    search = make_search("random", Grid([Axis("a", [0, 1])]), Goal(minimize="y", of_repeats="best"))
    for each in measured:
        search.tell(each.point, each.metrics)
    assert search.history.metrics((0,)) == {"y": 1.0}
    assert Goal(minimize="y", of_repeats="best").exact != Goal(minimize="y").exact
    with pytest.raises(InvalidInput, match="of_repeats = 'mean': accepted are 'median' and 'best'"):
        Goal(minimize="y", of_repeats="mean")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "message"),
    [('of_repeats = "mean"', "of_repeats"), ("[run]\nsamples = 0", "run.samples")],
)
def test_wrong_keys(tmp_path: Path, line: str, message: str) -> None:
    text = f'name = "x"\nminimize = "y"\n{line if line[0] != "[" else ""}\n[grid]\na = [1, 2]\n'
    text += '[trial]\ncommand = ["true"]\n' + (line if line[0] == "[" else "")
    with pytest.raises(InvalidInput, match=message):
        parse(text, tmp_path)
