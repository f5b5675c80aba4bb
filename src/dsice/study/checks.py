"""Checking conditions between the keys of a study file, and interpreting their values.

Each function raises an `InvalidInput` that names the key.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.grid import Axis, Grid, Value, check_name
from dsice.launch import patterns
from dsice.launch.output import finite
from dsice.launch.usage import BUILT_IN
from dsice.search import DEFAULT_SEARCH, FRONT_SEARCHES, SEARCHES, make_search
from dsice.study import command, templates
from dsice.study.problems import shown
from dsice.study.program_table import CommandConfig, MetricConfig
from dsice.study.run_table import HOOKS, RunConfig
from dsice.study.tables import RANGES, Level, Range, StudyFile


def require_no_swallowed(file: StudyFile) -> None:
    """Check that no top-level key is inside a table that accepts any name.

    In TOML, a line belongs to the last ``[table]`` above it: ``search = "random"`` below
    ``[paths]`` is a path named ``search``.
    """
    top = set(StudyFile.model_fields) - _TABLES
    program = set(CommandConfig.model_fields)
    open_tables: dict[str, tuple[Collection[str], set[str]]] = {"[paths]": (file.paths, top)}
    programs = {f"stage.{name}": stage for name, stage in file.stage.items()}
    for name, config in (programs | {"trial": file.trial}).items():
        open_tables[f"[{name}.env]"] = (config.env, top | program)
        open_tables[f"[{name}.files]"] = (config.files, top | program)
        open_tables[f"[{name}.metrics]"] = (config.metrics, top | program)
    for table, (keys, elsewhere) in open_tables.items():
        for key in keys:
            if key in elsewhere:
                where = "the first [table]" if key in top else table
                raise InvalidInput(
                    f"{table} {key}: this is a key of its own, and must stand above {where}"
                )


_TABLES: Final = {"paths", "grid", "stage", "trial", "run", "report"}


@contextmanager
def within_key(key: str, unless: str = "") -> Iterator[None]:
    """Prefix errors raised inside with the key, unless the message names the key ``unless``."""
    try:
        yield
    except InvalidInput as error:
        if unless and unless in str(error):
            raise
        raise InvalidInput(f"key {key!r}: {error}") from None


def paths_of(entries: Mapping[str, str], grid: Grid, folder: Path) -> dict[str, Path]:
    """Resolve ``[paths]``, relative to the study file's folder; ``~`` is the home folder."""
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


def search_of(entry: str | dict[str, Any], grid: Grid, goal: Goal) -> tuple[str, dict[str, Any]]:
    """Name and options from ``search = "name"`` or ``{ name = "...", option = ... }``."""
    options = {"name": entry} if isinstance(entry, str) else dict(entry)
    accepted = f"accepted are {', '.join(SEARCHES)}"
    if "name" not in options:
        raise InvalidInput(f"key 'search.name' is missing: {accepted}")
    name = options.pop("name")
    if not isinstance(name, str) or name not in SEARCHES:
        raise InvalidInput(f"key 'search' = {shown(name)}: {accepted}")
    for key in ("grid", "goal", "seed", "capacity", "sources"):
        if key in options:
            raise InvalidInput(f"key 'search': {key!r} is no option of a search")
    if "beliefs" in options:
        raise InvalidInput(
            "key 'search.beliefs': a study file has them in [grid]: expect = ... or weights = "
            "[...] in a parameter's table"
        )
    if goal.swept and name not in FRONT_SEARCHES:
        raise InvalidInput(
            f"key 'search' = {name!r}: of several objectives it looks for one; accepted are "
            f"{', '.join(FRONT_SEARCHES)}"
        )
    if options:  # creating a search loads SciPy, which takes longer than most commands
        try:
            make_search(name, grid, Goal(minimize="any"), **options)
        except InvalidInput as error:
            raise InvalidInput(f"key 'search': {error}") from None
    return name, options


def check_fields(
    config: CommandConfig, known: list[str], where: str, paths: Collection[str]
) -> None:
    """Check that a program's argument list, environment and files use known fields only.

    Args:
        config: of the program.
        known: the fields that exist.
        where: the table, for messages: ``[trial]``.
        paths: the names in ``[paths]``, which paths of templates may use.
    """
    for argument in config.command:
        within(f"{where} command", argument, known)
    for key, value in config.env.items():
        within(f"{where} env.{key}", value, known)
    for target, source in config.files.items():
        within(f"{where} files {target!r}", source, ["study", *paths])
        try:
            templates.check_target(target)
        except InvalidInput as error:
            raise InvalidInput(f"{where} files: {error}") from None


def check_hooks(run: RunConfig, grid: Grid, paths: Collection[str]) -> None:
    """Check the fields of the hooks, the programs that are called on events of the study."""
    always = ["study", "directory", "name", "text", *paths]
    of_trial = ["trial", "value", "dir", "params", *grid.names]
    for event in HOOKS:
        known = [*always, *of_trial] if event == "on_best" else always
        for argument in getattr(run, event):
            within(f"[run] {event}", argument, known)


def check_metrics(config: CommandConfig, table: str) -> None:
    """Check the definitions of metrics in a program's output, and test them on their samples."""
    for name, entry in config.metrics.items():
        key = f"key '{table}.metrics.{name}'"
        if name.startswith("$"):
            raise InvalidInput(f"{key}: names with $ are those of built-in metrics; choose another")
        if isinstance(entry, str) and _BUILT_IN.fullmatch(entry):
            check_built_in(entry, key)
            continue
        metric = MetricConfig(pattern=entry) if isinstance(entry, str) else entry
        with _of(key):
            patterns.check(metric.pattern)
            if metric.file:
                templates.check_target(metric.file)
            if metric.sample is not None:
                patterns.sample_value(metric.as_pattern(), metric.sample)
    if (pattern := config.progress.pattern) is not None:
        with _of(f"key '{table}.progress.pattern'"):
            patterns.check_named(pattern)
            if config.progress.sample is not None:
                patterns.sample_entry(pattern, config.progress.sample)
    elif config.progress.sample is not None:
        raise InvalidInput(f"key '{table}.progress.sample': there is no pattern to try on it")


