"""Taking over the jobs of a batch system from a driver that was killed."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from dsice.errors import LaunchError
from dsice.launch.job import Claim, Kind, Outcome
from dsice.launch.scheduler import SchedulerError
from tests.dsice.launch.batch_system import (
    ENDED,
    LOST,
    QUEUED,
    REVOKED,
    RUNNING,
    Bench,
    outcome,
    taken_over,
)


def test_take_over_what_was_handed_over(bench: Bench) -> None:
    queued, begun, _, gone = jobs = bench.submitted(4)
    bench.system.begin("1_1")
    bench.system.begin("1_2")
    bench.system.finish("1_2")
    gone.wave_file.unlink()
    gone.spec_file.unlink()
    gone.path.rmdir()
    assert taken_over(bench, *jobs) == [QUEUED, RUNNING, ENDED, REVOKED]
    assert bench.pass_time(50) == {queued: QUEUED, begun: RUNNING}
    bench.system.begin("1_0")
    bench.system.finish("1_0")
    bench.system.finish("1_1")
    assert bench.poll() == {queued: ENDED, begun: ENDED}
    assert len(bench.system.waves) == 1


def test_take_over_what_has_vanished_meanwhile(bench: Bench) -> None:
    queued, begun = bench.submitted(2)
    bench.system.begin("1_1")
    bench.system.rows.clear()
    assert taken_over(bench, queued, begun) == [QUEUED, RUNNING]
    assert bench.pass_time(100) == {queued: REVOKED, begun: ENDED}
    assert outcome(begun).kind is Kind.LOST


def test_what_was_never_handed_over_is_revoked(bench: Bench) -> None:
    (job,) = bench.jobs(1)
    assert taken_over(bench, job) == [REVOKED]
    assert not job.claim("job", "1")
    assert bench.poll() == {}


def test_what_was_revoked_stays_so(bench: Bench) -> None:
    waiting, queued = bench.jobs(1)[0], bench.submitted(1)[0]
    assert waiting.claim("driver")
    assert queued.claim("driver")
    assert taken_over(bench, waiting, queued) == [REVOKED, REVOKED]
    assert not bench.system.begin(bench.system.id_of(queued))


def test_killed_before_the_system_had_answered(bench: Bench) -> None:
    """Of a wave without ids, what has begun goes on, and what has not is revoked and cancelled."""
    bench.system.answer_lost = SchedulerError("killed", temporary=False)
    begun, done, waits = jobs = bench.jobs(3)
    with pytest.raises(LaunchError, match="killed"):
        bench.launcher.submit(jobs)
    bench.system.begin("1_0")
    bench.system.begin("1_1")
    bench.system.finish("1_1")
    assert taken_over(bench, begun, done, waits) == [RUNNING, ENDED, REVOKED]
    assert bench.pass_time(100) == {begun: RUNNING}
    assert bench.system.cancelled == [["1_2"]]
    bench.system.finish("1_0")
    assert bench.poll() == {begun: ENDED}
    assert outcome(begun).kind is Kind.OK


def test_a_requeued_job_is_no_stray(bench: Bench) -> None:
    bench.system.answer_lost = SchedulerError("killed", temporary=False)
    begun, waits = jobs = bench.jobs(2)
    with pytest.raises(LaunchError, match="killed"):
        bench.launcher.submit(jobs)
    bench.system.begin("1_0")
    bench.system.rows["1_0"] = replace(bench.system.rows["1_0"], state=QUEUED)
    assert taken_over(bench, begun, waits) == [RUNNING, REVOKED]
    assert bench.pass_time(100) == {begun: QUEUED}
    assert bench.system.cancelled == [["1_1"]]


@pytest.mark.parametrize("text", ["", "{", '{"system": "slurm"}', "[1]"])
def test_a_wave_file_cut_short(bench: Bench, text: str) -> None:
    (job,) = bench.submitted(1)
    job.wave_file.write_text(text)
    assert taken_over(bench, job) == [REVOKED]
    assert not bench.system.begin("1_0")


def test_jobs_of_other_launchers(bench: Bench) -> None:
    (other,) = bench.submitted(1)
    wave = json.loads(other.wave_file.read_text())
    other.wave_file.write_text(json.dumps(wave | {"system": "pjm"}))
    with pytest.raises(LaunchError, match=r"was handed to 'pjm' .* resume with --on pjm"):
        taken_over(bench, other)
    other.finish(Outcome(Kind.OK, metrics={}))
    assert taken_over(bench, other) == [ENDED]
    (local,) = bench.jobs(1)
    assert local.claim("job")
    with pytest.raises(LaunchError, match=r"begun as a process on .* resume with --on local there"):
        taken_over(bench, local)


def test_a_claim_emptied_by_a_crash(bench: Bench) -> None:
    (job,) = bench.jobs(1)
    (job.path / "claim.json").touch()
    assert job.claimant() == Claim("job", 0, os.uname().nodename)
    assert taken_over(bench, job) == [LOST]
