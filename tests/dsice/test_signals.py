"""Signals work at every moment, whatever computes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dsice import Axis, Goal, Grid, tune
from dsice.errors import Interrupted
from dsice.study.state import Study
from dsice.study.task import Status
from tests.conftest import ENVIRONMENT

StudyFile = Callable[..., Path]
PATIENCE = 100.0  # seconds


class Rule:
    """Allows everything, and sends a signal while a search computes, once a trial has run.

    Then it does not return before the signal has broken it off.
    """

    def __init__(self, folder: Path, number: signal.Signals) -> None:
        self.armed = folder / "armed"
        self.called = folder / "called"
        self.number = number

    def __call__(self, params: dict[str, int]) -> bool:
        if self.called.exists() and self.armed.exists():
            self.armed.unlink()
            os.kill(os.getpid(), self.number)
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                pass
            raise AssertionError("the signal was not heard")
        return True


@pytest.mark.parametrize(
    ("number", "search"),
    [(signal.SIGINT, "dsice"), (signal.SIGTERM, "dsice"), (signal.SIGHUP, "random")],
)
def test_a_signal_breaks_off_a_proposal_and_nothing_is_lost(
    tmp_path: Path, number: signal.Signals, search: str
) -> None:
    axes = [Axis.integers(name, 0, 99) for name in "abc"]
    called = tmp_path / "called"

    def program(params: dict[str, int]) -> dict[str, float]:
        called.touch()
        return {"y": float(sum(params.values()))}

    def go_on() -> Study:
        return tune(
            program,
            Grid(axes, Rule(tmp_path, number)),
            Goal(minimize="y"),
            trials=5,
            parallel=2,
            search=search,
            directory=tmp_path / "out",
            progress=False,
        )

    (tmp_path / "armed").touch()
    with pytest.raises(Interrupted):
        go_on()
    broken_off = Study.open(tmp_path / "out")
    assert 1 <= len(broken_off.trials) < 5
    assert broken_off.sessions[-1].why.startswith(("stopped on request", "left on request"))
    done = go_on()
    assert len(done.with_status(Status.DONE)) == len(done.trials) == 5
    assert [t.params for t in done.trials][: len(broken_off.trials)] == [
        t.params for t in broken_off.trials
    ]


def test_a_simulation_does_not_play_on_after_a_signal(study_file: StudyFile) -> None:
    axes = "\n".join(f"x{k} = {{ integers = [0, 40] }}" for k in range(6))
    path = study_file(grid=axes, command='["true", "{x0}"]', run="trials = 90000")
    names = ",".join(f"x{k}" for k in range(6))
    rows = "\n".join(",".join(map(str, [*[n] * 6, n * n, 5])) for n in range(20))
    path.with_name("table.csv").write_text(f"{names},y,seconds\n{rows}\n")
    command = [sys.executable, "-m", "dsice.cli", "simulate", path.name, "--table", "table.csv"]
    simulation = subprocess.Popen(
        command, cwd=path.parent, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    children = Path(f"/proc/{simulation.pid}/task/{simulation.pid}/children")
    end = time.monotonic() + PATIENCE
    while len(children.read_text().split()) < 2:
        assert time.monotonic() < end
        assert simulation.poll() is None
    started, end = children.read_text().split(), time.monotonic() + PATIENCE
    simulation.send_signal(signal.SIGINT)
    _, said = simulation.communicate(timeout=PATIENCE)  # the plays would take hours
    assert simulation.returncode == 130
    assert said.splitlines()[-1] == "dsice: interrupted"
    assert "Traceback" not in said
    while any(Path(f"/proc/{pid}").exists() for pid in started):
        assert time.monotonic() < end
