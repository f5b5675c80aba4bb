"""The tables of a study file, as pydantic checks them: which keys there are, and of which kinds.

What one key means for another is checked in `dsice.study.checks`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from dsice.errors import InvalidInput
from dsice.launch.make import SETTINGS
from dsice.launch.names import ALLOCATION, LOCAL, NAMES
from dsice.launch.patterns import Pattern
from dsice.launch.settings import (
    AllocationSettings,
    BatchSettings,
    Duration,
    PbsSettings,
    PjmSettings,
    Resources,
    SlurmSettings,
    Table,
    duration_schema,
)
from dsice.launch.usage import BUILT_IN
from dsice.search import DEFAULT_SEARCH
from dsice.search.base import END_BELOW
from dsice.study.share import Share
from dsice.units import seconds

Text = Annotated[str, Field(min_length=1)]
Level = bool | int | float | str


@dataclass(frozen=True, slots=True)
class TimesMedian:
    """A time limit learned from the trials that were measured: so many times their median."""

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
    r"""A metric that is read from the output of a program, as one of ``metrics``.

    Attributes:
        pattern: a regular expression; its first group is the number, and the last match counts:
            ``'val_acc: ([\d.]+)'``.
        unit: what the number is to be in if the output has it with a unit: ``"s"`` makes 0.0013 of
            ``1.3 ms``.
        file: a file in the program's working directory that is read instead of its output.
        sample: a line as the program prints it, on which the pattern is tried when this file is
            checked.
    """

    pattern: Text
    unit: str = ""
    file: str = ""
    sample: str | None = None

    def as_pattern(self, needed: bool = False) -> Pattern:
        """What a job is told of it."""
        return Pattern(self.pattern, self.unit, self.file, needed)


class ProgressConfig(Table):
    r"""How a program that runs tells of its progress: ``[trial.progress]``.

    Attributes:
        pattern: a regular expression of a line of its output; its named groups are intermediate
            metrics: ``'epoch (?P<epoch>\d+): loss (?P<loss>[\d.]+)'``.
        sample: a line as the program prints it, on which the pattern is tried when this file is
            checked.
        step: the key of its progress lines that counts, such as ``"epoch"``.
        full: the value of that key at the end of a trial: a number, or the name of a parameter.
            With it, trials that lead nowhere are ended early, see docs/progress.md.
        end_below: a trial is ended when its probability to become the best feasible one is smaller,
            0.02 by default; 0: never.
        pause: whether the program goes on from its checkpoint in ``{dir}`` when it is started
            again: then trials that ended early may go on later.
    """

    pattern: Text | None = None
    sample: str | None = None
    step: Text = "step"
    full: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Text | None = None
    end_below: Annotated[float, Field(ge=0, lt=1)] = END_BELOW
    pause: bool = False


class CommandConfig(Table):
    r"""A program to run: ``[trial]`` or ``[stage.NAME]``.

    Attributes:
        command: argument list with fields, see `dsice.study.command`.
        timeout: time limit in seconds, learned from other trials, or None.
        expected: about how long a run takes, in seconds; ``--dry-run`` works out what all cost.
        retries: how often a failed run is tried again.
        threads: threads that numerical libraries may use; None leaves them alone.
        env: further environment variables; their values may have fields.
        files: made before the program starts: name in its working directory to the path of a
            template, which may have the fields ``{study}`` and those of paths; see
            `dsice.study.templates`.
        resources: what it needs of where it runs, where that differs from ``[run.SYSTEM]``, or
            from what each trial gets of this machine.
        metrics: metrics that are read from its output by regular expressions, besides those that it
            writes as JSON: ``{ val_acc = 'val_acc: ([\d.]+)' }``; or what it used, by another name:
            ``{ energy = "$joules" }``, see `dsice.launch.usage`.
        progress: how it tells of its progress, besides by the file ``{progress}``.
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
        """The metrics that are read from its output; those in ``needed`` must be there."""
        tables = {
            name: MetricConfig(pattern=entry) if isinstance(entry, str) else entry
            for name, entry in self.metrics.items()
            if not (isinstance(entry, str) and entry in BUILT_IN)
        }
        return {name: table.as_pattern(name in needed) for name, table in tables.items()}

    def measured(self, needed: Collection[str] = ()) -> dict[str, str]:
        """The metrics that are built-in ones, by name; also those in ``needed``."""
        renamed = {
            name: entry
            for name, entry in self.metrics.items()
            if isinstance(entry, str) and entry in BUILT_IN
        }
        return {name: name for name in needed if name in BUILT_IN} | renamed


def _known_launcher(name: str) -> str:
    if name not in NAMES:
        *most, last = (f'"{each}"' for each in NAMES)
        raise ValueError(f"accepted is {', '.join(most)} or {last}")
    return name


