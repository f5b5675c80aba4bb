from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import vl_convert

from dsice.launch.job import JobSpec, Kind, Outcome
from dsice.launch.simulated import SimulatedLauncher, VirtualClock
from dsice.report.board import Board
from dsice.report.explained import Explained, why_of
from dsice.report.facts import Facts
from dsice.report.themes import THEMES
from dsice.study.config import parse
from dsice.study.directory import StudyDirectory
from dsice.study.driver import Driver
from dsice.study.frozen import freeze
from dsice.study.journal import Journal
from dsice.study.state import Study

if TYPE_CHECKING:
    from tests.dsice.stories import Tell

STUDY = """
name = "explained"
minimize = "y"
subject_to = ["z <= 9"]
[grid]
a = { integers = [0, 9] }
b = { geometric = [1, 128], step = 2 }
c = { choice = ["x", "<b>"] }
[trial]
command = ["true", "{a}", "{b}", "{c}"]
[run]
parallel = 2
trials = 24
"""


def program(spec: JobSpec) -> tuple[Outcome, float]:
    a, b, c = int(spec.command[1]), float(spec.command[2]), spec.command[3]
    y = (a - 6) ** 2 + abs(b - 16) / 8 + 2 * (c == "x") * (a > 3)
    return Outcome(Kind.OK, metrics={"y": y, "z": a}, exit_code=0), 60.0


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """A study that the search really drove, in virtual time."""
    place = StudyDirectory.at(tmp_path_factory.mktemp("study"))
    config = parse(STUDY, place.path)
    freeze(config, place)
    clock = VirtualClock()
    with Journal(place.journal, clock.now) as journal:
        study = Study(config, place)
        launcher = SimulatedLauncher(clock, program)
        Driver(study, config.run, journal, launcher, clock, lambda study: None).run()
    return Facts.of(Study.open(place.path))


def layers(spec: object) -> list[dict[str, object]]:
    assert isinstance(spec, dict)
    return list(spec["layer"])


def test_all_figures_compile_without_a_warning(
    facts: Facts, capfd: pytest.CaptureFixture[str]
) -> None:
    found = Explained.of(Board.of(facts))
    figures = [*found.line, *found.walk, *found.effects, *found.pairs]
    assert len(found.effects) == 3
    assert len(found.pairs) == 2
    for theme in THEMES.values():
        for figure in figures:
            svg = vl_convert.vegalite_to_svg(figure.spec, config=theme, show_warnings=True)
            assert svg.startswith("<svg")
    assert capfd.readouterr().err == ""
    assert json.loads(json.dumps([f.spec for f in figures], allow_nan=False))


def test_a_line_shows_what_was_measured_on_it(facts: Facts) -> None:
    lines = 0
    for trial in facts.study.trials:
        found = why_of(facts, trial.number)
        assert found["why"]
        if found["line"] is None:
            continue
        lines += 1
        points = layers(found["line"])[2]["data"]
        assert isinstance(points, dict)
        own = [row for row in points["values"] if row["trial"] == trial.number]
        if own:  # a line on which violations were expected has no objectives
            assert [row["value"] for row in own] == [trial.metrics["y"]]
            assert own[0]["group"] == "this trial"
    assert lines >= 3


def test_the_walk_ends_at_the_best(facts: Facts) -> None:
    (walk,) = Explained.of(Board.of(facts)).walk
    cells = layers(walk.spec)[0]["data"]
    assert isinstance(cells, dict)
    assert facts.best is not None
    last = [row for row in cells["values"] if row["trial"] == facts.best.number]
    assert [row["axis"] for row in last] == ["a", "b", "c"]


def test_without_results_nothing_is_explained(tell: Tell) -> None:
    story = tell()
    assert Explained.of(Board.of(Facts.of(story.study))) == Explained()
    story.session()
    story.begin(story.propose((0, 0, 0, 0)))  # its bound waits for a stage
    found = why_of(Facts.of(story.study), 1)
    assert found["line"] is None
    assert json.loads(json.dumps(found))
