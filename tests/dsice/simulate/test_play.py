"""The play of a study: held to the real driver, to theory, and to the search alone."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from dsice.goal import Goal
from dsice.grid import Axis, Grid, Point
from dsice.launch.job import JobSpec, Kind, Outcome
from dsice.launch.simulated import SimulatedLauncher, VirtualClock
from dsice.search import make_search
from dsice.simulate.campaign import Campaign, play_all, play_once
from dsice.simulate.play import Play, Terms, play
from dsice.simulate.world import Lasting, Result, Tabulated, Timed
from dsice.study.config import parse
from dsice.study.directory import StudyDirectory
from dsice.study.driver import Driver
from dsice.study.journal import Journal
from dsice.study.state import Study
from dsice.study.task import Status

GRID = Grid([Axis.integers("a", 0, 8), Axis.integers("b", 0, 7)])
GOAL = Goal(minimize="y", subject_to=["z <= 12"])
HOUR = 3600.0


def seconds(point: Point) -> float:
    """Different for almost all points, with some that end at the same moment."""
    return 60.0 * (10 + (7 * point[0] + 3 * point[1]) % 11)


def metrics(point: Point) -> dict[str, float] | None:
    a, b = point
    if (a + 2 * b) % 13 == 5:
        return None
    return {"y": (a - 6.0) ** 2 + (b - 2.0) ** 2 + 0.3 * a * b, "z": float(a + b)}


TABLE = Tabulated(GRID, {p: [Result(metrics(p), seconds(p))] for p in GRID})


def played(slots: int, terms: Terms, search: str = "dsice", seed: int = 0) -> Play:
    made = make_search(search, GRID, GOAL, seed=seed, capacity=slots)
    return play(made, TABLE.world(0), slots, terms)


@pytest.mark.parametrize("search", ["dsice", "dsice-2024", "random"])
@pytest.mark.parametrize(
    ("slots", "budget"),
    [
        (1, ""),
        (4, ""),
        (4, "hours = 1.7"),
        (25, ""),
        (4, "job_hours = 3"),
        (1, "samples = 3"),
        (4, "samples = 2"),
        (9, "samples = 4"),
    ],
)
def test_it_is_what_the_real_driver_does(
    tmp_path: Path, search: str, slots: int, budget: str
) -> None:
    first = [{"a": 2, "b": 3}, {"a": 4, "b": 4}] if "samples" in budget else []
    settings = ", ".join(f"{{ a = {each['a']}, b = {each['b']} }}" for each in first)
    text = f"""
    name = "same"
    minimize = "y"
    subject_to = ["z <= 12"]
    first = [{settings}]
    search = "{search}"
    seed = 3
    [grid]
    a = {{ integers = [0, 8] }}
    b = {{ integers = [0, 7] }}
    [trial]
    command = ["true", "{{a}}", "{{b}}"]
    [run]
    parallel = {slots}
    trials = 30
    {budget}
    """
    place = StudyDirectory.at(tmp_path)
    config = parse(text, tmp_path)

    def program(spec: JobSpec) -> tuple[Outcome, float]:
        point = tuple(int(argument) for argument in spec.command[1:])
        found = metrics(point)
        outcome = Outcome(Kind.OK, metrics=found) if found else Outcome(Kind.EXIT, "no luck")
        return outcome, seconds(point)

    clock = VirtualClock(HOUR)  # an attempt that began at 0 has not begun
    launcher = SimulatedLauncher(clock, program)
    with Journal(place.journal, clock.now) as journal:
        study = Driver(Study(config, place), config.run, journal, launcher, clock).run()
    work = None if config.run.job_hours is None else 3600 * config.run.job_hours
    terms = Terms(30, config.run.hours, work=work, samples=config.run.samples, first=config.first)
    ours = played(slots, terms, search, seed=3)
    assert [job.point for job in ours.jobs] == [trial.point for trial in study.trials]
    runs = [(began - HOUR, ended - HOUR) for began, ended in launcher.runs]
    assert [(job.submitted, job.ended) for job in ours.jobs] == runs
    assert len(ours.jobs) == 30 or budget or search == "dsice-2024"
    assert any(trial.status is Status.FAILED for trial in study.trials) or budget
    assert ours.curve(GOAL)[-1][1] == GOAL.cost(study.best.metrics)


@pytest.mark.parametrize("slots", [1, 3, 10, 40, 100])
def test_equal_trials_take_whole_rounds(slots: int) -> None:
    search = make_search("random", GRID, Goal(minimize="seconds"), capacity=slots)
    terms = Terms(trials=50, stages=2 * HOUR, queue=0.5 * HOUR)
    done = play(search, Timed(Lasting(HOUR)).world(0), slots, terms)
    assert done.wall == pytest.approx(2 * HOUR + math.ceil(50 / slots) * 1.5 * HOUR)
    assert done.work == pytest.approx(50 * HOUR)


def test_slots_never_idle_and_never_overfull() -> None:
    done = played(6, Terms(40, queue=100.0))
    moments = sorted({job.submitted for job in done.jobs})
    for moment in moments:
        busy = sum(job.submitted <= moment < job.ended for job in done.jobs)
        assert busy == 6
    # List scheduling: at worst one trial longer than the work spread evenly.
    ideal = sum(job.ended - job.submitted for job in done.jobs) / 6
    longest = max(job.ended - job.submitted for job in done.jobs)
    assert ideal <= done.wall <= ideal + longest


def test_one_slot_is_the_search_asked_and_told_directly() -> None:
    done = played(1, Terms(40))
    search = make_search("dsice", GRID, GOAL, seed=0, capacity=1)
    now, best, curve = 0.0, math.inf, []
    for _ in range(40):
        (point,) = search.ask(1)
        found = metrics(point)
        search.tell(point, found)
        now += seconds(point)
        if found is not None and GOAL.feasible(found):
            best = min(best, found["y"])
        curve.append((now, best))
    assert done.curve(GOAL) == curve


def test_the_search_may_end_before_the_budget() -> None:
    done = played(4, Terms(1000))
    assert {job.point for job in done.jobs} == set(GRID)
    assert len(done.jobs) == GRID.size


def test_processes_change_nothing() -> None:
    campaign = Campaign(GRID, GOAL, "dsice", {}, 5, TABLE, Terms(20))
    told: list[tuple[int, int]] = []
    found = play_all(campaign, (1, 4), 2, lambda done, total: told.append((done, total)), 2)
    assert told == [(k, 4) for k in range(5)]
    alone = [play_once(campaign, slots, r) for r in range(2) for slots in (1, 4)]
    for one, other in zip(found, alone, strict=True):
        assert (one.slots, one.repetition) == (other.slots, other.repetition)
        assert (one.wall, one.ends, one.best) == (other.wall, other.ends, other.best)
