"""Tuning problems whose every answer is known: tables of measurements, and formulas.

A directory of ``.npz`` tables (fields in `from_file`) is read by `load`; `synthetic` makes problems
of our own for machines that have no tables.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dsice.goal import Goal, Metrics
from dsice.grid import Axis, Grid, Point

Array = NDArray[np.float64]
Formula = Callable[[Array], Array]

GROUPS: Final = ("autotune", "hpo", "synthetic")
_SAMPLE: Final = 200_000


@dataclass(frozen=True, eq=False)
class Problem:
    """A grid and what a measurement would give at each of its points; smaller is better.

    Attributes:
        name: unique among the problems.
        group: one of `GROUPS`.
        ordered: for each axis, whether its levels have an order.
        costs: the cost of every point, NaN where the program fails; or a formula that maps level
            indices of shape (points, axes) to costs.
        allowed: which points a static rule lets through; None if all.
        second: a second metric of every point, with ``limit`` as its upper bound; None if there is
            no constraint.
    """

    name: str
    group: str
    shape: Point
    ordered: tuple[bool, ...]
    costs: Array | Formula
    allowed: NDArray[np.bool_] | None = None
    second: Array | None = None
    limit: float = math.inf

    @cached_property
    def grid(self) -> Grid:
        """The axes ``x0, x1, ...``, whose levels are their own indices."""
        axes = [
            Axis(f"x{k}", range(n), ordered=ordered)
            for k, (n, ordered) in enumerate(zip(self.shape, self.ordered, strict=True))
        ]
        return Grid(axes, None if self.allowed is None else self._allows)

    def _allows(self, params: Mapping[str, Any]) -> bool:
        assert self.allowed is not None
        return bool(self.allowed[tuple(params.values())])

    @property
    def constrained(self) -> bool:
        return self.second is not None

    @property
    def goal(self) -> Goal:
        bounds = [f"second <= {self.limit!r}"] if self.constrained else []
        return Goal(minimize="cost", subject_to=bounds)

    def measure(self, point: Point) -> Metrics | None:
        """The metrics at an allowed point, None if the program fails there."""
        if callable(self.costs):
            cost = float(self.costs(np.array([point], dtype=float))[0])
        else:
            cost = float(self.costs[point])
        if math.isnan(cost):
            return None
        if self.second is None:
            return {"cost": cost}
        return {"cost": cost, "second": float(self.second[point])}

    def score(self, metrics: Metrics | None) -> float:
        """The cost of a feasible measurement, infinity otherwise."""
        if metrics is None or not self.goal.feasible(metrics):
            return math.inf
        return metrics["cost"]

    @cached_property
    def _ranking(self) -> tuple[Array, int]:
        """Costs of the feasible points in ascending order, and how many points are allowed.

        Of a formula, those of a large random sample.
        """
        if callable(self.costs):
            random = np.random.default_rng(0)
            sample = np.stack([random.integers(0, n, _SAMPLE) for n in self.shape], axis=1)
            return np.sort(self.costs(sample.astype(float))), 0
        allowed = np.ones(self.shape, bool) if self.allowed is None else self.allowed
        good = allowed & np.isfinite(self.costs)
        if self.second is not None:
            good &= self.second <= self.limit
        return np.sort(self.costs[good].astype(float)), int(allowed.sum())

    @cached_property
    def optimum(self) -> float:
        """The least cost of a feasible point (formulas here have 0)."""
        return 0.0 if callable(self.costs) else float(self._ranking[0][0])

    @cached_property
    def worst(self) -> float:
        """The largest cost of a feasible point: what counts as best before anything succeeded."""
        return float(self._ranking[0][-1])

    def random_search(self, budget: int) -> Array:
        """Expected best cost after 1, 2, ... ``budget`` random points without repeats."""
        costs, size = self._ranking
        steps = np.diff(costs, append=costs[-1])
        rank = np.arange(1, len(costs) + 1)
        above = np.ones(len(costs))  # probability that all draws so far rank above each of them
        expected = []
        for drawn in range(min(budget, size or budget)):
            left = size - drawn if size else len(costs)
            above = above * np.maximum(left - rank, 0) / left
            expected.append(costs[0] + float(above @ steps))
        expected += [costs[0]] * (budget - len(expected))
        return np.asarray(expected)

    @cached_property
    def digest(self) -> str:
        """Short and different for problems that differ."""
        text = hashlib.blake2b(repr((self.shape, self.ordered, self.limit)).encode(), digest_size=8)
        random = np.random.default_rng(0)
        sample = np.stack([random.integers(0, n, 1000) for n in self.shape], axis=1)
        for part in (self.costs, self.allowed, self.second):
            if part is not None:
                values = part(sample.astype(float)) if callable(part) else part
                text.update(np.ascontiguousarray(values).tobytes())
        return text.hexdigest()

    def without_bound(self) -> Problem:
        """The same problem with the second metric left out."""
        return replace(self, second=None, limit=math.inf)


def load(directory: Path) -> list[Problem]:
    """All problems of a directory of ``.npz`` tables; those with a bound come with and without it.

    A bounded problem has ``+bound`` after its name.
    """
    problems = []
    for path in sorted(directory.glob("*.npz")):
        problem = from_file(path)
        problems.append(problem.without_bound())
        if problem.constrained:
            problems.append(replace(problem, name=f"{problem.name}+bound"))
    return problems


def from_file(path: Path) -> Problem:
    """Read one table.

    Fields: ``name``, ``group``, ``kind`` (``table`` or ``func``), ``names``, ``types`` (``ord`` or
    ``cat``), ``levels_<k>``; for a table ``table`` (NaN: failed), optionally ``allowed``,
    ``metric2`` with ``metric2_limit``; for a function ``fn``, the matrix ``R``, the optimum's
    indices ``iopt`` and the step ``h``.
    """
    data = np.load(path, allow_pickle=False)
    ordered = tuple(str(kind) == "ord" for kind in data["types"])
    name, group = str(data["name"]), str(data["group"])
    shape = tuple(len(data[f"levels_{k}"]) for k in range(len(ordered)))
    if str(data["kind"]) == "func":
        turn, optimum, step = data["R"], data["iopt"], float(data["h"])
        form = FORMULAS[str(data["fn"])]
        costs: Array | Formula = lambda x: form((x - optimum) * step @ turn.T)  # noqa: E731
        return Problem(name, group, shape, ordered, costs)
    return Problem(
        name,
        group,
        shape,
        ordered,
        data["table"].astype(float),
        data["allowed"].astype(bool) if "allowed" in data else None,
        data["metric2"].astype(float) if "metric2" in data else None,
        float(data["metric2_limit"]) if "metric2_limit" in data else math.inf,
    )


def _sphere(z: Array) -> Array:
    return np.asarray((z**2).sum(-1))


def _ellipsoid(z: Array) -> Array:
    axes = z.shape[-1]
    return np.asarray((10.0 ** (3 * np.arange(axes) / (axes - 1)) * z**2).sum(-1))


def _rastrigin(z: Array) -> Array:
    return np.asarray(10 * (z.shape[-1] - np.cos(2 * np.pi * z).sum(-1)) + (z**2).sum(-1))


def _rosenbrock(z: Array) -> Array:
    y = z * max(1, math.sqrt(z.shape[-1]) / 8) + 1
    u, v = y[..., :-1], y[..., 1:]
    return np.asarray((100 * (u**2 - v) ** 2 + (u - 1) ** 2).sum(-1))


def _schaffer(z: Array) -> Array:
    s = np.sqrt(z[..., :-1] ** 2 + z[..., 1:] ** 2)
    return np.asarray((np.sqrt(s) * (1 + np.sin(50 * s**0.2) ** 2)).mean(-1) ** 2)


def _different_powers(z: Array) -> Array:
    axes = z.shape[-1]
    return np.asarray(np.sqrt((np.abs(z) ** (2 + 4 * np.arange(axes) / (axes - 1))).sum(-1)))


FORMULAS: Final[Mapping[str, Formula]] = {
    "sphere": _sphere,
    "ellipsoid": _ellipsoid,
    "rastrigin": _rastrigin,
    "rosenbrock": _rosenbrock,
    "schaffer": _schaffer,
    "diffpow": _different_powers,
}
