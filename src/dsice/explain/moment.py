"""What a search knew at a moment of its study: its calls up to then, repeated."""

from __future__ import annotations

from dsice.goal import Metrics
from dsice.search import make_search
from dsice.search.base import Search
from dsice.study.state import Status, Study, Trial


def result(trial: Trial) -> Metrics | None:
    """What a search is told of a trial that has ended."""
    return trial.metrics if trial.status is Status.DONE else None


def search_before(study: Study, trial: Trial | None) -> Search:
    """The study's search as it was when ``trial`` was about to be proposed; None: as it is now.

    As the search is a function of its calls, today's version of it gives what it gave then unless
    the algorithm has changed since.

    Raises:
        InvalidInput: a bound waits for the result of a stage.
    """
    config = study.config
    search = make_search(
        config.search,
        config.grid,
        study.goal,
        seed=config.seed,
        capacity=config.run.parallel if trial is None else trial.capacity,
        **config.search_options,
    )
    for each, ended in study.history:
        if each is trial and not ended:
            break
        if ended:
            search.tell(each.point, result(each))
        else:
            search.pend(each.point)
    return search
