"""Whole studies on a real Slurm: killed, stopped, preempted, cut off, and all is accounted for."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dsice.cluster import PROGRAM, Cluster, slurm, until

pytestmark = pytest.mark.slurm


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    for driver in made.drivers:
        driver.kill()
        driver.wait()
    ids = [job for job, _ in made.queue()]
    if ids:
        slurm("scancel", *ids)
    until(lambda: not made.queue(), "the queue to be empty")


def assert_each_once(cluster: Cluster, trials: int) -> None:
    """By the program's own log; and nothing is left in the queue."""
    assert len(cluster.calls()) == trials
    assert len(set(cluster.calls())) == trials
    assert cluster.status()["trials"]["done"] == trials
    until(lambda: not cluster.queue(), "orphans to leave the queue", 30)


def test_ten_kills(cluster: Cluster) -> None:
    cluster.write(run="parallel = 40\ntrials = 100")
    chance = random.Random(1)
    for _ in range(10):
        driver = cluster.start()
        time.sleep(chance.uniform(0.5, 2.5))  # the random moment
        driver.kill()
        driver.wait()
    cluster.run()
    assert_each_once(cluster, 100)


@pytest.mark.parametrize("victim", ["driver", "shim", "batch job"])
def test_ten_kills_where_a_job_runs_several_trials(cluster: Cluster, victim: str) -> None:
    """Besides drivers, shims or the programs of whole batch jobs are killed."""
    cluster.write(run="parallel = 8\nper_job = 5\ntrials = 80")
    chance, killed = random.Random(1), 0
    for _ in range(10):
        driver = cluster.start()
        if victim != "driver":
            until(lambda d=driver: cluster.shims() or d.poll() is not None, "a program")  # type: ignore[misc]
        time.sleep(chance.uniform(0.5, 2.0))  # the random moment
        running = [pid for pid in cluster.shims() if victim != "driver"]
        for pid in running[:2]:
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{pid}/stat").read_text()
                parent = int(stat.rpartition(")")[2].split()[1])
                os.kill(pid if victim == "shim" else parent, signal.SIGKILL)
                killed += 1
        driver.kill()
        driver.wait()
    cluster.run()
    assert killed > 4 or victim == "driver"
    calls = cluster.calls()
    assert len(set(calls)) == cluster.status()["trials"]["done"] == 80
    assert len(calls) <= 80 + killed  # nothing ran again but what was killed
    until(lambda: not cluster.queue(), "orphans to leave the queue", 30)
    sizes = Counter(job for job in cluster.batch_jobs() if job)
    assert max(sizes.values()) == 5


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("arrays", ["true", "false"])
def test_a_kill_inside_the_burst(cluster: Cluster, moment: str, arrays: str) -> None:
    """The third submission kills the driver, before or after Slurm has taken the job."""
    cluster.write(run="parallel = 6\ntrials = 12", slurm=f"arrays = {arrays}")
    real = shutil.which("sbatch")
    wrapper = cluster.folder / "bin" / "sbatch"
    wrapper.parent.mkdir()
    count = "$(wc -l < ../count)" if arrays == "false" else "3"
    steps = {"before": "kill -9 $PPID", "after": f'{real} "$@" > sent; kill -9 $PPID'}
    wrapper.write_text(
        f"#!/bin/sh\ncd {wrapper.parent}\necho x >> ../count\n"
        f'if [ {count} = 3 ]; then {steps[moment]}; else {real} "$@"; fi\n'
    )
    wrapper.chmod(0o755)
    driver = cluster.start(PATH=f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}")
    cluster.end(driver, code=-signal.SIGKILL)
    cluster.run()
    assert_each_once(cluster, 12)


