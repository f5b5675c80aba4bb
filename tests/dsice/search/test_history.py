import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.grid import Axis, Grid
from dsice.search.history import History

GRID = Grid([Axis.integers("x", 0, 9)], "x != 9")
GOAL = Goal(minimize="y", subject_to=["z <= 10"])


def history_of(*measurements: tuple[int, float | None, float], goal: Goal = GOAL) -> History:
    history = History(GRID, goal)
    for x, y, z in measurements:
        history.add((x,), None if y is None else {"y": y, "z": z})
    return history


def test_repeats_are_averaged_and_weigh_more() -> None:
    history = history_of((1, 2.0, 0.0), (1, 4.0, 6.0), (2, 1.0, 0.0), (3, None, 0.0))
    assert history.metrics((1,)) == {"y": 3.0, "z": 3.0}
    assert [history.weight((x,)) for x in (1, 2, 3)] == [2, 1, 1]
    assert len(history) == 3


def test_a_point_has_failed_if_every_measurement_did() -> None:
    history = history_of((1, None, 0.0), (1, 4.0, 0.0), (2, None, 0.0))
    assert history.metrics((1,)) == {"y": 4.0, "z": 0.0}
    assert history.metrics((2,)) is None
    assert (2,) in history


def test_the_mean_does_not_depend_on_the_order() -> None:
    values = [0.1, 0.2, 0.3, 1e16, -1e16]
    means = set()
    for order in itertools.permutations(values):
        history = history_of(*((1, value, 0.0) for value in order))
        metrics = history.metrics((1,))
        assert metrics is not None
        means.add(metrics["y"])
    assert len(means) == 1


def test_the_best_is_feasible_if_any_is() -> None:
    history = history_of((3, 5.0, 10.0), (1, 1.0, 10.5), (2, None, 0.0))
    assert history.best() == (3,)
    assert history_of((1, 1.0, 12.0), (3, 9.0, 11.0), (2, None, 0.0)).best() == (3,)
    assert history_of((2, None, 0.0)).best() is None
    assert history_of((5, 1.0, 0.0), (4, 1.0, 0.0)).best() == (4,)


def test_the_best_is_allowed() -> None:
    assert history_of((9, 0.0, 0.0), (8, 1.0, 0.0)).best() == (8,)


def test_merits() -> None:
    history = history_of((0, 2.0, 0.0), (1, 6.0, 0.0), (2, 0.0, 11.0), (3, 0.0, 15.0), (4, None, 0))
    points = [(x,) for x in range(5)]
    # Feasible: the cost. The worst is 6, the spread 4: infeasible ones start at 10, in units of 4.
    assert history.merits(points) == [2, 6, pytest.approx(10.4), 12, 12]
    assert history.merits(points, reference=100) == [2, 6, pytest.approx(100.1), 100.5, 100.5]
    assert history.merits(points[2:]) == [pytest.approx(0.1), 0.5, 0.5]
    assert history.merits(points[4:]) == [0.0]


def test_a_goal_to_maximize() -> None:
    history = history_of((0, 2.0, 0.0), (1, 6.0, 0.0), (2, None, 0), goal=Goal(maximize="y"))
    assert history.best() == (1,)
    assert history.merits([(0,), (1,), (2,)]) == [-2, -6, 2]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
        max_size=9,
    )
)
def test_merits_are_finite_and_agree_with_the_goal(
    values: list[tuple[float | None, float]],
) -> None:
    history = history_of(*((x, y, z) for x, (y, z) in enumerate(values)))
    points = [(x,) for x in range(len(values))]
    merits = history.merits(points)
    assert all(map(math.isfinite, merits))
    for a, b in itertools.combinations(range(len(points)), 2):
        if history.key(points[a])[:2] < history.key(points[b])[:2]:  # feasible before infeasible
            assert merits[a] <= merits[b]


@pytest.mark.parametrize(
    "metrics",
    [
        {"y": 1.0},
        {"y": 1.0, "z": math.nan},
        {"y": math.inf, "z": 1.0},
        {"y": "1", "z": 1.0},
        {"y": True, "z": 1.0},
        {"y": 1 + 2j, "z": 1.0},
        {"y": None, "z": 1.0},
        {},
    ],
)
def test_measurements_are_checked(metrics: dict[str, Any]) -> None:
    history = History(GRID, GOAL)
    with pytest.raises(InvalidInput, match=r"metric '[yz]'"):
        history.add((1,), metrics)
    assert (1,) not in history
