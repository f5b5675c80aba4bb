"""The study file: what to tune, how, where and for how long. Read and checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema

from dsice.errors import InvalidInput
from dsice.files import read_regular
from dsice.goal import Bound, Goal
from dsice.grid import Axis, Grid, Point, check_name
from dsice.launch.make import LOCAL, SETTINGS
from dsice.launch.settings import (
    BatchSettings,
    PbsSettings,
    PjmSettings,
    Resources,
    SlurmSettings,
    Table,
    duration_schema,
)
from dsice.search import DEFAULT_SEARCH, FRONT_SEARCHES, SEARCHES, make_search
from dsice.study import command, templates
from dsice.study.first import points_of, setting_of
from dsice.study.problems import first_problem, option_problem, shown
from dsice.study.share import Share
from dsice.units import seconds

Text = Annotated[str, Field(min_length=1)]
Level = bool | int | float | str
_LONGEST: Final = 2_000_000  # bytes of a study file: a million levels can be listed


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


class CommandConfig(Table):
    """A program to run: ``[trial]`` or ``[stage.NAME]``.

    Attributes:
        command: argument list with fields, see `dsice.study.command`.
        timeout: time limit in seconds, learned from other trials, or None.
        retries: how often a failed run is tried again.
        threads: threads that numerical libraries may use; None leaves them alone.
        env: further environment variables; their values may have fields.
        files: made before the program starts: name in its working directory to the path of a
            template, which may have the fields ``{study}`` and those of paths; see
            `dsice.study.templates`.
        resources: what it needs of a batch system, where that differs from ``[run.SYSTEM]``.
    """

    command: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
    timeout: Timeout | None = None
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    threads: Annotated[int, Field(ge=1)] | None = None
    env: dict[str, str] = Field(default_factory=dict)
    files: dict[str, Text] = Field(default_factory=dict)
    resources: Resources = Resources()


class RunConfig(Table):
    """Where and how much: ``[run]``.

    Attributes:
        on: the launcher: on this machine, or the batch system whose table is read.
        parallel: most trials at once.
        trials: most trials in all, or None.
        hours: most hours of wall time in all, or None.
        share: who may read the study's directory besides its owner: ``"group"`` or ``"all"``; None:
            nobody. Nobody else may write in it.
        max_consecutive_failures: so many trials in a row that fail alike and quickly end the run:
            the machine is taken to be at fault, and they do not count. 0: they never do.
        slurm: what every job gets on Slurm.
        pjm: what every job gets on Fujitsu TCS.
        pbs: what every job gets on PBS.
    """

    on: Literal["local", "slurm", "pjm", "pbs"] = "local"
    parallel: Annotated[int, Field(ge=1, le=100_000)] = 1
    trials: Annotated[int, Field(ge=1)] | None = None
    hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    share: Share | None = None
    max_consecutive_failures: Annotated[int, Field(ge=0, le=1000)] = 5
    slurm: SlurmSettings | None = None
    pjm: PjmSettings | None = None
    pbs: PbsSettings | None = None

    @property
    def batch(self) -> BatchSettings | None:
        """The settings of the batch system; None on this machine."""
        if self.on == LOCAL:
            return None
        given: BatchSettings | None = getattr(self, self.on)
        return given or SETTINGS[self.on]()


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
    """Levels of one parameter: one of linear, geometric, integers and choice.

    Attributes:
        linear: first and last of evenly spaced levels; with levels or step.
        geometric: first and last of levels with one ratio; with levels, or with the ratio as step.
        integers: first and last of all whole numbers between, or of every step-th.
        choice: values without an order.
        levels: how many.
        step: from one level to the next.
    """

    linear: Annotated[tuple[int | float, int | float], Field(strict=False)] | None = None
    geometric: Annotated[tuple[int | float, int | float], Field(strict=False)] | None = None
    integers: Annotated[tuple[int, int], Field(strict=False)] | None = None
    choice: list[Level] | None = None
    levels: int | None = None
    step: float | None = None


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
        only_ratios_of: parameters of which only the ratios matter, such as weights of a loss:
            points that differ in them by a common factor are measured once.
        first: settings that are known to work, ``[{ lr = 1e-3, layout = "aos" }]``, measured before
            anything else; the first one is the baseline that the best is compared with. As a table
            ``{ settings = [...], nearest = true }``, numbers stand for their nearest levels.
        search: the search by name, or a table with ``name`` and its options,
            ``{ name = "dsice", tolerance = 0.01, repeats = 2 }``.
        seed: of the search's random choices.
        paths: files and folders that the programs need and that must be there, by the names of
            their fields; relative ones begin at the study file's folder.
        grid: the parameters: each a list of levels in order, or a table that says them.
        stage: programs that run once, in order, before the trials; ``{stage.NAME}`` is the folder
            of one.
        trial: the program that is tuned.
        run: where, how many at once and for how long.
        report: what the report is told.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    minimize: Text | list[Text] | None = None
    maximize: Text | list[Text] | None = None
    subject_to: list[str] = Field(default_factory=list)
    allowed: str | None = None
    only_ratios_of: list[Text] = Field(default_factory=list)
    first: list[dict[str, Any]] | First = Field(default_factory=list)
    search: str | dict[str, Any] = DEFAULT_SEARCH
    seed: Annotated[int, Field(ge=0)] = 0
    paths: dict[str, Text] = Field(default_factory=dict)
    grid: Annotated[dict[str, list[Level] | Range], Field(min_length=1)]
    stage: dict[str, CommandConfig] = Field(default_factory=dict)
    trial: CommandConfig
    run: RunConfig = Field(default_factory=RunConfig)
    report: ReportConfig = Field(default_factory=ReportConfig)


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """A study file, checked.

    Attributes:
        name: of the study.
        grid: the points.
        goal: what makes a point good; its bounds may wait for the result of a stage.
        first: points that are measured before anything else; the first one is the baseline.
        search: name of the search.
        search_options: of that search, by name.
        seed: of the search.
        paths: files and folders that the programs need, by the names of their fields; absolute.
        stages: programs that run once, in order, before the trials.
        trial: the program of a trial.
        run: where and how much.
        report: what the report shows besides.
        folder: the study file's folder, absolute: the field ``{study}``.
        text: the file as it was.
    """

    name: str
    grid: Grid
    goal: Goal
    first: tuple[Point, ...]
    search: str
    search_options: Mapping[str, Any]
    seed: int
    paths: Mapping[str, Path]
    stages: Mapping[str, CommandConfig]
    trial: CommandConfig
    run: RunConfig
    report: ReportConfig
    folder: Path
    text: str


def load(path: Path) -> StudyConfig:
    """Read and check a study file.

    Raises:
        InvalidInput: it cannot be read or meant; the message names the file, the key, the value and
            what is accepted.
    """
    try:
        text = read_regular(path, _LONGEST).decode()
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InvalidInput(f"cannot read study file {str(path)!r}: {what}") from None
    return parse(text, path.resolve().parent, str(path))


def parse(text: str, folder: Path, source: str = "study file") -> StudyConfig:
    """Check the text of a study file; ``source`` names it in messages."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{source}: not a TOML file: {error}") from None
    try:
        return _checked(StudyFile.model_validate(data), folder, text)
    except ValidationError as error:
        raise InvalidInput(f"{source}: {first_problem(error, StudyFile)}") from None
    except InvalidInput as error:
        raise InvalidInput(f"{source}: {error}") from None


