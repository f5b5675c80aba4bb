"""The table ``[run]`` of a study file."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from dsice.launch.make import settings_of
from dsice.launch.names import ALLOCATION, LOCAL, NAMES
from dsice.launch.settings import AllocationSettings, BatchSettings, Table
from dsice.study.program_table import Text
from dsice.study.share import Share


def _known_launcher(name: str) -> str:
    if name not in NAMES:
        *most, last = (f'"{each}"' for each in NAMES)
        raise ValueError(f"accepted is {', '.join(most)} or {last}")
    return name


Name = Annotated[str, AfterValidator(_known_launcher)]


class RunConfig(Table):
    """Where and how much: ``[run]``.

    The tables of batch systems are added by `file_model`.

    Attributes:
        on: where trials run: on this machine, as jobs of the batch system whose table is read, or
            inside the job of Slurm, PBS or TCS in which the driver runs.
        parallel: maximum number of trials at once; if omitted with ``gpus`` given, as many as
            these allow.
        per_job: how many trials a job of the batch system runs, one after another, for trials that
            are short beside a job's time in the queue. Up to ``parallel`` jobs are under way.
        gpus: GPUs of this machine for the trials: how many, or which by number, UUID or name of a
            MIG instance, or ``"all"``; None: trials get no GPUs.
        gpus_per_trial: GPUs per trial, 1 by default; with 0.5 two trials share one.
        cores: ``"pinned"`` gives each trial its own cores of this machine.
        trials: maximum number of trials in all, or None.
        samples: how many times each point is measured; each measurement is a trial of the budget.
            A point whose trial fails is not measured again. Its trials are separated in time where
            possible.
        hours: maximum wall time in hours, in all, or None. Where no
            number of trials is given, the search chooses what promises most per expected second.
        job_hours: maximum machine time of all jobs, or None: in GPU-hours, core-hours or
            node-hours, the first of these that a trial's job is known to have, else in hours of
            jobs. No trial is begun that is expected to overrun it.
        share: who may read the study's directory besides its owner: ``"group"`` or ``"all"``; None:
            nobody. Only the owner may write in it.
        max_consecutive_failures: the run ends after so many trials in a row that fail quickly and
            in the same way. They are attributed to the machine, and do not count. 0: never.
        on_best: a program that is called for each new best trial, as an argument list with fields;
            see `dsice.hooks`.
        on_end: a program that is called with the reason when a session of the study ends.
        on_trouble: a program that is called on problems: jobs that cannot be started, failures in a
            row, a stage that failed.
        allocation: each trial's part of the job in which the driver runs.
    """

    on: Name = LOCAL
    parallel: Annotated[int, Field(ge=1, le=100_000)] = 1
    per_job: Annotated[int, Field(ge=1, le=1000)] = 1
    gpus: (
        Annotated[int, Field(ge=1)]
        | Literal["all"]
        | Annotated[list[Annotated[int, Field(ge=0)] | Text], Field(min_length=1)]
        | None
    ) = None
    gpus_per_trial: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    cores: Literal["pinned"] | None = None
    trials: Annotated[int, Field(ge=1)] | None = None
    samples: Annotated[int, Field(ge=1, le=100)] = 1
    hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    job_hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    share: Share | None = None
    max_consecutive_failures: Annotated[int, Field(ge=0, le=1000)] = 5
    on_best: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    on_end: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    on_trouble: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    allocation: AllocationSettings | None = None

    @property
    def under_way(self) -> int:
        """Maximum number of trials that have been proposed and not ended."""
        return self.parallel * self.per_job

    @property
    def settings(self) -> BatchSettings | AllocationSettings | None:
        """The settings of the batch system or allocation; None on this machine."""
        if self.on == ALLOCATION:
            return self.allocation or AllocationSettings()
        return self.batch

    @property
    def batch(self) -> BatchSettings | None:
        """The settings of the batch system; None without one."""
        if self.on in (LOCAL, ALLOCATION):
            return None
        given: BatchSettings | None = getattr(self, self.on, None)
        return given or settings_of(self.on)()


HOOKS: Final = ("on_best", "on_end", "on_trouble")
"""The keys of a `RunConfig` that name programs to be told what becomes of the study."""
