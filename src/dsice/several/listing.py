"""A study in one line of a list."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from dsice.errors import DsiceError
from dsice.study.facts import Status
from dsice.study.state import Study
from dsice.terminal import standing_line


@dataclass(frozen=True, slots=True)
class Entry:
    """A study in a list.

    Attributes:
        path: of its directory, as it was found.
        name: its own.
        state: ``running``, ``ended``, ``killed``, ``not begun`` or ``damaged``.
        goal: in words.
        done: trials that were measured.
        failed: trials that failed.
        budget: most trials in all, or None.
        best: the best so far in words; empty if there is none.
        value: its objective, or None.
        seen: when something happened last, Unix time in seconds; 0 if nothing did.
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
        """The study in a directory, whatever state it is in."""
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
