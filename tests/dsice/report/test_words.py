from __future__ import annotations

import pytest

from dsice.goal import Bound
from dsice.report import words


def test_bounds_are_written_as_people_do() -> None:
    assert words.bound(Bound.parse("rmse <= 12.5")) == "rmse ≤ 12.5"
    assert words.bound(Bound.parse("fps>30")) == "fps > 30"
    assert words.bound(Bound.parse("rmse <= 1.02*stage.a.rmse")) == "rmse <= 1.02*stage.a.rmse"


@pytest.mark.parametrize(
    ("factor", "text"),
    [
        (27.3, "1/27.3 of the time"),
        (216, "1/216 of the time"),
        (8, "1/8 of the time"),
        (1.944, "1/1.94 of the time"),
        (1.0001, "the same time"),
        (0.9999, "the same time"),
        (0.5618, "1.78 times the time"),
    ],
)
def test_slower_is_not_said_as_if_it_were_faster(factor: float, text: str) -> None:
    assert words.time_share(factor) == text
    assert text == "the same time" or text.startswith(words.fraction(factor))


def test_parameters_are_short() -> None:
    assert words.parameter(0.00316227766017) == "0.00316228"
    assert [words.parameter(v) for v in (True, 7, "soa")] == ["true", "7", "soa"]


def test_moments_never_fail() -> None:
    assert words.moment(1e30) == "unknown"
    assert words.moment(1_700_000_000).startswith("2023-11-1")
