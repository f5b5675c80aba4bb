"""Folding a journal."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dsice.errors import DamagedStudy, InvalidInput
from dsice.goal import Goal
from dsice.study.codec import of
from dsice.study.config import parse
from dsice.study.directory import StudyDirectory
from dsice.study.events import Verdict
from dsice.study.facts import Trial
from dsice.study.frozen import freeze
from dsice.study.state import Study
from dsice.study.task import Status

TEXT = """
name = "small"
minimize = "y"
subject_to = ["z <= 2 * stage.first.z"]
[grid]
a = [1, 2, 3, 4]
[stage.first]
command = ["true"]
[trial]
command = ["true", "{a}"]
[run]
trials = 9
"""


def study(tmp_path: Path) -> Study:
    return Study(parse(TEXT, tmp_path), StudyDirectory.at(tmp_path))


SESSION: dict[str, Any] = {
    "t": 100.0,
    "event": "session",
    "host": "h",
    "pid": 1,
    "parallel": 2,
    "trials": 5,
    "hours": None,
}


def ended(verdict: str, t: float, metrics: dict[str, float] | None = None, **of: Any) -> Any:
    return {
        "t": t,
        "event": "ended",
        **of,
        "verdict": verdict,
        "kind": "ok" if verdict == "done" else "exit code",
        "reason": "" if verdict == "done" else "exit code 1",
        "metrics": metrics or {},
        "exit_code": 0,
        "started": t - 3.0,
        "ended": t - 1.0,
        "host": "h",
    }


def events() -> list[Any]:
    return [
        {"t": 99.0, "event": "study", "dsice": "0.1.0", "name": "small"},
        SESSION,
        {"t": 101.0, "event": "attempt", "stage": "first", "attempt": 1},
        ended("done", 110.0, {"z": 5.0}, stage="first", attempt=1),
        {"t": 111.0, "event": "trial", "trial": 1, "point": [0]},
        {"t": 111.0, "event": "trial", "trial": 2, "point": [3]},
        {"t": 112.0, "event": "attempt", "trial": 1, "attempt": 1},
        {"t": 112.0, "event": "attempt", "trial": 2, "attempt": 1},
        ended("done", 120.0, {"y": 1.0, "z": 11.0}, trial=2, attempt=1),
        {"t": 121.0, "event": "trial", "trial": 3, "point": [1]},
        {"t": 121.0, "event": "attempt", "trial": 3, "attempt": 1},
        ended("again", 125.0, trial=3, attempt=1),
        {"t": 126.0, "event": "attempt", "trial": 3, "attempt": 2},
        ended("failed", 130.0, trial=3, attempt=2),
        ended("done", 140.0, {"y": 4.0, "z": 9.0}, trial=1, attempt=1),
        {"t": 150.0, "event": "trial", "trial": 4, "point": [2]},
    ]


def test_the_state_after_a_while(tmp_path: Path) -> None:
    found = study(tmp_path).apply(map(of, events()))
    assert [trial.status for trial in found.trials] == [
        Status.DONE,
        Status.DONE,
        Status.FAILED,
        Status.WAITING,
    ]
    assert [trial.number for trial in found.finished] == [2, 3, 1]
    assert [(t.number, end) for t, end in found.history if isinstance(t, Trial)] == [
        (1, False),
        (2, False),
        (2, True),
        (3, False),
        (3, True),
        (1, True),
        (4, False),
    ]
    assert found.trials[1].params == {"a": 4}
    assert found.trials[2].reason == "exit code 1"
    assert found.config.run.trials == 5
    assert found.job_seconds == 2.0 * 4
    assert found.wall_seconds == 50.0


def test_the_best_is_decided_when_asked(tmp_path: Path) -> None:
    found = study(tmp_path).apply(map(of, events()))
    assert str(found.goal) == "minimize y subject to z <= 10"
    assert found.best is found.trials[0]
    assert found.best_for(Goal(minimize="y")) is found.trials[1]
    assert found.best_for(Goal(maximize="y", subject_to=["z >= 10"])) is found.trials[1]
    assert found.best_for(Goal(minimize="y", subject_to=["z < 9"])) is None
    with pytest.raises(InvalidInput, match="metric 'x' is in no result: there are y, z"):
        found.best_for(Goal(minimize="x"))


@pytest.mark.parametrize(
    ("measured", "best"),
    [
        ([(0, 3.0, 0.0), (1, 5.0, 0.0), (1, 1.0, 0.0), (1, 4.0, 0.0)], 1),
        ([(0, 3.0, 0.0), (1, 5.0, 0.0), (1, 1.0, 0.0), (1, 2.0, 0.0)], 4),
        ([(0, 3.0, 0.0), (1, 1.0, 0.0), (1, 4.0, 0.0)], 1),  # of two it is the worse
        ([(0, 3.0, 0.0), (1, 1.0, 0.0), (1, 1.0, 99.0)], 1),  # one that breaks the bound is worse
        ([(1, 1.0, 99.0), (1, 2.0, 0.0), (1, 1.5, 0.0)], 2),
    ],
)
def test_a_point_measured_again_is_as_good_as_its_middle_trial(
    tmp_path: Path, measured: list[tuple[int, float, float]], best: int
) -> None:
    found = study(tmp_path).apply([of(SESSION)])
    for number, (level, y, z) in enumerate(measured, 1):
        found.apply([of({"t": 1.0, "event": "trial", "trial": number, "point": [level]})])
        found.apply([of({"t": 1.0, "event": "attempt", "trial": number, "attempt": 1})])
        found.apply([of(ended("done", 2.0, {"y": y, "z": z}, trial=number, attempt=1))])
    goal = Goal(minimize="y", subject_to=["z <= 10"])
    assert found.best_for(goal) is found.trials[best - 1]
    assert found.front_for(goal) == [found.trials[best - 1]]


def test_before_anything_happened(tmp_path: Path) -> None:
    found = study(tmp_path)
    assert found.best_or_none is None
    assert found.goal.bounds[0].limit is None
    assert (found.job_seconds, found.wall_seconds) == (0.0, 0.0)


def test_every_prefix_of_a_journal_is_a_state(tmp_path: Path) -> None:
    for size in range(len(events()) + 1):
        study(tmp_path).apply(map(of, events()[:size]))


def test_opening_a_directory(tmp_path: Path) -> None:
    place = StudyDirectory.at(tmp_path / "runs")
    with pytest.raises(InvalidInput, match="holds no study"):
        Study.open(place.path)
    place.path.mkdir()
    freeze(parse(TEXT, tmp_path), place)
    lines = "".join(json.dumps(event) + "\n" for event in events())
    place.journal.write_text(lines + '{"t": 151')
    found = Study.open(place.path)
    assert len(found.trials) == 4
    assert "cut short" in found.warning
    assert found.config.folder == tmp_path
    place.journal.write_text(lines + '{"event": "swept", "sweep": 77}\n')
    with pytest.raises(DamagedStudy, match=r"journal\.jsonl: line 17 does not follow"):
        Study.open(place.path)
    place.study_file.unlink()
    with pytest.raises(InvalidInput, match=r"study\.toml cannot be read: No such file"):
        Study.open(place.path)


def test_the_late_end_of_an_earlier_attempt_changes_nothing(tmp_path: Path) -> None:
    told = [event for event in events() if event.get("trial") != 4]
    late = next(e for e in told if e.get("verdict") == "again")
    told.remove(late)
    found = study(tmp_path).apply(map(of, [*told, late]))
    assert found.trials[2].status is Status.FAILED
    assert found.trials[2].attempts[0].verdict is not None


def possible(found: Study) -> list[dict[str, Any]]:
    """All kinds of events on the trials of a study that may come next."""
    number = len(found.trials) + 1
    wanted: list[dict[str, Any]] = [{"event": "trial", "trial": number, "point": [number % 4]}]
    for trial in found.trials:
        last = len(trial.attempts)
        if trial.status is Status.RUNNING:
            for verdict in ("done", "failed", "again", "stopped"):
                wanted.append(ended(verdict, 2.0, {"y": 1.0}, trial=trial.number, attempt=last))
        elif trial.status in (Status.WAITING, Status.STOPPED):
            wanted.append({"event": "attempt", "trial": trial.number, "attempt": last + 1})
        failed = [a.number for a in trial.attempts if a.verdict not in (None, Verdict.DONE)]
        if failed:
            pairs = [[trial.number, attempt] for attempt in failed]
            wanted.append({"event": "voided", "attempts": pairs, "why": "a full disk"})
        wanted.append({"event": "retried", "trials": [trial.number]})
        wanted.append({"event": "discarded", "trials": [trial.number], "why": "no"})
    return [{"t": 1.0, **event} for event in wanted]


@pytest.mark.parametrize("seed", range(10))
def test_the_index_by_status_agrees_with_the_trials(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    found = study(tmp_path).apply([of(SESSION)])
    seen = set()
    for _ in range(300):
        kinds: dict[str, list[dict[str, Any]]] = {}
        for event in possible(found):
            kinds.setdefault(str(event.get("verdict", event["event"])), []).append(event)
        kind = random.choice(sorted(kinds))
        seen.add(kind)
        found.apply([of(random.choice(kinds[kind]))])
        for status in Status:
            assert found.with_status(status) == [t for t in found.trials if t.status is status]
        assert found.spent == sum(t.status is not Status.DISCARDED for t in found.trials)
    assert len(seen) == 9
