"""Programs of the user's that are told what becomes of a study: ``[run] on_best``, ``on_end``, ...

They are run by the command that drives the study, one after another and beside it, never through a
shell. Whatever they do is harmless: they have a time limit, their output goes to a file, and a
failure is shown and changes nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from dsice.errors import DsiceError, Interrupted, OutOfTime
from dsice.files import open_private
from dsice.grid import Value
from dsice.launch.output import lines, log, shown
from dsice.launch.processes import search_path
from dsice.study import command
from dsice.study.config import StudyConfig
from dsice.study.facts import Trial
from dsice.study.run_table import HOOKS
from dsice.study.state import Study
from dsice.study.summary import as_json, trial_as_json
from dsice.terminal import metrics_line, params_line
from dsice.text import one_line

SECONDS: Final = 60.0
"""How long a hook may take."""
_LOG: Final = 1_000_000  # bytes of the log of hooks that are kept
_TAIL: Final = 4000  # bytes of its end that are searched for a failure
# What lines of the log begin with that say which hook is run, and that it failed.
_BEGAN: Final = "--- "
_FAILED: Final = "=== "


class Hooks:
    """Calls the hooks of a study while it is driven; a context around that.

    Args:
        config: the study.
        directory: of the study.
        complain: shows a line to the user.
        seconds: how long a hook may take.
        functions: functions to call in this process, by event, with the facts that programs read
            on their standard input.
    """

    def __init__(
        self,
        config: StudyConfig,
        directory: Path,
        complain: Callable[[str], None],
        seconds: float = SECONDS,
        functions: Mapping[str, Callable[[dict[str, Any]], object]] | None = None,
    ) -> None:
        self._functions = functions or {}
        self._config = config
        self._directory = directory.resolve()
        self._complain = complain
        self._seconds = seconds
        self._commands = {event: hook for event in HOOKS if (hook := getattr(config.run, event))}
        self._events = {*self._commands, *self._functions}  # somebody is told of
        self._study: Study | None = None
        self._seen = -1  # trials that have ended
        self._best: tuple[bool, float, float] | None = None
        self._trouble = ""
        self._waiting: deque[_Call] = deque()
        self._running: _Running | None = None

    def __enter__(self) -> Self:
        return self

    def beside(self, show: Callable[[Study], None]) -> Callable[[Study], None]:
        """``show``, with a look at what has happened to the study after it."""

        def shown_and_told(study: Study) -> None:
            show(study)
            self.look(study)

        return shown_and_told

    def look(self, study: Study) -> None:
        """See what has happened since; to be called often."""
        if not self._events:
            return
        begun, self._study = self._study is not None, study
        if len(study.finished) != self._seen:
            self._seen = len(study.finished)
            self._see_best(study, tell=begun)
        if study.trouble != self._trouble:
            self._trouble = study.trouble
            if study.trouble:
                self._call("on_trouble", f"{study.config.name}: {study.trouble}")
        self._go_on()

    def _see_best(self, study: Study, tell: bool) -> None:
        goal = study.goal
        best = study.best_standing(goal)
        if best is None:
            return
        key, before = goal.key(best.counted.metrics), self._best
        self._best = key
        if tell and (before is None or key < before):
            trial = best.counted
            text = (
                f"{study.config.name}: the best so far is trial {trial.number}: "
                f"{metrics_line(trial.metrics, goal)} ({params_line(trial.params)})"
            )
            # Of several that wait to be told, only the last is the best.
            self._waiting = deque(each for each in self._waiting if each.event != "on_best")
            self._call("on_best", text, trial)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if (study := self._study) is None or not self._events:
            return
        if error is not None and not isinstance(error, DsiceError):
            self._end_running()
            return
        name = study.config.name
        if error is not None and not isinstance(error, Interrupted | OutOfTime):
            self._call("on_trouble", f"{name}: {_first_line(error)}")
        why = study.sessions[-1].why if study.sessions else ""
        self._call("on_end", f"{name} has ended: {why or _first_line(error)}")
        deadline = time.monotonic() + self._seconds
        try:
            while (self._running or self._waiting) and time.monotonic() < deadline:
                self._go_on()
                if self._running is not None:
                    self._running.wait(max(0.0, deadline - time.monotonic()))
                self._go_on()
        finally:
            self._end_running()

    def _call(self, event: str, text: str, trial: Trial | None = None) -> None:
        study = self._study
        if event not in self._events or study is None:
            return
        text = one_line(text)
        facts = as_json(study) | {"event": event, "text": text}
        if trial is not None:
            facts["trial"] = trial_as_json(trial)
        if event in self._functions:
            self._call_function(event, facts)
        if event not in self._commands:
            return
        values: dict[str, Value] = dict(trial.params) if trial else {}
        values |= {name: str(path) for name, path in self._config.paths.items()}
        values |= {
            "study": str(self._config.folder),
            "directory": str(self._directory),
            "name": self._config.name,
            "text": text,
        }
        if trial is not None:
            values |= {
                "trial": trial.number,
                "value": trial.metrics[study.goal.metric],
                "dir": str(trial.folder.work),
                "params": str(trial.folder.params),
            }
        given = command.with_flags(values, self._config.flags)
        arguments = command.filled(self._commands[event], given)
        self._waiting.append(_Call(event, arguments, facts))

    def _call_function(self, event: str, facts: dict[str, Any]) -> None:
        try:
            self._functions[event](facts)
        except Exception as error:  # the user's own
            said = traceback.format_exception_only(error)[-1].strip()
            self._complain(one_line(f"hook {event}: {shown(said)}"))

    def _go_on(self) -> None:
        """See to the hook that runs, and begin the next one."""
        if (running := self._running) is not None:
            if (failure := running.failure(self._seconds)) is None:
                return
            self._running = None
            if failure:
                self._tell(f"{running.event}: {failure}")
        if self._waiting:
            call = self._waiting.popleft()
            try:
                self._running = _Running(call, self._directory)
            except (OSError, ValueError) as error:
                what = getattr(error, "strerror", None) or error
                self._tell(f"{call.event}: cannot start {call.arguments[0]!r}: {what}")

    def _tell(self, what: str) -> None:
        path = _log_of(self._directory)
        self._complain(one_line(f"hook {what}; its output is in {path}"))
        with suppress(OSError), open(path, "ab", opener=open_private) as file:
            file.write(f"{_FAILED}{_now()} {one_line(what)}\n".encode())

    def _end_running(self) -> None:
        if (running := self._running) is not None:
            failure = running.failure(0.0)
            self._running = None
            if failure:
                self._tell(f"{running.event}: {failure}")
        if self._waiting:
            self._tell(f"{self._waiting[0].event}: not run, as there was no time left")


class _Call:
    """One hook that is to be run."""

    def __init__(self, event: str, arguments: list[str], facts: dict[str, Any]) -> None:
        self.event = event
        self.arguments = arguments
        self.facts = facts


class _Running:
    """A hook that runs."""

    def __init__(self, call: _Call, directory: Path) -> None:
        self.event = call.event
        with open(_log_of(directory), "ab", opener=open_private) as file, _file(call) as facts:
            if file.tell() > _LOG:
                file.truncate(0)
            file.write(f"{_BEGAN}{_now()} {call.event}: {shown(call.facts['text'])}\n".encode())
            file.flush()
            self._process = subprocess.Popen(
                call.arguments,
                cwd=directory,
                env=os.environ | {"PATH": search_path()},
                stdin=facts,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self._began = time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait until it ends, or for so long."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def failure(self, seconds: float) -> str | None:
        """How it failed, or nothing; None while it runs and has not run for so long yet."""
        code = self._process.poll()
        if code is None:
            if time.monotonic() - self._began < seconds:
                return None
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            return "it took too long and was ended"
        if code < 0:
            return f"killed by signal {-code}"
        return f"exit code {code}" if code else ""


def failure_of_last(directory: Path) -> str:
    """When and how the hook that ran last failed; empty if none did."""
    marks = [
        line for line in lines(log(_log_of(directory), _TAIL)) if line.startswith((_BEGAN, _FAILED))
    ]
    return marks[-1].removeprefix(_FAILED) if marks and marks[-1].startswith(_FAILED) else ""


def _log_of(directory: Path) -> Path:
    return directory / "hooks.log"


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


def _file(call: _Call) -> IO[bytes]:
    """A file, which has no name, of what a hook may read from its standard input."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever calls closes it
    file.write(json.dumps(call.facts, indent=1).encode())
    file.seek(0)
    return file


def _first_line(error: BaseException | None) -> str:
    return str(error).partition("\n")[0] if error is not None else ""
