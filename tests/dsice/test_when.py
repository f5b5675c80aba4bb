"""Conditional parameters: what holds for a grid, against all of its combinations one by one."""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsice
from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.gp.anova import Anova
from dsice.grid import Axis, Grid, Params, Point
from dsice.search import SEARCHES

bounded = settings(max_examples=60, deadline=None, derandomize=True)

OPTIMIZER = Axis.choice("optimizer", ["adam", "sgd", "lion"])
LAYERS = Axis.integers("layers", 1, 4)
CONDITIONS = [
    None,
    "optimizer == 'sgd'",
    "optimizer != 'adam'",
    "layers >= 3",
    "optimizer == 'sgd' and layers > 1 or layers == 4",
]
RULES: list[str | Callable[[dict[str, Any]], bool] | None] = [
    None,
    "layers != 2",
    "a + layers < 5",
    "optimizer != 'adam' and a * b <= 3",
    "optimizer != 'lion' or layers > 1",
    lambda params: params.get("a", 0) + params["layers"] < 5,
]


def grid(a: str | None, b: str | None, rule: Any = None) -> Grid:
    axes = [Axis.integers("a", 0, 4, when=a), OPTIMIZER, Axis("b", [1, 3], when=b), LAYERS]
    return Grid(axes, rule)


def holds(rule: Any, params: Params) -> bool:
    """What a rule says of params, by Python itself: parts that read what is not there hold."""
    if rule is None:
        return True
    if callable(rule):
        return bool(rule(params))
    if "a" not in params:
        rule = {"a + layers < 5": "True", RULES[3]: "optimizer != 'adam'"}.get(rule, rule)
    if "b" not in params:
        rule = {RULES[3]: "optimizer != 'adam'"}.get(rule, rule)
    return bool(eval(rule, {}, dict(params)))


def brute_force(a: str | None, b: str | None, rule: Any) -> list[Params]:
    """The distinct params that are allowed, from all combinations."""
    found = []
    for values in itertools.product(range(5), OPTIMIZER.levels, [1, 3], LAYERS.levels):
        params: Params = dict(zip(("a", "optimizer", "b", "layers"), values, strict=True))
        outer = {name: params[name] for name in ("optimizer", "layers")}
        for name, when in (("a", a), ("b", b)):
            if when is not None and not eval(when, {}, outer):
                del params[name]
        if params not in found and holds(rule, params):
            found.append(params)
    return found


conditions = st.sampled_from(CONDITIONS)
rules = st.sampled_from(RULES)


@bounded
@given(conditions, conditions, rules, st.integers(0, 10))
def test_a_grid_has_each_program_once(a: str | None, b: str | None, rule: Any, seed: int) -> None:
    tested = grid(a, b, rule)
    expected = brute_force(a, b, rule)
    points = list(tested)
    assert len(points) == len(set(points))
    assert sorted(map(str, map(tested.params, points))) == sorted(map(str, expected))
    counts = tested.counts()
    assert (counts.allowed, counts.distinct) == (len(expected), len(expected))
    assert tested.size == counts.points == len(brute_force(a, b, None))
    assert {tested.at(k) for k in range(tested.size)} == set(grid(a, b))
    assert {tested.allowed_at(k) for k in range(len(points))} == set(points)
    draws = tested.draws(50, Random(seed))
    assert set(draws) <= set(points)
    assert bool(draws) == bool(points)
    for point in itertools.product(*map(range, tested.shape)):
        canonical = tested.canonical(point)
        assert tested.canonical(canonical) == canonical
        assert tested.params(canonical) == tested.params(point)
        assert tested.allows(point) == (canonical in points)
        assert tested.program(point) == tested.program(canonical) == canonical
        assert tested.point(tested.params(point)) == canonical
    nearest = tested.nearest(tested.centre)
    assert (nearest in points) if points else nearest is None


