"""Mapping the names of a source to the parameters and metrics of a study."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dsice.errors import InvalidInput
from dsice.exchange.columns import FACTS, found_metrics, found_params, has_param_prefix
from dsice.exchange.hidden import is_label
from dsice.exchange.source import Row, RowState, Source, is_blank, number
from dsice.exchange.tabular import interpreted
from dsice.exchange.wishes import Wishes, listed, names_in
from dsice.goal import Goal
from dsice.grid import Grid


@dataclass(frozen=True, slots=True)
class Legend:
    """Which values are read from which names.

    Attributes:
        source: with the states of its rows.
        params: for each parameter of the study, a name of the source or an expression in its names.
        metrics: the same for the metrics of the goal and those that the user named.
        others: further metrics, by name, with their names there.
        doubtful: names there that may be metrics or parameters: neither user nor format says.
    """

    source: Source
    params: Mapping[str, str]
    metrics: Mapping[str, str]
    others: Mapping[str, str]
    doubtful: tuple[str, ...]

    @classmethod
    def of(cls, source: Source, grid: Grid, goal: Goal, wishes: Wishes) -> Legend:
        """The legend of a source.

        Raises:
            InvalidInput: a wish names what is not there, the source has a parameter with several
                values that is unknown here, or its objective has another direction.
        """
        for name in wishes.params:
            if name not in grid.names:
                raise InvalidInput(
                    f"--param {name}: no such parameter; there are {', '.join(grid.names)}"
                )
        ignored = {_spelled(name, source) for name in wishes.ignored}
        seen = [name for name in source.names if name not in ignored]
        there = found_params(seen, grid.names)
        params = {name: name for name in grid.names} | there | dict(wishes.params)
        if source.is_table:
            source = interpreted(source, {**there, **wishes.params}, goal, ignored)
        used = _read_by(params.values(), seen)
        measured = _read_by(wishes.metrics.values(), seen)
        _refuse_other_params(source, used | measured | ignored)

        settled = {*used, *there.values(), *source.facts.values(), *(source.params or ())}
        found = found_metrics([name for name in seen if name not in settled], grid.names)
        metrics = {name: found.get(name, name) for name in goal.metrics} | dict(wishes.metrics)
        if source.objective and metrics[goal.metric] not in source.names:
            _check_sense(source, goal)
            metrics[goal.metric] = source.objective
        taken = {*metrics, *metrics.values()}
        further = {
            name: column
            for name, column in found.items()
            if name not in taken and column not in taken and not _is_label(column, source)
        }
        if clash := sorted(ignored & {*params.values(), *metrics.values()}):
            raise InvalidInput(f"--ignore {clash[0]}: the study itself reads {clash[0]!r}")
        candidates = [column for column in further.values() if column not in measured]
        doubtful = _doubtful(candidates, seen, source, params, metrics)
        ended = [row for row in source.rows if row.state is RowState.ENDED]
        others = {name: column for name, column in further.items() if _is_numeric(column, ended)}
        return cls(source, params, metrics, others, doubtful)


def _spelled(name: str, source: Source) -> str:
    """A name to be ignored as the source spells it."""
    alike = [each for each in source.names if each.casefold() == name.casefold()]
    if name in alike or len(alike) == 1:
        return name if name in alike else alike[0]
    raise InvalidInput(f"--ignore {name}: {source.what} has {listed(source.names)}")


def _read_by(texts: Iterable[str], names: Sequence[str]) -> set[str]:
    return {name for text in texts for name in names_in(text, names)}


def _refuse_other_params(source: Source, fine: Collection[str]) -> None:
    """Refuse parameters that the grid lacks: points that differ in them would be merged."""
    for name in sorted((source.params or frozenset()) - set(fine)):
        given = [row.values[name] for row in source.rows if name in row.values]
        if source.is_table:  # whose cells are empty where nothing was set
            given = [value for value in given if not is_blank(value)]
        count = len(set(map(str, given)))
        if count > 1:
            raise InvalidInput(
                f"{source.what} has a parameter {name!r} that this study has not, with {count} "
                f"values: add it to the grid, or give --ignore {name}, which takes them for the "
                "same"
            )


def _check_sense(source: Source, goal: Goal) -> None:
    sense = "minimize" if goal.maximize is None else "maximize"
    if source.sense and source.sense != sense:
        raise InvalidInput(
            f"{source.what} is to {source.sense} and this study to {sense} {goal.metric!r}: "
            f'give --metric {goal.metric}={source.objective}, or "{goal.metric}='
            f'-{source.objective}"'
        )


def _is_label(column: str, source: Source) -> bool:
    """Whether a column of a table only identifies rows; our own have no more of them."""
    if not source.is_table or _is_ours(source):
        return False
    return is_label(column, [row.values.get(column) for row in source.rows])


def _doubtful(
    candidates: Sequence[str],
    names: Sequence[str],
    source: Source,
    params: Mapping[str, str],
    metrics: Mapping[str, str],
) -> tuple[str, ...]:
    """Which of the ``candidates`` may be parameters as well as metrics."""
    prefixed = [has_param_prefix(text) for text in params.values() if text in names]
    if not source.is_table or (prefixed and all(prefixed)):
        return ()
    if _is_ours(source):  # parameters, then the metrics of the goal, then others
        first = min((names.index(text) for text in metrics.values() if text in names), default=0)
        return tuple(column for column in candidates if names.index(column) < first)
    return tuple(candidates)


def _is_ours(source: Source) -> bool:
    """Whether ``dsice export`` wrote it."""
    return source.facts.keys() >= set(FACTS)


def _is_numeric(column: str, rows: Sequence[Row]) -> bool:
    """Whether a column has numbers, and nothing else."""
    given = [value for row in rows if not is_blank(value := row.values.get(column))]
    return bool(given) and all(number(value) is not None for value in given)
