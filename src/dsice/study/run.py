"""Running a study: open its directory, be its one driver, see to signals."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from dsice.errors import DsiceError, InvalidInput
from dsice.launch.base import Launcher
from dsice.study import config as study_config
from dsice.study.clock import SystemClock
from dsice.study.config import StudyConfig
from dsice.study.directory import StudyDirectory, write_atomically
from dsice.study.driver import Driver, Stop
from dsice.study.journal import Journal
from dsice.study.spec import check_programs
from dsice.study.state import Status, Study


def run_study(
    config: StudyConfig,
    directory: Path | str,
    launcher: Launcher,
    on_change: Callable[[Study], None] = lambda study: None,
    on_stop: Callable[[Stop, Study], None] = lambda stop, study: None,
    function: bytes | None = None,
) -> Study:
    """Begin the study in ``directory``, or go on with it, until it ends.

    While it runs, a first Ctrl-C lets running trials end and a second ends them (SIGTERM ends them
    at once). A third one leaves at once, whatever is going on: the directory bears that.

    Args:
        config: the study, with the budget that holds now.
        directory: made if missing.
        launcher: runs the jobs.
        on_change: called with the study now and then.
        on_stop: called from the signal handler when the user asks to stop.
        function: the pickled function of a study from Python, kept in the directory.

    Raises:
        InvalidInput: the directory holds something else, or a program is missing.
        OtherStudy: it holds another study.
        StudyLocked: another driver is at work on it.
        StageFailed: a stage failed.
        Interrupted: the user stopped it.
        DsiceError: a file cannot be written, the disk being full or write-protected.
    """
    place = StudyDirectory.at(directory)
    check_programs(Study(config, place))
    try:
        _make_directory(place)
        return _run_in(place, config, launcher, on_change, on_stop, function)
    except OSError as error:
        where = error.filename or place.path
        raise DsiceError(f"cannot use {where}: {error.strerror or error}") from error


def _run_in(
    place: StudyDirectory,
    config: StudyConfig,
    launcher: Launcher,
    on_change: Callable[[Study], None],
    on_stop: Callable[[Stop, Study], None],
    function: bytes | None,
) -> Study:
    with place.locked():
        if place.journal.exists():
            earlier = Study.open(place.path)
            done = [s.name for s in earlier.stages.values() if s.status is Status.DONE]
            study_config.require_same(earlier.config, config, place.path, done)
        study_config.freeze(config, place)
        if function is not None:
            write_atomically(place.function, function)
        clock = SystemClock()
        with Journal(place.journal, clock.now) as journal:
            study = Study(config, place, warning=journal.warning).apply(journal.events)
            driver = Driver(study, config.run, journal, launcher, clock, on_change)
            with _stopped_by_signals(driver, on_stop):
                return driver.run()


def _make_directory(place: StudyDirectory) -> None:
    """Make the directory of a study.

    Raises:
        InvalidInput: it holds something else, which is left alone, or cannot be made.
    """
    with suppress(OSError):  # a name too long to be one; mkdir says so
        if place.journal.exists():
            return
    try:
        place.path.mkdir(parents=True, exist_ok=True)
        # What a beginning that was cut short may have left, half-written too, is no hindrance.
        own = ("lock", place.study_file.name, place.source_file.name, place.function.name)
        halves = tuple(f".{name}." for name in own)
        names = sorted(entry.name for entry in place.path.iterdir())
        foreign = [name for name in names if name not in own and not name.startswith(halves)]
    except OSError as error:
        raise InvalidInput(f"cannot use {place.path}: {error.strerror}") from None
    if foreign:
        raise InvalidInput(
            f"{place.path} is not empty and holds no study (it has {foreign[0]!r}): "
            "choose another directory"
        )


@contextmanager
def _stopped_by_signals(driver: Driver, on_stop: Callable[[Stop, Study], None]) -> Iterator[None]:
    """Within, SIGINT and SIGTERM stop the driver instead of breaking it."""

    def handle(number: int, frame: FrameType | None) -> None:
        if driver.stopping is Stop.CANCEL:
            raise KeyboardInterrupt
        again = number == signal.SIGTERM or driver.stopping is not Stop.NO
        driver.stop(Stop.CANCEL if again else Stop.DRAIN)
        on_stop(driver.stopping, driver.study)

    try:
        before = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever runs us sees to signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
