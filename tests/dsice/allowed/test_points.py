"""Which points a rule allows: the same as by asking it at each of them, with far less work."""

from __future__ import annotations

import itertools
import math
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsice.allowed import Rule, find
from dsice.allowed.probed import Probed
from dsice.errors import InvalidInput
from dsice.grid import Axis, Grid
from tests.dsice.allowed.rules import conditions, levels

Levels = Mapping[str, Sequence[Any]]
NAMES = ("a", "b", "c", "d")
TEN = range(10)


def asked_one_by_one(rule: Rule, axes: Levels) -> list[tuple[int, ...]] | None:
    """All allowed points in index order; None if the rule has no value at one of them."""
    try:
        return [p for p in itertools.product(*(range(len(v)) for v in axes.values())) if rule(p)]
    except InvalidInput:
        return None


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(conditions(NAMES, 2), min_size=1, max_size=4),
    st.tuples(levels, levels, levels, levels),
    st.integers(0, 10**6),
)
def test_the_points_are_those_that_the_rule_allows(
    parts: list[str], values: tuple[list[Any], ...], seed: int
) -> None:
    axes = dict(zip(NAMES, values, strict=True))
    text, random = " and ".join(parts), Random(seed)
    expected = asked_one_by_one(Rule(text, axes), axes)
    if expected is None:
        with pytest.raises(InvalidInput, match="has no value at"):
            _ = Rule(text, axes).points
        return
    points = Rule(text, axes).points
    assert list(points) == expected
    assert points.count == points.least == len(expected)
    target = tuple(random.randrange(len(v)) for v in values)
    nearest = min(expected, key=lambda p: (math.dist(p, target), p), default=None)
    assert points.nearest(target) == nearest
    assert {points[k] for k in range(len(expected))} == set(expected)
    assert set(points.draws(10, random)) <= set(expected)


PUBLISHED = "ranks * threads == 128 and tile * unroll <= 64 and tile % unroll == 0"
SIZES = {"ranks": 128, "threads": 128, "tile": 64, "unroll": 16}
TWELVE = {f"p{k}": TEN for k in range(12)}
MANY = {f"p{k}": TEN for k in range(25)}


