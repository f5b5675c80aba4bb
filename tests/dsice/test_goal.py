import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsice.errors import InvalidInput
from dsice.goal import Bound, Goal

finite = st.floats(-1e9, 1e9)
relations = st.sampled_from(["<=", "<", ">=", ">"])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(finite, relations, finite)
def test_a_bound_is_the_comparison_it_is_written_as(
    limit: float, relation: str, value: float
) -> None:
    bound = Bound.parse(f"rmse {relation} {limit!r}")
    assert (bound.metric, bound.relation, bound.limit) == ("rmse", relation, limit)
    assert (bound.excess(value) == 0) == eval(f"{value!r} {relation} {limit!r}")
    assert Bound.parse(bound.text) == bound


@settings(max_examples=200, deadline=None, derandomize=True)
@given(relations, finite, st.lists(st.tuples(finite, finite), min_size=2, max_size=6))
def test_the_key_sorts_feasible_first_then_by_cost_or_violation(
    relation: str, limit: float, measured: list[tuple[float, float]]
) -> None:
    goal = Goal(minimize="y", subject_to=[f"z {relation} {limit!r}"])
    found = sorted(({"y": y, "z": z} for y, z in measured), key=goal.key)
    feasible = [goal.feasible(metrics) for metrics in found]
    assert feasible == sorted(feasible, reverse=True)
    for before, after in pairwise(found):
        if goal.feasible(after):
            assert before["y"] <= after["y"]
        assert goal.violation(before) <= goal.violation(after)
        assert (goal.violation(before) == 0) == goal.feasible(before)


def test_violations_are_relative_to_the_limit() -> None:
    goal = Goal(minimize="y", subject_to=["a <= 100", "b >= 0.5", "c <= 0"])
    violation = goal.violation({"a": 150.0, "b": 0.25, "c": 2.0})
    assert violation == pytest.approx(0.5 + 0.5 + 2.0)


def test_the_limit_of_a_strict_bound_is_infeasible() -> None:
    goal = Goal(minimize="y", subject_to=["z < 10"])
    assert not goal.feasible({"y": 1.0, "z": 10.0})
    assert goal.violation({"y": 1.0, "z": 10.0}) > 0
    assert goal.feasible({"y": 1.0, "z": math.nextafter(10, 0)})


def test_maximizing_turns_the_sign() -> None:
    goal = Goal(maximize="speed")
    assert goal.metric == "speed"
    assert goal.cost({"speed": 3.0}) == -3.0
    assert goal.key({"speed": 3.0}) < goal.key({"speed": 2.0})


def test_the_metrics_it_reads() -> None:
    goal = Goal(minimize="niqe", subject_to=["rmse <= 12.5", "niqe <= 9", "rmse >= 1"])
    assert goal.metrics == ("niqe", "rmse")
    assert goal.missing({"niqe": 1.0}) == "rmse"
    assert goal.missing({"niqe": 1.0, "rmse": 2.0, "more": 3.0}) is None
    assert str(goal) == "minimize niqe subject to rmse <= 12.5 and niqe <= 9 and rmse >= 1"
    assert str(Goal(maximize="speed")) == "maximize speed"


def test_limits_from_stages() -> None:
    goal = Goal(minimize="niqe", subject_to=["rmse <= 1.015 * stage.pretrain.rmse"])
    (bound,) = goal.bounds
    assert bound.limit is None
    assert bound.stages == {"pretrain"}
    assert str(bound) == "rmse <= 1.015 * stage.pretrain.rmse"
    with pytest.raises(InvalidInput, match="has not ended"):
        goal.feasible({"niqe": 1.0, "rmse": 1.0})
    with pytest.raises(InvalidInput, match=r"stage\.pretrain\.rmse"):
        goal.settled({"pretrain": {"psnr": 30.0}})
    settled = goal.settled({"pretrain": {"rmse": 10.0}})
    assert settled.bounds[0].limit == pytest.approx(10.15)
    assert settled.settled({}) == settled
    assert goal.bounds[0].limit is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rmse",
        "rmse <=",
        "<= 3",
        "rmse == 3",
        "3 <= rmse",
        "rmse <= many",
        "rmse <= stage",
        "rmse <= 1 / 0",
        "rmse <= 1e999",
        "rmse <= 'a'",
        "rmse <= True",
        "rmse <= 3 <= 4",
        "rmse <= __import__('os')",
        5,
        None,
    ],
)
def test_what_is_no_bound_is_refused(text: Any) -> None:
    with pytest.raises(InvalidInput):
        Goal(minimize="y", subject_to=[text])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"minimize": "a", "maximize": "b"},
        {"minimize": ""},
        {"minimize": 3},
        {"minimize": "a", "subject_to": "b <= 3"},
        {"minimize": "a", "subject_to": 3},
    ],
)
def test_what_is_no_goal_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Goal(**arguments)
