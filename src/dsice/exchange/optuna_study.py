"""Studies of Optuna: a study written so that optuna-dashboard shows it, and any study read.

Bounds become constraints, which Optuna keeps as numbers that are 0 or less where they hold: under
``constraints:NAME`` since version 5, and in a list under ``constraints`` before, which is where
optuna-dashboard 0.21 still looks for them. Both are written. The dashboard's card "Best Trial"
heeds neither, so the study's note says which trial is best.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from dsice.errors import InvalidInput
from dsice.exchange.columns import Columns, facts, found_facts, is_settled, moment
from dsice.exchange.distributions import distribution_of, external
from dsice.exchange.optuna_storage import load_optuna, opened
from dsice.exchange.source import Row, RowState, Source, is_blank
from dsice.goal import Bound, Goal, Metrics
from dsice.incumbent import Standing
from dsice.study.config import StudyConfig
from dsice.study.curves import curves_of
from dsice.study.facts import Trial
from dsice.study.state import Study
from dsice.study.summary import metric_text, no_best_text, repeats_text
from dsice.study.task import Status
from dsice.terminal import standing_line
from dsice.units import setting
from dsice.version import __version__

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial, TrialState

_CONSTRAINTS: Final = "constraints"
_METRIC_NAMES: Final = "study:metric_names"
_NOTE: Final = "dashboard:note_str:"
_NOTE_VERSION: Final = "dashboard:note_ver"
_NOTE_PART: Final = 2045  # characters of a note that the dashboard keeps together
_OBJECTIVE: Final = "value"  # how a single objective without a name is called
_TOLD: Final = ("trial", "reason", "feasible", "seconds", "host")


def write(study: Study, place: str, name: str | None = None) -> str:
    """Write a study to a storage of Optuna; returns what was done, in words.

    An earlier export of the same directory is brought up to date: trials are added, and those that
    have ended since get their results.

    Args:
        study: to write.
        place: see `dsice.exchange.optuna_storage.opened`.
        name: of the study there, instead of its own.

    Raises:
        InvalidInput: the storage cannot be used, or holds another study of that name.
    """
    name = name or study.config.name
    with opened(place, writing=True) as storage:
        number, is_new = _study_number(storage, study, place, name)
        _describe(storage, number, study)
        writer = _Writer(study)
        fact = writer.columns.facts["trial"]
        there = {t.user_attrs.get(fact): t for t in storage.get_all_trials(number, deepcopy=False)}
        added = updated = void = 0
        for trial in study.trials:
            earlier = there.get(trial.number)
            if earlier is None:
                storage.create_new_trial(number, writer.frozen(trial))
                added += 1
            elif not earlier.state.is_finished():
                updated += _update(storage, earlier, writer, trial)
            elif earlier.state != writer.state(trial) or writer.differs(earlier, trial):
                void += 1  # in Optuna there is no way back
    what = f"{added} trials" if is_new else f"{added} more trials, {updated} brought up to date"
    if void:
        do = "does" if void == 1 else "do"
        what += f"; {void} that ended there {do} not count here any more: give --name NAME"
    return f"{place}, study {name!r}: {what}"


def _study_number(storage: BaseStorage, study: Study, place: str, name: str) -> tuple[int, bool]:
    """The number of the study in its storage, and whether it was made."""
    from optuna.exceptions import DuplicatedStudyError
    from optuna.study import StudyDirection

    senses = [StudyDirection[sense.upper()] for _, sense in study.goal.objectives]
    try:
        return storage.create_new_study(senses, name), True
    except DuplicatedStudyError:
        number = storage.get_study_id_from_name(name)
    told = storage.get_study_user_attrs(number)
    ours = told.get("directory") == str(study.directory.path)
    # An export that was cut short at its very beginning has left neither trials nor attributes.
    if not ours and (told or storage.get_n_trials(number)):
        raise InvalidInput(
            f"{place} holds another study {name!r}: give --name NAME to write beside it"
        )
    return number, False


def _describe(storage: BaseStorage, number: int, study: Study) -> None:
    goal = study.goal
    best = study.best_standing(goal)
    about: dict[str, Any] = {
        "directory": str(study.directory.path),
        "best": "none yet" if best is None else _best_line(goal, best),
        "goal": str(goal),
        "grid": {axis.name: list(axis.levels) for axis in study.config.grid.axes},
        "dsice": __version__,
    }
    for key, value in about.items():
        storage.set_study_user_attr(number, key, value)
    storage.set_study_system_attr(number, _METRIC_NAMES, [metric for metric, _ in goal.objectives])
    attrs = storage.get_study_system_attrs(number)
    note = _note(study, best)
    parts = [note[k : k + _NOTE_PART] for k in range(0, len(note), _NOTE_PART)]
    old = sum(key.startswith(_NOTE) for key in attrs)
    storage.set_study_system_attr(number, _NOTE_VERSION, int(attrs.get(_NOTE_VERSION, 0)) + 1)
    for k in range(max(len(parts), old)):
        storage.set_study_system_attr(number, f"{_NOTE}{k}", parts[k] if k < len(parts) else "")


def _best_line(goal: Goal, best: Standing[Trial]) -> str:
    number = best.counted.number
    return f"number {number - 1}: {standing_line(best, goal)} (trial {number} of dsice)"


def _note(study: Study, standing: Standing[Trial] | None) -> str:
    goal = study.goal
    lines = [f"# {study.config.name}", str(goal), ""]
    if standing is None:
        lines.append(no_best_text(study, goal))
    else:
        best, repeats = standing.counted, repeats_text(standing, goal.metric)
        lines += [f"**Best: trial {best.number}**, number {best.number - 1} here", ""]
        lines += ["| | |", "|---|---|"]
        found = {name: metric_text(name, best.metrics[name], goal) for name in goal.metrics}
        lines += [f"| {name} | **{text}** |" for name, text in found.items()]
        lines += [f"| | {goal.metric}: {repeats} |"] if repeats else []
        lines += [f"| {key} | {setting(value)} |" for key, value in best.params.items()]
    if goal.bounds:
        lines += ["", 'The card "Best Trial" of the dashboard may show one that breaks the bounds.']
    lines += ["", f"Written by dsice {__version__} from {study.directory.path}"]
    return "\n".join(lines)


class _Writer:
    """Makes Optuna's trials of a study's."""

    def __init__(self, study: Study) -> None:
        optuna = load_optuna()
        self.columns: Final = Columns.of(study)
        self._study: Final = study
        self._axes: Final = study.config.grid.axes
        self._made: Final = {axis.name: distribution_of(optuna, axis) for axis in self._axes}

    def state(self, trial: Trial) -> TrialState:
        """The state of a trial, as Optuna names it."""
        from optuna.trial import TrialState

        whole = self._study.goal.missing(trial.metrics) is None
        return {
            Status.WAITING: TrialState.WAITING,
            Status.RUNNING: TrialState.RUNNING,
            Status.DONE: TrialState.COMPLETE if whole else TrialState.FAIL,
            Status.FAILED: TrialState.FAIL,
            Status.STOPPED: TrialState.PRUNED,
            Status.DISCARDED: TrialState.FAIL,
        }[trial.status]

    def differs(self, there: FrozenTrial, trial: Trial) -> bool:
        """Whether a trial that is complete in a storage has other values: it was measured anew."""
        now = [trial.metrics.get(name) for name, _ in self._study.goal.objectives]
        return there.values is not None and list(there.values) != now

    def intermediate(self, trial: Trial) -> dict[int, float]:
        """What a trial reported of the objective, by whole steps; of several objectives nothing."""
        goal = self._study.goal
        curve = curves_of(trial).of.get(goal.metric) if len(goal.objectives) == 1 else None
        if curve is None:
            return {}
        if all(step.is_integer() for step in curve.steps):
            return dict(zip(map(int, curve.steps), curve.values, strict=True))
        return dict(enumerate(curve.values))

    def frozen(self, trial: Trial) -> FrozenTrial:
        """A trial as Optuna keeps it."""
        from optuna.trial import FrozenTrial, TrialState

        goal, state, given = self._study.goal, self.state(trial), trial.params
        params = {a.name: external(a, given[a.name]) for a in self._axes if a.name in given}
        done = state is TrialState.COMPLETE
        started, ended = _times(trial)
        return FrozenTrial(
            number=trial.number - 1,
            state=state,
            value=None,
            values=[trial.metrics[name] for name, _ in goal.objectives] if done else None,
            datetime_start=None if state is TrialState.WAITING else started,
            datetime_complete=ended if state.is_finished() else None,
            params=params,
            distributions={name: self._made[name] for name in params},
            user_attrs=self._told(trial),
            system_attrs=constraints(goal, trial.metrics) if done else {},
            intermediate_values=self.intermediate(trial),
            trial_id=-1,
        )

    def _told(self, trial: Trial) -> dict[str, Any]:
        known = facts(self._study, trial)
        told: dict[str, Any] = {self.columns.facts[fact]: known[fact] for fact in _TOLD}
        told |= {self.columns.metrics[name]: value for name, value in trial.metrics.items()}
        if trial.why is not None:
            told["dsice_role"] = trial.why.role.value
        return {key: value for key, value in told.items() if value is not None}


def _update(storage: BaseStorage, earlier: FrozenTrial, writer: _Writer, trial: Trial) -> bool:
    """Give a trial that had not ended its results; returns whether there was anything new."""
    number = earlier._trial_id
    new = writer.intermediate(trial).items() - earlier.intermediate_values.items()
    for step, value in sorted(new):
        storage.set_trial_intermediate_value(number, step, value)
    if writer.state(trial) == earlier.state:
        return bool(new)
    now = writer.frozen(trial)
    for key, value in now.user_attrs.items():
        storage.set_trial_user_attr(number, key, value)
    for key, value in now._system_attrs.items():
        storage.set_trial_system_attr(number, key, value)
    from optuna.trial import TrialState

    if now.state is not TrialState.WAITING:  # there is no way back to that
        storage.set_trial_state_values(number, now.state, now.values)
    return True


def constraints(goal: Goal, metrics: Metrics) -> dict[str, Any]:
    """What Optuna keeps of the bounds: see the top of this module; nothing if there are none."""
    if not goal.bounds or not is_settled(goal):
        return {}
    margins = {str(bound): _margin(bound, metrics[bound.metric]) for bound in goal.bounds}
    named = {f"{_CONSTRAINTS}:{name}": margin for name, margin in margins.items()}
    return {_CONSTRAINTS: list(margins.values()), **named}


def _margin(bound: Bound, value: float) -> float:
    """How far ``value`` is beyond the limit; 0 or less where the bound holds."""
    limit = bound.limit or 0.0
    over = value - limit if bound.relation.startswith("<") else limit - value
    return over or bound.excess(value)  # on the limit of a strict bound, a little more than 0


def _times(trial: Trial) -> tuple[datetime, datetime]:
    """When a trial began and ended, as far as is known, in the local time that Optuna uses."""
    last = trial.attempts[-1] if trial.attempts else None
    submitted = last.submitted if last is not None else 1.0
    started = (last.started if last is not None else 0.0) or submitted
    ended = max((last.ended if last is not None else 0.0) or started, started)
    both = [moment(time) for time in (started, ended)]
    begin, end = (each.astimezone().replace(tzinfo=None) for each in both if each is not None)
    return begin, end


def read(place: str, config: StudyConfig, name: str | None = None) -> Source:
    """Read a study of a storage.

    Args:
        place: see `dsice.exchange.optuna_storage.opened`.
        config: what it is read for.
        name: of the study there; needed if there are several.

    Raises:
        InvalidInput: the storage cannot be read, or has no such study.
    """
    with opened(place, writing=False) as storage:
        there = {each.study_name: each for each in storage.get_all_studies()}
        if not there:
            raise InvalidInput(f"{place} holds no study")
        if name is None and len(there) > 1:
            raise InvalidInput(f"{place} holds several studies: give --study {' or '.join(there)}")
        name = name or next(iter(there))
        if name not in there:
            raise InvalidInput(f"{place} holds no study {name!r}: there is {', '.join(there)}")
        study = there[name]
        names = study.system_attrs.get(_METRIC_NAMES) or _default_names(len(study.directions))
        trials = storage.get_all_trials(study._study_id, deepcopy=False)
        attributes = {key for trial in trials for key in trial.user_attrs}
        told = found_facts(attributes, config.grid.names, config.goal)
        rows = tuple(_row(trial, names, told.get("reason", "")) for trial in trials)
    single = len(study.directions) == 1 and names == [_OBJECTIVE]
    values = tuple(dict.fromkeys(key for row in rows for key in row.values))
    return Source(
        what=f"study {name!r} in {place}",
        names=values,
        rows=rows,
        params=frozenset(key for trial in trials for key in trial.params),
        objective=_OBJECTIVE if single and _OBJECTIVE in values else "",
        sense=study.directions[0].name.lower() if single else "",
        facts=told,
    )


def _default_names(count: int) -> list[str]:
    return [_OBJECTIVE] if count == 1 else [f"{_OBJECTIVE}_{k}" for k in range(count)]


def _row(trial: FrozenTrial, names: list[str], reason: str) -> Row:
    from optuna.trial import TrialState

    values: Mapping[str, object] = {
        **trial.user_attrs,
        **dict(zip(names, trial.values or [None] * len(names), strict=True)),
        **trial.params,
    }
    where = f"trial {trial.number}"
    if trial.state is TrialState.COMPLETE:
        return Row(where, values)
    if trial.state is TrialState.FAIL:
        why = trial.user_attrs.get(reason)
        return Row(where, values, RowState.FAILED, "" if is_blank(why) else str(why))
    pruned = trial.state is TrialState.PRUNED
    return Row(where, values, RowState.OPEN, "it was pruned" if pruned else "")
