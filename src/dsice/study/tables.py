"""The tables of a study file as pydantic models: their keys and the types of these.

Conditions between keys are checked in `dsice.study.checks`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, create_model

from dsice.errors import InvalidInput
from dsice.launch.make import SETTINGS, settings_of
from dsice.launch.names import ALLOCATION, LOCAL, NAMES, OWN, TITLES, installed
from dsice.launch.patterns import Pattern
from dsice.launch.settings import (
    AllocationSettings,
    BatchSettings,
    Duration,
    Resources,
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


def _known_launcher(name: str) -> str:
    if name not in NAMES:
        *most, last = (f'"{each}"' for each in NAMES)
        raise ValueError(f"accepted is {', '.join(most)} or {last}")
    return name


Name = Annotated[str, AfterValidator(_known_launcher)]


class RunConfig(Table):
    """Where and how much: ``[run]``.

    The tables of batch systems are added by `file_model`.

    Attributes:
        on: where trials run: on this machine, as jobs of the batch system whose table is read, or
            inside the job of Slurm, PBS or TCS in which the driver runs.
        parallel: maximum number of trials at once; if omitted with ``gpus`` given, as many as
            these allow.
        per_job: how many trials a job of the batch system runs, one after another, for trials that
            are short beside a job's time in the queue. Up to ``parallel`` jobs are under way.
        gpus: GPUs of this machine for the trials: how many, or which by number, UUID or name of a
            MIG instance, or ``"all"``; None: trials get no GPUs.
        gpus_per_trial: GPUs per trial, 1 by default; with 0.5 two trials share one.
        cores: ``"pinned"`` gives each trial its own cores of this machine.
        trials: maximum number of trials in all, or None.
        samples: how many times each point is measured; each measurement is a trial of the budget.
            A point whose trial fails is not measured again. Its trials are separated in time where
            possible.
        hours: maximum wall time in hours, in all, or None. Where no
            number of trials is given, the search chooses what promises most per expected second.
        job_hours: maximum machine time of all jobs, or None: in GPU-hours, core-hours or
            node-hours, the first of these that a trial's job is known to have, else in hours of
            jobs. No trial is begun that is expected to overrun it.
        share: who may read the study's directory besides its owner: ``"group"`` or ``"all"``; None:
            nobody. Only the owner may write in it.
        max_consecutive_failures: the run ends after so many trials in a row that fail quickly and
            in the same way. They are attributed to the machine, and do not count. 0: never.
        on_best: a program that is called for each new best trial, as an argument list with fields;
            see `dsice.hooks`.
        on_end: a program that is called with the reason when a session of the study ends.
        on_trouble: a program that is called on problems: jobs that cannot be started, failures in a
            row, a stage that failed.
        allocation: each trial's part of the job in which the driver runs.
    """

    on: Name = LOCAL
    parallel: Annotated[int, Field(ge=1, le=100_000)] = 1
    per_job: Annotated[int, Field(ge=1, le=1000)] = 1
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
    job_hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    share: Share | None = None
    max_consecutive_failures: Annotated[int, Field(ge=0, le=1000)] = 5
    on_best: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    on_end: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    on_trouble: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    allocation: AllocationSettings | None = None

    @property
    def under_way(self) -> int:
        """Maximum number of trials that have been proposed and not ended."""
        return self.parallel * self.per_job

    @property
    def settings(self) -> BatchSettings | AllocationSettings | None:
        """The settings of the batch system or allocation; None on this machine."""
        if self.on == ALLOCATION:
            return self.allocation or AllocationSettings()
        return self.batch

    @property
    def batch(self) -> BatchSettings | None:
        """The settings of the batch system; None without one."""
        if self.on in (LOCAL, ALLOCATION):
            return None
        given: BatchSettings | None = getattr(self, self.on, None)
        return given or settings_of(self.on)()


HOOKS: Final = ("on_best", "on_end", "on_trouble")
"""The keys of a `RunConfig` that name programs to be told what becomes of the study."""


class FinalistsConfig(CommandConfig):
    """Repeating the best trials at full length: ``[finalists]``, with the keys of a program.

    Its command may contain the fields of a trial and ``{trial}``, the working directory of the
    short trial.

    Attributes:
        trials: number of finalists.
    """

    trials: Annotated[int, Field(ge=1, le=1000)] = 3


class PictureRow(Table):
    """One row of pictures in the report: ``[[report.pictures]]``.

    Attributes:
        title: heading above the row.
        files: caption to path; paths may contain the fields of a trial and ``{best}``, the folder
            of the best trial.
    """

    title: str = ""
    files: dict[str, Text]


class ReportConfig(Table):
    """Options of the report: ``[report]``.

    Attributes:
        full_length: the time of a full-length run in multiples of a trial's, if trials are
            shortened (fine-tuning instead of training from scratch).
        pictures: rows of pictures.
    """

    full_length: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    pictures: Annotated[tuple[PictureRow, ...], Field(strict=False)] = ()


class Range(Table):
    """Levels of one parameter: range, log, linear, geometric, integers, choice, values or flag.

    Attributes:
        range: ends of a continuous range, represented by round numbers, 21 or as many as levels
            says; any other number between the ends is mapped to its nearest level.
        log: the same on a logarithmic scale; four levels per decade unless levels says how many.
        linear: first and last of evenly spaced levels; with levels or step.
        geometric: first and last of levels with one ratio; with levels, or with the ratio as step.
        integers: first and last of consecutive whole numbers, or of every step-th.
        choice: values without an order.
        values: levels in order, as in a list without a table.
        flag: an argument that is present or omitted, ``"--fast"``: the levels are false and true.
        levels: number of levels.
        step: difference between consecutive levels, or their ratio.
        when: the condition of a conditional parameter: an expression in the values of other
            parameters, ``"optimizer == 'sgd'"``. Where it is false, the parameter has no level, and
            its arguments are omitted from the command.
        was: for a parameter that is added to a study with results, its level in these results.
        expect: the level that is expected to be the best: the first trials are near it more often
            than elsewhere, and it counts less with every result. Within a continuous range, the
            nearest level.
        weights: instead of ``expect``, how promising each level seems, ``[1, 2, 8, 2, 1]``, on any
            scale.
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
    expect: Level | None = None
    weights: list[Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = None


RANGES: Final = ("range", "log", "linear", "geometric", "integers", "choice", "values", "flag")
"""The keys of a `Range` that say which levels it has; it has one of them."""


class First(Table):
    """Settings that are measured first: ``first``.

    Attributes:
        settings: a value of every parameter, by name; the first of them is the baseline.
        nearest: whether a number that is not a level is replaced by the nearest one.
    """

    settings: list[dict[str, Any]]
    nearest: bool = False


class StudyFile(Table):
    """The whole study file.

    Attributes:
        name: of the study, and of its folder under ``runs``.
        minimize: the metric to minimise; a list of several asks for their Pareto front.
        maximize: the metric to maximise; a list of several asks for their Pareto front.
        subject_to: bounds on other metrics, ``["rmse <= 12.5"]``; a limit may use the result of a
            stage, ``"rmse <= 1.015 * stage.pretrain.rmse"``.
        allowed: a rule on parameter values that excludes points without a trial,
            ``"tile * unroll <= 512"``.
        of_repeats: which of several measurements of a point counts: the ``"median"``, or the
            ``"best"``: the minimum of a minimised metric, as usual for timings.
        only_ratios_of: parameters of which only the ratios matter, such as weights of a loss:
            points that differ in them by a common factor are measured once.
        first: settings that are known to work, ``[{ lr = 1e-3, layout = "aos" }]``, measured before
            anything else. The first one is the baseline, with which the best is compared. In the
            form ``{ settings = [...], nearest = true }``, numbers are replaced by their nearest
            levels, as always in continuous ranges.
        learn_from: results of related programs that the search learns from: directories of studies,
            and files and storages that ``dsice import`` reads,
            ``["../a100/runs/conv", "old.csv"]``, relative to the study file's folder.
            ``"auto"``: earlier studies in the same ``runs`` folder with this program, its
            parameters and this objective. All are read when the study begins, and kept in its
            directory.
        search: the search by name, or a table with ``name`` and its options,
            ``{ name = "dsice", tolerance = 0.01, repeats = 2 }``.
        seed: of the search's random choices.
        paths: files and folders that the programs need and that must exist, by the names of
            their fields, relative to the study file's folder.
        grid: the parameters: each a list of levels in order, or a table that defines them.
        stage: programs that run once, in order, before the trials; ``{stage.NAME}`` is the folder
            of a stage.
        trial: the program to tune.
        finalists: repeating the best trials at full length, after the budget.
        run: where, how many at once and for how long.
        report: options of the report.
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


def file_model(data: Mapping[str, Any] | None = None) -> type[StudyFile]:
    """The model of a study file, with the tables of batch systems.

    Args:
        data: the file; batch systems of other packages are loaded only if it names them. None:
            with those of all installed packages.

    Raises:
        InvalidInput: such a package cannot be used.
    """
    if data is None:
        return _file_model(tuple(installed()))
    run = data.get("run")
    named = [*run, run.get("on")] if isinstance(run, Mapping) else []
    others = {name for name in named if isinstance(name, str)} - {*RunConfig.model_fields, *OWN}
    return _file_model(tuple(sorted(name for name in others if name in installed())))


@cache
def _file_model(further: tuple[str, ...]) -> type[StudyFile]:
    kinds = dict(SETTINGS) | {name: settings_of(name) for name in further}
    tables: dict[str, Any] = {}
    for name, kind in kinds.items():
        if name in RunConfig.model_fields:
            raise InvalidInput(f"launcher {name!r} of another package: 'run.{name}' is taken")
        what = f"settings of every job on {TITLES.get(name, name)}."
        tables[name] = (kind | None, Field(default=None, description=what))
    run = create_model("RunConfig", __base__=RunConfig, __doc__=RunConfig.__doc__, **tables)
    of_run: Any = (run, Field(default_factory=run))
    return create_model("StudyFile", __base__=StudyFile, __doc__=StudyFile.__doc__, run=of_run)
