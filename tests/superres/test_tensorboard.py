from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from superres.cli import main
from superres.data import Dataset

SMALL = "--n0 6 --nr 4 --patch 8 --batch 2 --steps 4 --warmup 2 --threads 1 --validate-every 2"


def test_every_report_is_there(dataset: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    out, board = tmp_path / "out", tmp_path / "board"
    files = [f"--data={dataset.folder}", f"--out={out}", f"--tensorboard={board}"]
    assert main(["pretrain", *SMALL.split(), *files]) == 0
    reports = json.loads((out / "curves.json").read_text())
    # In a process of its own: what tensorboard imports warns of its future.
    code = (
        "import json, sys, warnings; warnings.simplefilter('ignore')\n"
        "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n"
        "events = EventAccumulator(sys.argv[1]); events.Reload()\n"
        "print(json.dumps({tag: [[e.step, e.value] for e in events.Scalars(tag)]"
        " for tag in events.Tags()['scalars']}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(board)], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    names = {name for report in reports for name in report} - {"step"}
    assert set(found) == names >= {"loss", "rmse", "val_niqe", "discriminator"}
    for name in names:
        wanted = [[r["step"], pytest.approx(r[name], rel=1e-5)] for r in reports if name in r]
        assert found[name] == wanted


def test_without_the_extra_one_line_says_what_to_install(
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    files = [f"--data={dataset.folder}", f"--out={tmp_path / 'out'}", f"--tensorboard={tmp_path}"]
    assert main(["pretrain", *SMALL.split(), *files]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        'superres: tensorboard is not installed: pip install "dsice[tensorboard]"'
    )
