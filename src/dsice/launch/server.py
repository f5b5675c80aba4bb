"""A process that starts the shims of local jobs by forking, which takes only milliseconds.

The driver starts one server, ``python -m dsice.launch.server``, sends it the folder of each job as
a line of JSON, and reads the process id of the job's shim. A shim notifies the driver, by a byte
in a pipe (the *bell*), when its outcome can be read. The server is stateless. It ends with its
driver; the shims continue, since each is in its own session. If the server is killed, the driver
starts another one and submits the job again: of two shims, the first to claim the job runs it.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import traceback
import weakref
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final

from dsice.files import open_private
from dsice.launch.job import JobFolder
from dsice.launch.shim import SAFE_PATH_ADDED, run_job

_STARTS: Final = 3  # maximum number of servers that are started for one job
_BELL: Final = 3  # the file descriptor to which shims write


class Server:
    """A server of this process, which the first job starts."""

    def __init__(self) -> None:
        self._end: weakref.finalize[..., Server] | None = None
        self._to = self._back = -1
        # Kept for later servers: the shims of earlier ones still write there.
        self._bell, self._ring = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        weakref.finalize(self, _close, self._bell, self._ring)

    def wait(self, seconds: float) -> None:
        """Wait until a shim has notified since the last call, or ``seconds`` have passed."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        if poll.poll(1000 * seconds):
            os.read(self._bell, 1 << 16)

    def start(self, job: JobFolder) -> int:
        """Start the shim of a job, and return its process id.

        Raises:
            OSError: a process cannot be started.
        """
        for _ in range(_STARTS):
            if self._end is None:
                self._begin()
            with suppress(OSError, ValueError):
                os.write(self._to, json.dumps(str(job.path)).encode() + b"\n")
                return int(_line(self._back))
            self.close()
        raise OSError("the process that starts jobs ends at once, again and again")

    def close(self) -> None:
        """End the server, if there is one; its shims continue."""
        if self._end is not None:
            self._end()
            self._end = None

    def _begin(self) -> None:
        env = dict(os.environ)
        if "PYTHONSAFEPATH" not in env:
            # Otherwise `python -m` would import a random.py of the user's folder.
            env |= {"PYTHONSAFEPATH": "1", SAFE_PATH_ADDED: "1"}
        own_in, self._to = os.pipe()
        self._back, own_out = os.pipe()
        # Not subprocess.Popen, which warns if its object is deleted before its process ends.
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "dsice.launch.server"],
            env,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, own_in, 0),
                (os.POSIX_SPAWN_DUP2, own_out, 1),
                (os.POSIX_SPAWN_DUP2, self._ring, _BELL),
            ],
            setsid=True,  # so that Ctrl-C or a closed terminal reaches the driver only
        )
        os.close(own_in)
        os.close(own_out)
        self._end = weakref.finalize(self, _end, pid, self._to, self._back)


def _close(*pipes: int) -> None:
    for pipe in pipes:
        os.close(pipe)


def _end(pid: int, *pipes: int) -> None:
    _close(*pipes)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _line(pipe: int) -> bytes:
    """The next line of a pipe; the rest if the other end has closed."""
    data = b""
    while not data.endswith(b"\n") and (more := os.read(pipe, 100)):
        data += more
    return data


def main() -> None:
    """Fork a shim for each job folder on standard input."""
    # Wait for them, so that their CPU time is included in that of the driver.
    signal.signal(signal.SIGCHLD, _bury)
    gc.freeze()  # existing objects are shared by all of them
    while text := _line(0):
        if pid := os.fork():
            with suppress(BrokenPipeError):  # the driver was killed: the next read ends the loop
                os.write(1, b"%d\n" % pid)
        else:
            _become_shim(json.loads(text))


def _bury(number: int, frame: FrameType | None) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _ring() -> None:
    with suppress(OSError):  # the driver has ended, or the pipe is full of notifications
        os.write(_BELL, b".")


def _become_shim(path: str) -> None:
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        # Messages of a shim that cannot begin go to the job's error output.
        log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        said = open_private(str(JobFolder(Path(path)).stderr), log)
        for source, target in ((nothing, 0), (nothing, 1), (said, 2)):
            os.dup2(source, target)
        os.close(nothing)
        os.close(said)
        run_job(path, _ring)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
