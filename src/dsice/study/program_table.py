"""The tables of a program in a study file: ``[trial]``, ``[stage.NAME]`` and ``[finalists]``."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from dsice.errors import InvalidInput
from dsice.launch.patterns import Pattern
from dsice.launch.settings import Duration, Resources, Table, duration_schema
from dsice.launch.usage import BUILT_IN
from dsice.search.base import END_BELOW
from dsice.units import seconds

Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class TimesMedian:
    """A time limit learned from measured trials, as a multiple of their median time."""

    times: float


def _timeout(value: object) -> float | TimesMedian:
    match = _TIMES_MEDIAN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return seconds(value)
    if float(match[1]) < 1:
        raise InvalidInput(f"{value!r}: half of all trials take longer than the median")
    return TimesMedian(float(match[1]))


_TIMES_MEDIAN: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*x\s*median\s*")
Timeout = Annotated[
    float | TimesMedian,
    BeforeValidator(_timeout),
    WithJsonSchema(duration_schema(_TIMES_MEDIAN.pattern)),
]


class MetricConfig(Table):
    r"""A metric that is read from a program's output: an entry of ``metrics``.

    Attributes:
        pattern: a regular expression; its first group is the number, and the last match counts:
            ``'val_acc: ([\d.]+)'``.
        unit: the unit to convert to, if the output has the number with a unit: ``"s"`` converts
            ``1.3 ms`` to 0.0013.
        file: a file in the program's working directory to read instead of its output.
        sample: a line of the program's output, to test the pattern when this file is checked.
    """

    pattern: Text
    unit: str = ""
    file: str = ""
    sample: str | None = None

    def as_pattern(self, needed: bool = False) -> Pattern:
        """The pattern for a job's specification."""
        return Pattern(self.pattern, self.unit, self.file, needed)


class ProgressConfig(Table):
    r"""How a running program reports its progress: ``[trial.progress]``.

    Attributes:
        pattern: a regular expression for a line of its output, whose named groups are intermediate
            metrics: ``'epoch (?P<epoch>\d+): loss (?P<loss>[\d.]+)'``.
        sample: a line of the program's output, to test the pattern when this file is checked.
        step: the key of its progress lines that counts the steps, such as ``"epoch"``.
        full: the value of that key at the end of a trial: a number, or the name of a parameter.
            If given, unpromising trials are stopped early, see docs/progress.md.
        end_below: a trial is stopped when its probability of becoming the best feasible one is
            smaller, 0.02 by default; 0: never.
        pause: whether the program continues from its checkpoint in ``{dir}`` when it is started
            again. Then trials that were stopped early may be continued later.
        metrics: the keys of its progress lines for metrics of the goal that have another name
            there: ``{ acc = "val_acc" }``.
    """

    pattern: Text | None = None
    sample: str | None = None
    step: Text = "step"
    full: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Text | None = None
    end_below: Annotated[float, Field(ge=0, lt=1)] = END_BELOW
    pause: bool = False
    metrics: dict[str, Text] = Field(default_factory=dict)

    def key(self, metric: str) -> str:
        """The key of a metric in progress lines."""
        return self.metrics.get(metric, metric)


class CommandConfig(Table):
    r"""A program to run: ``[trial]`` or ``[stage.NAME]``.

    Attributes:
        command: argument list with fields, see `dsice.study.command`.
        timeout: time limit in seconds, or one learned from other trials, or None.
        expected: approximate time of a run in seconds, from which ``--dry-run`` computes the total.
        retries: how often a failed run is repeated.
        threads: number of threads for numerical libraries; None: no limit is set.
        env: further environment variables; their values may contain fields.
        files: files to create before the program starts: name in its working directory to the path
            of a template. The path may contain the field ``{study}`` and those of paths; see
            `dsice.study.templates`.
        resources: of its jobs, where they differ from ``[run.SYSTEM]``, or from each trial's part
            of this machine.
        metrics: metrics that are read from its output by regular expressions, in addition to those
            that it writes as JSON: ``{ val_acc = 'val_acc: ([\d.]+)' }``; or built-in metrics by
            another name: ``{ energy = "$joules" }``, see `dsice.launch.usage`.
        progress: how it reports its progress, besides the file ``{progress}``.
    """

    command: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
    timeout: Timeout | None = None
    expected: Duration | None = None
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    threads: Annotated[int, Field(ge=1)] | None = None
    env: dict[str, str] = Field(default_factory=dict)
    files: dict[str, Text] = Field(default_factory=dict)
    resources: Resources = Resources()
    metrics: dict[str, Text | MetricConfig] = Field(default_factory=dict)
    progress: ProgressConfig = ProgressConfig()

    def patterns(self, needed: Collection[str] = ()) -> dict[str, Pattern]:
        """The metrics that are read from its output; those in ``needed`` are required."""
        tables = {
            name: MetricConfig(pattern=entry) if isinstance(entry, str) else entry
            for name, entry in self.metrics.items()
            if not (isinstance(entry, str) and entry in BUILT_IN)
        }
        return {name: table.as_pattern(name in needed) for name, table in tables.items()}

    def measured(self, needed: Collection[str] = ()) -> dict[str, str]:
        """The built-in metrics by name, including those in ``needed``."""
        renamed = {
            name: entry
            for name, entry in self.metrics.items()
            if isinstance(entry, str) and entry in BUILT_IN
        }
        return {name: name for name in needed if name in BUILT_IN} | renamed


class FinalistsConfig(CommandConfig):
    """Repeating the best trials at full length: ``[finalists]``, with the keys of a program.

    Its command may contain the fields of a trial and ``{trial}``, the working directory of the
    short trial.

    Attributes:
        trials: number of finalists.
    """

    trials: Annotated[int, Field(ge=1, le=1000)] = 3
