"""Several studies: listed, compared, drawn together; and which one is meant where none is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dsice import cli
from dsice.errors import InvalidInput
from dsice.several.comparison import Comparison
from dsice.study.find import studies_below, the_study
from dsice.study.state import Study
from tests.dsice.stories import Story

TEXT = """
name = "{name}"
minimize = "y"
subject_to = ["z <= {bound}"]
[grid]
x = [0, 1, 2, 3, 4, 5]
w = [7, 8]
[trial]
command = ["run"]
"""


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def tell(place: Path, name: str, values: list[tuple[int, float]], bound: float = 9.0) -> Story:
    story = Story(TEXT.format(name=name, bound=bound), place)
    story.write()
    story.session()
    for x, y in values:
        trial = story.propose((x, 0))
        started = story.begin(trial)
        story.now += 60
        story.end(trial, started, {"y": y, "z": x})
    return story


def two(folder: Path) -> list[str]:
    a = tell(folder / "runs" / "a", "first", [(0, 5.0), (1, 4.0), (2, 3.0), (3, 2.0)])
    a.tell("session_end", why="the budget of 4 trials is used")
    tell(folder / "runs" / "b", "second", [(5, 9.0), (2, 6.0), (3, 4.0)])
    return [str(folder / "runs" / "a"), str(folder / "runs" / "b")]


def said(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    assert cli.main(arguments) == code
    found = capsys.readouterr()
    return found.out if code == 0 else found.err


def test_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two(tmp_path)
    tell(tmp_path / "other" / "deep" / "c", "third", [])
    (tmp_path / "runs" / "b" / "trials" / "00001" / "work").mkdir(parents=True)
    tell(tmp_path / "runs" / "b" / "trials" / "00001" / "work" / "inner", "inner", [])
    damaged = tmp_path / "runs" / "damaged"
    tell(damaged, "damaged", [(1, 1.0)])
    (damaged / "journal.jsonl").write_text("rubbish\n{}\n")
    (tmp_path / ".hidden").mkdir()
    tell(tmp_path / ".hidden" / "d", "hidden", [])
    found = said(["list", str(tmp_path)], capsys)
    lines = found.splitlines()[1:]
    assert [line.split()[0] for line in lines[:3]] == ["first", "second", "third"]
    assert "ended    4 " in lines[0]
    assert "y 2, z 3" in lines[0]
    assert "killed" in lines[1]
    assert "damaged" in lines[3]
    assert "inner" not in found
    assert "hidden" not in found
    entries = json.loads(said(["list", str(tmp_path), "--json"], capsys))
    assert [each["state"] for each in entries] == ["ended", "killed", "killed", "damaged"]
    assert (entries[0]["done"], entries[0]["value"], entries[0]["budget"]) == (4, 2.0, None)
    (tmp_path / "empty").mkdir()
    assert "There is no study in" in said(["list", str(tmp_path / "empty")], capsys)
    assert said(["list", str(tmp_path / "none")], capsys, 2).endswith("none is no folder\n")


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    tell(tmp_path / "a" / "s", "s", [])
    assert studies_below(tmp_path) == [tmp_path / "a" / "s"]


def test_the_one_that_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there is no study here or in runs/" in said(["status"], capsys, 2)
    tell(tmp_path / "runs" / "a", "first", [(0, 5.0), (1, 4.0)])
    assert the_study() == Path("runs/a")
    assert "first: minimize y" in said(["status"], capsys)
    assert said(["best"], capsys).startswith("y 4, z 1  (trial 2")
    assert "Trial 2 was proposed" in said(["explain", "2"], capsys)
    assert said(["discard", "1", "--why", "no"], capsys) == "Trial 1 counts no more: no\n"
    assert "Trials 1, 2 wait to be measured again" in said(["retry", "1", "2"], capsys)
    assert "Trial 3 is to be measured" in said(["add", "x=5", "w=8"], capsys)
    assert said(["add", "x=4,w=8"], capsys).startswith("Trial 4")
    assert said(["report"], capsys).startswith("Report: ")
    tell(tmp_path / "runs" / "b", "second", [])
    assert "there are 2 studies, name one: runs/a, runs/b" in said(["status"], capsys, 2)
    assert "there are 2 studies" in said(["explain", "2"], capsys, 2)
    monkeypatch.chdir(tmp_path / "runs" / "b")
    assert "second: minimize y" in said(["status"], capsys)
    (tmp_path / "runs" / "b" / "7").mkdir()
    assert "holds no study" in said(["explain", "7"], capsys, 2)  # a folder is meant


def test_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = two(tmp_path)
    found = Comparison.of([Study.open(path) for path in paths])
    assert found.steps == (3,)
    assert [side.after(found.goal, 2) for side in found.sides] == [4.0, 6.0]
    assert found.params == {"x": [3, 3], "w": [7, 7]}
    (agreement,) = found.agreements
    assert (agreement.points, agreement.ratio, agreement.rank) == (2, 2.0, None)
    text = said(["compare", *paths], capsys)
    assert "By the goal of first: minimize y subject to z <= 9" in text
    assert "2 points measured by both, the second has 2 times the value there (median)" in text
    plain = json.loads(said(["compare", *paths, "--json"], capsys))
    assert [each["best"]["metrics"]["y"] for each in plain["studies"]] == [2.0, 4.0]
    assert plain["studies"][0]["after"] == {"3": 3.0}
    # By the goal of the first: its bound is the stricter one.
    strict = tell(tmp_path / "strict", "strict", [(0, 8.0), (1, 7.0), (2, 6.0)], bound=1)
    other = Comparison.of([strict.study, Study.open(paths[0])])
    assert [s.best.counted.metrics["y"] for s in other.sides if s.best] == [7.0, 4.0]
    assert other.agreements[0].rank == pytest.approx(1.0)


def test_names_that_are_the_same(tmp_path: Path) -> None:
    for place in ("x/run", "y/run"):
        tell(tmp_path / place, "same", [(0, 1.0)])
    found = Comparison.of([Study.open(tmp_path / p) for p in ("x/run", "y/run")])
    assert [side.label for side in found.sides] == ["x/run", "y/run"]


@pytest.mark.parametrize(
    ("values", "message"),
    [([], "has measured nothing with y and z"), (None, "is there twice")],
)
def test_what_cannot_be_compared(
    tmp_path: Path, values: list[tuple[int, float]] | None, message: str
) -> None:
    a = tell(tmp_path / "a", "a", [(0, 1.0)]).study
    b = a if values is None else tell(tmp_path / "b", "b", values).study
    with pytest.raises(InvalidInput, match=message):
        Comparison.of([a, b])
    with pytest.raises(InvalidInput, match="two studies or more"):
        Comparison.of([a])


def test_a_report_of_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = two(tmp_path)
    assert said(["report", *paths], capsys) == "Report: comparison.html\n"
    page = (tmp_path / "comparison.html").read_text()
    for words in ("How soon", "The best parameters", "2 points measured by both", "several-time"):
        assert words in page
    assert 'id="details"' not in page
    assert said(["report", *paths, "--out", str(tmp_path)], capsys, 2).endswith("name a file\n")