def with_budget(
    config: StudyConfig,
    *,
    on: str | None = None,
    parallel: int | None = None,
    trials: int | None = None,
    hours: float | None = None,
) -> StudyConfig:
    """``config`` with another launcher or budget, where one is given.

    Raises:
        InvalidInput: a value is not accepted.
    """
    given = {"on": on, "parallel": parallel, "trials": trials, "hours": hours}
    changed = {key: value for key, value in given.items() if value is not None}
    try:
        run = RunConfig.model_validate(config.run.model_dump() | changed)
    except ValidationError as error:
        raise InvalidInput(option_problem(error, RunConfig)) from None
    return _batch_checked(replace(config, run=run))


def with_first(config: StudyConfig, settings: Sequence[str]) -> StudyConfig:
    """``config`` with settings, written as ``lr=1e-3,layout=aos``, measured before all others.

    Raises:
        InvalidInput: one cannot be read, or is no point of the grid.
    """
    points = points_of(config.grid, [setting_of(text) for text in settings])
    return replace(config, first=tuple(dict.fromkeys([*points, *config.first])))


_COMMON_FIELDS: Final = ("study", "dir", "result", "progress")


def _require_no_swallowed(file: StudyFile) -> None:
    """Check that no key of the file stands in a table below it, which would take any name.

    TOML counts a line to the last ``[table]`` above it: ``search = "random"`` below ``[paths]`` is
    a path named ``search``.
    """
    top = set(StudyFile.model_fields) - _TABLES
    program = set(CommandConfig.model_fields)
    open_tables: dict[str, tuple[Collection[str], set[str]]] = {"[paths]": (file.paths, top)}
    programs = {f"stage.{name}": stage for name, stage in file.stage.items()}
    for name, config in (programs | {"trial": file.trial}).items():
        open_tables[f"[{name}.env]"] = (config.env, top | program)
        open_tables[f"[{name}.files]"] = (config.files, top | program)
    for table, (keys, elsewhere) in open_tables.items():
        for key in keys:
            if key in elsewhere:
                where = "the first [table]" if key in top else table
                raise InvalidInput(
                    f"{table} {key}: this is a key of its own, and must stand above {where}"
                )


