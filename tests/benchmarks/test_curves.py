"""The benchmark of trials that end early, on a small set of curves."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks.curves import METHODS, Problem, main, play


@pytest.fixture
def curves(tmp_path: Path) -> Path:
    a, b, step = np.meshgrid(np.arange(8), np.arange(8), [1, 2, 4, 8], indexing="ij")
    np.savez(
        tmp_path / "small.npz",
        names=np.array(["a", "b"]),
        steps=np.array([1, 2, 4, 8]),
        curve=(a - 5.0) ** 2 + (b - 2.0) ** 2 + 8 / step,
        seconds=np.ones((8, 8)),
    )
    return tmp_path


def test_work_is_counted_and_trials_go_on_where_they_were(curves: Path) -> None:
    problem = Problem(curves / "small.npz")
    whole = play(problem, METHODS["dsice, full length"](problem, 4, 0), 4, 60.0, 0)
    assert whole.begun >= whole.complete > 40
    assert whole.regret == 0
    for name in ("dsice", "random + ASHA"):
        run = play(problem, METHODS[name](problem, 4, 0), 4, 40.0, 0)
        assert run.begun > run.complete > 0
        assert run.work == sorted(run.work)


def test_other_tuners_play_by_the_same_rules(curves: Path) -> None:
    problem = Problem(curves / "small.npz")
    for name, package in (("TPE + median", "optuna"), ("Syne Tune ASHA", "syne_tune")):
        if find_spec(package) is None:
            continue
        run = play(problem, METHODS[name](problem, 4, 0), 4, 40.0, 0, 0)
        assert run.begun >= run.complete > 0
        assert run.work == sorted(run.work)


def test_the_table(curves: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(
        [
            "--data",
            str(curves),
            "--workers",
            "2",
            "--seeds",
            "1",
            "--budget",
            "9",
            "--method",
            "random + ASHA",
        ]
    )
    assert "small, 2 workers, budget 9: work to 10, 5, 2, 1 %" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--data", str(curves / "none")])
