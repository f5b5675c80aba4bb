"""The content of the live page, in parts with versions: a browser requests only changed ones."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dsice.hooks import failure_of_last
from dsice.live.follow import Followed
from dsice.report.details import details
from dsice.report.explained import why_of
from dsice.report.facts import Facts
from dsice.report.html import PROGRAMS, page
from dsice.report.parts import Parts, curve_parts, parts_of, section
from dsice.report.words import parameter
from dsice.study.facts import Trial
from dsice.study.state import Study, no_garbage
from dsice.study.summary import batch_line, driver_line, progress, under_way
from dsice.study.task import Status
from dsice.text import plain
from dsice.units import count

_LOOK: Final = 1.0  # seconds between two looks at the disk, however many browsers ask, at least ...
_REST: Final = 4.0  # ... and this many times as long as the last look took: a study may be large
_LISTED: Final = 50
"""Most running trials that are listed."""


@dataclass(frozen=True, slots=True)
class Running:
    """A trial under way, in words."""

    number: int
    since: str
    params: str
    progress: str


@dataclass(slots=True)
class _Current:
    """The page at one moment: parts as JSON by name, and the version of each."""

    parts: Parts
    texts: dict[str, bytes] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, content: object) -> None:
        text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
        self.texts[name] = text
        self.versions[name] = hashlib.sha256(text).hexdigest()[:16]

    def add(self, parts: Parts) -> None:
        """Take parts of the page, instead of those of the same names."""
        for name, text in parts.sections.items():
            self.parts.sections[name] = text
            self.put(f"section {name}", text)
        for name, rows in parts.datasets.items():
            self.parts.datasets[name] = rows
            self.put(f"dataset {name}", rows)
        for name, figure in parts.figures.items():
            self.parts.figures[name] = figure
            self.put(f"figure {name}", figure)


class News:
    """The newest state of a study as a page, its parts and its trials; safe for many threads.

    Args:
        path: of the study's directory.

    Raises:
        InvalidInput: there is no study. Every method raises this if its files are damaged.
    """

    def __init__(self, path: Path | str) -> None:
        self._followed = Followed(path)
        self._lock = threading.Lock()
        self._look_at = float("-inf")
        self._made = 0
        self._study = self._followed.look()
        self._facts: Facts  # made with the parts, by the first look
        self._current = _Current(Parts({}, {}, {}))
        self._reported = ""

    def page(self) -> str:
        """The page, as HTML text."""
        with self._lock:
            current = self._look()
            more = {"versions": current.versions}
            programs = (*PROGRAMS, "live.js")
            return page(self._study.config.name, current.parts, programs, more, live=True)

    def versions(self) -> bytes:
        """The version of every part by name, as JSON."""
        with self._lock:
            return json.dumps({"parts": self._look().versions}).encode()

    def part(self, name: str) -> bytes | None:
        """A part as JSON; None if there is none of this name."""
        with self._lock:
            return self._look().texts.get(name)

    def trial(self, number: int) -> bytes | None:
        """The details of a trial as JSON; None if there is none of this number."""
        with self._lock:
            self._look()
            if not 1 <= number <= len(self._study.trials):
                return None
            trial = self._study.trials[number - 1]
            found = details(self._facts, trial) | why_of(self._facts, number)
            return json.dumps(found).encode()

    def _look(self) -> _Current:
        began = time.monotonic()
        if began < self._look_at:
            return self._current
        self._study = self._followed.look()
        reported = _reported(self._study)
        if self._made != self._followed.version:
            with no_garbage():
                self._facts = Facts.of(self._study)
                self._current = _packed(parts_of(self._study, self._facts))
            self._made = self._followed.version
        elif self._reported != reported:
            self._current.add(curve_parts(self._study))
        self._reported = reported
        now = section("now", _now(self._study, self._followed.is_driven()))
        self._current.parts.sections["now"] = now
        self._current.put("section now", now)
        ended = time.monotonic()
        self._look_at = ended + max(_LOOK, _REST * (ended - began))
        return self._current


def _packed(parts: Parts) -> _Current:
    current = _Current(Parts({}, {}, {}))
    current.add(parts)
    return current


def _reported(study: Study) -> str:
    """Changes whenever a trial under way has reported something."""
    found = []
    for trial in study.with_status(Status.RUNNING):
        with suppress(OSError):
            state = trial.job.progress.stat()
            found.append(f"{trial.number} {state.st_size} {state.st_mtime_ns}")
    return "; ".join(found)


def _now(study: Study, driven: bool) -> dict[str, Any]:
    """What the section ``now`` says."""
    under_way = study.with_status(Status.RUNNING)
    more = len(under_way) - _LISTED
    return {
        "lines": [
            plain(line, 500) for line in (driver_line(study, False), batch_line(study)) if line
        ],
        "trouble": plain(study.trouble, 500) if driven else "",
        "hook": plain(failure_of_last(study.directory.path), 500),
        "running": [_running(trial, driven) for trial in under_way[:_LISTED]],
        "more": count(more, "more trial") if more > 0 else "",
    }


def _running(trial: Trial, driven: bool) -> Running:
    found = (f"{name} {text}" for name, text in progress(trial).items())
    return Running(
        number=trial.number,
        since=under_way(trial) if driven else "was running when the driver ended",
        params=", ".join(f"{name} = {parameter(value)}" for name, value in trial.params.items()),
        progress=plain(", ".join(found), 500),
    )