_TABLES: Final = {"paths", "grid", "stage", "trial", "run", "report"}


def _checked(file: StudyFile, folder: Path, text: str) -> StudyConfig:
    _require_no_swallowed(file)
    axes = []
    for name, entry in file.grid.items():
        with _within_key(f"grid.{name}"):
            axes.append(_axis(name, entry))
    with _within_key("allowed", unless="only_ratios_of"):
        grid = Grid(axes, file.allowed, file.only_ratios_of)
    with _within_key("subject_to"):
        for text_of_bound in file.subject_to:
            Bound.parse(text_of_bound)
    goal = Goal(minimize=file.minimize, maximize=file.maximize, subject_to=file.subject_to)
    first = First(settings=file.first) if isinstance(file.first, list) else file.first
    search, options = _search(file.search, grid, goal)
    for bound in goal.bounds:
        if unknown := sorted(bound.stages - set(file.stage)):
            raise InvalidInput(
                f"key 'subject_to': bound {bound.text!r}: there is no stage {unknown[0]!r}"
            )
    paths = _paths(file.paths, grid, folder)
    known = [*_COMMON_FIELDS, *paths]
    for name, stage in file.stage.items():
        if not name.isidentifier():
            raise InvalidInput(f"[stage.{name}]: a stage is named with letters, digits and _")
        _check_fields(stage, known, f"[stage.{name}]", paths)
        if isinstance(stage.timeout, TimesMedian):
            raise InvalidInput(f"[stage.{name}] timeout: only trials have a median")
        known.append(f"stage.{name}")
    known += ["params", *grid.names]
    _check_fields(file.trial, known, "[trial]", paths)
    for row in file.report.pictures:
        for caption, path in row.files.items():
            _within(f"[[report.pictures]] {caption!r}", path, [*known, "best"])
    checked = StudyConfig(
        name=file.name,
        grid=grid,
        goal=goal,
        first=points_of(grid, first.settings, first.nearest),
        search=search,
        search_options=options,
        seed=file.seed,
        paths=paths,
        stages=file.stage,
        trial=file.trial,
        run=file.run,
        report=file.report,
        folder=folder,
        text=text,
    )
    return _batch_checked(checked)


@contextmanager
def _within_key(key: str, unless: str = "") -> Iterator[None]:
    """What is refused within is what this key has, unless the message names the key ``unless``."""
    try:
        yield
    except InvalidInput as error:
        if unless and unless in str(error):
            raise
        raise InvalidInput(f"key {key!r}: {error}") from None


