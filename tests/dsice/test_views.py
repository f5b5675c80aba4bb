"""All views of a study agree: on the best and how it came about, on times, on what is bounded."""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from dsice import cli
from dsice.exchange.optuna_storage import load_optuna
from dsice.exchange.optuna_study import write
from dsice.explain.walk import roles_of, walk_of
from dsice.front import hypervolume
from dsice.launch.job import Kind, Outcome
from dsice.live.news import News
from dsice.report.details import all_details
from dsice.report.facts import Facts
from dsice.report.figures import Figures
from dsice.report.summary import columns, headline, table, tiles
from dsice.report.timeline import OUTCOMES, Timeline, outcome
from dsice.study.task import Status
from dsice.sweep.answer import answer_of
from dsice.swept import Swept
from dsice.terminal import view
from tests.dsice.stories import Story

REASON = "at 4 of 9: 1 % chance to beat trial 1"
NOISY = """
name = "noisy"
{sense} = "y"
subject_to = ["z <= 3.5"]
[grid]
x = [0, 1, 2, 3, 4, 5]
w = [7]
[trial]
command = ["run"]
"""
# In the order of trials: the point, and y where it is to be small; z is the point.
MEASURED = (
    *((0, 5.0), (1, 4.1191), (2, 3.99), (3, 6.0), (2, 8.74), (2, 7.5), (1, 4.02), (1, 4.6)),
    *((4, 1.5), (0, 4.4), (5, 1.0)),
)
BEST = 2  # 4.02, 4.1191, 4.6; the point 2 was lucky once, the points 4 and 5 break the bound


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that run at once are told of a narrow terminal."""
    monkeypatch.delenv("COLUMNS", raising=False)


def noisy_story(directory: Path, sense: str) -> Story:
    story = Story(NOISY.format(sense=sense), directory)
    story.write()
    story.session()
    for x, y in MEASURED:
        trial = story.propose((x, 0))
        started = story.begin(trial)
        story.now += 10
        story.end(trial, started, {"y": y if sense == "minimize" else 10 - y, "z": x})
    return story


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(arguments) == 0
    return capsys.readouterr().out


def last_of(rows: list[dict[str, float]], key: str) -> float:
    return rows[-1][key]


def test_every_view_knows_every_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = NOISY.format(sense="minimize").replace('["run"]', '["run"]\n[trial.progress]\nfull = 9')
    story = Story(text, tmp_path / "study")
    story.write()
    story.session()
    for number, x in enumerate(range(4), 1):
        task = story.propose((x, 0))
        story.log(number, "")
        started = story.begin(task)
        story.now += 10
        match number:
            case 2:
                story.end(task, started, verdict="failed", kind="exit code", reason="exit code 1")
            case 3:
                facts = {"attempt": 1, "step": 4.0, "full": 9.0, "chance": 0.01, "rival": 1}
                story.tell("reported", **task, step=4.0, share=4 / 9, metrics={"y": 9.0, "z": 1.0})
                story.tell("end_asked", **task, **facts)
                story.end(task, started, verdict="stopped", kind="cancelled", reason=REASON)
            case _:
                story.end(task, started, {"y": 5.0 - number, "z": 1.0})
    story.tell("discarded", trials=[4], why="noisy node")
    story.begin(story.propose((4, 0)))
    story.propose((5, 0))
    assert {trial.status for trial in story.study.trials} == set(Status)
    seen = Console(file=io.StringIO(), width=200)
    seen.print(view(story.study))
    assert "trial 3 ended early, at 4 of 9" in seen.file.getvalue()  # type: ignore[attr-defined]

    place = str(story.study.directory.path)
    for command in ("status", "best", "explain", "report", "list"):
        said([command, place], capsys)
    said(["status", place, "--json"], capsys)
    for number in range(1, 7):
        said(["explain", place, str(number)], capsys)
    storage = f"sqlite:///{tmp_path / 'o.db'}"
    said(["export", place, "--csv", str(tmp_path / "t.csv"), "--optuna", storage], capsys)
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 7
    page = story.study.directory.report.read_text()
    for words in ("ended early", "noisy node", "exit code 1"):
        assert words in page
    outcomes = [outcome(span) for span in Timeline.of(story.study).spans]
    assert outcomes.count("ended early") == 1
    assert set(outcomes) <= set(OUTCOMES)


@pytest.mark.parametrize("sense", ["minimize", "maximize"])
def test_all_views_agree_on_what_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sense: str
) -> None:
    story = noisy_story(tmp_path / "noisy", sense)
    study, place = story.study, str(tmp_path / "noisy")
    value = study.trials[BEST - 1].metrics["y"]
    text = {
        "minimize": "y 4.12, median of 3 (4.02 to 4.6), z 1",
        "maximize": "y 5.88, median of 3 (5.4 to 5.98), z 1",
    }[sense]
    shown, repeats = text.split(", ")[0].split()[1], text.split(", ")[1]

    assert study.best is study.trials[BEST - 1]
    walk = walk_of(study)
    assert [step.trial for step in walk] == [1, 2, 3, 2]
    assert (walk[-1].value, walk[-1].repeats) == (value, repeats)
    assert [step.improved for step in walk] == [True, True, True, False]
    assert sum(role.improved for role in roles_of(study, walk)) == 3

    facts = Facts.of(study)
    assert facts.best is study.best
    assert headline(facts) == f"The best y = {shown}, {repeats}, was measured in trial {BEST}."
    best_tile = tiles(facts, Timeline.of(study), None)[0]
    assert (best_tile.value, best_tile.note) == (shown, repeats)
    rows = table(facts)
    assert [k for k, row in enumerate(rows, 1) if row.state == "best"] == [BEST]
    assert rows[BEST - 1].cells[-1].text == "same point as trials 7, 8"
    figures = Figures.of(study)
    for figure in (*figures.progress, *figures.bounds):
        (line,) = (
            layer["data"]["values"]
            for layer in figure.spec["layer"]
            if layer["mark"].get("style") == "frontier"
        )
        steps = [row for row in line if row.get("b0", 0) <= 3.5]
        assert last_of(steps, "y") == value, figure.name
        assert f"best: trial {BEST}" in json.dumps(figure.spec)
    assert "had been lucky" in figures.progress[0].note
    (curve,) = (
        layer["data"]["values"]
        for layer in figures.progress[0].spec["layer"]
        if layer["mark"].get("style") == "frontier"
    )
    assert [row["order"] for row in curve] == [1, 2, 3, 5, len(MEASURED) + 0.5]

    assert f"Best so far {text}  (trial {BEST}: x=1 w=7)" in said(["status", place], capsys)
    assert said(["best", place], capsys).startswith(f"{text}  (trial {BEST}, {sense} y subject to")
    answer = json.loads(said(["best", place, "--json"], capsys))
    assert answer["trial"] == BEST
    assert sorted(each["trial"] for each in answer["repeats"]) == [2, 7, 8]
    assert json.loads(said(["status", place, "--json"], capsys))["best"] == answer
    explained = [line for line in said(["explain", place], capsys).splitlines() if "trial " in line]
    assert explained[3].split()[:3] == ["trial", f"{BEST}", shown]
    assert repeats in explained[3]
    assert "trial 5 showed the best before to be worse" in explained[3]
    assert json.loads(said(["explain", place, "--json"], capsys))["walk"][-1]["trial"] == BEST

    swept = answer_of(study, Swept.parse("z 0:3.5"), [1, 3.5])
    assert swept is not None
    assert [(row.trial, row.objective) for row in swept.rows] == [(BEST, value)] * 2
    ends = study.goal.over(swept.swept).cost({"y": swept.reference[0]}), swept.reference[1]
    front = [swept.goal.costs(trial.metrics) for trial in swept.front]
    assert swept.hypervolume == pytest.approx(hypervolume(front, ends))

    write(study, str(tmp_path / "x.db"))
    optuna = load_optuna()
    exported = optuna.load_study(study_name="noisy", storage=f"sqlite:///{tmp_path / 'x.db'}")
    assert exported.user_attrs["best"] == f"number {BEST - 1}: {text} (trial {BEST} of dsice)"
    head = json.loads(News(place).part("section head") or b"")
    assert headline(facts) in head


def test_what_is_not_bounded_is_not_said_to_break_bounds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    free = Story(NOISY.format(sense="minimize").replace('"z <= 3.5"', ""), tmp_path / "free")
    bounded = Story(NOISY.format(sense="minimize"), tmp_path / "bounded")
    for story, place in ((free, "free"), (bounded, "bounded")):
        story.write()
        story.session()
        trial = story.propose((5, 0))
        started = story.begin(trial)
        story.now += 4
        story.end(trial, started, verdict="failed", kind="exit code", reason="exit code 1")
        said_there = said(["status", str(tmp_path / place)], capsys)
        assert "No trial has been measured yet; 1 failed." in said_there
        assert "bounds" not in said_there
        assert cli.main(["best", str(tmp_path / place)]) == 1
        error = capsys.readouterr().err
        assert error == "dsice: no trial has been measured yet; 1 failed.\n"
    trial = bounded.propose((5, 0))
    bounded.end(trial, bounded.begin(trial), {"y": 1.0, "z": 3.504})
    why = "No trial keeps the bounds: minimize y subject to z <= 3.5; 1 failed."
    shown = said(["status", str(tmp_path / "bounded")], capsys)
    assert why in shown
    assert "z 3.504 (out of bounds)" in shown  # not 3.5, which would be within
    assert headline(Facts.of(bounded.study)).endswith("nearest: z = 3.504 instead of z ≤ 3.5.")


def text_of(story: Story) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(view(story.study))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_time_of_a_trial_is_that_of_all_its_attempts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story(NOISY.format(sense="minimize"), tmp_path / "study")
    story.write()
    story.session()
    trial = story.propose((0, 0))
    for attempt, (verdict, kind) in enumerate((("again", "exit code"), ("done", "ok")), 1):
        started = story.begin(trial, attempt)
        story.now += 100
        found = {"y": 1.0, "z": 1.0} if verdict == "done" else None
        story.end(trial, started, found, verdict, kind, "", attempt)
    assert "3 min 20 s in 2 attempts" in text_of(story)
    facts = Facts.of(story.study)
    (row,) = table(facts)
    assert row.cells[columns(facts).index("time")].text == "3 min 20 s in 2 attempts"
    assert "took 3 min 20 s in 2 attempts" in facts.describe(story.study.trials[0])
    answer = json.loads(said(["best", str(tmp_path / "study"), "--json"], capsys))
    assert (answer["seconds"], answer["attempts"]) == (200, 2)


def test_what_is_no_finite_number_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story(NOISY.format(sense="minimize"), tmp_path / "study")
    story.write()
    story.session()
    others = {"device": '"V100"', "aux": "NaN", "last": '"\\u001b[2J"'}
    good, bad = story.propose((0, 0)), story.propose((1, 0))
    for trial, found in ((good, {"y": 1.0, "z": 1.0, "psnr": 26.3}), (bad, {"z": 2.25})):
        started = story.begin(trial)
        story.now += 10
        done = "y" in found
        job = story.study.trials[trial["trial"] - 1].job
        job.path.mkdir(parents=True)
        more = others if done else {"y": "NaN"}
        job.finish(Outcome(Kind.OK, metrics=found, others=more, started=started, ended=story.now))
        reason = "" if done else "metric 'y' is NaN, not a finite number"
        story.end(trial, started, found, "done" if done else "failed", "ok", reason)
    facts = Facts.of(story.study)
    names = columns(facts)
    cells = [{n: c.text for n, c in zip(names, row.cells, strict=True)} for row in table(facts)]
    assert [(each["device"], each["aux"], each["y"]) for each in cells] == [
        ("V100", "NaN", "1"),
        ("", "", "NaN"),
    ]
    assert cells[1]["z"] == "2.25"
    assert cells[0]["last"] == "␛[2J"
    metrics = dict(all_details(facts)[1]["metrics"])
    assert (metrics["psnr"], metrics["device"], metrics["aux"]) == ("26.3", "V100", "NaN")
    assert "device: V100" in facts.describe(story.study.trials[0])
    shown = said(["best", str(tmp_path / "study")], capsys)
    assert "also: psnr 26.3, device V100, aux NaN" in shown
    assert "\x1b" not in shown
    answer = json.loads(said(["best", str(tmp_path / "study"), "--json"], capsys))
    assert answer["others"]["device"] == "V100"
    running = story.propose((2, 0))
    story.begin(running)
    progress = story.study.trials[2].job.progress
    progress.parent.mkdir(parents=True)
    progress.write_text('{"epoch": 3, "loss": NaN, "phase": "warm-up"}\n')
    assert "[epoch 3, loss NaN, phase warm-up]" in text_of(story)


def test_the_page_names_the_command_that_explains_a_trial(tmp_path: Path) -> None:
    place = tmp_path / "a folder's name"
    story = noisy_story(place, "minimize")
    command = all_details(Facts.of(story.study))[3]["explain"]
    assert shlex.split(command) == ["dsice", "explain", str(place), "3"]


UPHILL = """
name = "uphill"
{sense} = "y"
subject_to = ["heat >= -100"]
[grid]
a = {{ integers = [0, 9] }}
b = {{ integers = [0, 3] }}
[trial]
command = ["run"]
"""


@pytest.mark.parametrize("sense", ["minimize", "maximize"])
@pytest.mark.parametrize("decades", [False, True])
def test_bars_stand_for_the_metric_whatever_is_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sense: str, decades: bool
) -> None:
    """The metric grows with a, its bound's metric falls with it."""
    story = Story(UPHILL.format(sense=sense), tmp_path / "study")
    story.write()
    story.session()
    for k in range(40):
        a, b = k % 10, k // 10
        trial = story.propose((a, b))
        started = story.begin(trial)
        story.now += 10
        y = 10.0 ** (a / 2 - 2) if decades else 2.0 + a
        story.end(trial, started, {"y": y * (1 + 0.01 * b), "heat": -(a**1.5)})
    text = said(["explain", str(tmp_path / "study")], capsys)
    objective, bounded = text.split("What each parameter does to ")[1:]

    def heights(part: str) -> list[int]:
        (line,) = (line for line in part.splitlines() if line.startswith("a "))
        return ["▁▂▃▄▅▆▇█".index(sign) for sign in line if sign in "▁▂▃▄▅▆▇█"]

    rising, falling = heights(objective), heights(bounded)
    assert (rising[0], rising[-1], rising) == (0, 7, sorted(rising))
    assert (falling[0], falling[-1], falling) == (7, 0, sorted(falling, reverse=True))
    # On a logarithmic scale the steps are even; on a linear one all but the last would be flat.
    assert len(set(rising)) > 5
    domains = [
        layer["encoding"]["y"]["scale"]
        for figure in Figures.of(story.study).progress
        for layer in figure.spec["layer"]
        if "field" in layer["encoding"]["y"]
    ]
    assert {scale.get("type", "linear") for scale in domains} == {"log" if decades else "linear"}
