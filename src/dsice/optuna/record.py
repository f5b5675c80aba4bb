"""Telling a search the trials of a study: each result once, each open trial as pending."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from optuna.trial import FrozenTrial, TrialState

from dsice.goal import Goal, Metrics
from dsice.grid import Point
from dsice.optuna.beliefs import Beliefs, for_search
from dsice.optuna.reports import Reports
from dsice.optuna.space import Space, asked_for
from dsice.optuna.trials import CLAIM, Earlier, constraints_of, reported, values_of
from dsice.search import make_search
from dsice.search.sources import Given

_DRAWS: Final = 200
_LISTED: Final = 100_000


class Record:
    """A search that is kept up to date with a study's trials.

    A completed trial is a result, and so is a pruned one, with the last value that it reported. A
    failed trial, or one without a finite value, is a failure. A constraint that a trial does not
    report counts as satisfied. With ``reports``, once the steps are known, intermediate values are
    told as reports, and a pruned trial that has reported counts as ended early.

    Attributes:
        space: the searched parameters and which of them go together, as far as known.
        whole: whether these are all parameters, as far as known.
        is_settled: whether the running trials have asked for the expected parameters.
    """

    def __init__(
        self,
        space: Space,
        *,
        maximize: bool,
        seed: int,
        tolerance: float | None = None,
        earlier: Sequence[Earlier] = (),
        beliefs: Beliefs | None = None,
        reports: Reports | None = None,
    ) -> None:
        self.space = space
        self._flat: Final = space
        self._asked: dict[
            int, tuple[list[int | None], bool]
        ] = {}  # levels, and whether all of them
        self._examples: set[int] = set()  # those that were used to learn the branches
        self._is_inside = True  # whether no completed trial asked for anything else
        self.whole = True
        self.is_settled = True
        self._maximize = maximize
        self._seed = seed
        self._tolerance = tolerance
        self._earlier = earlier
        self._beliefs: Beliefs = beliefs or {}
        self.reports: Final = reports
        self._steps: tuple[int, ...] | None = None
        self._constraints: tuple[str, ...] = ()
        self._restart()

    def _restart(self) -> None:
        bounds = [f"c{k} <= 0" for k in range(len(self._constraints))]
        options: dict[str, Any] = {}
        if self.reports is not None and self._steps is not None:
            options = {"steps": self._steps, "end_below": self.reports.end_below}
        senses = ("value", None) if self._maximize else (None, "value")
        self._search = make_search(
            "dsice",
            self.space.grid,
            Goal(maximize=senses[0], minimize=senses[1], subject_to=bounds),
            seed=self._seed,
            tolerance=self._tolerance,
            sources=[self._source(each) for each in self._earlier],
            beliefs=for_search(self._beliefs, self.space),
            **options,
        )
        self._told: set[int] = set()
        self._open: dict[int, Point] = {}  # points of the unfinished trials

    def _source(self, earlier: Earlier) -> Given:
        """An earlier study as a source: its trials at the nearest points of this space."""
        places = ((self.space.place(trial.params), trial) for trial in earlier.trials)
        results = [(point, self._metrics(trial)) for point, trial in places if point is not None]
        return self.space.grid, results, earlier.name

    def update(self, trials: Sequence[FrozenTrial], asking: int) -> None:
        """Tell the search what is new in the study's ``trials``; ``asking`` has no point yet."""
        new = [trial for trial in trials if trial.number not in self._told]
        if self.reports is not None and (steps := self.reports.steps(trials)) != self._steps:
            self._steps = steps
            self._restart()
            new = list(trials)
        names = {name for each in new if each.state.is_finished() for name in constraints_of(each)}
        if not names <= set(self._constraints):
            self._constraints = tuple(sorted({*self._constraints, *names}))
            self._restart()
            new = list(trials)
        if self._learn(new):
            self._restart()
            new = list(trials)
        self._tell(new, asking)
        program = self.space.grid.program
        held = set(map(program, self._open.values()))
        if any(program(point) not in held for point in self._search.pending):
            # A trial left its point; a search can forget only by starting again.
            self._restart()
            self._tell(trials, asking)

    def _learn(self, trials: Sequence[FrozenTrial]) -> bool:
        """Learn which parameters go together; return whether that differs from the expectation."""
        new = []
        for trial in trials:
            if trial.state.is_finished():
                indices = self._flat.indices(trial.params)
                names = zip(self._flat.levels, indices, strict=True)
                if trial.params and all(
                    (name in trial.params) == (k is not None) for name, k in names
                ):
                    self._asked[trial.number] = indices, trial.state == TrialState.COMPLETE
                    new.append(trial.number)
        odd = next(filter(self._is_unexpected, new), None)
        if odd is None:
            return False
        while odd is not None:
            self._examples.add(odd)
            examples = [self._asked[number][0] for number in sorted(self._examples)]
            self.space = self._flat.branched(examples)
            odd = next(filter(self._is_unexpected, self._asked), None)
        return True

    def _is_unexpected(self, number: int) -> bool:
        if number in self._examples:
            return False
        indices, is_all = self._asked[number]
        if self.space.expects(indices):
            return False
        expected = self.space.expected(indices)
        # A failed or pruned trial may have ended before it had asked for all.
        return is_all or expected is None or not asked_for(indices) < expected

    def _tell(self, trials: Sequence[FrozenTrial], asking: int) -> None:
        self._open = {}
        if self._steps is not None:
            self._name(trials, asking)
        for trial in trials:
            if not trial.state.is_finished():
                continue
            self._told.add(trial.number)
            if (point := self.space.place(values_of(trial))) is not None:
                self._report(trial, point)
                if self._is_ended_early(trial):
                    self._take_up(point)
                    self._search.end(point)
                else:
                    self._search.tell(point, self._metrics(trial))
            if trial.state == TrialState.COMPLETE:
                self._is_inside = self._is_inside and self._asks_for_these(trial)
        under_way = [trial for trial in trials if not trial.state.is_finished()]
        self.whole = self._is_inside and all(map(self._asks_for_these, under_way))
        self.is_settled = not self.space.branches or all(
            self._has_asked_for_all(trial) for trial in under_way if trial.number != asking
        )
        drawing = []  # trials that have drawn some of their values so far
        for trial in under_way:
            if trial.number != asking:
                values = values_of(trial)
                if (point := self.space.place(values)) is not None:
                    self._hold(trial.number, point)
                    self._report(trial, point)
                elif {*trial.params, *trial.system_attrs.get(CLAIM, {})} & set(self.space.levels):
                    drawing.append((trial.number, values))
        for number, values in drawing:
            if (room := next(filter(self.is_new, self._listed(values)), None)) is not None:
                self._hold(number, room)  # otherwise none might be left where it ends

    def _name(self, trials: Sequence[FrozenTrial], asking: int) -> None:
        """Have the search number points as trials are numbered: by that some run to their end."""
        for trial in trials:
            point = None if trial.number == asking else self.space.place(values_of(trial))
            if point is not None and not self._search.is_known(point):
                self._search.pend(point)

    def _asks_for_these(self, trial: FrozenTrial) -> bool:
        return all(
            name in self.space.levels or distribution.single()
            for name, distribution in trial.distributions.items()
        )

    def _has_asked_for_all(self, trial: FrozenTrial) -> bool:
        return self.space.expects(self.space.indices(trial.params))

    def _hold(self, number: int, point: Point) -> None:
        self._open[number] = point
        if not self._search.is_known(point) or self._has_ended(point):
            self._search.pend(point)

    def _report(self, trial: FrozenTrial, point: Point) -> None:
        if self._steps is not None:
            for done, value in reported(trial):
                self._search.report(point, done, {"value": value})

    def _is_ended_early(self, trial: FrozenTrial) -> bool:
        is_pruned = trial.state == TrialState.PRUNED
        return is_pruned and self._steps is not None and bool(trial.intermediate_values)

    def _take_up(self, point: Point) -> None:
        """Have ``point`` pending, though another trial has ended there."""
        if self._search.ledger.canonical(point) not in self._search.pending:
            self._search.pend(point)

    def _has_ended(self, point: Point) -> bool:
        ledger = self._search.ledger
        return ledger.canonical(point) in ledger.ended

    def judged(self, number: int) -> tuple[bool, float | None]:
        """Whether a pending trial should end now, and its chance of becoming the best, if known."""
        if number not in self._open:
            return False, None
        point = self._search.ledger.canonical(self._open[number])
        ends = point in self._search.ending(anew=True)
        return ends, self._search.chance(point)

    def _listed(self, params: Mapping[str, Any]) -> Iterator[Point]:
        """The first points with these values, in their order."""
        # A generator: a rule is evaluated for these levels only when the first one is needed.
        yield from itertools.islice(self.space.listed(params), _LISTED)

    def _metrics(self, trial: FrozenTrial) -> Metrics | None:
        value = None if trial.state == TrialState.FAIL else trial.value
        if value is None or not math.isfinite(value):
            return None
        found = constraints_of(trial)
        limits = {f"c{k}": found.get(name, 0.0) for k, name in enumerate(self._constraints)}
        return {"value": value, **limits}

    def propose(self) -> Point | None:
        """Propose a point that no trial has; None if none is worth measuring."""
        points = self._search.ask(1)
        return points[0] if points else None

    def complete(self, params: Mapping[str, Any], draw: random.Random) -> Point | None:
        """Draw a point with these values that no trial has; None if there is none."""
        grid = self.space.grid
        drawn = map(grid.canonical, grid.draws_within(self.space.free(params), _DRAWS, draw))
        return next(filter(self.is_new, itertools.chain(drawn, self._listed(params))), None)

    def is_new(self, point: Point) -> bool:
        """Whether ``point`` may be measured and no trial has it."""
        return self.space.grid.allows(point) and not self._search.is_known(point)

    def again(self, params: Mapping[str, Any]) -> Point | None:
        """The best of the least often measured points with these values; None without any."""
        history, grid, fixed = self._search.history, self.space.grid, self.space.indices(params)
        running = Counter(map(grid.program, self._open.values()))
        return min(
            (point for point in history if self.space.has(point, fixed) and grid.allows(point)),
            key=lambda point: (
                history.metrics(point) is None,
                history.weight(point) + running[grid.program(point)],
                history.key(point),
                point,
            ),
            default=None,
        )

    def holders(self, point: Point, trials: Sequence[FrozenTrial], asking: int) -> list[int]:
        """Numbers of other trials at points equivalent to ``point``, not yet told by `update`."""
        program = self.space.grid.program
        found = []
        for trial in trials:
            if trial.number != asking and trial.number not in self._told:
                place = self.space.place(values_of(trial))
                if place is not None and program(place) == program(point):
                    found.append(trial.number)
        return found

    @property
    def is_used_up(self) -> bool:
        """Whether every allowed point is measured or has a trial, if points can be counted."""
        pending = sum(point not in self._search.history for point in self._search.pending)
        return self._done() + pending == self.space.grid.counts().distinct

    @property
    def is_measured(self) -> bool:
        """Whether every allowed point is measured, or its trial has ended early."""
        return self._done() == self.space.grid.counts().distinct

    def _done(self) -> int:
        history = self._search.history
        return len(history) + sum(point not in history for point in self._search.ledger.ended)

    @property
    def reason(self) -> str:
        """Why nothing is proposed."""
        return self._search.reason or "every allowed point is measured or has a trial"
