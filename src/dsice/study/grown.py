"""Changes of the grid, rule or goal of a study with results: which are possible.

Results are identified by parameter values, and stay valid as long as the grid has all of these
values. Levels may be added, ranges widened, and axes added with their value so far (``was = 0``).
Removed levels with measurements stay in the grid as excluded (`dsice.Axis.retired`): the search
learns from their results, but no longer proposes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.grid import Axis, Grid, Params, Value
from dsice.study.command import shown
from dsice.study.config import StudyConfig
from dsice.study.task import Status

if TYPE_CHECKING:
    from dsice.study.state import Study


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a study file.

    Attributes:
        fingerprints: of the new file.
        what: the changes, as sentences.
    """

    fingerprints: dict[str, str]
    what: tuple[str, ...]


def change_of(study: Study, new: StudyConfig) -> tuple[StudyConfig, tuple[str, ...]]:
    """``new`` with a grid that has all measured levels, and the changes in words.

    Raises:
        InvalidInput: a result of the study does not fit into it; the message names the first.
    """
    old = study.config
    words: list[str] = []
    if study.sources and (
        (old.grid, old.goal.exact, old.beliefs) != (new.grid, new.goal.exact, new.beliefs)
    ):
        raise InvalidInput(
            "it learns from other studies, so grid, goal and beliefs stay as they are"
        )
    if old.grid != new.grid:
        if study.by_index:
            raise InvalidInput("its journal is of format 1, and its grid stays as it is")
        new = _on(_grown(study, new.grid), new)
        words += _grid_words(old.grid, new.grid)
        if isinstance(new.grid.rule, str | None) and old.grid.rule != new.grid.rule:
            words.append(f"rule 'allowed': {new.grid.rule or 'none'}")
        words = words or ["the order of parameters or levels, or how they are written"]
    if old.goal.exact != new.goal.exact:
        _require_metrics(study, new.goal)
        words.append(f"goal: {old.goal} before, {new.goal} now")
    if old.beliefs != new.beliefs:
        words.append("what is expected of the parameters")
    return new, tuple(words)


def with_retired(
    config: StudyConfig, retired: Mapping[str, Sequence[Value]], levels: Mapping[str, Any]
) -> StudyConfig:
    """A configuration whose grid has levels that its file no longer has, as excluded."""
    if not retired:
        return config
    axes = [
        axis.with_(levels[axis.name], retired=retired[axis.name]) if axis.name in retired else axis
        for axis in config.grid.axes
    ]
    return _on(_with_axes(config.grid, axes), config)


def why_without_points(why: bytes) -> bytes:
    """The reasons of a proposal, without the level indices of the old grid."""
    if not why:
        return why
    facts = json.loads(why)
    for key in ("through", "direction", "best"):
        facts.pop(key, None)
    return json.dumps(facts).encode()


def _on(grid: Grid, config: StudyConfig) -> StudyConfig:
    """``config`` on a grid that has all its levels and others, which shift their indices."""
    first = tuple(grid.point(config.grid.params(point)) for point in config.first)
    return replace(config, grid=grid, first=first)


def _with_axes(grid: Grid, axes: Sequence[Axis]) -> Grid:
    return Grid(axes, grid.rule, grid.only_ratios_of)


def _params(study: Study) -> Iterator[tuple[str, Params]]:
    """The parameters of everything measured or pending, each with its name for people."""
    for trial in study.trials:
        yield f"trial {trial.number}", trial.params
    for known in study.known:
        yield f"the result {known.named}", known.params


def _grown(study: Study, grid: Grid) -> Grid:
    before = {axis.name: axis for axis in study.config.grid.axes}
    after = {axis.name: axis for axis in grid.axes}
    for name in before:
        if name not in after:
            raise InvalidInput(f"parameter {name!r} is missing")
    for name, axis in after.items():
        if name not in before and axis.was is None:
            raise InvalidInput(
                f"parameter {name!r} is new: say which level it had so far, was = "
                f"{shown(axis.levels[0])}"
            )
        if name in before and axis.ordered != before[name].ordered:
            raise InvalidInput(f"parameter {name!r} is a choice on one side only")
    measured: dict[str, set[Value]] = {name: set() for name in before}
    for _, params in _params(study):
        for name, value in params.items():
            measured[name].add(value)
    axes = [_merged(axis, before.get(axis.name), measured) for axis in grid.axes]
    grown = _with_axes(grid, axes)
    for where, params in _params(study):
        try:
            grown.point(params)
        except InvalidInput as error:
            raise InvalidInput(f"{where} has no place in the grid: {error}") from None
    return grown


def _merged(axis: Axis, before: Axis | None, measured: Mapping[str, set[Value]]) -> Axis:
    """An axis with measured levels that it no longer has merged into its own, in order."""
    gone = [
        level
        for level in (before.levels if before is not None else ())
        if level not in axis.levels and level in measured[axis.name]
    ]
    if not gone:
        return axis
    levels: list[Value] = [*axis.levels, *gone]
    numbers = [v for v in levels if isinstance(v, int | float) and not isinstance(v, bool)]
    if axis.ordered and len(numbers) == len(levels):
        own = [v for v in axis.levels if isinstance(v, int | float)]
        for reverse in (False, True):
            if own == sorted(own, reverse=reverse):
                levels = list(sorted(numbers, reverse=reverse))
                break
    return axis.with_(levels, retired=gone)


def _grid_words(old: Grid, new: Grid) -> Iterator[str]:
    before = {axis.name: axis for axis in old.axes}
    for axis in new.axes:
        was = before.get(axis.name)
        if was is None:
            yield f"parameter {axis.name!r} was added; it was {shown(axis.was or 0)} so far"
            continue
        left, there = axis.proposed, was.proposed
        added = [shown(level) for level in left if level not in there]
        gone = [shown(level) for level in there if level not in left]
        if added:
            yield f"{axis.name}: {_some(added)} added"
        if gone:
            yield f"{axis.name}: {_some(gone)} removed"
        if axis.when != was.when:
            yield f"{axis.name}: it applies when {axis.when or 'anything'}"


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - 5} more" if len(texts) > 6 else ""
    return ", ".join(texts[:5] if more else texts) + more


def _require_metrics(study: Study, goal: Goal) -> None:
    for trial in study.with_status(Status.DONE):
        if (missing := goal.missing(trial.metrics)) is not None:
            raise InvalidInput(
                f"the goal reads {missing!r}, which trial {trial.number} did not return"
            )
    for known in study.known:
        if known.status is Status.DONE and (missing := goal.missing(known.metrics)) is not None:
            raise InvalidInput(f"the goal reads {missing!r}, which {known.named} does not have")
