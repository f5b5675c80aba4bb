from __future__ import annotations

import math

import pytest

from dsice.domain import Domain, focus
from dsice.grid import Axis
from dsice.report.scales import parameter, quantity


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
    low, high, log = focus([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 900.0])
    assert low < 1
    assert high < 2
    assert not log


def test_what_must_show_is_in_range() -> None:
    low, high, _ = focus([1.0, 1.1, 1.2, 1.3, 1.4, 1.5], keep=[50.0])
    assert low < 1
    assert high > 50


def test_values_that_span_decades_have_a_logarithmic_scale() -> None:
    values = [10.0 ** (-k / 3) for k in range(12)]
    domain = focus(values)
    assert domain.log
    assert 0 < domain.low < min(values)
    assert domain.place(domain.low) == 0
    assert domain.place(math.sqrt(domain.low * domain.high)) == pytest.approx(0.5)
    for others in (0.0, -1.0):
        assert not focus([*values, others]).log
    assert not focus(values[:5]).log
    scale = quantity("y", "loss", domain)["scale"]
    assert (scale["type"], scale["domain"]) == ("log", [domain.low, domain.high])


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.8, 120.0, [1, 2, 5, 10, 20, 50, 100]),
        (3e-5, 40.0, [1e-4, 1e-3, 1e-2, 0.1, 1, 10]),
        (1e-30, 1e30, [float(f"1e{k}") for k in range(-30, 31, 7)]),
    ],
)
def test_ticks_of_a_logarithmic_scale_are_round(low: float, high: float, ticks: object) -> None:
    assert quantity("y", "loss", Domain(low, high, log=True))["axis"]["values"] == ticks


@pytest.mark.parametrize("values", [[], [3.0], [0.0, 0.0], [2.0] * 9, [-1e300, 1e300]])
def test_there_is_always_a_range(values: list[float]) -> None:
    domain = focus(values)
    assert domain.low < domain.high
    assert all(map(domain.holds, values))
