"""Outages, kills and the journal: what is void stays so, whenever a driver is killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsice.errors import DamagedStudy, GaveUp
from dsice.repair.plan import Repair
from dsice.study.codec import encode
from dsice.study.config import parse
from dsice.study.driver import Driver
from dsice.study.events import AttemptEnded, Event, Voided
from dsice.study.frozen import freeze
from dsice.study.journal import Journal, Lines
from dsice.study.state import Study
from dsice.study.stop import Stop
from dsice.study.task import Status
from tests.dsice.study.machine import Crash
from tests.dsice.study.outages import (
    Campaign,
    breaks_after,
    good,
    mend,
    points,
)

pytestmark = pytest.mark.usefixtures("no_flushing")


def test_failures_while_no_driver_was_at_work(tmp_path: Path) -> None:
    """They say nothing of the program as it is now: no reason to stop, nor against their points."""
    campaign = Campaign(tmp_path, breaks_after(2), "trials = 2")
    campaign.run()
    campaign.config = parse(campaign.config.text.replace("2\n", "30\nparallel = 8\n"), tmp_path)

    def leave(driver: Driver, journal: Journal) -> None:
        def show(study: Study) -> None:
            if len(study.trials) == 10:
                raise Crash

        driver._on_change = show

    with pytest.raises(Crash):
        campaign.run(leave)
    campaign.clock.sleep(1.0)
    campaign.launcher.poll()
    mend(campaign)
    study = campaign.run()
    assert len(study.with_status(Status.DONE)) == 30
    (event,) = [event for event in Lines(campaign.place.journal) if isinstance(event, Voided)]
    assert len(event.attempts) == 8


def test_failures_before_a_kill_are_taken_into_account(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, breaks_after(5), "trials = 30")

    def killed(driver: Driver, journal: Journal) -> None:
        def show(study: Study) -> None:
            if len(study.with_status(Status.FAILED)) == 3:
                raise Crash

        driver._on_change = show

    with pytest.raises(Crash):
        campaign.run(killed)
    study, _ = campaign.gives_up()
    assert len(study.with_status(Status.WAITING)) == len(study.trials) - 5 == 5


def rewritten(campaign: Campaign, keep: Callable[[Event], bool]) -> None:
    """The journal with the events that are kept; ``keep`` may change them."""
    events = [event for event in Lines(campaign.place.journal) if keep(event)]
    campaign.place.journal.write_bytes(b"".join(map(encode, events)))


def test_a_journal_that_has_lost_what_is_void(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, breaks_after(5), "trials = 30")
    before = points(campaign.gives_up()[0])
    freeze(campaign.config, campaign.place)
    rewritten(campaign, lambda event: getattr(event, "trial", None) != 7)
    with pytest.raises(DamagedStudy, match="expected trial 7, not 8"):
        campaign.look()
    Repair.of(tmp_path).write()
    assert points(campaign.look()) == before
    mend(campaign)
    assert len(campaign.run().with_status(Status.DONE)) == 30


def test_doubtful_results_that_are_void(tmp_path: Path) -> None:
    """A repair drops the attempts of a trial whose result is another's, and names them no more."""

    def of_another(event: Event) -> bool:
        if isinstance(event, AttemptEnded) and event.trial == 7:
            event.started -= 10_000.0
        return True

    campaign = Campaign(tmp_path, breaks_after(5), "trials = 30")
    campaign.gives_up()
    freeze(campaign.config, campaign.place)
    rewritten(campaign, of_another)
    Repair.of(tmp_path).write()
    study = campaign.look()
    assert (study.trials[6].attempts, study.trials[6].status) == ([], Status.WAITING)
    assert not study.with_status(Status.FAILED)
    mend(campaign)
    assert len(campaign.run().with_status(Status.DONE)) == 30


@pytest.mark.parametrize("attempts", [[(1, 1)], [(9, 2)], [(99, 1)], [(0, 1)], [(9, 0)]])
def test_only_failures_can_be_void(tmp_path: Path, attempts: list[tuple[int, int]]) -> None:
    campaign = Campaign(tmp_path, breaks_after(5), "trials = 30")
    campaign.gives_up()
    study = campaign.look()
    event = Voided(attempts=attempts, why="because")
    event.session = study.token
    with pytest.raises(DamagedStudy):
        study.apply([event])


def test_stopping_while_it_gives_up(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, breaks_after(5), "trials = 30")
    with pytest.raises(GaveUp):
        campaign.run(lambda driver, journal: driver.stop(Stop.NO))
    mend(campaign)
    assert len(campaign.run().with_status(Status.DONE)) == 30


def test_a_crash_at_every_step_of_an_outage(tmp_path: Path) -> None:
    whole = Campaign(tmp_path, lambda a, b, n: good(a, b), "parallel = 2\ntrials = 9")
    expected = points(whole.run())
    crash_at, crashed = 0, True
    while crashed:
        path = tmp_path / f"crash-{crash_at}"
        path.mkdir()
        campaign = Campaign(path, breaks_after(3), "parallel = 2\ntrials = 9")
        countdown, crashed = [crash_at], False

        def fragile(driver: Driver, journal: Journal, countdown: list[int] = countdown) -> None:
            append = journal.append

            def step(event: Any) -> Any:
                countdown[0] -= 1
                if countdown[0] == 0:
                    raise Crash
                return append(event)

            journal.append = step  # type: ignore[method-assign]

        try:
            campaign.run(fragile)
        except Crash:
            crashed = True
            with pytest.raises(GaveUp):
                campaign.run()
        except GaveUp:
            assert crash_at > 20 or not crash_at
            crashed = not crash_at
        study = campaign.look()
        assert len(study.with_status(Status.DONE)) <= 3
        assert not study.with_status(Status.FAILED)
        mend(campaign)
        assert points(campaign.run()) == expected
        crash_at += 1
