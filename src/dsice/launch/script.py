"""submitit's executors, changed to run the submitting command and parse its answer ourselves."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from submitit.core.core import InfoWatcher, Job, PicklingExecutor
from submitit.core.job_environment import JobEnvironment

_ID: Final = "SUBMITIT_SCRIPT_JOB_ID"
# An id alone on a line, as printed by `sbatch --parsable`, `pjsub -z jid` and wrappers.
_BARE: Final = re.compile(r"^[^\S\n]*(\d+)(?:[;.]\S*)?[^\S\n]*$", re.MULTILINE)


class _NoWatcher(InfoWatcher):
    """Required by submitit to query job states, but not used: see `dsice.launch.scheduler`."""

    def _make_command(self) -> list[str] | None:
        return None

    def get_state(self, job_id: str, mode: str = "standard") -> str:
        return "UNKNOWN"

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        return {}


class ScriptJob(Job[Any]):
    """A submitted job, as submitit returns it."""

    watcher = _NoWatcher()


class Submitter(PicklingExecutor):
    """An executor that delegates running the command and resolving ambiguous answers.

    submitit waits for the command without a limit, and takes any "job 7" in its output for the id.

    Attributes:
        accepted: the answer to an accepted submission, with the job's id as its group.
        ask: runs a command and returns its output.
        look_up: finds the job's id if an answer has none, or several candidates.
    """

    accepted: re.Pattern[str]
    ask: Callable[[Sequence[str]], str]
    look_up: Callable[[str], str]

    @property
    def _submitit_command_str(self) -> str:
        python = shlex.quote(sys.executable)
        return f"{python} -u -m dsice.launch.task {shlex.quote(str(self.folder))}"

    def _submit_command(self, command: str) -> Job[Any]:
        script = self.folder / "script.sh"
        script.write_text(self._make_submission_file_text(command, ""))
        answer = self.ask(self._make_submission_command(script))
        job_id = self._get_job_id_from_submission_command(answer)
        job = self.job_class(folder=self.folder, job_id=job_id)
        script.rename(job.paths.submission_file)
        return job

    # Static in submitit, which calls it on the instance.
    def _get_job_id_from_submission_command(  # type: ignore[override]
        self, string: bytes | str
    ) -> str:
        answer = string if isinstance(string, str) else string.decode(errors="replace")
        for pattern in (self.accepted, _BARE):
            ids = set(pattern.findall(answer))
            if len(ids) == 1:
                return str(ids.pop())
            if ids:
                break
        return self.look_up(answer)


@dataclass(frozen=True, slots=True)
class Form:
    """How a batch system takes job scripts.

    Attributes:
        command: submits the script whose path is appended.
        prefix: the beginning of a directive's line.
        id: the variable that holds a job's id inside it. The part after a dot is the server's
            name, whose spelling varies.
        accepted: the answer to an accepted submission, with the job's id as its group.
    """

    command: tuple[str, ...]
    prefix: str
    id: str
    accepted: re.Pattern[str]


class ScriptExecutor(Submitter):
    """Writes a job script with directives in comments, and submits it.

    Args:
        folder: of submitit's files.
        form: of the script.
        directives: without their prefix.
        setup: lines of the script before the command.
    """

    job_class = ScriptJob

    def __init__(
        self, folder: Path, form: Form, directives: Sequence[str] = (), setup: Sequence[str] = ()
    ) -> None:
        super().__init__(folder)
        self.accepted = form.accepted
        self._form = form
        self._directives = tuple(directives)
        self._setup = tuple(setup)

    def _make_submission_file_text(self, command: str, uid: str) -> str:
        lines = [
            "#!/bin/bash",
            *(f"{self._form.prefix} {directive}" for directive in self._directives),
            f"export SUBMITIT_EXECUTOR={ScriptJobEnvironment.name()} "
            f'{_ID}="${{{self._form.id}%%.*}}"',
            *self._setup,
            command,
        ]
        return "\n".join(lines) + "\n"

    def _make_submission_command(self, submission_file_path: Path) -> list[str]:
        return [*self._form.command, str(submission_file_path)]

    def _num_tasks(self) -> int:
        return 1


class ScriptJobEnvironment(JobEnvironment):
    """The environment of a job, for submitit; registered as a plugin in pyproject.toml."""

    _env = {"job_id": _ID}  # noqa: RUF012

    # One process, whatever the number of nodes: the program starts others itself if needed.
    num_tasks = num_nodes = 1
    node = global_rank = local_rank = 0
