"""Input files of a program, created from templates: ``[trial] files``.

A template is a text in the language of Jinja, ``rate = {{ rate }}``. All its variables must be
known: a misspelt name is an error, never an empty text. A separate process renders it,
`dsice.study.renderer`, in which it can neither run programs nor exceed the time limit.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, Final

from dsice.errors import InvalidInput

STAGE: Final = "stage."
"""Begins the names of the folders of stages; in a template they are the attributes of ``stage``."""

SECONDS: Final = 10
"""Most processor time of a template."""
MEMORY: Final = 1 << 30
"""Most bytes of memory of a template."""


def check_target(name: str) -> None:
    """Check that ``name`` is a path within the working directory of a program.

    Raises:
        InvalidInput: it is not.
    """
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or not name.isprintable():
        raise InvalidInput(f"{name!r}: give the name of a file in the program's own folder {{dir}}")


def check(path: Path, known: Sequence[str], root: Path | None = None) -> None:
    """Check a template without rendering it: its syntax and its variables.

    Args:
        path: of the template.
        known: the names that it may use, as the fields of a command.
        root: the folder that links must not leave; by default that of the template.

    Raises:
        InvalidInput: it is invalid; the message names file, line and what is accepted.
    """
    _ask(path, root, known=list(known))


def render(path: Path, values: Mapping[str, Any], root: Path | None = None) -> str:
    """Render the template at ``path``.

    Args:
        path: of the template; included files are searched in its folder.
        values: by the names of the fields of a command.
        root: as for `check`.

    Raises:
        InvalidInput: it cannot be rendered; the message names file and line.
    """
    return _ask(path, root, values=dict(values))


def _ask(path: Path, root: Path | None, **more: Any) -> str:
    request = {"path": str(path), "root": str(root or path.parent), **more}
    line = json.dumps(request).encode() + b"\n"
    answer = _RENDERER.ask(line)
    if isinstance(answer, int) and answer != -signal.SIGXCPU:
        answer = _RENDERER.ask(line)  # retry: it was killed from outside
    if isinstance(answer, int):
        over = answer == -signal.SIGXCPU
        why = f"it takes more than {SECONDS} s" if over else f"its process was ended: {answer}"
        raise InvalidInput(f"{path}: {why}")
    found: dict[str, str] = json.loads(answer)
    if "error" in found:
        raise InvalidInput(found["error"])
    return found["text"]


class _Renderer:
    """The rendering process, started when needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, line: bytes) -> bytes | int:
        """Its answer to a request, or its exit code if it has ended."""
        with self._lock:
            if self._process is None:
                self._process = self._begun()
            process = self._process
            assert process.stdin is not None
            assert process.stdout is not None
            answer = b""
            with suppress(BrokenPipeError):
                process.stdin.write(line)
                process.stdin.flush()
                answer = process.stdout.readline()
            if answer.endswith(b"\n"):
                return answer
            self._process = None
            return _ended(process)

    def _begun(self) -> subprocess.Popen[bytes]:
        env = os.environ | {"PYTHONSAFEPATH": "1"}
        command = [sys.executable, "-m", "dsice.study.renderer", str(SECONDS), str(MEMORY)]
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the driver only
        )
        weakref.finalize(self, _ended, process)
        return process


def _ended(process: subprocess.Popen[bytes]) -> int:
    """End a process, and return its exit code."""
    with suppress(BrokenPipeError):
        process.communicate()
    return process.returncode


_RENDERER: Final = _Renderer()
