"""Axis ranges for figures: which range of a quantity to draw, and whether logarithmically."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

_RATIO: Final = 100.0
_FEW: Final = 5  # values of which none can be called far


class Domain(NamedTuple):
    """The range of a quantity that is drawn.

    Attributes:
        low: its lower end.
        high: its upper end.
        log: whether its scale is logarithmic; both ends are positive then.
    """

    low: float
    high: float
    log: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value lies within."""
        return self.low <= value <= self.high

    def place(self, value: float) -> float:
        """Where a value lies, or the nearest within: 0 at the lower end, 1 at the upper one."""
        value = min(max(value, self.low), self.high)
        if self.low == self.high:
            return 0.0
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def focus(
    values: Sequence[float],
    keep: Iterable[float] = (),
    *,
    margin: float = 0.06,
    log: bool | None = None,
) -> Domain:
    """The range worth drawing: that of ``values`` without far outliers, and all of ``keep``.

    A run that diverged must not squeeze all others into one pixel: see `within_fences`. On a
    logarithmic scale, an outlier is farther from the bulk of the values than the bulk is wide.

    Args:
        values: of the quantity.
        keep: values that are drawn in any case.
        margin: share of the range that is added at both ends.
        log: whether the scale is logarithmic, if all of ``keep`` is positive; None: if the values
            span decades, see `spans_decades`.
    """
    kept = list(keep)
    log = spans_decades([*values, *kept]) if log is None else log and min(kept, default=1.0) > 0
    if log:
        kept = list(map(math.log10, kept))
        logs = [math.log10(value) for value in values if value > 0]
        low, high = _bulk(logs) if logs else (0.0, 0.0)
        inner = [v for v in logs if 2 * low - high <= v <= 2 * high - low]
    else:
        inner = within_fences(values)
    inner += kept
    if not inner:
        return Domain(0.0, 1.0)
    low, high = min(inner), max(inner)
    more = margin * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - more, high + more
    return Domain(10**low, 10**high, log=True) if log else Domain(low, high)


def spans_decades(values: Sequence[float]) -> bool:
    """Whether measurements ask for a logarithmic scale: all positive, most over two decades."""
    return bool(values) and min(values) > 0 and covers_decades(_bulk(values))


def covers_decades(values: Sequence[float]) -> bool:
    """Whether values without outliers ask for a logarithmic scale: positive, over two decades."""
    return bool(values) and min(values) > 0 and max(values) / min(values) >= _RATIO


def _bulk(values: Sequence[float]) -> tuple[float, float]:
    """The ends of the values without a tenth of them, and one at least, at each end."""
    ordered = sorted(values)
    left_out = max(1, len(ordered) // 10) if len(ordered) >= _FEW else 0
    return ordered[left_out], ordered[-1 - left_out]


def within_fences(values: Sequence[float]) -> list[float]:
    """The values within Tukey's outer fences: three interquartile ranges beyond the quartiles."""
    if len(values) < _FEW:
        return list(values)
    lower, _, upper = statistics.quantiles(values, n=4)
    fence = 3 * (upper - lower)
    return [v for v in values if lower - fence <= v <= upper + fence] if fence else list(values)
