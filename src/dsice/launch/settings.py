"""What a study file may say of batch systems, in tables such as ``[run.slurm]``."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from dsice.errors import InvalidInput
from dsice.launch.names import LSF, PBS, PJM, SLURM
from dsice.units import DURATION, seconds

_MARGIN: Final = 300.0  # seconds that a job gets beyond its program's own time limit
_BETWEEN: Final = 10.0  # seconds that each of several jobs gets to begin and end
_MEMORY: Final = re.compile(r"\s*(\d+)\s*([MG])i?B?(\s*x\s*attempt)?\s*")
_WORD: Final = re.compile(r"[A-Za-z0-9_.,:;=@%+/\[\]&|*-]+")


def _text(pattern: str) -> dict[str, Any]:
    """JSON Schema of text that matches ``pattern`` as a whole."""
    return {"type": "string", "pattern": f"^({pattern})$"}


def _one_line(text: str) -> str:
    """Refuse characters that could begin a new line of a job script."""
    if not text.isprintable() or not text.strip():
        raise ValueError("one line of printable characters is needed")
    return text


def _plain(text: str) -> str:
    """Refuse text that a directive of a job script could split into several words."""
    if _WORD.fullmatch(text) is None:
        raise ValueError("letters, digits and _.,:;=@%+/[]&|*- are accepted")
    return text


def _memory(text: str) -> str:
    if _MEMORY.fullmatch(text) is None:
        raise ValueError("write '16 GB' or '800 MB', or '8 GB x attempt'")
    return text


def duration_schema(*others: str) -> dict[str, Any]:
    """JSON Schema of a duration: seconds as a number, or text of this form or of ``others``."""
    forms = "|".join((DURATION.pattern, *others))
    return {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "string", "pattern": f"^({forms})$"},
        ]
    }


Duration = Annotated[float, BeforeValidator(seconds), WithJsonSchema(duration_schema())]
Word = Annotated[str, AfterValidator(_plain), WithJsonSchema(_text(_WORD.pattern))]
Line = Annotated[str, AfterValidator(_one_line)]
Lines = Annotated[tuple[Line, ...], Field(strict=False)]
Memory = Annotated[str, AfterValidator(_memory), WithJsonSchema(_text(_MEMORY.pattern))]


class Table(BaseModel):
    """A table of a study file: strict, immutable, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Resources(Table):
    """The resources of one job: also ``[trial.resources]`` and ``[stage.NAME.resources]``.

    Attributes:
        cpus: number of cores.
        gpus: number of accelerators on each node.
        memory: on each node, ``"16 GB"``; ``"8 GB x attempt"`` doubles it for a trial that ran out
            of memory once, triples it after twice, and so on; None: the system's default.
        time: time limit in seconds; None: the program's own plus five minutes.
        nodes: number of machines.
    """

    cpus: Annotated[int, Field(ge=1)] | None = None
    gpus: Annotated[int, Field(ge=0)] | None = None
    memory: Memory | None = None
    time: Duration | None = None
    nodes: Annotated[int, Field(ge=1)] | None = None

    def memory_after(self, exceeded: int) -> str | None:
        """The memory of the next attempt, in numbers, after so many that ran out of memory."""
        found = _MEMORY.fullmatch(self.memory or "")
        if found is None or not found[3]:
            return self.memory
        return f"{int(found[1]) * (1 + exceeded)} {found[2]}B"

    @property
    def megabytes(self) -> int | None:
        """The memory in MB."""
        found = _MEMORY.fullmatch(self.memory or "")
        return int(found[1]) * (1024 if found[2] == "G" else 1) if found else None


