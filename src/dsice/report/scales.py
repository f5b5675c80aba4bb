"""Common elements of all figures: frames, ranges and axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dsice.domain import Domain
from dsice.grid import Axis
from dsice.report import words

Spec = dict[str, Any]
Row = dict[str, Any]

TICKS: Final = {"expr": "clamp(width / 80, 2, 12)"}
"""``tickCount`` of an x axis: as many as there is room for."""

# A plain "format" would round to the distance of the ticks: 16 to 2e+1.
_PLAIN_LABEL: Final = "format(datum.value, '~g')"
FREE: Final[Spec] = {"labelOverlap": "greedy", "labelSeparation": 5}
"""Labels of an axis that leave out those which would touch."""

_FEW: Final = 8
_FEW_TICKS: Final = 4
_MANY_TICKS: Final = 9
_SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
_MANY_LEVELS: Final = 60
_SHORT: Final = 24
"""Characters of labels that find room side by side."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and its texts, all plain text.

    Attributes:
        name: unique in a report; letters, digits and hyphens.
        title: what it shows.
        note: how to read it; may be empty.
        spec: a complete Vega-Lite specification, as wide as its container.
    """

    name: str
    title: str
    note: str
    spec: Spec


def framed(description: str, layers: Sequence[Spec], height: int, **datasets: list[Row]) -> Spec:
    """A complete specification of layers with named data sets."""
    spec: Spec = {
        "$schema": _SCHEMA,
        "description": description,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
    }
    if datasets:
        spec["datasets"] = datasets
    return {**spec, "layer": list(layers)}


def mark(kind: str, style: str, **more: Any) -> Spec:
    """A mark in a style, clipped at the frame."""
    return {"type": kind, "style": style, "clip": True, **more}


def tip() -> Spec:
    """The tooltip of rows that have one: a single text that is never interpreted as markup."""
    return {"field": "tip", "type": "nominal"}


def quantity(field: str, title: str | None, domain: Domain | None = None, **axis: Any) -> Spec:
    """A quantitative encoding with its range."""
    scale: Spec = {"zero": False, "nice": False}
    if domain is not None:
        scale["domain"] = [domain.low, domain.high]
        if domain.log:
            scale = {"type": "log", "domain": scale["domain"], "nice": False}
            axis |= {"labelExpr": _PLAIN_LABEL, "values": _log_ticks(domain), **FREE}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, "axis": axis}


def _log_ticks(domain: Domain) -> list[float]:
    """Powers of ten, or 1, 2 and 5 times them if these are few."""
    first, last = math.ceil(math.log10(domain.low)), math.floor(math.log10(domain.high))
    powers = range(first, last + 1)
    if len(powers) >= _FEW_TICKS:
        return [float(f"1e{power}") for power in powers[:: math.ceil(len(powers) / _MANY_TICKS)]]
    ticks = [float(f"{m}e{power}") for power in range(first - 1, last + 1) for m in (1, 2, 5)]
    return [tick for tick in ticks if domain.holds(tick)]


def parameter(axis: Axis, field: str) -> Spec:
    """The encoding of a parameter: logarithmic for levels in constant ratio.

    Numbers that are neither evenly spaced nor in constant ratio are drawn as evenly spaced labels,
    as a search by levels sees them, see `is_labelled`.
    """
    encoding: Spec = {"field": field, "title": axis.name}
    labels = list(dict.fromkeys(words.parameter(level) for level in axis.levels))
    short = sum(map(len, labels)) <= _SHORT
    look: Spec = {**FREE, "grid": False}
    if is_labelled(axis):
        look |= {"labelAngle": 0 if short else -40, "labelLimit": 90}
        if not short and len(labels) <= _FEW:
            look["labelOverlap"] = False  # adjacent slanted labels do not overlap
        scale: Spec = {"domain": labels, "padding": 0.5}
        return {**encoding, "type": "ordinal", "scale": scale, "axis": look}
    levels = [float(level) for level in axis.levels]
    scale = {"nice": False, "padding": 8, "domain": [min(levels), max(levels)]}
    scale |= {"type": "log"} if _is_geometric(levels) else {"zero": False}
    shown = levels if short else levels[:: math.ceil(len(levels) / _FEW)]
    if short or _is_geometric(levels):
        look |= {"values": shown, "labelExpr": _PLAIN_LABEL}
    else:
        look["tickCount"] = 4
    return {**encoding, "type": "quantitative", "scale": scale, "axis": look}


def is_labelled(axis: Axis) -> bool:
    """Whether the levels of an axis are drawn as labels instead of numbers."""
    numbers = [v for v in axis.levels if isinstance(v, int | float) and not isinstance(v, bool)]
    if not axis.ordered or len(numbers) < len(axis.levels) or len(numbers) == 1:
        return True
    return not (_is_even(numbers) or _is_geometric(numbers)) and len(numbers) <= _MANY_LEVELS


def _is_even(levels: Sequence[float]) -> bool:
    step = (levels[-1] - levels[0]) / (len(levels) - 1)
    return all(abs(b - a - step) <= 0.02 * abs(step) for a, b in itertools.pairwise(levels))


def _is_geometric(levels: Sequence[float]) -> bool:
    if len(levels) < 3 or min(levels) <= 0:
        return False
    ratio = (levels[-1] / levels[0]) ** (1 / (len(levels) - 1))
    # Levels are often rounded by hand: 0.001, 0.003, 0.01 are intended as a constant ratio.
    return abs(ratio - 1) > 0.05 and all(
        abs(b / a / ratio - 1) <= 0.15 for a, b in itertools.pairwise(levels)
    )
