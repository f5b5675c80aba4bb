"""The events of a study's journal; their form on disk is that of `dsice.study.codec`.

Format 1, of early development versions, has neither checksums nor sessions, and identifies points
by level indices. Such journals can be read; before the first event appended to one comes a `Header`
of the current format.
"""

from __future__ import annotations

import secrets
from enum import StrEnum
from typing import ClassVar, Final

from msgspec import UNSET, Raw, Struct, UnsetType, field

from dsice.grid import Point, Value
from dsice.launch.job import Kind
from dsice.version import __version__

FORMAT: Final = 2
"""The format that this version writes, and the newest that it reads."""


class Verdict(StrEnum):
    """What follows from the end of a job."""

    DONE = "done"
    """It measured what it should."""
    FAILED = "failed"
    """It failed for good."""
    AGAIN = "again"
    """It counts for nothing: another attempt follows."""
    STOPPED = "stopped"
    """It was ended early, as it led nowhere: it has neither measured nor failed."""


class Event(
    Struct,
    kw_only=True,
    tag_field="event",
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """The base class of events.

    Attributes:
        t: Unix time in seconds.
        session: the token of the session that wrote it; empty in format 1.
        after: in the first event of a session, the token of the session before; empty if there
            is none, and in journals of early development versions.
    """

    t: float = 0.0
    session: str = ""
    after: str = ""

    opens: ClassVar[bool] = False
    """Whether the event begins a session, which ends the one before it."""


class Header(Event, tag="study"):
    """The directory was created, or a journal of an older format continues in this one.

    Attributes:
        dsice: the version that wrote it.
        name: of the study.
        format: of the lines from here on.
        id: of the study, unique; its jobs and their outcomes repeat it. Empty in format 1.
        fingerprints: of the parts of its study file that must not change.
    """

    dsice: str
    name: str
    format: int = 1
    id: str = ""
    fingerprints: dict[str, str] = field(default_factory=dict)

    opens = True

    @classmethod
    def new(cls, name: str, fingerprints: dict[str, str]) -> Header:
        """Create the header for the events that this version writes."""
        new_id = secrets.token_hex(8)
        return cls(
            dsice=__version__, name=name, format=FORMAT, id=new_id, fingerprints=fingerprints
        )


class Changed(Event, tag="changed"):
    """Grid, rule or goal of the study changed.

    Attributes:
        fingerprints: as in `Header`, of the new study file.
        what: the changes, as sentences for people.
    """

    fingerprints: dict[str, str]
    what: list[str]

    opens = True


class SessionBegan(Event, tag="session"):
    """A driver began. The attributes are those of `dsice.study.state.Session`."""

    host: str
    pid: int
    parallel: int
    trials: int | None = None
    hours: float | None = None
    job_hours: float | None = None
    on: str = "local"
    per_job: int = 1

    opens = True


class SessionEnded(Event, tag="session_end"):
    """A driver ended in an orderly way; ``why`` is the reason in words."""

    why: str


class Known(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One known result; ``metrics`` is None if the measurement failed."""

    where: str
    metrics: dict[str, float] | None
    point: Point | None = None
    params: dict[str, Value] | None = None
    reason: str = ""


class Imported(Event, tag="prior"):
    """Known results were imported from ``source``.

    ``request`` is that of `Added`.
    """

    source: str
    results: list[Known]
    request: str = ""

    opens = True


class Proposed(Event, tag="trial"):
    """A point was proposed.

    Attributes:
        trial: its number, counted from 1.
        params: its parameter values by name, which identify it even if the grid changes.
        point: level indices; format 1 has them instead of ``params``.
        why: a `dsice.search.why.Why` as JSON.
    """

    trial: int
    params: dict[str, Value] | None = None
    point: Point | None = None
    why: Raw | UnsetType = UNSET


class Added(Proposed, tag="added"):
    """A user, not the search, wants a point measured: see `Proposed`.

    Attributes:
        request: the request that it fulfils, see `dsice.study.requests`.
    """

    request: str = ""

    opens = True


class AttemptBegan(Event, tag="attempt"):
    """A job of a trial or of a stage is about to be submitted.

    Attributes:
        attempt: its number, counted from 1.
        trial: the trial's number.
        stage: the stage's name.
        slot: the number of the slot that the trial occupies from now on.
        devices: names of the slot's GPUs.
    """

    attempt: int
    trial: int | None = None
    stage: str | None = None
    finalist: int | None = None
    slot: int | None = None
    devices: list[str] = field(default_factory=list)


class AttemptEnded(Event, tag="ended"):
    """A job ended; see `dsice.study.state.Attempt` and `dsice.launch.job.Outcome`."""

    attempt: int
    verdict: Verdict
    kind: Kind
    trial: int | None = None
    stage: str | None = None
    finalist: int | None = None
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    exit_code: int | None = None
    started: float = 0.0
    ended: float = 0.0
    host: str = ""


class Reported(Event, tag="reported"):
    """A running trial reported intermediate metrics.

    Attributes:
        trial: its number.
        step: its progress, in its own count.
        share: its progress as a share of its full length.
        metrics: the reported metrics of the goal.
    """

    trial: int
    step: float
    share: float
    metrics: dict[str, float]


class EndAsked(Event, tag="end_asked"):
    """A trial is about to be stopped early.

    Attributes:
        trial: its number.
        attempt: the running one.
        step: of its last report.
        full: its full length, in the same count.
        chance: its probability of becoming the best feasible one; None if too few others were as
            far to tell.
        rival: number of the trial to beat, or None.
    """

    trial: int
    attempt: int
    step: float
    full: float
    chance: float | None
    rival: int | None = None


class FinalistsChosen(Event, tag="finalists"):
    """These trials will be measured again at full length; best first."""

    trials: list[int]


class Voided(Event, tag="voided"):
    """Failures do not count: they were the fault of the machine or the study, not of their points.

    Attributes:
        attempts: for each, the number of its trial and of the attempt.
        why: in words.
        host: of all of them, if trials on other hosts did not fail in this way; else empty.
    """

    attempts: list[tuple[int, int]]
    why: str
    host: str = ""


class Retried(Event, tag="retried"):
    """A user wants trials to be measured again; their results do not count, running jobs are ended.

    Attributes:
        trials: their numbers.
        request: the request that it fulfils, see `dsice.study.requests`.
    """

    trials: list[int]
    request: str = ""

    opens = True


class Discarded(Event, tag="discarded"):
    """A user says that trials do not count; they are not measured again, running jobs are ended.

    Attributes:
        trials: their numbers.
        why: in words.
        request: the request that it fulfils, see `dsice.study.requests`.
    """

    trials: list[int]
    why: str
    request: str = ""

    opens = True


class SweepBegan(Event, tag="sweep"):
    """This session measures ``trials`` more points for a range of bounds."""

    sweep: int
    bound: str
    trials: int


class SweepEnded(Event, tag="swept"):
    """All trials of a sweep are measured."""

    sweep: int


class Trouble(Event, tag="trouble"):
    """Jobs cannot be started, for the reason in the text; empty: they can again."""

    text: str
