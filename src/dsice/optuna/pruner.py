"""The pruner: which trials end early, judged by the search from all trials of the study.

Each answer is computed by a search of its own, made anew from what the storage says at that
moment: it depends on the trials alone, not on which process asks or what it has seen before. As
that takes a fit of the model, a trial is judged once at each rung (`dsice.search.curves`). The
answer is written into its attributes, so that to ask again gives the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, Protocol, runtime_checkable

from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial

from dsice.errors import InvalidInput
from dsice.optuna.record import Record
from dsice.optuna.reports import Reports
from dsice.search.base import END_BELOW

JUDGED: Final = "dsice:judged"
"""Attribute of a trial: how it was judged last (steps done, whether it should end, its chance)."""


@runtime_checkable
class Recorder(Protocol):
    """A sampler that can tell a search what a study's trials say."""

    def _record_anew(
        self, study: Study, trials: Sequence[FrozenTrial], reports: Reports
    ) -> Record | None:
        """A record that knows nothing but these trials; None while no parameters are known."""


class DsicePruner(BasePruner):  # type: ignore[misc]  # Optuna is not read by the type checker
    """Ends the trials that will hardly become the best, as foreseen by the search ``dsice``.

    ``optuna.create_study(sampler=DsiceSampler(), pruner=DsicePruner())``. What a value on the way
    tells of the last one is learned from the trials that ran to their end, of which three must
    have reported before any trial is pruned. Nothing is pruned in the first ninth of its length,
    and one trial in ten always runs to its end, unless it comes to NaN. Pruned trials inform the
    search by what they reported: they count neither as results nor as failures.

    Each answer depends on nothing but the trials in the study's storage. With ``n_jobs`` or
    several processes every sampler and pruner should be made with the same arguments.

    Args:
        end_below: a trial is pruned when its probability of becoming the best feasible one is
            smaller, from 0 (never) to below 1.
        steps: at which a whole trial reports, the arguments of ``trial.report``: rising integers of
            0 or more. Trials are taken as equally long. None: as the complete trials have reported.

    Raises:
        InvalidInput: an argument that is not accepted; later also a sampler that is no
            `DsiceSampler`.
    """

    def __init__(self, *, end_below: float = END_BELOW, steps: Sequence[int] | None = None) -> None:
        is_number = isinstance(end_below, int | float) and not isinstance(end_below, bool)
        if not is_number or not 0 <= end_below < 1:
            raise InvalidInput(f"end_below = {end_below!r}: a number from 0 to below 1 is needed")
        self._reports = Reports(end_below, None if steps is None else _steps(steps))

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial should end now; what ``trial.should_prune()`` answers."""
        if not isinstance(study.sampler, Recorder):
            raise InvalidInput(
                "DsicePruner works with DsiceSampler only, and the study has "
                f"{type(study.sampler).__name__}: optuna.create_study(sampler=DsiceSampler(), "
                "pruner=DsicePruner())"
            )
        storage = study._storage
        # As they are now, not as when this trial began: the study keeps a copy for each thread.
        trials = storage.get_all_trials(study._study_id, deepcopy=False)
        rung = self._reports.rung(trials, trial)
        if rung is None:
            return False
        before: dict[str, Any] = trial.system_attrs.get(JUDGED, {})
        if before.get("done") == rung:
            return bool(before["ends"])
        ends, chance = True, None
        # As with Optuna's own pruners: a training run does not recover from NaN.
        if not math.isnan(trial.intermediate_values[max(trial.intermediate_values)]):
            record = study.sampler._record_anew(study, trials, self._reports)
            if record is None:
                return False
            ends, chance = record.judged(trial.number)
        answer = {"done": rung, "ends": ends, "chance": chance}
        storage.set_trial_system_attr(trial._trial_id, JUDGED, answer)
        return ends


def reports_of(study: Study) -> Reports | None:
    """How the trials of a study are pruned, if by a `DsicePruner`."""
    pruner = study.pruner
    return pruner._reports if isinstance(pruner, DsicePruner) else None


def _steps(steps: Sequence[int]) -> tuple[int, ...]:
    found = tuple(steps) if isinstance(steps, Sequence) else ()
    whole = all(isinstance(step, int) and not isinstance(step, bool) for step in found)
    if not found or not whole or found[0] < 0 or any(a >= b for a, b in pairwise(found)):
        raise InvalidInput(
            f"steps = {steps!r}: rising integers of 0 or more are needed, as trial.report gets"
        )
    return found
