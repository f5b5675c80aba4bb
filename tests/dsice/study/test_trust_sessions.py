"""Events of sessions that are over, and sessions out of order."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from dsice.errors import DamagedStudy, StudyLocked
from dsice.repair.plan import Repair
from dsice.study.codec import of
from dsice.study.driver import Driver
from dsice.study.journal import Journal
from dsice.study.state import Study
from dsice.study.task import Status
from tests.dsice.study.kept import Kept, true
from tests.dsice.study.machine import results

pytestmark = pytest.mark.usefixtures("no_flushing")


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
