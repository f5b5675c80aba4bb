"""Tests of jobs and drivers that are ended from outside."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from inspect import getfile
from pathlib import Path

import pytest

from dsice.launch.base import JobState, Launcher
from dsice.launch.job import JobFolder, Kind
from dsice.testing.jobs import UNDER_WAY, Jobs, assert_lost, ended, is_running, outcome, until


class Ends(Jobs):
    """Kills, cancellation, and drivers that take over."""

    def test_cancel(
        self, launcher: Launcher, new_job: Callable[..., JobFolder], tmp_path: Path
    ) -> None:
        job = new_job("echo $$ > pid; sleep 1000")
        launcher.submit([job])
        until((tmp_path / "pid").exists, "the program's start")
        until(lambda: bool((tmp_path / "pid").read_text()), "its process id")
        launcher.cancel([job])
        assert ended(launcher, job)[job] is JobState.ENDED
        found = job.outcome()
        assert found is not None
        assert found.kind is Kind.CANCELLED
        assert not is_running(int((tmp_path / "pid").read_text()))

    def test_a_cancelled_job_that_had_not_begun_never_runs(
        self, launcher: Launcher, new_job: Callable[..., JobFolder], tmp_path: Path
    ) -> None:
        job = new_job("touch ran; echo '{\"y\": 1}'")
        assert job.claim("driver")
        launcher.submit([job])
        assert ended(launcher, job)[job] is JobState.REVOKED
        after = new_job("echo '{\"y\": 1}'")
        outcome(launcher, after)
        assert not (tmp_path / "ran").exists()

    def test_a_double_start_runs_once(
        self,
        make_launcher: Callable[[], Launcher],
        new_job: Callable[..., JobFolder],
        tmp_path: Path,
    ) -> None:
        job = new_job("echo x >> runs; echo '{\"y\": 1}'")
        one, other = make_launcher(), make_launcher()
        one.submit([job])
        other.submit([job])
        assert ended(one, job)[job] is JobState.ENDED
        assert ended(other, job)[job] is JobState.ENDED
        assert (tmp_path / "runs").read_text() == "x\n"

    def test_a_job_killed_with_its_shim_is_lost(
        self, launcher: Launcher, new_job: Callable[..., JobFolder], tmp_path: Path
    ) -> None:
        # With everything that the program has started, wherever it has gone.
        script = "setsid sleep 1000 & echo $! > pids.new; sleep 1000 & echo $! $$ >> pids.new; "
        job = new_job(script + "mv pids.new pids; wait")
        launcher.submit([job])
        until((tmp_path / "pids").exists, "the program's start")
        owner = job.claimant()
        assert owner is not None
        os.kill(owner.pid, signal.SIGKILL)
        assert_lost(job, ended(launcher, job)[job])
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        assert len(pids) == 3
        # In a batch system, what has left its session and its parent is for the system to find.
        bound = pids[2:] if self.batch else pids
        until(lambda: not any(map(is_running, bound)), "the program to end with its shim")

    @pytest.mark.parametrize("moment", range(6))
    def test_told_to_end_at_any_moment_a_job_has_an_outcome(
        self, launcher: Launcher, new_job: Callable[..., JobFolder], moment: int
    ) -> None:
        job = new_job("sleep 1000")
        launcher.submit([job])
        until(job.stdout.exists, "the shim's first step")
        time.sleep(moment / 1000)  # the random moment
        owner = job.claimant()
        assert owner is not None
        os.kill(owner.pid, signal.SIGTERM)
        assert ended(launcher, job)[job] is JobState.ENDED
        found = job.outcome()
        assert found is not None
        # In a batch system others may have told it, who have perhaps put it back into the queue.
        assert found.kind is (Kind.LOST if self.batch else Kind.CANCELLED)

    @pytest.mark.parametrize("name", ["claim.json", "outcome.json"])
    def test_files_that_a_crash_of_the_machine_emptied(
        self, launcher: Launcher, new_job: Callable[..., JobFolder], name: str
    ) -> None:
        job = new_job("true")
        job.claim("job", self.unknown_id if self.batch else "")
        (job.path / name).write_text("")
        state = launcher.reattach(job)
        assert_lost(job, ended(launcher, job)[job] if state in UNDER_WAY else state)

    @pytest.mark.parametrize("driver", ["same", "next"])
    def test_a_deleted_folder(
        self,
        make_launcher: Callable[[], Launcher],
        new_job: Callable[..., JobFolder],
        tmp_path: Path,
        driver: str,
    ) -> None:
        launcher = make_launcher()
        job = new_job("echo $$ > pid.new; mv pid.new pid; sleep 1000")
        launcher.submit([job])
        until((tmp_path / "pid").exists, "the program's start")
        shutil.rmtree(job.path)
        if driver == "next":
            assert make_launcher().reattach(job) is JobState.REVOKED
        else:
            assert ended(launcher, job)[job] is JobState.LOST
        launcher.cancel([job])
        pid = int((tmp_path / "pid").read_text())
        until(lambda: not is_running(pid), "the program's end")

    def test_reattach_after_the_driver_was_killed(
        self,
        make_launcher: Callable[[], Launcher],
        new_job: Callable[..., JobFolder],
        tmp_path: Path,
    ) -> None:
        os.mkfifo(tmp_path / "gate")
        job = new_job("echo x >> runs; cat gate; echo '{\"y\": 1}'")
        code = (
            "import sys\n"
            "from importlib.util import module_from_spec, spec_from_file_location\n"
            "from pathlib import Path\n"
            "from dsice.launch.job import JobFolder\n"
            f"spec = spec_from_file_location('launcher_tests', {getfile(type(self))!r})\n"
            "module = sys.modules['launcher_tests'] = module_from_spec(spec)\n"
            "spec.loader.exec_module(module)\n"
            f"launcher = module.{type(self).__name__}().new_launcher(Path({str(tmp_path)!r}))\n"
            f"launcher.submit([JobFolder({str(job.path)!r})])\n"
            "print('submitted', flush=True); sys.stdin.read()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as driver:
            assert driver.stdout is not None
            driver.stdout.readline()
            until((tmp_path / "runs").exists, "the program's start")
            driver.kill()
        launcher = make_launcher()
        assert launcher.reattach(job) in UNDER_WAY
        assert launcher.poll()[job] in UNDER_WAY
        (tmp_path / "gate").write_text("go")
        assert ended(launcher, job)[job] is JobState.ENDED
        assert (tmp_path / "runs").read_text() == "x\n"
        assert make_launcher().reattach(job) is JobState.ENDED

    def test_reattach_revokes_what_has_not_begun(
        self, launcher: Launcher, new_job: Callable[..., JobFolder], tmp_path: Path
    ) -> None:
        job = new_job("touch ran")
        assert launcher.reattach(job) is JobState.REVOKED
        assert launcher.reattach(JobFolder(tmp_path / "never made")) is JobState.REVOKED
        launcher.submit([job])
        assert ended(launcher, job)[job] is JobState.REVOKED
        assert not (tmp_path / "ran").exists()

    def test_polling_forgets_what_has_ended(
        self, launcher: Launcher, new_job: Callable[..., JobFolder]
    ) -> None:
        jobs = [new_job("echo '{\"y\": 1}'") for _ in range(3)]
        launcher.submit(jobs)
        ended(launcher, *jobs)
        assert launcher.poll() == {}
