"""Building users' requests on the results of a study: retry, discard or add."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Raw

from dsice.errors import InvalidInput
from dsice.search.why import Role, Why
from dsice.study.events import Added, Discarded, Imported, Known, Retried
from dsice.study.facts import Trial
from dsice.study.first import Tell, point_of, setting_of
from dsice.study.requests import can_be_discarded, can_be_retried, trial_at
from dsice.study.state import Study
from dsice.study.task import Status
from dsice.units import count

BY_HAND = "dsice add"
"""The source of results that were added by hand."""


def retried(
    study: Study, numbers: Sequence[int], failed: bool = False, reason: str | None = None
) -> Retried:
    """The request to measure trials again; their results so far no longer count.

    Args:
        study: in its present state.
        numbers: of trials that have begun; the jobs of running ones are to be ended.
        failed: whether to include all failed trials.
        reason: restricts the failed trials to those whose reason contains this text, ignoring
            case.

    Raises:
        InvalidInput: there are no such trials, or one of ``numbers`` waits to be measured.
    """
    chosen = [_trial(study, number) for number in numbers]
    for trial in chosen:
        if not can_be_retried(trial.status):
            raise InvalidInput(f"trial {trial.number} waits to be measured: it has not begun")
    if failed or reason is not None:
        wanted = (reason or "").casefold()
        failures = study.with_status(Status.FAILED)
        found = [trial for trial in failures if wanted in trial.reason.casefold()]
        if not found:
            said = f" for a reason that contains {reason!r}" if failures else ""
            raise InvalidInput(f"no trial has failed{said}{_reasons(failures)}")
        chosen += found
    if not chosen:
        raise InvalidInput("name trials by their numbers, or give --failed")
    return Retried(trials=sorted({trial.number for trial in chosen}))


def discarded(study: Study, numbers: Sequence[int], why: str) -> Discarded:
    """The request that trials do not count and are not measured again.

    The jobs of running trials are to be ended.

    Raises:
        InvalidInput: a trial does not count already, or ``why`` is empty.
    """
    if not why.strip():
        raise InvalidInput("--why is empty: say why the trials do not count")
    for trial in (chosen := [_trial(study, number) for number in numbers]):
        if not can_be_discarded(trial.status):
            raise InvalidInput(f"trial {trial.number} is discarded already: {trial.reason}")
    return Discarded(trials=sorted({trial.number for trial in chosen}), why=why.strip())


def added(
    study: Study,
    setting: str,
    metrics: str | None = None,
    nearest: bool = False,
    tell: Tell = lambda note: None,
) -> Added | Imported:
    """The request to measure a point, or to add a known result.

    Args:
        study: in its present state.
        setting: a value of every parameter, ``lr=1e-3,layout=aos``.
        metrics: its measurement, ``loss=0.3``; None: it is to be measured.
        nearest: whether a number that is not a level is replaced by the nearest one, as it always
            is in a continuous range.
        tell: called for each such number.

    Raises:
        InvalidInput: the setting is not an allowed point of the grid, a trial exists there
            already, or a metric of the goal is missing or not finite.
    """
    grid = study.config.grid
    point = point_of(grid, setting_of(setting, "setting"), nearest, setting, tell)
    params = grid.params(point)
    if metrics is not None:
        found = _metrics(study, setting_of(metrics, "--metrics"))
        where = f"by hand, {datetime.now().astimezone().isoformat(' ', 'seconds')}"
        return Imported(source=BY_HAND, results=[Known(where=where, metrics=found, params=params)])
    if (number := trial_at(study, params)) is not None:
        trial = study.trials[number - 1]
        again = ": 'dsice retry' measures it again" if can_be_retried(trial.status) else ""
        raise InvalidInput(f"trial {number} is at this point ({trial.status.value}){again}")
    why = Why(Role.ADDED, known=len(study.finished))
    return Added(trial=0, params=params, why=Raw(json.dumps(why.as_json()).encode()))


def told(study: Study, wish: Added | Discarded | Imported | Retried) -> str:
    """The result of a request, in words, once it is processed.

    Args:
        study: in its state afterwards.
        wish: the request.
    """
    at_work = study.directory.lock.is_held()
    goes_on = "the driver at work does it" if at_work else "'dsice run' does it"
    match wish:
        case Retried():
            many = len(wish.trials) > 1
            wait = "wait" if many else "waits"
            ended = _ended(study, wish.trials, at_work)
            return f"{_named(wish.trials)} {wait} to be measured again: {goes_on}.{ended}"
        case Discarded():
            many = len(wish.trials) > 1
            ended = _ended(study, wish.trials, at_work)
            count_no_more = "count no more" if many else "counts no more"
            return f"{_named(wish.trials)} {count_no_more}: {wish.why}{'.' if ended else ''}{ended}"
        case Added():
            number = trial_at(study, wish.params or {})
            return f"Trial {number} is to be measured there: {goes_on}."
        case Imported():
            return f"Known now: {count(len(study.known), 'result')} from elsewhere."


def _ended(study: Study, numbers: Iterable[int], at_work: bool) -> str:
    """A sentence on the jobs of withdrawn trials that have not ended yet; empty if none is left."""
    left = [n for n in numbers if study.trials[n - 1].withdrawn_to is not None]
    if not left:
        return ""
    one = "Its job" if len(left) == 1 else f"{len(left)} jobs"
    verb = "is" if len(left) == 1 else "are"
    return f" {one} {verb} being ended." if at_work else f" {one} {verb} ended by 'dsice run'."


def _named(numbers: Sequence[int]) -> str:
    return f"{'Trials' if len(numbers) > 1 else 'Trial'} {', '.join(map(str, numbers))}"


def _trial(study: Study, number: int) -> Trial:
    if not 0 < number <= len(study.trials):
        there = f"there are 1 to {len(study.trials)}" if study.trials else "there is none yet"
        raise InvalidInput(f"there is no trial {number}: {there}")
    return study.trials[number - 1]


def _reasons(failures: Iterable[Trial]) -> str:
    reasons = list(dict.fromkeys(trial.reason for trial in failures))
    return f"; the reasons are: {'; '.join(reasons[:5])}" if reasons else ""


def _metrics(study: Study, given: Mapping[str, str]) -> dict[str, float]:
    metrics = {}
    for name, text in given.items():
        try:
            metrics[name] = float(text)
        except ValueError:
            metrics[name] = math.nan
        if not math.isfinite(metrics[name]):
            raise InvalidInput(f"--metrics: {name} = {text!r}: a finite number is needed")
    if (missing := study.config.goal.missing(metrics)) is not None:
        raise InvalidInput(f"--metrics: the goal's metric {missing!r} is missing")
    return metrics
