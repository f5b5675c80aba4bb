from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import vl_convert

from dsice.report.facts import Facts
from dsice.report.figures import Figures
from dsice.report.job_figures import slots_figure
from dsice.report.themes import THEMES
from dsice.report.timeline import Timeline
from tests.dsice.stories import DEMO, demo_story

if TYPE_CHECKING:
    from tests.dsice.stories import Story, Tell

BARE = """
name = "bare"
{goal}
[grid]
a = {{ choice = ["<b>", "l"] }}
b = [1, 2, 3]
[trial]
command = ["run"]
"""
UP = BARE.format(goal='maximize = "gain"\nsubject_to = ["heat >= 2", "heat <= 8", "cost < 5"]')
FREE = BARE.format(goal='minimize = "gain"')


def measure(story: Story, *results: dict[str, float]) -> None:
    """Trials of these metrics, one after another; an empty one fails."""
    story.session()
    for k, metrics in enumerate(results):
        trial = story.propose((k % 2, k % 3))
        started = story.begin(trial)
        story.now += 10
        if metrics:
            story.end(trial, started, metrics)
        else:
            story.end(trial, started, verdict="failed", kind="exit code", reason="exit code 1")


def steps(spec: dict[str, Any]) -> list[list[dict[str, float]]]:
    return [
        layer["data"]["values"]
        for layer in spec["layer"]
        if layer["mark"].get("style") == "frontier"
    ]


@pytest.mark.parametrize("theme", THEMES)
def test_every_figure_compiles_without_a_warning(
    demo: Story, theme: str, capfd: pytest.CaptureFixture[str]
) -> None:
    demo.now += 3600
    demo.session()
    demo.begin(demo.propose((1, 1, 1, 1)))
    demo.now += 10
    demo.begin(demo.propose((1, 1, 1, 2)))
    figures = list(Figures.of(demo.study))
    assert [figure.name for figure in figures] == [
        *("bound-b0", "progress", "axis-0", "axis-1", "axis-2", "axis-3", "slots", "running"),
        "parallel",
    ]
    for figure in figures:
        svg = vl_convert.vegalite_to_svg(figure.spec, config=THEMES[theme], show_warnings=True)
        assert svg.startswith("<svg")
    assert capfd.readouterr().err == ""


def test_figures_of_all_kinds_of_axes_and_bounds_compile(
    tell: Tell, capfd: pytest.CaptureFixture[str]
) -> None:
    story = tell(UP)
    measure(
        story,
        {"gain": 3, "heat": 5, "cost": 4},
        {"gain": 9, "heat": 9, "cost": 4},
        {},
        {"gain": 1, "heat": 1, "cost": 9},
    )
    for figure in Figures.of(story.study):
        vl_convert.vegalite_to_svg(figure.spec, config=THEMES["light"], show_warnings=True)
    assert capfd.readouterr().err == ""


def test_the_frontier_is_the_best_attainable_at_each_bound(tell: Tell) -> None:
    story = tell(BARE.format(goal='minimize = "gain"\nsubject_to = ["heat <= 3"]'))
    measure(
        story,
        {"gain": 5, "heat": 2},
        {"gain": 6, "heat": 2.5},
        {"gain": 3, "heat": 4},
        {"gain": 7, "heat": 1},
        {},
    )
    (figure,) = Figures.of(story.study).bounds
    (line,) = steps(figure.spec)
    assert [(p["b0"], p["y"]) for p in line[:-1]] == [(1, 7), (2, 5), (4, 3)]
    assert line[-1]["y"] == 3
    assert line[-1]["b0"] > 4


def test_a_frontier_keeps_the_other_bounds_and_runs_from_its_own_side(tell: Tell) -> None:
    story = tell(UP)
    measure(
        story,
        {"gain": 3, "heat": 5, "cost": 4},
        {"gain": 4, "heat": 3, "cost": 4},
        {"gain": 50, "heat": 4, "cost": 9},
    )
    heat, cost = Figures.of(story.study).bounds
    at_least, at_most = steps(heat.spec)
    assert [(p["b0"], p["y"]) for p in at_least[:-1]] == [(5, 3), (3, 4)]
    assert [(p["b0"], p["y"]) for p in at_most[:-1]] == [(3, 4)]
    assert [(p["b2"], p["y"]) for p in steps(cost.spec)[0][:-1]] == [(4, 4), (9, 50)]
    assert "other bounds kept" in heat.note


