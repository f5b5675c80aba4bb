"""The study file that a directory keeps: frozen when the study begins, compared when it goes on."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from dsice.errors import InvalidInput, OtherStudy
from dsice.grid import Axis, Grid
from dsice.launch.job import write_atomically
from dsice.study.config import StudyConfig, parse
from dsice.study.directory import StudyDirectory, write_json


def require_same(
    old: StudyConfig, new: StudyConfig, directory: Path, done_stages: Collection[str] = ()
) -> None:
    """Check that ``new`` may go on with the results of ``old``.

    Name, grid with its rule and ratios, goal, search, seed and the commands of ``done_stages`` must
    be the same. The budget, how many run at once, time limits, retries, the trial's command and the
    report may change.

    Raises:
        OtherStudy: something differs that may not; the message says what.
    """
    stages = [
        (
            f"command of stage {name!r}",
            old.stages[name].command,
            getattr(new.stages.get(name), "command", None),
        )
        for name in done_stages
    ]
    for what, before, after in (
        ("name", old.name, new.name),
        ("grid", _axes(old.grid), _axes(new.grid)),
        ("rule 'allowed'", _rule(old.grid), _rule(new.grid)),
        ("'only_ratios_of'", old.grid.only_ratios_of, new.grid.only_ratios_of),
        ("goal", str(old.goal), str(new.goal)),
        ("search", old.search, new.search),
        ("search option", dict(old.search_options), dict(new.search_options)),
        ("seed", old.seed, new.seed),
        *stages,
    ):
        if before != after:
            raise OtherStudy(
                f"{directory} holds the study {old.name!r} with another {what}: "
                f"{_difference(before, after)}. Choose another directory, or "
                "change it back"
            )


def _axes(grid: Grid) -> dict[str, Axis]:
    return {axis.name: axis for axis in grid.axes}


def _rule(grid: Grid) -> str | None:
    # A function cannot be kept, nor compared: studies from Python answer for their own.
    return grid.rule if isinstance(grid.rule, str) else None


def _difference(before: object, after: object) -> str:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *after]:
            if before.get(key) != after.get(key):
                return f"{key}: {_brief(before.get(key))} there, {_brief(after.get(key))} here"
        return f"order {_brief(list(before))} there, {_brief(list(after))} here"
    return f"{_brief(before)} there, {_brief(after)} here"


def _brief(value: object) -> str:
    if isinstance(value, tuple):
        value = [getattr(each, "text", each) for each in value]
    text = "none" if value is None else str(value)
    return text if len(text) < 100 else text[:97] + "..."


def freeze(config: StudyConfig, directory: StudyDirectory) -> None:
    """Keep a copy of the study file, and where it lay, in the study's directory."""
    write_json(directory.source_file, {"folder": str(config.folder)})
    write_atomically(directory.study_file, config.text)


def load_frozen(directory: StudyDirectory) -> StudyConfig:
    """The configuration that `freeze` kept.

    Raises:
        InvalidInput: the copy is missing or damaged.
    """
    try:
        folder = Path(json.loads(directory.source_file.read_text())["folder"])
        text = directory.study_file.read_text(encoding="utf-8")
    except (OSError, ValueError, KeyError, TypeError):
        raise InvalidInput(
            f"{directory.path} holds a journal, but its study.toml or source.json is missing"
        ) from None
    return parse(text, folder, str(directory.study_file))
