from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from superres.errors import Diverged
from superres.monitor import EXPLODED, Monitor, Report


def terms(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def test_reports_are_means_since_the_last() -> None:
    found: list[Report] = []
    monitor = Monitor(100, 0.25, found.append)
    for step in range(1, 101):
        monitor.watch(step, terms(loss=2.0 * step, mse=1e-3 * step))
    assert [r["step"] for r in found] == list(range(2, 101, 2))
    assert found[9]["loss"] == pytest.approx(39)
    assert found[9]["rmse"] == pytest.approx(255 * math.sqrt(0.0195))
    assert found[9]["epoch"] == 5
    assert monitor.final_loss == pytest.approx(2 * 95.5)
    assert monitor.reports == found


@pytest.mark.parametrize("every", [1, 7])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_ends_the_training(bad: float, every: int) -> None:
    monitor = Monitor(1000, 1, lambda _: None, every)
    monitor.watch(1, terms(loss=1.0, mse=0.1))
    taken = []

    def go_on() -> None:
        for step in range(2, 20):
            taken.append(step)
            monitor.watch(step, terms(loss=1.0 if step < 3 else bad, mse=0.1))

    with pytest.raises(Diverged, match="step 3: the loss is not finite"):
        go_on()
    assert taken[-1] < 3 + every


def test_worse_than_grey_ends_the_training_unless_it_began_so() -> None:
    monitor = Monitor(100, 1, lambda _: None)
    monitor.watch(1, terms(loss=1.0, mse=0.01))
    with pytest.raises(Diverged, match="worse than a grey picture"):
        monitor.watch(2, terms(loss=1.0, mse=EXPLODED * 1.01))
    bad_start = Monitor(100, 1, lambda _: None)
    for step in (1, 2):
        bad_start.watch(step, terms(loss=1.0, mse=3 * EXPLODED))


def test_a_restored_monitor_goes_on_as_if_nothing_had_happened() -> None:
    def watched(broken_at: int | None) -> tuple[list[Report], float]:
        found: list[Report] = []
        monitor = Monitor(200, 0.5, found.append)
        for step in range(1, 201):
            monitor.watch(step, terms(loss=1 / step, mse=1e-3 / step))
            if step == broken_at:
                state: dict[str, Any] = monitor.state()
                monitor = Monitor(200, 0.5, found.append)
                monitor.restore(state)
        assert monitor.reports == found
        return found, monitor.final_loss

    unbroken = watched(None)
    for step in (1, 2, 5, 199):
        assert watched(step) == unbroken


def test_a_change_of_what_is_minimised_is_not_averaged_over() -> None:
    found: list[Report] = []
    monitor = Monitor(150, 1, found.append)
    for step in (1, 2):
        monitor.watch(step, terms(loss=1.0, mse=0.1))
    monitor.watch(3, terms(critic=0.7))
    assert found[-1] == {"step": 3, "epoch": 3, "critic": pytest.approx(0.7)}
    assert monitor.final_loss == 1.0
