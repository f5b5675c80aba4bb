"""What a session does about outages: it voids their failures, begins nothing more, and ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dsice.errors import GaveUp
from dsice.study import advice
from dsice.study.events import Event, Voided
from dsice.study.outage import Job, Outage, Watch
from dsice.study.state import Study


class Guard:
    """Guards a session against outages.

    Failures of an earlier session say nothing about the present state of the machine.

    Args:
        study: its state, which ``record`` updates.
        watch: finds outages.
        record: writes an event to the journal and applies it to the study.
        renew: makes the search forget the failures that were voided.
    """

    def __init__(
        self,
        study: Study,
        watch: Watch,
        record: Callable[[Event], None],
        renew: Callable[[], None],
    ) -> None:
        self._study = study
        self._watch = watch
        self._record = record
        self._renew = renew
        self._outage: Outage | None = None  # that ends this session

    @property
    def trouble(self) -> str:
        """What is wrong, as a sentence without a subject; empty if nothing is."""
        outage = self._outage
        return "" if outage is None else f"begins no more trials: {advice.summary(outage)}"

    def holds_back(self, now: float) -> bool:
        """Whether to begin nothing new, because failures in a row point to the machine.

        Once this is certain, they are void, and the session ends when nothing runs any more.
        """
        if self._outage is not None:
            self._void(self._watch.further(self._outage), self._outage)
            return True
        found = self._watch.look(now)
        if found is None or not found.sure:
            return found is not None
        self._void(found.jobs, found)
        if any(job.own for job in found.jobs):
            self._outage = found
        else:
            self._renew()
        return self._outage is not None

    def _void(self, jobs: Sequence[Job], outage: Outage) -> None:
        if jobs:
            attempts = [(job.trial.number, job.attempt.number) for job in jobs]
            self._record(Voided(attempts=attempts, why=advice.summary(outage), host=outage.host))

    def raise_if_failing(self) -> None:
        """End a session in which nothing runs any more, if failures point to the machine.

        Raises:
            GaveUp: they do.
        """
        if self._outage is None and (outage := self._watch.at_end()) is not None:
            self._void(outage.jobs, outage)
            self._outage = outage
        if self._outage is not None:
            raise GaveUp(advice.gave_up(self._study, self._outage))