Name = Annotated[
    str, AfterValidator(_known_launcher), WithJsonSchema({"enum": list(NAMES), "type": "string"})
]


class RunConfig(Table):
    """Where and how much: ``[run]``.

    Attributes:
        on: where trials run: on this machine, as jobs of the batch system whose table is read, or
            as steps in the Slurm allocation that the driver runs in.
        parallel: most trials at once; where it is left out and ``gpus`` is given, as many as these
            allow.
        gpus: GPUs of this machine that are given to trials: how many, or which by number, UUID or
            name of a MIG instance, or ``"all"``; None: no trial is given any.
        gpus_per_trial: how many of them a trial gets, 1 by default; 0.5 lets two share one.
        cores: ``"pinned"`` gives each trial cores of this machine of its own.
        trials: most trials in all, or None.
        samples: how many times each point is measured, each a trial of the budget; a point whose
            trial fails is not measured again. Its trials lie apart in time where that is possible.
        hours: most hours of wall time in all, or None.
        share: who may read the study's directory besides its owner: ``"group"`` or ``"all"``; None:
            nobody. Nobody else may write in it.
        max_consecutive_failures: so many trials in a row that fail alike and quickly end the run:
            the machine is taken to be at fault, and they do not count. 0: they never do.
        on_best: a program that is told of each new best trial, as an argument list with fields; see
            `dsice.hooks`.
        on_end: one that is told when a session of the study ends, and why.
        on_trouble: one that is told when something is in the way: jobs that cannot be started,
            failures in a row, a stage that failed.
        slurm: what every job gets on Slurm.
        pjm: what every job gets on Fujitsu TCS.
        pbs: what every job gets on PBS.
        allocation: what every step gets of a Slurm allocation.
    """

    on: Name = LOCAL
    parallel: Annotated[int, Field(ge=1, le=100_000)] = 1
    gpus: (
        Annotated[int, Field(ge=1)]
        | Literal["all"]
        | Annotated[list[Annotated[int, Field(ge=0)] | Text], Field(min_length=1)]
        | None
    ) = None
    gpus_per_trial: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    cores: Literal["pinned"] | None = None
    trials: Annotated[int, Field(ge=1)] | None = None
    samples: Annotated[int, Field(ge=1, le=100)] = 1
    hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    share: Share | None = None
    max_consecutive_failures: Annotated[int, Field(ge=0, le=1000)] = 5
    on_best: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    on_end: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    on_trouble: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    slurm: SlurmSettings | None = None
    pjm: PjmSettings | None = None
    pbs: PbsSettings | None = None
    allocation: AllocationSettings | None = None

    @property
    def settings(self) -> BatchSettings | AllocationSettings | None:
        """The settings of where trials run; None on this machine."""
        if self.on == ALLOCATION:
            return self.allocation or AllocationSettings()
        return self.batch

    @property
    def batch(self) -> BatchSettings | None:
        """The settings of the batch system; None where jobs are not handed to one."""
        if self.on not in SETTINGS:
            return None
        given: BatchSettings | None = getattr(self, self.on)
        return given or SETTINGS[self.on]()


HOOKS: Final = ("on_best", "on_end", "on_trouble")
"""The keys of a `RunConfig` that name programs to be told what becomes of the study."""


class FinalistsConfig(CommandConfig):
    """The best trials once more at full length: ``[finalists]``, with the keys of a program.

    Its command may have the fields of a trial and ``{trial}``, the working directory of the short
    trial.

    Attributes:
        trials: how many.
    """

    trials: Annotated[int, Field(ge=1, le=1000)] = 3


class PictureRow(Table):
    """One row of pictures in the report: ``[[report.pictures]]``.

    Attributes:
        title: said above the row.
        files: caption to path; paths may have the fields of a trial and ``{best}``, the folder of
            the best trial.
    """

    title: str = ""
    files: dict[str, Text]


class ReportConfig(Table):
    """What the report is told: ``[report]``.

    Attributes:
        full_length: how many times as long as one trial a full-length run would take, if trials are
            shortened (fine-tuning instead of training from nothing).
        pictures: rows of pictures.
    """

    full_length: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    pictures: Annotated[tuple[PictureRow, ...], Field(strict=False)] = ()


