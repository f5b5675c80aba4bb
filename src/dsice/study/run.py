"""Running a study: opening its directory, locking it, and handling signals."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

from dsice.errors import DsiceError, Interrupted, InvalidInput
from dsice.files import read_regular, write_atomically
from dsice.launch.base import Launcher
from dsice.launch.slots import Slots
from dsice.study import frozen, learned, share
from dsice.study.clock import SystemClock
from dsice.study.config import StudyConfig
from dsice.study.directory import StudyDirectory
from dsice.study.driver import Driver
from dsice.study.events import Changed
from dsice.study.facts import Status
from dsice.study.function import Function, keep_function
from dsice.study.further import Further
from dsice.study.in_process import Call
from dsice.study.journal import Journal
from dsice.study.learned import Learned
from dsice.study.places import with_slots
from dsice.study.share import Share
from dsice.study.spec import check_files
from dsice.study.state import Study
from dsice.study.stop import Stop
from dsice.study.unknown import require_known

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_study(
    config: StudyConfig,
    directory: Path | str,
    launcher: Launcher,
    on_change: Callable[[Study], None] = lambda study: None,
    on_stop: Callable[[Stop, Study], None] = lambda stop, study: None,
    function: Function | None = None,
    stop_after: float | None = None,
    begin_with: Stop = Stop.NO,
    further: Further | None = None,
    call: Call | None = None,
    sources: Callable[[], Sequence[Learned]] = lambda: (),
) -> Study:
    """Begin or resume the study in ``directory``, and run it until it ends.

    While it runs, a first Ctrl-C lets running trials finish and a second one ends them. A third one
    exits at once, at any moment, and leaves the directory consistent. SIGTERM ends running trials,
    or leaves them to the batch system that runs them; if the terminal closes, they are left
    running. Signals abort any computation of the search.

    Args:
        config: the study, with the present budget.
        directory: created if missing.
        launcher: runs the jobs.
        on_change: called with the study regularly.
        on_stop: called from the signal handler when the user requests to stop.
        function: of a study from Python, stored in the directory.
        stop_after: seconds after which this session must end, or None.
        begin_with: how to stop, from the beginning of the session.
        further: trials for a range of bounds, instead of those of the budget.
        call: a function that each trial calls in this process, instead of starting a job.
        sources: reads the sources from which a new study learns.

    Raises:
        InvalidInput: the directory holds something else, a program or path is missing, the rule
            allows no point, or requested GPUs or cores do not exist.
        OtherStudy: it holds another study.
        StudyLocked: another driver is running on it.
        StageFailed: a stage failed.
        OutOfTime: ``stop_after`` is over; the same call resumes the study.
        Interrupted: the user stopped it.
        DsiceError: a file cannot be written because the disk is full or write-protected.
    """
    place = StudyDirectory.at(directory)
    # A session that only ends jobs needs no slots, which may no longer exist.
    slots = None
    if begin_with is Stop.NO:
        config, slots = with_slots(config)
    check_files(Study(config, place))
    config.grid.require_allowed()
    try:
        make_directory(place, config.run.share)
        return _run_in(
            place,
            config,
            launcher,
            on_change,
            on_stop,
            function,
            stop_after,
            begin_with,
            further,
            slots,
            call,
            sources,
        )
    except OSError as error:
        where = error.filename or place.path
        raise DsiceError(f"cannot use {where}: {error.strerror or error}") from error


def _run_in(
    place: StudyDirectory,
    config: StudyConfig,
    launcher: Launcher,
    on_change: Callable[[Study], None],
    on_stop: Callable[[Stop, Study], None],
    function: Function | None,
    stop_after: float | None,
    begin_with: Stop,
    further: Further | None,
    slots: Slots | None,
    call: Call | None,
    sources: Callable[[], Sequence[Learned]],
) -> Study:
    with place.lock.held() as held:
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
        if function is not None:
            keep_function(place, function, ended)
        if not begun and (found := sources()):
            learned.freeze(place, found)
        if change is None:
            frozen.freeze(config, place)
        else:
            frozen.announce(config, place)
        place.stop_file.unlink(missing_ok=True)  # for an earlier driver
        clock = SystemClock()

        def look(study: Study) -> None:
            held.beat()
            on_change(study)

        with Journal(place.journal, clock.now, held) as journal:
            study = Study(config, place).apply(journal.replay())
            if change is not None:
                event = Changed(fingerprints=change.fingerprints, what=list(change.what))
                study.apply([journal.append(event)])
                frozen.freeze(config, place)
            study.warning = journal.warning
            driver = Driver(
                study,
                config.run,
                journal,
                launcher,
                clock,
                look,
                lambda: _asked(place),
                stop_after,
                further,
                slots,
                call,
            )
            driver.stop(begin_with)
            terminated = Stop.LEAVE if launcher.survives else Stop.CANCEL
            with _stopped_by_signals(driver, on_stop, terminated):
                return driver.run()


def end_what_runs(study: Study, launcher: Launcher) -> None:
    """End the jobs that a dead driver left running.

    Raises:
        StudyLocked: a driver is running after all.
    """
    with suppress(Interrupted):
        run_study(study.config, study.directory.path, launcher, begin_with=Stop.CANCEL)


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

    try:
        nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        heard = [n for n in _SIGNALS if not (nohup and n == signal.SIGHUP)]
        before = {number: signal.signal(number, handle) for number in heard}
    except ValueError:  # not in the main thread: the caller handles signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
