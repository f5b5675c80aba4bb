"""The parts of the page: sections as HTML, figures and their data, from a study in any state.

The report combines all of them in one file; the live page requests those that have changed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import jinja2

from dsice import __version__
from dsice.report import summary
from dsice.report.board import Board
from dsice.report.curve_figures import curve_figures
from dsice.report.explained import Explained
from dsice.report.facts import Facts
from dsice.report.figures import Figures
from dsice.report.pictures import picture_rows
from dsice.report.savings import Savings
from dsice.report.scales import Figure, Row
from dsice.report.timeline import Timeline
from dsice.report.words import bound, fraction, moment, parameter, time_share
from dsice.study.finalists import Comparison
from dsice.study.state import Study
from dsice.text import plain
from dsice.units import count, duration, hours, number

SECTIONS: Final = (
    *("head", "best", "bounds", "pictures", "progress", "curves", "line", "parameters", "space"),
    *("effects", "run", "saved", "failures", "trials", "sessions", "foot"),
)
"""Names of all sections, in the order of the page; blocks of ``page/sections.html``."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a page.

    Attributes:
        sections: escaped HTML by name; blank for empty sections.
        figures: by name: ``spec``, and in ``datasets`` the names of its shared data sets.
        datasets: rows by name.
    """

    sections: dict[str, str]
    figures: dict[str, dict[str, Any]]
    datasets: dict[str, list[Row]]


def parts_of(study: Study, facts: Facts | None = None) -> Parts:
    """Build the page of a study; ``facts`` are those of `Facts.of`."""
    facts, timeline = facts or Facts.of(study), Timeline.of(study)
    board = Board.of(facts)
    figures = Figures.on(board, timeline)
    savings = Savings.of(study, timeline)
    values = {
        "name": plain(study.config.name),
        "goal": summary.goal_text(facts),
        "headline": summary.headline(facts),
        "facts": facts,
        "savings": savings,
        "tiles": summary.tiles(facts, timeline, savings),
        "command": summary.best_command(facts),
        "figures": figures,
        "explained": (explained := Explained.of(board)),
        "timeline": timeline,
        "pictures": picture_rows(facts),
        "columns": summary.columns(facts),
        "rows": summary.table(facts),
        "selection": summary.selection(facts),
        "failures": summary.failures(facts),
        "discarded": summary.discarded(facts),
        "ended_early": summary.ended_early(facts),
        "finalists": Comparison.of(study).lines(study.goal) if study.finalists else [],
        "warnings": summary.warnings(facts),
        "sessions": summary.session_lines(facts),
        "made": moment(time.time()),
        "version": __version__,
        "directory": plain(str(study.directory.path)),
    }
    sections = {name: section(name, values) for name in SECTIONS}
    others = (*explained.line, *explained.walk, *explained.effects, *explained.surface)
    return Parts(sections, *packed([*figures, *others, *explained.pairs]))


def curve_parts(study: Study) -> Parts:
    """The parts of the page that change while trials run: their reports so far."""
    figures = Figures(curves=tuple(curve_figures(Facts.of(study))))
    sections = {"curves": section("curves", {"figures": figures})}
    return Parts(sections, *packed(figures))


def section(name: str, values: dict[str, Any]) -> str:
    """Render one block of ``page/sections.html``."""
    template = environment().get_template("sections.html")
    return "".join(template.blocks[name](template.new_context(values))).strip()


@cache
def environment() -> jinja2.Environment:
    """The Jinja environment of the page's templates, with their formatting functions."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("dsice.report", "page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {
        "bound": bound,
        "count": count,
        "duration": duration,
        "fraction": fraction,
        "hours": hours,
        "number": number,
        "parameter": parameter,
        "time_share": time_share,
    }
    return templates


def packed(figures: Iterable[Figure]) -> tuple[dict[str, dict[str, Any]], dict[str, list[Row]]]:
    """Separate specifications from shared data sets, so that each of these is stored once."""
    datasets: dict[str, list[Row]] = {}
    packed = {}
    for figure in figures:
        spec = dict(figure.spec)
        datasets |= (own := spec.pop("datasets", {}))
        packed[figure.name] = {"spec": spec, "datasets": list(own)}
    return packed, datasets
