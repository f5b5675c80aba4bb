"""Claims: how trials of several processes avoid each other's points.

Optuna's storages provide no locks, but any process can read what another has written. A trial
therefore first writes a claim to its point and then checks all other trials. If none has that
point, the trial owns it: of two that claim one point, the one that checks last sees the other's
claim. If another trial has it, the claim is withdrawn and another point is chosen; the trial with
the lower number checks a few times more, as the other may be about to withdraw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from optuna.study import Study
from optuna.trial import FrozenTrial

from dsice.optuna.trials import CLAIM

LOOKS: Final = 5
"""How often a trial checks a claim of its own that a trial with a higher number has made, too."""


def all_trials(study: Study) -> list[FrozenTrial]:
    """All trials of a study, as its storage has them now."""
    # Not from the study, as some pruners show samplers only a part of it.
    trials: list[FrozenTrial] = study._storage.get_all_trials(study._study_id, deepcopy=False)
    return trials


def claim(study: Study, trial: FrozenTrial, params: Mapping[str, Any]) -> None:
    """Write the values that a trial has chosen, in place of those that it claimed before."""
    study._storage.set_trial_system_attr(trial._trial_id, CLAIM, dict(params))


def claimed(study: Study, trial: FrozenTrial) -> dict[str, Any]:
    """The values that a trial has claimed."""
    return dict(study._storage.get_trial(trial._trial_id).system_attrs.get(CLAIM, {}))


def is_kept(number: int, holders: Callable[[], Sequence[int]]) -> bool:
    """Whether the trial with this number may keep the point that it has claimed.

    Args:
        number: of the trial.
        holders: asks for the numbers of the other trials that have the point now.
    """
    for _ in range(LOOKS):
        others = holders()
        if not others:
            return True
        if min(others) < number:
            break
    return False
