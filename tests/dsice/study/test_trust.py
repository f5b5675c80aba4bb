"""A study directory can be trusted: results are of what they measured, whatever was done to it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.trust import damaged
from dsice.errors import DamagedStudy, InvalidInput, OtherStudy, StudyLocked
from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome
from dsice.repair.plan import Repair
from dsice.study import frozen
from dsice.study.codec import of
from dsice.study.config import parse
from dsice.study.driver import Driver
from dsice.study.journal import Journal, Lines
from dsice.study.state import Study
from dsice.study.task import Status
from dsice.study.unknown import require_known, unknown_folders
from tests.dsice.study.machine import Bench, Crash, results

SEARCH = "dsice-2018"


@pytest.fixture(autouse=True)
def _no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class Kept(Bench):
    """A bench whose directory holds all of a study, as ``dsice run`` leaves it."""

    def __init__(self, path: Path, trials: int = 20) -> None:
        super().__init__(path, search=SEARCH, run=f"parallel = 3\ntrials = {trials}")
        frozen.freeze(self.config, self.place)

    def crashed(self, after: int) -> None:
        """Run until the driver is killed before its ``after``-th event."""
        left = [after]

        def prepare(driver: Driver, journal: Journal) -> None:
            append = journal.append

            def limited(event: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    raise Crash
                return append(event)

            journal.append = limited  # type: ignore[method-assign]

        with pytest.raises(Crash):
            self.run(prepare)

    def resumed(self) -> Study:
        """Go on as ``dsice run`` does."""
        require_known(Study.open(self.place.path))
        self.run()
        return Study.open(self.place.path)


def true(study: Study) -> bool:
    """Whether every result is that of its own parameters."""
    for trial in study.with_status(Status.DONE):
        a, b = (int(value) for value in trial.params.values())
        if trial.metrics["y"] != (a - 3.0) ** 2 + (b - 6.0) ** 2:
            return False
    return True


def cut(bench: Kept, lines: int) -> None:
    """Bring the journal back to what it was after so many lines."""
    whole = bench.place.journal.read_bytes().splitlines(keepends=True)
    bench.place.journal.write_bytes(b"".join(whole[:lines]))


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
    bench.machine.clock.time += 1000
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


class Takeover:
    """A fence that another driver breaks."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.broken = False

    def check(self) -> None:
        if self.broken:
            raise StudyLocked("another driver has taken over")


def test_a_driver_that_was_taken_over_changes_nothing(tmp_path: Path) -> None:
    """It stalls at every single step, before its check or after it, and wakes when all is over."""
    steps = 0
    for checked in (False, True):
        for stall in range(0, 60, 3):
            bench = Kept(tmp_path / f"{checked}-{stall}", trials=8)
            fence = Takeover("first")
            countdown = [stall]

            def other(bench: Kept = bench) -> None:
                bench.machine.attached.clear()
                with Journal(bench.place.journal, bench.clock.now, Takeover("second")) as journal:
                    study = Study(bench.config, bench.place).apply(journal.replay())
                    Driver(study, bench.config.run, journal, bench.machine, bench.clock).run()

            with Journal(bench.place.journal, bench.clock.now, fence) as journal:
                study = Study(bench.config, bench.place).apply(journal.replay())
                driver = Driver(study, bench.config.run, journal, bench.machine, bench.clock)
                step: Callable[[], None] = journal._require_size if checked else journal.check

                def stalled(
                    step: Callable[[], None] = step,
                    countdown: list[int] = countdown,
                    fence: Takeover = fence,
                    other: Callable[[], None] = other,
                ) -> None:
                    countdown[0] -= 1
                    if countdown[0] == 0:
                        step()
                        other()
                        fence.broken = True
                    step()

                name = "_require_size" if checked else "check"
                setattr(journal, name, stalled)
                try:
                    driver.run()
                except StudyLocked:
                    steps += 1
            found = Study.open(bench.place.path)
            assert true(found)
            assert len(found.with_status(Status.DONE)) == 8
            assert len(set(bench.machine.calls)) == len(bench.machine.calls)
    assert steps > 20


