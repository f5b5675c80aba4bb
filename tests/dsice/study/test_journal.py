"""The journal keeps every event that it acknowledged, whatever tears its end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dsice.errors import DsiceError, InvalidInput
from dsice.study.journal import Journal, read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    with Journal(path, iter(range(100)).__next__) as journal:
        for number in range(3):
            journal.append("trial", trial=number)
    return path


def test_events_come_back(path: Path) -> None:
    events, warning = read(path)
    assert events == [{"t": n, "event": "trial", "trial": n} for n in range(3)]
    assert warning == ""


def test_a_tear_at_any_byte(path: Path) -> None:
    whole = path.read_bytes()
    ends = [k for k, byte in enumerate(whole) if byte == ord("\n")]
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        # A line that lacks only its newline was written whole.
        complete = sum(end <= size for end in ends)
        events, warning = read(path)
        assert len(events) == complete
        assert bool(warning) == (size not in (0, *ends, *(end + 1 for end in ends)))
        with Journal(path, lambda: 9.0) as journal:
            assert len(journal.events) == complete
            assert journal.warning == warning
            journal.append("more")
        events, warning = read(path)
        assert [event["event"] for event in events] == ["trial"] * complete + ["more"]
        assert warning == ""


def test_damage_before_the_end_is_an_error(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"t": 1, "ev\x00\n' + lines[2])
    with pytest.raises(InvalidInput, match=r"journal\.jsonl: line 2 is damaged"):
        read(path)


def test_a_full_disk_leaves_the_journal_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    real_write = os.write
    with Journal(path, lambda: 9.0) as journal:

        def half(descriptor: int, data: bytes) -> int:
            return real_write(descriptor, data[: len(data) // 2])

        def half_and_error(descriptor: int, data: bytes) -> int:
            half(descriptor, data)
            raise OSError(28, "No space left on device")

        for write in (half, half_and_error):
            with monkeypatch.context() as patch:
                patch.setattr(os, "write", write)
                with pytest.raises(DsiceError, match="No space left on device"):
                    journal.append("lost")
            assert path.read_bytes() == before
        journal.append("kept")
    events, _ = read(path)
    assert [event["event"] for event in events] == ["trial"] * 3 + ["kept"]
