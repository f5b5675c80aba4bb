"""Fujitsu TCS: pjsub through submitit, pjstat, pjdel.

Facts after Fujitsu's "Job Operation Software End-user's Guide" and the user guides of Nagoya
("Flow") and Tokyo (Wisteria); columns are found by their headers, which differ among sites.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from dsice.launch.base import JobState
from dsice.launch.job import Kind
from dsice.launch.names import PJM, TITLES
from dsice.launch.output import lines
from dsice.launch.scheduler import Entry, SchedulerError, ScriptScheduler
from dsice.launch.script import Form
from dsice.launch.settings import BatchSettings, PjmSettings
from dsice.launch.wave import Wave

_RUNNING: Final = frozenset(
    ["RNP", "RUN", "RNE", "RNO", "SPP", "SPD", "RSM", "RUNNING", "SUSPENDED"]
)
_ENDED: Final = frozenset(["EXT", "CCL", "ERR", "RJT", "END", "CANCEL", "ERROR", "REJECT"])
_CANCELLED: Final = frozenset(["CCL", "CANCEL"])
# The "PJM code" of an ended job.
_CODES: Final[Mapping[str, tuple[Kind, str]]] = {
    "0": (Kind.OK, ""),
    "1": (Kind.REMOVED, "cancelled from outside, by pjdel or an administrator"),
    "11": (Kind.TIMEOUT, "not finished within the time limit of its batch job"),
    "12": (Kind.OUT_OF_MEMORY, "killed for using more memory than its batch job has"),
    "20": (Kind.NODE_FAILED, "its node went down"),
}
# Names of a column: that of --choose, and its headers at various sites.
_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "id": ("JOB_ID", "JID", "JOBID"),
    "name": ("JOB_NAME", "JNAM", "JOBNAME"),
    "state": ("ST", "STATUS", "STATE"),
    "code": ("PC",),
}


# Errors have been seen with exit code 0: only the text is reliable.
_ACCEPTED: Final = re.compile(r"\[INFO\] PJM 0000 pjsub Job (\d+)\b")


class Pjm(ScriptScheduler):
    """Fujitsu TCS, queried with one pjstat for unfinished jobs and one for ended jobs."""

    SETTINGS = PjmSettings
    TITLE = TITLES[PJM]
    SUBMIT = "pjsub"
    CANCEL = ("pjdel",)
    OUTER = "PJM_"
    FORM = Form(("pjsub",), "#PJM", "PJM_JOBID", _ACCEPTED)
    NAME_LENGTH = 63
    TEMPORARY = (
        "temporarily",
        "timed out",
        "timeout",
        "not respond",
        "communication",
        "connect",
        "upper limit of the number",
        "number of jobs",
        "too many",
        "busy",
        "stopped",
        "PJM 0090",
    )

    def directives(self, wave: Wave, settings: BatchSettings) -> list[str]:
        """The options of a job."""
        assert isinstance(settings, PjmSettings)
        # In the order of Flow's examples, with only the options that are given.
        options = {
            "rscunit": settings.unit,
            "rscgrp": settings.group,
            "node": settings.nodes,
            "gpu": settings.gpus or None,
            "vnode-core": settings.cpus,
            "node-mem": f"{settings.megabytes}Mi" if settings.megabytes else None,
            "elapse": settings.hours_minutes_seconds,
        }
        directives = [f"-L {key}={value}" for key, value in options.items() if value is not None]
        if settings.account:
            directives.append(f"-g {settings.account}")
        # The environment of the driver is not passed on (Flow has no -X), and need not be.
        return [*directives, f"-N {wave.name}", "-j", f"-o {wave.folder}/%j.log"]

    def queue(self) -> dict[str, Entry]:
        """All jobs of this user that have not ended."""
        return _table(self.ask("pjstat", "--choose", "jid,jnam,st"))

    def ended(self, ids: Collection[str]) -> dict[str, Entry]:
        """The ends of jobs, for as long as the site keeps them."""
        columns = "jid,jnam,st,ec,sn,pc"
        wanted = "jid=" + "+".join(sorted(ids))
        return _table(self.ask("pjstat", "-H", "-v", "--choose", columns, "--filter", wanted))


def _table(text: str) -> dict[str, Entry]:
    """The jobs in a table with headers."""
    if "[ERR.]" in text:
        raise SchedulerError(f"Fujitsu TCS says: {text.strip()}", temporary=True)
    rows = [line.split() for line in lines(text) if line.strip()]
    heads = next((line for line in rows if line[0].upper() in _COLUMNS["id"]), None)
    if heads is None and (not rows or not rows[0][0].isdigit()):
        return {}  # some sites print no header if there is no job
    place = {
        what: index
        for index, head in enumerate(heads or ())
        for what, names in _COLUMNS.items()
        if head.upper() in names
    }
    if not {"id", "state"} <= place.keys():
        what = "Fujitsu TCS: the table of pjstat has no header that is known"
        raise SchedulerError(what, temporary=True)
    entries = {}
    for line in rows:
        if len(line) == len(heads or ()) and line[place["id"]][:1].isdigit():
            code = line[place["code"]] if "code" in place else ""
            name = line[place["name"]] if "name" in place else ""
            entries[line[place["id"]]] = _entry(name, line[place["state"]].upper(), code)
    return entries


def _entry(name: str, state: str, code: str) -> Entry:
    if state not in _ENDED:
        return Entry(name, JobState.RUNNING if state in _RUNNING else JobState.QUEUED)
    kind, reason = _CODES.get(code, (Kind.LOST, f"its batch job ended with PJM code {code}"))
    if state in _CANCELLED and kind in (Kind.OK, Kind.LOST):
        kind, reason = _CODES["1"]
    return Entry(name, JobState.ENDED, kind, reason)
