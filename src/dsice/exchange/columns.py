"""How the values of a study are named in a table, so that a reader finds them again.

Parameters and metrics keep their names. What else is known of a trial, its `FACTS`, has a name that
neither has: ``seconds``, or ``dsice_seconds`` where a metric has that name.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.grid import Value
from dsice.study.state import Status, Study, Trial

FACTS: Final = ("trial", "state", "reason", "feasible", "started", "ended", "seconds", "host")
_FACT: Final = "dsice_"
_METRIC: Final = "metric_"

Cell = Value | datetime | None


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column holds what.

    Attributes:
        params: column by parameter.
        metrics: column by metric.
        facts: column by fact; all of them in a table that was written here.
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
        metrics = {name: _METRIC + name if name in params else name for name in names}
        taken = {*params, *metrics.values()}
        facts = {fact: _FACT + fact if fact in taken else fact for fact in FACTS}
        return cls(params, metrics, facts)

    @classmethod
    def found(cls, columns: Sequence[str], params: Collection[str], goal: Goal) -> Columns:
        """Where things are in a table with these ``columns``, which anybody may have written."""
        facts = {}
        for fact in FACTS:
            if _FACT + fact in columns:
                facts[fact] = _FACT + fact
            elif fact in columns and fact not in params and fact not in goal.metrics:
                facts[fact] = fact
        metrics = {}
        for column in columns:
            if column not in params and column not in facts.values():
                name = column.removeprefix(_METRIC)
                metrics[name if name in params else column] = column
        return cls({name: name for name in params if name in columns}, metrics, facts)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, in the order of a table."""
        facts = list(self.facts.values())
        return (*facts[:1], *self.params.values(), *self.metrics.values(), *facts[1:])


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
    """Whether no bound waits for the result of a stage."""
    return all(bound.limit is not None for bound in goal.bounds)


def moment(time: float) -> datetime | None:
    """A Unix time in seconds as a date; None for 0, which says that there is none."""
    return datetime.fromtimestamp(time, UTC) if time else None


def needs(package: str, extra: str) -> InvalidInput:
    """What to say where an optional package is missing."""
    return InvalidInput(f"this needs {package}: pip install 'dsice[{extra}]'")
