"""Pictures that the study file names, embedded in the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dsice.files import read_regular
from dsice.grid import Value
from dsice.report.facts import Facts
from dsice.study import command
from dsice.study.directory import TaskFolder
from dsice.study.spec import folder_fields
from dsice.text import plain

LARGEST: Final = 4_000_000
"""Most bytes of one picture."""
MOST: Final = 16_000_000
"""Most bytes of all pictures together."""

_OF_A_TRIAL: Final = ("dir", "params")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in the page.

    Attributes:
        caption: text below it.
        uri: its content as a ``data:`` URI.
    """

    caption: str
    uri: str


@dataclass(frozen=True, slots=True)
class Row:
    """Pictures side by side.

    Attributes:
        title: text above them; may be empty.
        pictures: the readable pictures.
        missing: a sentence about each unreadable one.
    """

    title: str
    pictures: tuple[Picture, ...]
    missing: tuple[str, ...]


class _Unreadable(Exception):
    """A picture cannot be shown; the message says why."""


def picture_rows(facts: Facts) -> list[Row]:
    """The rows of ``[[report.pictures]]``; unreadable pictures are listed and never an error.

    Fields of a trial, such as ``{dir}``, refer to the best one, as does ``{best}``.
    """
    values = _values(facts)
    left = MOST
    rows = []
    for row in facts.study.config.report.pictures:
        pictures, missing = [], []
        for caption, template in row.files.items():
            try:
                kind, content = _read(_place(template, values, facts), left)
            except _Unreadable as error:
                missing.append(f"{plain(caption, 100)}: {error}")
                continue
            left -= len(content)
            encoded = base64.b64encode(content).decode("ascii")
            pictures.append(Picture(plain(caption, 200), f"data:image/{kind};base64,{encoded}"))
        rows.append(Row(plain(row.title, 200), tuple(pictures), tuple(missing)))
    return rows


def _values(facts: Facts) -> dict[str, Value]:
    study, best = facts.study, facts.best
    if best is None:
        values = folder_fields(study, TaskFolder(study.directory.path))
        return {name: value for name, value in values.items() if name not in _OF_A_TRIAL}
    values = folder_fields(study, best.folder) | best.params
    values |= {"result": str(best.job.metrics_file), "progress": str(best.job.progress)}
    return values | {"best": str(best.folder.work)}


def _place(template: str, values: dict[str, Value], facts: Facts) -> Path:
    if not set(command.fields(template)) <= values.keys():
        raise _Unreadable("there is no best trial yet")
    return facts.study.config.folder / command.fill(template, values)


def _read(path: Path, most: int) -> tuple[str, bytes]:
    """The kind and the content of a picture."""
    shown = plain(str(path), 300)
    try:
        if not path.is_file():
            raise _Unreadable(f"there is no file {shown}")
        size = path.stat().st_size
        if size > min(LARGEST, most):
            limit = LARGEST if size > LARGEST else MOST
            whose = "one picture" if size > LARGEST else "all together"
            raise _Unreadable(f"{shown} is too large (at most {limit // 1_000_000} MB for {whose})")
        content = read_regular(path)
    except (OSError, ValueError) as error:
        raise _Unreadable(f"cannot read {shown}: {error}") from None
    kind = _kind(content)
    if kind is None:
        raise _Unreadable(f"{shown} is no PNG, JPEG, GIF or WebP picture")
    return kind, content


def _kind(content: bytes) -> str | None:
    """The type of a picture by its first bytes, as names prove nothing and SVG may run scripts."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if content.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "webp"
    return None
