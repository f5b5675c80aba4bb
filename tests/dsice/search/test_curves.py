"""Trials that report as they run: what is learned from them, and which end early."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.grid import Axis, Grid, Point
from dsice.search import make_search
from dsice.search.asynchronous import Dsice
from dsice.search.curves import Curves, rungs_of
from dsice.search.ledger import Ledger
from dsice.search.stopping import Stopping

GRID = Grid([Axis("x", list(range(9))), Axis("y", list(range(9)))])
GOAL = Goal(minimize="loss")
STEPS = [1, 2, 4, 8]


def value(point: Point, step: float) -> float:
    """A loss whose start tells the end."""
    return (point[0] - 6) ** 2 + (point[1] - 2) ** 2 + 20 / step


def dsice(**options: object) -> Dsice:
    search = make_search("dsice", GRID, GOAL, seed=3, capacity=4, steps=STEPS, **options)
    assert isinstance(search, Dsice)
    return search


def ledger_with(reached: dict[Point, int]) -> Ledger:
    """A ledger with a pending trial at each point, which has reported at a step."""
    ledger = Ledger(GRID, GOAL, STEPS)
    for point, step in reached.items():
        ledger.submit(point)
        ledger.report(point, step, {"loss": value(point, step)})
    return ledger


def run(search: Dsice, most: int) -> tuple[list[Point], list[Point], int]:
    """Points begun, points complete, steps run, of so many trials, four at a time."""
    begun: list[Point] = []
    complete: list[Point] = []
    at: dict[Point, int] = {}
    steps = 0
    while True:
        while len(search.pending) < 4 and len(begun) < most:
            (point,) = search.ask(1)
            if point not in at:
                begun.append(point)
                at[point] = 0
        if not search.pending:
            return begun, complete, steps
        for point in list(search.pending):
            step = STEPS[at[point]]
            at[point] += 1
            steps += 1
            if step == STEPS[-1]:
                complete.append(point)
                search.tell(point, {"loss": value(point, step)})
            else:
                search.report(point, step, {"loss": value(point, step)})
        for point in search.ending():
            search.end(point)
            assert point not in search.pending


def test_without_steps_a_search_knows_nothing_of_reports() -> None:
    plain, reporting = (make_search("dsice", GRID, GOAL, seed=3) for _ in range(2))
    for _ in range(20):
        (a,), (b,) = plain.ask(), reporting.ask()
        assert a == b
        reporting.report(b, 1, {"loss": 100.0})
        assert reporting.ending() == []
        for search in (plain, reporting):
            search.tell(a, {"loss": value(a, 8)})


def test_most_trials_end_early_and_the_best_point_runs_to_its_end() -> None:
    begun, complete, steps = run(dsice(), 40)
    assert (6, 2) in complete
    assert len(complete) < len(begun)
    assert steps < 0.9 * 4 * len(begun)


def test_nothing_ends_before_trials_have_run_to_their_end() -> None:
    search = dsice()
    points = search.ask(4)
    for step in STEPS[:-1]:
        for point in points:
            search.report(point, step, {"loss": value(point, step)})
        assert search.ending() == []


def test_paused_trials_are_handed_out_again_and_not_others_that_ended() -> None:
    for pause in (False, True):
        search = dsice(pause=pause)
        ended: set[Point] = set()
        again: list[Point] = []
        at: dict[Point, int] = {}
        for _ in range(60):
            while len(search.pending) < 4 and (points := search.ask(1)):
                (point,) = points
                again += [point] * (point in ended)
                at.setdefault(point, 0)
            for point in list(search.pending):
                step = STEPS[at[point]]
                at[point] += 1
                if step == STEPS[-1]:
                    search.tell(point, {"loss": value(point, step)})
                else:
                    search.report(point, step, {"loss": value(point, step)})
            for point in search.ending():
                search.end(point)
                ended.add(point)
        assert ended
        assert bool(again) == pause


def test_the_same_calls_give_the_same_answers() -> None:
    assert run(dsice(pause=True), 30) == run(dsice(pause=True), 30)


def test_replayed_calls_lead_to_the_same_proposal() -> None:
    search = dsice(pause=True)
    run(search, 20)
    copy = dsice(pause=True)
    for event in search.ledger.events:
        if event.is_result:
            copy.tell(event.point, event.metrics)
        elif event.step is not None:
            copy.report(event.point, event.step, event.metrics or {})
        elif event.is_end:
            copy.end(event.point)
        else:
            copy.pend(event.point)
    assert copy.ask(3) == search.ask(3)


def test_a_trial_that_ended_tells_how_long_its_point_takes() -> None:
    ledger = Ledger(GRID, GOAL, STEPS)
    for point in ((1, 1), (2, 2)):
        ledger.submit(point)
        ledger.report(point, 2, {"loss": 3.0})
    ledger.end((1, 1), 10.0)
    copy = ledger.until(len(ledger.events))
    for each in (ledger, copy):
        each.foreseen()
        assert each.history.seconds((1, 1)) == 40.0
        assert each.history.seconds((2, 2)) is None
    ledger.submit((1, 1))
    ledger.record((1, 1), {"loss": 2.0}, 35.0)
    assert ledger.history.seconds((1, 1)) == 35.0
    with pytest.raises(InvalidInput, match="seconds"):
        dsice().end(dsice().ask()[0], seconds=-1.0)


def test_trials_pause_that_are_unlikely_to_be_among_the_best() -> None:
    stopping = Stopping(ledger_with({(k, 0): 4 for k in range(6)}), 0.02, pause=True)
    points: list[Point] = [(k, 0) for k in range(6)]
    standings = dict(zip(points, [0.5, 0.05, 0.2, 0.01, 0.9, 0.3], strict=True))
    chances = {point: standing / 10 for point, standing in standings.items()}
    assert stopping.due(chances, standings) == [(3, 0), (1, 0)]


def test_a_paused_trial_goes_on_where_the_rest_of_it_promises_more_for_its_time() -> None:
    ledger = ledger_with({(0, 0): 4, (1, 0): 4})
    for point in list(ledger.pending):
        ledger.end(point)
    stopping = Stopping(ledger, 0.02, pause=True)
    chances: dict[Point, float] = {(0, 0): 0.2, (1, 0): 0.3}  # half of each is left
    good: dict[Point, float] = {(0, 0): 0.9, (1, 0): 0.9}
    even: dict[Point, float] = {(0, 0): 1.0, (1, 0): 1.0}
    assert stopping.to_resume(chances, good, 0.5, even) == (1, 0)
    assert stopping.to_resume(chances, good, 0.7, even) is None
    assert stopping.to_resume(chances, good, 0.3, {(0, 0): 1.0, (1, 0): 3.0}) == (0, 0)
    assert Stopping(ledger, 0.02, pause=False).to_resume(chances, good, 0.1, even) is None


def test_no_trial_resumes_that_would_pause_at_once() -> None:
    ledger = ledger_with({(0, 0): 4, (1, 0): 4})
    stopping = Stopping(ledger, 0.02, pause=True)
    chances: dict[Point, float] = {(0, 0): 0.3, (1, 0): 0.2}
    standings: dict[Point, float] = {(0, 0): 0.05, (1, 0): 0.5}
    assert stopping.due(chances, standings) == [(0, 0)]
    for point in list(ledger.pending):
        ledger.end(point)
    assert stopping.to_resume(chances, standings, 0.1, {}) == (1, 0)
    assert stopping.worth_finishing(chances, standings) == [(1, 0)]


def test_the_first_trials_of_one_worker_wait_for_each_other() -> None:
    search = make_search("dsice", GRID, GOAL, seed=3, steps=STEPS, pause=True)
    points: list[Point] = []
    for _ in range(4):
        points += search.ask(1)
        assert search.ending() == []
        search.report(points[-1], 1, {"loss": value(points[-1], 1)})
        assert search.ending() == points[-1:]
        search.end(points[-1])
    assert len(set(points)) == 4
    points += search.ask(1)
    search.report(points[-1], 1, {"loss": value(points[-1], 1)})
    assert search.forecast(points) is not None  # from now on, the model judges
    assert all(search.chance(point) is not None for point in points)


def test_first_trials_that_paused_resume_once_nothing_else_may_start() -> None:
    search = make_search("dsice", GRID, GOAL, seed=3, steps=STEPS, pause=True)
    points: list[Point] = []
    for _ in range(2):
        points += search.ask(1)
        search.report(points[-1], 1, {"loss": value(points[-1], 1)})
        search.end(points[-1])
    assert search.resume(1) == points[:1]
    assert search.resume(2) == points[1:]
    for point in points:
        search.report(point, 2, {"loss": value(point, 2)})
    assert search.ending() == []  # none pauses twice before there is a model


def test_what_a_paused_trial_may_become_is_no_bar_to_new_points() -> None:
    """The improvement expected elsewhere is that on trials that run, not on those that do not."""
    gains: list[float] = []
    for is_paused in (False, True):
        search = dsice(pause=True)
        points = search.ask(4)
        best = min(points, key=lambda point: value(point, 8))
        for point in points:
            search.report(point, 4, {"loss": value(point, 4)})
            if point != best:
                search.tell(point, {"loss": value(point, 8)})
        if is_paused:
            search.end(best)
        more = [point for point in GRID if not search.is_known(point)][:6]
        for point in more:
            search.tell(point, {"loss": 60.0 + value(point, 8)})
        found = search.forecast([(6, 2)])
        assert found is not None
        gains.append(found[0].score or -math.inf)
    assert gains[1] > gains[0]


def test_repeated_and_late_reports_change_nothing() -> None:
    ledger = Ledger(GRID, GOAL, STEPS)
    ledger.submit((1, 1))
    ledger.report((1, 1), 4, {"loss": 3.0})
    events = list(ledger.events)
    ledger.report((1, 1), 4, {"loss": 9.0})
    ledger.report((1, 1), 2, {"loss": 9.0})
    ledger.report((1, 1), 0.5, {"loss": 9.0})
    assert ledger.events == events
    assert ledger.unfinished() == [(1, 1)]


def test_a_result_after_an_end_counts() -> None:
    search = dsice()
    points = search.ask(4)
    search.end(points[0])
    assert points[0] not in search.pending
    assert search.is_known(points[0])
    search.tell(points[0], {"loss": 1.0})
    assert search.history.metrics(points[0]) == {"loss": 1.0}
    assert not search.ledger.ended
    with pytest.raises(InvalidInput, match="not pending"):
        search.end(points[0])


def test_what_a_step_tells_is_learned() -> None:
    """Where the start is noise, its correlation with the end is small; where it tells, large."""
    random = np.random.default_rng(0)
    points = [(x, y) for x in range(9) for y in range(9)]
    correlations = []
    for noise in (0.01, 3.0):
        curves = Curves(GOAL, STEPS)
        for point in points:
            last = random.normal()
            for step in STEPS[:-1]:
                curves.report(point, step, {"loss": last + noise * random.normal()})
            curves.complete(point, {"loss": last})
        correlations.append(float(curves.transitions()["loss"].correlations[0]))
    assert correlations[0] > 0.95
    assert correlations[1] < 0.5


def test_values_that_are_no_numbers_count_as_bad_ones() -> None:
    curves = Curves(GOAL, STEPS)
    for k in range(8):
        curves.report((k, 0), 1, {"loss": math.inf if k % 2 else float(k)})
    metrics, lags = curves.foreseen([(k, 0) for k in range(8)])
    assert all(math.isfinite(each["loss"]) for each in metrics)
    assert min(metrics[1::2], key=lambda m: m["loss"])["loss"] >= metrics[6]["loss"]
    assert (lags["loss"] > 0).all()


def test_steps_that_are_none_are_refused() -> None:
    assert rungs_of(range(1, 41))[-1] == 40
    for steps in ([], [2, 1], [0, 1], [1, 1], [True, 2], [1, math.inf]):
        with pytest.raises(InvalidInput, match="rising order"):
            rungs_of(steps)
    with pytest.raises(InvalidInput, match="end_below"):
        dsice(end_below=1.5)


def test_a_trial_that_diverges_ends_at_once_unlike_the_others() -> None:
    for pause in (False, True):
        search = dsice(pause=pause)
        bad, *others = search.ask(4)
        search.report(bad, 1, {"loss": math.nan})
        # So far, it may be so with every trial. With pauses, all wait for each other.
        assert search.ending() == [bad] * pause
        for point in others:
            search.report(point, 1, {"loss": value(point, 1)})
        assert search.ending() == [bad, *others * pause]
        assert search.chance(bad) == 0
        search.end(bad)
        for _ in range(12):  # never handed out again
            for point in search.ask(2):
                assert point != bad
                search.tell(point, {"loss": value(point, 8)})
        assert bad not in search.resume(99)


def test_a_divergence_between_the_steps_is_heard() -> None:
    search = dsice()
    bad, *others = search.ask(4)
    for point in (bad, *others):
        search.report(point, 2, {"loss": 5.0})
    search.report(bad, 3, {"loss": math.inf})
    assert search.ending() == [bad]


def test_where_trials_recover_from_a_value_that_is_no_number_none_ends_for_it() -> None:
    search = dsice()
    first, second, *others = search.ask(4)
    for point in others:
        search.report(point, 1, {"loss": 1.0})
    search.report(first, 1, {"loss": math.nan})
    search.report(first, 2, {"loss": 2.0})
    search.tell(others[0], {"loss": 1.0})
    search.report(second, 1, {"loss": math.nan})
    assert search.ending() == []
    assert search.chance(second) != 0
