"""Processes that live on when the driver that started them ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Final

_MOST_HANDLES: Final = 500  # below usual limits on open files; further processes are polled


class Detached:
    """A process that continues when nobody follows it any more.

    Not `subprocess.Popen`, which warns if its object is deleted before its process ends.

    Attributes:
        handle: a process file descriptor to wait for its end, or -1.
    """

    def __init__(self, command: list[str], env: Mapping[str, str], log: int) -> None:
        self._ended = False
        self.handle = -1
        self._pid = os.posix_spawnp(
            command[0],
            command,
            env,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,  # unaffected by Ctrl-C and the end of the driver
        )
        if (handle := os.pidfd_open(self._pid)) < _MOST_HANDLES:
            self.handle = handle
        else:
            os.close(handle)

    def has_ended(self) -> bool:
        """Whether the process has ended."""
        if not self._ended:
            try:
                self._ended = os.waitpid(self._pid, os.WNOHANG)[0] != 0
            except ChildProcessError:
                self._ended = True
        return self._ended

    def terminate(self) -> None:
        """Tell the process to end."""
        if not self.has_ended():
            os.kill(self._pid, signal.SIGTERM)

    def __del__(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)
