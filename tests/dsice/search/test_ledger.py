"""The ledger: what is evaluated and pending, and what follows from it."""

from __future__ import annotations

import random

import pytest

from dsice.errors import InvalidInput
from dsice.goal import Goal, Metrics
from dsice.grid import Axis, Grid, Point
from dsice.search.history import History
from dsice.search.ledger import Ledger

GRID = Grid(
    [Axis("a", [1, 2, 3, 4, 6]), Axis("b", [1, 2, 3, 4, 6]), Axis("c", range(4))],
    "a + c <= 8",
    only_ratios_of=["a", "b"],
)
GOAL = Goal(minimize="y", subject_to=["z <= 3"])


def measure(point: Point, draw: random.Random) -> Metrics | None:
    if draw.random() < 0.2:
        return None
    return {"y": draw.random(), "z": float(point[2] + draw.choice([0, 1]))}


def filled(seed: int, events: int = 120) -> Ledger:
    """Submissions and results in any order, with repeats and results that nobody waits for."""
    draw, ledger = random.Random(seed), Ledger(GRID, GOAL)
    for _ in range(events):
        point = tuple(draw.randrange(n) for n in GRID.shape)
        if draw.random() < 0.5:
            ledger.submit(point)
        else:
            point = draw.choice([point, *ledger.pending])
            ledger.record(point, measure(point, draw))
    return ledger


@pytest.mark.parametrize("seed", range(8))
def test_what_it_keeps_is_what_the_history_says(seed: int) -> None:
    ledger = filled(seed)
    succeeded = [p for p in ledger.history if ledger.history.metrics(p) is not None]
    assert ledger.successes == len(succeeded)
    assert ledger.incumbent == ledger.history.best()
    results = [e.metrics for e in ledger.events if e.is_result and e.metrics is not None]
    assert ledger.feasible == any(map(GOAL.feasible, results))
    named = {GRID.program(event.point) for event in ledger.events}
    assert len(ledger) == len(named)
    assert all(point in ledger for point in (*ledger.history, *ledger.pending))


@pytest.mark.parametrize("seed", range(4))
def test_an_earlier_moment_is_what_it_was_then(seed: int) -> None:
    ledger = filled(seed)
    earlier = ledger.until(60)
    assert earlier.events == ledger.events[:60]
    for event in ledger.events[60:]:
        earlier.apply(event)
    assert list(earlier.pending) == list(ledger.pending)
    assert [(p, earlier.history.metrics(p)) for p in earlier.history] == [
        (p, ledger.history.metrics(p)) for p in ledger.history
    ]
    assert earlier.incumbent == ledger.incumbent


def test_equivalent_points_are_one() -> None:
    ledger = Ledger(GRID, GOAL)
    one, double = (0, 1, 2), (1, 3, 2)  # 1 : 2 and 2 : 4
    assert ledger.submit(double) == double
    assert one in ledger
    assert ledger.record(one, {"y": 1.0, "z": 2.0}) == double
    assert (len(ledger), list(ledger.pending), ledger.incumbent) == (1, [], double)


def test_a_result_that_is_refused_leaves_no_trace() -> None:
    ledger = Ledger(GRID, GOAL)
    ledger.submit((0, 0, 0))
    with pytest.raises(InvalidInput, match="z"):
        ledger.record((0, 0, 0), {"y": 1.0})
    assert (list(ledger.pending), len(ledger.events), len(ledger.history)) == ([(0, 0, 0)], 1, 0)
    assert isinstance(ledger.history, History)


def test_what_follows_leaves_a_copy_as_it_was() -> None:
    ledger = filled(1)
    copy, repeated = ledger.until(len(ledger.events)), Ledger(GRID, GOAL)
    for event in ledger.events:
        repeated.apply(event)
    point = next(iter(ledger.history))
    for _ in range(3):
        ledger.record(point, {"y": -1.0, "z": 0.0})
    assert ledger.incumbent == point
    for name in ("events", "incumbent", "successes", "feasible"):
        assert getattr(copy, name) == getattr(repeated, name)
    assert list(copy.pending) == list(repeated.pending)
    assert list(copy.history) == list(repeated.history)
    for each in copy.history:
        assert copy.history.metrics(each) == repeated.history.metrics(each)
        assert copy.history.weight(each) == repeated.history.weight(each)
