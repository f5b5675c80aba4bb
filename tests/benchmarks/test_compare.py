"""The benchmark that compares tuners: its scores and its simulated workers."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.blind import limits
from benchmarks.compare import peers
from benchmarks.compare.measure import Plan, measure
from benchmarks.compare.peers.base import Handles, Penalty, Task
from benchmarks.compare.peers.inverted import Inverted
from benchmarks.compare.problems import Problem
from benchmarks.compare.publish import publish
from benchmarks.compare.report import Report
from benchmarks.compare.scores import FLOOR, Scores, curve, geometric_mean, random_regret, score
from benchmarks.compare.simulate import Run, durations, simulate
from benchmarks.compare.store import Key, Store
from benchmarks.compare.summary import Cell, Scored, cell, near, needed, ratio
from benchmarks.compare.synthetic import synthetic
from dsice.errors import InvalidInput
from dsice.goal import Metrics
from tests.benchmarks.problems import Listed, shuffled, small, versions


@pytest.mark.parametrize("bounded", [False, True])
def test_expectation_of_random_search_is_its_mean(bounded: bool) -> None:
    problem = small() if bounded else small().without_bound()
    runs = [simulate(Listed(shuffled(problem, s)), problem, 1, 30, s) for s in range(1000)]
    mean = np.mean([curve(run, problem, 30) for run in runs], axis=0)
    np.testing.assert_allclose(mean, random_regret(problem, 30), rtol=0.1, atol=0.02)


def test_a_perfect_run_scores_0() -> None:
    problem = small().without_bound()
    best = min(problem.grid, key=lambda point: problem.score(problem.measure(point)))
    others = [point for point in problem.grid if point != best]
    found = score(simulate(Listed([best, *others]), problem, 1, 20, 0), problem, 1, 20, 0)
    assert (found.auc, found.fin, found.auc_t, found.busy) == (0, 0, 0, 1)


def test_random_runs_score_1_on_average() -> None:
    problem = small().without_bound()
    scores = [
        score(simulate(Listed(shuffled(problem, s)), problem, 4, 25, s), problem, 4, 25, s)
        for s in range(1000)
    ]
    assert np.mean([one.auc for one in scores]) == pytest.approx(1, abs=0.05)
    assert np.mean([one.auc_t for one in scores]) == pytest.approx(1, abs=0.05)
    assert np.mean([one.fin for one in scores]) == pytest.approx(1, abs=0.15)


def test_scores_by_hand() -> None:
    costs = np.array([4.0, 3.0, 2.0, 0.0])
    problem = Problem("hand", "hpo", (4,), (True,), costs)
    run = Run(begins=[0, 0, 3], ends=[2, 3, 4], costs=[3, 2, math.inf])
    assert curve(run, problem, 4).tolist() == [3, 2, 2, 2]
    # Random search expects 9/4, then the better of two, of three, of all.
    expected = np.array([9 / 4, (3 * 0 + 2 * 2 + 3) / 6, 2 / 4, 0])
    np.testing.assert_allclose(random_regret(problem, 4), expected)
    found = score(run, problem, 2, 3, 0)
    assert found.auc == pytest.approx(7 / expected[:3].sum())
    assert found.fin == pytest.approx(2 / expected[2])
    assert found.busy == pytest.approx(5 / 6)


def test_blind_points_and_then_perfection_by_hand() -> None:
    costs = np.array([2.0, 0.0, 1.0])  # expected regret 1 after one point, 1/3 after two, then 0
    problem = Problem("three", "hpo", (3,), (True,), costs)
    found = limits([problem], budget=3)
    assert found[1]["hpo"] == found[1]["overall"] == pytest.approx(3 / 4)
    assert found[3]["overall"] == pytest.approx(1)
    assert list(found) == [1, 3]


def test_the_floor_keeps_a_mean_from_vanishing() -> None:
    assert geometric_mean([0.0, 1.0]) == pytest.approx(math.sqrt(FLOOR))


@pytest.mark.parametrize("workers", [1, 7])
def test_no_worker_waits_for_a_tuner_that_always_proposes(workers: int) -> None:
    problem = small()
    run = simulate(Listed(shuffled(problem, 3)), problem, workers, 40, 3)
    assert len(run.ends) == 40
    free = [0.0] * workers
    for begin, length in zip(run.begins, durations(40, 3), strict=True):
        free.sort()
        assert begin == pytest.approx(free[0])
        free[0] += length
    assert score(run, problem, workers, 40, 3).busy == pytest.approx(1)


def test_repeats_and_excluded_points_cost_nothing_and_are_told() -> None:
    problem = small()
    good = list(problem.grid)
    excluded = next(p for p in np.ndindex(5, 4, 3) if not problem.grid.allows(p))
    # With two workers the second and third proposal repeat a pending point.
    tuner = Listed([good[0], good[0], good[0], excluded, good[1], good[0], good[2]])
    run = simulate(tuner, problem, 2, 10, 0)
    assert len(run.ends) == 3
    assert (run.repeats, run.excluded) == ([0, 2, 1], [0, 1, 0])
    told = [point for point, _ in tuner.told]
    assert sorted(told) == sorted([good[0]] * 4 + [excluded] + good[1:3])
    assert dict(tuner.told)[excluded] is None


def test_failures_are_charged() -> None:
    problem = small()
    failing = next(p for p in problem.grid if problem.measure(p) is None)
    run = simulate(Listed([failing]), problem, 1, 5, 0)
    assert run.costs == [math.inf]
    assert curve(run, problem, 5).tolist() == [problem.worst - problem.optimum] * 5


def test_a_small_budget_is_the_beginning_of_a_large_one() -> None:
    problem = small()
    large = simulate(Listed(shuffled(problem, 1)), problem, 5, 40, 1).first(15)
    alone = simulate(Listed(shuffled(problem, 1)), problem, 5, 15, 1)
    assert (large.begins, large.ends, large.costs) == (alone.begins, alone.ends, alone.costs)


def test_a_tuner_that_repeats_itself_forever_is_left_alone() -> None:
    problem = small()
    run = simulate(Listed([next(iter(problem.grid))] * 10_000), problem, 1, 10, 0)
    assert len(run.ends) == 1


def test_local_search_comes_down_faster_than_chance_and_never_stalls() -> None:
    problem = next(p for p in synthetic() if p.name == "rosenbrock-4d")
    for workers in (1, 40):
        runs = [measure(Key("local-search", "", workers, 200, s), problem) for s in range(5)]
        found = []
        for seed, run in enumerate(runs):
            assert isinstance(run, Run)
            assert len(run.ends) == 200
            assert sum(run.repeats) == sum(run.excluded) == 0
            found.append(score(run, problem, workers, 200, seed).auc)
        assert np.mean(found) < 0.9


def test_local_search_measures_a_whole_grid() -> None:
    problem = small()
    run = measure(Key("local-search", "", 3, 100, 0), problem)
    assert isinstance(run, Run)
    assert len(run.ends) == len(list(problem.grid))


def test_synthetic_problems_are_as_they_say() -> None:
    problems = synthetic()
    assert [p.digest for p in problems] == [p.digest for p in synthetic()]
    assert {p.group for p in problems} == {"autotune", "hpo", "synthetic"}
    assert len({p.name for p in problems}) == len(problems)
    free, bounded = (p for p in problems if p.name.startswith("training-5d"))
    assert [p for p in problems if p.constrained] == [bounded]
    assert free.optimum < bounded.optimum
    for problem in problems:
        regret = random_regret(problem, 100)
        assert (np.diff(regret) <= 1e-12).all()
        assert regret[0] > regret[-1] > 0


def scored(seed: int, auc: float) -> Scored:
    return Scored(seed, Run(), Scores(auc=auc, fin=auc, auc_t=auc, busy=1))


def test_a_ratio_is_as_sure_as_seeds_and_problems_agree() -> None:
    problems = {name: replace(small(), name=name) for name in ("a", "b", "c")}
    runs = {
        "ours": {name: [scored(s, 0.2) for s in range(3)] for name in "abc"},
        "twice": {name: [scored(s, 0.4) for s in range(3)] for name in "ab"},
        "about": {name: [scored(s, 0.4 + 0.1 * (s - 1)) for s in range(3)] for name in "abc"},
        "apart": {"a": [scored(0, 0.2)], "b": [scored(0, 0.8)]},
    }
    one = Cell(1, 10, problems, runs)
    twice = ratio(one, "twice", "ours")
    assert twice is not None
    assert (twice.value, twice.low, twice.high) == pytest.approx((2, 2, 2))
    assert twice.problems == 2
    about = ratio(one, "about", "ours")
    assert about is not None
    assert about.value == pytest.approx(2)
    assert 1.5 < about.low < 2 < about.high < 2.5
    apart = ratio(one, "apart", "ours")
    assert apart is not None
    assert (apart.value, apart.low, apart.high) == pytest.approx((2, 1, 4))


def test_evaluations_needed_to_catch_up() -> None:
    problem = Problem("line", "hpo", (5,), (True,), np.arange(5.0))
    fast, slow = (
        replace(scored(0, 1), run=Run(ends=[1.0, 2.0, 3.0], costs=costs))
        for costs in ([4.0, 1.0, 0.0], [3.0, 2.0, 1.0])
    )
    one = Cell(1, 3, {"line": problem}, {"fast": {"line": [fast]}, "slow": {"line": [slow]}})
    ahead, behind = needed(one, "fast", "slow"), needed(one, "slow", "fast")
    assert ahead is not None
    assert behind is not None
    assert (ahead.by_problem, ahead.aggregated, ahead.median(3)) == ({"line": 2}, 2, 2)
    assert (behind.by_problem, behind.aggregated, behind.median(3)) == ({"line": None}, None, 4)
    assert near(one, "fast") == (3, 1)
    assert near(one, "slow") == (4, 0)


def test_a_report_says_who_is_ahead(tmp_path: Path) -> None:
    problems = [p for p in synthetic() if p.name in ("sphere-2d", "ellipsoid-4d")]
    problems += [p for p in synthetic() if p.constrained]
    tuners = ["random", "local-search", "dsice-2018"]
    digests = {p.name: p.digest for p in problems}
    store = Store(tmp_path / "results", versions(*tuners), digests)
    plan = Plan(tuners, problems, [1], [150], 4)
    by_name = {p.name: p for p in problems}
    for key in plan:
        run = measure(key, by_name[key.problem])
        assert isinstance(run, Run)
        store.add(key, run)
    one = cell(store, [p for p in problems if not p.constrained], tuners, 1, 150)
    assert one.ranked()[-1] == "random"
    report = Report(plan, store, "local-search")
    assert list(report.tables) == ["scores-1-150", "savings-1-150", "bounded-1-150"]
    page = tmp_path / "page.md"
    page.write_text("Before.\n<!-- scores-1-150 -->\nold\n<!-- end -->\nAfter.\n")
    publish(report, page)
    text = page.read_text()
    assert "| **local-search** |" in text
    assert "old" not in text
    assert text.startswith("Before.")
    assert text.endswith("After.\n")
    assert (tmp_path / "images" / "regret-1.svg").read_text().startswith("<svg")
    page.write_text("No place.")
    with pytest.raises(InvalidInput, match="no place"):
        publish(report, page)


def test_names_of_tuners() -> None:
    assert peers.split("random, dsice-2018[batch=4,start=None] ,smac") == [
        "random",
        "dsice-2018[batch=4,start=None]",
        "smac",
    ]
    assert peers.options("dsice-2018[batch=4,start=None,way=fast]") == {
        "batch": 4,
        "start": None,
        "way": "fast",
    }
    assert peers.version("dsice-2018[batch=4]") == "own"
    with pytest.raises(InvalidInput, match="no tuner is named 'nobody'"):
        peers.kind("nobody")


def test_penalty_puts_infeasible_points_behind_feasible_ones() -> None:
    penalty = Penalty(small().goal)
    assert penalty.cost({"cost": 2.0, "second": 0.1}) == 2
    beyond = penalty.cost({"cost": 1.0, "second": 1.2})
    assert beyond == pytest.approx(2 + 1)
    assert penalty.cost(None) == beyond


def test_handles_are_found_again_by_point() -> None:
    handles = Handles()
    handles.add((1,), "first")
    handles.add((1,), "second")
    assert {handles.take((1,)), handles.take((1,))} == {"first", "second"}


class Sweep(Inverted):
    """A library with a loop of its own, which measures pairs of points."""

    def __init__(self, problem: Problem, *, breaks: bool = False) -> None:
        super().__init__()
        self._points = list(problem.grid)
        self._breaks = breaks
        self.seen: list[Metrics | None] = []

    def _loop(self) -> None:
        for k in range(0, len(self._points) - 1, 2):
            self.seen += self._measure(self._points[k : k + 2])
            if self._breaks:
                raise ValueError("a bug of theirs")


def test_a_loop_of_somebody_else_is_turned_inside_out() -> None:
    problem = small()
    tuner = Sweep(problem)
    run = simulate(tuner, problem, 3, 21, 0)
    assert len(run.ends) == 21
    assert tuner.seen == [problem.measure(point) for point in list(problem.grid)[:20]]
    tuner.close()
    with pytest.raises(ValueError, match="a bug of theirs"):
        simulate(Sweep(problem, breaks=True), problem, 1, 5, 0)


@pytest.mark.parametrize("name", [name for name, kind in peers.KINDS.items() if kind.package])
def test_a_peer_solves_a_bounded_problem(name: str) -> None:
    kind = peers.kind(name)
    if peers.version(name) is None:
        pytest.skip(f"{kind.package} is not installed: pip install '.[benchmark]'")
    problem = small()
    workers = 1 if kind.sequential else 3
    run = measure(Key(name, problem.name, workers, 15 if kind.cheap else 9, 0), problem)
    assert isinstance(run, Run), run
    assert min(run.costs) < math.inf


def test_tasks_tell_no_costs() -> None:
    assert set(Task.__dataclass_fields__) == {"grid", "goal", "workers", "budget", "seed"}
