"""A study in plain data, for programs and for a line of text."""

from __future__ import annotations

import json
import statistics
from datetime import datetime
from typing import Any

from dsice.goal import Metrics
from dsice.launch.output import finite, last_line, shown
from dsice.study.baseline import Baseline
from dsice.study.state import Status, Study, Task, Trial
from dsice.units import duration


def as_json(study: Study) -> dict[str, Any]:
    """What ``dsice status --json`` prints."""
    best, baseline = study.best_or_none, Baseline.of(study)
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
        "best": None if best is None else trial_as_json(best),
        "baseline": None if baseline is None else baseline.as_json(study.goal),
        "known": _known(study),
        "failures": {t.number: t.reason for t in study.with_status(Status.FAILED)},
        "job_hours": study.job_seconds / 3600,
        "wall_hours": study.wall_seconds / 3600,
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
    best = study.best_prior(study.goal)
    return {
        "results": len(study.priors),
        "failed": sum(prior.status is Status.FAILED for prior in study.priors),
        "sources": list(dict.fromkeys(prior.source for prior in study.priors)),
        "best": None
        if best is None
        else {"params": best.params, "metrics": dict(best.metrics), "where": best.named},
    }


def known_line(study: Study) -> str:
    """One line on results from elsewhere; empty if there are none."""
    if not study.priors:
        return ""
    failed = sum(prior.status is Status.FAILED for prior in study.priors)
    sources = list(dict.fromkeys(prior.source for prior in study.priors))
    count = len(study.priors)
    return (
        f"+ {count} known {'result' if count == 1 else 'results'} from "
        f"{', '.join(sources[:3])}{' and others' if len(sources) > 3 else ''}"
        f"{f', {failed} of them failures' if failed else ''}."
    )


def gpus(study: Study) -> int:
    """How many accelerators each trial's job is given; 0 outside of a batch system."""
    batch = study.config.run.batch
    if batch is None:
        return 0
    settings = batch.model_copy(update=study.config.trial.resources.model_dump(exclude_none=True))
    return settings.gpu_count


def waiting_time(study: Study) -> float | None:
    """The median time from submission to beginning, in seconds; None while no trial has ended."""
    waited = [t.attempts[-1].waited for t in study.finished if t.attempts[-1].started]
    return statistics.median(waited) if waited else None


def batch_line(study: Study) -> str:
    """One line on the batch system that runs the trials; empty if none does."""
    if study.config.run.batch is None or not study.sessions:
        return ""
    waited = waiting_time(study)
    facts = [f"Jobs run on {study.sessions[-1].on}"]
    if waited is not None:
        facts.append(f"half of them waited less than {duration(waited)} in the queue")
    if count := gpus(study):
        facts.append(f"{study.job_seconds / 3600 * count:.1f} GPU-hours used")
    return "; ".join(facts) + "."


def trial_as_json(trial: Trial) -> dict[str, Any]:
    """One trial, as ``dsice best --json`` prints it."""
    return {
        "trial": trial.number,
        "params": trial.params,
        "metrics": dict(trial.metrics),
        "point": list(trial.point),
        "seconds": trial.seconds,
        "directory": str(trial.folder.work),
    }


def progress(task: Task, most: int = 5) -> Metrics:
    """The newest intermediate metrics of a running task, by names fit to be shown."""
    line = last_line(task.job.progress)
    try:
        entry = json.loads(line) if line else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(entry, dict):
        return {}
    numbers = [(shown(name), float(value)) for name, value in entry.items() if finite(value)]
    return dict(numbers[:most])


def driver_line(study: Study, touching: bool = True) -> str:
    """One line on the driver: at work, ended and why, or killed.

    ``touching`` is as for `dsice.study.lock.DriverLock.silence`.
    """
    if not study.sessions:
        return "No driver has begun."
    last = study.sessions[-1]
    when = datetime.fromtimestamp(last.seen).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    lock = study.directory.lock
    if lock.is_held(touching):
        return (
            f"A driver is at work (process {last.pid} on {last.host}); last event {when}, last "
            f"sign of life {duration(lock.silence(touching))} ago."
        )
    if last.why:
        return f"The driver ended at {when}: {last.why}."
    return (
        f"The driver was killed after {duration(last.seen - last.started)}, last event {when}; "
        "the same 'dsice run' command resumes."
    )
