"""What one trial of an Optuna study says: its values, constraints and reports.

Trials carry *claims*: the parameter values that their sampler has chosen, written before they are
used. A claim makes a trial's point known to every process as soon as it is proposed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from optuna.trial import FrozenTrial, TrialState

CLAIM: Final = "dsice:claim"  # attribute of a trial: the chosen values, by parameter
_FIXED: Final = "fixed_params"  # Optuna's attribute of enqueued trials
_CONSTRAINTS: Final = "constraints"  # Optuna's: a list, or since 5.0 one attribute for each
_LARGEST: Final = 1e100  # constraints may be infinite
DONE: Final = 1  # Optuna's steps count from 0: after the report at step 0, one is done


class Earlier(NamedTuple):
    """A study to learn from: its name and its finished trials."""

    name: str
    trials: Sequence[FrozenTrial]


def values_of(trial: FrozenTrial) -> dict[str, Any]:
    """The known parameter values of a trial: suggested, enqueued or claimed.

    A completed trial has the values that it suggested, whatever it had claimed. A trial that ended
    without asking for any has measured nothing.
    """
    if trial.state == TrialState.COMPLETE or (trial.state.is_finished() and not trial.params):
        return dict(trial.params)
    attrs = trial.system_attrs
    return {**attrs.get(CLAIM, {}), **attrs.get(_FIXED, {}), **trial.params}


def constraints_of(trial: FrozenTrial) -> dict[str, float]:
    """The values of a trial's constraints by name, feasible up to 0.

    Supports both ways of Optuna: the result of a constraints function, and ``set_constraint``.
    """
    listed = trial.system_attrs.get(_CONSTRAINTS) or ()
    found = {str(k): float(value) for k, value in enumerate(listed)}
    for key, value in trial.system_attrs.items():
        if key.startswith(f"{_CONSTRAINTS}:"):
            found[key.removeprefix(f"{_CONSTRAINTS}:")] = float(value)
    return {name: min(max(value, -_LARGEST), _LARGEST) for name, value in found.items()}


def reported(trial: FrozenTrial) -> Iterator[tuple[int, float]]:
    """The reports of a trial in their order: steps done, and the value, NaN if it is not finite."""
    for step, value in sorted(trial.intermediate_values.items()):
        yield step + DONE, value if math.isfinite(value) else math.nan
