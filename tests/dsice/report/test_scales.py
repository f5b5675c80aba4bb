from __future__ import annotations

import pytest

from dsice.grid import Axis
from dsice.report.scales import focus, parameter


def kind(axis: Axis) -> str:
    encoding = parameter(axis, "p0")
    return str(encoding["scale"].get("type", encoding["type"]))


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (Axis.geometric("a", 1e-5, 1, levels=6), "log"),
        (Axis.geometric("a", 64, 1, step=0.5), "log"),
        (Axis("a", [0.001, 0.003, 0.01, 0.03, 0.1]), "log"),
        (Axis.linear("a", 0, 1, levels=5), "quantitative"),
        (Axis.integers("a", 0, 9), "quantitative"),
        (Axis("a", [0, 0.1, 1, 10]), "ordinal"),
        (Axis("a", [1, 2, 7]), "ordinal"),
        (Axis("a", [5]), "ordinal"),
        (Axis("a", [False, True]), "ordinal"),
        (Axis("a", ["row", "column"]), "ordinal"),
        (Axis.choice("a", [1, 2, 3]), "ordinal"),
        (Axis("a", [k * k for k in range(100)]), "quantitative"),
    ],
)
def test_axes_are_drawn_as_their_levels_are_spaced(axis: Axis, expected: str) -> None:
    assert kind(axis) == expected


def test_a_run_that_diverged_does_not_squeeze_the_others() -> None:
    low, high = focus([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 900.0])
    assert low < 1
    assert high < 2


def test_what_must_show_is_in_range() -> None:
    low, high = focus([1.0, 1.1, 1.2, 1.3, 1.4, 1.5], keep=[50.0])
    assert low < 1
    assert high > 50


@pytest.mark.parametrize("values", [[], [3.0], [0.0, 0.0], [2.0] * 9, [-1e300, 1e300]])
def test_there_is_always_a_range(values: list[float]) -> None:
    low, high = focus(values)
    assert low < high
    assert all(low <= value <= high for value in values)
