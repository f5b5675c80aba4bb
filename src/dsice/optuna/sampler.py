"""The sampler that Optuna calls."""

from __future__ import annotations

import copy
import random
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.samplers._base import _process_constraints_after_trial
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from dsice.errors import InvalidInput
from dsice.grid import Grid, Point
from dsice.optuna.beliefs import Beliefs, check, require_known, weights_of
from dsice.optuna.claims import LOOKS, all_trials, claim, claimed, is_kept
from dsice.optuna.draws import Draws
from dsice.optuna.learned import LearnedSpace
from dsice.optuna.levels import MOST, Levels, levels_of
from dsice.optuna.pruner import reports_of
from dsice.optuna.record import Record
from dsice.optuna.reports import Reports
from dsice.optuna.space import Space, check_distributions
from dsice.optuna.trials import Earlier
from dsice.pace import require_quick
from dsice.search.base import at_least, positive

_FIXED: Final = "fixed_params"

_logger = optuna.logging.get_logger("optuna.samplers.dsice")


class DsiceSampler(BaseSampler):  # type: ignore[misc]  # Optuna is not read by the type checker
    """The search ``dsice`` as a sampler of Optuna.

    ``optuna.create_study(sampler=DsiceSampler())``. It supports one objective, minimised or
    maximised, on parameters that have levels: integers, choices, floats with a step. Choices that
    are ascending numbers are ordered, all others unordered. Constraints come from
    ``trial.set_constraint`` or a constraints function.

    No two trials get the same point while there are others, with any number of threads and
    processes and any storage. All trials of the study count as results, including those of other
    samplers: a value between levels counts for the nearest one. A failed trial is a failure of its
    point, which is not tried again unless it is enqueued. A pruned trial counts with the last value
    that it reported or, in a study with a `DsicePruner`, as ended early, with all that it reported.

    Conditional parameters, suggested at some values of others only, are searched together with the
    others: the sampler learns which ones go together, and points that differ only in parameters
    that are not suggested are equivalent. While the parameters of a study are unknown, its first
    trials are drawn evenly over the levels, as are parameters whose range keeps changing. The
    search takes over after the first finished trial, or at once with ``search_space``.

    Args:
        search_space: the parameters, if known: Optuna's distributions by name, or a `dsice.Grid`
            with its rule and ratios. By default, they are learned from the finished trials.
        levels: number of levels of a range without steps or with more than a million: floats
            without ``step``, integers with ``log`` (at most), huge ranges. None: such floats and
            huge ranges are refused, and every integer of a range with ``log`` is a level.
        seed: of all random choices; with one trial at a time, the same seed and results give the
            same proposals. None: a random seed.
        tolerance: stop when no point is expected to improve the best one by more than this, in the
            objective's unit; None: never.
        exhausted: when nothing is left to propose, ``"stop"`` ends ``study.optimize`` and prunes
            trials that have already begun, at no cost; ``"repeat"`` measures the best points
            again, which also happens in either case under the ask-and-tell interface.
        constraints_func: as in Optuna's own samplers: maps a completed trial to numbers that are 0
            or less if it is feasible.
        learn_from: studies of related programs. Their finished trials, as of now, choose the first
            points and guide the search. Each value counts as the nearest level; trials without
            one of the parameters are left out.
        beliefs: of parameters by name, what is expected to be good: ``{"expect": 64}``, or weights
            of all levels in their order, ``[1, 2, 8]`` or ``{"weights": [1, 2, 8]}``. They guide
            the first trials and fade with results.

    Raises:
        InvalidInput: an invalid argument; later also a study with several objectives, or a
            parameter without levels.
    """

    def __init__(
        self,
        *,
        search_space: Mapping[str, BaseDistribution] | Grid | None = None,
        levels: int | None = None,
        seed: int | None = None,
        tolerance: float | None = None,
        exhausted: Literal["stop", "repeat"] = "stop",
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
        learn_from: Sequence[Study] = (),
        beliefs: Beliefs | None = None,
    ) -> None:
        if exhausted not in ("stop", "repeat"):
            raise InvalidInput(f"exhausted = {exhausted!r}: accepted are 'stop' and 'repeat'")
        self._levels = None if levels is None else _count(levels)
        self._seed = secrets.randbelow(2**31) if seed is None else at_least("seed", seed, 0)
        self._tolerance = None if tolerance is None else positive("tolerance", tolerance)
        self._exhausted = exhausted
        self._constraints_func = constraints_func
        self._earlier = [_earlier(study) for study in learn_from]
        self._beliefs = check({} if beliefs is None else beliefs)
        self._given: dict[str, BaseDistribution] | None = None
        self._grid: Space | None = None
        if isinstance(search_space, Grid):
            require_quick(search_space)
            self._grid = Space.of_grid(search_space)
            require_known(self._beliefs, self._grid)
        elif search_space is not None:
            self._given = check_distributions(search_space)
            require_known(self._beliefs, Space.of_distributions(self._given, self._levels))
        self._forget()

    def _forget(self) -> None:
        """Reset all state; it can be restored from a study."""
        self._lock = threading.RLock()
        self._of: tuple[Any, int] | None = None  # storage and study of the following state
        self._learned = LearnedSpace(self._levels)
        self._record: Record | None = None
        self._searched: Mapping[str, BaseDistribution] = {}  # the distributions of the record
        self._warned = False

    def __getstate__(self) -> dict[str, Any]:
        kept = (
            "_levels",
            "_seed",
            "_tolerance",
            "_exhausted",
            "_constraints_func",
            "_given",
            "_earlier",
            "_beliefs",
        )
        return {name: self.__dict__[name] for name in (*kept, "_grid")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    # -- what Optuna calls -------------------------------------------------------------------------

    def reseed_rng(self) -> None:
        """Do nothing: random choices depend on the trial's number, so no two trials share them."""

    def infer_relative_search_space(  # noqa: D102  (as the base)
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        _check_objective(study)
        with self._lock:
            self._attend(study)
            if self._grid is not None:
                return {}  # the grid does not determine how the user will ask for its values
            if self._given is not None:
                return {name: each for name, each in self._given.items() if not each.single()}
            self._learned.update(all_trials(study))
            return self._learned.distributions()

    def sample_relative(  # noqa: D102
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        _check_objective(study)
        with self._lock:
            self._attend(study)
            if self._grid is None and not search_space:
                return {}
            reports, known = reports_of(study), self._record
            if known is None or self._searched != search_space or known.reports != reports:
                self._searched = dict(search_space)
                self._record = self._new_record(study, search_space, reports)
            assert self._record is not None
            params = self._proposed(study, trial, self._record)
            # If the parameters asked for depend on values, each value is given when asked for.
            return params if self._grid is None and not self._record.space.branches else {}

    def _new_record(
        self, study: Study, searched: Mapping[str, BaseDistribution], reports: Reports | None
    ) -> Record:
        return Record(
            self._grid or Space.of_distributions(searched, self._levels),
            maximize=study.directions[0] == optuna.study.StudyDirection.MAXIMIZE,
            seed=self._seed,
            tolerance=self._tolerance,
            earlier=self._earlier,
            beliefs=self._beliefs,
            reports=reports,
        )

    def _record_anew(
        self, study: Study, trials: Sequence[FrozenTrial], reports: Reports
    ) -> Record | None:
        """As `DsicePruner` needs it: a record that knows nothing but these trials."""
        with self._lock:  # one at a time, as proposals: each takes all that a core has
            searched = self._given
            if searched is None and self._grid is None:
                learned = LearnedSpace(self._levels)
                learned.update(trials)
                searched = learned.distributions()
            searched = {n: each for n, each in (searched or {}).items() if not each.single()}
            if self._grid is None and not searched:
                return None
            record = self._new_record(study, searched, reports)
            record.update(trials, -1)
            return record

    def sample_independent(  # noqa: D102
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        _check_objective(study)
        with self._lock:
            if self._grid is not None and param_name in self._grid.levels:
                return self._of_grid(study, trial, param_name, param_distribution)
            chosen = claimed(study, trial)
            if param_name in chosen and _contains(param_distribution, chosen[param_name]):
                return chosen[param_name]
            levels = levels_of(param_name, param_distribution, self._levels)
            return self._drawn(study, trial, param_name, levels)

    def after_trial(  # noqa: D102
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        if self._constraints_func is not None:
            _process_constraints_after_trial(self._constraints_func, study, trial, state)
        with self._lock:
            record = self._record
            if self._exhausted == "repeat" or record is None or not record.is_used_up:
                return
            # This trial may have revealed further parameters.
            ended = copy.copy(trial)
            ended.state, ended.values = state, values
            trials = [ended if each.number == trial.number else each for each in all_trials(study)]
            record.update(trials, -1)
            waiting = any(each.state == TrialState.WAITING for each in trials)
            if record.whole and record.is_measured and not waiting:
                _stop(study)

    # -- points ------------------------------------------------------------------------------------

    def _attend(self, study: Study) -> None:
        """Reset the state if it belongs to another study."""
        if self._of != (study._storage, study._study_id):
            self._forget_study()
            self._of = (study._storage, study._study_id)

    def _forget_study(self) -> None:
        lock = self._lock
        self._forget()
        self._lock = lock

    def _proposed(self, study: Study, trial: FrozenTrial, record: Record) -> dict[str, Any]:
        """The values of a point that only this trial has; empty if there is no such point."""
        fixed = {
            name: value
            for name, value in trial.system_attrs.get(_FIXED, {}).items()
            if name in record.space.levels
        }
        draw = random.Random(f"{self._seed} {trial.number}")
        while True:
            trials = all_trials(study)
            record.update(trials, trial.number)
            point = record.complete(fixed, draw) if fixed else record.propose()
            if point is None:
                return self._without_new(study, trial, record, fixed)
            params = record.space.params(point)
            claim(study, trial, params)
            if is_kept(trial.number, partial(_holders, study, trial, record, point)):
                break
            claim(study, trial, {})
        return params

    def _without_new(
        self, study: Study, trial: FrozenTrial, record: Record, fixed: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Values for when every point has a trial, or none is worth one."""
        if self._grid is None and not (record.whole and record.is_settled):
            return {}  # other parameters differ, so these values may repeat
        if record.whole and not fixed and self._exhausted == "stop" and _stop(study):
            raise optuna.TrialPruned(f"{record.reason}: the study ends")
        point = record.again(fixed)
        if point is None:  # nothing is measured yet
            point = record.space.random(fixed, random.Random(f"{self._seed} {trial.number}"))
        elif record.whole and not self._warned:
            self._warned = True
            _logger.warning(f"DsiceSampler measures points again: {record.reason}.")
        params = record.space.params(point)
        claim(study, trial, params)
        return params

    # -- single parameters -------------------------------------------------------------------------

    def _of_grid(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        """The value of this trial's point on the user's grid."""
        assert self._grid is not None
        if not claimed(study, trial):
            self.sample_relative(study, trial, {})
        chosen = claimed(study, trial)
        if name in chosen:
            value = chosen[name]
        else:
            value = self._drawn(study, trial, name, self._grid.levels[name])
        if not _contains(distribution, value):
            raise InvalidInput(
                f"the parameter {name!r} has the level {value!r} in search_space, which is no "
                f"value of {distribution}"
            )
        return value

    def _drawn(self, study: Study, trial: FrozenTrial, name: str, levels: Levels) -> Any:
        """Draw a value with the fewest trials that agree with this one in all else so far."""
        draw = random.Random(f"{self._seed} {trial.number} {name}")
        before = claimed(study, trial)
        before.pop(name, None)
        if self._record is not None and self._record.space.branches and name in self._record.space:
            # Only values that were asked for count: others may have been claimed for another point.
            before = {known: value for known, value in before.items() if known in trial.params}
        while True:
            trials = all_trials(study)
            index = Draws(trials, trial.number, name, levels, self._levels).pick(draw)
            if len(trials) == 1:  # as the search begins
                if name in self._beliefs:
                    weights = weights_of(name, self._beliefs[name], levels)
                    index = weights.index(max(weights))
                elif levels.ordered:
                    index = levels.count // 2
            value = levels.value(index)
            claim(study, trial, {**before, name: value})
            for _ in range(LOOKS):
                found = Draws(all_trials(study), trial.number, name, levels, self._levels)
                if found.accepts(index):
                    return value
                if min(found.users(index), default=0) < trial.number:
                    break
            claim(study, trial, before)


def _count(levels: int) -> int:
    if at_least("levels", levels, 2) > MOST:
        raise InvalidInput(f"levels = {levels!r}: {MOST:,} at most")
    return levels


def _check_objective(study: Study) -> None:
    if len(study.directions) > 1:
        raise InvalidInput(
            f"DsiceSampler is for one objective, and the study has {len(study.directions)}: keep "
            "one direction and bound the other values with trial.set_constraint"
        )


def _earlier(study: Study) -> Earlier:
    if not isinstance(study, Study):
        raise InvalidInput(f"learn_from: {study!r} is no study of Optuna")
    ended = [trial for trial in study.get_trials() if trial.state.is_finished() and trial.params]
    return Earlier(study.study_name, ended)


def _holders(study: Study, trial: FrozenTrial, record: Record, point: Point) -> list[int]:
    """Numbers of the other trials that have ``point`` now."""
    return record.holders(point, all_trials(study), trial.number)


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except ValueError:
        return False


def _stop(study: Study) -> bool:
    """End ``study.optimize``; False if it is not running."""
    try:
        study.stop()
    except RuntimeError:
        return False
    return True
