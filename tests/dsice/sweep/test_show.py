"""What ``dsice sweep`` prints, in terminals of any width."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from dsice.sweep.answer import answer_of
from dsice.sweep.show import show
from dsice.swept import Swept
from tests.dsice.stories import Story

STUDY = """
name = "sweep"
{sense} = "y"
[grid]
a = {{ integers = [0, 9] }}
b = {{ integers = [0, 3] }}
[trial]
command = ["run"]
"""


def printed(
    directory: Path,
    y: Callable[[int], float],
    width: int,
    *,
    sense: str = "minimize",
    bound: str = "z",
    z: Callable[[int], float] = float,
) -> list[str]:
    """The lines for a study in which ``y`` and ``z`` are functions of one parameter."""
    story = Story(STUDY.format(sense=sense), directory)
    story.session()
    for k in range(40):
        trial = story.propose((k % 10, k // 10))
        started = story.begin(trial)
        story.now += 10
        story.end(trial, started, {"y": y(k % 10), "z": z(k % 10)})
    answer = answer_of(story.study, Swept.parse(bound))
    assert answer is not None
    console = Console(file=io.StringIO(), width=width)
    show(answer, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def rows(lines: list[str]) -> list[list[str]]:
    """The cells of the table's rows."""
    (rule,) = (k for k, line in enumerate(lines) if "──" in line)
    end = next(k for k in range(rule + 1, len(lines)) if not lines[k].strip())
    return [line.split() for line in lines[rule + 1 : end]]


@pytest.mark.parametrize("sense", ["minimize", "maximize"])
@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_every_row_is_one_line(tmp_path: Path, sense: str, width: int) -> None:
    sign = 1 if sense == "minimize" else -1
    lines = printed(tmp_path, lambda a: sign * (100.0 - a**2), width, sense=sense)
    assert max(map(len, lines)) <= width
    found = rows(lines)
    assert len(found) == 10  # of a dozen bounds, for ten points of the front
    limits = [float(cells[0]) for cells in found]
    assert limits == sorted(limits)
    assert ("o is the best known" in " ".join(lines)) == (width == 120)
    assert all(cells[1] for cells in found)
    head = lines[next(k for k, line in enumerate(lines) if "──" in line) - 1]
    assert [name in head for name in ("trial", "may gain")] == [width > 40] * 2


def test_a_constant_is_one_row(tmp_path: Path) -> None:
    assert len(rows(printed(tmp_path, lambda a: 5.0, 100))) == 1
    assert len(rows(printed(tmp_path, lambda a: 5.0 - a, 100, z=lambda a: 2.0))) == 1
    # The same best at every bound of a range is one row, whose bounds are a range.
    (cells,) = rows(printed(tmp_path, lambda a: 5.0, 100, bound="z 0:9"))
    assert cells[:5] == ["0", "to", "9", "5", "1"]
