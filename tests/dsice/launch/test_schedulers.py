"""What batch systems print, put into our words; their commands are small scripts here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dsice.launch.job import Kind
from dsice.launch.lsf import Lsf
from dsice.launch.pbs import Pbs
from dsice.launch.pjm import Pjm
from dsice.launch.scheduler import SchedulerError
from dsice.launch.slurm import Slurm, own_time_left
from tests.dsice.launch.commands import (
    ENDED,
    QUEUED,
    RUNNING,
    SYSTEMS,
    Says,
    submitted,
)

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
