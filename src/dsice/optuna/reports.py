"""Which reports of trials are compared, and from when on trials are judged by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from dsice.optuna.trials import DONE
from dsice.search.curves import rungs_of
from dsice.search.stopping import KNOWN, SOONEST


@dataclass(frozen=True)
class Reports:
    """How reports of trials are used.

    Attributes:
        end_below: a trial ends when its chance of becoming the best is smaller.
        given: the steps at which a whole trial reports, as the program names them; None: those at
            which complete trials did.
    """

    end_below: float
    given: tuple[int, ...] | None = None

    def steps(self, trials: Sequence[FrozenTrial]) -> tuple[int, ...] | None:
        """How many steps are done at each report of a whole trial; None if that is not known yet.

        Args:
            trials: all those of the study.
        """
        complete = (t for t in trials if t.state == TrialState.COMPLETE)
        found = self.given or sorted({step for t in complete for step in t.intermediate_values})
        return tuple(step + DONE for step in found) or None

    def rung(self, trials: Sequence[FrozenTrial], trial: FrozenTrial) -> int | None:
        """Where on its way a trial is judged now: the steps done at the last rung it has reached.

        None if it cannot end there, or if too little is known for any trial to end.
        """
        steps = self.steps(trials)
        known = sum(t.state == TrialState.COMPLETE and bool(t.intermediate_values) for t in trials)
        if steps is None or known < KNOWN or not self.end_below:
            return None
        done = max(trial.intermediate_values, default=-1) + DONE
        rung = max((rung for rung in rungs_of(steps) if rung <= done), default=0)
        return int(rung) if SOONEST <= rung / steps[-1] < 1 else None
