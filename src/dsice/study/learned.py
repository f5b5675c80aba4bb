"""Transfer from earlier studies: their results, read once and stored in the study's directory.

`learned.json` has each source's name, grid and results. The study keeps using these, even if the
sources change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from dsice.errors import DamagedStudy, InvalidInput
from dsice.files import read_regular, write_atomically
from dsice.goal import Metrics
from dsice.grid import Axis, Grid, Point
from dsice.study.directory import StudyDirectory
from dsice.text import one_line

_LONGEST = 200_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Learned:
    """The results of one source.

    Attributes:
        name: for people.
        grid: its points, without the rule.
        results: points with their metrics, None if the measurement failed.
    """

    name: str
    grid: Grid
    results: tuple[tuple[Point, Metrics | None], ...]

    @property
    def given(self) -> tuple[Grid, Sequence[tuple[Point, Metrics | None]], str]:
        """The source in the form for `dsice.make_search`."""
        return self.grid, self.results, self.name

    def __str__(self) -> str:
        failed = sum(metrics is None for _, metrics in self.results)
        text = f"{self.name} ({len(self.results)} results"
        return one_line(text + (f", {failed} of them failures)" if failed else ")"))


def freeze(directory: StudyDirectory, sources: Sequence[Learned]) -> None:
    """Store the sources of a new study."""
    write_atomically(directory.learned, _text(sources))


def load(directory: StudyDirectory) -> tuple[Learned, ...]:
    """Load the sources with which a study began; empty if there are none.

    Raises:
        DamagedStudy: they cannot be read.
    """
    try:
        text = read_regular(directory.learned, _LONGEST).decode()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedStudy(f"{directory.learned} cannot be read: {error}") from None
    try:
        return tuple(_source(each) for each in json.loads(text)["sources"])
    except (ValueError, KeyError, TypeError, RecursionError, InvalidInput) as error:
        raise DamagedStudy(f"{directory.learned} is damaged: {error}") from None


def digest(sources: Sequence[Learned]) -> str:
    """A short hash of the sources."""
    return hashlib.sha256(_text(sources).encode()).hexdigest()[:16]


def line(sources: Sequence[Learned]) -> str:
    """One line that names the sources; empty if there are none."""
    return f"Learns from {', '.join(map(str, sources))}." if sources else ""


def _text(sources: Sequence[Learned]) -> str:
    facts = [
        {
            "name": source.name,
            "grid": [
                {"name": axis.name, "levels": axis.levels, "ordered": axis.ordered}
                for axis in source.grid.axes
            ],
            "results": [
                [list(point), None if metrics is None else dict(metrics)]
                for point, metrics in source.results
            ],
        }
        for source in sources
    ]
    return json.dumps({"sources": facts}) + "\n"


def _source(facts: dict[str, object]) -> Learned:
    name, axes, results = facts["name"], facts["grid"], facts["results"]
    if not isinstance(name, str) or not isinstance(axes, list) or not isinstance(results, list):
        raise TypeError("a source has a name, a grid and results")
    grid = Grid([Axis(a["name"], a["levels"], ordered=a["ordered"]) for a in axes])
    return Learned(name, grid, tuple((tuple(point), metrics) for point, metrics in results))
