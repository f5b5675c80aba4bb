"""Bayesian optimisation put together from BoTorch's parts, as its tutorials do."""

from __future__ import annotations

from typing import Final

import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.objective import GenericMCObjective
from botorch.fit import fit_gpytorch_mll
from botorch.models import MixedSingleTaskGP, ModelListGP, SingleTaskGP
from botorch.models.model import Model
from botorch.models.transforms import Standardize
from botorch.optim import optimize_acqf_discrete_local_search
from gpytorch.mlls import ExactMarginalLogLikelihood
from scipy.stats.qmc import Sobol
from torch import Tensor

from benchmarks.compare.peers.base import Escape, Peer, Penalty, Task
from dsice.goal import Metrics
from dsice.grid import Point

RESTARTS: Final = 4
RAW: Final = 64


class BoTorch(Peer):
    """A Gaussian process of each metric, refitted after every result, and noisy log EI.

    The first 2 d + 2 points, or as many as there are workers, are Sobol points. Pending points
    count as such. An unordered axis is a categorical dimension. A bound is a second output with an
    outcome constraint; a failure counts as the worst cost so far.
    """

    def __init__(self, task: Task) -> None:
        torch.manual_seed(task.seed)
        torch.set_num_threads(1)
        self._task = task
        axes = task.grid.axes
        self._categorical = [k for k, axis in enumerate(axes) if not axis.ordered]
        self._scale = torch.tensor(
            [max(len(a.levels) - 1, 1) if a.ordered else 1 for a in axes], dtype=torch.double
        )
        self._choices = [
            torch.arange(len(axis.levels), dtype=torch.double) / scale
            for axis, scale in zip(axes, self._scale, strict=True)
        ]
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
        known = self._scaled(list(self._results))
        if self._acquisition_model is None:
            self._acquisition_model = self._fitted(known)
        acquisition = qLogNoisyExpectedImprovement(
            self._acquisition_model,
            X_baseline=known,
            X_pending=self._scaled(self._pending) if self._pending else None,
            objective=GenericMCObjective(lambda outputs, X=None: -outputs[..., 0]),
            constraints=[lambda outputs, k=k: outputs[..., k] for k in self._bounded] or None,
            sampler=None,
            prune_baseline=True,
        )
        best, _ = optimize_acqf_discrete_local_search(
            acquisition,
            discrete_choices=self._choices,
            q=1,
            num_restarts=RESTARTS,
            raw_samples=RAW,
            X_avoid=self._scaled([*self._results, *self._pending]),
        )
        return tuple(round(value) for value in (best[0] * self._scale).tolist())

    @property
    def _bounded(self) -> range:
        return range(1, 1 + len(self._task.goal.bounds))

    def _scaled(self, points: list[Point]) -> Tensor:
        return torch.tensor(points, dtype=torch.double) / self._scale

    def _fitted(self, known: Tensor) -> Model:
        models = []
        for column in torch.tensor(list(self._results.values()), dtype=torch.double).T:
            y = column[:, None]
            if self._categorical:
                model = MixedSingleTaskGP(
                    known, y, cat_dims=self._categorical, outcome_transform=Standardize(m=1)
                )
            else:
                model = SingleTaskGP(known, y, outcome_transform=Standardize(m=1))
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            models.append(model)
        return models[0] if len(models) == 1 else ModelListGP(*models)