@bounded
@given(conditions, conditions, rules, st.lists(st.booleans(), min_size=14, max_size=14))
def test_points_with_these_levels(
    a: str | None, b: str | None, rule: Any, chosen: list[bool]
) -> None:
    """A level that does not apply is no matter."""
    tested = grid(a, b, rule)
    flags = iter(chosen)
    levels = [[k for k in range(n) if next(flags)] or [0] for n in tested.shape]
    expected = {
        point
        for point in tested
        if all(
            point[axis] in levels[axis]
            for axis, name in enumerate(tested.names)
            if name in tested.params(point)
        )
    }
    found = set(tested.within(levels))
    if callable(rule):  # all combinations are tried one by one then
        found = {tested.canonical(point) for point in found if tested.allows(point)}
    assert found == expected
    drawn = set(tested.draws_within(levels, 20, Random(0)))
    if not callable(rule) and (rule is not None or a or b):
        assert drawn <= expected


def test_what_is_left_out_and_what_is_needed() -> None:
    tested = grid("optimizer == 'sgd'", None)
    plain: Params = {"optimizer": "adam", "b": 3, "layers": 2}
    assert tested.point(plain) == (2, 0, 1, 1)
    # A value of what does not apply is no matter, as in a table that has a default there.
    assert tested.point(plain | {"a": "nothing"}) == (2, 0, 1, 1)
    assert tested.point(plain | {"optimizer": "sgd", "a": 4}) == (4, 1, 1, 1)
    for wrong in (plain | {"optimizer": "sgd"}, plain | {"c": 1}, {"b": 3}):
        with pytest.raises(InvalidInput, match="differing"):
            tested.point(wrong)
    with pytest.raises(InvalidInput, match="9 is no level of axis 'a'"):
        tested.point(plain | {"optimizer": "sgd", "a": 9})
    assert tested.active_at((0, 1, 0, 0)) == frozenset({0, 1, 2, 3})
    assert tested.active_at((None, 0, 0, 0)) == frozenset({1, 2, 3})
    assert tested.active_at((0, None, 0, 0)) is None


