"""The function of a study started from Python, and checking that it is still the same."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dsice.errors import OtherStudy
from dsice.files import SMALL, read_regular, write_atomically
from dsice.fingerprint import VERSION
from dsice.study.directory import StudyDirectory, write_json


@dataclass(frozen=True, slots=True)
class Function:
    """A function to tune.

    Attributes:
        pickled: what `dsice.study.call` calls.
        parts: its fingerprint, see `dsice.fingerprint.fingerprint`.
        accept_change: whether results of another version of it count.
    """

    pickled: bytes
    parts: Mapping[str, str] = field(default_factory=dict)
    accept_change: bool = False


def keep_function(place: StudyDirectory, function: Function, ended: int) -> None:
    """Store the function in the directory of its study, whose lock the caller holds.

    Records each version that has results: its fingerprint, and the number of trials before it.

    Args:
        place: the directory.
        function: the present one.
        ended: number of trials that have ended there.

    Raises:
        OtherStudy: they belong to another version of the function, which is not accepted.
    """
    versions = _versions(place) if ended else []
    now = {"python": VERSION, "parts": dict(function.parts)}
    if ended:
        changed = _changed(versions[-1] if versions else {}, now)
        if changed and not function.accept_change:
            raise OtherStudy(
                f"{place.path} holds results of another version of the function (its {changed} "
                "has changed). Choose another directory, or let these results count with "
                "dsice.tune(..., changed='accept')"
            )
        if changed is None and not function.accept_change:
            warnings.warn(
                f"{place.path} holds results, and whether the function has changed since cannot be "
                "told: if it has, choose another directory",
                stacklevel=2,
            )
    if not versions or any(versions[-1].get(key) != value for key, value in now.items()):
        versions.append({**now, "time": time.time(), "trials_before": ended})
        write_json(place.function_versions, versions)
    write_atomically(place.function, function.pickled)


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first part that differs; empty if none does, None if unknown."""
    old, new = before.get("parts"), now["parts"]
    if before.get("python") != now["python"] or not old or not new:
        return None
    return next((part for part in [*new, *old] if old.get(part) != new.get(part)), "")


def _versions(place: StudyDirectory) -> list[dict[str, Any]]:
    try:
        found = json.loads(read_regular(place.function_versions, SMALL))
    except (OSError, ValueError):  # written by an earlier version of dsice, or damaged
        return []
    if isinstance(found, list) and all(isinstance(each, dict) for each in found):
        return found
    return []
