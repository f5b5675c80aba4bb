import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsice.errors import InvalidInput
from dsice.grid import Axis, Grid, Point, Value

bounded = settings(max_examples=100, deadline=None, derandomize=True)
values = st.booleans() | st.integers() | st.floats(-1e6, 1e6) | st.text(max_size=5)
names = st.from_regex(r"x[a-z_0-9]{0,5}", fullmatch=True)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    chosen = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    axes = [
        Axis(name, draw(st.lists(values, min_size=1, max_size=5, unique=True))) for name in chosen
    ]
    return Grid(axes)


@bounded
@given(grids())
def test_params_and_points_are_two_names_for_the_same(grid: Grid) -> None:
    points = list(grid)
    assert len(points) == grid.size == len(set(points))
    assert points == sorted(points)
    for point in points:
        assert point in grid
        assert grid.point(grid.params(point)) == point
    assert grid.centre in grid


@bounded
@given(
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
    st.none() | st.integers(2, 80),
    st.booleans(),
)
def test_levels_of_continuous_ranges_are_round_and_where_they_should_be(
    first: float, last: float, count: int | None, log: bool
) -> None:
    if log:
        first, last = 10 ** (first / 1e5), 10 ** (last / 1e5)
    if abs(last - first) < 1e-3 * max(abs(first), abs(last), 1e-300):
        return
    axis = (Axis.log if log else Axis.range)("x", first, last, count)
    levels = np.array(axis.levels)
    assert (levels[0], levels[-1]) == (first, last)
    steps = np.diff(levels)
    assert (steps > 0).all() or (steps < 0).all()
    if count is None and not log:
        inner = steps[1:-1] / np.median(steps)
        ends = steps[[0, -1]] / np.median(steps)
        np.testing.assert_allclose(inner, 1, rtol=1e-6)
        assert ((ends > 0.499) & (ends < 1.501)).all()
        assert 12 <= len(axis) <= 34
        return
    marks = np.log(levels) if log else levels
    even = np.linspace(marks[0], marks[-1], len(axis))
    assert np.abs(marks - even).max() <= 0.26 * abs(even[1] - even[0])
    if count is not None:
        assert len(axis) == count


def test_levels_of_continuous_ranges() -> None:
    rates = Axis.log("lr", 1e-5, 1e-1)
    assert rates.levels[:6] == (1e-5, 1.8e-5, 3.2e-5, 5.6e-5, 1e-4, 1.8e-4)
    assert len(rates) == 17
    assert Axis.range("dropout", 0, 1).levels[:4] == (0.0, 0.05, 0.1, 0.15)
    assert Axis.range("dropout", 0, 0.5).levels[:4] == (0.0, 0.025, 0.05, 0.075)
    assert Axis.range("momentum", 0, 0.99).levels[-4:] == (0.85, 0.9, 0.95, 0.99)
    assert Axis.range("momentum", 0.99, 0).levels[:3] == (0.99, 0.95, 0.9)
    assert Axis.range("n", 1, 64).levels == (1, *range(2, 65, 2))
    assert Axis.range("x", 16, 512).levels[:3] == (16, 50, 75)
    assert Axis.range("m", 0, 0.99, 12).levels[-2:] == (0.9, 0.99)
    assert Axis.log("n", 16, 512).levels == (16, 25, 38, 59, 91, 140, 220, 330, 512)
    assert (rates.scale, Axis.range("x", 0, 1).scale, Axis("x", [1]).scale) == (
        "log",
        "linear",
        None,
    )
    assert rates == Axis("lr", rates.levels)
    for bad in [(0.0, 1.0), (-1.0, 1.0), (1.0, 1.0)]:
        with pytest.raises(InvalidInput, match="both ends"):
            Axis.log("x", *bad)


@bounded
@given(st.lists(values, min_size=1, max_size=6))
def test_levels_are_distinct(levels: list[Value]) -> None:
    if len(set(levels)) == len(levels):
        assert Axis("x", levels).levels == tuple(levels)
    else:
        with pytest.raises(InvalidInput, match="twice"):
            Axis("x", levels)


