"""Studies in notebooks and in Python: displays, tables, figures, callbacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dsice
from dsice.notebook import Page, ShownStudy
from dsice.study.state import Study
from dsice.study.task import Status
from tests.dsice.stories import demo_story

GRID = {"a": range(6), "b": {"choice": ["x", "<b>"]}}


def loss(params: dict[str, Any]) -> dict[str, float]:
    if params["a"] == 5:
        raise ValueError("no such a")
    return {"loss": (params["a"] - 2) ** 2 + (params["b"] == "x")}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tune(**more: Any) -> ShownStudy:
    given: dict[str, Any] = {"trials": 6, "progress": False, "isolate": False, **more}
    return dsice.tune(loss, GRID, "loss", **given)


def test_short_tables(here: Path) -> None:
    study = tune(trials=12, max_consecutive_failures=0)
    assert isinstance(study, ShownStudy)
    assert isinstance(study, Study)
    assert repr(study).startswith("<study 'loss' in ")
    assert repr(study).endswith("12 trials have ended, 2 of them failed>")
    assert str(study).splitlines()[0] == "Study loss: minimize loss"
    best = study.best
    assert str(study).endswith(str(best))
    assert str(best) == f"Trial {best.number}: done\n  loss  0\n  a     2\n  b     <b>"
    assert repr(best) == f"<trial {best.number}, done: loss=0, a=2, b=<b>>"
    html = best._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    failed = study.with_status(Status.FAILED)[0]
    assert "reason" in str(failed)
    assert len(repr(study.trials)) < 2000
    again = dsice.load(here / "runs" / "loss")
    assert isinstance(again, ShownStudy)
    assert dsice.load(study.directory).directory == study.directory
    assert (str(again), again.best.number) == (str(study), best.number)
    assert str(ShownStudy.of(demo_story(here / "empty", trials=0).study)).endswith(
        "No best trial yet"
    )


def test_a_data_frame(here: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = tune(max_consecutive_failures=0, trials=12).to_dataframe()
    assert list(frame.columns[:3]) == ["a", "b", "loss"]
    assert list(frame.index) == list(range(1, 13))
    assert frame["loss"].min() == 0
    assert set(frame["state"]) == {"done", "failed"}
    assert frame.loc[frame["state"] == "failed", "loss"].isna().all()
    assert isinstance(frame, pandas.DataFrame)


def test_without_pandas(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(dsice.InvalidInput, match=r"pip install 'dsice\[pandas\]'"):
        tune(trials=2).to_dataframe()


def test_html_with_figures_and_the_report(here: Path) -> None:
    html = ShownStudy.of(demo_story(here / "demo", trials=8, written=True).study)._repr_html_()
    assert html.count("<svg") == 2
    assert "8 trials" in html
    assert "<script" not in html
    study = tune(trials=3)
    page = study.report(here / "mine.html")
    assert isinstance(page, Page)
    assert page.path == here / "mine.html"
    shown = page._repr_html_()
    assert shown.startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')
    assert 'sandbox="allow-scripts' in shown
    assert study.report().path == study.directory.report


def test_a_callback_is_told_of_each_end(here: Path) -> None:
    told: list[tuple[int, int]] = []
    tune(trials=3, callback=lambda study, trial: told.append((len(study.finished), trial.number)))
    assert told == [(1, 1), (2, 2), (3, 3)]
    told.clear()
    tune(trials=5, callback=lambda study, trial: told.append((0, trial.number)))
    assert told == [(0, 4), (0, 5)]  # of what this call did


@pytest.mark.parametrize("isolate", [True, False])
def test_a_callback_may_end_the_study(here: Path, isolate: bool) -> None:
    def enough(study: Study, trial: Any) -> None:
        if len(study.finished) >= 2:
            raise StopIteration

    study = tune(trials=9, callback=enough, isolate=isolate, max_consecutive_failures=0)
    assert 2 <= len(study.finished) <= 3
    assert "stopped on request" in study.sessions[-1].why

    def wrong(study: Study, trial: Any) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        tune(trials=9, callback=wrong, isolate=isolate, max_consecutive_failures=0)
    assert len(tune(trials=9, max_consecutive_failures=0).trials) == 9  # nothing was lost


def test_a_lambda_needs_no_directory(here: Path) -> None:
    def run(function: Any, grid: Any = GRID) -> ShownStudy:
        return dsice.tune(function, grid, "y", trials=2, progress=False, isolate=False)

    first = run(lambda params: params["a"])
    assert first.directory.path.parent == here / "runs"
    assert first.directory.path.name.startswith("lambda-")
    same = run(lambda params: params["a"])
    assert same.directory == first.directory
    assert len(same.sessions) == 2
    assert run(lambda params: -params["a"]).directory != first.directory
    assert run(lambda params: params["a"], {"a": [1, 2, 3]}).directory != first.directory


def test_samples_and_what_counts(here: Path) -> None:
    values = iter(range(100))
    goal = dsice.Goal(minimize="y", of_repeats="best")
    given: dict[str, Any] = {"trials": 4, "samples": 2, "progress": False, "isolate": False}
    study = dsice.tune(lambda params: next(values), {"a": [1, 2]}, goal, directory="s", **given)
    assert [len(study.best_standing(goal).of), study.best.metrics["y"]] == [2, 0]  # type: ignore[union-attr]
    assert dsice.load("s").goal.of_repeats == "best"


CELLS = """
import dsice

def error(params):
    return {"error": (params["a"] - 3) ** 2, "b": 1}

study = dsice.tune(error, {"a": range(8)}, "error", trials=4)
study
study.best
study.report()
study = dsice.tune(lambda p: p["a"], {"a": range(8)}, "y", trials=2)
"""


def test_a_real_notebook_and_a_script_share_a_study(here: Path) -> None:
    pytest.importorskip("ipykernel", reason="no ipykernel: pip install 'dsice[test]'")
    nbclient = pytest.importorskip("nbclient")
    import nbformat

    script = here / "script.py"
    head = CELLS.split("study\nstudy.best")[0].replace("trials=4", "trials=2, progress=False")
    script.write_text(head)
    subprocess.run([sys.executable, str(script)], cwd=here, check=True, timeout=120)
    assert len(dsice.load(here / "runs" / "error").trials) == 2

    lines = CELLS.strip().split("\n")
    sources = ["\n".join(lines[:6]), *lines[6:]]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    book = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(
        book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(here)}}
    )
    client.execute()
    outputs = [cell["outputs"] for cell in book["cells"]]
    texts = ["".join(out.get("text", "") for out in each) for each in outputs]
    (display,) = outputs[0]  # one output, not one a trial
    assert "4 of 4 trials" in display["data"]["text/html"]
    assert texts[0] == ""
    assert "<svg" in outputs[1][0]["data"]["text/html"]
    assert "<table" in outputs[2][0]["data"]["text/html"]
    assert "<iframe" in outputs[3][0]["data"]["text/html"]
    assert len(outputs[4]) == 1
    assert len(dsice.load(here / "runs" / "error").sessions) == 2
    assert len(list((here / "runs").glob("lambda-*"))) == 1
    json.dumps(book)