@pytest.mark.alone
def test_what_goes_wrong_is_told_in_words(cluster: Cluster) -> None:
    """A job over its limit, one removed by hand, a controller that is away, a drained node."""
    (cluster.folder / "gate").touch()
    program = PROGRAM.replace("sleep 0.5", '[ "$1" = 4 ] && exec sleep 1000\nsleep 0.5')
    cluster.write(run="parallel = 8\ntrials = 24", trial='timeout = "8 s"', program=program)
    driver = cluster.start()
    until(lambda: len(cluster.calls()) == 8, "eight running trials")
    removed = next(job for job, state in cluster.queue() if state == "RUNNING")
    slurm("scancel", removed)
    until(lambda: "removed" in kinds(cluster), "the removal to be noticed")
    script = Path(__file__).parents[1] / "slurm" / "cluster.sh"
    root = str(Path(os.environ["SLURM_CONF"]).parents[1])
    slurm(str(script), "stop-controller", root)
    try:
        (cluster.folder / "gate").unlink()
        until(lambda: cluster.status()["trouble"], "the driver to notice that Slurm is away")
        assert "controller" in cluster.status()["trouble"]
        said = cluster.dsice("status", "out").stdout
        assert "Slurm says" in said
        # Results are files: they come in although Slurm is away.
        until(lambda: cluster.status()["trials"]["done"] >= 2, "results")
    finally:
        slurm(str(script), "start-controller", root)
    slurm("scontrol", "update", "nodename=n1", "state=drain", "reason=test")
    try:
        cluster.end(driver)
    finally:
        slurm("scontrol", "update", "nodename=n1", "state=resume")
    status = cluster.status()
    assert status["trouble"] == ""
    assert status["trials"]["done"] + status["trials"]["failed"] == 24
    reasons = Counter(status["failures"].values())
    assert reasons["cancelled from outside, by scancel or an administrator"] == 1
    slow = [call for call in cluster.calls() if call.startswith("4 ")]
    assert reasons["not finished within its time limit of 8 s"] in (len(slow), len(slow) - 1)
    assert len(set(cluster.calls())) == len(cluster.calls()) == 24


def kinds(cluster: Cluster) -> list[str]:
    return [event["kind"] for event in cluster.events() if event["event"] == "ended"]


def test_the_time_limit_of_slurm_itself(cluster: Cluster) -> None:
    program = PROGRAM.replace("sleep 0.5", '[ "$1" = 4 ] && exec sleep 1000\nsleep 0.5')
    cluster.write(run="parallel = 15\ntrials = 15", slurm='# time = "1 min"', program=program)
    text = (cluster.folder / "study.toml").read_text()
    (cluster.folder / "study.toml").write_text(text.replace('time = "10 min"', 'time = "1 min"'))
    cluster.run()
    slow = [call for call in cluster.calls() if call.startswith("4 ")]
    failures = cluster.status()["failures"]
    assert list(failures.values()) == [
        "not finished within the time limit of its Slurm job" for _ in slow
    ]
    assert slow


@pytest.mark.alone
def test_a_preempted_trial_is_the_same_attempt(cluster: Cluster) -> None:
    (cluster.folder / "gate").touch()
    cluster.write(run="parallel = 2\ntrials = 2", slurm="cpus = 16")
    driver = cluster.start()
    until(lambda: len(cluster.calls()) == 2, "two running trials")
    job = cluster.queue()[0][0]
    node = slurm("squeue", "-h", "-j", job, "-o", "%N").strip()
    slurm(
        "sbatch",
        "-p",
        "urgent",
        "-w",
        node,
        "-c16",
        "--mem=50M",
        "--wrap",
        "true",
        "-o",
        "/dev/null",
    )
    until(lambda: len(cluster.calls()) == 3, "the preempted trial to begin again")
    (cluster.folder / "gate").unlink()
    cluster.end(driver)
    assert [event["attempt"] for event in cluster.events() if event["event"] == "attempt"] == [1, 1]
    assert kinds(cluster) == ["ok", "ok"]
    assert len(set(cluster.calls())) == 2


def test_two_drivers(cluster: Cluster) -> None:
    (cluster.folder / "gate").touch()
    cluster.write(run="parallel = 2\ntrials = 2")
    driver = cluster.start()
    until(lambda: len(cluster.calls()) == 2, "two running trials")
    second = cluster.start()
    said = cluster.end(second, code=2)
    assert f"in use by another driver: process {driver.pid}" in said
    (cluster.folder / "gate").unlink()
    cluster.end(driver)
    assert_each_once(cluster, 2)


