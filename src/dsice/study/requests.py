"""Users' requests to a study, with or without a running driver: one file per request.

A request is the desired event in a file in ``DIR/requests``. The holder of the study's lock
processes it: the running driver, or else the command that made the request. The event is written to
the journal with the name of its request, and then the file is deleted. A kill in between leaves a
file whose name is in the journal, so it is not processed again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from dsice.errors import DsiceError, InvalidInput, StudyLocked
from dsice.files import make_folder, read_regular, write_atomically
from dsice.grid import Params
from dsice.study import frozen
from dsice.study.clock import SystemClock
from dsice.study.codec import UnreadableLine, decode, encode
from dsice.study.directory import StudyDirectory
from dsice.study.events import FORMAT, Added, Discarded, Event, Imported, Known, Retried
from dsice.study.journal import Journal
from dsice.study.state import Study
from dsice.study.task import Status

Wish = Added | Discarded | Imported | Retried

PATIENCE: Final = 30.0
"""Seconds that `ask` waits for the driver at work; it may be computing."""

_LARGEST: Final = 1_000_000  # bytes of a request
_PAUSE: Final = 0.05  # seconds between two looks


def taken_up(study: Study, record: Callable[[Event], None]) -> bool:
    """Process all requests in a study's directory, oldest first.

    The study may have changed since a request was made: the part that is still possible is
    fulfilled.

    Args:
        study: its present state, which ``record`` updates.
        record: writes an event to the journal and folds it. The caller holds the study's lock.

    Returns:
        Whether anything has changed.
    """
    changed = False
    for path in _waiting(study.directory):
        wish = None if path.name in study.requests else _read(path)
        event = None if wish is None else _possible(study, wish)
        if event is not None:
            event.request = path.name
            record(event)
            changed = True
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return changed


def ask(place: StudyDirectory, wish: Wish) -> str:
    """Make a request, and wait until it is processed.

    Returns:
        Its name, which is in `dsice.study.state.Study.requests` once it is processed. A driver
        that is computing may take longer than the wait.

    Raises:
        DsiceError: the directory cannot be written.
    """
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
    path = place.requests / name
    try:
        make_folder(place.requests)
        write_atomically(path, encode(wish))
        deadline = time.monotonic() + PATIENCE
        while path.exists() and time.monotonic() < deadline:
            if not place.lock.is_held():
                with suppress(StudyLocked):  # a driver has just begun and will process it
                    _take_up_here(place)
            time.sleep(_PAUSE)
    except OSError as error:
        where = error.filename or place.path
        raise DsiceError(f"cannot use {where}: {error.strerror or error}") from error
    return name


def _take_up_here(place: StudyDirectory) -> None:
    with place.lock.held() as held, Journal(place.journal, SystemClock().now, held) as journal:
        study = Study(frozen.load_frozen(place), place).apply(journal.replay())

        def record(event: Event) -> None:
            if journal.format < FORMAT:
                study.apply([journal.append(frozen.header_of(study))])
            study.apply([journal.append(event)])

        taken_up(study, record)


def _waiting(place: StudyDirectory) -> Sequence[Path]:
    try:
        names = sorted(path.name for path in place.requests.iterdir())
    except OSError:  # there is none
        return ()
    return [place.requests / name for name in names if not name.startswith(".")]


def _read(path: Path) -> Wish | None:
    """Read the request in a file; None if it is invalid."""
    try:
        event, _ = decode(read_regular(path, _LARGEST).removesuffix(b"\n"))
    except (OSError, UnreadableLine):
        return None
    return event if isinstance(event, Added | Discarded | Imported | Retried) else None


def _possible(study: Study, wish: Wish) -> Wish | None:
    """The part of a request that is possible in the present state; None if nothing is."""
    match wish:
        case Retried() | Discarded():
            undo = isinstance(wish, Retried)
            fit = can_be_retried if undo else can_be_discarded
            known = [n for n in wish.trials if 0 < n <= len(study.trials)]
            wish.trials = [n for n in known if fit(study.trials[n - 1].status)]
            return wish if wish.trials else None
        case Added():
            wish.trial = len(study.trials) + 1
            if _fits(study, wish) and trial_at(study, wish.params or {}) is None:
                return wish
            return None
        case Imported():
            wish.results = [each for each in wish.results if _fits(study, each)]
            return wish if wish.results else None


def can_be_retried(status: Status) -> bool:
    """Whether a trial of this status can be measured again."""
    return status is not Status.WAITING


def can_be_discarded(status: Status) -> bool:
    """Whether a trial of this status can be discarded."""
    return status is not Status.DISCARDED


def trial_at(study: Study, params: Params) -> int | None:
    """The number of the first trial at a point or an equivalent point, or None."""
    same = study.config.grid.program
    program = same(study.config.grid.point(params))
    return next((t.number for t in study.trials if same(t.point) == program), None)


def _fits(study: Study, event: Added | Known) -> bool:
    """Whether the grid has the point of an event and allows it."""
    try:
        return study.config.grid.allows(study.point_of(event))
    except (InvalidInput, ValueError, KeyError, TypeError):
        return False
