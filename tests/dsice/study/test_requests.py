"""Requests of people: taken up by the driver at work or by the command, crashed at every step."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dsice.errors import InvalidInput
from dsice.launch.job import Kind, Outcome
from dsice.search.why import Role
from dsice.study import requests
from dsice.study.codec import encode
from dsice.study.driver import Driver
from dsice.study.events import Added, Discarded, Event, Imported, Retried, Verdict
from dsice.study.frozen import freeze
from dsice.study.journal import Journal, Lines
from dsice.study.requests import Wish, ask
from dsice.study.state import Study
from dsice.study.task import Status
from dsice.study.wishes import added, discarded, retried, told
from tests.dsice.study.machine import Bench, Crash, quadratic

RETRIED, DISCARDED = 1, 2
NEW, KNOWN = {"a": 9, "b": 0}, {"a": 0, "b": 9}


def wishes(study: Study) -> list[Wish]:
    return [
        retried(study, [RETRIED]),
        discarded(study, [DISCARDED], "the machine was busy"),
        added(study, "a=9,b=0"),
        added(study, "a=0,b=9", "y=18,z=8.5"),
    ]


def lay(study: Study) -> None:
    """Lay the four requests into the directory, as commands do."""
    study.directory.requests.mkdir(exist_ok=True)
    for number, wish in enumerate(wishes(study)):
        (study.directory.requests / f"{number}").write_bytes(encode(wish))


pytestmark = pytest.mark.usefixtures("no_flushing")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps are left before a crash: writes of the journal, requests made and removed."""
    left = [10**9]

    def around(name: str, owner: Any, concerns: Callable[[Any], bool]) -> None:
        plain = getattr(owner, name)

        def stepped(first: Any, *rest: Any, **more: Any) -> Any:
            if not concerns(first):
                return plain(first, *rest, **more)
            step(left)
            found = plain(first, *rest, **more)
            step(left)
            return found

        monkeypatch.setattr(owner, name, stepped)

    around("append", Journal, lambda journal: True)
    around("unlink", Path, lambda path: path.parent.name == "requests")
    around("write_atomically", requests, lambda path: path.parent.name == "requests")
    return left


def step(left: list[int]) -> None:
    left[0] -= 1
    if left[0] < 0:
        raise Crash


def events_of(study: Study) -> Counter[type[Event]]:
    asked = (Added, Discarded, Imported, Retried)
    return Counter(type(e) for e in Lines(study.directory.journal) if isinstance(e, asked))


def told_to_a_search(study: Study) -> list[Any]:
    return [(each.point, each.status, dict(each.metrics), end) for each, end in study.history]


def assert_done(bench: Bench, study: Study) -> None:
    """Everything that was asked for was done, once, and nothing else ran twice."""
    assert not list(bench.place.requests.iterdir())
    assert events_of(study) == Counter({Added: 1, Discarded: 1, Imported: 1, Retried: 1})
    first, second = study.trials[RETRIED - 1], study.trials[DISCARDED - 1]
    assert first.status is Status.DONE
    assert first.metrics
    assert second.status is Status.DISCARDED
    assert second.reason == "the machine was busy"
    assert not second.metrics
    new = [trial for trial in study.trials if trial.params == NEW]
    assert [(t.status, t.why and t.why.role) for t in new] == [(Status.DONE, Role.ADDED)]
    assert [known.params for known in study.known] == [KNOWN]
    calls = Counter(bench.machine.calls)
    assert calls.pop("{a} {b}".format(**first.params)) == 2
    assert set(calls.values()) == {1}
    assert "0 9" not in calls
    assert study.spent == len(study.with_status(Status.DONE)) == 8
    assert told_to_a_search(Study.open(bench.place.path)) == told_to_a_search(study)


class Sessions(Bench):
    """A bench whose drivers have sessions of their own, as those have that hold the lock."""

    def run(self, prepare: Callable[[Driver, Journal], None] = lambda d, j: None) -> Study:
        self.machine.attached.clear()
        with (
            self.place.lock.held() as held,
            Journal(self.place.journal, self.clock.now, held) as journal,
        ):
            study = Study(self.config, self.place).apply(journal.replay())
            driver = Driver(study, self.config.run, journal, self.machine, self.clock)
            prepare(driver, journal)
            return driver.run()


def begun(
    path: Path,
    search: str,
    program: Callable[[str], Outcome] = quadratic,
    trials: int = 8,
) -> Bench:
    bench = Sessions(path, program, search=search, run=f"parallel = 3\ntrials = {trials}")
    freeze(bench.config, bench.place)
    return bench


def asking_in_between(steps: list[int], crash_at: int, driver: Driver, journal: Journal) -> None:
    """Ask once three trials have ended; the driver crashes so many steps later."""
    asked: list[bool] = []

    def look(study: Study) -> None:
        if len(study.finished) >= 3 and not asked:
            asked.append(True)
            lay(study)
            steps[0] = crash_at

    driver._on_change = look


