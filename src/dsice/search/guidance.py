"""What guides a search besides its own results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dsice.search.beliefs import NO_BELIEFS, Beliefs
from dsice.search.sources import NO_SOURCES, Sources


@dataclass(frozen=True, slots=True)
class Guidance:
    """What guides a search besides its own results; the same from its start to its end.

    Attributes:
        sources: results of earlier studies.
        beliefs: what the user believes.
        durations: whether candidates are ranked per expected second.
        levelling: how far expected improvement ignores where the prior variance is large, from 0 to
            1; see `dsice.search.quantity.Quantity.levelled`.
    """

    sources: Sources = NO_SOURCES
    beliefs: Beliefs = NO_BELIEFS
    durations: bool = False
    levelling: float = 0.0


NO_GUIDANCE: Final = Guidance()
