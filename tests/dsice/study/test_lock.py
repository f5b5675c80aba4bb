"""One driver at a time; other machines are played by what they would have written."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from dsice.errors import StudyLocked
from dsice.study import lock
from dsice.study.lock import STALE, DriverLock, Holder

ELSEWHERE = Holder(4711, "another-machine", "2026-01-01 00:00:00+00:00")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def written(path: Path, holder: Holder, age: float) -> None:
    """The file as ``holder`` left it ``age`` seconds ago."""
    path.write_text(json.dumps(asdict(holder)))
    past = time.time() - age
    os.utime(path, (past, past))


@contextmanager
def held_by_another_process(path: Path) -> Iterator[int]:
    code = (
        "import sys; from pathlib import Path; from dsice.study.lock import DriverLock\n"
        "with DriverLock(Path(sys.argv[1])).held():\n    print('held', flush=True)\n    input()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process.pid
        finally:
            process.kill()


def test_hold_and_leave_in_peace(path: Path) -> None:
    own = DriverLock(path)
    assert not own.is_held()
    with own.held() as held:
        held.beat()
        holder = own.holder()
        assert holder is not None
        assert (holder.pid, holder.host) == (os.getpid(), socket.gethostname())
        assert DriverLock(path).is_held()
    assert path.read_text() == ""
    assert not own.is_held()
    assert own.holder() is None


def test_two_on_one_machine(path: Path) -> None:
    with held_by_another_process(path) as pid:
        words = rf"is in use by another driver: process {pid} on {socket.gethostname()}, since "
        with pytest.raises(StudyLocked, match=words), DriverLock(path).held():
            pass
        holder = DriverLock(path).holder()
        assert holder is not None
        assert holder.pid == pid
    # It was killed: its name is still there, and is no hindrance.
    assert DriverLock(path).holder() == holder
    assert not DriverLock(path).is_held()
    with DriverLock(path).held():
        pass


def test_a_sign_of_life_from_elsewhere_counts_without_a_lock(path: Path) -> None:
    written(path, ELSEWHERE, age=20)
    before = path.read_text()
    assert DriverLock(path).is_held()
    words = r"process 4711 on another-machine.*sign of life was \d+ s ago.*try again in 1 min"
    with pytest.raises(StudyLocked, match=words), DriverLock(path).held():
        pass
    assert path.read_text() == before


def test_silence_from_elsewhere_is_taken_over(path: Path) -> None:
    written(path, ELSEWHERE, age=STALE + 5)
    assert not DriverLock(path).is_held()
    with DriverLock(path).held():
        holder = DriverLock(path).holder()
        assert holder is not None
        assert holder.pid == os.getpid()


def test_silent_and_yet_locked(path: Path) -> None:
    with held_by_another_process(path):
        written(path, ELSEWHERE, age=STALE + 5)
        words = f"If that machine is gone for good, delete {path}"
        with pytest.raises(StudyLocked, match=words), DriverLock(path).held():
            pass


def test_locked_without_a_name(path: Path) -> None:
    with held_by_another_process(path):
        path.write_text("")
        with pytest.raises(StudyLocked, match="has just begun"), DriverLock(path).held():
            pass


@pytest.mark.parametrize("text", [json.dumps(asdict(ELSEWHERE)), ""])
def test_give_up_when_another_took_over(
    path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is still there or has left since."""
    monkeypatch.setattr(lock, "BEAT", 0.0)
    with DriverLock(path).held() as held:
        held.beat()
        path.write_text(text)
        with pytest.raises(StudyLocked, match="another driver has taken over"):
            held.beat()
    assert path.read_text() == text


def test_signs_of_life(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = DriverLock(path)
    assert own.silence() == float("inf")
    with own.held() as held:
        os.utime(path, (1.0, 1.0))
        held.beat()  # too early for another
        assert own.silence() > STALE
        monkeypatch.setattr(lock, "BEAT", 0.0)
        held.beat()
        assert own.silence() < STALE
        path.unlink()
        with pytest.raises(StudyLocked, match="was deleted or replaced"):
            held.beat()


@pytest.mark.parametrize("text", ["", "4711", "{", "[1]", '{"pid": 1}', '{"pid": 1, "x": 2}', "ü"])
def test_old_and_damaged_files(path: Path, text: str) -> None:
    path.write_bytes(text.encode("latin-1"))
    assert DriverLock(path).holder() is None
    assert not DriverLock(path).is_held()
    with DriverLock(path).held():
        assert DriverLock(path).holder() is not None
