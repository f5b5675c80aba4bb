"""What tests of imports share: a study, and what it is told by a file with some content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dsice.exchange.formats import READERS, guess
from dsice.exchange.match import Matched, match
from dsice.exchange.wishes import Wishes
from dsice.study.config import StudyConfig, parse

STUDY = """
name = "small"
minimize = "loss"
[grid]
lr = [0.001, 0.01, 0.1]
flag = { choice = [true, false] }
[trial]
command = ["run"]
"""


def small(folder: Path, text: str = STUDY) -> StudyConfig:
    """A study with parameters lr and flag that minimizes loss."""
    return parse(text, folder)


def told(config: StudyConfig, content: str | bytes, name: str = "t.csv", **wishes: Any) -> Matched:
    """What a file with this content tells the study."""
    file = config.folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    wishes["ignored"] = frozenset(wishes.get("ignored", ()))
    source = READERS[guess(name)](str(file), config, None)
    return match(source, config.grid, config.goal, Wishes(**wishes))


def found(matched: Matched) -> list[Any]:
    """Of each result its point, and its metrics or why it failed."""
    return [(r.point, r.reason if r.metrics is None else dict(r.metrics)) for r in matched.results]
