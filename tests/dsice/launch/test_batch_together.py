"""Several jobs in one batch job."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import pytest

from dsice.errors import LaunchError
from dsice.launch.job import JobFolder, Kind, Outcome
from dsice.launch.scheduler import SchedulerError
from tests.dsice.launch.batch_system import (
    ENDED,
    LOST,
    QUEUED,
    REVOKED,
    RUNNING,
    WELL,
    Bench,
    outcome,
    taken_over,
)


def together(bench: Bench, count: int = 3, **more: Any) -> list[JobFolder]:
    """Jobs that have been submitted as one batch job."""
    jobs = bench.jobs(count, slot=0, **more)
    bench.launcher.submit(jobs)
    assert bench.system.members["1_0"] == tuple(jobs)
    return jobs


def test_jobs_of_one_slot_share_a_batch_job(bench: Bench) -> None:
    jobs = [bench.jobs(1, slot=slot)[0] for slot in (0, 0, 0, 1, 1, None, None, 2)]
    jobs += bench.jobs(2, slot=3, timeout=60.0)
    bench.launcher.submit(jobs)
    sizes = [len(batch) for batch in bench.system.members.values()]
    assert sizes == [3, 2, 1, 1, 1, 2]
    assert bench.system.waves == [jobs]
    # Three of 600 s, 10 s to begin and end each, and 5 min.
    assert bench.system.limits == [3 * 610 + 300]


def test_each_of_several_takes_its_own_time(bench: Bench) -> None:
    together(bench, 4, timeout=30.0)
    assert bench.system.limits == [4 * 40 + 300]


def test_a_life_of_several(bench: Bench) -> None:
    first, second, third = jobs = together(bench)
    assert bench.poll() == dict.fromkeys(jobs, QUEUED)
    assert bench.system.begin_next("1_0") == first
    assert bench.pass_time(11) == {first: RUNNING, second: QUEUED, third: QUEUED}
    first.finish(WELL)
    assert bench.poll() == {first: ENDED, second: QUEUED, third: QUEUED}
    assert bench.system.begin_next("1_0") == second
    assert bench.poll() == {second: RUNNING, third: QUEUED}
    second.finish(WELL)
    assert bench.system.begin_next("1_0") == third
    third.finish(WELL)
    bench.system.end("1_0", Kind.OK)
    assert bench.poll() == {second: ENDED, third: ENDED}
    assert bench.poll() == {}


def test_one_of_several_ends_alone(bench: Bench) -> None:
    first, second, third = together(bench)
    bench.system.begin_next("1_0")
    bench.pass_time(11)
    bench.launcher.cancel([first, second])
    assert bench.system.cancelled == []
    assert first.is_asked_to_end()
    assert bench.poll() == {first: RUNNING, second: REVOKED, third: QUEUED}
    first.finish(Outcome(Kind.CANCELLED, "cancelled"))
    assert bench.system.begin_next("1_0") == third
    assert bench.poll() == {first: ENDED, third: RUNNING}
    assert not third.is_asked_to_end()
    bench.launcher.cancel([third])
    assert bench.system.cancelled == [["1_0"]]
    assert bench.pass_time(60)[third] is ENDED
    assert outcome(third).kind is Kind.CANCELLED


def test_when_all_of_several_are_to_end_their_batch_job_is(bench: Bench) -> None:
    jobs = together(bench)
    bench.system.begin_next("1_0")
    bench.pass_time(11)
    bench.launcher.cancel(jobs)
    assert bench.system.cancelled == [["1_0"]]
    assert bench.pass_time(60) == dict(zip(jobs, [ENDED, REVOKED, REVOKED], strict=True))
    assert outcome(jobs[0]).kind is Kind.CANCELLED


@pytest.mark.parametrize("kind", [Kind.LOST, Kind.PREEMPTED, Kind.TIMEOUT])
def test_behind_a_batch_job_that_was_killed(bench: Bench, kind: Kind) -> None:
    """The one that ran has its end; those behind it never began, and are no sign of trouble."""
    done, ran, *behind = jobs = together(bench, 4)
    bench.system.begin_next("1_0")
    done.finish(WELL)
    bench.system.begin_next("1_0")
    bench.system.end("1_0", kind)
    assert bench.pass_time(60) == dict.fromkeys(jobs, ENDED)
    assert outcome(ran).kind is kind
    for job in behind:
        assert outcome(job).kind is Kind.NOT_BEGUN
        assert not job.claim("job", "1_0")


def test_of_a_batch_job_that_never_began_all_are_revoked(bench: Bench) -> None:
    jobs = together(bench)
    bench.system.end("1_0", Kind.LOST)
    assert bench.pass_time(60) == dict.fromkeys(jobs, REVOKED)


def test_a_requeued_batch_job_goes_on_where_it_was(bench: Bench) -> None:
    done, ran, waits = together(bench)
    bench.system.begin_next("1_0")
    done.finish(WELL)
    bench.system.begin_next("1_0")
    bench.system.rows["1_0"] = replace(bench.system.rows["1_0"], state=QUEUED)
    states = bench.pass_time(60)
    assert (states[ran], states[waits]) == (QUEUED, QUEUED)
    bench.system.rows["1_0"] = replace(bench.system.rows["1_0"], state=RUNNING)
    assert bench.pass_time(11) == {ran: RUNNING, waits: QUEUED}


def test_a_deleted_folder_ends_none_of_the_others(bench: Bench) -> None:
    first, second, third = together(bench)
    bench.system.begin_next("1_0")
    bench.pass_time(11)
    shutil.rmtree(first.path)
    assert bench.poll() == {first: LOST, second: QUEUED, third: QUEUED}
    assert first.is_asked_to_end()
    assert bench.system.cancelled == []


def test_take_over_several(bench: Bench) -> None:
    done, ran, revoked, waits = jobs = together(bench, 4)
    bench.system.begin_next("1_0")
    done.finish(WELL)
    bench.system.begin_next("1_0")
    assert revoked.revoke()
    assert taken_over(bench, *jobs) == [ENDED, RUNNING, REVOKED, QUEUED]
    assert bench.pass_time(50) == {ran: RUNNING, waits: QUEUED}
    bench.launcher.cancel([waits])
    assert bench.system.cancelled == []
    assert bench.poll() == {ran: RUNNING, waits: REVOKED}
    ran.finish(WELL)
    assert bench.system.begin_next("1_0") is None


def test_several_killed_before_the_system_had_answered(bench: Bench) -> None:
    bench.system.answer_lost = SchedulerError("killed", temporary=False)
    jobs = bench.jobs(3, slot=0)
    with pytest.raises(LaunchError, match="killed"):
        bench.launcher.submit(jobs)
    assert bench.system.begin_next("1_0") == jobs[0]
    assert taken_over(bench, *jobs) == [RUNNING, REVOKED, REVOKED]
    assert bench.pass_time(100) == {jobs[0]: RUNNING}
    assert bench.system.cancelled == []
    jobs[0].finish(WELL)
    assert bench.system.begin_next("1_0") is None
    assert bench.poll() == {jobs[0]: ENDED}


def test_of_several_whose_submission_is_in_doubt_each_runs_once(bench: Bench) -> None:
    bench.submitted(1)
    questions = bench.system.questions
    while not questions or questions[-1] < bench.system.now:
        bench.pass_time(1)  # the next question comes after the batch job has begun
    bench.system.answer_lost = SchedulerError("no clear id", temporary=True)
    jobs = bench.jobs(3, slot=0)
    bench.launcher.submit(jobs)
    bench.pass_time(1)
    assert bench.system.begin_next("2_0") == jobs[0]  # accepted all the same
    bench.pass_time(30)
    assert bench.system.members["3_0"] == tuple(jobs[1:])
    assert bench.system.begin_next("3_0") == jobs[1]
    assert bench.system.begin_next("2_0") == jobs[2]
    states = bench.pass_time(11)
    assert [states[job] for job in jobs] == [RUNNING] * 3
    for job in jobs:
        job.finish(WELL)
    assert [bench.poll()[job] for job in jobs[:1]] == [ENDED]
    assert "2_0" not in [batch_id for told in bench.system.cancelled for batch_id in told]
