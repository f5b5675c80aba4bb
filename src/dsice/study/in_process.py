"""Trials as calls in the driver's own process, for functions of milliseconds.

The journal is like that of any study, and so is resumption after a kill of the process. A call has
no job: no folder, no files, no separate process, no time limit. Its events are on the disk within
half a second; a crash of the whole machine may undo these, and their calls are repeated.
"""

from __future__ import annotations

import json
import socket
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from dsice.errors import InvalidInput
from dsice.files import make_folder, write_atomically
from dsice.launch.base import JobState
from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome
from dsice.launch.output import numbers_in, shown
from dsice.study.call import metrics_of
from dsice.study.events import AttemptBegan
from dsice.study.facts import Trial
from dsice.study.jobs import Jobs
from dsice.study.stop import Stop
from dsice.study.task import Status, Task

Call = Callable[[dict[str, Any]], Mapping[str, float] | float]
"""A function to tune: from the params to the metrics."""

_FLUSH: Final = 0.5  # seconds until events are flushed to the disk


class Calls(Jobs):
    """Runs trials as calls of ``function``, one at a time.

    Jobs of an earlier session are followed to their end.

    Args:
        function: to call.
        arguments: those of `Jobs`.
    """

    durable_first = False

    def __init__(self, function: Call, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._function = function
        self._waiting: deque[Trial] = deque()
        self._calling = False
        self._flush_at = time.monotonic()

    def interrupt(self, how: Stop) -> None:
        """Abort the call unless it may finish."""
        if self._calling and how >= Stop.CANCEL:
            raise KeyboardInterrupt

    def take_over(self) -> None:
        """Follow the jobs of a driver that was killed; its calls were interrupted."""
        for task in self._study.trials:
            if task.status is Status.RUNNING and not task.job.path.exists():  # a job has a folder
                self._conclude(task, None, JobState.LOST)
        super().take_over()

    def begin(self, tasks: Sequence[Task], each: int = 1) -> list[JobSpec]:
        """Record the next attempt of each task."""
        for task in tasks:
            self._record(AttemptBegan(**task.reference, attempt=len(task.attempts) + 1))
        return []

    def submit(self, tasks: Sequence[Task], specs: Sequence[JobSpec]) -> None:
        """Queue the newest attempt of each task."""
        for task in tasks:
            if not isinstance(task, Trial):
                raise InvalidInput("a stage is a program, and cannot be a call")
            self._follow(task)
            self._waiting.append(task)

    def flush(self) -> None:
        """Make sure that what happened is on the disk, at most every half second."""
        if time.monotonic() >= self._flush_at:
            super().flush()
            self._flush_at = time.monotonic() + _FLUSH

    def poll(self) -> tuple[bool, list[JobFolder]]:
        """Call the function for the next trial, and record its result."""
        if not self._waiting:
            return super().poll()  # jobs of an earlier session
        trial = self._waiting.popleft()
        with self._journal.together(later=True):
            self._end_call(trial, self._called(trial))
        return True, []

    def cancel(self, jobs: Sequence[JobFolder] | None = None) -> None:
        """End jobs, by default all that run; calls that wait are not made."""
        for trial in [t for t in self._waiting if jobs is None or t.job in jobs]:
            self._waiting.remove(trial)
            self._end_call(trial, _outcome(Kind.CANCELLED, "cancelled"))
        super().cancel(jobs)

    def _end_call(self, trial: Trial, outcome: Outcome) -> None:
        del self.running[trial.job]
        self._conclude(trial, outcome, JobState.ENDED)

    def _called(self, trial: Trial) -> Outcome:
        """The outcome of a call; an exception is its failure."""
        params = json.loads(json.dumps(trial.params, default=_plain))
        started = time.time()
        try:
            self._calling = True
            returned = self._function(params)
            self._calling = False
            data = metrics_of(returned, self._proposals.goal.metrics)
            metrics, others = numbers_in(json.loads(json.dumps(data, default=str)))
        except KeyboardInterrupt:
            if self._stopping() is not Stop.CANCEL:
                raise
            return _outcome(Kind.CANCELLED, "cancelled", started)
        except (Exception, SystemExit) as error:
            self._calling = False
            self._keep_words(trial, error)
            said = traceback.format_exception_only(error)[-1]
            return _outcome(Kind.EXIT, shown(said.strip()), started)
        finally:
            self._calling = False
        return replace(_outcome(Kind.OK, "", started), metrics=metrics, others=others, exit_code=0)

    def _keep_words(self, trial: Trial, error: BaseException) -> None:
        """Store the traceback of a call in the place of a job's error output."""
        with suppress(OSError):
            make_folder(trial.job.path)
            write_atomically(trial.job.stderr, "".join(traceback.format_exception(error)))


def _outcome(kind: Kind, reason: str, started: float = 0.0) -> Outcome:
    now = time.time()
    return Outcome(kind, reason, started=started or now, ended=now, host=socket.gethostname())


def _plain(value: Any) -> Any:
    """Convert NumPy's numbers, which are levels of some grids, to Python's."""
    return value.item()
