"""Watching a training: reports of its progress, its curves, and the end of one that runs away."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from superres.errors import Diverged

Report = dict[str, float]
"""Means since the last report: `step`, `epoch`, `loss`, its terms, `rmse`; or `val_...` metrics."""

Progress = Callable[[Report], None]
"""Gets the reports."""

EXPLODED = 0.25
"""A pixel MSE beyond this is worse than a grey picture can be. A training that gets there, and to
twice what it started with, has run away."""

_REPORTS = 50


class Monitor:
    """Reports means now and then, and stops a training that has run away.

    Args:
        steps: of the whole training.
        epochs_a_step: what one step adds to the number of epochs.
        progress: gets the reports.
        every: steps between two looks at the values: to look at them means to wait for a GPU.
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
        self._unseen: list[tuple[int, dict[str, Tensor]]] = []
        self._since: list[dict[str, float]] = []
        self._losses: deque[float] = deque(maxlen=max(1, steps // 10))

    @property
    def final_loss(self) -> float:
        """Mean loss over the last tenth of the steps."""
        return sum(self._losses) / len(self._losses)

    def watch(self, step: int, terms: dict[str, Tensor]) -> None:
        """Take note of the terms of a step.

        Raises:
            Diverged: the training ran away, at most `every` steps ago.
        """
        self._unseen.append((step, terms))
        reporting = step % self._report_every == 0 or step == self._steps
        if reporting or step % self._look_every == 0:
            self.look()
        if reporting:
            self._report(step)

    def look(self) -> None:
        """Look at all terms that have been noted.

        Raises:
            Diverged: the training ran away.
        """
        for step, terms in self._unseen:
            values = torch.stack(list(terms.values())).tolist()
            self._judge(step, dict(zip(terms, values, strict=True)))
        self._unseen.clear()

    def add(self, report: Report) -> None:
        """Add a report from elsewhere, such as that of a validation."""
        self.reports.append(report)
        self._progress(report)

    def state(self) -> dict[str, Any]:
        """What to keep so that `restore` continues as if nothing had happened."""
        self.look()
        return {
            "limit": self._limit,
            "since": list(self._since),
            "losses": list(self._losses),
            "reports": list(self.reports),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken."""
        self._limit = state["limit"]
        self._since = list(state["since"])
        self._losses.extend(state["losses"])
        self.reports = list(state["reports"])

    def _judge(self, step: int, values: dict[str, float]) -> None:
        if not all(math.isfinite(value) for value in values.values()):
            raise Diverged(f"diverged at step {step}: the loss is not finite")
        if "mse" in values:
            if self._limit is None:
                self._limit = max(EXPLODED, 2 * values["mse"])
            if values["mse"] > self._limit:
                raise Diverged(
                    f"diverged at step {step}: pixel MSE {values['mse']:.3g}, "
                    "worse than a grey picture"
                )
        if "loss" in values:
            self._losses.append(values["loss"])
        self._since.append(values)

    def _report(self, step: int) -> None:
        # A training may change what it minimises: the means are those of the newest terms.
        newest = self._since[-1]
        same = [values for values in self._since if values.keys() == newest.keys()]
        means = {name: sum(v[name] for v in same) / len(same) for name in newest}
        report = {"step": step, "epoch": int(step * self._epochs_a_step), **means}
        if "mse" in means:
            report["rmse"] = 255 * math.sqrt(means["mse"])
        self._since.clear()
        self.add(report)
