"""The command line in processes that need not import it: half a second of each command saved.

A server that has imported what the commands need forks one process per command. Each is a real
one: its own memory, files, signals and exit code.
"""

from __future__ import annotations

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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Not dsice.cli, which each command runs as its main module.
PRELOADED = (
    *("jinja2", "msgspec", "numpy", "pydantic", "rich.progress", "scipy.linalg", "scipy.optimize"),
    *("scipy.stats", "dsice.exchange.learning", "dsice.explain.effects", "dsice.launch.local"),
    *("dsice.repair", "dsice.report", "dsice.search", "dsice.several", "dsice.simulate"),
    *("dsice.study.preview", "dsice.study.run", "dsice.terminal"),
    *(f"dsice.commands.{name}" for name in ("best", "explain", "export", "import_", "report")),
    *(f"dsice.commands.{name}" for name in ("run", "simulate", "sweep")),
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


def serve(number: int) -> None:
    """Fork a process for each request, until the other end is closed; returns in each of them."""
    for name in PRELOADED:
        __import__(name)
    with socket.socket(fileno=number) as requests:
        while True:
            data, files, _, _ = socket.recv_fds(requests, _LONGEST, 4)
            if not data:
                sys.exit()
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
    os.close(files[3])
    for target, file in enumerate(files[:3]):
        os.dup2(file, target)
        os.close(file)
    request = json.loads(data)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = ["dsice", *request["arguments"]]


if __name__ == "__main__":
    serve(int(sys.argv[1]))
    sys.path[0] = str(Path.cwd())  # as of python -m
    random.seed()
    runpy.run_module("dsice.cli", run_name="__main__", alter_sys=True)
