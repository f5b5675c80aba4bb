"""The results of another study of dsice."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsice.errors import InvalidInput
from dsice.exchange.formats import READERS, guess
from dsice.exchange.match import Matched, match
from dsice.exchange.wishes import Wishes
from dsice.study.config import parse
from dsice.study.known import Result, add_known, unknown
from dsice.study.state import Study
from tests.dsice.exchange.reading import found
from tests.dsice.stories import Story

OLD = """
name = "old"
maximize = "speed"
[grid]
tile = [8, 16, 32]
layout = { choice = ["aos", "soa"] }
time = { linear = [0, 1], step = 0.1 }
[trial]
command = ["run"]
"""

# Another name, goal, order of axes and levels, levels that are written otherwise, one axis more.
NEW = """
name = "new"
minimize = "seconds"
[grid]
time = [0.9, 0.3, 0.1]
layout = { choice = ["soa", "aos", "aosoa"] }
tile = [64.0, 32.0, 16.0]
unroll = [1, 2]
[trial]
command = ["run"]
"""


def old(directory: Path, text: str = OLD) -> Study:
    """Five trials: three have ended, one of them badly, one runs, one waits; and a known result."""
    story = Story(text, directory)
    story.write()
    story.session()
    metrics = [{"speed": 1.0, "seconds": 3.0, "time": 2.0}, None, {"speed": 2.0, "seconds": 1.0}]
    for point, each in zip([(1, 0, 3), (2, 1, 1), (0, 0, 1)], metrics, strict=True):
        task = story.propose(point)
        verdict = "failed" if each is None else "done"
        story.end(task, story.begin(task), each, verdict=verdict, reason="" if each else "broke")
    story.begin(story.propose((0, 1, 1)))
    story.propose((2, 0, 1))
    result = Result((1, 1, 9), {"speed": 9.0, "seconds": 0.5}, "", "line 2")
    add_known(story.study.config, directory, [result], "t.csv")
    return Study.open(directory)


def read(place: Path, text: str, **wishes: object) -> Matched:
    config = parse(text, place)
    source = READERS[guess(str(place))](str(place), config, None)
    return match(source, config.grid, config.goal, Wishes(**wishes))  # type: ignore[arg-type]


def test_another_grid_is_met_by_values(tmp_path: Path) -> None:
    old(tmp_path / "old")
    with pytest.raises(InvalidInput, match=r"old has no param 'unroll': .*unroll=VALUE if it"):
        read(tmp_path / "old", NEW)
    matched = read(tmp_path / "old", NEW, params={"unroll": "2"})
    assert found(matched) == [
        ((0, 0, 2, 1), {"seconds": 0.5, "speed": 9.0}),
        ((1, 1, 2, 1), {"seconds": 3.0, "speed": 1.0, "time": 2.0}),
        ((2, 0, 1, 1), "broke"),
    ]
    assert [r.where for r in matched.results] == ["known from t.csv, line 2", "trial 1", "trial 2"]
    assert matched.left_out == {
        "parameter 'tile' has no such level": (1, "trial 3: 8"),
        "it has not ended": (2, "trial 4"),
    }


def test_a_parameter_that_was_dropped_must_not_matter(tmp_path: Path) -> None:
    old(tmp_path / "old")
    fewer = OLD.replace("tile = [8, 16, 32]\n", "")
    with pytest.raises(
        InvalidInput, match="a parameter 'tile' that this study has not, with 3 val"
    ):
        read(tmp_path / "old", fewer)
    matched = read(tmp_path / "old", fewer, ignored=frozenset({"tile"}))
    assert [point for point, _ in found(matched)] == [(1, 9), (0, 3), (1, 1), (0, 1)]


def test_its_own_results_are_known(tmp_path: Path) -> None:
    study = old(tmp_path / "old")
    matched = read(tmp_path / "old", OLD)
    assert len(matched.results) == 4
    assert unknown(study, matched.results) == []
    again = old(tmp_path / "again")
    assert unknown(again, matched.results) == []


def test_what_is_no_study_or_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"holds no study: give the directory"):
        read(tmp_path, OLD)
    Story(OLD, tmp_path / "none").write()
    with pytest.raises(InvalidInput, match=r"none has no results yet"):
        read(tmp_path / "none", OLD)
