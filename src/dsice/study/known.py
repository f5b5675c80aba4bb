"""Adding known results to a study, which inform its search without being its trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dsice.errors import DsiceError, OtherStudy
from dsice.goal import Metrics
from dsice.grid import Grid, Point
from dsice.study import frozen
from dsice.study.clock import SystemClock
from dsice.study.config import StudyConfig
from dsice.study.directory import StudyDirectory
from dsice.study.events import FORMAT, Imported, Known
from dsice.study.journal import Journal
from dsice.study.run import make_directory
from dsice.study.state import Study
from dsice.study.task import Status


@dataclass(frozen=True, slots=True)
class Result:
    """A known result that fits a study.

    Attributes:
        point: level indices.
        metrics: at least those of the goal; None if it failed.
        reason: why it failed.
        where: its place in the source, such as ``line 12``.
    """

    point: Point
    metrics: Metrics | None
    reason: str
    where: str


def add_known(
    config: StudyConfig, directory: Path | str, results: Sequence[Result], source: str
) -> list[Result]:
    """Add known results to the study in ``directory``, which is begun if necessary.

    Results that the study has already, from its trials or other sources, are not added again: of
    equal results, it has afterwards as many as there are in ``results``, or more if it had
    more. All are added in one event, hence all or none.

    Args:
        config: the study.
        directory: created if missing.
        results: with points of its grid, and at least the metrics of its goal.
        source: their origin, in words.

    Returns:
        The new ones.

    Raises:
        InvalidInput: the directory holds something else.
        OtherStudy: it holds another study.
        StudyLocked: a driver is running on it.
        DsiceError: it cannot be written.
    """
    place = StudyDirectory.at(directory)
    try:
        make_directory(place, config.run.share)
        with place.lock.held() as held:
            if place.journal.exists():
                config, change = frozen.accepted(Study.open(place.path), config)
                if change is not None:
                    raise OtherStudy(
                        f"{place.path} does not have this yet: {'; '.join(change.what)}. "
                        "'dsice run' takes it up"
                    )
            else:
                frozen.freeze(config, place)
            with Journal(place.journal, SystemClock().now, held) as journal:
                study = Study(config, place).apply(journal.replay())
                new = unknown(study, results)
                if journal.format < FORMAT:
                    journal.append(frozen.header_of(study))
                if new:
                    entries = [_entry(each, config.grid) for each in new]
                    journal.append(Imported(source=source, results=entries))
    except OSError as error:
        where = error.filename or place.path
        raise DsiceError(f"cannot use {where}: {error.strerror or error}") from error
    return new


def unknown(study: Study, results: Iterable[Result]) -> list[Result]:
    """The ``results`` that a study does not have yet.

    Results are equal if the goal's metrics are equal: two files of one run may differ in others.
    """
    names = study.config.goal.metrics
    known: Counter[object] = Counter()
    for each, ended in study.history:
        if ended:
            metrics = each.metrics if each.status is Status.DONE else None
            known[_key(each.point, metrics, names)] += 1
    new = []
    for result in results:
        key = _key(result.point, result.metrics, names)
        if known[key]:
            known[key] -= 1
        else:
            new.append(result)
    return new


def _key(point: Point, metrics: Metrics | None, names: Iterable[str]) -> object:
    return point, None if metrics is None else tuple(metrics.get(name) for name in names)


def _entry(result: Result, grid: Grid) -> Known:
    metrics = None if result.metrics is None else dict(result.metrics)
    return Known(
        params=grid.params(result.point), where=result.where, metrics=metrics, reason=result.reason
    )
