"""Metrics in ordinary output, which may be huge and hostile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dsice.errors import InvalidInput
from dsice.launch import patterns
from dsice.launch.patterns import LineReader, Pattern, metrics_by


@pytest.fixture
def written(tmp_path: Path) -> Path:
    (tmp_path / "out").write_text("acc: 0.1\nnoise\nacc: 0.9\nacc: bad\ntime 1.3 ms\n")
    (tmp_path / "err").write_text("acc: 5\nloss 0.25\rloss 0.125\r")
    return tmp_path


def found(folder: Path, **wanted: Pattern) -> tuple[dict[str, float], dict[str, str]]:
    return metrics_by(wanted, folder / "out", folder / "err", folder)


def test_the_last_match_counts_and_the_output_before_the_error_output(written: Path) -> None:
    metrics, others = found(
        written,
        acc=Pattern(r"acc: ([\d.]+)"),
        loss=Pattern(r"^loss ([\d.]+)$"),  # rewritten in place, as progress bars are
        ms=Pattern("time (.*)", unit="us"),
        whole=Pattern(r"(?<=time )[\d.]+"),  # without a group
        either=Pattern(r"never (\d+)|time ([\d.]+)"),
    )
    assert metrics == {"acc": 0.9, "loss": 0.125, "ms": 1300.0, "whole": 1.3, "either": 1.3}
    assert others == {}


def test_what_is_not_needed_may_be_absent_or_no_number(written: Path) -> None:
    metrics, others = found(written, a=Pattern("nothing (.*)"), b=Pattern(r"acc: (\D+)$"))
    assert (metrics, others) == ({}, {"b": "bad"})


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (
            Pattern("PSNR (.*)", needed=True),
            "metric 'y' is not in its output, where nothing matches 'PSNR (.*)'; its last line is: "
            "time 1.3 ms",
        ),
        (Pattern("acc: (.*)", needed=True), "metric 'y': 'bad' is no number"),
        (
            Pattern("x", file="log.txt", needed=True),
            "metric 'y' is not in its file 'log.txt', where nothing matches 'x'",
        ),
    ],
)
def test_what_is_needed_and_not_there(written: Path, pattern: Pattern, message: str) -> None:
    with pytest.raises(ValueError, match="metric") as raised:
        found(written, y=pattern)
    assert str(raised.value) == message


def test_a_file_counts_if_this_run_wrote_it(written: Path) -> None:
    (written / "log.txt").write_text("y = 3\n")
    wanted = {"y": Pattern("y = (.*)", file="log.txt")}
    began = (written / "log.txt").stat().st_mtime_ns
    arguments = wanted, written / "out", written / "err", written
    assert metrics_by(*arguments, since_ns=began)[0] == {"y": 3.0}
    assert metrics_by(*arguments, since_ns=began + 1)[0] == {}


def test_only_the_end_of_a_huge_output_is_read(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        file.write(b"y = 1\n")
        file.truncate(10_000_000_000)  # a hole: gigabytes of zeros
        file.seek(0, os.SEEK_END)
        file.write(b"z = 2\n\xff\xfe\n")
    assert found(tmp_path, y=Pattern("y = (.*)"), z=Pattern("z = (.*)"))[0] == {"z": 2.0}


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log.txt")
    assert found(tmp_path, y=Pattern("y", file="log.txt")) == ({}, {})


def test_an_expression_without_end_is_broken_off(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x" * 5000)
    endless = r"(?:x+x+)+y"
    with pytest.raises(ValueError, match="takes too long on its output: make it simpler"):
        patterns.last_match(endless, "x" * 5000, budget=0.2)
    reader = LineReader("(?P<y>(?:x+x+)+y)")
    assert list(reader.entries(["x" * 5000, "xxy"])) == []
    assert reader.given_up


@pytest.mark.parametrize("pattern", ["(", "a{99999999999999999999}", "x" * 3000, "(?P<1>x)"])
def test_an_expression_that_is_none(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="regular expression"):
        patterns.check(pattern)


def test_lines_tell_by_named_groups() -> None:
    reader = LineReader(r"epoch (?P<epoch>\d+)(?: of \d+)?: loss (?P<loss>\S+)(?: (?P<what>\w+))?")
    entries = list(reader.entries(["epoch 1 of 3: loss 0.5", "else", "epoch 2: loss nan done"]))
    assert entries == [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": "nan", "what": "done"}]
    with pytest.raises(InvalidInput, match="names no group"):
        patterns.check_named(r"loss ([\d.]+)")
