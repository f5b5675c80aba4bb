"""Reports of running trials: new lines of their progress files.

Each file is read from where the last read ended, without querying a scheduler. Progress is measured
as a share of a trial's full length; for each of `SHARES`, the first report that reaches it counts,
and the first one that says that the trial has diverged.
"""

from __future__ import annotations

import math
import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any, Final

from dsice.files import open_regular
from dsice.goal import Goal
from dsice.grid import Params
from dsice.launch.job import JobFolder
from dsice.launch.output import finite, report_in
from dsice.search.curves import DIVERGED, says_diverged
from dsice.study.config import StudyConfig
from dsice.study.facts import Trial
from dsice.study.task import Report

SHARES: Final = tuple(2.0 ** (-k / 2) for k in range(12, -1, -1))
"""The shares of a trial's length at which values are compared, from 1/64 to 1."""

_MOST: Final = 8_000_000  # bytes per read


def search_options(config: StudyConfig) -> dict[str, Any]:
    """The search's options for stopping early; empty if the study file does not request it."""
    progress = config.trial.progress
    if progress.full is None:
        return {}
    return {"steps": SHARES, "end_below": progress.end_below, "pause": progress.pause}


def full_length(config: StudyConfig, params: Params) -> float | None:
    """The last step of a trial; None if trials are not stopped early."""
    full = config.trial.progress.full
    return float(params[full]) if isinstance(full, str) else full


class Listener:
    """Reads the reports of running trials.

    Args:
        config: gives the key of the step, and its value at the end.
        goal: gives the metrics that count.
    """

    def __init__(self, config: StudyConfig, goal: Goal) -> None:
        self._config = config
        self._goal = goal
        self._read: dict[JobFolder, tuple[int, bytes]] = {}  # bytes read, incomplete line

    def news(self, trial: Trial) -> list[Report]:
        """The reports that a trial has written since the last call and that count."""
        full = full_length(self._config, trial.params)
        if full is None:
            return []
        share = trial.reports[-1].share if trial.reports else 0.0
        reached = bisect_right(SHARES, share)
        diverged = any(says_diverged(report.metrics.values()) for report in trial.reports)
        found = []
        for entry in self._entries(trial.job):
            report = self._report(entry, full)
            if report is None:
                continue
            at = bisect_right(SHARES, report.share)
            bad = says_diverged(report.metrics.values())
            if at > reached or (bad and not diverged):
                reached, diverged = max(at, reached), diverged or bad
                found.append(report)
        return found

    def _entries(self, job: JobFolder) -> Iterator[Mapping[str, Any]]:
        at, begun = self._read.get(job, (0, b""))
        try:
            with open(job.progress, "rb", opener=open_regular) as file:
                if file.seek(0, os.SEEK_END) <= at:
                    return
                file.seek(at)
                data = file.read(_MOST)
        except OSError:
            return
        *lines, rest = (begun + data).split(b"\n")
        self._read[job] = at + len(data), rest
        for line in lines:
            if (entry := report_in(line)) is not None:
                yield entry

    def _report(self, entry: Mapping[str, Any], full: float) -> Report | None:
        progress = self._config.trial.progress
        step = entry.get(progress.step)
        if step is None or not finite(step) or progress.key(self._goal.metric) not in entry:
            return None
        keys = {name: progress.key(name) for name in self._goal.metrics}
        metrics = {n: self._value(n, entry[key]) for n, key in keys.items() if key in entry}
        return Report(float(step), min(float(step) / full, 1.0), metrics)

    def _value(self, name: str, value: object) -> float:
        if finite(value) and isinstance(value, int | float) and math.fabs(value) < DIVERGED:
            return float(value)
        return DIVERGED if self._goal.wants_small(name) else -DIVERGED
