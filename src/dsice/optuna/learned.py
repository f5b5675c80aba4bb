"""Which parameters a program has, learned from the trials of its study."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from dsice.optuna.levels import levels_if_any


class LearnedSpace:
    """The distributions that the trials that have ended asked for, as it stands now.

    All parameters count that any trial has: which of them go together is for
    `dsice.optuna.branches`. A parameter whose distribution has changed is searched with the new
    one, as the program was changed meanwhile. One that goes back and forth between distributions
    (its range depends on other values) is left out, and so is a range without levels: it is for
    the trial that asks for it to complain.

    Args:
        levels: as in `dsice.optuna.levels.levels_of`.
    """

    def __init__(self, levels: int | None) -> None:
        self._levels: Final = levels
        self._seen: set[int] = set()
        self._asked: dict[str, list[BaseDistribution]] = {}  # by name, two alike in a row at most

    def update(self, trials: Sequence[FrozenTrial]) -> None:
        """Take note of the trials that are new among all those of the study."""
        for trial in trials:
            if trial.number in self._seen or not trial.state.is_finished():
                continue
            self._seen.add(trial.number)
            for name, distribution in trial.distributions.items():
                asked = self._asked.setdefault(name, [])
                if asked[-2:] == [distribution] * 2:
                    continue
                if levels_if_any(distribution, self._levels) is not None:
                    asked.append(distribution)

    def distributions(self) -> dict[str, BaseDistribution]:
        """What to search of each parameter, by name, those with a single level left out."""
        found = {}
        for name, asked in sorted(self._asked.items()):
            runs = [(kind, len(list(run))) for kind, run in itertools.groupby(asked)]
            if runs and _is_settled(runs) and not runs[-1][0].single():
                found[name] = runs[-1][0]
        return found


def _is_settled(runs: Sequence[tuple[BaseDistribution, int]]) -> bool:
    """Whether the program asks for the last distribution from now on, as far as can be seen.

    Args:
        runs: the distributions asked for and how often in a row, twice at most.
    """
    lengths = [length for _, length in runs]
    # Compared, not hashed: choices may be lists.
    goes_back = any(a == b for a, b in itertools.combinations([kind for kind, _ in runs], 2))
    return len(runs) == 1 or (
        not goes_back and lengths[-1] > 1 and (len(runs) == 2 or min(lengths) > 1)
    )
