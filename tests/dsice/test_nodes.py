"""Studies on the nodes of a job of PBS or TCS, with remote shells that run everything here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from dsice.errors import InvalidInput
from dsice.launch.nodes import Nodes
from dsice.launch.settings import AllocationSettings
from dsice.study.state import Study
from dsice.study.task import Status
from dsice.testing.jobs import until

PROGRAM = """#!/bin/sh
echo "$1 $2 $FAKE_NODE $OF_THE_DRIVER $DSICE_SLOT" >> "$(dirname "$0")/log"
while [ -e "$(dirname "$0")/gate" ]; do sleep 0.05; done
echo "{\\"y\\": $((($1 - 3) * ($1 - 3) + ($2 - 6) * ($2 - 6)))}"
"""
STUDY = """
name = "nodes"
minimize = "y"
search = "random"
[grid]
a = { integers = [0, 9] }
b = { integers = [0, 9] }
[trial]
command = ["{study}/program.sh", "{a}", "{b}"]
[run]
on = "allocation"
trials = 8
parallel = 2
[run.allocation]
poll = "0.5 s"
grace = "0.5 s"
"""
SHELL = '#!/bin/sh\nexport FAKE_NODE="$1"\nshift\nexec sh -c "$*"\n'


class Job:
    """A job of two nodes, and drivers in it."""

    def __init__(self, folder: Path, number: int = 123) -> None:
        self.folder = folder
        (folder / "bin").mkdir(exist_ok=True)
        for name, text in (
            ("pbs_tmrsh", SHELL),
            ("pjrsh", SHELL),
            ("qstat", "#!/bin/sh\necho '{}'\n"),  # all jobs are over
        ):
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        (folder / "program.sh").write_text(PROGRAM)
        (folder / "program.sh").chmod(0o755)
        (folder / "study.toml").write_text(STUDY)
        (folder / "nodes").write_text("n1\nn1\nn2\nn2\n")
        self.env = {k: v for k, v in os.environ.items() if k != "SLURM_JOB_ID"}
        self.env |= {
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PBS_JOBID": f"{number}.server",
            "PBS_NODEFILE": str(folder / "nodes"),
            "OF_THE_DRIVER": "here",
        }

    def start(self, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "dsice.cli", "run", "study.toml", "--in", "out"],
            cwd=self.folder,
            env=self.env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self) -> Study:
        driver = self.start()
        said, _ = driver.communicate()
        assert driver.returncode == 0, said
        study = Study.open(self.folder / "out")
        assert len(study.with_status(Status.DONE)) == 8
        return study

    def start_and_kill(self) -> None:
        """Kill a driver while two programs run, which wait for the gate to go."""
        (self.folder / "gate").touch()
        driver = self.start()
        until(lambda: len(self.log()) == 2, "two programs")
        driver.kill()
        driver.communicate()

    def log(self) -> list[list[str]]:
        try:
            return [line.split() for line in (self.folder / "log").read_text().splitlines()]
        except FileNotFoundError:
            return []


def test_a_study_on_two_nodes_and_a_kill(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.start_and_kill()
    (tmp_path / "gate").unlink()
    job.run()
    lines = job.log()
    assert len({(a, b) for a, b, *_ in lines}) == len(lines) == 8
    assert {(node, slot) for _, _, node, _, slot in lines} == {("n1", "0"), ("n2", "1")}
    assert {of_the_driver for _, _, _, of_the_driver, _ in lines} == {"here"}


def test_fujitsus_variables(tmp_path: Path) -> None:
    job = Job(tmp_path)
    for name in ("PBS_JOBID", "PBS_NODEFILE"):
        del job.env[name]
    job.env |= {"PJM_JOBID": "7", "PJM_O_NODEINF": str(tmp_path / "nodes")}
    job.run()
    assert {node for _, _, node, *_ in job.log()} == {"n1", "n2"}


def test_the_next_job_goes_on(tmp_path: Path) -> None:
    first = Job(tmp_path)
    first.start_and_kill()
    for claim in (tmp_path / "out").glob("trials/*/*/claim.json"):  # the job ends, and all in it
        os.kill(json.loads(claim.read_text())["pid"], signal.SIGKILL)
    (tmp_path / "gate").unlink()
    study = Job(tmp_path, 124).run()
    assert [str(each.kind) for each in study.trials[0].attempts] == ["preempted", "ok"]
    assert len(first.log()) == 10


def test_stopping_ends_programs(tmp_path: Path) -> None:
    job = Job(tmp_path)
    (tmp_path / "gate").touch()
    driver = job.start()
    until(lambda: len(job.log()) == 2, "two programs")
    stop = [sys.executable, "-m", "dsice.cli", "stop", "out", "--cancel"]
    subprocess.run(stop, cwd=tmp_path, env=job.env, check=True)
    said, _ = driver.communicate()
    assert driver.returncode == 130, said
    study = Study.open(tmp_path / "out")
    assert [str(trial.attempts[-1].kind) for trial in study.trials] == ["cancelled"] * 2


def places(tmp_path: Path, listed: str, **more: str) -> Nodes | None:
    (tmp_path / "nodes").write_text(listed)
    environment: Mapping[str, str] = {
        "PBS_JOBID": "9.server",
        "PBS_NODEFILE": str(tmp_path / "nodes"),
        **more,
    }
    return Nodes.own(environment)


def test_slots_of_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    nodes = places(tmp_path, "a\nb\na\nb\nc\n")
    assert nodes is not None
    assert (nodes.job, nodes.hosts) == ("9", ("a", "b", "c"))
    assert len(nodes.slots(AllocationSettings(cpus=2), None).all) == 12
    slots = nodes.slots(AllocationSettings(gpus=2), None).all
    assert [nodes.host(slot.number) for slot in slots] == ["a", "b", "c"] * 2
    assert [slot.env["CUDA_VISIBLE_DEVICES"] for slot in slots] == ["0,1"] * 3 + ["2,3"] * 3
    with pytest.raises(InvalidInput, match="have room for 6 trials at once"):
        nodes.slots(AllocationSettings(gpus=2), 7)
    with pytest.raises(InvalidInput, match="room for 0 trials"):
        nodes.slots(AllocationSettings(cpus=9), None)


def test_elsewhere_there_are_no_nodes(tmp_path: Path) -> None:
    assert Nodes.own({}) is None
    assert places(tmp_path, "a\nb\n") is not None
    assert places(tmp_path, "a\nb\n", SLURM_JOB_ID="7") is None
    with pytest.raises(InvalidInput, match="names no node"):
        places(tmp_path, "\n")
    with pytest.raises(InvalidInput, match="cannot read"):
        places(tmp_path, "a", PBS_NODEFILE="/no/such/file")
