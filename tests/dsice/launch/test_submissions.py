"""Submissions to batch systems: ids, refusals and job scripts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dsice.launch.scheduler import Entry, Scheduler, SchedulerError
from tests.dsice.launch.commands import (
    ACCEPTED,
    QUEUED,
    RUNNING,
    SUBMIT,
    SYSTEMS,
    Says,
    submitted,
)


@pytest.mark.parametrize("system", sorted(SUBMIT))
def test_a_submission_that_hangs(
    says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    says("srun")
    says(SUBMIT[system])
    (tmp_path / "bin" / SUBMIT[system]).write_text("#!/bin/sh\nexec sleep 1000\n")
    monkeypatch.setattr("dsice.launch.scheduler.PATIENCE", 0.3)
    with pytest.raises(SchedulerError, match="no answer from") as told:
        submitted(system, tmp_path)
    assert told.value.temporary


def script(system: str, says: Says, tmp_path: Path, **given: Any) -> list[str]:
    """The lines of the job script."""
    says("srun")
    kept = says(SUBMIT[system], ACCEPTED[system] + "\n")
    assert submitted(system, tmp_path, **given) == ["77"]
    return (kept / "script").read_text().splitlines()


def test_ids_of_an_array(says: Says, tmp_path: Path) -> None:
    says("srun")
    says("sbatch", "Submitted batch job 77\n")
    assert submitted("slurm", tmp_path, 3) == ["77_0", "77_1", "77_2"]


@pytest.mark.parametrize(
    ("system", "answer"),
    [
        ("slurm", "Submitted batch job 77 on cluster one"),
        ("slurm", "Note: job 70 is still held\nsubmitting job 71 ...\nSubmitted batch job 77"),
        ("slurm", "balance of your group:\n1500\nSubmitted batch job 77\nsee job 78"),
        ("slurm", "77"),
        ("slurm", "77;one"),
        ("slurm", "Note: job 70 is still held\r\n 77 \r\n"),
        ("slurm", "Gr\udcfc\udcdfe von job 70\nSubmitted batch job 77"),
        ("pjm", "job 70: 100 node hours are left\n[INFO] PJM 0000 pjsub Job 77 submitted."),
        ("pjm", "77"),
        ("pbs", "Job 70 was yours\n12 jobs wait\n77.server.site"),
        ("pbs", "1500\n77.server"),
        ("pbs", "77"),
        ("lsf", "Project <7> has 12 hours\nJob <77> is submitted to default queue <gpu>."),
    ],
)
def test_the_id_in_an_answer(says: Says, tmp_path: Path, system: str, answer: str) -> None:
    says("srun")
    says(SUBMIT[system], answer + "\n")
    assert submitted(system, tmp_path) == ["77"]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    "answer", ["", "Your job is in the queue, number 70", "1500\n77", "70\n71\n"]
)
@pytest.mark.parametrize("known", [True, False])
def test_an_answer_that_makes_no_sense_is_settled_by_the_queue(
    says: Says,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    answer: str,
    known: bool,
) -> None:
    count = 3 if system == "slurm" else 1

    def queue(scheduler: Scheduler) -> dict[str, Entry]:
        ids = [f"77_{index}" for index in range(count)] if count > 1 else ["77"]
        (wave,) = (tmp_path / "batch").iterdir()
        jobs = dict.fromkeys(ids, Entry(wave.name, QUEUED)) if known else {}
        return {"70": Entry("another", RUNNING), **jobs}

    monkeypatch.setattr(SYSTEMS[system], "queue", queue)
    says("srun")
    says(SUBMIT[system], answer)
    if known:
        assert [batch_id.split("_")[0] for batch_id in submitted(system, tmp_path, count)] == (
            ["77"] * count
        )
    else:
        with pytest.raises(SchedulerError, match=f"gave no clear job id: {answer[:2]}"):
            submitted(system, tmp_path, count)


@pytest.mark.parametrize(
    ("system", "text", "code", "temporary"),
    [
        ("pjm", "[ERR.] PJM 0054 pjsub Resource group 'x' does not exist.", 0, False),
        ("pjm", "[ERR.] PJM 0090 pjsub Internal error.", 0, True),
        ("pjm", "", 0, False),
        ("pbs", "qsub: Unknown queue", 1, False),
        ("lsf", "x: No such queue. Job not submitted.", 255, False),
        ("lsf", "User's pending job slot limit; too many jobs. Job not submitted.", 255, True),
        ("pbs", "qsub: would exceed queue generic's per-user limit", 1, True),
        ("slurm", "sbatch: error: invalid partition specified: x", 1, False),
        ("slurm", "sbatch: error: QOSMaxSubmitJobPerUserLimit", 1, True),
        ("slurm", "sbatch: error: Unable to contact slurm controller (connect failure)", 1, True),
    ],
)
def test_refusals(
    says: Says, tmp_path: Path, system: str, text: str, code: int, temporary: bool
) -> None:
    says("srun")
    says(SUBMIT[system], out="" if code else text, err=text if code else "", code=code)
    with pytest.raises(SchedulerError) as error:
        submitted(system, tmp_path)
    assert (text or "gave no clear job id: pjsub printed nothing") in str(error.value)
    assert error.value.temporary is temporary


def test_nothing_that_was_not_given_is_asked_for(says: Says, tmp_path: Path) -> None:
    lines = [line for line in script("pjm", says, tmp_path) if line.startswith("#PJM")]
    assert [" ".join(line.split()[1:3]) for line in lines[:1]] == ["-L elapse=1:30:00"]
    assert [line.split()[1] for line in lines] == ["-L", "-N", "-j", "-o"]


def test_a_full_pjm_script(says: Says, tmp_path: Path) -> None:
    given: dict[str, Any] = {"unit": "cx", "group": "cx-small", "nodes": 2, "gpus": 4, "cpus": 8}
    more: dict[str, Any] = {
        "memory": "16 GB",
        "account": "abc",
        "directives": ["--mail-list a@b.c"],
    }
    lines = script("pjm", says, tmp_path, **given, **more)
    for line in (
        "-L rscunit=cx",
        "-L rscgrp=cx-small",
        "-L node=2",
        "-L gpu=4",
        "-L vnode-core=8",
        "-L node-mem=16384Mi",
        "-g abc",
        "--mail-list a@b.c",
    ):
        assert f"#PJM {line}" in lines


def test_a_full_pbs_script(says: Says, tmp_path: Path) -> None:
    lines = script("pbs", says, tmp_path, cpus=8, gpus=1, memory="2 GB", queue="gpu", account="abc")
    for line in ("-l select=1:ncpus=8:ngpus=1:mem=2048mb", "-l walltime=1:30:00", "-q gpu"):
        assert f"#PBS {line}" in lines
    assert all(len(line.split()[2]) <= 15 for line in lines if line.startswith("#PBS -N"))


def test_a_full_lsf_script(says: Says, tmp_path: Path) -> None:
    given: dict[str, Any] = {"cpus": 8, "nodes": 2, "gpus": 1, "memory": "2 GB", "queue": "gpu"}
    lines = script("lsf", says, tmp_path, account="abc", **given)
    assert lines[0] == "#!/bin/bash"
    for line in (
        "-W 1:30",
        "-n 16",
        '-R "span[ptile=8]"',
        '-gpu "num=1"',
        "-M 2048MB",
        '-R "rusage[mem=2048MB]"',
        "-q gpu",
        "-P abc",
        "-r",
    ):
        assert f"#BSUB {line}" in lines
    assert any("${LSB_JOBID%%.*}" in line for line in lines)


def test_options_of_slurm_in_every_form(says: Says, tmp_path: Path) -> None:
    options = ["--exclusive", "-C gpu", "--mail-user=a_b@c.d", "--mail-type END"]
    lines = script("slurm", says, tmp_path, directives=options, partition="p", gres="gpu:a100:1")
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    for option in options:
        assert f"#SBATCH {option}" in lines[:first]
    assert {"#SBATCH --time=90", "#SBATCH --partition=p"} <= set(lines)
    assert not any(line.startswith("#SBATCH --error") for line in lines)


@pytest.mark.parametrize("system", SYSTEMS)
def test_setup_alone_reaches_the_shell(says: Says, tmp_path: Path, system: str) -> None:
    setup = ["export A=1 # $(hostname)", "ulimit -c 0"]
    lines = script(system, says, tmp_path, modules=["cuda/12.1", "a;b&c|d"], setup=setup)
    assert "module load cuda/12.1" in lines
    assert "module load 'a;b&c|d'" in lines
    assert lines.index(setup[0]) + 1 == lines.index(setup[1])
    commands = [line for line in lines if line and not line.startswith("#")]
    assert {line.split()[0] for line in commands} - {"trap", "export", "module", "ulimit"} == {
        commands[-1].split()[0]
    }
    assert "-m dsice.launch.task" in commands[-1]


@pytest.mark.parametrize(
    ("system", "kept_name"),
    [("slurm", "SLURM_CONF"), ("pbs", "PBS_CONF_FILE"), ("pbs", "PBS_SERVER")],
)
def test_an_outer_job_is_hidden(
    says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, kept_name: str
) -> None:
    outer = {"slurm": "SLURM_MEM_PER_NODE", "pbs": "PBS_O_WORKDIR"}[system]
    monkeypatch.setenv(outer, "1")
    monkeypatch.setenv(kept_name, "/there")
    script(system, says, tmp_path)
    seen = (tmp_path / SUBMIT[system] / "env").read_text().splitlines()
    assert f"{kept_name}=/there" in seen
    assert not any(line.startswith(f"{outer}=") for line in seen)
    assert os.environ[outer] == "1"
