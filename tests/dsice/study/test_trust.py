"""A study directory can be trusted: results are of what they measured, whatever was done to it."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from benchmarks.trust import damaged
from dsice.errors import DamagedStudy, InvalidInput, OtherStudy
from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome
from dsice.repair.plan import Repair
from dsice.study import frozen
from dsice.study.config import parse
from dsice.study.journal import Lines
from dsice.study.state import Study
from dsice.study.task import Status
from dsice.study.unknown import unknown_folders
from tests.dsice.study.kept import Kept, cut, true
from tests.dsice.study.machine import results

pytestmark = pytest.mark.usefixtures("no_flushing")


def test_a_journal_older_than_its_folders_is_refused_and_repaired(tmp_path: Path) -> None:
    expected = results(Kept(tmp_path / "whole").run())
    whole = (tmp_path / "whole" / "journal.jsonl").read_bytes().count(b"\n")
    for lines in range(3, whole, 7):
        bench = Kept(tmp_path / f"cut-{lines}")
        bench.run()
        cut(bench, lines)
        calls = len(bench.machine.calls)
        unknown = unknown_folders(Study.open(bench.place.path))
        if unknown:
            with pytest.raises(DamagedStudy, match=r"folders are not in its journal.*dsice repair"):
                bench.resumed()
        repair = Repair.of(bench.place.path)
        assert len(repair.findings) == len(unknown)
        repair.write()
        study = bench.resumed()
        assert true(study)
        # Nothing was measured again.
        assert len(bench.machine.calls) == calls == len(set(bench.machine.calls))
        assert results(study) == expected


def test_unknown_folders_can_be_set_aside(tmp_path: Path) -> None:
    bench = Kept(tmp_path)
    bench.run()
    cut(bench, 20)
    known = len(Study.open(bench.place.path).trials)
    repair = Repair.of(bench.place.path, adopt=False)
    assert len(repair.set_aside) >= 20 - known
    kept = repair.write()
    assert kept == bench.place.path / "repair-1"
    assert (kept / "journal.jsonl").is_file()
    assert (kept / "trials" / "00020" / "params.json").is_file()
    assert not bench.place.trial(20).path.exists()
    study = bench.resumed()
    assert true(study)
    assert len(study.with_status(Status.DONE)) == 20
    assert not Repair.of(bench.place.path).findings


def test_a_job_folder_holds_one_job(tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job")
    spec = JobSpec("one", ("true",), str(tmp_path), identity={"trial": 1, "params": {"a": 1}})
    job.create(spec)
    job.create(spec)  # the same: its creation was cut short
    with pytest.raises(DamagedStudy, match=r"job holds another job already, one"):
        job.create(JobSpec("two", ("true",), str(tmp_path)))
    assert job.spec() == spec
    job.finish(Outcome(Kind.OK, metrics={"y": 1.0}))
    outcome = job.outcome()
    assert outcome is not None
    assert outcome.identity == {"trial": 1, "params": {"a": 1}}


def test_an_outcome_of_another_trial_is_never_used(tmp_path: Path) -> None:
    bench = Kept(tmp_path)
    bench.crashed(10)
    bench.machine.clock.sleep(1000)
    bench.machine.poll()
    study = Study.open(bench.place.path)
    one, two = study.with_status(Status.RUNNING)[:2]
    shutil.copy(two.job.path / "outcome.json", one.job.path / "outcome.json")
    with pytest.raises(DamagedStudy, match=rf"not of trial {one.number} attempt 1"):
        bench.resumed()
    repair = Repair.of(bench.place.path)
    assert repair.set_aside == [one.job.path]
    repair.write()
    assert true(bench.resumed())


@pytest.mark.parametrize("content", [b"null", b"[]", b"4", b'{"kind": 1}', b"\x00", b"{", b""])
def test_damaged_job_files_are_no_traceback(tmp_path: Path, content: bytes) -> None:
    bench = Kept(tmp_path)
    bench.crashed(10)
    for job in Study.open(bench.place.path).with_status(Status.RUNNING)[0:1]:
        (job.job.path / "outcome.json").write_bytes(content)
        (job.job.path / "claim.json").write_bytes(content)
    study = bench.resumed()
    assert true(study)
    assert len(study.with_status(Status.DONE)) == 20


def test_a_study_is_what_it_was(tmp_path: Path) -> None:
    text = (
        'name = "x"\nminimize = "y"\nsubject_to = ["mem <= 17179869184"]\n[grid]\n'
        'a = [0, 1, 2]\nb = [5, 6, 7]\n[trial]\ncommand = ["true"]\n'
    )
    old = parse(text, tmp_path)
    frozen.require_same(
        old, parse(text.replace("17179869184", "1.7179869184e10"), tmp_path), tmp_path
    )
    for changed, words in (
        (text.replace("17179869184", "17179860000"), r"goal: .*17179869184\.0 there"),
        (
            text.replace("a = [0, 1, 2]\nb = [5, 6, 7]", "b = [5, 6, 7]\na = [0, 1, 2]"),
            r"order of the parameters: .*'a', 'b'.* there",
        ),
        (text.replace("[5, 6, 7]", "[5, 7, 6]"), "grid: b: "),
        (text.replace("<=", "<"), "goal: "),
    ):
        with pytest.raises(OtherStudy, match=words):
            frozen.require_same(old, parse(changed, tmp_path), tmp_path)
        assert frozen.fingerprints(parse(changed, tmp_path)) != frozen.fingerprints(old)


def test_points_mean_what_they_meant_whatever_becomes_of_the_frozen_file(tmp_path: Path) -> None:
    bench = Kept(tmp_path)
    bench.run()
    file = bench.place.study_file
    text = file.read_text()
    file.write_text(text.replace("a = { integers = [0, 9] }\nb", "b = { integers = [0, 9] }\na"))
    with pytest.raises(DamagedStudy, match=r"study\.toml has another "):
        Study.open(tmp_path)
    file.write_text(text)
    assert true(Study.open(tmp_path))


@pytest.mark.parametrize(
    ("table", "line", "words"),
    [
        ("[paths]", 'search = "random"', r"\[paths\] search: .*above the first \[table\]"),
        ("[paths]", 'minimize = "z"', r"\[paths\] minimize"),
        ("[trial.env]", 'timeout = "1 h"', r"\[trial\.env\] timeout: .*above \[trial\.env\]"),
        ("[trial.files]", 'search = "random"', r"\[trial\.files\] search"),
        ("[stage.s.env]", 'threads = "4"', r"\[stage\.s\.env\] threads"),
    ],
)
def test_no_table_swallows_a_key(tmp_path: Path, table: str, line: str, words: str) -> None:
    text = (
        'name = "x"\nminimize = "y"\n[grid]\na = [0, 1]\n[stage.s]\ncommand = ["true"]\n'
        f'[trial]\ncommand = ["true"]\n{table}\n{line}\n'
    )
    with pytest.raises(InvalidInput, match=words):
        parse(text, tmp_path)


def test_a_copied_study_means_what_the_original_meant(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    config = parse(
        'name = "x"\nminimize = "y"\n[grid]\na = [0]\n[trial]\ncommand = ["{study}/run", "{a}"]\n',
        home,
    )
    bench = Kept(tmp_path / "runs")
    frozen.freeze(config, bench.place)
    bench.place.journal.touch()
    shutil.copytree(bench.place.path, tmp_path / "copy")
    assert frozen.load_study_file(tmp_path / "copy" / "study.toml").folder == home
    bench.place.journal.unlink()  # a study file like any other
    assert frozen.load_study_file(bench.place.study_file).folder == bench.place.path


def test_deleting_the_folder_of_a_job_that_was_revoked_claims_it(tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "trials" / "00001" / "attempt-1")
    assert job.revoke()
    assert not job.revoke()
    job.create(JobSpec("late", ("true",), str(tmp_path)))  # by a driver that wakes up
    assert not job.claim("job")


def test_damaged_journals_are_repaired_or_refused_in_words(tmp_path: Path) -> None:
    bench = Kept(tmp_path / "whole", trials=10)
    bench.crashed(34)
    bench.machine.clock.sleep(1000)
    bench.machine.poll()
    good = bench.place.journal.read_bytes()
    chance = random.Random(7)
    finished, refused = 0, list[str]()
    for number in range(60):
        place = tmp_path / str(number)
        shutil.copytree(bench.place.path, place)
        data = good
        for _ in range(chance.choice([1, 1, 2, 5])):
            data = damaged(chance, data)
        (place / "journal.jsonl").write_bytes(data)
        copy = Kept.__new__(Kept)
        copy.__dict__ = dict(bench.__dict__)
        copy.place = type(bench.place)(place)
        calls = list(bench.machine.calls)
        try:
            repair = Repair.of(place)
            if repair.findings:
                repair.write()
            study = copy.resumed()
        except InvalidInput as error:
            refused.append(str(error))
            continue
        finally:
            again = bench.machine.calls[len(calls) :]
            bench.machine.calls[:] = calls
        finished += 1
        assert true(study)
        done = study.with_status(Status.DONE)
        assert len(done) == 10
        # What was measured before is not measured again.
        assert not {call for call in again if call != "stage"} & set(calls)
        assert not Repair.of(place).findings
    assert finished > 50, refused
    assert not any("\n" in words for words in refused)


OLD = [
    {"t": 1, "event": "study", "dsice": "0.1.0", "name": "small"},
    {
        "t": 1,
        "event": "session",
        "host": "h",
        "pid": 1,
        "on": "local",
        "parallel": 3,
        "trials": 20,
        "hours": None,
    },
    {"t": 1, "event": "attempt", "stage": "first", "attempt": 1},
    {
        "t": 2,
        "event": "ended",
        "stage": "first",
        "attempt": 1,
        "verdict": "done",
        "kind": "ok",
        "reason": "",
        "metrics": {"limit": 6.0},
        "exit_code": 0,
        "started": 1.0,
        "ended": 2.0,
        "host": "h",
    },
    {"t": 2, "event": "trial", "trial": 1, "point": [5, 5]},
    {"t": 2, "event": "attempt", "trial": 1, "attempt": 1},
    {
        "t": 3,
        "event": "ended",
        "trial": 1,
        "attempt": 1,
        "verdict": "done",
        "kind": "ok",
        "reason": "",
        "metrics": {"y": 5.0, "z": 9.5},
        "exit_code": 0,
        "started": 2.0,
        "ended": 3.0,
        "host": "h",
    },
]


def test_studies_of_the_first_format_open_and_go_on(tmp_path: Path) -> None:
    bench = Kept(tmp_path)
    bench.place.journal.write_text("".join(json.dumps(event) + "\n" for event in OLD))
    bench.place.trial(1).work.mkdir(parents=True)
    study = Study.open(tmp_path)
    assert (study.format, study.id) == (1, "")
    assert study.trials[0].params == {"a": 5, "b": 5}
    study = bench.resumed()
    assert study.format == 2
    assert len(study.id) == 16
    assert len(study.with_status(Status.DONE)) == 20
    assert true(study)
    formats = [event.format for event in Lines(bench.place.journal) if hasattr(event, "format")]
    assert formats == [1, 2]
