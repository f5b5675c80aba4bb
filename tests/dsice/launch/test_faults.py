"""The machine's failures are not the program's: real small file systems, and fakes for the rest."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dsice.launch import output, shim
from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome

ERRNOS = {
    errno.ENOSPC: "the disk was full",
    errno.EDQUOT: "the disk quota was used up",
    errno.EROFS: "the file system was read-only",
    errno.EIO: "the file system had input/output errors",
    errno.ESTALE: "the file server did not know the folder any more",
    errno.ENOMEM: "the machine had no memory left",
    errno.ESHUTDOWN: "the file server had dropped this machine",
}


@pytest.fixture(autouse=True)
def _as_guest(shim_as_guest: None) -> None:
    """Shims run in the process of the tests."""


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a small file system with options of tmpfs; skips where that is not allowed."""
    disk = tmp_path / "disk"

    def mount(options: str) -> Path:
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        if os.getuid() or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting is not allowed here")
        return disk

    yield mount
    subprocess.run(["umount", "-l", "-R", str(disk)], capture_output=True)


def new_job(folder: Path, script: str) -> JobFolder:
    job = JobFolder(folder / "job")
    job.create(JobSpec("job", ("sh", "-c", script), str(folder)))
    return job


def ended(job: JobFolder) -> Outcome:
    shim.run_job(str(job.path))
    outcome = job.outcome()
    assert outcome is not None
    return outcome


FILL = "head -c 10000000 /dev/zero > big"
USE_UP = "i=0; while : > many.$i; do i=$((i + 1)); done"


READ_ONLY = "mount --bind job job && mount -o remount,bind,ro job"


@pytest.mark.parametrize(
    ("options", "script", "reason"),
    [
        ("size=2m", f"{FILL}; exit 2", "the disk was full: exit code 2"),
        ("size=2m", f"{FILL}; echo '{{\"y\": 1}}'", "the disk was full: exit code 1"),
        ("size=2m", f"{FILL}; echo '{{\"y\": 1}}'; true", "the disk was full: it wrote no metrics"),
        ("size=2m", f"{FILL}; kill -9 $$", "the disk was full: killed by SIGKILL"),
        ("size=2m,nr_inodes=40", USE_UP, "the disk had no free inodes: it takes no further files"),
        ("size=2m", f"{READ_ONLY} && : > job/x", "the file system was read-only: exit code 2"),
    ],
)
def test_a_program_that_cannot_write_has_not_failed(
    mounted: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    options: str,
    script: str,
    reason: str,
) -> None:
    disk = mounted(options)
    finish = JobFolder.finish

    def finish_or_make_room(job: JobFolder, outcome: Outcome, seen: Any) -> bool:
        try:
            return finish(job, outcome, seen)
        except OSError:
            subprocess.run(["umount", str(job.path)], capture_output=True)
            for path in (*disk.glob("many.*"), *disk.glob("big")):
                path.unlink()
            raise

    monkeypatch.setattr(JobFolder, "finish", finish_or_make_room)
    monkeypatch.setattr(shim, "_RETRY", 0.0)
    outcome = ended(new_job(disk, script))
    assert outcome.kind is Kind.LOST
    assert outcome.reason.startswith(reason)
    assert not list(disk.glob("job/.probe*"))


def test_without_inodes_a_program_cannot_even_be_started(
    mounted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = mounted("nr_inodes=40")
    job = new_job(disk, "echo '{\"y\": 1}'")
    run, finish = shim._run, JobFolder.finish
    many = [disk / f"many.{index}" for index in range(40)]

    def use_up(job: JobFolder, *rest: Any) -> Outcome:
        with suppress(OSError):
            for path in many:
                path.touch()
        return run(job, *rest)

    def make_room(job: JobFolder, outcome: Outcome, seen: Any) -> bool:
        for path in many:
            path.unlink(missing_ok=True)
        return finish(job, outcome, seen)

    monkeypatch.setattr(shim, "_run", use_up)
    monkeypatch.setattr(JobFolder, "finish", make_room)
    outcome = ended(job)
    assert outcome.kind is Kind.LOST
    assert outcome.reason.startswith("the disk was full: OSError: [Errno 28]")


def fail_probes(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Whoever flushes a probe is told this error."""
    fsync = os.fsync

    def failing(file: int) -> None:
        if ".probe" in str(Path(f"/proc/self/fd/{file}").readlink()):
            raise OSError(number, os.strerror(number))
        fsync(file)

    monkeypatch.setattr(os, "fsync", failing)


@pytest.mark.parametrize("number", ERRNOS)
@pytest.mark.parametrize("script", ["exit 2", "echo rubbish", "kill -15 $$", "no-such-program"])
def test_errors_that_a_probe_meets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, script: str
) -> None:
    fail_probes(monkeypatch, number)
    outcome = ended(new_job(tmp_path, script))
    assert outcome.kind is Kind.LOST
    assert outcome.reason.startswith(ERRNOS[number])


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOENT, errno.EPERM])
def test_errors_that_say_nothing_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fail_probes(monkeypatch, number)
    outcome = ended(new_job(tmp_path, "exit 2"))
    assert (outcome.kind, outcome.reason) == (Kind.EXIT, "exit code 2")


def test_a_failure_with_room_on_the_disk_is_the_programs_own(tmp_path: Path) -> None:
    job = new_job(tmp_path, "echo bad luck; exit 2")
    assert ended(job).kind is Kind.EXIT
    assert not list(job.path.glob(".probe*"))


def test_a_program_that_has_ended_well_is_not_doubted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_probes(monkeypatch, errno.ENOSPC)
    assert ended(new_job(tmp_path, "echo '{\"y\": 1}'")).kind is Kind.OK


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOMEM, Kind.LOST),
        (errno.EAGAIN, Kind.LOST),
        (errno.EIO, Kind.LOST),
        (errno.ENOENT, Kind.NOT_STARTED),
        (errno.EACCES, Kind.NOT_STARTED),
        (errno.E2BIG, Kind.NOT_STARTED),
    ],
)
def test_a_program_that_cannot_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: Kind
) -> None:
    def refused(*arguments: object, **more: object) -> None:
        raise OSError(number, os.strerror(number))

    job = new_job(tmp_path, "true")
    monkeypatch.setattr(subprocess, "Popen", refused)
    outcome = ended(job)
    assert (outcome.kind, outcome.reason) == (kind, f"cannot start 'sh': {os.strerror(number)}")


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EIO, Kind.LOST), (errno.ESTALE, Kind.LOST), (errno.EACCES, Kind.NO_METRICS)],
)
def test_metrics_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: Kind
) -> None:
    def unreadable(path: Path, size: int = 0) -> str:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(output, "_read", unreadable)
    job = new_job(tmp_path, "echo '{\"y\": 1}'")
    outcome = ended(job)
    assert outcome.kind is kind
    assert outcome.reason == (
        f"its metrics cannot be read: {job.metrics_file}: {os.strerror(number)}"
    )
