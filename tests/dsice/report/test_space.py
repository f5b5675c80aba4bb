"""All parameters at once: parallel coordinates, and the surface over two of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dsice.explain.effects import effects_of
from dsice.report.board import Board
from dsice.report.facts import Facts
from dsice.report.parts import parts_of
from dsice.report.space_figures import parallel_figure, surface_figure
from tests.dsice.stories import Story

TEXT = """
name = "space"
{sense} = "y"
[grid]
a = {{ linear = [0, 8], levels = 9 }}
b = [1, 2, 4, 8, 16]
c = {{ choice = ["x", "<i>y</i>"] }}
[trial]
command = ["run"]
"""


def space(folder: Path, sense: str = "minimize", trials: int = 45) -> Story:
    """y is smallest (largest) at a = 6 and b = 4, and does not depend on c."""
    story = Story(TEXT.format(sense=sense), folder)
    story.session()
    for k in range(trials):
        point = (k % 9, (k // 9) % 5, k % 2)
        trial = story.propose(point)
        started = story.begin(trial)
        story.now += 5
        y = 10 + (point[0] - 6) ** 2 + 3 * (point[1] - 2) ** 2
        story.end(trial, started, {"y": y if sense == "minimize" else -y})
    return story


def layers(spec: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return [layer["data"]["values"] for layer in spec["layer"]]


@pytest.mark.parametrize("sense", ["minimize", "maximize"])
def test_each_trial_is_a_line_across_all_parameters(tmp_path: Path, sense: str) -> None:
    board = Board.of(Facts.of(space(tmp_path, sense).study))
    (figure,) = parallel_figure(board)
    lines, best, labels, halo, names = layers(figure.spec)
    assert len(lines) == 45 * 4
    assert [row["text"] for row in names] == ["a", "b", "c", "y"]
    assert [row["at"] for row in best[:3]] == [6 / 8, 2 / 4, 1.0 if best[2]["at"] else 0.0]
    ends = [row["at"] for row in lines if row["axis"] == 3]
    assert best[3]["at"] == max(ends)  # up is better, whatever the sense
    assert {row["rank"] for row in best} == {0.0}
    assert all(0 <= row["at"] <= 1 for row in lines)
    assert {"1", "16", "x"} <= {row["text"] for row in labels}
    assert halo == labels  # beneath them


def test_many_trials_are_drawn_within_bounds(tmp_path: Path) -> None:
    board = Board.of(Facts.of(space(tmp_path, trials=700).study))
    (figure,) = parallel_figure(board)
    assert len({row["trial"] for row in layers(figure.spec)[0]}) == 300
    assert "Drawn are 300 trials" in figure.note


@pytest.mark.parametrize("sense", ["minimize", "maximize"])
def test_the_surface_over_the_two_that_matter_most(tmp_path: Path, sense: str) -> None:
    study = space(tmp_path, sense).study
    effects = effects_of(study)
    assert effects is not None
    assert effects.joint is not None
    assert effects.joint.axes == ("a", "b")
    sign = 1 if sense == "minimize" else -1
    means = {
        (i, j): sign * value
        for i, row in enumerate(effects.joint.means)
        for j, value in enumerate(row)
    }
    assert len(means) == 45
    assert min(means, key=lambda at: means[at]) == (6, 2)
    truth = {(i, j): 10 + (i - 6) ** 2 + 3 * (j - 2) ** 2 for i, j in means}
    assert max(abs(means[at] - truth[at]) for at in means) < 4
    (figure,) = surface_figure(effects, Board.of(Facts.of(study)), log=False)
    cells, spots = layers(figure.spec)
    assert (len(cells), len(spots)) == (45, 45)
    assert spots[-1]["kind"] == "best"
    assert [row["kind"] for row in spots].count("best") == 1
    fill = figure.spec["layer"][0]["encoding"]["fill"]["scale"]
    assert fill.get("reverse", False) == (sense == "maximize")


def test_sections_of_the_page(tmp_path: Path) -> None:
    parts = parts_of(space(tmp_path).study)
    assert "All parameters at once" in parts.sections["space"]
    assert 'data-figure="surface"' in parts.sections["effects"]
    assert {"parallel", "surface"} <= parts.figures.keys()


def test_one_parameter_has_neither(tmp_path: Path) -> None:
    text = 'name = "one"\nminimize = "y"\n[grid]\na = [1, 2, 3, 4, 5, 6]\nb = [1]\n'
    story = Story(text + '[trial]\ncommand = ["run"]\n', tmp_path)
    story.session()
    for k in range(6):
        trial = story.propose((k, 0))
        story.end(trial, story.begin(trial), {"y": float(k)})
    board = Board.of(Facts.of(story.study))
    assert parallel_figure(board) == []
    effects = effects_of(story.study)
    assert effects is not None
    assert effects.joint is None
    assert surface_figure(effects, board, log=False) == []


def test_a_parameter_that_does_not_apply_is_a_dash(tmp_path: Path) -> None:
    text = (
        'name = "when"\nminimize = "y"\n[grid]\nkind = { choice = ["sgd", "adam"] }\n'
        "momentum = { values = [0, 0.5, 0.9], when = \"kind == 'sgd'\" }\n"
        '[trial]\ncommand = ["run"]\n'
    )
    story = Story(text, tmp_path)
    story.session()
    grid = story.study.config.grid
    for params in (
        {"kind": "sgd", "momentum": 0.9},
        {"kind": "adam"},
        {"kind": "sgd", "momentum": 0},
    ):
        number = len(story.study.trials) + 1
        story.tell("trial", trial=number, params=params)
        story.end({"trial": number}, story.begin({"trial": number}), {"y": float(number)})
    assert grid.names == ("kind", "momentum")
    (figure,) = parallel_figure(Board.of(Facts.of(story.study)))
    lines, _, labels, *_ = layers(figure.spec)
    assert [row["at"] for row in lines if row["axis"] == 1] == [1.0, -0.09, 0.0]
    assert [row["text"] for row in labels if row["at"] == -0.09] == ["–"]
