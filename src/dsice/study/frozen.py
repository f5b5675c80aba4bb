"""The copy of the study file in the directory: made at the beginning, compared on resumption."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from dsice.errors import DamagedStudy, InvalidInput, OtherStudy
from dsice.files import SMALL, read_regular, write_atomically
from dsice.grid import Axis, Value
from dsice.study import learned
from dsice.study.config import StudyConfig, load, parse
from dsice.study.directory import StudyDirectory, write_json
from dsice.study.events import Changed, Header
from dsice.study.grown import Change, change_of, with_retired
from dsice.study.journal import Lines
from dsice.study.learned import Learned

_LARGEST: Final = 100_000_000  # bytes of source.json, for a million levels
_SOURCES: Final = "sources"
_BELIEFS: Final = "beliefs"  # expected levels and weights

if TYPE_CHECKING:
    from dsice.study.state import Study


def accepted(
    study: Study, new: StudyConfig, done_stages: Collection[str] = ()
) -> tuple[StudyConfig, Change | None]:
    """The configuration with which a study continues if its file is now ``new``.

    Beliefs may change; grid, rule and goal may as far as `change_of` accepts it; everything else
    that `require_same` compares must be the same.

    Returns:
        The configuration, whose grid has all measured levels, and the changes of beliefs, grid,
        rule and goal; None if there are none.

    Raises:
        OtherStudy: something differs that must not; the message says what.
    """
    old, directory = study.config, study.directory.path
    require_same(old, new, directory, done_stages, but=_GROWS)
    try:
        grown, words = change_of(study, new)
    except InvalidInput as error:
        raise OtherStudy(
            f"{directory} holds the study {old.name!r}, whose results do not fit: {error}. Choose "
            "another directory, or change it back"
        ) from None
    before, after = fingerprints(old), fingerprints(grown)
    return grown, Change(after, words) if before != after else None


_GROWS: Final = frozenset({"grid", "order of the parameters", "rule 'allowed'", "goal", _BELIEFS})


def require_same(
    old: StudyConfig,
    new: StudyConfig,
    directory: Path,
    done_stages: Collection[str] = (),
    but: Collection[str] = (),
) -> None:
    """Check that ``new`` may continue with the results of ``old``.

    Name, grid with its rule and ratios, goal, search, seed and the commands of ``done_stages`` must
    be the same, except for those in ``but``. The budget, how many run at once, time limits,
    retries, the trial's command and the report may change.

    Raises:
        OtherStudy: something differs that must not; the message says what.
    """
    before, after = _identity(old), _identity(new)
    for what in but:
        del before[what]
    for name in done_stages:
        what = f"command of stage {name!r}"
        before[what] = old.stages[name].command
        after[what] = new.stages[name].command if name in new.stages else None
    for what, value in before.items():
        if value != after[what]:
            raise OtherStudy(
                f"{directory} holds the study {old.name!r} with another {what}: "
                f"{_difference(value, after[what])}. Choose another directory, or "
                "change it back"
            )


def require_same_sources(study: Study, places: tuple[str, ...] | Literal["auto"]) -> None:
    """Check that a resumed study has the sources with which it began, or names none.

    Raises:
        OtherStudy: it names other sources.
    """
    before = tuple(source.name for source in study.sources)
    if places and places != "auto" and places != before:
        names = ", ".join(before) if before else "no source"
        raise OtherStudy(
            f"{study.directory.path} began to learn from {names}, and is now to learn from "
            f"{', '.join(places)}: sources are read when a study begins. Choose another "
            "directory, or 'dsice import' results of the same program"
        )


def fingerprints(config: StudyConfig, sources: Sequence[Learned] = ()) -> dict[str, str]:
    """A digest of each part of a study that must not change, for its journal."""
    found = {
        what: hashlib.sha256(json.dumps(part, default=_plain).encode()).hexdigest()[:16]
        for what, part in _identity(config).items()
        if part or what != _BELIEFS  # journals without have no word of them
    }
    return found | ({_SOURCES: learned.digest(sources)} if sources else {})


def header_of(study: Study) -> Header:
    """The header that this version writes to the journal of a study, with a new id."""
    return Header.new(study.config.name, fingerprints(study.config, study.sources))


def require_fingerprints(study: Study) -> None:
    """Check that the study file in a directory is the one with which its journal began.

    Raises:
        DamagedStudy: it is a different one.
    """
    now = fingerprints(study.config, study.sources)
    for what, digest in study.fingerprints.items():
        if now.get(what) != digest and what == _SOURCES:
            raise DamagedStudy(
                f"{study.directory.learned} is not what the study began with: bring the file of "
                "then back"
            )
        if now.get(what) != digest:
            raise DamagedStudy(
                f"{study.directory.study_file} has another {what} than the study that "
                f"{study.directory.journal.name} began with: bring the file of then back"
            )


def _identity(config: StudyConfig) -> dict[str, Any]:
    """The parts that identify a study, by their names for people."""
    grid = config.grid
    return {
        "name": config.name,
        "grid": {axis.name: axis for axis in grid.axes},
        "order of the parameters": list(grid.names),
        # Functions can be neither stored nor compared: studies from Python check their own.
        "rule 'allowed'": grid.rule if isinstance(grid.rule, str) else None,
        "'only_ratios_of'": list(grid.only_ratios_of),
        "goal": config.goal.exact,
        "search": config.search,
        "search option": dict(config.search_options),
        "seed": config.seed,
        _BELIEFS: {name: list(belief.items()) for name, belief in config.beliefs.items()},
    }


def _plain(value: object) -> object:
    if isinstance(value, Axis):
        # Axes without conditions and retired levels keep the form of versions before these existed.
        more = [value.when, list(value.retired)] if value.retired else [value.when]
        return [list(value.levels), value.ordered, *(more if value.when or value.retired else [])]
    raise TypeError(f"no plain data: {value!r}")


def _difference(before: object, after: object) -> str:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *after]:
            if before.get(key) != after.get(key):
                return f"{key}: {_brief(before.get(key))} there, {_brief(after.get(key))} here"
    return f"{_brief(before)} there, {_brief(after)} here"


def _brief(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) < 100 else text[:97] + "..."


def freeze(config: StudyConfig, directory: StudyDirectory) -> None:
    """Copy the study file and its location to the study's directory."""
    write_json(directory.source_file, _source(config, directory))
    write_atomically(directory.study_file, config.text)
    directory.next_file.unlink(missing_ok=True)


