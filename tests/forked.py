"""The command line in processes that need not import it: half a second of each command saved.

A server that has imported what the commands need forks one process per command. Each is a real
one: its own memory, files, signals and exit code.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from io import FileIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What commands import when they need it.
PRELOADED = (
    *("jinja2", "msgspec", "numpy", "pydantic", "rich.progress", "scipy.linalg", "scipy.optimize"),
    *("scipy.stats", "dsice.cli", "dsice.exchange.learning", "dsice.explain.effects"),
    *("dsice.explain.show", "dsice.hooks", "dsice.launch.local", "dsice.repair"),
    *("dsice.report.html", "dsice.search.asynchronous", "dsice.search.random"),
    *("dsice.search.stopping", "dsice.search.tradeoff", "dsice.several.show"),
    *("dsice.simulate.answer", "dsice.study.preview", "dsice.study.run", "dsice.sweep.show"),
    "dsice.terminal",
)
_LONGEST = 1_000_000  # bytes of a request
_ANSWER = 16  # bytes of a number in an answer


class Forked:
    """Runs commands; as `subprocess.run` with ``capture_output`` and ``text``."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.forked", str(other.fileno())],
                cwd=ROOT,
                env={**environment, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
            )

    def close(self) -> None:
        """End the server, but not the commands that run."""
        self._socket.close()
        self._server.wait()

    def run(
        self,
        arguments: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        timeout: float,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``dsice ARGUMENTS...`` and return its exit code and output."""
        command = [sys.executable, "-m", "dsice.cli", *arguments]
        with (
            Path(os.devnull).open() as empty,
            tempfile.TemporaryFile("w+") as out,
            tempfile.TemporaryFile("w+") as err,
        ):
            files = [empty.fileno(), out.fileno(), err.fileno()]
            pid, answers = self._started(arguments, cwd, env, files)
            with answers:
                if select.select([answers], [], [], timeout)[0]:
                    code = int(answers.read(_ANSWER))
                else:
                    os.kill(pid, signal.SIGKILL)
                    code = None
            out.seek(0)
            err.seek(0)
            if code is None:
                raise subprocess.TimeoutExpired(command, timeout, out.read(), err.read())
            return subprocess.CompletedProcess(command, code, out.read(), err.read())

    def start(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> int:
        """Start ``dsice ARGUMENTS...`` without waiting for it, and return its process id."""
        with Path(os.devnull).open("r+") as nothing:
            pid, answers = self._started(arguments, cwd, env, [nothing.fileno()] * 3)
        answers.close()
        return pid

    def _started(
        self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], files: list[int]
    ) -> tuple[int, FileIO]:
        """The process id of a command with these standard files, and where its exit code comes."""
        told, tells = os.pipe()
        answers = FileIO(told)
        request = {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env)}
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], [*files, tells])
        finally:
            os.close(tells)
        return int(answers.read(_ANSWER)), answers


@cache
def _prepare_reports() -> None:
    """Compile the templates and bundle the JavaScript of reports: 1.3 s saved in each."""
    from dsice.report.html import vega
    from dsice.report.parts import environment

    for name in environment().list_templates(["html"]):
        environment().get_template(name)
    vega()
    gc.freeze()


def serve(number: int) -> None:
    """Fork a process for each request, until the other end is closed; returns in each of them."""
    gc.disable()  # leaves no holes in the memory that the processes share
    for name in PRELOADED:
        __import__(name)
    del sys.modules["dsice.cli"]  # each command runs it as its main module
    gc.freeze()  # at its end a process would visit, and so copy, each object: 0.2 s
    with socket.socket(fileno=number) as requests:
        while True:
            data, files, _, _ = socket.recv_fds(requests, _LONGEST, 4)
            if not data:
                sys.exit()
            request = json.loads(data)
            if "report" in request["arguments"]:
                _prepare_reports()
            if os.fork() == 0:
                break
            for file in files:
                os.close(file)
            with suppress(ChildProcessError):  # none is left
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
    # The parent of the command, which says its pid and its exit code.
    pid = os.fork()
    if pid:
        os.write(files[3], str(pid).encode().ljust(_ANSWER))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(BrokenPipeError):  # nobody waits for it
            os.write(files[3], str(status).encode().ljust(_ANSWER))
        os._exit(0)
    gc.enable()
    os.close(files[3])
    for target, file in enumerate(files[:3]):
        os.dup2(file, target)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = ["dsice", *request["arguments"]]


def leave(code: object) -> None:
    """End the process as the interpreter does, but without freeing each object: 0.07 s saved.

    Returns if there is more to do than that.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return
    if isinstance(code, int):
        os._exit(code)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
    sys.path[0] = str(Path.cwd())  # as of python -m
    random.seed()
    try:
        runpy.run_module("dsice.cli", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        leave(ended.code)
        raise
