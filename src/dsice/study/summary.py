"""A study in plain data, for programs and for a line of text."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dsice.study.state import Status, Study, Trial
from dsice.units import duration


def as_json(study: Study) -> dict[str, Any]:
    """What ``dsice status --json`` prints."""
    best = study.best
    return {
        "name": study.config.name,
        "goal": str(study.goal),
        "directory": str(study.directory.path),
        "trials": {
            "budget": study.config.run.trials,
            **{status.value: len(study.with_status(status)) for status in Status},
        },
        "stages": {
            stage.name: {"status": stage.status.value, "metrics": dict(stage.metrics)}
            for stage in study.stages.values()
        },
        "best": None if best is None else trial_as_json(best),
        "failures": {t.number: t.reason for t in study.with_status(Status.FAILED)},
        "job_hours": study.job_seconds / 3600,
        "wall_hours": study.wall_seconds / 3600,
        "driver": {
            "at_work": study.directory.lock.is_held(),
            "last_seen": study.sessions[-1].seen if study.sessions else None,
            "ended": study.sessions[-1].why if study.sessions else "",
        },
        "warning": study.warning,
    }


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


def driver_line(study: Study) -> str:
    """One line on the driver: at work, ended and why, or killed."""
    if not study.sessions:
        return "No driver has begun."
    last = study.sessions[-1]
    when = datetime.fromtimestamp(last.seen).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if study.directory.lock.is_held():
        return f"A driver is at work (process {last.pid} on {last.host}); last event {when}."
    if last.why:
        return f"The driver ended at {when}: {last.why}."
    return (
        f"The driver was killed after {duration(last.seen - last.started)}, last event {when}; "
        "the same 'dsice run' command resumes."
    )