@pytest.mark.parametrize("search", ["dsice-2024", "random"])
def test_a_driver_crashes_at_every_step(tmp_path: Path, search: str, steps: list[int]) -> None:
    crash_at, crashed = 0, True
    while crashed:
        bench, crashed = begun(tmp_path / f"{crash_at}", search), False
        try:
            study = bench.run(partial(asking_in_between, steps, crash_at))
        except Crash:
            crashed = True
            steps[0] = 10**9
            study = bench.run()
        steps[0] = 10**9
        assert_done(bench, study)
        crash_at += 1
    assert crash_at > 40


def withdrawing_in_between(
    steps: list[int], crash_at: int, asked: list[int], driver: Driver, journal: Journal
) -> None:
    """As `asking_in_between`, to retry and to discard trials that run, noted in ``asked``."""

    def look(study: Study) -> None:
        running = [trial.number for trial in study.with_status(Status.RUNNING)]
        if asked or len(running) < 3 or len(study.finished) < 3:
            return
        asked.extend(running[:2])
        study.directory.requests.mkdir(exist_ok=True)
        wished = retried(study, running[:1]), discarded(study, running[1:2], "no")
        for number, wish in enumerate(wished):
            (study.directory.requests / f"{number}").write_bytes(encode(wish))
        steps[0] = crash_at

    driver._on_change = look


@pytest.mark.parametrize("search", ["dsice-2024", "random"])
def test_running_trials_are_withdrawn_and_the_driver_crashes_at_every_step(
    tmp_path: Path, search: str, steps: list[int]
) -> None:
    """Their jobs are ended, whatever they would have measured; each is asked for once."""
    crash_at, crashed = 0, True
    while crashed:
        bench, crashed = begun(tmp_path / f"{crash_at}", search), False
        asked: list[int] = []
        try:
            study = bench.run(partial(withdrawing_in_between, steps, crash_at, asked))
        except Crash:
            crashed = True
            steps[0] = 10**9
            study = bench.run()
        steps[0] = 10**9
        again, gone = (study.trials[number - 1] for number in asked)
        assert events_of(study) == Counter({Discarded: 1, Retried: 1})
        assert (again.status, gone.status, gone.reason) == (Status.DONE, Status.DISCARDED, "no")
        # A crash may also leave an attempt that never began.
        first, *others = [attempt.void for attempt in again.attempts]
        assert (first, {*others}, len(others) <= 2) == (True, {False}, True)
        assert again.attempts[0].verdict is Verdict.AGAIN
        calls = Counter(bench.machine.calls)
        assert calls.pop("{a} {b}".format(**again.params)) == 2
        assert set(calls.values()) == {1}
        assert study.spent == len(study.with_status(Status.DONE)) == 8
        assert told_to_a_search(Study.open(bench.place.path)) == told_to_a_search(study)
        crash_at += 1
    assert crash_at > 25


@pytest.mark.parametrize("number", range(4))
def test_a_command_crashes_at_every_step(tmp_path: Path, number: int, steps: list[int]) -> None:
    crash_at, crashed = 0, True
    while crashed:
        bench, crashed = begun(tmp_path / f"{crash_at}", "random"), False
        study = bench.run()
        before = len(bench.machine.calls)
        wish = wishes(study)[number]
        steps[0] = crash_at
        try:
            ask(bench.place, wish)
        except Crash:
            crashed = True
        steps[0] = 10**9
        assert len(bench.machine.calls) == before  # only a driver begins jobs
        files = bench.place.requests.glob("[0-9]*")
        if not Study.open(bench.place.path).requests and not list(files):
            ask(bench.place, wish)  # it was as if nothing had been said
        study = bench.run()
        assert not list(bench.place.requests.glob("[0-9]*"))
        assert events_of(study) == Counter({type(wish): 1})
        # Trials that were given back to the budget are measured, and nothing else.
        assert len(bench.machine.calls) == before + [1, 1, 1, 0][number]
        assert study.spent == 8 + [0, 0, 1, 0][number]
        crash_at += 1
    assert crash_at >= 6


def test_the_search_goes_by_what_counts_now(tmp_path: Path) -> None:
    """A retried result is forgotten until it comes anew, a discarded one is never looked for."""
    bench = begun(tmp_path, "dsice-2024")
    study = bench.run()
    best = study.best
    ask(bench.place, discarded(study, [best.number], "no"))
    without = Study.open(tmp_path)
    assert without.best is not best
    assert without.best.number != best.number
    assert without.spent == 7
    moved = begun(tmp_path, "dsice-2024")
    again = moved.run()
    assert [t.point for t in again.trials].count(best.point) == 1
    assert again.spent == 8

    better = begun(
        tmp_path, "dsice-2024", lambda argument: Outcome(Kind.OK, metrics={"y": -1.0, "z": 1.0})
    )
    ask(bench.place, retried(again, [best.number]))  # a discarded one comes back
    assert Study.open(tmp_path).trials[best.number - 1].status is Status.WAITING
    final = better.run()
    assert final.best.number == best.number
    assert final.best.metrics["y"] == -1.0
    assert len(final.best.attempts) == 2


