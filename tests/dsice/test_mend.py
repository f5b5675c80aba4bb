"""`dsice retry`, `discard` and `add` as a user runs them, without a driver and beside one."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsice.repair.plan import Repair
from dsice.study.state import Study
from dsice.study.summary import under_way
from dsice.study.task import Status
from tests.conftest import Dsice, StudyFile
from tests.dsice.test_crash import GATED, Start, start, wait_for

__all__ = ["start"]  # a fixture

TOP = 'minimize = "y"\nsearch = "random"'
FAILING = """#!/bin/sh
echo "$1 $2" >> "$(dirname "$0")/calls"
if [ ! -e "$(dirname "$0")/mended" ] && [ $(($1 % 3)) = 0 ]; then echo "no licence" >&2; exit 3; fi
echo "{\\"y\\": $(($1 + $2)), \\"z\\": $1}"
"""


def lines(text: str) -> list[str]:
    return text.splitlines()


def journal(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines((directory / "journal.jsonl").read_text())]


def test_failed_trials_are_measured_again(
    dsice: Dsice, study_file: StudyFile, program_calls: Callable[[], list[str]], tmp_path: Path
) -> None:
    study_file(top=TOP, run="trials = 12", program=FAILING)
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    failed = [t.number for t in Study.open(tmp_path / "out").with_status(Status.FAILED)]
    assert failed
    assert len(failed) < 12
    (tmp_path / "mended").touch()
    none = dsice("retry", "out", "--reason", "disk")
    assert none.returncode == 2
    assert "no trial has failed for a reason that contains 'disk'" in none.stderr
    assert "no licence" in none.stderr
    done = dsice("retry", "out", "--failed", "--reason", "LICENCE")
    assert done.returncode == 0, done.stderr
    assert "measured again: 'dsice run' does it." in done.stdout
    status = json.loads(dsice("status", "out", "--json").stdout)
    assert (status["trials"]["waiting"], status["trials"]["failed"]) == (len(failed), 0)
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    study = Study.open(tmp_path / "out")
    assert len(study.with_status(Status.DONE)) == len(study.trials) == 12
    counts = Counter(program_calls())
    assert sorted(counts.values()) == [1] * (12 - len(failed)) + [2] * len(failed)


def test_every_view_shows_what_was_discarded(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(top=TOP, run="trials = 6")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    best = Study.open(tmp_path / "out").best
    done = dsice("discard", "out", best.number, "--why", "another job <b>disturbed</b> it")
    assert done.stdout == f"Trial {best.number} counts no more: another job <b>disturbed</b> it\n"
    again = dsice("discard", "out", best.number, "--why", "x")
    assert (again.returncode, "is discarded already" in again.stderr) == (2, True)

    assert json.loads(dsice("best", "out", "--json").stdout)["trial"] != best.number
    assert "1 discarded" in dsice("status", "out").stdout
    status = json.loads(dsice("status", "out", "--json").stdout)
    assert status["discarded"] == {str(best.number): "another job <b>disturbed</b> it"}
    assert status["trials"]["discarded"] == 1
    told = dsice("explain", "out", best.number).stdout
    assert "It does not count: another job <b>disturbed</b> it." in told
    assert dsice("explain", "out").returncode == 0
    rows = list(csv.DictReader(io.StringIO(dsice("export", "out", "--csv", "-").stdout)))
    row = rows[best.number - 1]
    assert (row["state"], row["y"], row["reason"]) == (
        "discarded",
        "",
        "another job <b>disturbed</b> it",
    )
    assert dsice("report", "out").returncode == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "What was discarded" in page
    assert "another job &lt;b&gt;disturbed&lt;/b&gt; it" in page
    assert '<tr class="discarded">' in page
    assert "<b>disturbed" not in page
    # Whoever reads the export or the directory does not take it for a result either.
    (tmp_path / "table.csv").write_text(dsice("export", "out", "--csv", "-").stdout)
    for number, source in enumerate(("table.csv", "out")):
        said = dsice("import", "study.toml", source, "--in", f"other{number}")
        assert said.returncode == 0, said.stderr
        assert len(Study.open(tmp_path / f"other{number}").known) == 5


def test_points_are_added(
    dsice: Dsice, study_file: StudyFile, program_calls: Callable[[], list[str]], tmp_path: Path
) -> None:
    study_file(top=TOP, run="trials = 3")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    taken = {tuple(trial.params.values()) for trial in Study.open(tmp_path / "out").trials}
    free = [(a, b) for a in range(10) for b in range(10) if (a, b) not in taken]
    (a, b), (c, d) = free[:2]
    assert dsice("add", "out", f"a={a}", f"b={b}").stdout == (
        "Trial 4 is to be measured there: 'dsice run' does it.\n"
    )
    twice = dsice("add", "out", f"a={a},b={b}")
    assert (twice.returncode, "trial 4 is at this point (waiting)" in twice.stderr) == (2, True)
    known = dsice("add", "out", f"a={c}", f"b={d}", "--metrics", "y=-5")
    assert known.stdout == "Known now: 1 result from elsewhere.\n"
    assert dsice("add", "out", f"a={a}", "b=3.2").returncode == 2
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    assert program_calls()[3:] == [f"{a} {b}"]
    status = dsice("status", "out").stdout
    assert "Better, known from elsewhere: y -5" in status
    assert "Trial 4 was added by the user." in dsice("explain", "out", 4).stdout
    more = dsice("run", "study.toml", "--in", "out", "--trials", 6)
    assert more.returncode == 0
    assert f"{c} {d}" not in program_calls()


def test_beside_a_driver_that_is_killed(
    dsice: Dsice,
    study_file: StudyFile,
    program_calls: Callable[[], list[str]],
    start: Start,
    tmp_path: Path,
) -> None:
    """The driver at work takes requests up; what a killed one has left, the next one does."""
    study_file(top=TOP, run="parallel = 2\ntrials = 6", program=GATED)
    (tmp_path / "gate").touch()
    assert dsice("run", "study.toml", "--in", "out", "--trials", 2).returncode == 0
    (tmp_path / "gate").unlink()
    driver = start("run", "study.toml", "--in", "out")
    wait_for(lambda: len(program_calls()) == 4)  # two more of them run, and wait
    running = [t.number for t in Study.open(tmp_path / "out").with_status(Status.RUNNING)]
    assert running == [3, 4]
    said = dsice("retry", "out", 1)
    assert said.stdout == "Trial 1 waits to be measured again: the driver at work does it.\n"
    assert dsice("discard", "out", 2, "--why", "no").returncode == 0
    owner = [each for each in journal(tmp_path / "out") if each["event"] == "session"][-1][
        "session"
    ]
    wished = [
        each for each in journal(tmp_path / "out") if each["event"] in ("retried", "discarded")
    ]
    assert [each["session"] for each in wished] == [owner, owner]  # the driver wrote them
    driver.kill()
    driver.wait()
    free = ["a=0", "b=0"] if "0 0" not in program_calls() else ["a=0", "b=1"]
    assert dsice("add", "out", *free).returncode == 0
    assert not list((tmp_path / "out" / "requests").iterdir())
    (tmp_path / "gate").touch()
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    study = Study.open(tmp_path / "out")
    assert [t.number for t in study.with_status(Status.DISCARDED)] == [2]
    assert len(study.with_status(Status.DONE)) == study.spent == 6
    first = "{a} {b}".format(**study.trials[0].params)
    assert {point for point, n in Counter(program_calls()).items() if n > 1} == {first}
    assert Counter(program_calls())[first] == 2


def test_running_trials_are_ended_and_measured_again_or_discarded(
    dsice: Dsice,
    study_file: StudyFile,
    program_calls: Callable[[], list[str]],
    start: Start,
    tmp_path: Path,
) -> None:
    study_file(top=TOP, run="parallel = 2\ntrials = 4", program=GATED)
    (tmp_path / "calls").touch()
    driver = start("run", "study.toml", "--in", "out")
    wait_for(lambda: len(program_calls()) == 2)
    said = dsice("retry", "out", 1)
    assert said.stdout.startswith("Trial 1 waits to be measured again: the driver at work does it.")
    wait_for(lambda: len(program_calls()) == 3)  # its second attempt
    assert dsice("discard", "out", 2, "--why", "a mistake").returncode == 0
    wait_for(lambda: len(program_calls()) == 4)  # another one in its place
    driver.kill()
    driver.wait()
    # Without a driver the job goes on, and the next one ends it.
    without = dsice("discard", "out", 3, "--why", "no")
    assert without.stdout == "Trial 3 counts no more: no. Its job is ended by 'dsice run'.\n"
    study = Study.open(tmp_path / "out")
    assert [t.status.value for t in study.trials] == ["running", "discarded", "running"]
    assert "is being ended, to be discarded" in " ".join(map(under_way, study.trials[2:]))
    (tmp_path / "gate").touch()
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    study = Study.open(tmp_path / "out")
    assert [t.number for t in study.with_status(Status.DISCARDED)] == [2, 3]
    assert len(study.with_status(Status.DONE)) == study.spent == 4
    first = "{a} {b}".format(**study.trials[0].params)
    assert program_calls().count(first) == len(study.trials[0].attempts) == 2


@pytest.mark.parametrize("lost", ["ended", "trial"])
def test_repair_brings_back_what_was_taken_back(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path, lost: str
) -> None:
    study_file(top=TOP, run="trials = 3")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    assert dsice("retry", "out", 2).returncode == 0
    assert dsice("discard", "out", 3, "--why", "no").returncode == 0
    file = tmp_path / "out" / "journal.jsonl"
    kept = []
    for line in lines(file.read_text()):
        event = json.loads(line)
        gone = event["event"] == lost and event["trial"] in (2, 3)
        kept.append("rubbish" if gone else line)
    file.write_text("\n".join(kept) + "\n")
    assert dsice("status", "out").returncode == 2
    repair = Repair.of(tmp_path / "out")
    assert repair.findings
    assert dsice("repair", "out", "--write").returncode == 0
    study = Study.open(tmp_path / "out")
    assert [t.status.value for t in study.trials] == ["done", "waiting", "discarded"]
    assert study.trials[2].reason == "no"
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    assert len(Study.open(tmp_path / "out").with_status(Status.DONE)) == 3


def test_help(dsice: Dsice) -> None:
    for command in ("retry", "discard", "add"):
        told = dsice(command, "--help")
        assert told.returncode == 0
        said = " ".join(told.stdout.split())
        assert "A driver that is at work takes it up within moments" in said
