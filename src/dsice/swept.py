"""A metric that is bounded at many limits at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import Final, Self

from dsice.errors import InvalidInput
from dsice.units import setting

_RANGE: Final = re.compile(
    r"\s*(\$?[A-Za-z_][\w.\-/]*)\s*(<=|>=)?\s*(?:(?<![\w.\-/])([^\s:<>=]+)\s*:\s*([^\s:<>=]+))?\s*"
)


@dataclass(frozen=True, slots=True)
class Swept:
    """A metric that is bounded at many limits at once.

    Attributes:
        metric: its name.
        relation: ``<=`` where smaller is better, ``>=`` where larger is.
        strictest: the strictest limit that is asked for; None: whatever is attainable.
        loosest: the loosest one; None: where the best objective is.
    """

    metric: str
    relation: str = "<="
    strictest: float | None = None
    loosest: float | None = None

    @classmethod
    def parse(cls, text: str, relation: str = "<=") -> Self:
        """The range of limits written as ``rmse 11:16``, ``psnr >= 25:30`` or ``rmse``.

        Args:
            text: as written; without limits they are left open.
            relation: where the text has none.

        Raises:
            InvalidInput: not of that form, or the range is empty or in the wrong order.
        """
        match = _RANGE.fullmatch(text)
        if match is None:
            raise InvalidInput(f"cannot read the bound {text!r}: write it like 'rmse 11.0:16.0'")
        metric, written, *ends = match.groups()
        relation = written or relation
        if ends[0] is None:
            return cls(metric, relation)
        low, high = (_limit(end, text) for end in ends)
        if low == high:
            raise InvalidInput(
                f"the range of {text!r} is empty: for one bound ask dsice best --subject-to "
                f"'{metric} {relation} {setting(low)}'"
            )
        if low > high:
            raise InvalidInput(
                f"the range of {text!r} runs backwards: write {metric} {high:g}:{low:g}"
            )
        return (
            cls(metric, relation, low, high) if relation == "<=" else cls(metric, ">=", high, low)
        )

    @property
    def sign(self) -> float:
        """1 where smaller is better, -1 where larger is."""
        return 1.0 if self.relation == "<=" else -1.0

    @property
    def closed(self) -> bool:
        """Whether the range of limits is given."""
        return self.strictest is not None and self.loosest is not None

    @property
    def text(self) -> str:
        """As `parse` reads it back, to the last digit."""
        if self.strictest is None or self.loosest is None:
            return f"{self.metric} {self.relation}"
        low, high = sorted((self.strictest, self.loosest))
        return f"{self.metric} {self.relation} {low!r}:{high!r}"

    def bound(self, limit: float) -> str:
        """The bound at one limit, as text that `dsice.goal.Bound` reads."""
        return f"{self.metric} {self.relation} {limit!r}"

    def __str__(self) -> str:
        if self.strictest is None or self.loosest is None:
            return self.metric
        low, high = sorted((self.strictest, self.loosest))
        return f"{self.metric} {self.relation} {setting(low)}:{setting(high)}"


def _limit(text: str, whole: str) -> float:
    try:
        limit = float(text)
    except ValueError:
        limit = float("nan")
    if not isfinite(limit):
        raise InvalidInput(f"cannot read the bound {whole!r}: {text!r} is no finite number")
    return limit