def test_failures_by_their_reasons(tmp_path: Path) -> None:
    def moody(argument: str) -> Outcome:
        if argument != "stage" and argument[0] in "147":
            return Outcome(
                Kind.EXIT, f"exit code 1: {'bug' if argument[0] == '1' else 'no licence'}"
            )
        return quadratic(argument)

    bench = begun(tmp_path, "random", moody, trials=30)
    study = bench.run()
    failed = {t.number: t.reason for t in study.with_status(Status.FAILED)}
    licence = [number for number, reason in failed.items() if "licence" in reason]
    assert 0 < len(licence) < len(failed)
    assert retried(study, [], failed=True).trials == sorted(failed)
    assert retried(study, [], reason="No Licence").trials == sorted(licence)
    with pytest.raises(InvalidInput, match="no trial has failed for a reason that contains 'xyz'"):
        retried(study, [], reason="xyz")
    ask(bench.place, retried(study, [], reason="licence"))
    bench.machine.program = quadratic
    study = bench.run()
    assert set(failed) - {t.number for t in study.with_status(Status.FAILED)} == set(licence)
    assert study.spent == len(study.trials) == 30


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: retried(s, [99]), "there is no trial 99: there are 1 to 8"),
        (lambda s: retried(s, []), "name trials by their numbers, or give --failed"),
        (lambda s: retried(s, [], failed=True), "no trial has failed"),
        (lambda s: discarded(s, [1], " "), "--why is empty"),
        (lambda s: added(s, "a=1"), "a=1: 'b' is missing; it needs a, b"),
        (lambda s: added(s, "a=1,c=2"), "there is no parameter 'c': a, b"),
        (lambda s: added(s, "a=1,b=2.4"), "b = 2.4 is no level; the nearest is 2"),
        (lambda s: added(s, "a=1,b=2", "y=1"), "--metrics: the goal's metric 'z' is missing"),
        (lambda s: added(s, "a=1,b=2", "y=nan,z=1"), "y = 'nan': a finite number is needed"),
    ],
)
def test_wrong_wishes(tmp_path: Path, make: Callable[[Study], Wish], message: str) -> None:
    study = begun(tmp_path, "random").run()
    with pytest.raises(InvalidInput) as error:
        make(study)
    assert message in str(error.value)


def test_what_has_gone_on_meanwhile(tmp_path: Path) -> None:
    """Of a wish that came late, what is still possible is done."""
    bench = begun(tmp_path, "random")
    study = bench.run()
    point = study.trials[0].params
    there = added(study, "a={a},b={b}".format(**next_free(study)))
    assert isinstance(there, Added)
    there.params = point
    twice = discarded(study, [1, 2], "no")
    ask(bench.place, twice)
    ask(bench.place, Discarded(trials=[1, 3, 99], why="later"))
    assert {t.number: t.reason for t in Study.open(tmp_path).with_status(Status.DISCARDED)} == {
        1: "no",
        2: "no",
        3: "later",
    }
    name = ask(bench.place, there)
    after = Study.open(tmp_path)
    assert name not in after.requests
    assert len(after.trials) == 8
    with pytest.raises(InvalidInput, match=r"trial 1 is at this point \(discarded\)"):
        added(after, "a={a},b={b}".format(**point))
    (bench.place.requests / "rubbish").write_text("{}")
    os.mkfifo(bench.place.requests / "waits-for-ever")
    ask(bench.place, discarded(after, [4], "no"))
    assert not list(bench.place.requests.iterdir())
    assert Study.open(tmp_path).trials[3].status is Status.DISCARDED


def next_free(study: Study) -> dict[str, int]:
    taken = [trial.params for trial in study.trials]
    points = ({"a": a, "b": b} for a in range(10) for b in range(10))
    return next(point for point in points if point not in taken)


def test_words(tmp_path: Path) -> None:
    bench = begun(tmp_path, "random")
    study = bench.run()
    said = []
    for wish in wishes(study):
        ask(bench.place, wish)
        said.append(told(Study.open(tmp_path), wish))
    assert said == [
        "Trial 1 waits to be measured again: 'dsice run' does it.",
        "Trial 2 counts no more: the machine was busy",
        "Trial 9 is to be measured there: 'dsice run' does it.",
        "Known now: 1 result from elsewhere.",
    ]
