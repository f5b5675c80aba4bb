"""The results of a study, and queries on them, such as the best trial for any goal."""

from __future__ import annotations

from dataclasses import dataclass, field

from dsice.errors import InvalidInput, NoResult
from dsice.goal import Goal, Metrics
from dsice.incumbent import Incumbent, Standing, best_standing, incumbents, standings
from dsice.study import learned
from dsice.study.config import StudyConfig
from dsice.study.directory import StudyDirectory
from dsice.study.facts import Finalist, KnownResult, Session, Stage, Sweep, Trial
from dsice.study.learned import Learned
from dsice.study.task import Status, Task


@dataclass(slots=True)
class Results:
    """The results of a study.

    Attributes:
        config: its study file, with the budget of the newest session.
        directory: its files.
        stages: those begun or accessed, by name.
        trials: in the order of proposal.
        finished: done and failed trials in the order of their ends.
        known: known results, in the order of their import.
        sessions: of all drivers so far.
        sweeps: requested for ranges of bounds.
        finalists: the trials measured again at full length, by number.
        changes: of grid, rule and goal, as Unix times and descriptions.
        requests: users' requests that are processed, see `dsice.study.requests`.
        id: unique; empty in a study of format 1.
    """

    config: StudyConfig
    directory: StudyDirectory
    stages: dict[str, Stage] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    finished: list[Trial] = field(default_factory=list)
    known: list[KnownResult] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    sweeps: list[Sweep] = field(default_factory=list)
    finalists: dict[int, Finalist] = field(default_factory=dict)
    changes: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)
    requests: set[str] = field(default_factory=set)
    id: str = ""
    _sources: tuple[Learned, ...] | None = None
    # The trials by number, of each status: a proposal asks for some of 100,000.
    _by_status: dict[Status, dict[int, Trial]] = field(
        default_factory=lambda: {status: {} for status in Status}
    )

    @property
    def sources(self) -> tuple[Learned, ...]:
        """The earlier studies that it learns from, as stored in its directory."""
        if self._sources is None:
            self._sources = learned.load(self.directory)
        return self._sources

    @property
    def spent(self) -> int:
        """The number of trials that count for the budget: all but discarded ones."""
        return len(self.trials) - len(self._by_status[Status.DISCARDED])

    def set_status(self, task: Task, status: Status) -> None:
        """Change the status of a task of this study."""
        if isinstance(task, Trial):
            self._by_status[task.status].pop(task.number, None)
            self._by_status[status][task.number] = task
        task.status = status

    def stage(self, name: str) -> Stage:
        """The stage of this name in its present state."""
        return self.stages.setdefault(name, Stage(self, name=name))

    @property
    def goal(self) -> Goal:
        """The goal, with limits of bounds computed from the stages that have ended."""
        ended = self.stage_metrics
        if all(bound.stages <= ended.keys() for bound in self.config.goal.bounds):
            return self.config.goal.settled(ended)
        return self.config.goal

    @property
    def stage_metrics(self) -> dict[str, Metrics]:
        """The metrics of the successful stages, by stage."""
        return {s.name: s.metrics for s in self.stages.values() if s.status is Status.DONE}

    @property
    def best(self) -> Trial:
        """The best feasible trial.

        Raises:
            NoResult: there is none so far.
        """
        best = self.best_or_none
        if best is None:
            raise NoResult(f"{self.directory.path} has no best trial: {self._why_no_best()}")
        return best

    @property
    def best_or_none(self) -> Trial | None:
        """The best feasible trial, or None."""
        return self.best_for(self.goal)

    def _why_no_best(self) -> str:
        done, failed = self.with_status(Status.DONE), self.with_status(Status.FAILED)
        if done:
            return f"none of {len(done)} that were measured keeps the bounds: {self.goal}"
        if failed:
            last = failed[-1]
            return f"all {len(failed)} failed; the last, trial {last.number}: {last.reason}"
        return "no trial has ended"

    def best_for(self, goal: Goal) -> Trial | None:
        """The best trial in the same history for another goal.

        It represents its point, see `dsice.incumbent`.

        Raises:
            InvalidInput: no trial has a metric of the goal.
        """
        found = self.best_standing(goal)
        return None if found is None else found.counted

    def best_standing(self, goal: Goal) -> Standing[Trial] | None:
        """All measurements of the best point for a goal; None if no point satisfies its bounds.

        Raises:
            InvalidInput: no trial has a metric of the goal.
        """
        done, able = self.with_status(Status.DONE), self.measured_for(goal)
        if done and not able:
            raise InvalidInput(
                f"metric {goal.missing(done[0].metrics)!r} is in no result: "
                f"there are {', '.join(sorted(done[0].metrics))}"
            )
        return best_standing(able, goal)

    def incumbents_for(self, goal: Goal) -> list[Incumbent[Trial]]:
        """The incumbents over time, in the order of the trials' ends."""
        ended = [t for t in self.finished if t.status is Status.DONE]
        return incumbents([t for t in ended if goal.missing(t.metrics) is None], goal)

    def measured_for(self, goal: Goal) -> list[Trial]:
        """The trials that have every metric of a goal, in the order of proposal."""
        done = self.with_status(Status.DONE)
        if self.changes:  # measured points may be excluded now
            done = [trial for trial in done if self.config.grid.allows(trial.point)]
        return [trial for trial in done if goal.missing(trial.metrics) is None]

    def best_known(self, goal: Goal) -> KnownResult | None:
        """The best of the known results for a goal, or None if none satisfies its bounds.

        Also None while a bound waits for the result of a stage.
        """
        if any(bound.limit is None for bound in goal.bounds):
            return None
        feasible = [
            result
            for result in self.known
            if result.status is Status.DONE
            and goal.missing(result.metrics) is None
            and goal.feasible(result.metrics)
        ]
        return min(feasible, key=lambda result: goal.cost(result.metrics), default=None)

    def better_known(self, goal: Goal) -> KnownResult | None:
        """The best known result if it is better than every trial of this study, else None."""
        result = self.best_known(goal)
        if result is None:
            return None
        best = self.best_for(goal) if self.measured_for(goal) else None
        is_better = best is None or goal.cost(result.metrics) < goal.cost(best.metrics)
        return result if is_better else None

    def front_for(self, goal: Goal) -> list[Trial]:
        """The Pareto front: feasible trials that no other trial beats at every swept bound.

        With several objectives: that no other trial improves in one without being worse in another.
        In the order of the (first) swept metric, strictest first; without one, only the best trial.

        Raises:
            InvalidInput: no trial has a metric of the goal.
        """
        from dsice.front import front  # loading NumPy takes longer than a short command

        if self.best_for(goal) is None:
            return []
        middle = [standing.counted for standing in standings(self.measured_for(goal), goal)]
        kept = [trial for trial in middle if goal.feasible(trial.metrics)]
        return [kept[index] for index in front([goal.costs(trial.metrics) for trial in kept])]

    @property
    def front(self) -> list[Trial]:
        """The Pareto front for the study's own goal, see `front_for`."""
        return self.front_for(self.goal)

    def with_status(self, status: Status) -> list[Trial]:
        """The trials of one status, in the order of proposal."""
        found = self._by_status[status]
        return [found[number] for number in sorted(found)]

    @property
    def queued(self) -> list[Trial]:
        """The trials whose jobs were submitted but have not begun, as far as known."""
        return [t for t in self.with_status(Status.RUNNING) if not t.attempts[-1].begun]

    @property
    def job_seconds(self) -> float:
        """Total run time of all ended jobs of trials, in seconds."""
        return sum(attempt.seconds for trial in self.trials for attempt in trial.attempts)

    @property
    def wall_seconds(self) -> float:
        """Total time during which a driver was running, in seconds."""
        return sum(session.seen - session.started for session in self.sessions)
