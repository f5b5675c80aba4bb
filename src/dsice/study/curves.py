"""Learning curves: the reports of running trials, read from their progress files.

A progress file has one JSON object per line. The step of a report is the first of `STEPS` that the
file's first report has; without one, reports are counted from 1. Every other number is a value of a
metric at that step. Other lines are skipped, as are values that are not finite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from dsice.files import read_regular
from dsice.launch.output import finite, report_in
from dsice.study.task import Task

STEPS: Final = ("step", "global_step", "epoch", "iteration", "iter", "round", "batch")
"""Names of what reports are counted by, in upper or lower case."""

REPORT: Final = "report"
"""What is counted where reports have no step."""

_LARGEST: Final = 64_000_000  # bytes of a progress file
_KEPT: Final = 4096  # files whose curves are cached


@dataclass(frozen=True, slots=True)
class Curve:
    """The values of a metric during a trial.

    Attributes:
        steps: of the reports, in increasing order.
        values: reported at these steps, finite.
    """

    steps: tuple[float, ...]
    values: tuple[float, ...]

    def thinned(self, most: int) -> Curve:
        """A curve with at most ``most`` of its points (2 or more), including the first and last."""
        count = len(self.steps)
        if count <= most:
            return self
        kept = [round(k * (count - 1) / (most - 1)) for k in range(most)]
        return Curve(tuple(self.steps[k] for k in kept), tuple(self.values[k] for k in kept))


@dataclass(frozen=True, slots=True)
class Curves:
    """All curves of a trial.

    Attributes:
        counted: the unit of the steps: one of `STEPS`, in the program's spelling, or `REPORT`.
        of: a curve for each reported metric.
    """

    counted: str = REPORT
    of: Mapping[str, Curve] = field(default_factory=dict)


def curves_of(task: Task) -> Curves:
    """The curves of a task so far.

    Preempted attempts are continued by later ones: their reports count unless a later attempt
    repeats them. Void attempts are left out.
    """
    found = Curves()
    for attempt in task.attempts:
        if attempt.void:
            continue
        later = _read(task.folder.job(attempt.number).progress)
        if later.of:
            found = _joined(found, later)
    return found


def _joined(earlier: Curves, later: Curves) -> Curves:
    if earlier.counted != later.counted or later.counted == REPORT:
        return later
    first = min(curve.steps[0] for curve in later.of.values())
    joined = {}
    for name in dict.fromkeys([*earlier.of, *later.of]):
        before = earlier.of.get(name, Curve((), ()))
        after = later.of.get(name, Curve((), ()))
        kept = sum(step < first for step in before.steps)
        curve = Curve(before.steps[:kept] + after.steps, before.values[:kept] + after.values)
        if curve.steps:
            joined[name] = curve
    return Curves(later.counted, joined)


def _read(path: Path) -> Curves:
    try:
        state = path.stat()
    except OSError:
        return Curves()
    return _remembered(path, state.st_mtime_ns, state.st_size)


@lru_cache(_KEPT)
def _remembered(path: Path, modified: int, size: int) -> Curves:
    """The curves in a file with this modification time and size, cached."""
    try:
        text = read_regular(path, _LARGEST).decode(errors="replace")
    except OSError:
        return Curves()
    counted = ""
    steps: dict[str, list[float]] = {}
    values: dict[str, list[float]] = {}
    for number, report in enumerate(_reports(text), 1):
        if not counted:
            names = {name.casefold(): name for name in report if finite(report[name])}
            counted = next((names[step] for step in STEPS if step in names), REPORT)
        said = number if counted == REPORT else report.get(counted)
        if not finite(said):
            continue
        step = float(said or 0)
        for name, value in report.items():
            if name == counted or not finite(value):
                continue
            ours = steps.setdefault(name, [])
            # If a program went back, such as to a checkpoint, its later reports count.
            while ours and ours[-1] >= step:
                ours.pop()
                values[name].pop()
            ours.append(step)
            values.setdefault(name, []).append(float(value))
    return Curves(
        counted or REPORT,
        {name: Curve(tuple(steps[name]), tuple(values[name])) for name in steps},
    )


def _reports(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.lstrip().startswith("{") and (report := report_in(line)) is not None:
            yield report
