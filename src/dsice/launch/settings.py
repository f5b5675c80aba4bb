"""What a study file says of batch systems: ``[run.slurm]``, ``[run.pjm]``, ``[run.pbs]``."""

from __future__ import annotations

import math
import re
import shlex
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from dsice.errors import InvalidInput
from dsice.launch.names import PBS, PJM, SLURM
from dsice.units import DURATION, seconds

_MARGIN: Final = 300.0  # seconds that a job gets beyond its program's own time limit
_MEMORY: Final = re.compile(r"\s*(\d+)\s*([MG])i?B?(\s*x\s*attempt)?\s*")
_WORD: Final = re.compile(r"[A-Za-z0-9_.,:;=@%+/\[\]&|*-]+")


def _text(pattern: str) -> dict[str, Any]:
    """JSON Schema of text that is all of ``pattern``."""
    return {"type": "string", "pattern": f"^({pattern})$"}


def _one_line(text: str) -> str:
    """Refuse what could begin a new line of a job script."""
    if not text.isprintable() or not text.strip():
        raise ValueError("one line of printable characters is needed")
    return text


def _plain(text: str) -> str:
    """Refuse what a directive of a job script could take for more than one word."""
    if _WORD.fullmatch(text) is None:
        raise ValueError("letters, digits and _.,:;=@%+/[]&|*- are accepted")
    return text


def _memory(text: str) -> str:
    if _MEMORY.fullmatch(text) is None:
        raise ValueError("write '16 GB' or '800 MB', or '8 GB x attempt'")
    return text


def duration_schema(*others: str) -> dict[str, Any]:
    """JSON Schema of a duration: a number of seconds, or text of this form or of ``others``."""
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
    """A table of a study file: nothing unknown, nothing converted, nothing changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Resources(Table):
    """What one job needs: also ``[trial.resources]`` and ``[stage.NAME.resources]``.

    Attributes:
        cpus: cores.
        gpus: accelerators on each node.
        memory: on each node, ``"16 GB"``; ``"8 GB x attempt"`` doubles it for a trial whose memory
            was exceeded once, and so on; None: what the system gives by default.
        time: time limit in seconds; None: the program's own and five minutes.
        nodes: machines.
    """

    cpus: Annotated[int, Field(ge=1)] | None = None
    gpus: Annotated[int, Field(ge=0)] | None = None
    memory: Memory | None = None
    time: Duration | None = None
    nodes: Annotated[int, Field(ge=1)] | None = None

    def memory_after(self, exceeded: int) -> str | None:
        """The memory of an attempt, in numbers, after it was exceeded so many times."""
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
    """Settings that all batch systems share; a job's own resources come before them.

    Attributes:
        account: charged for the jobs.
        modules: loaded before the program, in this order.
        setup: lines of the job script before the program, for a shell.
        directives: further options of a job, as on the submission's command line.
        submit_rate: most submissions a second.
        poll: seconds between two questions to the scheduler, at least.
        grace: seconds for which a shared file system may hide a new file from other machines.
    """

    SYSTEM: ClassVar[str]

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
            InvalidInput: nobody says how long the job may take, or the scheduler would end it
                before its own time limit.
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

    @property
    def gpu_count(self) -> int:
        """Accelerators of a whole job."""
        return (self.gpus or 0) * (self.nodes or 1)

    @property
    def minutes(self) -> int:
        """The time limit in whole minutes, rounded up."""
        return math.ceil((self.time or 0.0) / 60)

    @property
    def hours_minutes_seconds(self) -> str:
        """The time limit as batch systems write it: ``1:05:00``."""
        hours, minutes = divmod(self.minutes, 60)
        return f"{hours}:{minutes:02d}:00"

    @property
    def lines(self) -> list[str]:
        """The lines of a job script before its command."""
        return [*(f"module load {shlex.quote(name)}" for name in self.modules), *self.setup]


class SlurmSettings(BatchSettings):
    """``[run.slurm]``.

    Attributes:
        partition: where jobs queue.
        qos: quality of service.
        constraint: features that a node must have.
        gres: generic resources, such as ``"gpu:a100:1"``, instead of ``gpus``.
        arrays: whether several jobs may be submitted as one job array.
    """

    SYSTEM = SLURM

    partition: Word | None = None
    qos: Word | None = None
    constraint: Word | None = None
    gres: Word | None = None
    arrays: bool = True

    @property
    def gpu_count(self) -> int:
        """Accelerators of a whole job."""
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
        queue: where jobs queue.
    """

    SYSTEM = PBS

    queue: Word | None = None


class AllocationSettings(Resources):
    """``[run.allocation]``: what each trial gets of the Slurm allocation that the driver runs in.

    Attributes:
        directives: further options of ``srun``.
        poll: seconds between two questions to Slurm, at least; few are asked.
        grace: seconds for which a shared file system may hide a new file from other machines.
    """

    directives: Lines = ()
    poll: Duration = 5.0
    grace: Duration = 5.0

    def of(self, own: dict[str, Any]) -> Self:
        """The settings of one step; ``own`` are its own resources, by name.

        Raises:
            InvalidInput: a step has no such thing.
        """
        settings = type(self).model_validate(self.model_dump() | own)
        if settings.time is not None:
            raise InvalidInput(
                "a step of an allocation has no 'time' of its own: 'timeout' is the program's limit"
            )
        if (settings.nodes or 1) > 1:
            raise InvalidInput(f"a step of an allocation has one node, not {settings.nodes}")
        return settings
