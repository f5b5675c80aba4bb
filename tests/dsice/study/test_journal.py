"""The journal keeps every event that it acknowledged, whatever tears its end, and tells damage."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from dsice.errors import DamagedStudy, DsiceError, InvalidInput, StudyLocked
from dsice.study import codec
from dsice.study.events import AttemptBegan, Event, Header, Proposed, SweepEnded
from dsice.study.journal import Journal, Lines


def plain(found: list[Event]) -> list[tuple[str, int | None]]:
    return [(type(event).__name__, getattr(event, "trial", None)) for event in found]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    with Journal(path, iter(range(100)).__next__) as journal:
        journal.append(Header.new("small", {}))
        for number in range(1, 4):
            journal.append(Proposed(trial=number, params={"a": number, "b": "ü\u2028 \U0001f600"}))
    return path


def test_events_come_back(path: Path) -> None:
    lines = Lines(path)
    found = list(lines)
    assert [event.t for event in found] == [0, 1, 2, 3]
    assert plain(found)[1:] == [("Proposed", 1), ("Proposed", 2), ("Proposed", 3)]
    assert isinstance(found[2], Proposed)
    assert found[2].params == {"a": 2, "b": "ü\u2028 \U0001f600"}
    assert (lines.format, lines.warning, lines.size) == (2, "", path.stat().st_size)
    assert all(json.loads(line)["crc"] for line in path.read_text().splitlines()[:1])


def test_a_tear_at_any_byte(path: Path) -> None:
    whole = path.read_bytes()
    ends = [k for k, byte in enumerate(whole) if byte == ord("\n")]
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        # A line that lacks only its newline was written whole.
        complete = sum(end <= size for end in ends)
        lines = Lines(path)
        assert len(list(lines)) == complete
        torn = size not in (0, *ends, *(end + 1 for end in ends))
        assert bool(lines.warning) == torn
        with Journal(path, lambda: 9.0) as journal:
            assert len(list(journal.replay())) == complete
            assert bool(journal.warning) == torn
            if not complete:
                journal.append(Header.new("small", {}))
            journal.append(SweepEnded(sweep=1))
        lines = Lines(path)
        found = list(lines)
        assert len(found) == max(complete, 1) + 1
        assert isinstance(found[-1], SweepEnded)
        assert lines.warning == ""


def test_every_flipped_bit_is_told_and_mended(path: Path) -> None:
    whole = path.read_bytes()
    line = whole.split(b"\n")[1]
    for index in range(len(line)):
        for bit in range(8):
            changed = bytearray(line)
            changed[index] ^= 1 << bit
            with pytest.raises(codec.UnreadableLine):
                codec.decode(bytes(changed))
    chance = random.Random(0)
    original = codec.decode(line)[0]
    for _ in range(20):
        changed = bytearray(line)
        changed[chance.randrange(len(line))] ^= 1 << chance.randrange(8)
        assert codec.healed(bytes(changed)) == original
    path.write_bytes(whole.replace(line, bytes(changed)))
    with pytest.raises(DamagedStudy, match=r"journal\.jsonl: line 2 cannot be read.*dsice repair"):
        list(Lines(path))


@pytest.mark.parametrize(
    "line",
    [
        b'{"t": 1, "ev\x00',
        b"null",
        b"[]",
        b"4",
        b'{"event": "ended", "attempt": 1, "verdict": "done", "kind": "ok", "metrics": null}',
        b'{"event": "trial", "trial": "1", "point": [1]}',
        b'{"event": "trial", "trial": 1, "point": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"event": "trial", "trial": 1, "point": [1], "event": "ended"}',
        b'{"event": "swept", "sweep": NaN}',
        b'{"event": "prior", "source": "x", "results": [{"where": "y", "metrics": {"a": "b"}}]}',
        b"\xff\xfe",
        b"",
    ],
)
def test_damage_before_the_end_is_one_clear_error(path: Path, line: bytes) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    for checked in (True, False):
        kept = lines if checked else [b'{"event": "study", "dsice": "0.1.0", "name": "x"}\n'] * 3
        path.write_bytes(kept[0] + line + b"\n" + kept[2])
        with pytest.raises(DamagedStudy, match=r"journal\.jsonl: line 2 cannot be read") as error:
            list(Lines(path))
        assert "\n" not in str(error.value)


def checked(data: dict[str, Any]) -> bytes:
    import zlib

    body = json.dumps(data).encode()[:-1]
    return body + f',"crc":"{zlib.crc32(body):08x}"}}\n'.encode()


@pytest.mark.parametrize(
    "line",
    [
        checked({"event": "study", "dsice": "9.0", "name": "x", "format": 3}),
        checked({"event": "study", "dsice": "9.0", "name": "x", "format": 3, "more": 1}),
        checked({"event": "moved", "trial": 1}),
        checked({"event": "swept", "sweep": 1, "more": 1}),
    ],
)
def test_what_a_later_version_wrote_is_refused(path: Path, line: bytes) -> None:
    before = path.read_bytes() + line
    path.write_bytes(before)
    with pytest.raises(InvalidInput, match=r"version"):
        list(Lines(path))
    assert path.read_bytes() == before


def test_lines_with_and_without_checksums_do_not_mix(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'{"event": "swept", "sweep": 1}\n')
    with pytest.raises(DamagedStudy, match=r"line 5 .*its checksum is missing"):
        list(Lines(path))
    path.write_bytes(
        b'{"event": "study", "dsice": "0.1.0", "name": "x"}\n'
        + codec.encode(AttemptBegan(trial=1, attempt=1))
    )
    with pytest.raises(DamagedStudy, match=r"line 2 .*has a checksum, and no line before"):
        list(Lines(path))


def test_an_older_format_goes_on_in_this_one(path: Path) -> None:
    path.write_bytes(b'{"event": "study", "dsice": "0.1.0", "name": "x"}\n')
    with Journal(path, lambda: 9.0) as journal:
        assert len(list(journal.replay())) == 1
        assert journal.format == 1
        journal.append(Header.new("x", {}))
        assert journal.format == 2
        journal.append(SweepEnded(sweep=1))
    lines = Lines(path)
    assert plain(list(lines)) == [("Header", None), ("Header", None), ("SweepEnded", None)]
    assert lines.format == 2


def test_levels_of_numpy_and_odd_names_are_written(path: Path) -> None:
    import numpy as np

    odd: dict[str, Any] = {"a": np.float64(0.1), "b": 2**70, "c": "\udc80"}
    with Journal(path, lambda: 9.0) as journal:
        list(journal.replay())
        journal.append(Proposed(trial=4, params=odd))
    *_, last = Lines(path)
    assert isinstance(last, Proposed)
    assert last.params == {"a": 0.1, "b": 2**70, "c": "?"}


class Fence:
    token = "f"
    taken_over = False

    def check(self) -> None:
        if self.taken_over:
            raise StudyLocked("taken over")


def test_who_was_taken_over_writes_nothing(path: Path) -> None:
    fence = Fence()
    with Journal(path, lambda: 9.0, fence) as journal:
        list(journal.replay())
        journal.append(SweepEnded(sweep=1))
        before = path.read_bytes()
        fence.taken_over = True
        with pytest.raises(StudyLocked):
            journal.append(SweepEnded(sweep=1))
        fence.taken_over = False
        # Or somebody appended who had stalled between its check and its append.
        path.write_bytes(before + b"another's\n")
        with pytest.raises(StudyLocked, match="another driver has changed"):
            journal.append(SweepEnded(sweep=1))
        assert path.read_bytes() == before + b"another's\n"
        path.unlink()
        with pytest.raises(StudyLocked):
            journal.check()


def test_a_full_disk_leaves_the_journal_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    real_write = os.write
    with Journal(path, lambda: 9.0) as journal:
        list(journal.replay())

        def half(descriptor: int, data: bytes) -> int:
            return real_write(descriptor, data[: len(data) // 2])

        def half_and_error(descriptor: int, data: bytes) -> int:
            half(descriptor, data)
            raise OSError(28, "No space left on device")

        for write in (half, half_and_error):
            with monkeypatch.context() as patch:
                patch.setattr(os, "write", write)
                with pytest.raises(DsiceError, match="No space left on device"):
                    journal.append(SweepEnded(sweep=1))
            assert path.read_bytes() == before
        journal.append(SweepEnded(sweep=2))
    found = list(Lines(path))
    assert len(found) == 5
    assert found[-1] == SweepEnded(t=9.0, session="alone", sweep=2)


def test_what_may_be_flushed_later_is_flushed_with_what_comes_next(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        fsync(descriptor)
        flushed.append(len(list(Lines(path))))

    with Journal(path, lambda: 1.0) as journal:
        known = len(list(journal.replay()))
        monkeypatch.setattr(os, "fsync", note)
        with journal.together(later=True):
            journal.append(AttemptBegan(trial=1, attempt=1))
        assert flushed == []
        with journal.together():
            journal.append(AttemptBegan(trial=2, attempt=1))
            journal.append(AttemptBegan(trial=3, attempt=1))
        assert flushed == [known + 3]
        with journal.together(later=True):
            journal.append(AttemptBegan(trial=4, attempt=1))
        journal.flush()
        journal.flush()
        assert flushed == [known + 3, known + 4]