_BUILT_IN: Final = re.compile(r"\$[A-Za-z_]*")


def check_built_in(name: str, where: str) -> None:
    """Check that a name that begins with ``$`` is a built-in metric."""
    if name not in BUILT_IN:
        close = difflib.get_close_matches(name, BUILT_IN, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise InvalidInput(
            f"{where}: there is no built-in metric {name!r}: {hint}accepted are "
            f"{', '.join(BUILT_IN)}"
        )


@contextmanager
def _of(key: str) -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"{key}: {error}") from None


def require_whole_options(config: CommandConfig, grid: Grid, flags: Collection[str]) -> None:
    """Check that omitting the value of a conditional parameter leaves no option without a value.

    A parameter in ``flags`` is an option itself.

    Raises:
        InvalidInput: ``"--momentum", "{momentum}"`` are two items of a command.
    """
    absent = {f"{{{grid.names[axis]}}}" for axis in grid.whens} - {f"{{{name}}}" for name in flags}
    for option, value in itertools.pairwise(config.command):
        if value in absent and option.startswith("-") and "{" not in option:
            raise InvalidInput(
                f"[trial] command: {value} is left out where the parameter does not apply, and "
                f"{option!r} would stand alone: write them as one item, '{option}={value}'"
            )


def within(where: str, text: str, known: list[str]) -> None:
    """Check that a text uses only known fields; ``where`` names it in messages."""
    try:
        command.check(text, known)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None


def axis_of(name: str, entry: list[Level] | Range, kept: Sequence[Value] = ()) -> Axis:
    """Create an axis from a list of levels, or from a table that defines them.

    A continuous range has the levels ``kept`` if they are such of it.
    """
    if isinstance(entry, list):
        return Axis(name, entry)
    axis = _axis_of(name, entry)
    if axis.scale and kept and entry.levels in (None, len(kept)):
        ends = (axis.levels[0], axis.levels[-1])
        axis = axis.with_(kept) if (kept[0], kept[-1]) == ends else axis
    return axis if entry.was is None else axis.with_(was=entry.was)


def _axis_of(name: str, entry: Range) -> Axis:
    kinds = [k for k in RANGES if getattr(entry, k)]
    listed = entry.choice if entry.choice is not None else entry.values
    if listed is not None and not listed:
        raise InvalidInput(f"axis {name!r} has no levels: at least one is needed")
    if len(kinds) != 1:
        raise InvalidInput(
            f"give a list of levels, or a table with one of {', '.join(RANGES)}; found "
            f"{', '.join(kinds) or 'none of them'}"
        )
    kind, when, levels, step = kinds[0], entry.when, entry.levels, entry.step
    if kind in ("choice", "values", "flag"):
        if levels is not None or step is not None:
            raise InvalidInput(f"{kind} has neither levels nor step")
        return Axis(name, listed or [False, True], ordered=kind != "choice", when=when)
    if kind in ("range", "log"):
        if step is not None:
            raise InvalidInput("a continuous range takes no step: give its number of levels")
        ends = entry.range or entry.log or (0, 0)
        return (Axis.range if entry.range else Axis.log)(name, *ends, levels=levels, when=when)
    if entry.integers is not None:
        whole = step is None or float(step).is_integer()
        if levels is not None or not whole:
            raise InvalidInput("integers take a whole step, and no levels")
        return Axis.integers(name, *entry.integers, step=int(step or 1), when=when)
    if entry.linear is not None:
        return Axis.linear(name, *entry.linear, levels=levels, step=step, when=when)
    assert entry.geometric is not None
    return Axis.geometric(name, *entry.geometric, levels=levels, step=step, when=when)


def check_progress(file: StudyFile, grid: Grid, search: str, metrics: Sequence[str]) -> None:
    """Check the settings for stopping trials early; ``metrics`` are those of the goal.

    Raises:
        InvalidInput: they are for a program that is never stopped, or name an unknown parameter or
            metric.
    """
    for name, stage in file.stage.items():
        if stage.progress.full is not None:
            raise InvalidInput(f"[stage.{name}.progress] full: only trials are ended early")
        if stage.progress.metrics:
            raise InvalidInput(f"[stage.{name}.progress] metrics: only trials are ended early")
    for metric in file.trial.progress.metrics:
        if metric not in metrics:
            raise InvalidInput(
                f"[trial.progress] metrics: {metric!r} is no metric of the goal, which has "
                f"{', '.join(metrics)}"
            )
    full = file.trial.progress.full
    if full is None:
        return
    if search != DEFAULT_SEARCH:
        raise InvalidInput(
            f"[trial.progress] full: only search {DEFAULT_SEARCH!r} ends trials early, and this is "
            f"{search!r}"
        )
    if isinstance(full, str):
        axis = next((axis for axis in grid.axes if axis.name == full), None)
        if axis is None:
            raise InvalidInput(
                f"[trial.progress] full = {full!r}: there is no such parameter; there are "
                f"{', '.join(grid.names)}"
            )
        if axis.when is not None:
            raise InvalidInput(f"[trial.progress] full = {full!r}: it is conditional")
        levels = axis.levels
        if not all(isinstance(v, int | float) and finite(v) and v > 0 for v in levels):
            raise InvalidInput(
                f"[trial.progress] full = {full!r}: its levels must be positive numbers"
            )
