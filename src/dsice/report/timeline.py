"""The timeline of a study's jobs: their slots, how many ran at once, and idle times.

The time axis contains only the time in which a driver worked or a job ran. A `Pause` marks where
idle time was cut out, such as the night before a study was resumed.
"""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from dsice.launch.job import Kind
from dsice.study.events import Verdict
from dsice.study.facts import Stage, Trial
from dsice.study.state import Study
from dsice.study.task import Attempt, Task

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Span:
    """One job that ran or is running.

    Attributes:
        task: its trial or stage.
        attempt: number of the job among those of the task.
        begin: seconds on the time axis.
        end: seconds on the time axis; for a running job, the last known time.
        slot: the row it is drawn in, from 1. Jobs of one slot do not overlap.
    """

    task: Task
    attempt: Attempt
    begin: float
    end: float
    slot: int

    @property
    def name(self) -> str:
        """Name of the task: ``trial 12``, ``stage pretrain``."""
        if isinstance(self.task, Stage):
            return f"stage {self.task.name}"
        assert isinstance(self.task, Trial)
        return f"trial {self.task.number}"

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.attempt.verdict is None


@dataclass(frozen=True, slots=True)
class Pause:
    """Idle time that the axis leaves out.

    Attributes:
        at: position on the axis in seconds.
        seconds: duration.
    """

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The jobs of a study on one time axis, in seconds from its beginning.

    Attributes:
        spans: the jobs, sorted by their start.
        pauses: the pauses in order.
        unattended: intervals in which jobs ran without a driver.
        seconds: length of the axis, which is the duration of the study.
        slots: number of rows.
        vanished: number of lost jobs, whose duration is unknown.
    """

    spans: tuple[Span, ...]
    pauses: tuple[Pause, ...]
    unattended: tuple[Interval, ...]
    seconds: float
    slots: int
    vanished: int

    @classmethod
    def of(cls, study: Study) -> Self:
        """Compute the timeline of a study in any state, even an empty one."""
        tasks: list[Task] = [*study.stages.values(), *study.trials]
        last = study.sessions[-1].seen if study.sessions else 0.0
        jobs = sorted(
            (
                (*interval, task, attempt)
                for task in tasks
                for attempt in task.attempts
                if (interval := _interval(attempt, last)) is not None
            ),
            key=lambda job: job[:2],
        )
        sessions = [(s.started, max(s.seen, s.started)) for s in study.sessions]
        busy = _union([*sessions, *(job[:2] for job in jobs)])
        axis = _Axis(busy)
        slots = _slots([job[:2] for job in jobs])
        return cls(
            spans=tuple(
                Span(task, attempt, axis(begin), axis(end), slot)
                for (begin, end, task, attempt), slot in zip(jobs, slots, strict=True)
            ),
            pauses=tuple(
                Pause(axis(end), begin - end) for (_, end), (begin, _) in itertools.pairwise(busy)
            ),
            unattended=tuple(
                (axis(end), axis(begin))
                for (_, end), (begin, _) in itertools.pairwise(sessions)
                if axis(begin) > axis(end)
            ),
            seconds=axis.length,
            slots=max(slots, default=0),
            vanished=sum(a.kind is Kind.LOST for task in tasks for a in task.attempts),
        )

    def running(self) -> list[tuple[float, int]]:
        """The number of running jobs over time: ``(since, number)``, one entry per change."""
        changes: dict[float, int] = {0.0: 0, self.seconds: 0}
        for span in self.spans:
            changes[span.begin] = changes.get(span.begin, 0) + 1
            if not span.running:
                changes[span.end] = changes.get(span.end, 0) - 1
        steps, now = [], 0
        for moment in sorted(changes):
            now += changes[moment]
            steps.append((moment, now))
        return steps


class _Axis:
    """Converts Unix time to seconds on the axis, which leaves out idle time."""

    def __init__(self, busy: Sequence[Interval]) -> None:
        self._busy = busy
        self._begins = [begin for begin, _ in busy]
        self._before = [0.0]
        for begin, end in busy:
            self._before.append(self._before[-1] + end - begin)
        self.length = self._before[-1]

    def __call__(self, moment: float) -> float:
        index = bisect_right(self._begins, moment) - 1
        if index < 0:
            return 0.0
        begin, end = self._busy[index]
        return self._before[index] + min(moment, end) - begin


def _interval(attempt: Attempt, last: float) -> Interval | None:
    """When a job ran; None if it never did or this is unknown."""
    if attempt.verdict is None:
        return attempt.submitted, max(last, attempt.submitted)
    if not attempt.started:
        return None
    return attempt.started, max(attempt.ended, attempt.started)


def _union(intervals: Sequence[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for begin, end in sorted(intervals):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def _slots(intervals: Sequence[Interval]) -> list[int]:
    """The lowest free slot for each interval; intervals are sorted by their start."""
    taken: list[tuple[float, int]] = []
    free: list[int] = []
    slots = []
    for begin, end in intervals:
        while taken and taken[0][0] <= begin:
            heapq.heappush(free, heapq.heappop(taken)[1])
        slot = heapq.heappop(free) if free else len(taken) + 1
        heapq.heappush(taken, (end, slot))
        slots.append(slot)
    return slots


def outcome(span: Span) -> str:
    """The outcome of a job in one or two words, see `OUTCOMES`."""
    match span.attempt.verdict:
        case None:
            return "running"
        case Verdict.AGAIN:
            return "to be repeated"
        case Verdict.FAILED:
            return "failed"
        case Verdict.STOPPED:
            return "ended early"
    return "stage" if isinstance(span.task, Stage) else "measured"


OUTCOMES = ("measured", "failed", "stage", "to be repeated", "running", "ended early")
"""Every answer of `outcome`."""
