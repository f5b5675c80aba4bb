"""Reading and checking the study file: what to tune, how, where and for how long."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import ValidationError

from dsice.errors import InvalidInput
from dsice.files import read_regular
from dsice.goal import Bound, Goal
from dsice.grid import Grid, Point, Value
from dsice.search import DEFAULT_SEARCH
from dsice.study.beliefs import Belief, belief_of, for_search
from dsice.study.checks import (
    axis_of,
    check_built_in,
    check_fields,
    check_hooks,
    check_metrics,
    check_progress,
    paths_of,
    require_no_swallowed,
    require_whole_options,
    search_of,
    within,
    within_key,
)
from dsice.study.first import points_of, setting_of
from dsice.study.problems import first_problem, option_problem
from dsice.study.program_table import CommandConfig, FinalistsConfig, TimesMedian
from dsice.study.run_table import RunConfig
from dsice.study.tables import First, Range, ReportConfig, StudyFile, file_model

_LONGEST: Final = 2_000_000  # bytes of a study file; room for a million levels
_COMMON_FIELDS: Final = ("study", "dir", "result", "progress")


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """A checked study file.

    Attributes:
        name: of the study.
        grid: the points.
        flags: the arguments of flags, by parameter.
        goal: objective and bounds; a bound may wait for the result of a stage.
        first: points that are measured before anything else; the first one is the baseline.
        learn_from: sources of results of related programs, as in `StudyFile`.
        search: name of the search.
        search_options: of that search, by name.
        beliefs: for parameters by name, weights of their levels.
        seed: of the search.
        paths: files and folders that the programs need, by the names of their fields; absolute.
        stages: programs that run once, in order, before the trials.
        trial: the program of a trial.
        finalists: the program of the best trials at full length, or None.
        run: where and how much.
        report: options of the report.
        folder: the study file's folder, absolute: the field ``{study}``.
        text: the unchanged text of the file.
        notes: values that were interpreted differently from what is written, as sentences.
    """

    name: str
    grid: Grid
    flags: Mapping[str, str]
    goal: Goal
    first: tuple[Point, ...]
    learn_from: tuple[str, ...] | Literal["auto"]
    search: str
    search_options: Mapping[str, Any]
    seed: int
    paths: Mapping[str, Path]
    stages: Mapping[str, CommandConfig]
    trial: CommandConfig
    finalists: FinalistsConfig | None
    run: RunConfig
    report: ReportConfig
    folder: Path
    text: str
    notes: tuple[str, ...] = ()
    beliefs: Mapping[str, Belief] = field(default_factory=dict)

    @property
    def told(self) -> dict[str, Any]:
        """What the search is told besides grid, goal and seed: its options, and beliefs.

        Where only time is limited, not the number of trials, these are to be worth their time.
        """
        options = dict(self.search_options)
        is_timed = self.run.hours is not None or self.run.job_hours is not None
        if self.search == DEFAULT_SEARCH and is_timed and self.run.trials is None:
            options.setdefault("durations", True)
        if self.beliefs:
            options["beliefs"] = for_search(self.grid, self.beliefs)
        return options


def load(path: Path) -> StudyConfig:
    """Read and check a study file.

    Raises:
        InvalidInput: it cannot be read, or is invalid; the message names the file, the key, the
            value and what is accepted.
    """
    try:
        text = read_regular(path, _LONGEST).decode()
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InvalidInput(f"cannot read study file {str(path)!r}: {what}") from None
    return parse(text, path.resolve().parent, str(path))


def parse(
    text: str,
    folder: Path,
    source: str = "study file",
    levels: Mapping[str, Sequence[Value]] = MappingProxyType({}),
) -> StudyConfig:
    """Check the text of a study file.

    Args:
        text: the file.
        folder: of the file.
        source: its name in messages.
        levels: of continuous ranges by parameter, as chosen when the study began; others are
            chosen now.

    Raises:
        InvalidInput: the file is invalid.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{source}: not a TOML file: {error}") from None
    try:
        model = file_model(data)
        return _checked(model.model_validate(data), folder, text, levels)
    except ValidationError as error:
        raise InvalidInput(f"{source}: {first_problem(error, model)}") from None
    except InvalidInput as error:
        raise InvalidInput(f"{source}: {error}") from None


def with_budget(
    config: StudyConfig,
    *,
    on: str | None = None,
    parallel: int | None = None,
    trials: int | None = None,
    hours: float | None = None,
    job_hours: float | None = None,
) -> StudyConfig:
    """``config`` with another launcher or budget, if given.

    Raises:
        InvalidInput: a value is not accepted.
    """
    given: dict[str, Any] = {"on": on, "parallel": parallel, "trials": trials}
    given |= {"hours": hours, "job_hours": job_hours}
    changed = {key: value for key, value in given.items() if value is not None}
    model = type(config.run)
    try:
        run = model.model_validate(config.run.model_dump(exclude_unset=True) | changed)
    except ValidationError as error:
        raise InvalidInput(option_problem(error, model)) from None
    return _batch_checked(replace(config, run=run))


