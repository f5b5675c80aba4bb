"""Tests of what jobs return."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dsice.launch.base import Launcher
from dsice.launch.job import JobFolder, JobSpec, Kind
from dsice.testing.jobs import Jobs, is_running, outcome


class Outcomes(Jobs):
    """Jobs that end by themselves."""

    def test_metrics_come_back(self, launcher: Launcher, new_job: Callable[..., JobFolder]) -> None:
        by_file = outcome(launcher, new_job('echo noise; echo \'{"y": 1.5}\' > "$DSICE_RESULT"'))
        assert (by_file.kind, by_file.metrics, by_file.exit_code) == (Kind.OK, {"y": 1.5}, 0)
        assert 0 < by_file.started <= by_file.ended
        by_line = outcome(
            launcher, new_job('echo noise; echo \'{"y": 2, "device": "A100"}\'; echo')
        )
        assert by_line.metrics == {"y": 2.0}
        before_a_log = outcome(launcher, new_job("echo '{\"y\":'; echo 3}; echo wandb: synced"))
        assert before_a_log.metrics == {"y": 3.0}

    @pytest.mark.parametrize(
        ("script", "kind", "reason"),
        [
            ("echo some; echo bad luck >&2; exit 3", Kind.EXIT, "exit code 3: bad luck"),
            ("kill -9 $$", Kind.SIGNAL, "killed by SIGKILL"),
            ("true", Kind.NO_METRICS, "it wrote no metrics: neither a result file nor any output"),
            ("echo done", Kind.NO_METRICS, "its output has no JSON object of metrics"),
            ("echo '[1, 2]'", Kind.NO_METRICS, "its output has no JSON object of metrics"),
            ("echo '{}'", Kind.NO_METRICS, "its output has no metrics"),
            ("mkfifo $DSICE_RESULT", Kind.NO_METRICS, "it wrote no metrics"),
            ("mkdir $DSICE_RESULT; echo x", Kind.NO_METRICS, "its output has no JSON object"),
            ('echo "{" > $DSICE_RESULT', Kind.NO_METRICS, "its result file has no JSON object"),
            ("head -c 3000000 /dev/zero; exit 1", Kind.EXIT, "exit code 1"),
        ],
    )
    def test_failures_say_why(
        self,
        launcher: Launcher,
        new_job: Callable[..., JobFolder],
        script: str,
        kind: Kind,
        reason: str,
    ) -> None:
        found = outcome(launcher, new_job(script))
        assert found.kind is kind
        assert found.reason.startswith(reason)
        assert len(found.reason) < 400
        assert found.metrics is None

    def test_numbers_that_are_none(
        self, launcher: Launcher, new_job: Callable[..., JobFolder]
    ) -> None:
        found = outcome(launcher, new_job('echo \'{"y": NaN, "z": -Infinity, "x": 1}\''))
        assert found.kind is Kind.OK
        assert found.metrics == {"x": 1.0}
        assert found.others == {"y": "NaN", "z": "-Infinity"}

    def test_a_program_that_is_not_there(self, launcher: Launcher, tmp_path: Path) -> None:
        job = JobFolder(tmp_path / "job")
        job.create(JobSpec("job", ("/no/such/program",), str(tmp_path)))
        found = outcome(launcher, job)
        assert found.kind is Kind.NOT_STARTED
        assert found.reason == "cannot start '/no/such/program': No such file or directory"

    def test_arguments_reach_no_shell(self, launcher: Launcher, tmp_path: Path) -> None:
        job = JobFolder(tmp_path / "job")
        hostile = "$(touch gone); `touch gone`; 'x' \"y\" \n *"
        code = "import json, sys; print(json.dumps({'length': len(sys.argv[1])}))"
        job.create(JobSpec("job", (sys.executable, "-c", code, hostile), str(tmp_path)))
        assert outcome(launcher, job).metrics == {"length": len(hostile)}
        assert not (tmp_path / "gone").exists()

    def test_the_environment(self, launcher: Launcher, new_job: Callable[..., JobFolder]) -> None:
        script = 'echo "{\\"t\\": $OMP_NUM_THREADS, \\"s\\": $(env | grep -c ^SUBMITIT)}"'
        assert outcome(launcher, new_job(script, OMP_NUM_THREADS="3")).metrics == {
            "t": 3.0,
            "s": 0.0,
        }

    def test_the_time_limit_holds_for_children_too(
        self, launcher: Launcher, new_job: Callable[..., JobFolder], tmp_path: Path
    ) -> None:
        # One child stays in the group, one leaves it, one leaves it and its parent.
        script = (
            "sleep 1000 & echo $! >> pids; setsid sleep 1000 & echo $! >> pids; "
            "setsid sh -c 'sleep 1000 & echo $! >> pids' & wait"
        )
        found = outcome(launcher, new_job(script, timeout=1.0))
        assert found.kind is Kind.TIMEOUT
        assert found.reason == "not finished within its time limit of 1 s"
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        assert len(pids) == 3
        assert not [pid for pid in pids if is_running(pid)]

    def test_nothing_outlives_a_program_that_ended_well(
        self, launcher: Launcher, new_job: Callable[..., JobFolder], tmp_path: Path
    ) -> None:
        found = outcome(launcher, new_job("setsid sleep 1000 & echo $! > pid; echo '{\"y\": 1}'"))
        assert found.metrics == {"y": 1.0}
        assert not is_running(int((tmp_path / "pid").read_text()))

    def test_outcomes_are_plain_json(
        self, launcher: Launcher, new_job: Callable[..., JobFolder]
    ) -> None:
        job = new_job("echo '{\"y\": 1}'")
        outcome(launcher, job)
        data = json.loads((job.path / "outcome.json").read_text())
        assert data["metrics"] == {"y": 1.0}
