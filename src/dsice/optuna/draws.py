"""Draws for parameters outside the search: even, and preferring combinations without a trial.

The values that trials asked for, one after another, form a tree (as in Optuna's
`BruteForceSampler`). A level below which every combination has a trial is not drawn while another
level has combinations left.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

from optuna.trial import FrozenTrial

from dsice.optuna.levels import Levels, levels_if_any
from dsice.optuna.trials import values_of


class Draws:
    """The levels of a parameter that a trial asks for, and the other trials that have them.

    Only trials that agree with all values of this trial so far count.

    Args:
        trials: all trials of the study.
        asking: number of the trial that asks.
        name: name of the parameter.
        levels: its levels.
        thinned: as in `dsice.optuna.levels.levels_of`.
    """

    def __init__(
        self,
        trials: Sequence[FrozenTrial],
        asking: int,
        name: str,
        levels: Levels,
        thinned: int | None,
    ) -> None:
        self._levels: Final = levels
        self._thinned: Final = thinned
        mine = dict(next(trial for trial in trials if trial.number == asking).params)
        mine.pop(name, None)
        others = [(t, values_of(t)) for t in trials if t.number != asking]
        alike = [(t, v) for t, v in others if all(k in v and v[k] == mine[k] for k in mine)]
        self._groups, _ = _grouped(alike, name, levels)
        self._given: Final = {*mine, name}

    def users(self, index: int) -> list[int]:
        """Numbers of the other trials that have this level."""
        return [trial.number for trial, _ in self._groups.get(index, [])]

    def pick(self, draw: random.Random) -> int:
        """A random one of the best levels."""
        if len(self._groups) == self._levels.count:
            return draw.choice(self._best())
        while (index := draw.randrange(self._levels.count)) in self._groups:
            pass
        return index

    def accepts(self, index: int) -> bool:
        """Whether this level is one of the best."""
        if len(self._groups) < self._levels.count:
            return index not in self._groups
        return index in self._best()

    def _best(self) -> list[int]:
        """The levels with the fewest trials, of those with combinations left, or else of all."""
        roomy = [k for k, group in self._groups.items() if self._room(group, self._given) > 0]
        left = roomy or list(self._groups)
        fewest = min(len(self._groups[k]) for k in left)
        return sorted(k for k in left if len(self._groups[k]) == fewest)

    def _room(self, group: Sequence[_Known], given: set[str]) -> int:
        """A lower bound on the combinations without a trial below the ``given`` values."""
        # The next parameter is that which the newest trial, preferably a finished one, asked for.
        lead, _ = max(group, key=lambda each: (each[0].state.is_finished(), each[0].number))
        name = next((name for name in lead.distributions if name not in given), None)
        if name is None:
            return 0
        levels = levels_if_any(lead.distributions[name], self._thinned)
        if levels is None:  # asked for by an earlier version of the program
            return 1
        below, undecided = _grouped(group, name, levels)
        room = levels.count - len(below) - undecided
        return room + sum(self._room(each, {*given, name}) for each in below.values())


_Known = tuple[FrozenTrial, dict[str, Any]]  # a trial and what is known of its values


def _grouped(
    known: Sequence[_Known], name: str, levels: Levels
) -> tuple[dict[int, list[_Known]], int]:
    """Group the trials by their level of ``name``, and count running ones without a level yet."""
    groups: dict[int, list[_Known]] = {}
    undecided = 0
    for trial, values in known:
        if name in values:
            if (index := levels.index(values[name])) is not None:
                groups.setdefault(index, []).append((trial, values))
        elif not trial.state.is_finished():
            undecided += 1
    return groups, undecided
