import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsice.goal import Goal
from dsice.grid import Axis, Grid, Point
from dsice.search.history import History
from dsice.search.line import Exploration, Line, directions

GOAL = Goal(minimize="y")


def grid_of(*shape: int, allowed: Callable[[dict[str, int]], bool] | None = None) -> Grid:
    return Grid([Axis.integers(f"x{i}", 0, n - 1) for i, n in enumerate(shape)], allowed)


def explored(
    cost: Callable[[int], float | None],
    n: int,
    known: tuple[int, ...] = (),
    batch: int = 1,
    grid: Grid | None = None,
    count_measurements: bool = False,
) -> list[list[int]]:
    """The suggestions, update by update, on one axis of n levels."""
    grid = grid or grid_of(n)
    history = History(grid, GOAL)

    def measure(k: int) -> None:
        value = cost(k)
        history.add((k,), None if value is None else {"y": value})

    for k in known:
        measure(k)
    line = Line.through(grid, (0,), (1,))
    exploration = Exploration(line, grid, history, count_measurements=count_measurements)
    trace = []
    while points := exploration.suggest(batch):
        trace.append([k for (k,) in points])
        for (k,) in points:
            measure(k)
    return trace


@pytest.mark.parametrize(("d", "counts"), [(1, [2]), (2, [4, 4]), (4, [8, 24, 32, 16])])
def test_directions_per_number_of_changes(d: int, counts: list[int]) -> None:
    found = [list(directions(d, k)) for k in range(1, d + 1)]
    assert [len(of_level) for of_level in found] == counts
    everything = [direction for of_level in found for direction in of_level]
    assert len(set(everything)) == 3**d - 1
    # A line has two directions: 40 lines in four dimensions.
    canonical = {max(v, tuple(-step for step in v)) for v in everything}
    assert len(canonical) == (3**d - 1) // 2


def test_a_line_runs_from_bound_to_bound() -> None:
    grid = grid_of(5, 4, 3)
    line = Line.through(grid, (2, 1, 1), (-1, 0, 1))
    assert list(line) == [(1, 1, 2), (2, 1, 1), (3, 1, 0)]
    assert line == Line.through(grid, (3, 1, 0), (1, 0, -1))
    assert line.changes == 2
    with pytest.raises(IndexError):
        line[3]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.data())
def test_lines_are_whole_and_do_not_depend_on_where_they_are_drawn(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    grid = grid_of(*shape)
    point = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    steps = st.tuples(*[st.integers(-1, 1)] * len(shape)).filter(any)
    direction = data.draw(steps)
    line = Line.through(grid, point, direction)
    points = list(line)
    assert point in points
    assert all(p in grid for p in points)
    assert all(Line.through(grid, p, direction) == line for p in points)

    def beyond(p: Point, sign: int) -> Point:
        return tuple(k + sign * step for k, step in zip(p, line.direction, strict=True))

    assert beyond(points[0], -1) not in grid
    assert beyond(points[-1], 1) not in grid


@pytest.mark.parametrize(
    ("n", "start"), [(15, [0, 14, 4, 9]), (16, [0, 15, 5, 10]), (4, [0, 3, 1, 2]), (2, [0, 1])]
)
def test_the_start(n: int, start: list[int]) -> None:
    assert explored(float, n)[0] == start


def test_a_linear_cost() -> None:
    # The spline through points on a straight line is that line: the argmin is setting 0 at every
    # update, no estimate is out of range, no second difference differs from 0, and the first
    # settings left are suggested until the third update finds the argmin where it was.
    assert explored(float, 15) == [[0, 14, 4, 9], [1], [2]]
    # From a fifth measurement that is already there, as from the base of a search.
    assert explored(float, 15, known=(7, 4)) == [[0, 14, 9], [1], [2]]


def test_counting_measurements_stops_at_once_where_two_are_suggested() -> None:
    # Counting updates: three fits at which the argmin is 0. Counting measurements, as DSICE 1.0.1:
    # the second fit comes after two new ones, 1 + 2 = 3.
    assert explored(float, 15, batch=2) == [[0, 14, 4, 9], [1, 2], [3, 5]]
    assert explored(float, 15, batch=2, count_measurements=True) == [[0, 14, 4, 9], [1, 2]]
    assert explored(float, 15, count_measurements=True) == [[0, 14, 4, 9], [1], [2]]


def test_estimates_below_the_smallest_come_first_then_those_above_the_largest() -> None:
    # A valley between 5 and 10 of which the start sees both slopes: the spline dips below them.
    valley = explored(lambda k: abs(k - 7.3), 16)
    assert valley[0] == [0, 15, 5, 10]
    assert valley[1] in ([7], [8])
    # The same upside down: nothing is estimated below the ends, the hump is looked at next.
    hump = explored(lambda k: -abs(k - 7.5), 16)
    assert hump[1] in ([7], [8])


def test_the_line_is_exhausted() -> None:
    assert explored(lambda k: float(k % 2), 4) == [[0, 3, 1, 2]]
    trace = explored(lambda k: -float(k % 3), 9, batch=9)
    assert [len(points) for points in trace] == [4, 5]
    assert sorted(trace[0] + trace[1]) == list(range(9))


def test_at_most_thirty_settings_are_measured() -> None:
    # An argmin that moves at each update never settles.
    trace = explored(lambda k: math.sin(k * k), 200, batch=8)
    assert [len(points) for points in trace] == [4, 8, 8, 8, 2]
    # With more known from elsewhere only the start is measured.
    assert explored(float, 200, known=tuple(range(50, 90))) == [[0, 199, 132]]


def test_constant_and_failing_lines_come_to_an_end() -> None:
    assert explored(lambda k: 5.0, 15) == [[0, 14, 4, 9], [1], [2]]
    assert explored(lambda k: None, 15) == [[0, 14, 4, 9], [1], [2]]


def test_excluded_settings_are_never_suggested_and_the_start_spreads_over_the_rest() -> None:
    grid = grid_of(15, allowed=lambda params: params["x0"] % 2 == 1)
    trace = explored(float, 15, grid=grid)
    # Allowed are 1, 3, ..., 13; their number 0, 6, 2 and 4 are 1, 13, 5 and 9.
    assert trace == [[1, 13, 5, 9], [3], [7]]
    lonely = grid_of(15, allowed=lambda params: params["x0"] == 3)
    assert explored(float, 15, grid=lonely) == []


def test_failed_settings_do_not_hide_the_best() -> None:
    # Settings 10 and above fail; the best of the others is 3.
    trace = explored(lambda k: (k - 3.0) ** 2 if k < 10 else None, 16)
    assert trace[0] == [0, 15, 5, 10]
    assert [3] in trace
