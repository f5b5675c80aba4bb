"""Fronts and hypervolumes against their definitions, point by point."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest

from dsice.errors import InvalidInput
from dsice.front import dominators, front, hypervolume, spread_out
from dsice.goal import Goal
from dsice.swept import Swept


def rows(seed: int, columns: int) -> list[tuple[int, ...]]:
    draw = random.Random(seed)
    return [tuple(draw.randrange(7) for _ in range(columns)) for _ in range(draw.randrange(1, 15))]


def dominates(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    return first != second and all(a <= b for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(12))
def test_the_front_is_what_nothing_dominates(seed: int, columns: int) -> None:
    points = rows(seed, columns)
    counts = [sum(dominates(other, point) for other in points) for point in points]
    assert dominators(points).tolist() == counts
    found = front(points)
    assert {points[k] for k in found} == {p for p, n in zip(points, counts, strict=True) if not n}
    assert len({points[k] for k in found}) == len(found)
    assert [points[k][1:] for k in found] == sorted(points[k][1:] for k in found)


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(12))
def test_the_hypervolume_is_the_number_of_dominated_unit_cells(seed: int, columns: int) -> None:
    points = rows(seed, columns)
    reference = [random.Random(seed).randrange(3, 8) for _ in range(columns)]
    cells = itertools.product(*map(range, reference))
    dominated = sum(
        any(all(p <= c for p, c in zip(point, cell, strict=True)) for point in points)
        for cell in cells
    )
    assert hypervolume(points, reference) == dominated
    assert hypervolume(points[::-1], reference) == dominated


def test_nothing_has_no_hypervolume() -> None:
    assert hypervolume([], (1.0, 1.0)) == 0.0
    assert front([]) == []


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 9, 30])
def test_beginnings_are_spread_out(count: int) -> None:
    order = spread_out(count)
    assert sorted(order) == list(range(count))
    if count > 4:
        gaps = np.diff(sorted(order[:5]))
        assert gaps.max() <= 2 * gaps.min() + 1


@pytest.mark.parametrize("text", ["rmse 11:16", "psnr >= 25.1:30", "a.b", "z >=", "z -1e-7:1"])
def test_a_range_is_read_back_as_it_was(text: str) -> None:
    swept = Swept.parse(text)
    assert Swept.parse(swept.text) == swept


def test_the_strictest_limit_depends_on_the_relation() -> None:
    assert Swept.parse("rmse 11:16") == Swept("rmse", "<=", 11.0, 16.0)
    assert Swept.parse("rmse 11:16", ">=") == Swept("rmse", ">=", 16.0, 11.0)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("rmse 16:11", "backwards"),
        ("rmse 11:11", "empty"),
        ("rmse a:b", "finite"),
        ("rmse 1:inf", "finite"),
        ("rmse 11", "write it like"),
        ("rmse < 1:2", "write it like"),
        ("", "write it like"),
    ],
)
def test_what_is_no_range_is_refused(text: str, word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        Swept.parse(text)


def test_several_objectives_are_one_and_swept_others() -> None:
    goal = Goal(minimize=["niqe", "rmse"], maximize=["speed"], subject_to=["rmse <= 16"])
    assert goal.objectives == (("niqe", "minimize"), ("rmse", "minimize"), ("speed", "maximize"))
    assert goal.metrics == ("niqe", "rmse", "speed")
    assert goal.costs({"niqe": 5.0, "rmse": 12.0, "speed": 3.0}) == (5.0, 12.0, -3.0)
    assert str(goal) == "minimize niqe and rmse and maximize speed subject to rmse <= 16"
    assert Goal(maximize=["speed"]) == Goal(maximize="speed")


@pytest.mark.parametrize(
    "objectives",
    [
        {"minimize": []},
        {"minimize": ["a", "a"]},
        {"minimize": ["a"], "maximize": ["a"]},
        {"minimize": ["a", 3]},
    ],
)
def test_objectives_that_cannot_be_meant(objectives: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="objective"):
        Goal(**objectives)


def test_a_range_takes_the_place_of_bounds_on_its_metric() -> None:
    goal = Goal(minimize="y", subject_to=["z <= 3", "z >= 1", "w < 2"])
    swept = goal.over(Swept("z", "<=", 4.0, 5.0))
    assert swept.subject_to == ("z >= 1", "w < 2", "z <= 5.0")
    assert str(swept) == "minimize y subject to z >= 1 and w < 2 and every z <= 4:5"
    with pytest.raises(InvalidInput, match="objective"):
        goal.over(Swept("y"))
