"""The parameters of a program, learned from the trials of its study."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from dsice.optuna.levels import levels_if_any


class LearnedSpace:
    """The current distributions of the parameters that finished trials asked for.

    The parameters of any trial are included; `dsice.optuna.branches` learns which of them go
    together. If a distribution has changed, the program was changed and the new one is used. A
    parameter that alternates between distributions (its range depends on other values) is left out,
    and so is a range without levels: the trial that asks for it raises the error.

    Args:
        levels: as in `dsice.optuna.levels.levels_of`.
    """

    def __init__(self, levels: int | None) -> None:
        self._levels: Final = levels
        self._seen: set[int] = set()
        self._asked: dict[str, list[BaseDistribution]] = {}  # by name, at most two equal in a row

    def update(self, trials: Sequence[FrozenTrial]) -> None:
        """Record the new trials among all trials of the study."""
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
        """The distributions to search, by name, without parameters of a single level."""
        found = {}
        for name, asked in sorted(self._asked.items()):
            runs = [(kind, len(list(run))) for kind, run in itertools.groupby(asked)]
            if runs and _is_settled(runs) and not runs[-1][0].single():
                found[name] = runs[-1][0]
        return found


def _is_settled(runs: Sequence[tuple[BaseDistribution, int]]) -> bool:
    """Whether the program appears to have settled on the last distribution.

    Args:
        runs: the distributions asked for and how often in a row, at most twice.
    """
    lengths = [length for _, length in runs]
    # Compared, not hashed: choices may be lists.
    goes_back = any(a == b for a, b in itertools.combinations([kind for kind, _ in runs], 2))
    return len(runs) == 1 or (
        not goes_back and lengths[-1] > 1 and (len(runs) == 2 or min(lengths) > 1)
    )
