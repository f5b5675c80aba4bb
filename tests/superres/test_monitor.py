from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch

from superres.errors import Diverged
from superres.monitor import EXPLODED, TREND, Monitor, Report


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


def watch_all(monitor: Monitor, errors: Iterable[float]) -> int:
    """The step at which the training is ended, or 0."""
    step = 0
    try:
        for step, error in enumerate(errors, 1):
            monitor.watch(step, terms(loss=1.0, mse=error))
    except Diverged:
        return step
    return 0


def test_a_trend_ends_the_training_and_a_single_batch_does_not() -> None:
    learnt = [0.01] * 100
    assert watch_all(Monitor(1000, 1, lambda _: None), [*learnt, *[2 * EXPLODED] * 100]) == 113
    outliers = [100.0 if step % 3 == 0 else 0.01 for step in range(1000)]
    assert watch_all(Monitor(1000, 1, lambda _: None), outliers) == 0


def test_a_beginning_worse_than_grey_is_the_measure_of_what_follows() -> None:
    start = [3 * EXPLODED] * TREND
    assert watch_all(Monitor(1000, 1, lambda _: None), [*start, *[1.0] * 1000]) == 0
    assert watch_all(Monitor(1000, 1, lambda _: None), [*start, *[10.0] * 1000]) == TREND + 13
    # One that runs away before there is anything to compare it with.
    assert watch_all(Monitor(1000, 1, lambda _: None), [0.01, *[1e6] * 1000]) == TREND


def test_the_reason_is_given() -> None:
    monitor = Monitor(1000, 1, lambda _: None)
    for step in range(1, TREND):
        monitor.watch(step, terms(loss=1.0, mse=1e6))
    message = f"step {TREND}: the pixel MSE of the last {TREND} steps .* worse than a grey picture"
    with pytest.raises(Diverged, match=message):
        monitor.watch(TREND, terms(loss=1.0, mse=1e6))


@pytest.mark.parametrize("seed", range(20))
def test_a_network_that_has_learnt_nothing_yet_is_not_killed(seed: int) -> None:
    """With one patch a step: new networks begin at .1 to .5, and patches differ tenfold."""
    random = np.random.default_rng(seed)
    errors = np.minimum(random.uniform(0.07, 0.4) * random.lognormal(0, 1, 500), 1.5)
    assert watch_all(Monitor(10**6, 1, lambda _: None, every=TREND), errors) == 0


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


def test_a_restored_monitor_remembers_the_trend() -> None:
    errors = [*[0.01] * 100, *[2 * EXPLODED] * 10]
    first = Monitor(1000, 1, lambda _: None)
    assert watch_all(first, errors) == 0
    second = Monitor(1000, 1, lambda _: None)
    second.restore(first.state())
    assert watch_all(second, [2 * EXPLODED] * 10) == 3


def test_a_change_of_what_is_minimised_is_not_averaged_over() -> None:
    found: list[Report] = []
    monitor = Monitor(150, 1, found.append)
    for step in (1, 2):
        monitor.watch(step, terms(loss=1.0, mse=0.1))
    monitor.watch(3, terms(discriminator=0.7))
    assert found[-1] == {"step": 3, "epoch": 3, "discriminator": pytest.approx(0.7)}
    assert monitor.final_loss == 1.0
