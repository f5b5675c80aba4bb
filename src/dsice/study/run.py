"""Running a study: opening its directory, locking it, and handling signals."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from dsice.errors import DsiceError, Interrupted, InvalidInput
from dsice.files import read_regular, write_atomically
from dsice.launch.base import Launcher
from dsice.launch.slots import Slots
from dsice.signals import handled
from dsice.study import frozen, learned, share
from dsice.study.clock import SystemClock
from dsice.study.config import StudyConfig
from dsice.study.directory import StudyDirectory
from dsice.study.driver import Driver
from dsice.study.events import Changed
from dsice.study.function import Function, keep_function
from dsice.study.further import Further
from dsice.study.grown import Change
from dsice.study.in_process import Call
from dsice.study.journal import Journal
from dsice.study.learned import Learned
from dsice.study.lock import Held
from dsice.study.places import with_slots
from dsice.study.run_table import RunConfig
from dsice.study.share import Share
from dsice.study.spec import check_files
from dsice.study.state import Study
from dsice.study.stop import Stop
from dsice.study.task import Status
from dsice.study.unknown import require_known

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Session:
    """How one session of a study runs, besides what its study file says.

    Attributes:
        launcher: runs the jobs.
        on_change: called with the study regularly.
        on_stop: called from the signal handler when the user requests to stop.
        stop_after: seconds after which the session must end, or None.
        begin_with: how to stop, from the beginning of the session.
        further: trials for a range of bounds, instead of those of the budget.
        function: of a study from Python, stored in the directory.
        call: a function that each trial calls in this process, instead of starting a job.
        sources: reads the sources from which a new study learns.
    """

    launcher: Launcher
    on_change: Callable[[Study], None] = lambda study: None
    on_stop: Callable[[Stop, Study], None] = lambda stop, study: None
    stop_after: float | None = None
    begin_with: Stop = Stop.NO
    further: Further | None = None
    function: Function | None = None
    call: Call | None = None
    sources: Callable[[], Sequence[Learned]] = lambda: ()


def run_study(config: StudyConfig, directory: Path | str, session: Session) -> Study:
    """Begin or resume the study in ``directory``, and run it until it ends.

    While it runs, a first Ctrl-C lets running trials finish and a second one ends them. A third one
    exits at once, at any moment, and leaves the directory consistent. SIGTERM ends running trials,
    or leaves them to the batch system that runs them; if the terminal closes, they are left
    running. Signals abort any computation of the search.

    Args:
        config: the study, with the present budget.
        directory: created if missing.
        session: how it runs.

    Raises:
        InvalidInput: the directory holds something else, a program or path is missing, the rule
            allows no point, or requested GPUs or cores do not exist.
        OtherStudy: it holds another study.
        StudyLocked: another driver is running on it.
        StageFailed: a stage failed.
        OutOfTime: the session's time is over; the same call resumes the study.
        Interrupted: the user stopped it.
        DsiceError: a file cannot be written because the disk is full or write-protected.
    """
    place = StudyDirectory.at(directory)
    # A session that only ends jobs needs no slots, which may no longer exist.
    slots = None
    if session.begin_with is Stop.NO:
        config, slots = with_slots(config)
    check_files(Study(config, place))
    config.grid.require_allowed()
    try:
        make_directory(place, config.run.share)
        with place.lock.held() as held:
            config, change = _accepted(place, config, session)
            place.stop_file.unlink(missing_ok=True)  # for an earlier driver
            clock = SystemClock()
            with Journal(place.journal, clock.now, held) as journal:
                study = _opened(place, config, journal, change)
                return _driven(study, config.run, journal, session, slots, clock, held)
    except OSError as error:
        where = error.filename or place.path
        raise DsiceError(f"cannot use {where}: {error.strerror or error}") from error


def _accepted(
    place: StudyDirectory, config: StudyConfig, session: Session
) -> tuple[StudyConfig, Change | None]:
    """Freeze a new study in its directory, or accept a study file for the one that is there.

    Returns:
        What is to run, and how it differs from the study in the directory; None if it does not.
    """
    ended, change = 0, None
    begun = False
    if place.journal.exists():
        earlier = Study.open(place.path)
        done = [s.name for s in earlier.stages.values() if s.status is Status.DONE]
        config, change = frozen.accepted(earlier, config, done)
        require_known(earlier)
        ended = len(earlier.finished)
        begun = bool(earlier.sessions or earlier.trials)
        if begun:
            frozen.require_same_sources(earlier, config.learn_from)
    if session.function is not None:
        keep_function(place, session.function, ended)
    if not begun and (found := session.sources()):
        learned.freeze(place, found)
    if change is None:
        frozen.freeze(config, place)
    else:
        frozen.announce(config, place)
    return config, change


def _opened(
    place: StudyDirectory, config: StudyConfig, journal: Journal, change: Change | None
) -> Study:
    """The study so far, after recording how its file has changed."""
    study = Study(config, place).apply(journal.replay())
    if change is not None:
        event = Changed(fingerprints=change.fingerprints, what=list(change.what))
        study.apply([journal.append(event)])
        frozen.freeze(config, place)
    study.warning = journal.warning
    return study


def _driven(
    study: Study,
    budget: RunConfig,  # the study's own is still that of the session before
    journal: Journal,
    session: Session,
    slots: Slots | None,
    clock: SystemClock,
    held: Held,
) -> Study:
    """Run a session's driver until it ends."""

    def look(study: Study) -> None:
        held.beat()
        session.on_change(study)

    launcher = session.launcher
    driver = Driver(
        study,
        budget,
        journal,
        launcher,
        clock,
        on_change=look,
        asked_to_stop=lambda: _asked(study.directory),
        stop_after=session.stop_after,
        further=session.further,
        slots=slots,
        call=session.call,
    )
    driver.stop(session.begin_with)
    terminated = Stop.LEAVE if launcher.survives else Stop.CANCEL
    with _stopped_by_signals(driver, session.on_stop, terminated):
        return driver.run()


