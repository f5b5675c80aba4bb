"""The pictures of the search, from studies that never ran: built by folding events."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.algorithm.drawing import write
from benchmarks.algorithm.effects import effects_figure
from benchmarks.algorithm.line import line_figure
from benchmarks.algorithm.moment import MetricModel, Moment, replayed
from benchmarks.algorithm.steps import chosen_step, step_of
from benchmarks.algorithm.walk import walk_figure
from dsice.grid import Point
from dsice.search import make_search
from dsice.study.codec import of
from dsice.study.config import parse
from dsice.study.directory import StudyDirectory
from dsice.study.state import Study

STUDY = """
name = "made-up"
{goal}
[grid]
a = {{ geometric = [0.01, 10.24], step = 2 }}
b = {{ integers = [0, 15] }}
c = {{ choice = ["x", "y", "z"] }}
[trial]
command = ["true", "{{a}}", "{{b}}", "{{c}}"]
[run]
parallel = 2
trials = 30
"""
BOUNDED = 'minimize = "cost"\nsubject_to = ["size <= 60"]'
FREE = 'maximize = "value"'


def measured(point: Point) -> dict[str, float] | None:
    """A bowl with steps; one corner fails."""
    a, b, c = point
    if a > 8 and b > 13:
        return None
    cost = (a - 3) ** 2 + 0.5 * (b - 9) ** 2 + a * b / 10 + 3 * (c == 1)
    return {"cost": cost, "size": 5.0 * a + b, "value": -cost}


def run(goal: str, folder: Path, trials: int = 30) -> Study:
    study = Study(parse(STUDY.format(goal=goal), folder), StudyDirectory.at(folder))
    config, now = study.config, 0.0

    def happens(event: str, **facts: Any) -> None:
        nonlocal now
        now += 1
        study.apply([of({"t": now, "event": event, **facts})])

    happens("session", host="here", pid=1, parallel=2, trials=trials, hours=None)
    search = make_search(config.search, config.grid, study.goal, seed=config.seed, capacity=2)
    while len(study.trials) < trials:
        for point in search.ask(2 - len(search.pending)):
            number = len(study.trials) + 1
            happens("trial", trial=number, point=list(point))
            happens("attempt", trial=number, attempt=1)
        oldest = next(trial for trial in study.trials if trial.point in search.pending)
        metrics = measured(oldest.point)
        end(happens, oldest.number, metrics)
        search.tell(oldest.point, metrics)
    return study


def end(happens: Any, number: int, metrics: Mapping[str, float] | None) -> None:
    happens(
        "ended",
        trial=number,
        attempt=1,
        verdict="failed" if metrics is None else "done",
        kind="ok",
        reason="" if metrics else "broke",
        started=1.0,
        ended=2.0,
        host="here",
        metrics=metrics or {},
    )


@pytest.fixture(scope="module", params=[BOUNDED, FREE], ids=["bounded", "free"])
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return run(request.param, tmp_path_factory.mktemp("study"))


def test_a_study_is_replayed_to_the_last_trial(study: Study) -> None:
    assert replayed(study) == len(study.trials)


def test_a_moment_knows_what_was_known(study: Study) -> None:
    trial = study.trials[20]
    moment = Moment.before(study, trial)
    assert len(moment.history) + len(moment.pending) == 20
    assert trial.point not in moment.history
    assert len(Moment.before(study, None).history) == len(study.finished)


def test_the_model_passes_near_what_was_measured(study: Study) -> None:
    moment = Moment.before(study, None)
    targets = moment.targets(study.goal.metric)
    known = ~np.isnan(targets)
    points = [point for point, k in zip(moment.measured, known, strict=True) if k]
    mean, std = MetricModel(moment, study.goal.metric).along(points)
    assert np.abs(mean - targets[known]).mean() < 0.3
    assert (std > 0).all()


def test_the_effect_of_an_axis_has_mean_zero_over_its_levels(study: Study) -> None:
    model = MetricModel(Moment.before(study, None), study.goal.metric)
    for axis in range(3):
        mean, std, variance = model.effect(axis)
        assert mean.mean() == pytest.approx(0, abs=1e-9)
        assert (std >= 0).all()
        assert variance > 0


def test_costs_keep_their_order_among_the_targets(study: Study) -> None:
    moment = Moment.before(study, None)
    costs = np.linspace(moment.ladder()[0][0] - 5, moment.ladder()[-1][0], 50)
    targets = [moment.target_of(cost) for cost in costs.tolist()]
    assert targets == sorted(targets)


def test_the_step_shown_is_one_along_an_axis(study: Study) -> None:
    step = chosen_step(study)
    assert step is not None
    assert step.trial.point in step.line
    assert step.base in step.line
    assert step_of(study, study.trials[0]) is None


def test_all_pictures_can_be_drawn(study: Study, tmp_path: Path) -> None:
    step = chosen_step(study)
    assert step is not None
    for spec in (line_figure(step), walk_figure(study), effects_figure(study)):
        write(spec, tmp_path / "picture")
        svg = (tmp_path / "picture.svg").read_text(encoding="utf-8")
        assert "NaN" not in svg
        assert "undefined" not in svg
        assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
