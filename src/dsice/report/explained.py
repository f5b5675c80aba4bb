"""Explanations of the study in the page, as far as its journal has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from dsice.errors import InvalidInput
from dsice.explain.effects import effects_of
from dsice.explain.line import TrialLine
from dsice.explain.related import relation_line, relations_of
from dsice.explain.trial import Explanation, explanation_of
from dsice.explain.walk import Step, walk_of
from dsice.explain.words import sentences, what_matters
from dsice.report.board import Board
from dsice.report.explain_figures import effect_figures, line_figure, pair_figure, walk_figure
from dsice.report.facts import Facts
from dsice.report.scales import Figure
from dsice.report.space_figures import surface_figure
from dsice.study.summary import sources_line
from dsice.text import plain


@dataclass(frozen=True, slots=True)
class Explained:
    """Sentences and figures about the search.

    Attributes:
        why: sentences about the best trial.
        line: the line on which it was found (the poster's Fig. 1), none or one figure.
        walk: the incumbents over time, none or one figure.
        sources: sentences about the studies it learns from.
        matters: a sentence about the important parameters.
        effects: the main effects of the parameters.
        pairs: the strongest interactions.
        surface: the prediction over the two most important parameters, none or one figure.
    """

    why: tuple[str, ...] = ()
    line: tuple[Figure, ...] = ()
    walk: tuple[Figure, ...] = ()
    sources: tuple[str, ...] = ()
    matters: str = ""
    effects: tuple[Figure, ...] = ()
    pairs: tuple[Figure, ...] = ()
    surface: tuple[Figure, ...] = ()

    @classmethod
    def of(cls, board: Board, most_pairs: int = 2) -> Self:
        """The explanation of the study of a board, in any state."""
        facts = board.facts
        if not facts.settled or facts.problem or not facts.measured:
            return cls()
        study, grid = facts.study, facts.study.config.grid
        named = [plain(sources_line(study), 500)] if study.sources else []
        related = [plain(relation_line(each), 300) for each in relations_of(study)]
        walk, effects = walk_of(study, facts.incumbents), effects_of(study)
        best = None if facts.best is None else explained(facts, facts.best.number, walk)
        why: tuple[str, ...] = ()
        line: tuple[Figure, ...] = ()
        if best is not None:
            why = _said(best, facts)
            line = () if best.line is None else (_line(best.line, facts),)
        log = facts.spans_decades(facts.goal.metric)
        pairs = [] if effects is None else effects.interactions[:most_pairs]
        return cls(
            why=why,
            line=line,
            walk=(walk_figure(walk, grid),) if len(walk) > 1 else (),
            sources=(*named, *related),
            matters="" if effects is None else plain(what_matters(effects)),
            effects=() if effects is None else tuple(effect_figures(effects, grid, log)),
            surface=() if effects is None else tuple(surface_figure(effects, board, log)),
            pairs=tuple(pair_figure(pair, effects, grid) for pair in pairs if effects),
        )


def explained(facts: Facts, number: int, walk: Sequence[Step]) -> Explanation | None:
    """Why a trial was proposed; None if unknown."""
    try:
        return explanation_of(facts.study, number, walk)
    except InvalidInput:  # a bound waits for the result of a stage
        return None


def why_of(facts: Facts, number: int) -> dict[str, Any]:
    """Sentences about a trial, and the figure of its line, as plain data."""
    walk = walk_of(facts.study, facts.incumbents) if facts.settled else ()
    found = explained(facts, number, walk)
    if found is None:
        return {"why": [], "line": None}
    line = None
    if found.line is not None:
        line = _line(found.line, facts).spec
    return {"why": _said(found, facts), "line": line}


def _line(line: TrialLine, facts: Facts) -> Figure:
    metric = facts.goal.metric
    return line_figure(line, facts.study.config.grid, metric, facts.spans_decades(metric))


def _said(found: Explanation, facts: Facts) -> tuple[str, ...]:
    return tuple(plain(sentence, 500) for sentence in sentences(found, facts.goal))
