"""The test cluster and the stand-ins behave as the tests of the launchers take for granted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.alone]

HERE = Path(__file__).parent


def run(
    *command: object, check: bool = True, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of Slurm or of the stand-ins, with ``env`` added to its environment."""
    path = f"{HERE / 'bin/pjm'}:{HERE / 'bin/pbs'}:{os.environ['PATH']}"
    done = subprocess.run(
        [str(word) for word in command],
        env=os.environ | {"PATH": path} | (env or {}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


def cluster(action: str) -> None:
    """Run ``cluster.sh`` on the cluster of these tests."""
    run(HERE / "cluster.sh", action, Path(os.environ["SLURM_CONF"]).parents[1])


def eventually(check: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until ``check()`` holds."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.2)


def sbatch(script: str, *options: str) -> str:
    return run("sbatch", "--parsable", "--output=%x.%j.out", *options, "--wrap", script).stdout[:-1]


def states(number: str) -> dict[str, str]:
    """The state of each task of a job, of ended ones too."""
    lines = run("squeue", "--states=all", "-hro", "%i|%T", "-j", number).stdout.splitlines()
    return dict(line.split("|") for line in lines)


def state(number: str) -> str:
    return states(number)[number]


def pjsub(script: Path) -> str:
    answer = run("pjsub", script).stdout
    found = re.fullmatch(r"\[INFO\] PJM 0000 pjsub Job (\d+) submitted\.\n", answer)
    assert found, answer
    return found[1]


def pjstat(number: str, *options: str, site: str = "") -> list[dict[str, str]]:
    """The lines of pjstat about a job, by its header."""
    choose = ("--choose", "jid,jnam,st,ec,sn,pc", "--filter", f"jid={number}")
    table = run("pjstat", "-v", *options, *choose, env={"PJSTAT_SITE": site}).stdout
    header, *rows = [line.split() for line in table.splitlines()]
    return [dict(zip(header, row, strict=True)) for row in rows]


def qstat(*ids: str) -> dict[str, dict[str, object]]:
    jobs = json.loads(run("qstat", "-x", "-f", "-F", "json", *ids).stdout)["Jobs"]
    assert isinstance(jobs, dict)
    return jobs


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def pjm_script(directory: Path, body: str, group: str = "cx-share") -> Path:
    script = directory / "pjm.sh"
    script.write_text(
        "#!/bin/bash\n#PJM -L rscunit=cx\n"
        f'#PJM -L "rscgrp={group}"\n#PJM -L gpu=1\n#PJM -L elapse=0:00:30\n'
        f"#PJM -N a-name\n#PJM -j -S\n#PJM -o {directory}/pjm.out\n{body}\n"
    )
    return script


def pbs_script(directory: Path, body: str) -> Path:
    script = directory / "pbs.sh"
    script.write_text(
        "#!/bin/bash\n#PBS -N a-name\n#PBS -q workq\n#PBS -A somebody\n"
        "#PBS -l select=1:ncpus=4:ngpus=1:mem=16gb\n#PBS -l walltime=00:00:30\n"
        f"#PBS -j oe\n#PBS -o {directory}/pbs.out\n#PBS -r y\n{body}\n"
    )
    return script


@pytest.fixture(scope="module", autouse=True)
def overlong(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Jobs of each kind that run into their time limits while the other tests run."""
    directory = tmp_path_factory.mktemp("overlong")
    jobs = {
        "slurm": sbatch("sleep 300", "--time=1", f"--chdir={directory}"),
        "pjm": pjsub(pjm_script(directory, "sleep 300")),
        "pbs": run("qsub", pbs_script(directory, "sleep 300")).stdout.strip(),
    }
    yield jobs
    run("scancel", *(number.removesuffix(".pbs") for number in jobs.values()))


def test_a_job_array_has_a_task_for_each_index_and_runs_some_at_a_time() -> None:
    number = sbatch("sleep 1", "--array=0-9%4")
    assert set(states(number)) == {f"{number}_{index}" for index in range(10)}

    def ended() -> bool:
        now = list(states(number).values())
        assert now.count("RUNNING") <= 4
        return now == ["COMPLETED"] * 10

    eventually(ended)


def test_a_gpu_asked_for_is_named_to_the_job(tmp_path: Path) -> None:
    number = sbatch('echo "$CUDA_VISIBLE_DEVICES"', "--gpus-per-node=2", "--job-name=gpu")
    eventually(lambda: state(number) == "COMPLETED")
    output = (tmp_path / f"gpu.{number}.out").read_text()
    assert re.fullmatch(r"\d+,\d+\n", output)


def test_a_cancelled_job_is_told_by_sigterm(tmp_path: Path) -> None:
    body = "trap 'echo told; exit 0' TERM; echo ready; sleep 300 & wait"
    number = sbatch(body, "--job-name=cancelled")
    output = tmp_path / f"cancelled.{number}.out"
    eventually(lambda: output.exists() and "ready" in output.read_text())
    run("scancel", number)
    eventually(lambda: state(number) == "CANCELLED")
    eventually(lambda: "told" in output.read_text())


def test_a_requeued_job_runs_again_and_knows_it(tmp_path: Path) -> None:
    body = 'echo "run ${SLURM_RESTART_COUNT:-0}"; [ -n "$SLURM_RESTART_COUNT" ] || sleep 300'
    number = sbatch(body, "--open-mode=append", "--job-name=again")
    output = tmp_path / f"again.{number}.out"
    eventually(lambda: output.exists() and "run 0" in output.read_text())
    run("scontrol", "requeue", number)
    eventually(lambda: state(number) == "COMPLETED")
    assert "run 1" in output.read_text()


def test_an_urgent_job_preempts_and_requeues_others(tmp_path: Path) -> None:
    body = 'echo "run ${SLURM_RESTART_COUNT:-0}"; [ -n "$SLURM_RESTART_COUNT" ] || sleep 300'
    number = sbatch(body, "--open-mode=append", "--job-name=lesser", "--nodelist=n4")
    output = tmp_path / f"lesser.{number}.out"
    eventually(lambda: output.exists() and "run 0" in output.read_text())
    urgent = sbatch("true", "--partition=urgent", "--exclusive", "--nodelist=n4")
    eventually(lambda: state(urgent) == "COMPLETED")
    eventually(lambda: state(number) == "COMPLETED", 60)
    assert "DUE TO PREEMPTION" in output.read_text()
    assert "run 1" in output.read_text()


def test_a_drained_node_starts_nothing() -> None:
    run("scontrol", "update", "NodeName=n3", "State=DRAIN", "Reason=test")
    try:
        number = sbatch("true", "--nodelist=n3")
        reason = ("squeue", "-ho", "%r", "-j", number)
        eventually(lambda: run(*reason).stdout.startswith("ReqNodeNotAvail"))
    finally:
        run("scontrol", "update", "NodeName=n3", "State=RESUME")
    eventually(lambda: state(number) == "COMPLETED")


def test_jobs_survive_a_restart_of_the_controller() -> None:
    running, held = sbatch("sleep 300"), sbatch("true", "--hold")
    eventually(lambda: state(running) == "RUNNING")
    cluster("stop-controller")
    try:
        failed = run("squeue", check=False)  # gives up after some ten seconds
    finally:
        cluster("start-controller")
    assert failed.returncode == 1
    assert "Unable to contact slurm controller" in failed.stderr
    assert state(running) == "RUNNING"
    assert state(held) == "PENDING"
    run("scancel", running, held)


def test_no_accounts_are_kept() -> None:
    if "slurmdbd" in Path(os.environ["SLURM_CONF"]).read_text():
        pytest.skip("this cluster keeps accounts")
    assert run("sacct", check=False).returncode == 1


def test_pjsub_refuses_a_wrong_group_by_words_only(tmp_path: Path) -> None:
    answer = run("pjsub", pjm_script(tmp_path, "true", group="cx-none"))
    assert answer.returncode == 0
    assert "[ERR.] PJM 0054 pjsub" in answer.stdout + answer.stderr
    assert "[INFO]" not in answer.stdout


def test_a_pjm_job_sees_its_own_variables_only(tmp_path: Path) -> None:
    body = 'cd "$PJM_O_WORKDIR"; echo $PJM_JOBID $PJM_JOBNAME $PJM_ENVIRONMENT $MINE $PWD; exit 3'
    script = pjm_script(tmp_path, body)
    number = run("pjsub", script, env={"MINE": "leaked"}).stdout.split()[5]
    eventually(lambda: bool(pjstat(number, "-H")))
    assert pjstat(number) == []
    ended = {"JOB_ID": number, "JOB_NAME": "a-name", "ST": "EXT", "EC": "3", "SN": "0", "PC": "0"}
    assert pjstat(number, "-H") == [ended]
    assert pjstat(number, "-H", site="wisteria")[0]["STATUS"] == "END"
    output = (tmp_path / "pjm.out").read_text()
    assert output == f"{number} a-name BATCH {tmp_path}\n"


def test_pjdel_ends_a_running_job(tmp_path: Path) -> None:
    number = pjsub(pjm_script(tmp_path, "sleep 300"))
    eventually(lambda: pjstat(number)[0]["ST"] == "RUN")
    assert pjstat(number, site="wisteria")[0]["STATUS"] == "RUNNING"
    assert pjstat(number, "-H") == []
    run("pjdel", number)
    eventually(lambda: bool(pjstat(number, "-H")))
    [row] = pjstat(number, "-H")
    assert (row["ST"], row["PC"]) == ("CCL", "1")
    assert run("pjdel", number, check=False).returncode == 1


def test_a_pbs_job_sees_its_own_variables_only(tmp_path: Path) -> None:
    body = 'echo "$PBS_JOBID $PBS_JOBNAME $PBS_O_WORKDIR $MINE"; pwd; exit 3'
    number = run("qsub", pbs_script(tmp_path, body), env={"MINE": "leaked"}).stdout.strip()
    assert re.fullmatch(r"\d+\.pbs", number)
    eventually(lambda: qstat(number)[number]["job_state"] == "F")
    job = qstat(number)[number]
    assert (job["Job_Name"], job["Exit_status"]) == ("a-name", 3)
    assert re.fullmatch(r".+@.+", str(job["Job_Owner"]))
    # It starts in the home directory, as PBS's jobs do.
    assert (tmp_path / "pbs.out").read_text() == f"{number} a-name {tmp_path} \n{Path.home()}\n"


def test_qdel_ends_a_running_job_and_a_waiting_one(tmp_path: Path) -> None:
    script = pbs_script(tmp_path, "sleep 300")
    running = run("qsub", script).stdout.strip()
    eventually(lambda: qstat(running)[running]["job_state"] == "R")
    # Needs all nodes, of which one is taken.
    waiting = run("qsub", "-l", "select=4:ncpus=16", script).stdout.strip()
    assert qstat(waiting)[waiting]["job_state"] == "Q"
    run("qdel", running, waiting)
    eventually(lambda: {job["job_state"] for job in qstat(running, waiting).values()} == {"F"})
    jobs = qstat(running, waiting)
    assert jobs[running]["Exit_status"] == 256 + 15
    assert "Exit_status" not in jobs[waiting]
    assert run("qdel", running, check=False).returncode == 35
    assert run("qstat", "-f", "-F", "json", running, check=False).returncode == 35
    assert run("qstat", "-f", "-F", "json", "999999.pbs", check=False).returncode == 153


# Last, since the limits are a minute, and Slurm looks at them every half minute.
def test_a_job_over_its_time_limit_says_so(overlong: dict[str, str]) -> None:
    eventually(lambda: state(overlong["slurm"]) == "TIMEOUT", 120)
    eventually(lambda: bool(pjstat(overlong["pjm"], "-H")), 60)
    assert pjstat(overlong["pjm"], "-H")[0]["PC"] == "11"
    eventually(lambda: qstat(overlong["pbs"])[overlong["pbs"]]["job_state"] == "F", 60)
    assert qstat(overlong["pbs"])[overlong["pbs"]]["Exit_status"] == -29
