"""The study file of a study from Python: what a call of `dsice.tune` means in TOML."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.grid import Axis, Grid


def name_from(text: str) -> str:
    """A valid name of a study, as similar to ``text`` as possible."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:100] or "study"


def study_text(
    grid: Grid | Mapping[str, Any],
    goal: Goal,
    top: Mapping[str, Any],
    trial: Mapping[str, Any],
    run: Mapping[str, Any],
    beliefs: Mapping[str, Sequence[float]] | None = None,
) -> str:
    """The text of the study file that is equivalent to a call of `dsice.tune`.

    Args:
        grid: the grid, or the ``[grid]`` table of a study file.
        goal: objectives and bounds.
        top: further keys of the file, ``None`` for those that are not given.
        trial: further keys of ``[trial]``, likewise.
        run: keys of ``[run]``, likewise.
        beliefs: weights of levels by parameter, from `weights_of`.

    Raises:
        InvalidInput: the grid is neither, or a value has no place in TOML.
    """
    python = sys.executable.replace("{", "{{").replace("}", "}}")
    command = [python, "-m", "dsice.study.call", "{study}/function.pkl", "{params}"]
    senses: dict[str, list[str]] = {}
    for metric, sense in goal.objectives:
        senses.setdefault(sense, []).append(metric)
    several = len(goal.objectives) > 1
    objectives = {key: names if several else names[0] for key, names in senses.items()}
    rule: dict[str, Any] = {}
    axes: Mapping[str, Any]
    if isinstance(grid, Grid):
        rule["allowed"] = grid.rule if isinstance(grid.rule, str) else None
        rule["only_ratios_of"] = list(grid.only_ratios_of) or None
        axes = {axis.name: _levels(axis, (beliefs or {}).get(axis.name)) for axis in grid.axes}
    elif isinstance(grid, Mapping):
        axes = {str(name): _plain(entry) for name, entry in grid.items()}
    else:
        raise InvalidInput(f"grid = {grid!r}: a dsice.Grid, or a dict of levels by name, is needed")
    lines = ["# Written by dsice.tune()."]
    of_repeats = {"of_repeats": goal.of_repeats if goal.of_repeats != "median" else None}
    bounds = {"subject_to": list(goal.subject_to)}
    lines += _table({**top, **objectives, **bounds, **of_repeats, **rule})
    lines += ["", "[grid]", *(f"{_key(name)} = {_toml(levels)}" for name, levels in axes.items())]
    lines += ["", "[trial]", *_table({"command": command, **trial})]
    lines += ["", "[run]", *_table(run)]
    return "\n".join(lines) + "\n"


def weights_of(
    grid: Grid | Mapping[str, Any], beliefs: Mapping[str, Sequence[float]]
) -> dict[str, list[float]]:
    """Beliefs as they are in a study file.

    Raises:
        InvalidInput: the grid is no `dsice.Grid`, or has no such parameter.
    """
    if beliefs and not isinstance(grid, Grid):
        raise InvalidInput(
            "beliefs are for a dsice.Grid: a dict of levels says them itself, "
            '{"values": [8, 16], "weights": [1, 3]}'
        )
    for name in beliefs:
        if isinstance(grid, Grid) and name not in grid.names:
            raise InvalidInput(f"beliefs: there is no parameter {name!r}: {', '.join(grid.names)}")
    return {name: _plain(weights) for name, weights in beliefs.items()}


def _levels(axis: Axis, weights: Sequence[float] | None = None) -> Any:
    """The levels of an axis, in the form of a study file."""
    kind = "values" if axis.ordered else "choice"
    table: dict[str, Any] = {kind: axis.levels, "when": axis.when, "weights": weights}
    if axis.ordered and axis.when is None and weights is None:
        return axis.levels
    return {key: value for key, value in table.items() if value is not None}


def _table(entries: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in entries.items() if value is not None]


def _plain(entry: Any) -> Any:
    """Convert to plain dicts and lists, from ranges and NumPy arrays too."""
    if isinstance(entry, Mapping):
        return {key: _plain(each) for key, each in entry.items()}
    if hasattr(entry, "item") and not getattr(entry, "shape", ()):
        return entry.item()
    if hasattr(entry, "__iter__") and not isinstance(entry, str):
        return [_plain(each) for each in entry]
    return entry


def _key(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else _toml(name)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    # For the values that occur here (numbers, texts, truth values, lists), JSON is valid TOML.
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        raise InvalidInput(f"{value!r} is no number, text or truth value") from None
