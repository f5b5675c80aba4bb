"""A small problem for studies of Optuna."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

import dsice

SPACE: dict[str, BaseDistribution] = {
    "tile": IntDistribution(8, 64, step=8),
    "rate": FloatDistribution(0.1, 0.9, step=0.1),
    "layout": CategoricalDistribution(["aos", "soa", "mixed"]),
}
Value = Callable[[dict[str, Any]], float]


def value(params: dict[str, Any]) -> float:
    penalty = {"aos": 0.0, "soa": 0.3, "mixed": 0.1}[params["layout"]]
    return float((params["tile"] / 64 - 0.4) ** 2 + (params["rate"] - 0.3) ** 2 + penalty)


def suggested(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "tile": trial.suggest_int("tile", 8, 64, step=8),
        "rate": trial.suggest_float("rate", 0.1, 0.9, step=0.1),
        "layout": trial.suggest_categorical("layout", ["aos", "soa", "mixed"]),
    }


def objective(trial: optuna.Trial) -> float:
    return value(suggested(trial))


def points(study: optuna.Study) -> list[tuple[Any, ...]]:
    return [tuple(trial.params[name] for name in sorted(trial.params)) for trial in study.trials]


def grid() -> dsice.Grid:
    return dsice.Grid(
        [
            dsice.Axis.integers("tile", 8, 64, 8),
            dsice.Axis.linear("rate", 0.1, 0.9, step=0.1),
            dsice.Axis.choice("layout", ["aos", "soa", "mixed"]),
        ]
    )


def by_hand(goal: dsice.Goal, result: Callable[[dict[str, Any]], Any], trials: int) -> list[Any]:
    """The params that the search proposes when it is told ``result`` of each."""
    search = dsice.make_search("dsice", grid(), goal, seed=3)
    proposed = []
    for _ in range(trials):
        (point,) = search.ask()
        params = search.grid.params(point)
        proposed.append(params)
        search.tell(point, result(params))
    return proposed


def small(trial: optuna.Trial) -> float:
    return float(trial.suggest_int("x", 0, 3))
