"""PBS Pro and OpenPBS: qsub through submitit, qstat in JSON, qdel."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from dsice.launch.base import JobState
from dsice.launch.job import Kind
from dsice.launch.names import PBS, TITLES
from dsice.launch.scheduler import Entry, SchedulerError, ScriptScheduler
from dsice.launch.script import Form
from dsice.launch.settings import BatchSettings, PbsSettings
from dsice.launch.wave import Wave

_DECODER: Final = json.JSONDecoder(strict=False)  # names may have tabs
_RUNNING: Final = frozenset("RES")  # running, exiting, suspended
# Exit codes that PBS itself gives (its "Administrator's Guide", job exit codes), and SIGTERM's.
_CODES: Final[Mapping[int, tuple[Kind, str]]] = {
    -4: (Kind.NODE_FAILED, "its node failed"),
    -3: (Kind.NODE_FAILED, "its node could not start it"),
    -27: (Kind.OUT_OF_MEMORY, "killed for using more memory than its batch job has"),
    -29: (Kind.TIMEOUT, "not finished within the time limit of its batch job"),
    256 + 15: (Kind.REMOVED, "cancelled from outside, by qdel or an administrator"),
    256 + 9: (Kind.REMOVED, "killed from outside"),
}


_ACCEPTED: Final = re.compile(r"^\s*(\d+)\.\S+\s*$", re.MULTILINE)


class Pbs(ScriptScheduler):
    """PBS, queried with one qstat for all jobs."""

    SETTINGS = PbsSettings
    TITLE = TITLES[PBS]
    SUBMIT = "qsub"
    CANCEL = ("qdel",)
    OUTER = "PBS_"
    FORM = Form(("qsub",), "#PBS", "PBS_JOBID", _ACCEPTED)
    NAME_LENGTH = 15  # longer names only since version 2020
    TEMPORARY = (
        "cannot connect",
        "connection refused",
        "timed out",
        "timeout",
        "end of file",
        "would exceed",
        "limit on number of jobs",
        "limit exceeded",
        "please retry",
        "busy",
    )

    def directives(self, wave: Wave, settings: BatchSettings) -> list[str]:
        """The options of a job."""
        assert isinstance(settings, PbsSettings)
        chunk = {
            "ncpus": settings.cpus,
            "ngpus": settings.gpus or None,
            "mem": f"{settings.megabytes}mb" if settings.megabytes else None,
        }
        wanted = "".join(f":{key}={value}" for key, value in chunk.items() if value is not None)
        return [
            f"-N {wave.name}",
            f"-l select={settings.nodes or 1}{wanted}",
            f"-l walltime={settings.hours_minutes_seconds}",
            *([f"-q {settings.queue}"] if settings.queue else []),
            *([f"-A {settings.account}"] if settings.account else []),
            "-j oe",
            f"-o {wave.folder}/log.txt",
            "-r y",
        ]

    def queue(self) -> dict[str, Entry]:
        """All jobs that PBS lists."""
        return _jobs(self.ask("qstat", "-f", "-F", "json"))

    def ended(self, ids: Collection[str]) -> dict[str, Entry]:
        """The ends of jobs, as far as PBS keeps their history."""
        return _jobs(self.ask("qstat", "-x", "-f", "-F", "json", *sorted(ids)))


def _jobs(text: str) -> dict[str, Entry]:
    if not text.strip():
        return {}
    begin = re.search(r"^\s*\{", text, re.MULTILINE)  # after messages of the site
    try:
        answer, _ = _DECODER.raw_decode(text, begin.end() - 1 if begin else 0)
        jobs = answer.get("Jobs", {})
        return {batch_id.partition(".")[0]: _entry(facts) for batch_id, facts in jobs.items()}
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        what = f"PBS: the answer of qstat makes no sense: {error}"
        raise SchedulerError(what, temporary=True) from None


def _entry(facts: Mapping[str, Any]) -> Entry:
    name, state = str(facts.get("Job_Name", "")), facts["job_state"]
    if state not in ("F", "X"):
        return Entry(name, JobState.RUNNING if state in _RUNNING else JobState.QUEUED)
    code = int(facts.get("Exit_status", 0))
    lost = (Kind.LOST, f"its batch job ended with exit code {code}")
    kind, reason = (Kind.OK, "") if code == 0 else _CODES.get(code, lost)
    return Entry(name, JobState.ENDED, kind, reason)
