"""Points that differ by a common factor, against exact fractions."""

import itertools
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsice import Axis, Grid
from dsice.errors import InvalidInput
from dsice.grid import Counts
from dsice.ratios import Ratios

DEMO = {
    "w_mse": Axis.geometric("w_mse", 0.000078125, 1.28, step=2),
    **{
        name: Axis(name, [0, *(float(f"{default * 2.0**k:.12g}") for k in range(-7, 8))])
        for name, default in {"w_vgg": 0.1, "w_adv": 0.001, "w_style": 10}.items()
    },
}


def exactly(values: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    """The ratios to the first value that is not zero."""
    unit = next((value for value in values if value), Fraction(1))
    return tuple(value / unit for value in values)


levels = st.lists(
    st.sampled_from(["0", "0.1", "0.2", "0.3", "0.4", "0.7", "1.4", "2.1", "3", "1e-7", "2e-7"]),
    min_size=1,
    max_size=5,
    unique=True,
)


@given(st.lists(levels, min_size=2, max_size=3))
def test_two_points_are_one_program_exactly_if_a_factor_leads_from_one_to_the_other(
    texts: list[list[str]],
) -> None:
    ratios = Ratios({f"x{k}": [float(text) for text in axis] for k, axis in enumerate(texts)})
    found: dict[tuple[int, ...], set[tuple[Fraction, ...]]] = {}
    for indices in itertools.product(*(range(len(axis)) for axis in texts)):
        values = tuple(Fraction(axis[k]) for axis, k in zip(texts, indices, strict=True))
        found.setdefault(tuple(ratios.key(indices)), set()).add(exactly(values))
    assert all(len(same) == 1 for same in found.values())
    assert len({next(iter(same)) for same in found.values()}) == len(found) == ratios.count()


def test_levels_with_rounding_errors_are_compared_well_enough() -> None:
    # Each level is a third of a decade above the last, written with 12 digits.
    axes = [Axis.geometric(name, 1e-6, 1e3, 28) for name in "ab"]
    ratios = Ratios({axis.name: axis.levels for axis in axes})
    assert ratios.count() == 55  # differences of -27 to 27 steps
    assert ratios.key([0, 5]) == ratios.key([22, 27]) != ratios.key([22, 26])


def test_the_demo_has_14_190_programs() -> None:
    grid = Grid(list(DEMO.values()), only_ratios_of=list(DEMO))
    assert grid.counts() == Counts(61_440, 61_440, 14_190, 61_440)


def test_other_axes_and_a_rule_are_told_apart() -> None:
    axes = [Axis("kind", ["a", "b"]), Axis("x", [0, 1, 2]), Axis("n", [1, 2]), Axis("y", [1, 2])]
    grid = Grid(axes, only_ratios_of=["y", "x"])
    assert grid.only_ratios_of == ("x", "y")
    assert grid.program(grid.point({"kind": "a", "x": 1, "n": 1, "y": 1})) == grid.program(
        grid.point({"kind": "a", "x": 2, "n": 1, "y": 2})
    )
    # Of (x, y): 0 to anything, 1:1, 1:2, 2:1.
    assert grid.counts() == Counts(24, 24, 16, 24)
    ruled = Grid(axes, "x < 2 and n == 1", ["x", "y"])
    assert ruled.counts() == Counts(24, 8, 6, 8)
    assert ruled != Grid(axes, "x < 2 and n == 1") != grid
    assert "only_ratios_of=['x', 'y']" in repr(grid)


def test_nothing_is_counted_one_by_one_that_would_take_long() -> None:
    many = [Axis.integers(name, 1, 300) for name in "ab"]
    assert Grid([*many, Axis.integers("c", 1, 300)]).counts() == Counts(*[27_000_000] * 4)
    half = 300 * 299 // 2 * 300
    assert Grid([*many, Axis.integers("c", 1, 300)], "a < b").counts() == Counts(
        27_000_000, half, half, half
    )
    three = Grid([*many, Axis.integers("c", 1, 3)], only_ratios_of=["b", "c"])
    # Of b : c, those with c = 1, with c = 2 and b odd, with c = 3 and b no multiple of 3.
    assert three.counts().distinct == 300 * (300 + 150 + 200)


def test_without_ratios_each_point_is_a_program_of_its_own() -> None:
    grid = Grid([Axis("a", [1, 2]), Axis("b", [1, 2])])
    assert [grid.program(point) for point in grid] == list(grid)
    assert grid.counts() == Counts(4, 4, 4, 4)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (["a"], "two axes"),
        (["a", "z"], "'z', which is no axis: the axes are a, b, word, low, flag"),
        (["a", "b", "a"], "'a' twice"),
        (["a", "word"], "axis 'word' has the level 'one': numbers"),
        (["a", "low"], "axis 'low' has the level -1: numbers of 0 or more"),
        (["a", "flag"], "axis 'flag' has the level True"),
        ("ab", "a list of axis names"),
        (3, "a list of axis names"),
    ],
)
def test_what_has_no_ratios_is_refused(chosen: Any, words: str) -> None:
    axes = [
        Axis("a", [1, 2]),
        Axis("b", [0.5]),
        Axis("word", ["one", 1]),
        Axis("low", [-1, 1]),
        Axis("flag", [True, False]),
    ]
    with pytest.raises(InvalidInput, match=words):
        Grid(axes, only_ratios_of=chosen)


def test_very_many_levels_are_refused() -> None:
    axes = [Axis.integers("a", 1, 1001), Axis.integers("b", 1, 2)]
    with pytest.raises(InvalidInput, match="up to 1000"):
        Grid(axes, only_ratios_of=["a", "b"])