def _batch_checked(config: StudyConfig) -> StudyConfig:
    """``config``, if its jobs are told what its batch system must know."""
    batch = config.run.batch
    if batch is not None:
        programs = {f"[stage.{name}]": stage for name, stage in config.stages.items()}
        for where, program in (programs | {"[trial]": config.trial}).items():
            limit = program.timeout if isinstance(program.timeout, float) else None
            try:
                batch.of(program.resources.model_dump(exclude_none=True), limit)
            except InvalidInput as error:
                raise InvalidInput(f"{where}: {error}") from None
    return config


def _paths(entries: Mapping[str, str], grid: Grid, folder: Path) -> dict[str, Path]:
    """``[paths]``: relative ones begin at the study file's folder, ``~`` is the user's own."""
    paths = {}
    for name, text in entries.items():
        check_name("[paths]: name", name)
        if name in grid.names:
            raise InvalidInput(f"[paths] {name}: a parameter has this name; choose another")
        try:
            paths[name] = folder / Path(text).expanduser()
        except RuntimeError:
            raise InvalidInput(f"[paths] {name} = {text!r}: there is no such user") from None
    return paths


def _search(entry: str | dict[str, Any], grid: Grid, goal: Goal) -> tuple[str, dict[str, Any]]:
    """The name and the options in ``search = "name"`` or ``{ name = "...", option = ... }``."""
    options = {"name": entry} if isinstance(entry, str) else dict(entry)
    accepted = f"accepted are {', '.join(SEARCHES)}"
    if "name" not in options:
        raise InvalidInput(f"key 'search.name' is missing: {accepted}")
    name = options.pop("name")
    if not isinstance(name, str) or name not in SEARCHES:
        raise InvalidInput(f"key 'search' = {shown(name)}: {accepted}")
    for key in ("grid", "goal", "seed", "capacity"):
        if key in options:
            raise InvalidInput(f"key 'search': {key!r} is no option of a search")
    if goal.swept and name not in FRONT_SEARCHES:
        raise InvalidInput(
            f"key 'search' = {name!r}: of several objectives it looks for one; accepted are "
            f"{', '.join(FRONT_SEARCHES)}"
        )
    if options:  # making a search loads SciPy, which takes longer than most commands
        try:
            make_search(name, grid, Goal(minimize="any"), **options)
        except InvalidInput as error:
            raise InvalidInput(f"key 'search': {error}") from None
    return name, options


def _check_fields(
    config: CommandConfig, known: list[str], where: str, paths: Collection[str]
) -> None:
    for argument in config.command:
        _within(f"{where} command", argument, known)
    for key, value in config.env.items():
        _within(f"{where} env.{key}", value, known)
    for target, source in config.files.items():
        _within(f"{where} files {target!r}", source, ["study", *paths])
        try:
            templates.check_target(target)
        except InvalidInput as error:
            raise InvalidInput(f"{where} files: {error}") from None


def _within(where: str, text: str, known: list[str]) -> None:
    try:
        command.check(text, known)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None


def _axis(name: str, entry: list[Level] | Range) -> Axis:
    if isinstance(entry, list):
        return Axis(name, entry)
    kinds = [k for k in ("linear", "geometric", "integers", "choice") if getattr(entry, k)]
    if entry.choice is not None and not entry.choice:
        raise InvalidInput(f"axis {name!r} has no levels: at least one is needed")
    if len(kinds) != 1:
        raise InvalidInput(
            f"give a list of levels, or a table with one of linear, geometric, "
            f"integers, choice; found {', '.join(kinds) or 'none of them'}"
        )
    if entry.choice is not None:
        if entry.levels is not None or entry.step is not None:
            raise InvalidInput("a choice has neither levels nor step")
        return Axis.choice(name, entry.choice)
    if entry.integers is not None:
        whole = entry.step is None or float(entry.step).is_integer()
        if entry.levels is not None or not whole:
            raise InvalidInput("integers take a whole step, and no levels")
        return Axis.integers(name, *entry.integers, step=int(entry.step or 1))
    if entry.linear is not None:
        return Axis.linear(name, *entry.linear, levels=entry.levels, step=entry.step)
    assert entry.geometric is not None
    return Axis.geometric(name, *entry.geometric, levels=entry.levels, step=entry.step)
