from __future__ import annotations

import json
from pathlib import Path

import pytest

from superres.errors import UserError
from superres.records import Recorder
from tests.superres.conftest import files_of_at_most


def test_result_and_progress(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result, progress = tmp_path / "new" / "result.json", tmp_path / "progress.jsonl"
    recorder = Recorder(result, progress)
    recorder.progress({"step": 1, "epoch": 0, "loss": 0.5})
    recorder.progress({"step": 2, "epoch": 0, "loss": 0.25})
    assert [json.loads(line)["step"] for line in progress.read_text().splitlines()] == [1, 2]
    assert not result.exists()
    recorder.finish({"niqe": 4.5})
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert json.loads(result.read_text()) == printed
    assert printed["niqe"] == 4.5
    assert printed["seconds"] >= 0
    assert [p.name for p in result.parent.iterdir()] == ["result.json"]


def test_progress_that_cannot_be_written_does_not_end_the_training(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "result.json", tmp_path / "progress.jsonl")
    with files_of_at_most(0):
        recorder.progress({"step": 1, "loss": 0.5})
        with pytest.raises(OSError, match="File too large"):
            recorder.finish({"niqe": 4.5})
    recorder.progress({"step": 2, "loss": 0.5})
    assert json.loads((tmp_path / "progress.jsonl").read_text())["step"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["progress.jsonl"]


def test_the_result_of_an_earlier_run_is_gone_at_once(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    result.write_text("{}")
    Recorder(result)
    assert not result.exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        Recorder(tmp_path / "file" / "result.json")