def test_events_of_a_session_that_is_over_do_not_count(tmp_path: Path) -> None:
    bench = Kept(tmp_path)
    bench.run()
    before = results(Study.open(tmp_path))
    late = [
        {"event": "trial", "trial": 21, "params": {"a": 1, "b": 1}},
        {"event": "attempt", "trial": 20, "attempt": 2},
        {"event": "ended", "trial": 20, "attempt": 1, "verdict": "done", "kind": "ok"},
    ]
    for number, token in enumerate(("other", "alone")):
        with Journal(bench.place.journal, bench.clock.now, Takeover(token)) as journal:
            list(journal.replay())
            if token == "other":
                journal.append(of({"event": "prior", "source": "s", "results": []}))
            else:
                for facts in late:
                    journal.append(of(facts))
        study = Study.open(tmp_path)
        assert results(study) == before
        assert study.left_out == number * 3


class Named(Kept):
    """A bench each of whose sessions has a token of its own, as real ones have."""

    sessions = 0

    def run(self, prepare: Callable[[Driver, Journal], None] = lambda d, j: None) -> Study:
        def named(driver: Driver, journal: Journal) -> None:
            self.sessions += 1
            journal._fence = Takeover(f"session-{self.sessions}")
            prepare(driver, journal)

        return super().run(named)


@pytest.mark.parametrize("crashes", [(1, 4), (1, 1, 6), (2, 9)])
def test_sessions_that_are_out_of_order_are_noticed_and_put_in_order(
    tmp_path: Path, crashes: tuple[int, ...]
) -> None:
    bench = Named(tmp_path)
    for after in crashes:
        bench.crashed(after)
    bench.resumed()
    whole = Study.open(bench.place.path)
    lines = bench.place.journal.read_bytes().splitlines(keepends=True)
    starts = [n for n, line in enumerate(lines) if b'"event":"session"' in line]
    assert len(starts) >= 2
    for first, second in itertools.combinations(starts, 2):
        exchanged = lines.copy()
        exchanged[first], exchanged[second] = lines[second], lines[first]
        bench.place.journal.write_bytes(b"".join(exchanged))
        with contextlib.suppress(DamagedStudy):
            assert results(Study.open(bench.place.path)) == results(whole)
        Repair.of(bench.place.path).write()
        study = Study.open(bench.place.path)
        assert results(study) == results(whole)
        assert not Repair.of(bench.place.path).findings


def test_a_session_that_began_too_late_does_not_count(tmp_path: Path) -> None:
    """It had stalled before its first event, and another one took over meanwhile."""
    bench = Named(tmp_path)
    bench.crashed(30)
    stalled = Journal(bench.place.journal, bench.clock.now, Takeover("stalled"))
    list(stalled.replay())
    bench.resumed()
    before = Study.open(bench.place.path)
    stalled._size = bench.place.journal.stat().st_size  # as if it had stalled after its check
    with stalled:
        stalled.append(of({"event": "session", "host": "h", "pid": 1, "parallel": 1}))
    after = Study.open(bench.place.path)
    assert (after.token, results(after)) == (before.token, results(before))
    assert after.left_out == 1
    bench.run()
    assert Study.open(bench.place.path).token == f"session-{bench.sessions}"


def test_a_session_whose_first_line_is_lost_is_noticed(tmp_path: Path) -> None:
    bench = Named(tmp_path)
    bench.crashed(5)
    bench.resumed()
    whole = Study.open(bench.place.path)
    lines = bench.place.journal.read_bytes().splitlines(keepends=True)
    for lost in (n for n, line in enumerate(lines) if b'"event":"session"' in line):
        bench.place.journal.write_bytes(b"".join(lines[:lost] + lines[lost + 1 :]))
        Repair.of(bench.place.path).write()
        assert results(Study.open(bench.place.path)) == results(whole)


def test_deleting_the_folder_of_a_job_that_was_revoked_claims_it(tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "trials" / "00001" / "attempt-1")
    assert job.revoke()
    assert not job.revoke()
    job.create(JobSpec("late", ("true",), str(tmp_path)))  # by a driver that wakes up
    assert not job.claim("job")


def test_damaged_journals_are_repaired_or_refused_in_words(tmp_path: Path) -> None:
    bench = Kept(tmp_path / "whole", trials=10)
    bench.crashed(34)
    bench.machine.clock.time += 1000
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
