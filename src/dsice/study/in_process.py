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
from dsice.launch.job import JobSpec, Kind, Outcome
from dsice.launch.output import numbers_in, shown
from dsice.study.call import metrics_of
from dsice.study.driver import Driver, Stop
from dsice.study.events import AttemptBegan
from dsice.study.facts import Status, Task, Trial

Call = Callable[[dict[str, Any]], Mapping[str, float] | float]
"""A function to tune: from the params to the metrics."""

_FLUSH: Final = 0.5  # seconds until events are flushed to the disk


class InProcess(Driver):
    """Runs one session of a study whose trials are calls of ``function``, one at a time.

    Jobs of an earlier session are followed to their end, as by any driver.

    Args:
        function: to call.
        arguments: those of `Driver`.
    """

    def __init__(self, function: Call, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._function = function
        self._waiting: deque[Trial] = deque()
        self._calling = False
        self._flush_at = time.monotonic()
        self._later = True

    def stop(self, how: Stop) -> None:
        """Request the driver to stop; aborts the call unless it may finish."""
        super().stop(how)
        if self._calling and how >= Stop.CANCEL:
            raise KeyboardInterrupt

    def _recover(self) -> None:
        for task in self.study.trials:
            # A call that the end of its process interrupted; a job would have a folder.
            if task.status is Status.RUNNING and not task.job.path.exists():
                self._conclude(task, None, JobState.LOST)
        super()._recover()

    def _begin_attempts(self, tasks: Sequence[Task]) -> list[JobSpec]:
        for task in tasks:
            self._record(AttemptBegan(**task.reference, attempt=len(task.attempts) + 1))
        return []

    def _submit(self, tasks: Sequence[Task], specs: Sequence[JobSpec]) -> None:
        for task in tasks:
            if not isinstance(task, Trial):
                raise InvalidInput("a stage is a program, and cannot be a call")
            self._running[task.job] = task
            self._submitted.add(task.job)
            self._watch.began(task)
            self._waiting.append(task)

    def _wait(self) -> None:
        if time.monotonic() >= self._flush_at:
            self._journal.flush()
            self._flush_at = time.monotonic() + _FLUSH
        if not self._waiting:
            super()._wait()  # jobs of an earlier session
            return
        self._see_to_stop()
        if self.stopping is Stop.CANCEL:
            while self._waiting:
                self._end_call(self._waiting.popleft(), _outcome(Kind.CANCELLED, "cancelled"))
            return
        trial = self._waiting.popleft()
        with self._journal.together(later=True):
            self._end_call(trial, self._called(trial))
        self._on_change(self.study)

    def _end_call(self, trial: Trial, outcome: Outcome) -> None:
        del self._running[trial.job]
        self._conclude(trial, outcome, JobState.ENDED)

    def _called(self, trial: Trial) -> Outcome:
        """The outcome of a call; an exception is its failure."""
        params = json.loads(json.dumps(trial.params, default=_plain))
        started = time.time()
        try:
            self._calling = True
            returned = self._function(params)
            self._calling = False
            data = metrics_of(returned, self._goal.metrics)
            metrics, others = numbers_in(json.loads(json.dumps(data, default=str)))
        except KeyboardInterrupt:
            if self.stopping is not Stop.CANCEL:
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