def with_first(config: StudyConfig, settings: Sequence[str]) -> StudyConfig:
    """``config`` with settings, written as ``lr=1e-3,layout=aos``, measured before all others.

    Raises:
        InvalidInput: a setting cannot be parsed, or is not a point of the grid.
    """
    notes: list[str] = []
    points = points_of(config.grid, [setting_of(text) for text in settings], tell=notes.append)
    first = tuple(dict.fromkeys([*points, *config.first]))
    return replace(config, first=first, notes=(*notes, *config.notes))


def with_sources(config: StudyConfig, places: Sequence[str], no_learn: bool) -> StudyConfig:
    """``config`` with further sources to learn from, or with none at all.

    Raises:
        InvalidInput: both are requested.
    """
    if no_learn and places:
        raise InvalidInput("--learn-from and --no-learn: give one of them")
    if no_learn:
        return replace(config, learn_from=())
    if "auto" in places and len(places) == 1:
        return replace(config, learn_from="auto")
    if not places:
        return config
    here = [str(Path(place).absolute()) if "://" not in place else place for place in places]
    given = () if config.learn_from == "auto" else config.learn_from
    return replace(config, learn_from=(*given, *here))


def _checked(
    file: StudyFile, folder: Path, text: str, levels: Mapping[str, Sequence[Value]]
) -> StudyConfig:
    require_no_swallowed(file)
    axes = []
    beliefs: dict[str, Belief] = {}
    for name, entry in file.grid.items():
        with within_key(f"grid.{name}"):
            axes.append(axis_of(name, entry, levels.get(name, ())))
            belief = belief_of(axes[-1], entry) if isinstance(entry, Range) else None
            if belief is not None:
                beliefs[name] = belief
    with within_key("allowed", unless="only_ratios_of"):
        grid = Grid(axes, file.allowed, file.only_ratios_of)
    with within_key("subject_to"):
        for text_of_bound in file.subject_to:
            Bound.parse(text_of_bound)
    goal = Goal(
        minimize=file.minimize,
        maximize=file.maximize,
        subject_to=file.subject_to,
        of_repeats=file.of_repeats,
    )
    first = First(settings=file.first) if isinstance(file.first, list) else file.first
    search, options = search_of(file.search, grid, goal)
    if file.learn_from and search != DEFAULT_SEARCH:
        raise InvalidInput(
            f"key 'learn_from': the search {search!r} learns nothing; only {DEFAULT_SEARCH!r} does"
        )
    if beliefs and search != DEFAULT_SEARCH:
        raise InvalidInput(
            f"key 'grid.{next(iter(beliefs))}': the search {search!r} has no use for what is "
            f"expected; only {DEFAULT_SEARCH!r} does"
        )
    for bound in goal.bounds:
        if unknown := sorted(bound.stages - set(file.stage)):
            raise InvalidInput(
                f"key 'subject_to': bound {bound.text!r}: there is no stage {unknown[0]!r}"
            )
    paths = paths_of(file.paths, grid, folder)
    known = [*_COMMON_FIELDS, *paths]
    for name, stage in file.stage.items():
        if not name.isidentifier():
            raise InvalidInput(f"[stage.{name}]: a stage is named with letters, digits and _")
        check_fields(stage, known, f"[stage.{name}]", paths)
        check_metrics(stage, f"stage.{name}")
        if isinstance(stage.timeout, TimesMedian):
            raise InvalidInput(f"[stage.{name}] timeout: only trials have a median")
        known.append(f"stage.{name}")
    known += ["params", *grid.names]
    pictured = [*known, "best"]
    known += ["slot"] if "slot" not in known else []
    check_fields(file.trial, known, "[trial]", paths)
    check_metrics(file.trial, "trial")
    check_hooks(file.run, grid, paths)
    for metric in goal.metrics:
        if metric.startswith("$"):
            check_built_in(metric, "the goal")
    check_progress(file, grid, search, goal.metrics)
    if file.finalists is not None:
        check_fields(file.finalists, [*known, "trial"], "[finalists]", paths)
        check_metrics(file.finalists, "finalists")
        if goal.swept:
            raise InvalidInput("[finalists]: of several objectives there is no best few")
    flags = {
        name: entry.flag
        for name, entry in file.grid.items()
        if isinstance(entry, Range) and entry.flag is not None
    }
    require_whole_options(file.trial, grid, flags)
    for row in file.report.pictures:
        for caption, path in row.files.items():
            within(f"[[report.pictures]] {caption!r}", path, pictured)
    notes: list[str] = []
    checked = StudyConfig(
        name=file.name,
        grid=grid,
        flags=flags,
        goal=goal,
        first=points_of(grid, first.settings, first.nearest, notes.append),
        learn_from="auto" if file.learn_from == "auto" else tuple(file.learn_from),
        search=search,
        search_options=options,
        seed=file.seed,
        paths=paths,
        stages=file.stage,
        trial=file.trial,
        finalists=file.finalists,
        run=file.run,
        report=file.report,
        folder=folder,
        text=text,
        notes=tuple(notes),
        beliefs=beliefs,
    )
    return _batch_checked(checked)


def _batch_checked(config: StudyConfig) -> StudyConfig:
    """Return ``config`` after checking that its jobs have all settings that the system needs."""
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
