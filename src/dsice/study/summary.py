"""Summaries of a study, as plain data for programs and as lines of text."""

from __future__ import annotations

import json
import statistics
import time
from datetime import datetime
from functools import cache
from typing import Any

from dsice.goal import Goal
from dsice.incumbent import Standing
from dsice.launch.job import JobFolder
from dsice.launch.output import finite, last_line, report_in, shown
from dsice.study import learned, machine_time
from dsice.study.baseline import Baseline
from dsice.study.facts import Trial
from dsice.study.state import Study
from dsice.study.task import Status, Task
from dsice.text import one_line
from dsice.units import count, duration, hours, number, setting, span


def as_json(study: Study) -> dict[str, Any]:
    """The output of ``dsice status --json``."""
    best, baseline = study.best_standing(study.goal), Baseline.of(study)
    queued = len(study.queued)
    running = len(study.with_status(Status.RUNNING)) - queued
    return {
        "name": study.config.name,
        "format": study.format,
        "goal": str(study.goal),
        "directory": str(study.directory.path),
        "grid": study.config.grid.counts()._asdict(),
        "trials": {
            "budget": study.config.run.trials,
            **{status.value: len(study.with_status(status)) for status in Status},
            "running": running,
            "queued": queued,
        },
        "stages": {
            stage.name: {"status": stage.status.value, "metrics": dict(stage.metrics)}
            for stage in study.stages.values()
        },
        "best": None if best is None else best_as_json(best),
        "baseline": None if baseline is None else baseline.as_json(study.goal),
        "known": _known(study),
        "learns_from": [
            {"name": source.name, "results": len(source.results)} for source in study.sources
        ],
        "failures": {t.number: t.reason for t in study.with_status(Status.FAILED)},
        "discarded": {t.number: t.reason for t in study.with_status(Status.DISCARDED)},
        "ended_early": {t.number: t.reason for t in study.with_status(Status.STOPPED)},
        "job_hours": study.job_seconds / 3600,
        "wall_hours": study.wall_seconds / 3600,
        "machine_time": {
            "unit": machine_time.unit_of(study.config),
            "used": machine_time.used(study),
            "budget": study.config.run.job_hours,
        },
        "gpu_hours": study.job_seconds / 3600 * gpus(study),
        "seconds_in_queue": waiting_time(study),
        "trouble": study.trouble,
        "driver": {
            "on": study.sessions[-1].on if study.sessions else None,
            "at_work": study.directory.lock.is_held(),
            "last_seen": study.sessions[-1].seen if study.sessions else None,
            "ended": study.sessions[-1].why if study.sessions else "",
        },
        "warning": study.warning,
    }


def _known(study: Study) -> dict[str, Any]:
    best = study.best_known(study.goal)
    return {
        "results": len(study.known),
        "failed": sum(result.status is Status.FAILED for result in study.known),
        "sources": list(dict.fromkeys(result.source for result in study.known)),
        "best": None
        if best is None
        else {"params": best.params, "metrics": dict(best.metrics), "where": best.named},
    }


def sources_line(study: Study) -> str:
    """One line that names the sources from which the study learns; empty without any."""
    return learned.line(study.sources)


def known_line(study: Study) -> str:
    """One line on known results; empty if there are none."""
    if not study.known:
        return ""
    failed = sum(result.status is Status.FAILED for result in study.known)
    sources = list(dict.fromkeys(result.source for result in study.known))
    return one_line(
        f"+ {count(len(study.known), 'known result')} from "
        f"{', '.join(sources[:3])}{' and others' if len(sources) > 3 else ''}"
        f"{f', {failed} of them failures' if failed else ''}."
    )


def gpus(study: Study) -> int:
    """The number of accelerators of each trial's job; 0 without a batch system."""
    batch = study.config.run.batch
    if batch is None:
        return 0
    settings = batch.model_copy(update=study.config.trial.resources.model_dump(exclude_none=True))
    return settings.gpu_count


def machine_time_text(study: Study) -> str:
    """``12.3 of 500 GPU-hours``: the machine time used, if it has a budget."""
    if (budget := study.config.run.job_hours) is None:
        return ""
    unit = machine_time.unit_of(study.config)
    return f"{number(machine_time.used(study))} of {setting(budget)} {unit}"


def waiting_time(study: Study) -> float | None:
    """The median time in the queue, in seconds; None while no trial has ended."""
    waited = [t.attempts[-1].waited for t in study.finished if t.attempts[-1].started]
    return statistics.median(waited) if waited else None


def batch_line(study: Study) -> str:
    """One line on the batch system of the trials; empty without one."""
    if study.config.run.batch is None or not study.sessions:
        return ""
    waited = waiting_time(study)
    facts = [f"Jobs run on {study.sessions[-1].on}"]
    if waited is not None:
        facts.append(f"half of them waited less than {duration(waited)} in the queue")
    if count := gpus(study):
        facts.append(f"{hours(study.job_seconds * count)} GPU-hours used")
    return "; ".join(facts) + "."


def trial_as_json(trial: Trial) -> dict[str, Any]:
    """A trial as plain data; ``seconds`` is the total time of all its attempts."""
    return {
        "trial": trial.number,
        "params": trial.params,
        "metrics": dict(trial.metrics),
        "others": other_results(trial),
        "point": list(trial.point),
        "seconds": seconds_of(trial),
        "attempts": len(trial.attempts),
        "directory": str(trial.folder.work),
    }