@pytest.mark.parametrize(
    ("text", "axes", "count", "most"),
    [
        ("a + b + c + d + e + f + g <= 2", dict.fromkeys("abcdefg", TEN), 36, 300),
        (" + ".join(TWELVE) + " == 0", TWELVE, 1, 200),
        (" + ".join(TWELVE) + " <= 2", TWELVE, 91, 500),
        (" + ".join(TWELVE) + " >= 5", TWELVE, 10**12 - 1820, 1000),
        (" * ".join(TWELVE) + " == 2 ** 30", TWELVE, 11_440, 100_000),
        (" + ".join(MANY) + " >= 3", MANY, 10**25 - 351, 2000),  # beyond NumPy's integers
        (" + ".join(TWELVE) + " >= 3", MANY, (10**12 - 91) * 10**13, 2000),
        ("p1 > 100", TWELVE, 0, 1),
        ("p1 > p2 and p1 + p3 < 0", TWELVE, 0, 200),
        (PUBLISHED, {name: range(1, n + 1) for name, n in SIZES.items()}, 768, 20_000),
        ("a == b", {"a": range(3000), "b": range(3000)}, 3000, 300_000),
        ("a * b == 4096 and b % c == 0", dict.fromkeys("abc", range(1, 4097)), 91, 1_000_000),
        ("a != b or c", dict.fromkeys("abcdef", range(1000)), 10**18 - 10**12, 1_100_000),
        ("kind in ('x', 'y') and n > 7", {"kind": ["x", "y", "z"], "n": TEN}, 4, 1),
        ("'x' == kind or n > 7", {"kind": ["x", "y", "z"], "n": TEN}, 14, 40),
    ],
)
def test_little_is_tried(
    monkeypatch: pytest.MonkeyPatch, text: str, axes: Levels, count: int, most: int
) -> None:
    monkeypatch.setattr(find, "MOST_ROWS", most)  # with more tries they would not be counted
    points = Rule(text, axes).points
    assert points.count == count
    centre = tuple(len(values) // 2 for values in axes.values())
    nearest = points.nearest(centre)
    drawn = points.draws(50, Random(1))
    if not count:
        assert nearest is None
        assert not drawn
        return
    assert nearest is not None
    rule = Rule(text, axes)
    assert all(map(rule, [nearest, *drawn, points[0], points[count - 1]]))
    assert len(drawn) == 50
    assert len({points[k * count // 50] for k in range(50)}) == min(50, count)


@pytest.mark.parametrize("width", [1, 16, 17, 32, 33, 256, 257, 300, 512, 513, 4097])
def test_axes_of_any_length(width: int) -> None:
    axes = {"a": range(width), "b": [3, 250, 255, 256, 400, 511, 4096], "c": range(width)}
    points = Rule("a > b and c == a - b", axes).points
    above = [(a, k, a - b) for a in range(width) for k, b in enumerate(axes["b"]) if a > b]
    assert list(points) == above
    if width < 1000:  # where every other of 16 million is allowed, they are not counted
        turned = {"a": range(width)[::-1], "b": range(width)}
        assert Rule("a < b", turned).points.count == width * (width - 1) // 2
    shuffled = Random(0).sample(range(width), width)
    assert Rule("a == b", {"a": shuffled, "b": range(width)}).points.count == width


def test_all_points_are_equally_likely() -> None:
    points = Rule("a + b <= 3 and c % 2 == a % 2", dict.fromkeys("abcd", range(4))).points
    drawn = points.draws(20_000, Random(5))
    assert points.count == 80
    counts = [drawn.count(point) for point in points]
    assert sum((n - 250) ** 2 / 250 for n in counts) < 140  # chi-squared of 79: 99.99 %


@pytest.mark.parametrize("states", [1, 30])
def test_points_that_cannot_be_counted(monkeypatch: pytest.MonkeyPatch, states: int) -> None:
    monkeypatch.setattr(find, "MOST_STATES", states)
    axes = dict.fromkeys("abcde", range(12))
    text = "(a * 31 + b * 17 + c * 13) % 101 == 5 and d > e"
    points = Rule(text, axes).points
    rule, random = Rule(text, axes), Random(0)
    assert points.count is None
    assert any(isinstance(group, Probed) for group in points.groups)
    drawn = set(points.draws(30, random))
    assert len(drawn) > 10
    assert points.least >= 17 * 66  # all of them, by following some at a time
    nearest = points.nearest((6, 6, 6, 6, 6))
    assert nearest is not None
    assert all(map(rule, [*drawn, nearest]))
    assert points.draws(30, Random(3)) == points.draws(30, Random(3))
    with pytest.raises(ValueError, match="cannot be listed"):
        list(points)


def test_nothing_may_be_found_where_nothing_can_be_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(find, "MOST_STATES", 1)
    points = Rule("a ** 2 + b ** 2 + c ** 2 == 7", dict.fromkeys("abc", TEN)).points
    assert (points.count, points.least) == (None, 0)
    assert points.nearest((5, 5, 5)) is None
    assert points.draws(3, Random(0)) == []


def test_nothing_is_allowed_though_a_part_cannot_be_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(find, "MOST_STATES", 1)
    axes = {name: list(range(1, 7)) for name in "abcd"}
    points = Rule("a * b == c + a and d > 20", axes).points
    assert any(isinstance(group, Probed) for group in points.groups)
    assert points.count == 0
    assert list(points) == []
    assert points.tied([0, 3], 1000) is None
    assert points.draws(3, Random(0)) == []
    assert points.nearest((1, 1, 1, 1)) is None
    grid = Grid([Axis(name, axes[name]) for name in "abcd"], "a * b == c + a and d > 2")
    assert list(grid.within([range(6), range(6), range(6), [0, 1]])) == []


def test_a_function_is_asked_point_by_point() -> None:
    few = Rule(lambda params: params["a"] == params["b"], dict.fromkeys("ab", TEN))
    assert few.points.count == 10
    asked = []

    def rule(params: Mapping[str, int]) -> bool:
        asked.append(params)
        return sum(params.values()) % 3 == 0

    many = Rule(rule, dict.fromkeys("abcdefg", TEN))
    assert many.points.count is None
    nearest = many.points.nearest((5,) * 7)
    assert nearest == (5, 5, 5, 5, 5, 5, 6)
    drawn = many.points.draws(100, Random(0))
    assert len(drawn) == 100
    assert all(sum(point) % 3 == 0 for point in drawn)
    assert len(asked) < 2000
    before = len(asked)
    assert all(map(many, drawn))  # answers are remembered
    assert len(asked) == before
    never = Rule(lambda params: asked.append(params), dict.fromkeys("abcdefg", TEN))
    assert never.points.nearest((5,) * 7) is None
    assert never.points.draws(100, Random(0)) == []
    assert len(asked) - before < 12_000


def test_a_condition_that_fails_excludes_a_point_whatever_the_others_say() -> None:
    axes = {"a": TEN, "b": TEN}
    for text in ("b > 0 and a % b == 0", "a % b == 0 and b > 0", "not (b == 0 or a % b)"):
        rule = Rule(text, axes)
        assert not rule((3, 0))
        assert rule((6, 3))
        assert rule.points.count == 32
    faulty = Rule("a % b == 0", axes)
    with pytest.raises(InvalidInput, match=r"'a % b == 0' has no value at \{'a': 0, 'b': 0\}"):
        _ = faulty.points
    with pytest.raises(InvalidInput, match=r"no value at \{'a': 3, 'b': 0\}: integer modulo"):
        faulty((3, 0))
    assert Rule("a % b == 0 and a > 20", axes).points.count == 0
    with pytest.raises(InvalidInput, match="no value"):
        _ = Rule("a > 2 and 1 / 0 > 2", axes).points


def test_points_within_some_levels() -> None:
    text, axes = "a + b <= 7 and c % 2 == d % 2 and c != 3", dict.fromkeys("abcd", TEN)
    rule, within = Rule(text, axes), [[2, 5], range(10), [3, 4, 9], [9]]
    points = rule.within(within)
    assert points is not None
    assert list(points) == [
        p for p in rule.points if all(k in w for k, w in zip(p, within, strict=True))
    ]
    assert points.count == (6 + 3) * 1
    nothing = rule.within([[9], [9], TEN, TEN])
    assert nothing is not None
    assert nothing.count == 0
    assert Rule(lambda params: True, axes).within(within) is None


@pytest.mark.parametrize("point", [(0, 9), (-1, 0), (10, 0)])
def test_what_is_no_point_is_refused(point: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="no point"):
        Rule("a * b < 5", {"a": TEN, "b": range(3)})(point)


def test_names_of_operations_are_names_of_axes_too() -> None:
    names = ("tuple", "min", "negative")
    points = Rule("tuple + min <= negative", dict.fromkeys(names, TEN)).points
    assert points.count == sum(a + b <= c for a, b, c in itertools.product(TEN, repeat=3))


def grid_of(rule: Any, *, ratios: Sequence[str] = ()) -> Grid:
    return Grid([Axis.integers(name, 1, 6) for name in "abcd"], rule, ratios)


def test_grids_with_rules_can_be_copied_and_pickled() -> None:
    grid = grid_of("a * b <= 6 and c != d")
    assert grid.counts().allowed == 14 * 30
    for copy in (pickle.loads(pickle.dumps(grid)), deepcopy(grid)):
        assert copy == grid
        assert hash(copy) == hash(grid)
        assert list(copy) == list(grid)


def test_a_grid_with_a_rule_is_made_without_numpy() -> None:
    code = (
        "import sys, dsice\n"
        "grid = dsice.Grid([dsice.Axis('a', [1, 2]), dsice.Axis('b', [1, 2])], 'a * b < 3')\n"
        "assert grid.allows((0, 1)) and not grid.allows((1, 1))\n"
        "assert 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("ratios", ["ab", "ac", "bcd", "abcd"])
@pytest.mark.parametrize("rule", ["a * b <= 6 and c != d", "a + d < 5", "b > 2", "c > 100"])
def test_different_programs_are_counted(rule: str, ratios: str) -> None:
    grid = grid_of(rule, ratios=list(ratios))
    counts = grid.counts()
    assert counts.allowed == sum(1 for _ in grid)
    assert counts.distinct == len(set(map(grid.program, grid)))


def test_counts_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(grid_of("a > 3").counts()) == "1,296 points, 648 allowed"
    assert str(grid_of("a > 30").counts()) == "1,296 points, none allowed"
    assert str(grid_of("a > 0").counts()) == "1,296 points"
    assert str(grid_of(lambda params: False).counts()) == "1,296 points, none allowed"
    large = Grid([Axis.integers(name, 0, 9) for name in "abcdefgh"], lambda params: True)
    assert str(large.counts()) == "100,000,000 points, allowed ones not counted"
    monkeypatch.setattr(find, "MOST_STATES", 1)
    counts = grid_of("a + b == c").counts()
    assert counts.allowed is None
    assert str(counts) == f"1,296 points, at least {counts.least:,} allowed"