def announce(config: StudyConfig, directory: StudyDirectory) -> None:
    """Store a changed study file beside the valid one until its event is in the journal.

    From then on it is the valid one, and `freeze` replaces the other: a driver that is killed at
    any moment leaves either the old study or the new one.
    """
    write_json(directory.next_file, {**_source(config, directory), "text": config.text})


def _source(config: StudyConfig, directory: StudyDirectory) -> dict[str, Any]:
    # For a study from Python, this finds its function even in a copied directory.
    folder = "." if config.folder == directory.path else str(config.folder)
    axes = config.grid.axes
    found: dict[str, Any] = {
        # Those of ranges, in case another version of dsice chooses others.
        "levels": {a.name: list(a.levels) for a in axes if a.retired or a.scale is not None},
        "retired": {a.name: list(a.retired) for a in axes if a.retired},
    }
    return {"folder": folder, **{key: axes for key, axes in found.items() if axes}}


def load_frozen(directory: StudyDirectory) -> StudyConfig:
    """Load the configuration that `freeze` stored.

    Raises:
        InvalidInput: the copy is missing or damaged.
    """
    try:
        source = json.loads(read_regular(directory.source_file, _LARGEST))
        folder = directory.path / source["folder"]
        text = read_regular(directory.study_file, SMALL).decode()
        if directory.next_file.exists():
            following = json.loads(read_regular(directory.next_file, _LARGEST))
            if (found := _if_it_counts(following, directory)) is not None:
                return found
        return _parsed(text, folder, directory.study_file, source)
    except InvalidInput:
        raise
    except OSError as error:
        raise InvalidInput(
            f"{directory.path} holds a journal, but {error.filename} cannot be read: "
            f"{error.strerror}"
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidInput(
            f"{directory.path} holds a journal, but its study.toml or source.json is damaged"
        ) from None


def _if_it_counts(following: dict[str, Any], directory: StudyDirectory) -> StudyConfig | None:
    """The study file that `announce` stored, if the newest change event refers to it."""
    folder = directory.path / following["folder"]
    config = _parsed(following["text"], folder, directory.next_file, following)
    newest = None
    for event in Lines(directory.journal):
        if isinstance(event, Changed):
            newest = event.fingerprints
    return config if newest == fingerprints(config) else None


def _parsed(text: str, folder: Path, file: Path, source: Mapping[str, Any]) -> StudyConfig:
    """A study file with the levels and the retired levels that `_source` stored."""
    levels, retired = source.get("levels", {}), source.get("retired", {})
    own = {
        name: [level for level in each if level not in retired.get(name, ())]
        for name, each in levels.items()
    }
    return with_retired(parse(text, folder, str(file), own), retired, levels)


def kept_levels(text: str, directory: StudyDirectory) -> dict[str, tuple[Value, ...]]:
    """The levels of continuous ranges that the study in ``directory`` began with.

    Only of those that the study file ``text`` defines in the same way: another version of dsice
    may choose other levels for them.
    """
    try:
        if not directory.journal.exists():
            return {}
        begun = load_frozen(directory)
        before, now = (tomllib.loads(each)["grid"] for each in (begun.text, text))
    except (InvalidInput, OSError, ValueError, KeyError):  # reported by whoever needs the file
        return {}
    return {
        axis.name: axis.proposed
        for axis in begun.grid.axes
        if axis.scale and _range(before[axis.name]) == _range(now.get(axis.name))
    }


def _range(entry: object) -> object:
    """What an entry of ``[grid]`` says of the levels of a continuous range."""
    return [entry.get(key) for key in ("range", "log", "levels")] if isinstance(entry, dict) else 0


def load_for(path: Path, directory: Path | None) -> tuple[StudyConfig, Path]:
    """Read a study file, and say where its study is: by default in ``runs/NAME``.

    Continuous ranges have the levels with which a study there began, see `kept_levels`.

    Raises:
        InvalidInput: it cannot be read, or a value is not accepted.
    """
    config = load_study_file(path)
    directory = directory or Path("runs") / config.name
    kept = kept_levels(config.text, StudyDirectory.at(directory))
    if any(axis.proposed != kept.get(axis.name, axis.proposed) for axis in config.grid.axes):
        config = parse(config.text, config.folder, str(path), kept)
    return config, directory


def load_study_file(path: Path) -> StudyConfig:
    """Read and check a study file; the copy in a study's directory is equivalent to the original.

    Raises:
        InvalidInput: it cannot be read, or a value is not accepted.
    """
    directory = StudyDirectory.at(path.parent)
    is_frozen = path.resolve() == directory.study_file and directory.journal.exists()
    return load_frozen(directory) if is_frozen else load(path)
