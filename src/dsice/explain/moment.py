"""The search in its state at an earlier moment of a study: a replay of its calls up to then."""

from __future__ import annotations

from itertools import takewhile

from dsice.goal import Metrics
from dsice.search.base import Search
from dsice.study.facts import KnownResult, Trial
from dsice.study.further import search_of
from dsice.study.replay import replay
from dsice.study.state import Study
from dsice.study.task import Status


def result(known: Trial | KnownResult) -> Metrics | None:
    """What a search is told of a trial that has ended, or of a result from elsewhere."""
    return known.metrics if known.status is Status.DONE else None


def known_before(study: Study, trial: Trial) -> tuple[list[Trial], tuple[int, ...]]:
    """What was known when ``trial`` was proposed.

    Returns:
        The trials with a measurement, in the order of their ends, and the numbers of those that had
        been proposed and not ended.
    """
    measured: list[Trial] = []
    pending: dict[int, None] = {}
    for each, ended in study.history:
        if each is trial:
            break
        if isinstance(each, KnownResult):
            continue
        if ended and each.status is Status.DONE:
            measured.append(each)
        if each.status is Status.DISCARDED:
            continue
        if ended:
            pending.pop(each.number, None)
        else:
            pending[each.number] = None
    return measured, tuple(pending)


def search_before(study: Study, trial: Trial | None) -> Search:
    """The study's search as it was when ``trial`` was about to be proposed; None: as it is now.

    The search is a function of its calls, so the replay gives what the search gave then, unless
    the algorithm has changed since.

    Raises:
        InvalidInput: a bound waits for the result of a stage.
    """
    capacity = study.config.run.under_way if trial is None else trial.capacity
    search = search_of(study, capacity, None if trial is None else trial.sweep)
    return replayed(search, study, trial)


def replayed(search: Search, study: Study, until: Trial | None = None) -> Search:
    """A new search, told what a study knew before a trial; None: all it knows now.

    A result that lacks a metric of the search's goal counts as a failure.
    """

    def useful(each: Trial | KnownResult) -> Metrics | None:
        metrics = result(each)
        lacks = metrics is not None and search.goal.missing(metrics) is not None
        return None if lacks else metrics

    replay(search, takewhile(lambda told: told.of is not until, study.calls), useful)
    return search
