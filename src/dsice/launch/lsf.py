"""IBM Spectrum LSF: bsub through submitit, bjobs, bkill.

Facts after IBM's "LSF command reference" (bsub, bjobs -o, bkill) and its list of reasons of
termination. Written without an LSF at hand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from dsice.launch.base import JobState
from dsice.launch.job import Kind
from dsice.launch.names import LSF, TITLES
from dsice.launch.output import lines
from dsice.launch.scheduler import Entry, SchedulerError, ScriptScheduler
from dsice.launch.script import Form
from dsice.launch.settings import BatchSettings, LsfSettings
from dsice.launch.wave import Wave

_FIELDS: Final = "jobid stat exit_code exit_reason job_name delimiter='|'"
_WAITING: Final = frozenset(["PEND", "WAIT"])
_HELD: Final = "PSUSP"
_ENDED: Final = frozenset(["DONE", "EXIT"])
# Beginnings of the reasons of termination.
_REASONS: Final[Mapping[str, tuple[Kind, str]]] = {
    "TERM_RUNLIMIT": (Kind.TIMEOUT, "not finished within the time limit of its batch job"),
    "TERM_MEMLIMIT": (Kind.OUT_OF_MEMORY, "killed for using more memory than its batch job has"),
    "TERM_SWAP": (Kind.OUT_OF_MEMORY, "killed for using more swap than its batch job has"),
    "TERM_PREEMPT": (Kind.PREEMPTED, "preempted by a job of higher priority"),
    "TERM_OWNER": (Kind.REMOVED, "cancelled from outside, by bkill"),
    "TERM_FORCE_OWNER": (Kind.REMOVED, "cancelled from outside, by bkill"),
    "TERM_ADMIN": (Kind.REMOVED, "cancelled from outside, by an administrator"),
    "TERM_FORCE_ADMIN": (Kind.REMOVED, "cancelled from outside, by an administrator"),
    "TERM_ZOMBIE": (Kind.NODE_FAILED, "its node could not be reached any more"),
    "TERM_UNKNOWN": (Kind.LOST, "its batch job was ended, LSF does not know why"),
}
_ACCEPTED: Final = re.compile(r"^Job <(\d+)> is submitted to ", re.MULTILINE)
_NO_JOBS: Final = re.compile(r"No (?:unfinished )?job found")


class Lsf(ScriptScheduler):
    """LSF, queried with one bjobs for all jobs, which shows ended ones for an hour."""

    SETTINGS = LsfSettings
    TITLE = TITLES[LSF]
    SUBMIT = "bsub"
    CANCEL = ("bkill",)
    OUTER = "LSB_"
    FORM = Form(("sh", "-c", 'exec bsub < "$0"'), "#BSUB", "LSB_JOBID", _ACCEPTED)
    NAME_LENGTH = 100
    TEMPORARY = (
        "lsf is down",
        "not responding",
        "timed out",
        "try later",
        "cannot connect",
        "communication",
        "job limit",
        "jobs in the queue",
        "too many",
    )

    def directives(self, wave: Wave, settings: BatchSettings) -> list[str]:
        """The options of a job."""
        assert isinstance(settings, LsfSettings)
        hours, minutes = divmod(settings.minutes, 60)
        cpus, nodes, memory = settings.cpus, settings.nodes, settings.megabytes
        count = (cpus or 1) * (nodes or 1)
        return [
            f"-J {wave.name}",
            f"-W {hours}:{minutes:02d}",
            *([f"-n {count}"] if cpus or nodes else []),
            *([f'-R "span[ptile={cpus or 1}]"'] if cpus or nodes else []),
            *([f'-gpu "num={settings.gpus}"'] if settings.gpus else []),
            *([f"-M {memory}MB", f'-R "rusage[mem={memory}MB]"'] if memory else []),
            *([f"-q {settings.queue}"] if settings.queue else []),
            *([f"-P {settings.account}"] if settings.account else []),
            f"-o {wave.folder}/log.txt",
            "-r",  # a job whose node failed runs again, with its id
        ]

    def queue(self) -> dict[str, Entry]:
        """All jobs of this user, including those that ended within the last hour."""
        try:
            text = self.ask("bjobs", "-a", "-noheader", "-o", _FIELDS)
        except SchedulerError as error:
            if _NO_JOBS.search(str(error)):
                return {}
            raise
        entries = {}
        for line in lines(text):
            # The name comes last, as only it may contain the separator.
            match line.split("|", 4):
                case [job, state, code, reason, name] if job.isdigit():
                    entries[job] = _entry(name, state, code, reason)
        return entries


def _entry(name: str, state: str, code: str, reason: str) -> Entry:
    if state == _HELD:
        return Entry(name, JobState.QUEUED, stuck="held (PSUSP)")
    if state not in _ENDED:
        return Entry(name, JobState.QUEUED if state in _WAITING else JobState.RUNNING)
    found = _REASONS.get(reason.partition(":")[0].strip())
    if found is not None:
        kind, words = found
    elif state == "DONE":
        kind, words = Kind.OK, ""
    else:
        kind, words = Kind.LOST, f"its batch job ended with exit code {code}"
    return Entry(name, JobState.ENDED, kind, words)