def test_progress_steps_where_the_best_changed(tell: Tell) -> None:
    story = tell(FREE)
    measure(story, {"gain": 5}, {"gain": 7}, {}, {"gain": 2}, {"gain": 2})
    (figure,) = Figures.of(story.study).progress
    (line,) = steps(figure.spec)
    assert [(p["order"], p["y"]) for p in line] == [(1, 5), (4, 2), (5.5, 2)]
    assert "failed" in figure.note


def test_no_bound_no_figure_of_bounds(tell: Tell) -> None:
    story = tell(FREE)
    measure(story, {"gain": 5})
    figures = Figures.of(story.study)
    assert figures.bounds == ()
    assert len(figures.axes) == 2


def test_what_lies_outside_the_picture_is_said(tell: Tell) -> None:
    story = tell(FREE)
    measure(story, *({"gain": 1 + k / 10} for k in range(9)), {"gain": 1e6})
    (figure,) = Figures.of(story.study).progress
    assert "1 point far from the others lies outside the picture." in figure.note


@pytest.mark.parametrize("rows", [1, 10, 100])
def test_of_many_jobs_short_ones_are_drawn_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    story = demo_story(tmp_path, DEMO.replace("parallel = 2", "parallel = 20"), 300)
    timeline = Timeline.of(story.study)
    each = slots_figure(timeline).spec["layer"][0]["data"]["values"]
    assert len(each) == len(timeline.spans) == 302
    monkeypatch.setattr("dsice.report.job_figures._MANY", 100)
    monkeypatch.setattr("dsice.report.job_figures._ROWS", rows)
    figure = slots_figure(timeline)
    bars = figure.spec["layer"][0]["data"]["values"]
    drawn = {bar["slot"] for bar in bars}
    assert len(drawn) <= rows
    assert len(bars) <= 2 * 100  # at most one bar begins in a column, or is longer than one
    for slot in drawn:
        mine = [bar for bar in bars if bar["slot"] == slot]
        alone = [bar for bar in each if bar["slot"] == slot]
        assert (mine[0]["begin"], mine[-1]["end"]) == (alone[0]["begin"], alone[-1]["end"])
        assert all(a["end"] <= b["begin"] for a, b in itertools.pairwise(mine))
        told = [int(bar["tip"].split()[0]) if "jobs in" in bar["tip"] else 1 for bar in mine]
        assert sum(told) == len(alone)
    assert ("of 20 slots" in figure.note) == (rows < 20)
    domain = figure.spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert drawn <= set(domain)
    assert figure.spec["height"] > 0


def test_without_measurements_only_jobs_are_drawn(tell: Tell) -> None:
    assert list(Figures.of(tell(FREE).study)) == []
    story = tell(FREE)
    measure(story, {}, {})
    assert [figure.name for figure in Figures.of(story.study)] == ["slots", "running"]


def test_bounds_without_limits_judge_nobody(tell: Tell) -> None:
    story = tell(
        BARE.format(goal='minimize = "gain"\nsubject_to = ["heat <= stage.first.heat"]')
        + '[stage.first]\ncommand = ["first"]'
    )
    measure(story, {"gain": 5, "heat": 1})
    facts = Facts.of(story.study)
    assert facts.best is None
    assert facts.within(story.study.trials[0]) is None
    assert len(Figures.of(story.study).bounds) == 1


def test_a_stage_without_the_metric_of_a_bound_is_a_problem_to_tell(tell: Tell) -> None:
    story = tell()
    story.session()
    story.stage("pretrain", 5, {"psnr": 20})
    facts = Facts.of(story.study)
    assert not facts.settled
    assert "stage.pretrain.rmse" in facts.problem


def test_figures_are_data_that_json_can_hold(demo: Story) -> None:
    for figure in Figures.of(demo.study):
        assert json.loads(json.dumps(figure.spec, allow_nan=False)) == figure.spec


def test_trials_are_described_where_one_points(demo: Story) -> None:
    best = demo.study.best
    assert best is not None
    text = Facts.of(demo.study).describe(best)
    assert text.startswith(f"Trial {best.number}: best\nniqe: ")
    assert f"w_vgg = {best.params['w_vgg']:g}" in text