class BatchSettings(Resources):
    """Settings of all batch systems, which a job's own resources override.

    Attributes:
        account: the account that is charged for the jobs.
        modules: environment modules to load before the program, in this order.
        setup: lines of shell code in the job script before the program.
        directives: further options of a job, as on the submission's command line.
        submit_rate: maximum number of submissions per second.
        poll: minimum number of seconds between two queries to the scheduler.
        grace: seconds for which a shared file system may hide a new file from other machines.
        SYSTEM: the name of the batch system.
        AVOID: a directive that keeps jobs away from ``{host}``; empty if none is known.
    """

    SYSTEM: ClassVar[str]
    AVOID: ClassVar[str] = ""

    account: Word | None = None
    modules: Annotated[tuple[Word, ...], Field(strict=False)] = ()
    setup: Lines = ()
    directives: Lines = ()
    submit_rate: Annotated[float, Field(gt=0, le=1000)] = 5.0
    poll: Duration = 5.0
    grace: Duration = 15.0

    def of(self, own: dict[str, Any], timeout: float | None) -> Self:
        """The settings of one job.

        Args:
            own: its own resources, by name.
            timeout: its program's time limit in seconds, or None.

        Raises:
            InvalidInput: the job has no time limit, or the scheduler would end it before its
                program's own.
        """
        settings = type(self).model_validate(self.model_dump() | own)
        if settings.time is None:
            if timeout is None:
                raise InvalidInput(
                    f"{self.SYSTEM} must know how long a job may take: give 'time' in "
                    f"[run.{self.SYSTEM}], or 'timeout' of the program"
                )
            settings = settings.model_copy(update={"time": timeout + _MARGIN})
        elif timeout is not None and timeout > settings.time:
            raise InvalidInput(
                f"the program's timeout of {timeout:g} s is longer than its job's 'time' of "
                f"{settings.time:g} s in [run.{self.SYSTEM}]"
            )
        return settings

    def of_several(self, limits: Sequence[float]) -> Self:
        """The settings of a batch job that runs several jobs with these one after another.

        Args:
            limits: the time limit of each, in seconds.
        """
        return self.model_copy(update={"time": sum(limits) + _BETWEEN * len(limits) + _MARGIN})

    @property
    def gpu_count(self) -> int:
        """The number of accelerators of a whole job."""
        return (self.gpus or 0) * (self.nodes or 1)

    @property
    def minutes(self) -> int:
        """The time limit in whole minutes, rounded up."""
        return math.ceil((self.time or 0.0) / 60)

    @property
    def hours_minutes_seconds(self) -> str:
        """The time limit in the format of batch systems: ``1:05:00``."""
        hours, minutes = divmod(self.minutes, 60)
        return f"{hours}:{minutes:02d}:00"

    @property
    def lines(self) -> list[str]:
        """The lines of a job script before its command."""
        return [*(f"module load {shlex.quote(name)}" for name in self.modules), *self.setup]


class SlurmSettings(BatchSettings):
    """``[run.slurm]``.

    Attributes:
        partition: the partition to which jobs are submitted.
        qos: quality of service.
        constraint: features that a node must have.
        gres: generic resources, such as ``"gpu:a100:1"``, instead of ``gpus``.
        arrays: whether several jobs may be submitted as one job array.
    """

    SYSTEM = SLURM
    AVOID = "--exclude={host}"

    partition: Word | None = None
    qos: Word | None = None
    constraint: Word | None = None
    gres: Word | None = None
    arrays: bool = True

    @property
    def gpu_count(self) -> int:
        """The number of accelerators of a whole job."""
        found = re.search(r"gpu(?::\w+)?:(\d+)", self.gres or "")
        return int(found[1]) * (self.nodes or 1) if found else super().gpu_count


class PjmSettings(BatchSettings):
    """``[run.pjm]``: Fujitsu TCS.

    Attributes:
        group: resource group, ``rscgrp``.
        unit: resource unit, ``rscunit``.
    """

    SYSTEM = PJM

    group: Word | None = None
    unit: Word | None = None


class PbsSettings(BatchSettings):
    """``[run.pbs]``: PBS Pro and OpenPBS.

    Attributes:
        queue: the queue to which jobs are submitted.
    """

    SYSTEM = PBS

    queue: Word | None = None


class LsfSettings(BatchSettings):
    """``[run.lsf]``: IBM Spectrum LSF.

    Attributes:
        queue: the queue to which jobs are submitted.
    """

    SYSTEM = LSF

    queue: Word | None = None


class AllocationSettings(Resources):
    """``[run.allocation]``: each trial's part of the allocation in which the driver runs.

    Attributes:
        directives: further options of ``srun``.
        remote: the remote shell in a job of PBS or TCS, as an argument list that a node's name and
            a command are appended to; by default ``pbs_tmrsh`` or ``pjrsh`` where they exist, else
            ``ssh``.
        poll: minimum number of seconds between two queries to Slurm, or a node; few are needed.
        grace: seconds for which a shared file system may hide a new file from other machines.
    """

    directives: Lines = ()
    remote: Lines = ()
    poll: Duration = 5.0
    grace: Duration = 5.0

    def of(self, own: dict[str, Any]) -> Self:
        """The settings of one step; ``own`` are its own resources, by name.

        Raises:
            InvalidInput: a step has no such resource.
        """
        settings = type(self).model_validate(self.model_dump() | own)
        if settings.time is not None:
            raise InvalidInput(
                "a step of an allocation has no 'time' of its own: 'timeout' is the program's limit"
            )
        if (settings.nodes or 1) > 1:
            raise InvalidInput(f"a step of an allocation has one node, not {settings.nodes}")
        return settings
