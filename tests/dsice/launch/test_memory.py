"""Who was killed for memory, in trees of control groups like those of Linux."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsice.launch.memory import MemoryWatch

VERSION_1 = "12:cpu,cpuacct:/user\n5:memory:/slurm/job_7\n1:name=systemd:/x\n"
VERSION_2 = "0::/system.slice/job_7\n"
COUNTERS = {
    VERSION_1: ("memory/slurm/job_7/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n"),
    VERSION_2: ("system.slice/job_7/memory.events", "low 0\nhigh 9\nmax 3\noom 5\n"),
}


@pytest.mark.parametrize("membership", COUNTERS)
def test_kills_are_counted_from_the_beginning(tmp_path: Path, membership: str) -> None:
    (tmp_path / "cgroup").write_text(membership)
    name, others = COUNTERS[membership]
    counter = tmp_path / "root" / name
    counter.parent.mkdir(parents=True)
    counter.write_text(f"{others}oom_kill 2\n")
    watch = MemoryWatch(tmp_path / "cgroup", tmp_path / "root")
    assert not watch.was_exceeded()
    counter.write_text(f"{others}oom_kill 3\noom_group_kill 0\n")
    assert watch.was_exceeded()
    assert not MemoryWatch(tmp_path / "cgroup", tmp_path / "root").was_exceeded()


@pytest.mark.parametrize("membership", [*COUNTERS, "", "3:cpu:/x\n", None])
@pytest.mark.parametrize("text", [None, "", "oom_kill many\n"])
def test_where_nothing_can_be_read(
    tmp_path: Path, membership: str | None, text: str | None
) -> None:
    if membership is not None:
        (tmp_path / "cgroup").write_text(membership)
    if text is not None:
        for name, _ in COUNTERS.values():
            (tmp_path / "root" / name).parent.mkdir(parents=True)
            (tmp_path / "root" / name).write_text(text)
    assert not MemoryWatch(tmp_path / "cgroup", tmp_path / "root").was_exceeded()


def test_on_this_machine() -> None:
    assert not MemoryWatch().was_exceeded()