class Range(Table):
    """Levels of one parameter: range, log, linear, geometric, integers, choice, values or flag.

    Attributes:
        range: ends of a continuous range, which round numbers stand for, 21 or as many as levels
            says; any other number between the ends finds its nearest level.
        log: the same on a logarithmic scale; four levels a decade unless levels says how many.
        linear: first and last of evenly spaced levels; with levels or step.
        geometric: first and last of levels with one ratio; with levels, or with the ratio as step.
        integers: first and last of all whole numbers between, or of every step-th.
        choice: values without an order.
        values: levels in order, as in a list without a table.
        flag: an argument that is there or left out, ``"--fast"``: the levels are false and true.
        levels: how many.
        step: from one level to the next.
        when: of a conditional parameter, under which condition it applies: an expression in
            the values of other parameters, ``"optimizer == 'sgd'"``. Elsewhere it has no level, and
            what the command has of it is left out.
        was: of a parameter that is added to a study with results, the level that it had in them.
    """

    range: Annotated[tuple[int | float, int | float], Field(strict=False)] | None = None
    log: Annotated[tuple[int | float, int | float], Field(strict=False)] | None = None
    linear: Annotated[tuple[int | float, int | float], Field(strict=False)] | None = None
    geometric: Annotated[tuple[int | float, int | float], Field(strict=False)] | None = None
    integers: Annotated[tuple[int, int], Field(strict=False)] | None = None
    choice: list[Level] | None = None
    values: list[Level] | None = None
    flag: Text | None = None
    levels: int | None = None
    step: float | None = None
    when: Text | None = None
    was: Level | None = None


RANGES: Final = ("range", "log", "linear", "geometric", "integers", "choice", "values", "flag")
"""The keys of a `Range` that say which levels it has; it has one of them."""


class First(Table):
    """Settings that are measured first: ``first``.

    Attributes:
        settings: a value of every parameter, by name; the first of them is the baseline.
        nearest: whether a number that is no level stands for the nearest one.
    """

    settings: list[dict[str, Any]]
    nearest: bool = False


class StudyFile(Table):
    """The whole file.

    Attributes:
        name: of the study, and of its folder under ``runs``.
        minimize: the metric to make small; a list of several asks for their front.
        maximize: the metric to make large; a list of several asks for their front.
        subject_to: bounds on other metrics, ``["rmse <= 12.5"]``; a limit may use the result of a
            stage, ``"rmse <= 1.015 * stage.pretrain.rmse"``.
        allowed: a rule on parameter values that excludes points at no cost,
            ``"tile * unroll <= 512"``.
        of_repeats: which of several measurements of a point counts: the ``"median"``, or the
            ``"best"``: the minimum of what is minimised, as timings are often compared.
        only_ratios_of: parameters of which only the ratios matter, such as weights of a loss:
            points that differ in them by a common factor are measured once.
        first: settings that are known to work, ``[{ lr = 1e-3, layout = "aos" }]``, measured before
            anything else; the first one is the baseline that the best is compared with. As a table
            ``{ settings = [...], nearest = true }``, numbers stand for their nearest levels, as
            they always do in continuous ranges.
        learn_from: results of related programs that the search learns from: directories of studies,
            and files and storages that ``dsice import`` reads,
            ``["../a100/runs/conv", "old.csv"]``; relative ones begin at the study file's folder.
            ``"auto"``: earlier studies in the same ``runs`` folder with this program, its
            parameters and this objective. All are read when the study begins, and kept in its
            directory.
        search: the search by name, or a table with ``name`` and its options,
            ``{ name = "dsice", tolerance = 0.01, repeats = 2 }``.
        seed: of the search's random choices.
        paths: files and folders that the programs need and that must be there, by the names of
            their fields; relative ones begin at the study file's folder.
        grid: the parameters: each a list of levels in order, or a table that says them.
        stage: programs that run once, in order, before the trials; ``{stage.NAME}`` is the folder
            of one.
        trial: the program that is tuned.
        finalists: the best trials once more at full length, after the budget.
        run: where, how many at once and for how long.
        report: what the report is told.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    minimize: Text | list[Text] | None = None
    maximize: Text | list[Text] | None = None
    subject_to: list[str] = Field(default_factory=list)
    of_repeats: Literal["median", "best"] = "median"
    allowed: str | None = None
    only_ratios_of: list[Text] = Field(default_factory=list)
    first: list[dict[str, Any]] | First = Field(default_factory=list)
    learn_from: list[Text] | Literal["auto"] = Field(default_factory=list)
    search: str | dict[str, Any] = DEFAULT_SEARCH
    seed: Annotated[int, Field(ge=0)] = 0
    paths: dict[str, Text] = Field(default_factory=dict)
    grid: Annotated[dict[str, list[Level] | Range], Field(min_length=1)]
    stage: dict[str, CommandConfig] = Field(default_factory=dict)
    trial: CommandConfig
    finalists: FinalistsConfig | None = None
    run: RunConfig = Field(default_factory=RunConfig)
    report: ReportConfig = Field(default_factory=ReportConfig)
