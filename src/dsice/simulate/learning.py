"""What learning from earlier studies is worth: a simulation with its sources and one without."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from dsice.exchange.learning import sources_of
from dsice.goal import Goal
from dsice.simulate.answer import Quartiles
from dsice.simulate.campaign import Played
from dsice.study.config import StudyConfig
from dsice.study.directory import StudyDirectory
from dsice.study.learned import Learned, load
from dsice.units import count

MARKS: Final = 12  # points of the curves, at most
_SHOWN: Final = (1 / 12, 1 / 6, 1 / 3, 2 / 3, 1.0)  # marks in a terminal, as shares of all


def sources_for(config: StudyConfig, directory: Path) -> tuple[Learned, ...]:
    """What the study of a file learns from, or has learned from if it has begun in ``directory``.

    Raises:
        InvalidInput: a source cannot be read, or has no result that teaches something.
        DamagedStudy: the stored sources cannot be read.
    """
    if not config.learn_from:
        return ()
    return load(StudyDirectory.at(directory)) or tuple(sources_of(config, directory))


@dataclass(frozen=True, slots=True)
class Gain:
    """The best so far with sources and without, in the same worlds with the same slots.

    Attributes:
        slots: trials at once.
        goal: defines the metric of the curves.
        trials: numbers of ended trials, increasing.
        informed: the best after each of these numbers, with sources.
        alone: the same without.
        catching: for each world, the number of trials with sources until the best is as good as
            that of all trials without; infinite where it never is, or nothing was feasible without.
    """

    slots: int
    goal: Goal
    trials: tuple[int, ...]
    informed: tuple[Quartiles, ...]
    alone: tuple[Quartiles, ...]
    catching: Quartiles

    @classmethod
    def of(
        cls, goal: Goal, slots: int, informed: Sequence[Played], alone: Sequence[Played]
    ) -> Self:
        """Compare the plays with so many slots.

        Args:
            goal: of the study.
            slots: trials at once, as in some of the plays.
            informed: plays with sources.
            alone: plays of the same worlds without.
        """
        pairs = [
            (one.best, other.best)
            for one, other in zip(_of(informed, slots), _of(alone, slots), strict=True)
        ]
        longest = max(len(best) for pair in pairs for best in pair)
        marks = tuple(sorted({math.ceil(longest * (k + 1) / MARKS) for k in range(MARKS)}))
        sign = 1.0 if goal.maximize is None else -1.0

        def after(mark: int, best: Sequence[float]) -> float:
            return sign * best[min(mark, len(best)) - 1]

        return cls(
            slots=slots,
            goal=goal,
            trials=marks,
            informed=tuple(Quartiles.of([after(k, best) for best, _ in pairs]) for k in marks),
            alone=tuple(Quartiles.of([after(k, best) for _, best in pairs]) for k in marks),
            catching=Quartiles.of([_until(*pair) for pair in pairs]),
        )

    @property
    def shown(self) -> list[int]:
        """Which of the marks to show in a terminal."""
        return sorted({math.ceil(share * len(self.trials)) - 1 for share in _SHOWN})

    def sentences(self) -> list[str]:
        """How many trials the sources save, in plain words."""
        last = count(self.trials[-1], "trial")
        if not math.isfinite(self.alone[-1].median):
            return [f"Without it, {last} find nothing that keeps the bounds, in most worlds."]
        if not math.isfinite(self.catching.median):
            return [f"What {last} find without it is not found with it, in most worlds."]
        return [
            f"The best that {last} find without it is found with it in "
            f"{count(round(self.catching.median), 'trial')}, at the median."
        ]

    def as_json(self) -> dict[str, Any]:
        """The part of ``dsice simulate --json``; None stands for nothing feasible, or never."""
        return {
            "slots": self.slots,
            "trials": list(self.trials),
            "best": [each.as_json() for each in self.informed],
            "best_without": [each.as_json() for each in self.alone],
            "trials_to_best_without": self.catching.as_json(),
            "conclusion": self.sentences(),
        }


def _of(plays: Sequence[Played], slots: int) -> list[Played]:
    """The plays with so many slots, by world."""
    found = [one for one in plays if one.slots == slots]
    return sorted(found, key=lambda one: one.repetition)


def _until(informed: Sequence[float], alone: Sequence[float]) -> float:
    """The number of trials until ``informed`` is as good as the end of ``alone``."""
    if not math.isfinite(alone[-1]):
        return math.inf
    return next((k for k, best in enumerate(informed, start=1) if best <= alone[-1]), math.inf)