def end_what_runs(study: Study, launcher: Launcher) -> None:
    """End the jobs that a dead driver left running.

    Raises:
        StudyLocked: a driver is running after all.
    """
    with suppress(Interrupted):
        run_study(study.config, study.directory.path, Session(launcher, begin_with=Stop.CANCEL))


def ask_to_stop(place: StudyDirectory, how: Stop) -> None:
    """Request the driver of ``place`` to stop, on whatever machine it runs."""
    write_atomically(place.stop_file, how.name.lower() + "\n")


def _asked(place: StudyDirectory) -> Stop:
    try:
        return Stop[read_regular(place.stop_file, 1000).decode().strip().upper()]
    except (OSError, ValueError, KeyError):
        return Stop.NO


def make_directory(place: StudyDirectory, readers: Share | None) -> None:
    """Create the directory of a study, for its owner and ``readers``.

    Raises:
        InvalidInput: it holds something else, which is left unchanged, or cannot be created.
    """
    with suppress(OSError):  # the name is too long; mkdir reports it
        if place.journal.exists():
            share.widen(place.path, readers)
            return
    try:
        place.path.parent.mkdir(parents=True, exist_ok=True)
        place.path.mkdir(0o700, exist_ok=True)
        require_free(place)
        share.begin(place.path, readers)
    except OSError as error:
        raise InvalidInput(f"cannot use {place.path}: {error.strerror}") from None


def require_free(place: StudyDirectory) -> None:
    """Check that the folder of ``place`` holds at most the beginnings of a study.

    Raises:
        InvalidInput: it holds something else.
        OSError: it cannot be read.
    """
    # Tolerates files left by an interrupted start, including partial ones.
    kept = (
        place.learned,
        place.study_file,
        place.source_file,
        place.function,
        place.function_versions,
    )
    own = ("lock", "stop", *(path.name for path in kept))
    halves = tuple(f".{name}." for name in own)
    for name in sorted(entry.name for entry in place.path.iterdir()):
        if name not in own and not name.startswith(halves):
            raise InvalidInput(
                f"{place.path} is not empty and holds no study (it has {name!r}): "
                "choose another directory"
            )


@contextmanager
def _stopped_by_signals(
    driver: Driver, on_stop: Callable[[Stop, Study], None], terminated: Stop
) -> Iterator[None]:
    """Stop the driver on signals in an orderly way; on SIGTERM as ``terminated`` says."""

    def handle(number: int, frame: FrameType | None) -> None:
        if driver.stopping >= Stop.CANCEL:
            raise KeyboardInterrupt
        if number == signal.SIGINT:
            driver.stop(Stop.DRAIN if driver.stopping is Stop.NO else Stop.CANCEL)
        else:  # after SIGHUP, there is nobody to inform
            driver.stop(terminated if number == signal.SIGTERM else Stop.LEAVE)
        on_stop(driver.stopping, driver.study)
        if driver.computing:
            raise KeyboardInterrupt

    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    with handled(handle, *(n for n in _SIGNALS if not (nohup and n == signal.SIGHUP))):
        yield
