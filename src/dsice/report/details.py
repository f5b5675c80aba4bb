"""The details of one trial that the page shows on selection, with the end of its log.

Commands and logs can have any size and content. They are cut to a fair share of the space in the
page, and invisible characters are made visible.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from dsice.launch import output
from dsice.launch.job import JobFolder, JobSpec
from dsice.report.facts import Facts
from dsice.report.words import moment, parameter
from dsice.study.events import Verdict
from dsice.study.facts import Trial
from dsice.study.task import Attempt, Status
from dsice.text import plain
from dsice.units import duration

LINES: Final = 40
"""Most lines of each log that are shown."""

_ROOM: Final = 4_000  # bytes of one trial's command and logs in the page
_ROOM_OF_ALL: Final = 600_000
_READ: Final = 16_000  # bytes read from the end of a log
_LINE: Final = 300  # characters
_COMMAND: Final = 2_000  # characters
_CLOCK: Final = "%H:%M:%S"

_OUTCOMES: Final = {
    None: "running",
    Verdict.DONE: "measured",
    Verdict.FAILED: "failed",
    Verdict.STOPPED: "ended early",
    Verdict.AGAIN: "to be repeated",
}


@dataclass(frozen=True, slots=True)
class Log:
    """The command of a trial's newest attempt and the end of its output.

    Attributes:
        command: quoted for a shell; empty if unknown.
        output: the last lines of standard output, safe to show.
        errors: the same for standard error.
    """

    command: str = ""
    output: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @classmethod
    def of(cls, trial: Trial) -> Self:
        """Read the log of a trial; parts that are not on disk are empty."""
        if not trial.attempts:
            return cls()
        job = trial.job
        spec = job_spec(job)
        command = "" if spec is None else plain(shlex.join(spec.command), _COMMAND)
        return cls(command, log_tail(job.stdout), log_tail(job.stderr))

    @property
    def size(self) -> int:
        """Number of bytes in the page."""
        return _size(self.command) + _together(self.output) + _together(self.errors)

    def within(self, room: int) -> Self:
        """Cut to at most about ``room`` bytes, keeping the ends of logs."""
        command = _cut(self.command, room)
        room = max(room - _size(command), 0)
        errors = _last(self.errors, room // 2)
        kept = _last(self.output, room - _together(errors))
        errors = _last(self.errors, room - _together(kept))
        return type(self)(command, kept, errors)


def job_spec(job: JobFolder) -> JobSpec | None:
    """The specification of a job; None if it is not on disk."""
    try:
        return job.spec()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def log_tail(path: Path) -> tuple[str, ...]:
    """The last lines of a log, bounded in number and length, without invisible characters."""
    text = output.log(path, _READ)
    # Of a line that was overwritten in place, such as a progress bar, the last version counts.
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.rstrip("\n").split("\n")]
    return tuple(plain(line, _LINE) for line in lines[-LINES:]) if text.strip() else ()


def details(facts: Facts, trial: Trial, log: Log | None = None) -> dict[str, Any]:
    """A trial as plain data: only texts, which the page shows literally."""
    log = Log.of(trial).within(_ROOM) if log is None else log
    root = facts.study.directory.path
    return {
        "trial": trial.number,
        "state": facts.state(trial),
        "open": trial.status in (Status.RUNNING, Status.WAITING),
        "reason": plain(trial.reason, 500),
        "params": [[name, parameter(value)] for name, value in trial.params.items()],
        "metrics": [[plain(k, 60), plain(v, 60)] for k, v in facts.returned(trial).items()],
        "attempts": [_attempt(attempt) for attempt in trial.attempts],
        "explain": plain(shlex.join(["dsice", "explain", str(root), str(trial.number)]), 500),
        "command": log.command,
        "output": log.output,
        "errors": log.errors,
        "folder": plain(str(trial.folder.path)[len(str(root)) + 1 :], 300),
    }


def all_details(facts: Facts) -> dict[int, dict[str, Any]]:
    """The details of the trials shown, with commands and logs within a common bound."""
    logs = {trial.number: Log.of(trial).within(_ROOM) for trial in facts.shown}
    room = fair_share([log.size for log in logs.values()], _ROOM_OF_ALL)
    return {t.number: details(facts, t, logs[t.number].within(room)) for t in facts.shown}


def fair_share(wanted: Sequence[int], room: int) -> int:
    """The largest share of each such that all together stay within ``room``."""
    share = max(wanted, default=0)
    left = room
    for place, size in enumerate(sorted(wanted)):
        share = left // (len(wanted) - place)
        if size > share:
            return share
        left -= size
    return max(wanted, default=share)


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "outcome": _OUTCOMES[attempt.verdict],
        "reason": plain(attempt.reason, 500),
        "submitted": moment(attempt.submitted, _CLOCK),
        "began": moment(attempt.started, _CLOCK) if attempt.started else "",
        "ended": moment(attempt.ended, _CLOCK) if attempt.ended else "",
        "took": duration(attempt.seconds) if attempt.seconds else "",
        "host": plain(attempt.host, 60),
    }


def _size(text: str) -> int:
    return len(json.dumps(text)) + 5 * sum(map(text.count, "<>&"))


def _together(lines: Sequence[str]) -> int:
    return sum(_size(line) + 1 for line in lines)


def _cut(text: str, room: int) -> str:
    """The beginning of ``text`` in at most ``room`` bytes."""
    if _size(text) <= room:
        return text
    while text and _size(text) > room:
        text = text[: len(text) * 3 // 4]
    return text + "…" if text else ""


def _last(lines: Sequence[str], room: int) -> tuple[str, ...]:
    """As many of the last lines as fit; if not even the last one fits, it is cut."""
    kept = 0
    for line in reversed(lines):
        room -= _size(line) + 1
        if room < 0:
            break
        kept += 1
    if lines and not kept:
        cut = _cut(lines[-1], room + _size(lines[-1]))
        return (cut,) if cut else ()
    return tuple(lines[len(lines) - kept :])
