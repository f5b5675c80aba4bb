"""Further trials for a range of bounds, and choosing the search of a session."""

from __future__ import annotations

from dataclasses import dataclass

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.search import DEFAULT_SEARCH, make_search
from dsice.search.base import Search
from dsice.study.progress import search_options
from dsice.study.run_table import RunConfig
from dsice.study.state import Study
from dsice.study.task import Status
from dsice.swept import Swept


@dataclass(frozen=True, slots=True)
class Further:
    """A request for more trials for a range of bounds.

    Repeating it resumes a sweep that a kill or Ctrl-C has interrupted; once the sweep has ended,
    it begins a new one.

    Attributes:
        swept: the range.
        trials: how many.
    """

    swept: Swept
    trials: int

    def number(self, study: Study) -> int:
        """The number of this sweep in the study, from 1: one to resume, or a new one."""
        for number, sweep in enumerate(study.sweeps, start=1):
            same = (sweep.bound, sweep.trials) == (self.swept.text, self.trials)
            if same and not sweep.ended:
                return number
        return len(study.sweeps) + 1

    def left(self, study: Study) -> int:
        """How many trials are still to be proposed."""
        number = self.number(study)
        begun = study.sweeps[number - 1].proposed if number <= len(study.sweeps) else 0
        return self.trials - begun

    def budget(self, study: Study, run: RunConfig) -> RunConfig:
        """The budget of a session that measures them."""
        return run.model_copy(
            update={"trials": study.spent + self.left(study), "hours": None, "job_hours": None}
        )


def range_of(study: Study, text: str) -> Swept:
    """Parse a range of bounds such as ``rmse 11:16`` for a study.

    Without ``<=`` or ``>=``, the sense is that of the study's own bound on the metric.

    Raises:
        InvalidInput: it cannot be parsed, or the metric is the objective or in no result.
    """
    swept = Swept.parse(text)
    own = [bound.relation[0] for bound in study.config.goal.bounds if bound.metric == swept.metric]
    own += [s.relation[0] for s in study.config.goal.swept if s.metric == swept.metric]
    if own and own[0] == ">":
        swept = Swept.parse(text, ">=")
    goal_for(study, swept)
    done = study.with_status(Status.DONE)
    if not done:
        raise InvalidInput(f"{study.directory.path}: no trial has been measured yet")
    if not any(swept.metric in trial.metrics for trial in done):
        raise InvalidInput(
            f"bound {text!r}: metric {swept.metric!r} is in no result: there are "
            f"{', '.join(sorted(done[0].metrics))}"
        )
    return swept


def goal_for(study: Study, swept: Swept) -> Goal:
    """The study's goal with a range of bounds on one metric, and its other bounds unchanged.

    Of several objectives, only the first counts.
    """
    return study.goal.over(swept)


def search_of(study: Study, capacity: int, sweep: int | None) -> Search:
    """Create the search of a session, without any results yet.

    Args:
        study: defines the search, or has the sweep.
        capacity: maximum number of trials at once.
        sweep: number of the sweep for which the session measures, or None.

    Raises:
        InvalidInput: a bound waits for the result of a stage.
    """
    config = study.config
    name, goal = config.search, study.goal
    options = {**config.told, **search_options(config)}
    if sweep is not None:
        # The published algorithms search for one point, and a sweep ends with its trials.
        name, options = DEFAULT_SEARCH, {}
        goal = goal_for(study, Swept.parse(study.sweeps[sweep - 1].bound))
    options = dict(options)
    if study.sources:
        options["sources"] = [source.given for source in study.sources]
    return make_search(name, config.grid, goal, seed=config.seed, capacity=capacity, **options)