@bounded
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(2, 50))
def test_linear_levels_end_where_they_are_told_to(first: float, last: float, count: int) -> None:
    if abs(last - first) < 1e-3:
        return
    axis = Axis.linear("x", first, last, count)
    assert axis.levels[0] == first
    assert axis.levels[-1] == last
    np.testing.assert_allclose(np.array(axis.levels), np.linspace(first, last, count), atol=1e-4)


@bounded
@given(st.floats(1e-9, 1e9), st.floats(1.001, 1e6), st.integers(2, 50))
def test_geometric_levels_have_a_constant_ratio(first: float, ratio: float, count: int) -> None:
    axis = Axis.geometric("x", first, first * ratio, count)
    assert (axis.levels[0], axis.levels[-1]) == (first, first * ratio)
    steps = np.diff(np.log(np.array(axis.levels, float)))
    np.testing.assert_allclose(steps, math.log(ratio) / (count - 1), atol=1e-9)


@pytest.mark.parametrize(
    ("axis", "levels"),
    [
        (Axis.linear("x", 0, 1, 5), (0.0, 0.25, 0.5, 0.75, 1.0)),
        (Axis.linear("x", 0, 10, 6), (0, 2, 4, 6, 8, 10)),
        (Axis.linear("x", 0.1, 0.5, step=0.1), (0.1, 0.2, 0.3, 0.4, 0.5)),
        (Axis.linear("x", 0, 10, step=4), (0, 4, 8)),
        (Axis.linear("x", 10, 0, step=-2.5), (10.0, 7.5, 5.0, 2.5, 0.0)),
        (Axis.linear("x", 0, 10**15 + 1, 2), (0, 10**15 + 1)),
        (Axis.linear("x", 3, 5, 1), (3,)),
        (Axis.geometric("x", 1, 64, step=2), (1, 2, 4, 8, 16, 32, 64)),
        (Axis.geometric("x", 1, 60, step=2), (1, 2, 4, 8, 16, 32)),
        (Axis.geometric("x", 8, 1, 4), (8, 4, 2, 1)),
        (Axis.geometric("x", 4, 9, 3), (4, 6, 9)),
        (Axis.geometric("x", 1e-4, 0.1, 4), (0.0001, 0.001, 0.01, 0.1)),
        (Axis.geometric("x", 1, 2**60, 61), tuple(2**k for k in range(61))),
        (Axis.integers("x", 3, 9, 2), (3, 5, 7, 9)),
        (Axis.integers("x", 3, 0, -1), (3, 2, 1, 0)),
        (Axis("x", range(3)), (0, 1, 2)),
    ],
)
def test_levels(axis: Axis, levels: tuple[Value, ...]) -> None:
    assert axis.levels == levels
    assert [type(level) for level in axis.levels] == [type(level) for level in levels]


def test_arrays_are_welcome() -> None:
    array: Any = np.array([1.5, 2.5])
    assert Axis("x", array) == Axis("x", [1.5, 2.5])


