"""What batch systems print, put into our words; their commands are small scripts here."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsice.launch.base import JobState
from dsice.launch.job import JobFolder, JobSpec, Kind
from dsice.launch.lsf import Lsf
from dsice.launch.make import SETTINGS
from dsice.launch.pbs import Pbs
from dsice.launch.pjm import Pjm
from dsice.launch.scheduler import Entry, Scheduler, SchedulerError
from dsice.launch.settings import BatchSettings
from dsice.launch.slurm import Slurm, own_time_left
from dsice.launch.wave import Wave

QUEUED, RUNNING, ENDED = JobState.QUEUED, JobState.RUNNING, JobState.ENDED
SYSTEMS: dict[str, type[Scheduler]] = {"slurm": Slurm, "pjm": Pjm, "pbs": Pbs, "lsf": Lsf}
SUBMIT = {"slurm": "sbatch", "pjm": "pjsub", "pbs": "qsub", "lsf": "bsub"}
ACCEPTED = {
    "slurm": "Submitted batch job 77",
    "pjm": "[INFO] PJM 0000 pjsub Job 77 submitted.",
    "pbs": "77.server",
    "lsf": "Job <77> is submitted to queue <normal>.",
}
Says = Callable[..., Path]


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Makes a command that prints something; returns where its arguments and script are kept."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(command: str, out: str = "", err: str = "", code: int = 0) -> Path:
        kept = tmp_path / command
        kept.mkdir(exist_ok=True)
        (kept / "out").write_text(out, errors="surrogateescape")
        (kept / "err").write_text(err)
        (folder / command).write_text(
            f"#!/bin/sh\ncd '{kept}'\nprintf '%s\\n' \"$@\" > args\nenv > env\n"
            'if [ -f "$1" ]; then cat "$1" > script; elif [ "$#" = 0 ]; then cat > script; fi\n'
            f"cat out\ncat err >&2\nexit {code}\n"
        )
        (folder / command).chmod(0o755)
        return kept

    return make


# -- Slurm -----------------------------------------------------------------------------------------


def test_squeue(says: Says) -> None:
    lines = [
        "7_0|RUNNING|None|study.1.1-aa",
        "7_1|PENDING|Priority|study.1.1-aa",
        "8|PENDING|PartitionDown|bb",
        "9|REQUEUED|None|cc",
        "10|PREEMPTED|None|dd",
        "11|TIMEOUT|TimeLimit|a|b|c",
        "12|OUT_OF_MEMORY|OutOfMemory|ff",
        "13|NODE_FAIL|None|gg",
        "14|CANCELLED|None|hh",
        "15|COMPLETED|None|ii",
        "16|COMPLETING|None|",
        "17|SOMETHING_NEW|None|jj",
        "18|RUNNING|PartitionDown|kk",
        "19|PENDING|None|two",
        "lines",
    ]
    kept = says("squeue", "\n".join(lines) + "\n")
    queue = Slurm().queue()
    assert {key: entry.state for key, entry in queue.items()} == {
        **dict.fromkeys(["7_1", "8", "9", "17", "19"], QUEUED),
        **dict.fromkeys(["7_0", "16", "18"], RUNNING),
        **dict.fromkeys(["10", "11", "12", "13", "14", "15"], ENDED),
    }
    kinds = {key: queue[key].kind for key in ("10", "11", "12", "13", "14", "15")}
    assert kinds == {
        "10": Kind.PREEMPTED,
        "11": Kind.TIMEOUT,
        "12": Kind.OUT_OF_MEMORY,
        "13": Kind.NODE_FAILED,
        "14": Kind.REMOVED,
        "15": Kind.OK,
    }
    assert (queue["7_0"].name, queue["11"].name) == ("study.1.1-aa", "a|b|c")
    assert {key: e.stuck for key, e in queue.items() if e.stuck} == {"8": "PartitionDown"}
    assert all(queue[key].reason for key in ("10", "11", "12", "13", "14"))
    assert "--me" in (kept / "args").read_text().split()


@pytest.mark.parametrize("break_", ["\u2028", "\x85", "\x0c"])
def test_names_with_breaks_of_unicode(says: Says, break_: str) -> None:
    says("squeue", f"7|RUNNING|None|one{break_}two\n8|PENDING|Priority|b\n")
    assert [entry.name for entry in Slurm().queue().values()] == [f"one{break_}two", "b"]
    says("sacct", f"7|COMPLETED|one{break_}two\n")
    assert Slurm().ended({"7"})["7"].name == f"one{break_}two"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1:00:00", 3480.0), ("Maintenance at 9\n1-00:00:00\n", 86280.0), ("UNLIMITED", None)],
)
def test_the_time_that_a_driver_has_left(
    says: Says, monkeypatch: pytest.MonkeyPatch, text: str, seconds: float | None
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    says("squeue", text)
    assert own_time_left() == seconds


def test_an_empty_queue(says: Says) -> None:
    says("squeue")
    assert Slurm().queue() == {}


def test_sacct(says: Says) -> None:
    kept = says("sacct", "7_0|CANCELLED by 0|x\n7_1|OUT_OF_MEMORY|y|z\n99|FAILED|n\n8|RUNNING|v\n")
    ended = Slurm().ended({"7_0", "7_1", "8"})
    assert {key: (e.state, e.kind, e.name) for key, e in ended.items()} == {
        "7_0": (ENDED, Kind.REMOVED, "x"),
        "7_1": (ENDED, Kind.OUT_OF_MEMORY, "y|z"),
        "8": (RUNNING, Kind.OK, "v"),
    }
    assert "7_0,7_1,8" in (kept / "args").read_text().split()


@pytest.mark.parametrize(
    ("system", "command", "text", "temporary"),
    [
        ("slurm", "squeue", "slurm_load_jobs error: Unable to contact slurm controller", True),
        ("slurm", "squeue", "slurm_load_jobs error: Socket timed out on send/recv", True),
        ("slurm", "squeue", "squeue: unrecognized option '--me'", False),
        ("pjm", "pjstat", "[ERR.] PJM 0090 pjstat Internal error.", True),
        ("pjm", "pjstat", "[ERR.] PJM 0003 pjstat Invalid argument --choose.", False),
        ("pbs", "qstat", "Connection refused\nqstat: cannot connect to server pbs", True),
        ("pbs", "qstat", "qstat: illegal option", False),
        ("lsf", "bjobs", "LSF is down. Please wait ...", True),
        ("lsf", "bjobs", "bjobs: illegal option -- o", False),
    ],
)
def test_a_command_that_fails(
    says: Says, system: str, command: str, text: str, temporary: bool
) -> None:
    says(command, err=text, code=1)
    with pytest.raises(SchedulerError) as error:
        SYSTEMS[system]().queue()
    assert " ".join(text.split()) in str(error.value)
    assert error.value.temporary is temporary


def test_a_host_without_the_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for system, scheduler in SYSTEMS.items():
        with pytest.raises(SchedulerError, match="is this a host of") as error:
            scheduler().queue()
        assert not error.value.temporary
        with pytest.raises(SchedulerError) as error:
            submitted(system, tmp_path / system)
        assert not error.value.temporary


@pytest.mark.parametrize(
    ("system", "command", "text"),
    [
        ("slurm", "scancel", "scancel: error: job id 7: Invalid job id specified"),
        ("pbs", "qdel", "qdel: Unknown Job Id 7.server"),
        ("pbs", "qdel", "qdel: Job has finished 7.server"),
        ("lsf", "bkill", "Job <7>: Job has already finished"),
        ("lsf", "bkill", "Job <7>: No matching job found"),
    ],
)
def test_ending_what_has_ended(says: Says, system: str, command: str, text: str) -> None:
    kept = says(command, err=text, code=1)
    SYSTEMS[system]().cancel(["7", "8"])
    assert (kept / "args").read_text().split() == ["7", "8"]


# -- Fujitsu TCS -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "JOB_ID     JOB_NAME   ST\n101        one-aa     RUN\n102        two-bb     QUE\n",
        "JOB_ID  JOB_NAME  STATUS\n101  one-aa  RUNNING\n102  two-bb  QUEUED\n",
        " ACCEPT QUEUED HOLD TOTAL\n 0 1 0 1\nJID JNAM ST\n101 one-aa RNE\n102 two-bb HLD\n",
    ],
)
def test_pjstat(says: Says, text: str) -> None:
    says("pjstat", text)
    queue = Pjm().queue()
    assert {key: (entry.name, entry.state) for key, entry in queue.items()} == {
        "101": ("one-aa", RUNNING),
        "102": ("two-bb", QUEUED),
    }


def test_pjstat_without_jobs(says: Says) -> None:
    for text in ("", "\n", "JOB_ID JOB_NAME ST\n", "No unended jobs found.\n"):
        says("pjstat", text)
        assert Pjm().queue() == {}


@pytest.mark.parametrize(
    "text",
    ["[ERR.] PJM 0090 pjstat Internal error.\n", "101 one RUN\n", "JOB_ID JOB_NAME\n101 one\n"],
)
def test_a_table_that_makes_no_sense_is_no_empty_queue(says: Says, text: str) -> None:
    says("pjstat", text)
    with pytest.raises(SchedulerError) as error:
        Pjm().queue()
    assert error.value.temporary


@pytest.mark.parametrize(
    ("state", "code", "kind"),
    [
        ("EXT", "0", Kind.OK),
        ("END", "0", Kind.OK),
        ("CCL", "1", Kind.REMOVED),
        ("CCL", "0", Kind.REMOVED),
        ("EXT", "11", Kind.TIMEOUT),
        ("EXT", "12", Kind.OUT_OF_MEMORY),
        ("ERR", "20", Kind.NODE_FAILED),
        ("EXT", "140", Kind.LOST),
    ],
)
def test_pjm_codes(says: Says, state: str, code: str, kind: Kind) -> None:
    head = "JOB_ID JOB_NAME ST EC SN PC"
    kept = says("pjstat", f"{head}\n101 one {state} 0 0 {code}\n")
    assert Pjm().ended({"101", "102"})["101"].kind is kind
    assert "jid=101+102" in (kept / "args").read_text().split()


# -- PBS -------------------------------------------------------------------------------------------


def test_qstat(says: Says) -> None:
    jobs = {
        "1.s": {"Job_Name": "one", "job_state": "Q"},
        "2.s": {"Job_Name": "two", "job_state": "R"},
        "3.s": {"Job_Name": "three", "job_state": "F", "Exit_status": -29},
        "4.s": {"Job_Name": "four", "job_state": "F", "Exit_status": 271},
        "5.s": {"Job_Name": "five", "job_state": "F"},
        "6.s": {"Job_Name": "six", "job_state": "F", "Exit_status": 7},
    }
    says("qstat", json.dumps({"Jobs": jobs}).replace("six", "six\ttab"))
    queue = Pbs().queue()
    assert [entry.state for entry in queue.values()] == [QUEUED, RUNNING, *[ENDED] * 4]
    kinds = [entry.kind for entry in queue.values()][2:]
    assert kinds == [Kind.TIMEOUT, Kind.REMOVED, Kind.OK, Kind.LOST]
    assert queue["6"].name == "six\ttab"
    says("qstat")
    assert Pbs().queue() == {}
    says("qstat", "Maintenance {soon}\n" + json.dumps({"Jobs": jobs}, indent=1) + "\nbye\n")
    assert len(Pbs().queue()) == 6


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "down",
        '{"Jobs": {"1.s": {"job_state": "F", "Exit_status": null}}}',
        '{"Jobs": {"1.s": {}}}',
        '{"Jobs": {"1.s": 3}}',
    ],
)
def test_qstat_that_makes_no_sense(says: Says, text: str) -> None:
    says("qstat", text)
    with pytest.raises(SchedulerError, match="makes no sense"):
        Pbs().queue()


# -- submissions -----------------------------------------------------------------------------------


def submitted(system: str, folder: Path, count: int = 1, **given: object) -> list[str]:
    settings: BatchSettings = SETTINGS[system].model_validate({"time": 5400, **given})
    jobs = []
    for index in range(count):
        job = JobFolder(folder / f"job-{index}")
        job.create(JobSpec("study.1\n.1", ("true",), str(folder)))
        jobs.append(job)
    scheduler = SYSTEMS[system]()
    wave = Wave.create(system, folder / "batch", [[job] for job in jobs], scheduler.NAME_LENGTH)
    return scheduler.submit(wave, settings)


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


# In the form of the examples in IBM's reference of bjobs -o.
BJOBS = """101|RUN|-|-|study.1.1-aa
102|PEND|-|-|study.2.1-bb
103|PSUSP|-|-|cc
104|USUSP|-|-|dd
105|DONE|-|-|ee
106|EXIT|1|-|ff
107|EXIT|140|TERM_RUNLIMIT: job killed after reaching LSF run time limit|gg
108|EXIT|137|TERM_MEMLIMIT: job killed after reaching LSF memory usage limit|hh
109|EXIT|130|TERM_OWNER: job killed by owner|a|b|c
110|ZOMBI|-|-|ii
111|EXIT|-|TERM_ZOMBIE: job exited while LSF is not available|jj
a message of the site
"""


def test_bjobs(says: Says) -> None:
    kept = says("bjobs", BJOBS)
    queue = Lsf().queue()
    assert {key: entry.state for key, entry in queue.items()} == {
        **dict.fromkeys(["102", "103"], QUEUED),
        **dict.fromkeys(["101", "104", "110"], RUNNING),
        **dict.fromkeys(["105", "106", "107", "108", "109", "111"], ENDED),
    }
    assert {key: entry.kind for key, entry in queue.items() if entry.state is ENDED} == {
        "105": Kind.OK,
        "106": Kind.LOST,
        "107": Kind.TIMEOUT,
        "108": Kind.OUT_OF_MEMORY,
        "109": Kind.REMOVED,
        "111": Kind.NODE_FAILED,
    }
    assert queue["109"].name == "a|b|c"
    assert queue["106"].reason == "its batch job ended with exit code 1"
    assert {key for key, entry in queue.items() if entry.stuck} == {"103"}
    assert "-a" in (kept / "args").read_text().split()


@pytest.mark.parametrize("words", ["No job found", "No unfinished job found"])
@pytest.mark.parametrize("code", [0, 255])
def test_no_jobs_of_lsf(says: Says, words: str, code: int) -> None:
    says("bjobs", err=words, code=code)
    assert Lsf().queue() == {}


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
