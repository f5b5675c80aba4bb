"""Bayesian optimisation put together from BoTorch's parts, as its tutorials do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.objective import GenericMCObjective
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.model import Model
from botorch.models.transforms import Standardize
from botorch.optim import optimize_acqf_discrete
from gpytorch.mlls import ExactMarginalLogLikelihood
from scipy.stats.qmc import Sobol
from torch import Tensor

from benchmarks.compare.peers.base import Escape, Peer, Penalty, Task
from dsice.goal import Metrics
from dsice.grid import Point

RANDOM_CANDIDATES: Final = 512
CENTRES: Final = 5
"""Best points whose neighbours are candidates too."""


class BoTorch(Peer):
    """A Gaussian process of each metric, refitted after every result, and noisy log EI.

    The first 2 d + 2 points, or as many as there are workers, are Sobol points; later ones are the
    best of many random points and of those in line with the best known. Pending points count as
    such. An unordered axis is encoded by one column a level. A bound is a second output with an
    outcome constraint; a failure counts as the worst cost so far.
    """

    def __init__(self, task: Task) -> None:
        torch.manual_seed(task.seed)
        torch.set_num_threads(1)
        self._task = task
        self._random = np.random.default_rng(task.seed)
        axes = task.grid.axes
        self._first = max(2 * len(axes) + 2, task.workers)
        self._sobol = Sobol(len(axes), seed=task.seed)
        self._penalty = Penalty(task.goal)
        self._results: dict[Point, list[float]] = {}
        self._pending: list[Point] = []
        self._acquisition_model: Model | None = None
        self._escape = Escape(task.grid, task.seed, patience=1)

    def ask(self) -> Point | None:
        point = self._escape.due() or self._propose()
        self._escape.note(point)
        self._pending.append(point)
        return point

    def tell(self, point: Point, metrics: Metrics | None) -> None:
        if point in self._pending:
            self._pending.remove(point)
        bounds = self._task.goal.bounds
        if metrics is None:
            # A bound's metric is not known of a failure: as far outside as it is wide.
            values = [self._penalty.cost(None), *(abs(bound.limit or 0.0) for bound in bounds)]
        else:
            self._penalty.cost(metrics)
            cost = self._task.goal.cost(metrics)
            values = [cost, *(metrics[b.metric] - (b.limit or 0.0) for b in bounds)]
        self._results[point] = values
        self._acquisition_model = None

    def _propose(self) -> Point:
        if self._first > 0 or len(self._results) < 2:
            self._first -= 1
            unit = self._sobol.random(1)[0]
            return tuple(
                min(int(u * n), n - 1) for u, n in zip(unit, self._task.grid.shape, strict=True)
            )
        known = self._encoded(list(self._results))
        if self._acquisition_model is None:
            self._acquisition_model = self._fitted(known)
        acquisition = qLogNoisyExpectedImprovement(
            self._acquisition_model,
            X_baseline=known,
            X_pending=self._encoded(self._pending) if self._pending else None,
            objective=GenericMCObjective(lambda outputs, X=None: -outputs[..., 0]),
            constraints=[lambda outputs, k=k: outputs[..., k] for k in self._bounded] or None,
            sampler=None,
            prune_baseline=True,
        )
        candidates = self._candidates()
        if not candidates:
            return next(iter(self._results))  # a repeat: a random new point will follow
        best, _ = optimize_acqf_discrete(
            acquisition, q=1, choices=self._encoded(candidates), max_batch_size=256
        )
        found = (self._encoded(candidates) - best[0]).abs().sum(-1).argmin()
        return candidates[int(found)]

    def _candidates(self) -> list[Point]:
        """Random new points, and all new ones beside the best known."""
        shape = self._task.grid.shape
        found = {
            tuple(int(self._random.integers(n)) for n in shape) for _ in range(RANDOM_CANDIDATES)
        }
        by_cost = sorted(self._results, key=lambda point: self._results[point][0])
        for point in by_cost[:CENTRES]:
            for axis, n in enumerate(shape):
                found |= {(*point[:axis], level, *point[axis + 1 :]) for level in range(n)}
        taken = {*self._results, *self._pending}
        return sorted(p for p in found - taken if self._task.grid.allows(p))

    @property
    def _bounded(self) -> range:
        return range(1, 1 + len(self._task.goal.bounds))

    def _encoded(self, points: Sequence[Point]) -> Tensor:
        """Ordered axes scaled to [0, 1], each level of an unordered one a column of its own."""
        levels = torch.tensor(points)
        columns = []
        for k, axis in enumerate(self._task.grid.axes):
            n = len(axis.levels)
            if axis.ordered:
                columns.append(levels[:, k : k + 1].double() / max(n - 1, 1))
            else:
                columns.append(torch.nn.functional.one_hot(levels[:, k], n).double())
        return torch.cat(columns, dim=1)

    def _fitted(self, known: Tensor) -> Model:
        models = []
        for column in torch.tensor(list(self._results.values()), dtype=torch.double).T:
            y = column[:, None]
            model = SingleTaskGP(known, y, outcome_transform=Standardize(m=1))
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            models.append(model)
        return models[0] if len(models) == 1 else ModelListGP(*models)
