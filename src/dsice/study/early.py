"""Stopping trials early: reading what they report, and ending those that lead nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dsice.study.events import EndAsked, Event, Reported
from dsice.study.facts import Trial
from dsice.study.progress import Listener, full_length
from dsice.study.proposals import Proposals
from dsice.study.state import Study


class Early:
    """Tells the search what running trials report, and asks it which of them should end.

    Args:
        study: its state, which ``record`` updates.
        proposals: has the search.
        record: writes an event to the journal and applies it to the study.
    """

    def __init__(self, study: Study, proposals: Proposals, record: Callable[[Event], None]) -> None:
        self._study = study
        self._proposals = proposals
        self._record = record
        self._wanted = study.config.trial.progress.full is not None
        self._listener: Listener | None = None

    def listen(self, running: Iterable[Trial]) -> bool:
        """Record new reports of ``running`` trials; returns whether there are any."""
        search = self._proposals.search
        if search is None or not self._wanted:
            return False
        if self._listener is None:
            self._listener = Listener(self._study.config, self._proposals.goal)
        heard = False
        for trial in running:
            for report in self._listener.news(trial):
                heard = True
                self._record(
                    Reported(
                        trial=trial.number,
                        step=report.step,
                        share=report.share,
                        metrics=dict(report.metrics),
                    )
                )
                search.report(trial.point, report.share, report.metrics)
        return heard

    def ended(self, running: Iterable[Trial]) -> list[Trial]:
        """The trials whose jobs are to be cancelled now, after recording that for each."""
        search, proposals = self._proposals.search, self._proposals
        if search is None:
            return []
        trials = {trial.point: trial for trial in running}
        found = []
        for point in proposals.computed(search.ending) or []:
            trial = trials.get(point)
            if trial and trial.attempts[-1].ending is None and not trial.is_given:
                self._ask(trial, search.chance(point))
                found.append(trial)
        return found

    def _ask(self, trial: Trial, chance: float | None) -> None:
        report, best = trial.reports[-1], self._study.best_or_none
        self._record(
            EndAsked(
                trial=trial.number,
                attempt=len(trial.attempts),
                step=report.step,
                full=full_length(self._study.config, trial.params) or report.step,
                chance=chance,
                rival=None if best is None else best.number,
            )
        )
