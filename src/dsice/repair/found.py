"""What is found in a study whose files contradict each other: lines of its journal, job folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsice.errors import DamagedStudy, InvalidInput
from dsice.files import open_regular
from dsice.launch.job import JobFolder, Kind
from dsice.study.codec import LaterVersion, UnreadableLine, decode, healed
from dsice.study.directory import TaskFolder
from dsice.study.events import AttemptEnded, Event, Verdict
from dsice.study.journal import lines_of
from dsice.study.task import Task
from dsice.study.unknown import numbers_in


@dataclass(frozen=True, slots=True)
class Damage:
    """A line of a journal that cannot be read."""

    number: int
    line: bytes
    why: str
    event: Event | None  # what it was, if that is certain


def scan(path: Path) -> Iterator[Event | Damage]:
    """Each line of a journal: its event, or what is wrong with it; a torn last line is nothing."""
    checking = False
    with open(path, "rb", opener=open_regular) as file:
        for number, line in enumerate(lines_of(file, path), 1):
            try:
                event, checked = decode(line.removesuffix(b"\n"))
                if checking and not checked:
                    raise UnreadableLine("its checksum is missing")
            except LaterVersion as error:
                raise InvalidInput(f"{path}: line {number}: {error}. Use that version") from None
            except UnreadableLine as error:
                if line.endswith(b"\n"):
                    yield Damage(number, line, str(error), healed(line[:-1]))
                continue
            checking = checked
            yield event


def in_order(lines: list[Event | Damage]) -> tuple[list[Event | Damage], int]:
    """``lines`` with the first events of sessions in their order, and how many were not in it.

    They exchange places among each other, so that two exchanged lines are exchanged back.
    """
    firsts: dict[str, tuple[int, Event]] = {}
    for place, line in enumerate(lines):
        if isinstance(line, Event) and line.opens:
            firsts.setdefault(line.session, (place, line))
    ordered: dict[str, Event] = {}
    for token in firsts:
        chain = []
        while token in firsts and token not in ordered and token not in chain:
            chain.append(token)
            token = firsts[token][1].after
        ordered |= {before: firsts[before][1] for before in reversed(chain)}
    moved = 0
    for (place, found), right in zip(firsts.values(), ordered.values(), strict=True):
        moved += found is not right
        lines[place] = right
    return lines, moved


def jobs_in(path: Path) -> list[JobFolder]:
    """The jobs in the folder of a trial, or in that of an attempt."""
    if path.name.startswith("attempt-"):
        return [JobFolder(path)]
    return [TaskFolder(path).job(number) for number in numbers_in(path, "attempt-")]


def identity_of(job: JobFolder) -> dict[str, Any]:
    """What a job says that it measures; empty if it does not say."""
    try:
        return dict(job.spec().identity)
    except (OSError, DamagedStudy):
        return {}


def given_up(task: Task) -> AttemptEnded:
    """The end of an attempt that another one followed."""
    outcome = task.job.outcome()
    return AttemptEnded(
        **task.reference,
        attempt=len(task.attempts),
        verdict=Verdict.AGAIN,
        kind=outcome.kind if outcome else Kind.LOST,
        reason=outcome.reason if outcome else "lost",
        started=outcome.started if outcome else 0.0,
        ended=outcome.ended if outcome else 0.0,
        host=outcome.host if outcome else "",
    )
