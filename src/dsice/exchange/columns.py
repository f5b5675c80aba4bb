"""Column names of a study's values in a table, such that a reader finds them again.

Parameters and metrics keep their names. What else is known of a trial, its `FACTS`, has a name that
neither has: ``seconds``, or ``dsice_seconds`` where a metric has that name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.grid import Value
from dsice.study.facts import Trial
from dsice.study.state import Study
from dsice.study.task import Status

FACTS: Final = ("trial", "state", "reason", "feasible", "started", "ended", "seconds", "host")
_FACT: Final = "dsice_"
_METRIC: Final = "metric_"

# Optuna's dataframes, MLflow, Ray Tune, scikit-learn, and nested JSON, flattened.
_PARAM_PREFIXES: Final = (
    *("params_", "params.", "params/", "param_"),
    *("config.", "config/", "parameters.", "hparams.", "hparams/"),
)
_METRIC_PREFIXES: Final = (
    *("user_attrs_", "values_", "metrics.", "metrics/", "metrics_"),
    *("summary.", "summary/", "result.", "results.", "measurements."),
)

Cell = Value | datetime | None


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column holds what.

    Attributes:
        params: column by parameter.
        metrics: column by metric.
        facts: column by fact, for all of `FACTS`.
    """

    params: dict[str, str]
    metrics: dict[str, str]
    facts: dict[str, str]

    @classmethod
    def of(cls, study: Study) -> Columns:
        """The columns for a study, metrics of the goal before others."""
        params = {name: name for name in study.config.grid.names}
        seen = sorted({name for trial in study.trials for name in trial.metrics})
        names = dict.fromkeys([*study.goal.metrics, *seen])
        metrics = {name: metric_column(name, params) for name in names}
        taken = {*params, *metrics.values()}
        facts = {fact: _FACT + fact if fact in taken else fact for fact in FACTS}
        return cls(params, metrics, facts)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, in the order of a table."""
        facts = list(self.facts.values())
        return (*facts[:1], *self.params.values(), *self.metrics.values(), *facts[1:])


def found_facts(columns: Collection[str], params: Collection[str], goal: Goal) -> dict[str, str]:
    """The columns that hold facts, in a table of any origin."""
    facts = {}
    for fact in FACTS:
        if _FACT + fact in columns:
            facts[fact] = _FACT + fact
        elif fact in columns and fact not in params and fact not in goal.metrics:
            facts[fact] = fact
    return facts


def found_params(columns: Collection[str], params: Collection[str]) -> dict[str, str]:
    """The columns that hold parameters: by their names, or with a prefix of other programs."""
    prefixed = {
        name: [column for prefix in ("", *_PARAM_PREFIXES) if (column := prefix + name) in columns]
        for name in params
    }
    return {name: found[0] for name, found in prefixed.items() if found}


def found_metrics(columns: Sequence[str], params: Collection[str]) -> dict[str, str]:
    """The columns that hold metrics, by metric, if all ``columns`` do."""
    metrics: dict[str, str] = {}
    for column in columns:
        metrics.setdefault(_metric(column, columns, params), column)
    return metrics


def dialect_params(columns: Sequence[str], found: Mapping[str, str]) -> frozenset[str] | None:
    """The columns that are parameters by their prefixes; None if there are none.

    ``param_count`` may be anything, and is a parameter only if others are called so.

    Args:
        columns: of a table.
        found: column by parameter of the study.
    """
    used = {prefix for column in found.values() if (prefix := _prefix(column, _PARAM_PREFIXES))}
    used |= {p for p in _PARAM_PREFIXES if p[-1] != "_" and any(_has(p, c) for c in columns)}
    if not used:
        return None
    return frozenset({*found.values(), *(c for c in columns if any(_has(p, c) for p in used))})


def has_param_prefix(column: str) -> bool:
    """Whether a column has a prefix by which other programs mark parameters."""
    return bool(_prefix(column, _PARAM_PREFIXES))


def _metric(column: str, columns: Collection[str], params: Collection[str]) -> str:
    """The name of the metric in ``column``."""
    bare = column.removeprefix(_METRIC)
    if bare != column and bare in params:
        return bare
    bare = column.removeprefix(_prefix(column, _METRIC_PREFIXES))
    return column if bare in columns or bare in params or bare.isdecimal() else bare


def _prefix(column: str, prefixes: Sequence[str]) -> str:
    return next((prefix for prefix in prefixes if _has(prefix, column)), "")


def _has(prefix: str, column: str) -> bool:
    return column.startswith(prefix) and len(column) > len(prefix)


def metric_column(name: str, params: Collection[str]) -> str:
    """The column of a metric beside those of ``params``."""
    return _METRIC + name if name in params else name


def cells(study: Study, columns: Columns, trial: Trial) -> dict[str, Cell]:
    """The values of one trial by column; None where there is none."""
    found: dict[str, Cell] = dict.fromkeys(columns.names)
    found |= {columns.params[name]: value for name, value in trial.params.items()}
    found |= {columns.metrics[name]: value for name, value in trial.metrics.items()}
    found |= {columns.facts[fact]: value for fact, value in facts(study, trial).items()}
    return found


def facts(study: Study, trial: Trial) -> dict[str, Cell]:
    """What is known of a trial besides parameters and metrics: a value for each of `FACTS`."""
    goal = study.goal
    last = trial.attempts[-1] if trial.attempts else None
    feasible = None
    if trial.status is Status.DONE and goal.missing(trial.metrics) is None and is_settled(goal):
        feasible = goal.feasible(trial.metrics)
    return {
        "trial": trial.number,
        "state": trial.status.value,
        "reason": trial.reason or None,
        "feasible": feasible,
        "started": moment(last.started) if last is not None else None,
        "ended": moment(last.ended) if last is not None else None,
        "seconds": trial.seconds if last is not None and last.ended else None,
        "host": (last.host or None) if last is not None else None,
    }


def is_settled(goal: Goal) -> bool:
    """Whether all bounds have limits: none waits for the result of a stage."""
    return all(bound.limit is not None for bound in goal.bounds)


def moment(time: float) -> datetime | None:
    """A Unix time in seconds as a date; None for 0, which says that there is none."""
    return datetime.fromtimestamp(time, UTC) if time else None


def needs(package: str, extra: str) -> InvalidInput:
    """The message for a missing optional package."""
    return InvalidInput(f"this needs {package}: pip install 'dsice[{extra}]'")
