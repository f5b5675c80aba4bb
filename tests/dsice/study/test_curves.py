"""Learning curves: progress files as programs write them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from dsice.exchange.csv_file import write_curves
from dsice.exchange.optuna_storage import load_optuna
from dsice.exchange.optuna_study import write
from dsice.report.curve_figures import curve_figures
from dsice.report.facts import Facts
from dsice.report.parts import curve_parts, parts_of
from dsice.study.curves import Curve, Curves, curves_of
from tests.dsice.stories import Story

TEXT = """
name = "curves"
minimize = "loss"
subject_to = ["cost <= 3"]
[grid]
x = [0, 1, 2, 3, 4, 5]
[trial]
command = ["run"]
"""


def reports(*lines: object) -> str:
    return "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)


def trial(story: Story, x: int, *attempts: str, ends: bool = True) -> None:
    """A trial whose attempts reported what they did; all but the last were preempted."""
    task = story.propose((x,))
    for number, text in enumerate(attempts, 1):
        started = story.begin(task, number)
        job = story.study.trials[-1].job
        job.path.mkdir(parents=True)
        job.progress.write_text(text)
        story.now += 10
        if number < len(attempts):
            story.end(task, started, None, "again", "preempted", "preempted", number)
        elif ends:
            story.end(task, started, {"loss": 1.0 + x, "cost": x}, attempt=number)


@pytest.fixture
def story(tmp_path: Path) -> Story:
    story = Story(TEXT, tmp_path)
    story.write()
    story.session()
    return story


def only(story: Story) -> Curves:
    return curves_of(story.study.trials[0])


@pytest.mark.parametrize(
    ("text", "counted", "loss"),
    [
        (
            reports({"epoch": 1, "loss": 2, "x": "a"}, {"epoch": 2, "loss": 1.5}),
            "epoch",
            Curve((1, 2), (2, 1.5)),
        ),
        (reports({"loss": 2}, {"loss": 1.5}), "report", Curve((1, 2), (2, 1.5))),
        (
            reports({"Step": 10, "epoch": 1, "loss": 2}, {"Step": 20, "epoch": 1, "loss": 1}),
            "Step",
            Curve((10, 20), (2, 1)),
        ),
        (  # what is no report, and values that are no numbers
            reports(
                "Epoch 1", {"step": 1, "loss": 3}, '{"step": 2, "loss": NaN}', "[1]",
                {"step": True, "loss": 1}, {"step": 3, "loss": 2}, '{"step": 4, "lo',
            ),
            "step",
            Curve((1, 3), (3, 2)),
        ),
        (  # back to a checkpoint
            reports(*({"step": s, "loss": v} for s, v in ((1, 5), (2, 4), (3, 9), (2, 3), (3, 2)))),
            "step",
            Curve((1, 2, 3), (5, 3, 2)),
        ),
    ],
)  # fmt: skip
def test_progress_as_it_is_written(story: Story, text: str, counted: str, loss: Curve) -> None:
    trial(story, 0, text)
    assert only(story).counted == counted
    assert only(story).of["loss"] == loss


def test_attempts_go_on_from_their_checkpoints(story: Story) -> None:
    first = reports(*({"step": s, "loss": 10.0 - s} for s in (1, 2, 3)))
    second = reports(*({"step": s, "loss": 20.0 - s} for s in (3, 4)))
    trial(story, 0, first, second)
    assert only(story).of == {"loss": Curve((1, 2, 3, 4), (9, 8, 17, 16))}
    story.tell("retried", trials=[1])
    assert only(story).of == {}  # what was taken back counts no more


def test_a_hostile_file_is_no_curve(story: Story) -> None:
    trial(story, 0, "[" * 100_000 + '\n{"a": ' + '{"a":' * 50_000 + "\n\x00\xff")
    assert only(story) == Curves()
    assert curves_of(story.study.stage("none")) == Curves()


def test_thinned_curves_keep_their_ends() -> None:
    curve = Curve(tuple(range(1000)), tuple(range(1000)))
    thin = curve.thinned(7)
    assert len(thin.steps) == 7
    assert (thin.steps[0], thin.steps[-1]) == (0, 999)
    assert curve.thinned(1000) is curve


def campaign(story: Story) -> None:
    for x in range(5):
        trial(
            story,
            x,
            reports(*({"epoch": e, "loss": (x + 1) / e, "lr": 0.1 / e} for e in range(1, 6))),
            ends=x < 4,
        )


def test_figures(story: Story) -> None:
    campaign(story)
    facts = Facts.of(story.study)
    loss, rate = curve_figures(facts)
    assert [loss.title, rate.title] == ["loss while trials ran", "lr while trials ran"]
    rows = loss.spec["datasets"]["curves"]
    assert rows is rate.spec["datasets"]["curves"]
    assert len(rows) == 25
    assert {row["group"] for row in rows} == {"within the bound", "running"}
    assert rows[0] == {
        "trial": 1,
        "step": 1,
        "y0": 1.0,
        "y1": 0.1,
        "group": "within the bound",
        "tip": "Trial 1",
    }
    assert loss.spec["params"] == [{"name": "chosen", "value": 1}]
    assert "The thick line is trial 1, the best." in loss.note
    parts = parts_of(story.study)
    assert "loss while trials ran" in parts.sections["curves"]
    alone = curve_parts(story.study)
    assert alone.figures == {k: v for k, v in parts.figures.items() if k.startswith("curve-")}
    assert alone.datasets["curves"] == parts.datasets["curves"]


def test_many_long_curves_are_drawn_within_bounds(story: Story) -> None:
    long = reports(*({"epoch": e, "loss": 1 / e} for e in range(1, 2001)))
    for k in range(300):
        trial(story, k % 6, long)
    (figure,) = curve_figures(Facts.of(story.study))
    rows = figure.spec["datasets"]["curves"]
    assert len({row["trial"] for row in rows}) == 250
    assert len(rows) <= 6000
    assert "Drawn are the latest 250 trials." in figure.note
    assert len(json.dumps(rows)) < 700_000


def test_no_curves_no_figure(story: Story) -> None:
    trial(story, 0, reports({"loss": 1.0}))  # a single report is no curve
    trial(story, 1, "")
    assert curve_figures(Facts.of(story.study)) == []
    assert parts_of(story.study).sections["curves"] == ""


def test_exports(story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    campaign(story)
    assert write_curves(story.study, "-").endswith("50 values that trials reported")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == {"trial": "1", "step": "1", "metric": "loss", "value": "1.0"}
    assert len(rows) == 50
    storage = str(tmp_path / "optuna.db")
    write(story.study, storage)
    optuna = load_optuna()

    def exported() -> list[dict[int, float]]:
        study = optuna.load_study(study_name="curves", storage=f"sqlite:///{storage}")
        return [t.intermediate_values for t in study.trials]

    assert exported()[1] == {1: 2.0, 2: 1.0, 3: 2 / 3, 4: 0.5, 5: 0.4}
    progress = story.study.trials[4].job.progress
    progress.write_text(progress.read_text() + reports({"epoch": 6, "loss": 0.25}))
    write(story.study, storage)  # a trial that runs has gone on meanwhile
    assert exported()[4][6] == 0.25
