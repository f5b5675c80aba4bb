"""How related the sources of a study turned out to be."""

from __future__ import annotations

from dsice.search.related import Relation, relations
from dsice.study.state import Study
from dsice.study.task import Status


def relations_of(study: Study) -> list[Relation]:
    """One for each source, by the results so far; empty without sources."""
    if not study.sources:
        return []
    goal = study.goal
    results = {
        trial.point: trial.metrics
        for trial in study.with_status(Status.DONE)
        if goal.missing(trial.metrics) is None
    }
    given = [source.given for source in study.sources]
    return relations(study.config.grid, goal, given, list(results.items()))


def relation_line(found: Relation) -> str:
    """One sentence on a source."""
    if not found.teaches:
        return f"{found.source} taught nothing: its results have no structure to learn from."
    if found.correlation is None:
        return f"{found.source}: too little is measured to say how related it is."
    return (
        f"{found.source}: rank correlation of what it expected with what was measured "
        f"{found.correlation:.2f} ({found.low:.2f} to {found.high:.2f}) over {found.points} points."
    )
