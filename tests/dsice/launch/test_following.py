"""Following output that may come in any way."""

from __future__ import annotations

import json
from pathlib import Path

from dsice.launch import following
from dsice.launch.following import Follower


def entries(progress: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in progress.read_text().splitlines()]


def test_lines_that_come_in_pieces(tmp_path: Path) -> None:
    out, progress = tmp_path / "out", tmp_path / "progress.jsonl"
    follower = Follower(r"y=(?P<y>\d+)", [out, tmp_path / "never"], progress)
    with out.open("w") as file:
        for piece in ("y=1", "2\ny", "=3\n", "y=4"):
            file.write(piece)
            file.flush()
            follower._look()
    assert entries(progress) == [{"y": 12}, {"y": 3}]
    follower.end()
    assert entries(progress) == [{"y": 12}, {"y": 3}, {"y": 4}]


def test_what_comes_too_fast_is_skipped(tmp_path: Path) -> None:
    out, progress = tmp_path / "out", tmp_path / "progress.jsonl"
    follower = Follower(r"^y=(?P<y>\d+)$", [out], progress)
    lines = [f"y={i}\n" for i in range(300_000)]
    out.write_text("".join(lines))
    follower.end()
    found = entries(progress)
    assert found[-1] == {"y": 299_999}
    assert 0 < len(found) <= following._MOST / 4


def test_a_program_s_own_progress_stays(tmp_path: Path) -> None:
    out, progress = tmp_path / "out", tmp_path / "progress.jsonl"
    progress.write_text('{"y": 0}\n')
    follower = Follower(r"y=(?P<y>\d+)", [out], progress)
    out.write_text("y=1\n")
    follower.end()
    assert entries(progress) == [{"y": 0}, {"y": 1}]
