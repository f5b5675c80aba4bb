"""Monitoring a training run: progress reports, curves, and stopping a diverging one."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import torch
from torch import Tensor

from superres.errors import Diverged

Report = dict[str, float]
"""Means since the last report: `step`, `epoch`, `loss`, its terms, `rmse`; or `val_...` metrics."""

Progress = Callable[[Report], None]
"""Gets the reports."""

EXPLODED = 0.25
"""A pixel MSE beyond this is worse than a grey picture can be."""

TREND = 25
"""Steps whose median pixel MSE is compared with that of the first as many.

A single batch says little: between patches of one photograph and another, the MSE of a network that
has learnt nothing differs by a factor of ten and more.
"""

# A median this many times the initial one is not chance, even with one patch per step.
_GROWTH = 8.0

# New networks start at a median of 0.07 to 0.4; one that starts above this diverged at once.
_LARGEST_START = 10.0

_REPORTS = 50


class Monitor:
    """Reports means at intervals, and stops a training run that has diverged.

    Args:
        steps: number of steps of the whole training.
        epochs_a_step: epochs per step.
        progress: receives the reports.
        every: steps between two checks of the values, which must wait for a GPU.
    """

    def __init__(
        self, steps: int, epochs_a_step: float, progress: Progress, every: int = 1
    ) -> None:
        self.reports: list[Report] = []
        self._steps = steps
        self._epochs_a_step = epochs_a_step
        self._progress = progress
        self._look_every = every
        self._report_every = max(1, steps // _REPORTS)
        self._limit: float | None = None
        self._recent: deque[float] = deque(maxlen=TREND)
        self._unseen: list[tuple[int, dict[str, Tensor]]] = []
        self._since: list[dict[str, float]] = []
        self._losses: deque[float] = deque(maxlen=max(1, steps // 10))

    @property
    def final_loss(self) -> float:
        """Mean loss over the last tenth of the steps."""
        return sum(self._losses) / len(self._losses)

    def watch(self, step: int, terms: dict[str, Tensor]) -> None:
        """Record the terms of a step.

        Raises:
            Diverged: the training diverged at most `every` steps ago.
        """
        self._unseen.append((step, terms))
        reporting = step % self._report_every == 0 or step == self._steps
        if reporting or step % self._look_every == 0:
            self.look()
        if reporting:
            self._report(step)

    def look(self) -> None:
        """Check all recorded terms.

        Raises:
            Diverged: the training diverged.
        """
        for step, terms in self._unseen:
            values = torch.stack(list(terms.values())).tolist()
            self._judge(step, dict(zip(terms, values, strict=True)))
        self._unseen.clear()

    def add(self, report: Report) -> None:
        """Add an external report, such as that of a validation."""
        self.reports.append(report)
        self._progress(report)

    def state(self) -> dict[str, Any]:
        """The state for `restore`."""
        self.look()
        return {
            "limit": self._limit,
            "recent": list(self._recent),
            "since": list(self._since),
            "losses": list(self._losses),
            "reports": list(self.reports),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`."""
        self._limit = state["limit"]
        self._recent.extend(state["recent"])
        self._since = list(state["since"])
        self._losses.extend(state["losses"])
        self.reports = list(state["reports"])

    def _judge(self, step: int, values: dict[str, float]) -> None:
        if not all(math.isfinite(value) for value in values.values()):
            raise Diverged(f"diverged at step {step}: the loss is not finite")
        if "mse" in values:
            self._follow(step, values["mse"])
        if "loss" in values:
            self._losses.append(values["loss"])
        self._since.append(values)

    def _follow(self, step: int, error: float) -> None:
        """Compare the latest pixel errors with the first ones."""
        self._recent.append(error)
        if len(self._recent) < TREND:
            return
        typical = median(self._recent)
        if self._limit is None:
            self._limit = max(EXPLODED, _GROWTH * min(typical, _LARGEST_START))
        if typical > self._limit:
            raise Diverged(
                f"diverged at step {step}: the pixel MSE of the last {TREND} steps has a median of "
                f"{typical:.3g}, worse than a grey picture and than the beginning"
            )

    def _report(self, step: int) -> None:
        # A training run may change its loss, so the means are those of the newest terms.
        newest = self._since[-1]
        same = [values for values in self._since if values.keys() == newest.keys()]
        means = {name: sum(v[name] for v in same) / len(same) for name in newest}
        report = {"step": step, "epoch": int(step * self._epochs_a_step), **means}
        if "mse" in means:
            report["rmse"] = 255 * math.sqrt(means["mse"])
        self._since.clear()
        self.add(report)