@pytest.mark.alone
def test_stop_leaves_cancels_or_drains(cluster: Cluster) -> None:
    (cluster.folder / "gate").touch()
    # One node's worth of CPUs each: four run, two wait in the queue.
    cluster.write(run="parallel = 6\ntrials = 8", slurm="cpus = 16")
    driver = cluster.start()
    until(lambda: len(cluster.calls()) == 4, "four running trials")
    until(lambda: cluster.status()["trials"]["queued"] == 2, "two queued trials")
    assert cluster.status()["trials"]["running"] == 4
    cluster.dsice("stop", "out", "--leave")
    said = cluster.end(driver, code=130)
    assert "6 jobs go on and are taken up again on resumption" in said
    assert len(cluster.queue()) == 6

    ended = cluster.dsice("stop", "out", "--cancel")  # no driver is at work
    assert ended.returncode == 0, ended.stderr
    assert "6 trials, to begin again on resumption" in ended.stdout
    until(lambda: not cluster.queue(), "the queue to be empty", 30)
    assert cluster.status()["trials"]["waiting"] == 6

    (cluster.folder / "calls").unlink()
    driver = cluster.start()
    until(lambda: len(cluster.calls()) == 4, "four running trials")
    cluster.dsice("stop", "out", "--drain")
    until(lambda: len(cluster.queue()) == 4, "queued trials to be taken back")
    (cluster.folder / "gate").unlink()
    cluster.end(driver, code=130)
    assert cluster.status()["trials"]["done"] == 4
    cluster.run()
    assert_each_once(cluster, 8)


def test_a_driver_inside_a_job_leaves_before_its_limit(cluster: Cluster) -> None:
    (cluster.folder / "gate").touch()
    cluster.write(run="parallel = 3\ntrials = 6")
    line = f"{sys.executable} -m dsice.cli run study.toml --in out; echo $? > code"
    job = ["sbatch", "--parsable", "--mem=200M", "-t", "2", "-o", "driver.log", "--wrap", line]
    subprocess.run(job, cwd=cluster.folder, check=True, capture_output=True)
    until((cluster.folder / "code").exists, "the driver to leave", 150)
    assert (cluster.folder / "code").read_text().strip() == "75"
    assert "Resume with: dsice run study.toml --in out" in (
        (cluster.folder / "driver.log").read_text()
    )
    assert len(cluster.queue()) == 3
    (cluster.folder / "gate").unlink()
    cluster.run()
    assert_each_once(cluster, 6)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk(cluster: Cluster) -> None:
    disk = cluster.folder / "out"
    disk.mkdir()
    slurm("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk))
    try:
        (cluster.folder / "gate").touch()
        cluster.write(run="parallel = 4\ntrials = 8")
        driver = cluster.start()
        until(lambda: len(cluster.calls()) == 4, "four running trials")
        ballast = disk / "trials" / "ballast"
        dd = ["dd", "if=/dev/zero", f"of={ballast}", "bs=1k"]
        assert subprocess.run(dd, capture_output=True).returncode == 1  # as much as there is room
        (cluster.folder / "gate").unlink()
        until(lambda: not programs_in(disk), "the programs to end on the full disk")
        assert not list(disk.glob("trials/*/attempt-1/outcome.json"))
        assert len(cluster.queue()) == 4  # their jobs wait for space
        ballast.unlink()
        cluster.end(driver)
        # What the programs wrote to the full disk is lost, so those four ran once more.
        assert Counter(Counter(cluster.calls()).values()) == {1: 4, 2: 4}
        assert kinds(cluster).count("lost") == 4
        assert cluster.status()["trials"]["done"] == 8
    finally:
        until(lambda: not cluster.queue(), "jobs to leave the disk")
        slurm("umount", "-l", str(disk))


def programs_in(study: Path) -> list[Path]:
    """The running programs of a study's trials."""
    mark = f"DSICE_RESULT={study}/".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in entry.read_bytes():
                found.append(entry)
    return found
