"""Time saved by a study, relative to the same work one after another and at full length.

With T the time of all jobs of trials, M the part of it with a measurement, S the time of all jobs
of stages, W the time the study took, and F how many times as long a full-length run takes:

    shortening       F·(M + E)  ->  S + T + U  stages and failures count on our side only
    ending early     S + T + U  ->  S + T
    running at once  S + T  ->  W
    all together     F·(M + E)  ->  W

E is the full length of the trials that ended early, U their remaining length, both extrapolated
from the time that their steps took until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from dsice.report.timeline import Timeline
from dsice.study.state import Study
from dsice.study.task import Status


@dataclass(frozen=True, slots=True)
class Savings:
    """Times in seconds; the capital letters refer to the module's docstring.

    Attributes:
        stages: S.
        trials: T.
        measured: M.
        took: W.
        unrun: U.
        whole: E.
        times: F, or None if the study file does not give it.
        most: maximum number of jobs that ran at once.
    """

    stages: float
    trials: float
    measured: float
    took: float
    unrun: float
    whole: float
    times: float | None
    most: int

    @classmethod
    def of(cls, study: Study, timeline: Timeline) -> Self | None:
        """The savings of a study so far; None before the first measurement."""
        measured = sum(trial.seconds for trial in study.with_status(Status.DONE))
        if measured <= 0 or timeline.seconds <= 0:
            return None
        stages = sum(a.seconds for stage in study.stages.values() for a in stage.attempts)
        ended = [
            (trial.spent_seconds, trial.attempts[-1].ending)
            for trial in study.with_status(Status.STOPPED)
        ]
        lengths = [(ran, ran * why.full / why.step) for ran, why in ended if why and why.step > 0]
        return cls(
            stages=stages,
            trials=study.job_seconds,
            measured=measured,
            took=timeline.seconds,
            unrun=sum(max(whole - ran, 0.0) for ran, whole in lengths),
            whole=sum(whole for _, whole in lengths),
            times=study.config.report.full_length,
            most=max(running for _, running in timeline.running()),
        )

    @property
    def one_by_one(self) -> float:
        """The same stages and trials one after another: S + T."""
        return self.stages + self.trials

    @property
    def full_length(self) -> float | None:
        """As many full-length runs one after another: F·(M + E)."""
        return None if self.times is None else self.times * (self.measured + self.whole)

    @property
    def to_their_ends(self) -> float:
        """The same stages and trials if none had ended early: S + T + U."""
        return self.one_by_one + self.unrun

    @property
    def by_ending(self) -> float:
        """The factor by which ending trials early reduced the work."""
        return self.to_their_ends / self.one_by_one

    @property
    def job_time_saved(self) -> float | None:
        """Job time saved by shortened trials; None if there are none or they saved nothing."""
        saved = (self.full_length or 0.0) - self.one_by_one
        return saved if saved > 0 else None

    @property
    def time_saved(self) -> float | None:
        """How much earlier the study ended because jobs ran in parallel; None if it did not."""
        return saved if (saved := self.one_by_one - self.took) > 0 else None

    @property
    def by_parallel(self) -> float:
        """The speedup from running jobs in parallel."""
        return self.one_by_one / self.took

    @property
    def by_shortening(self) -> float | None:
        """The factor by which shortened trials reduced the work, including their stages."""
        return None if self.full_length is None else self.full_length / self.to_their_ends

    @property
    def overall(self) -> float | None:
        """The overall factor."""
        return None if self.full_length is None else self.full_length / self.took