def best_as_json(best: Standing[Trial]) -> dict[str, Any]:
    """The output of ``dsice best --json``: the best trial, with all trials of its point."""
    return trial_as_json(best.counted) | {
        "repeats": [{"trial": t.number, "metrics": dict(t.metrics)} for t in best.of]
    }


def metric_text(name: str, value: float, goal: Goal) -> str:
    """Format a metric, see `dsice.units.number`, with digits that show whether it is in bounds."""
    limits = [bound.limit for bound in goal.bounds if bound.metric == name]
    return number(value, *(limit for limit in limits if limit is not None))


def repeats_text(standing: Standing[Trial], metric: str) -> str:
    """``median of 3 (4.02 to 8.74)``: repeated measurements of a point; empty for a single one.

    If the best measurement counts instead: ``best of 3 (4.02 to 8.74)``.
    """
    count = len(standing.of)
    if count == 1:
        return ""
    spread = span(*standing.spread(metric))
    every = "" if " to " in spread else "all "
    middle = "worse" if count == 2 else "median"
    return f"{'best' if standing.by_best else middle} of {count} ({every}{spread})"


def seconds_of(task: Task) -> float:
    """Total run time of all ended attempts of a task, in seconds."""
    return sum(attempt.seconds for attempt in task.attempts)


def time_text(task: Task) -> str:
    """``3 min 20 s``, ``3 min 20 s in 2 attempts``: the total time of all attempts."""
    count = len(task.attempts)
    return duration(seconds_of(task)) + (f" in {count} attempts" if count > 1 else "")


def under_way(trial: Trial) -> str:
    """How long the pending job of a trial has run or waited so far, or what becomes of it."""
    attempt = trial.attempts[-1]
    if trial.withdrawn_to is not None:
        discarded = trial.withdrawn_to is Status.DISCARDED
        return f"is being ended, to be {'discarded' if discarded else 'measured again'}"
    claim = trial.job.claimant() if attempt.begun else None
    began = attempt.submitted if claim is None else max(claim.time, attempt.submitted)
    since = duration(max(time.time() - began, 0.0))
    again = f", attempt {attempt.number}" if attempt.number > 1 else ""
    return f"{'has run' if attempt.begun else 'has waited'} for {since}{again}"


def no_best_text(study: Study, goal: Goal) -> str:
    """Why there is no best trial, as a sentence."""
    failed = len(study.with_status(Status.FAILED))
    failures = f"; {failed} failed" if failed else ""
    if study.with_status(Status.DONE):
        return f"No trial keeps the bounds: {goal}{failures}."
    return f"No trial has been measured yet{failures}."


def other_results(task: Task) -> dict[str, str]:
    """Values that a task's newest job returned besides the task's metrics, by name, as text.

    Mainly NaN and texts; for a failed task, also its numbers.
    """
    try:
        found = _returned(task.job)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {name: text for name, text in found.items() if name not in task.metrics}


@cache
def _returned(job: JobFolder) -> dict[str, str]:
    """All values that a job returned, as text; constant once it has ended.

    Raises:
        ValueError: it has not ended.
    """
    outcome = job.outcome()
    if outcome is None:
        raise ValueError(f"{job} has not ended")
    numbers = {name: number(value) for name, value in (outcome.metrics or {}).items()}
    return numbers | {name: _unquoted(text) for name, text in outcome.others.items()}


def _unquoted(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text


def progress(task: Task, most: int = 5) -> dict[str, str]:
    """The newest intermediate metrics of a running task as text, by printable names."""
    entry = report_in(last_line(task.job.progress)) or {}
    texts = [(shown(name), _intermediate(value)) for name, value in entry.items()]
    return dict([(name, text) for name, text in texts if text][:most])


def _intermediate(value: object) -> str:
    """Format a number, NaN, infinity or a text; empty for all else."""
    if finite(value):
        assert isinstance(value, int | float)
        return number(value)
    if isinstance(value, float):
        return json.dumps(value)
    return shown(value) if isinstance(value, str) else ""


def change_lines(study: Study) -> list[str]:
    """One line on each change of the study file's grid, rule or goal."""
    return [
        one_line(
            f"Changed at {datetime.fromtimestamp(time).astimezone():%Y-%m-%d %H:%M:%S}: "
            f"{'; '.join(what)}."
        )
        for time, what in study.changes
    ]


def driver_line(study: Study, touching: bool = True) -> str:
    """One line on the driver: running, ended with the reason, or killed.

    ``touching`` is as for `dsice.study.lock.DriverLock.silence`.
    """
    if not study.sessions:
        return "No driver has begun."
    last = study.sessions[-1]
    when = datetime.fromtimestamp(last.seen).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    lock = study.directory.lock
    if lock.is_held(touching):
        return one_line(
            f"A driver is at work (process {last.pid} on {last.host}); last event {when}, last "
            f"sign of life {duration(lock.silence(touching))} ago."
        )
    if last.why:
        return one_line(f"The driver ended at {when}: {last.why}.")
    return (
        f"The driver was killed after {duration(last.seen - last.started)}, last event {when}; "
        "the same 'dsice run' command resumes."
    )