def test_grids_with_conditions_are_compared_copied_and_pickled() -> None:
    tested = grid("optimizer == 'sgd'", "layers > 2", "a < 4")
    copy = pickle.loads(pickle.dumps(tested))
    assert copy == tested
    assert list(copy) == list(tested)
    assert tested != grid("optimizer == 'lion'", "layers > 2", "a < 4")
    assert "when=\"optimizer == 'sgd'\"" in repr(tested)


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("b == 3", "reads 'b', which is conditional too"),
        ("a == 3", "reads the parameter itself"),
        ("momentum > 1", "reads 'momentum': the axes are a, optimizer, b, layers"),
        ("optimizer == 'rmsprop'", "holds at no point"),
        ("optimizer < 3", "has no value"),
        ("optimizer ==", "cannot parse"),
    ],
)
def test_conditions_that_cannot_be_meant(when: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        grid(when, "layers > 1")


def test_cycles_are_refused() -> None:
    with pytest.raises(InvalidInput, match="conditional too"):
        grid("b == 3", "a == 2")


def test_ratios_and_conditions_do_not_mix() -> None:
    weights = [Axis("v", [1, 2]), Axis("w", [1, 2], when="layers > 1"), LAYERS]
    with pytest.raises(InvalidInput, match="only_ratios_of names 'w'"):
        Grid(weights, only_ratios_of=["v", "w"])
    read = [Axis("v", [1, 2]), Axis("w", [1, 2]), Axis("x", [1, 2], when="w > 1")]
    with pytest.raises(InvalidInput, match="only_ratios_of names 'w', and whether 'x'"):
        Grid(read, only_ratios_of=["v", "w"])
    others = Grid(
        [*read[:2], LAYERS, Axis("x", [1, 2], when="layers > 3")], "v + layers > 2", ["v", "w"]
    )
    programs = {others.program(point) for point in others}
    assert others.counts().distinct == len(programs)


# -- the model and the searches --------------------------------------------------------------------


@bounded
@given(conditions, conditions, st.integers(0, 1000))
def test_the_covariance_of_conditional_axes(a: str | None, b: str | None, seed: int) -> None:
    tested = grid(a, b)
    random = np.random.default_rng(seed)
    blank = Anova.of(tested)
    anova = blank.with_variances(random.uniform(0.1, 1, len(blank.terms)))
    raw = np.array(list(itertools.product(*map(range, tested.shape))))
    matrix = anova.covariance(raw, raw)
    assert np.linalg.eigvalsh(matrix).min() > -1e-8
    np.testing.assert_allclose(anova.variance(raw), np.diag(matrix))
    # Points that are the same program are the same to the model.
    canonical = np.array([tested.canonical(tuple(point)) for point in raw.tolist()])
    np.testing.assert_allclose(anova.covariance(canonical, canonical), matrix)
    product = np.ones_like(matrix)
    for axis in range(4):
        mine = [k for k, (of, _) in enumerate(anova.terms) if of == axis]
        terms = anova.axis_terms(axis, raw, raw)
        product *= 1 + np.tensordot(anova.variances[mine], terms, 1)
    np.testing.assert_allclose(product, matrix)


def loss(params: Params) -> float:
    rates = {"adam": 0.5, "sgd": 0.0, "lion": 0.8}
    extra = abs(int(params.get("a", 2)) - 3) / 10 + abs(int(params.get("b", 1)) - 3) / 20
    return rates[str(params["optimizer"])] + extra + (int(params["layers"]) - 3) ** 2 / 10


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("rule", [None, "a + layers < 8"])
def test_every_search_measures_each_program_once(name: str, rule: str | None) -> None:
    tested = grid("optimizer == 'sgd'", "layers >= 3", rule)
    search = dsice.make_search(name, tested, Goal(minimize="y"), seed=1)
    seen: list[Point] = []
    while points := search.ask(2):
        for point in points:
            assert tested.canonical(point) == point
            assert tested.allows(point)
            search.tell(point, {"y": loss(tested.params(point))})
        seen += points
    assert len(seen) == len(set(seen))
    if name in ("dsice", "random"):
        assert set(seen) == set(tested)
    best = tested.params(min(seen, key=lambda point: loss(tested.params(point))))
    if name != "dsice-2017":
        assert best["optimizer"] == "sgd"


def test_the_search_works_in_the_branch_that_is_good() -> None:
    """What applies in one branch only is found as quickly as if there were no other."""
    branch = "optimizer == 'sgd'"
    axes = [OPTIMIZER, Axis.range("momentum", 0, 0.99, 34, when=branch), Axis.log("lr", 1e-5, 1)]

    def measured(params: Params) -> float:
        if params["optimizer"] != "sgd":
            return 1.0 + math.log10(float(params["lr"]) / 1e-3) ** 2 / 10
        rate = math.log10(float(params["lr"]) / 1e-2) ** 2
        return float(rate / 4 + (float(params["momentum"]) - 0.8) ** 2)

    tested = Grid(axes)
    for seed in range(3):
        search = dsice.make_search("dsice", tested, Goal(minimize="y"), seed=seed)
        done: list[Params] = []
        for _ in range(35):
            (point,) = search.ask()
            done.append(tested.params(point))
            search.tell(point, {"y": measured(done[-1])})
        assert min(map(measured, done)) < 0.01
        assert sum(params["optimizer"] == "sgd" for params in done) > 20


def test_points_told_in_any_writing_are_one() -> None:
    tested = grid("optimizer == 'sgd'", None)
    search = dsice.make_search("dsice", tested, Goal(minimize="y"))
    search.tell((0, 0, 1, 1), {"y": 1.0})
    search.tell((4, 0, 1, 1), {"y": 3.0})
    assert list(search.history) == [(2, 0, 1, 1)]
    assert search.history.metrics((1, 0, 1, 1)) == {"y": 2.0}
    search.pend((0, 2, 0, 0))
    assert list(search.pending) == [(2, 2, 0, 0)]
