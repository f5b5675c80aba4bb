"""Summarising a study as one line of a list."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from dsice.errors import DsiceError
from dsice.study.state import Study
from dsice.study.task import Status
from dsice.terminal import standing_line


@dataclass(frozen=True, slots=True)
class Entry:
    """A study in a list.

    Attributes:
        path: of its directory, as it was found.
        name: its own.
        state: ``running``, ``ended``, ``killed``, ``not begun`` or ``damaged``.
        goal: in words.
        done: number of trials that were measured.
        failed: number of trials that failed.
        budget: maximum number of trials in all, or None.
        best: the best so far in words; empty if there is none.
        value: its objective, or None.
        seen: time of the last event, Unix time in seconds; 0 if there is none.
        why: why it ended, or what is wrong with it.
    """

    path: str
    name: str = ""
    state: str = "damaged"
    goal: str = ""
    done: int = 0
    failed: int = 0
    budget: int | None = None
    best: str = ""
    value: float | None = None
    seen: float = 0.0
    why: str = ""

    @classmethod
    def of(cls, path: Path) -> Self:
        """The entry of the study in a directory, whatever its state."""
        try:
            study = Study.open(path)
            goal = study.goal
            best = study.best_standing(goal) if study.measured_for(goal) else None
        except DsiceError as error:
            return cls(path=str(path), why=str(error))
        last = study.sessions[-1] if study.sessions else None
        state = "not begun" if last is None else "ended" if last.why else "killed"
        if study.directory.lock.is_held(touching=False):
            state = "running"
        return cls(
            path=str(path),
            name=study.config.name,
            state=state,
            goal=str(goal),
            done=len(study.with_status(Status.DONE)),
            failed=len(study.with_status(Status.FAILED)),
            budget=study.config.run.trials,
            best="" if best is None else standing_line(best, goal),
            value=None if best is None else best.counted.metrics[goal.metric],
            seen=last.seen if last is not None else 0.0,
            why=last.why if last is not None else "",
        )

    def as_json(self) -> dict[str, Any]:
        """Plain data, for programs."""
        return asdict(self)