def test_a_choice_has_no_order() -> None:
    axis = Axis.choice("x", ["a", "b"])
    assert not axis.ordered
    assert axis != Axis("x", ["a", "b"])
    assert Axis("x", [1, 2]) != Axis("x", [1.0, 2.0])


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("", [1]),
        ("2x", [1]),
        ("a b", [1]),
        ("a-b", [1]),
        ("params", [1]),
        (3, [1]),
        ("x", []),
        ("x", "abc"),
        ("x", 5),
        ("x", [1, 1.0]),
        ("x", [0, False]),
        ("x", [None]),
        ("x", [math.nan]),
        ("x", [math.inf]),
        ("x", [[1]]),
        ("x", [1j]),
    ],
)
def test_what_is_no_axis_is_refused(name: Any, levels: Any) -> None:
    with pytest.raises(InvalidInput):
        Axis(name, levels)


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (Axis.linear, {"first": 0, "last": 1}),
        (Axis.linear, {"first": 0, "last": 1, "levels": 3, "step": 0.5}),
        (Axis.linear, {"first": 0, "last": 1, "levels": 0}),
        (Axis.linear, {"first": 0, "last": 1, "levels": 2.0}),
        (Axis.linear, {"first": 0, "last": 1, "levels": 10**9}),
        (Axis.linear, {"first": 0, "last": 1, "step": -0.5}),
        (Axis.linear, {"first": 0, "last": 1, "step": 0}),
        (Axis.linear, {"first": 0, "last": 1, "step": 1e-300}),
        (Axis.linear, {"first": 0, "last": 0, "levels": 2}),
        (Axis.linear, {"first": 0, "last": math.inf, "levels": 2}),
        (Axis.linear, {"first": 0, "last": 10**400, "levels": 2}),
        (Axis.linear, {"first": "0", "last": 1, "levels": 2}),
        (Axis.geometric, {"first": 0, "last": 1, "levels": 2}),
        (Axis.geometric, {"first": -1, "last": 1, "levels": 2}),
        (Axis.geometric, {"first": 1, "last": 8}),
        (Axis.geometric, {"first": 1, "last": 8, "step": 0.5}),
        (Axis.geometric, {"first": 1, "last": 8, "step": 1}),
        (Axis.geometric, {"first": 1, "last": 8, "step": 1 + 1e-15}),
        (Axis.integers, {"first": 0, "last": 1.5}),
        (Axis.integers, {"first": 0, "last": 5, "step": 0}),
        (Axis.integers, {"first": 0, "last": 5, "step": -1}),
        (Axis.integers, {"first": 0, "last": 10**12}),
    ],
)
def test_what_is_no_range_is_refused(make: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        make("x", **arguments)


def test_extreme_ends_do_not_overflow() -> None:
    assert Axis.linear("x", -1e300, 1e300, 3).levels == (-1e300, 0.0, 1e300)
    assert Axis.geometric("x", 1e-300, 1e300, 3).levels == (1e-300, 1.0, 1e300)


XY = [Axis.integers("x", 0, 6), Axis.integers("y", 0, 4)]


def test_rules() -> None:
    as_text = Grid(XY, "x * y <= 6")
    as_function = Grid(XY, lambda params: params["x"] * params["y"] <= 6)
    expected = [(x, y) for x, y in itertools.product(range(7), range(5)) if x * y <= 6]
    assert list(as_text) == list(as_function) == expected
    assert as_text.size == 35
    assert (6, 4) in as_text
    assert not as_text.allows((6, 4))
    assert as_text == Grid(XY, "x * y <= 6") != Grid(XY)


@pytest.mark.parametrize("rule", ["x * z <= 6", "x <", "__import__('os')", "x.real > 1", 5, b"x"])
def test_bad_rules_are_refused(rule: Any) -> None:
    with pytest.raises(InvalidInput):
        Grid(XY, rule)


@pytest.mark.parametrize("axes", [[], [XY[0], XY[0]], ["x"]])
def test_bad_axes_are_refused(axes: Any) -> None:
    with pytest.raises(InvalidInput):
        Grid(axes)


@pytest.mark.parametrize("point", [(0,), (7, 0), (0, -1), (0, 0, 0), [0, 0], (0.0, 0), "00", None])
def test_what_is_no_point(point: Any) -> None:
    grid = Grid(XY)
    assert point not in grid
    with pytest.raises(InvalidInput):
        grid.params(point)


@pytest.mark.parametrize(
    "params", [{}, {"x": 0}, {"x": 0, "y": 9}, {"x": 0, "y": [1]}, {"x": 0, "y": 0, "z": 0}]
)
def test_what_are_no_params(params: Any) -> None:
    with pytest.raises(InvalidInput):
        Grid(XY).point(params)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 4))), st.data())
def test_the_nearest_allowed_point(allowed: set[Point], data: st.DataObject) -> None:
    grid = Grid(XY, lambda params: (params["x"], params["y"]) in allowed)
    point = data.draw(st.sampled_from(list(Grid(XY))))
    expected = min(allowed, key=lambda p: (math.dist(p, point), p), default=None)
    assert grid.nearest(point) == expected


def test_the_nearest_point_of_a_huge_grid() -> None:
    grid = Grid([Axis.integers(name, 0, 999) for name in "abcdef"], "a + b >= 1010")
    assert grid.nearest(grid.centre) == (505, 505, 500, 500, 500, 500)
