"""A submitit executor for batch systems whose jobs are scripts with directives in comments."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from submitit.core.core import InfoWatcher, Job, PicklingExecutor
from submitit.core.job_environment import JobEnvironment
from submitit.core.utils import FailedSubmissionError

_ID: Final = "SUBMITIT_SCRIPT_JOB_ID"


class _NoWatcher(InfoWatcher):
    """submitit's way to ask for a job's state, which is not used: see `dsice.launch.scheduler`."""

    def _make_command(self) -> list[str] | None:
        return None

    def get_state(self, job_id: str, mode: str = "standard") -> str:
        return "UNKNOWN"

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        return {}


class ScriptJob(Job[Any]):
    """A job that was submitted; what submitit hands back."""

    watcher = _NoWatcher()


class ScriptExecutor(PicklingExecutor):
    """Writes a job script and submits it.

    Attributes:
        COMMAND: what submits a script.
        PREFIX: how a line with a directive begins.
        ID: the variable that holds a job's id inside it. What follows a dot is the server's name,
            which is written in one way here and in another there.
        ACCEPTED: the answer to an accepted submission, with the job's id as its group.

    Args:
        folder: of submitit's files.
        directives: without their prefix.
        setup: lines of the script before the command.
    """

    COMMAND: ClassVar[str]
    PREFIX: ClassVar[str]
    ID: ClassVar[str]
    ACCEPTED: ClassVar[re.Pattern[str]]
    job_class = ScriptJob

    def __init__(self, folder: Path, directives: Sequence[str] = (), setup: Sequence[str] = ()):
        super().__init__(folder)
        self._directives = tuple(directives)
        self._setup = tuple(setup)

    @property
    def _submitit_command_str(self) -> str:
        python = shlex.quote(sys.executable)
        return f"{python} -u -m submitit.core._submit {shlex.quote(str(self.folder))}"

    def _make_submission_file_text(self, command: str, uid: str) -> str:
        lines = [
            "#!/bin/bash",
            *(f"{self.PREFIX} {directive}" for directive in self._directives),
            f'export SUBMITIT_EXECUTOR={ScriptJobEnvironment.name()} {_ID}="${{{self.ID}%%.*}}"',
            *self._setup,
            command,
        ]
        return "\n".join(lines) + "\n"

    def _make_submission_command(self, submission_file_path: Path) -> list[str]:
        return [self.COMMAND, str(submission_file_path)]

    def _num_tasks(self) -> int:
        return 1

    # Static in submitit, which calls it on the instance.
    def _get_job_id_from_submission_command(  # type: ignore[override]
        self, string: bytes | str
    ) -> str:
        text = string if isinstance(string, str) else string.decode(errors="replace")
        found = self.ACCEPTED.search(text)
        if found is None:
            raise FailedSubmissionError(text or "it answered nothing")
        return found[1]


class ScriptJobEnvironment(JobEnvironment):
    """What submitit must know inside a job; one of its plugins, see pyproject.toml."""

    _env = {"job_id": _ID}  # noqa: RUF012

    # One process, whatever the nodes: the program starts others itself if it wants to.
    num_tasks = num_nodes = 1
    node = global_rank = local_rank = 0
