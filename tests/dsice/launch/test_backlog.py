"""Submission to a batch system: its rate, refusals, and submissions that are in doubt."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from dsice.errors import LaunchError
from dsice.launch.job import JobFolder, JobSpec, Kind
from dsice.launch.scheduler import Entry
from dsice.launch.settings import SlurmSettings
from tests.dsice.launch.batch_system import (
    DOWN,
    ENDED,
    QUEUED,
    REFUSED,
    REVOKED,
    RUNNING,
    Bench,
    Memory,
    outcome,
)

# -- handing over ----------------------------------------------------------------------------------


def test_a_life(bench: Bench) -> None:
    (job,) = bench.submitted(1)
    assert bench.poll() == {job: QUEUED}
    bench.system.begin("1_0")
    assert bench.pass_time(11) == {job: RUNNING}
    bench.system.finish("1_0")
    assert bench.poll() == {job: ENDED}
    assert bench.poll() == {}
    assert outcome(job).metrics == {"y": 1.0}
    assert bench.launcher.trouble == ""


def test_one_question_for_all_jobs(bench: Bench) -> None:
    bench.limit_waves(40)
    bench.submitted(200)
    bench.system.questions.clear()
    bench.pass_time(100, step=0.5)
    assert 9 <= len(bench.system.questions) <= 10
    assert all(later - earlier >= 10 for earlier, later in pairwise(bench.system.questions))


def test_nobody_is_asked_about_nothing(bench: Bench) -> None:
    bench.pass_time(100)
    bench.submitted(1)
    bench.system.begin("1_0")
    bench.system.finish("1_0")
    bench.pass_time(1)
    bench.system.questions.clear()
    bench.pass_time(100)
    assert bench.system.questions == []


@pytest.mark.parametrize("rate", [0.5, 1.0, 5.0])
def test_the_rate_of_submissions(tmp_path: Path, rate: float) -> None:
    settings = SlurmSettings.model_validate({"time": 600, "submit_rate": rate})
    bench = Bench(tmp_path, Memory(longest=1), settings)
    jobs = bench.jobs(60)
    bench.pass_time(100)  # no allowance is saved up beyond the burst
    bench.launcher.submit(jobs)
    bench.pass_time(60 / rate + 10, step=0.1)
    times = bench.system.submitted_at
    assert [wave[0] for wave in bench.system.waves] == jobs
    burst = max(1.0, rate)
    for index, beginning in enumerate(times):
        for length in (1.0, 10.0, 1000.0):
            within = sum(time < beginning + length for time in times[index:])
            assert within <= burst + rate * length


def test_waves_of_jobs_with_the_same_needs(bench: Bench) -> None:
    bench.limit_waves(10)
    alike = bench.jobs(25)
    others = [*bench.jobs(2, resources={"cpus": 4}), *bench.jobs(1, timeout=900.0, resources={})]
    others[2:] = bench.jobs(1, resources={"cpus": 4, "memory": "2 GB"})
    bench.launcher.submit([*alike, *others])
    bench.pass_time(10)
    sizes = [len(wave) for wave in bench.system.waves]
    assert sizes == [10, 10, 5, 2, 1]
    assert [job for wave in bench.system.waves for job in wave] == [*alike, *others]
    assert len(set(bench.system.names)) == 5
    assert all(len(name) <= bench.system.NAME_LENGTH for name in bench.system.names)


def test_names_in_the_queue_are_plain(bench: Bench) -> None:
    job = JobFolder(bench.folder / "job")
    job.create(JobSpec("a b\n#SBATCH $(reboot);'\"" + "x" * 200, ("true",), str(bench.folder)))
    bench.launcher.submit([job])
    assert bench.system.names[0].startswith("a_b__SBATCH___reboot_")
    assert len(bench.system.names[0]) <= bench.system.NAME_LENGTH


def test_refused_for_good(bench: Bench) -> None:
    (job,) = bench.jobs(1)
    bench.system.trouble = REFUSED
    with pytest.raises(LaunchError, match="Memory says: invalid partition"):
        bench.launcher.submit([job])
    assert bench.new_launcher().reattach(job) is REVOKED


def test_refused_after_a_success_is_tried_again(bench: Bench) -> None:
    bench.submitted(1)
    bench.system.trouble = REFUSED
    (job,) = bench.jobs(1)
    bench.launcher.submit([job])
    bench.pass_time(5)
    assert bench.launcher.trouble == "Memory says: invalid partition"
    bench.system.trouble = None
    assert bench.pass_time(300)[job] is QUEUED
    assert bench.launcher.trouble == ""
    assert bench.system.waves[-1] == [job]


def test_a_limit_of_submitted_jobs_is_filled(bench: Bench) -> None:
    bench.system.most = 6
    bench.launcher.submit(bench.jobs(20))
    bench.pass_time(600)
    assert sum(len(wave) for wave in bench.system.waves) == 6
    while sum(len(wave) for wave in bench.system.waves) < 20:
        for batch_id, entry in list(bench.system.rows.items()):
            if entry.state is QUEUED:
                assert bench.system.begin(batch_id)
                bench.system.finish(batch_id)
        bench.pass_time(300)
    assert "limit" not in bench.launcher.trouble


def test_back_off_grows_and_is_bounded(bench: Bench) -> None:
    bench.system.trouble = DOWN
    bench.launcher.submit(bench.jobs(1))
    bench.pass_time(1200, step=0.1)
    gaps = [later - earlier for earlier, later in pairwise(bench.system.submitted_at)]
    assert gaps[0] < 3 < gaps[2] < gaps[4] < gaps[-1] < 80
    assert len(gaps) < 40


def test_a_refusal_is_no_trouble_once_nothing_waits(bench: Bench) -> None:
    bench.system.trouble = DOWN
    (job,) = bench.jobs(1)
    bench.launcher.submit([job])
    assert bench.launcher.trouble
    bench.launcher.cancel([job])
    assert bench.poll() == {job: REVOKED}
    assert bench.launcher.trouble == ""


def test_a_job_that_was_deleted_before_its_turn(bench: Bench) -> None:
    bench.limit_waves(1)
    first, gone, last = bench.jobs(3)
    gone.spec_file.unlink()
    gone.path.rmdir()
    bench.launcher.submit([first, gone, last])
    assert bench.pass_time(5) == {first: QUEUED, gone: REVOKED, last: QUEUED}
    assert bench.system.waves == [[first], [last]]


# -- submissions that came through although they failed --------------------------------------------


def test_strays_are_cancelled_by_name_and_submitted_anew(bench: Bench) -> None:
    bench.system.answer_lost = DOWN
    jobs = bench.jobs(3)
    bench.launcher.submit(jobs)
    bench.pass_time(20)
    assert bench.system.cancelled == [["1_0", "1_1", "1_2"]]
    assert bench.system.waves == [jobs, jobs]
    assert bench.system.names[0] != bench.system.names[1]
    for batch_id in ("2_0", "2_1", "2_2"):
        assert bench.system.begin(batch_id)
        bench.system.finish(batch_id)
    assert bench.pass_time(1) == dict.fromkeys(jobs, ENDED)
    bench.pass_time(60)
    assert len(bench.system.waves) == 2


def test_a_stray_that_has_begun_is_the_job(bench: Bench) -> None:
    """It must neither be ended nor be said to have never begun: a new attempt would run beside."""
    bench.system.answer_lost = DOWN
    begun, done, waits = jobs = bench.jobs(3)
    bench.launcher.submit(jobs)
    assert bench.system.begin("1_0")
    assert bench.system.begin("1_1")
    bench.system.finish("1_1")
    states = bench.pass_time(100)
    assert states == {begun: RUNNING, done: ENDED, waits: QUEUED}
    assert bench.system.cancelled == [["1_2"]]
    assert bench.system.waves == [jobs, [waits]]
    bench.system.finish("1_0")
    assert bench.poll()[begun] is ENDED
    assert outcome(begun).kind is Kind.OK


def test_a_stray_that_has_claimed_its_job_is_spared(bench: Bench) -> None:
    bench.system.answer_lost = DOWN
    (job,) = bench.jobs(1)
    bench.launcher.submit([job])
    owner = bench.system.owners["1_0"]
    assert owner.claim("job", "1_0")  # the queue does not show it yet
    assert bench.pass_time(100) == {job: QUEUED}
    assert bench.system.cancelled == []
    bench.system.finish("1_0")
    assert bench.poll() == {job: ENDED}
    assert outcome(job).kind is Kind.OK
    assert bench.system.waves == [[job]]


def test_both_submissions_begin(bench: Bench) -> None:
    """The stray is seen too late, when its job has been handed over again: one of them runs."""
    bench.system.answer_lost = DOWN
    (job,) = bench.jobs(1)
    bench.launcher.submit([job])
    hidden = bench.system.rows.pop("1_0")
    bench.pass_time(20)
    bench.system.rows["1_0"] = hidden
    assert bench.system.waves == [[job], [job]]
    assert bench.system.begin("1_0")
    assert not bench.system.begin("2_0")
    assert bench.pass_time(200) == {job: RUNNING}
    bench.system.end("1_0", Kind.NODE_FAILED, "its node failed")
    assert bench.pass_time(50) == {job: ENDED}
    assert outcome(job).kind is Kind.NODE_FAILED


def test_foreign_jobs_are_left_alone(bench: Bench) -> None:
    bench.system.rows["7"] = Entry("somebody-else", QUEUED)
    bench.system.answer_lost = DOWN
    bench.launcher.submit(bench.jobs(1))
    bench.pass_time(50)
    bench.launcher.cancel(list(bench.last))
    bench.pass_time(100)
    assert bench.system.rows["7"].state is QUEUED
