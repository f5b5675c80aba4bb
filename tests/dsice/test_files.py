"""Files: what is no regular file is never waited for, and what is written is whole."""

import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dsice.files import (
    NotRegular,
    open_private,
    open_regular,
    read_regular,
    write_atomically,
    write_into,
    write_once,
)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def opened(path: Path, mode: str) -> None:
    with open(path, mode, opener=open_private):
        pass


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [(fifo, "a FIFO"), (endless, "a device"), (folder, "a folder"), (listening, "a socket")],
)
def test_what_is_no_regular_file_is_refused_at_once(
    make: Callable[[Path], None], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket may not be long
    path = Path("odd")
    make(path)

    with pytest.raises(NotRegular) as reading:
        read_regular(path)
    with pytest.raises(NotRegular) as writing:
        opened(path, "ab")

    assert reading.value.strerror == f"it is {kind}, not a regular file"
    assert reading.value.filename == "odd"
    link = path.is_symlink()
    assert (
        writing.value.strerror == f"it is {'a symbolic link' if link else kind}, not a regular file"
    )


def test_reading_follows_a_link_and_writing_in_a_study_does_not(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("precious")
    link.symlink_to(victim)
    with open(link, "rb", opener=open_regular) as file:
        assert file.read() == b"precious"

    for mode in ("ab", "wb", "a+b"):
        with pytest.raises(NotRegular, match="a symbolic link"):
            opened(link, mode)

    assert victim.read_text() == "precious"


def test_a_link_to_nothing_creates_nothing(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "authorized_keys")

    with pytest.raises(NotRegular, match="a symbolic link"):
        opened(link, "ab")

    assert not (tmp_path / "authorized_keys").exists()


def test_a_link_that_takes_the_place_of_a_file_just_now_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, path = tmp_path / "victim", tmp_path / "lock"
    victim.write_text("precious")
    path.symlink_to(victim)
    plain = victim.stat()
    monkeypatch.setattr(os, "lstat", lambda _: plain)  # as it was a moment ago

    with pytest.raises(NotRegular, match="a symbolic link"):
        opened(path, "wb")

    assert victim.read_text() == "precious"


def test_a_limit_bounds_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # takes no room on the disk

    with pytest.raises(OSError, match="more than 1,000 bytes"):
        read_regular(path, 1000)

    path.write_bytes(b"x" * 1000)
    assert read_regular(path, 1000) == b"x" * 1000
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none")


def test_a_file_that_the_user_named_replaces_what_a_link_points_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "page.html", tmp_path / "page.html"
    target.write_text("old")
    target.chmod(0o604)
    link.symlink_to("real/page.html")
    before = target.stat().st_ino

    write_into(link, "new")

    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o604
    assert target.stat().st_ino != before  # readers of the old one have all of it
    assert sorted(p.name for p in (tmp_path / "real").iterdir()) == ["page.html"]


def test_a_link_to_nothing_yet_is_kept(tmp_path: Path) -> None:
    link = tmp_path / "page.html"
    link.symlink_to(tmp_path / "real.html")

    write_into(link, "new")

    assert link.is_symlink()
    assert (tmp_path / "real.html").read_text() == "new"


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    before = Path(os.devnull).stat()
    write_into(Path(os.devnull), "gone")
    link = tmp_path / "link"
    link.symlink_to(os.devnull)
    write_into(link, b"gone")

    after = Path(os.devnull).stat()
    assert stat.S_ISCHR(after.st_mode)
    assert (after.st_ino, after.st_rdev) == (before.st_ino, before.st_rdev)
    assert link.is_symlink()


def test_a_fifo_is_written_into(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()), daemon=True)
    reader.start()

    write_into(path, "through")

    reader.join(60)
    assert read == [b"through"]
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("piped", [True, False])
def test_standard_output_is_written_into_where_it_stands(
    name: str, piped: bool, tmp_path: Path
) -> None:
    program = (
        "import sys; from pathlib import Path; from dsice.files import write_into;"
        "print('before', flush=True); write_into(Path(sys.argv[1]), 'middle\\n'); print('after')"
    )
    command = [sys.executable, "-c", program, name]
    if piped:
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    else:
        with (tmp_path / "out").open("wb") as file:
            subprocess.run(command, stdout=file, check=True)
        text = (tmp_path / "out").read_text()

    assert text == "before\nmiddle\nafter\n"


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write_into(tmp_path, "text")


@pytest.mark.parametrize("write", [write_into, write_atomically, write_once])
def test_nothing_planted_under_a_temporary_name_is_written_to(
    write: Callable[[Path, str], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr("dsice.files.secrets.token_hex", lambda _: "guessed")
    planted = tmp_path / f".page.{os.getpid()}.guessed"
    planted.symlink_to(victim)

    with pytest.raises(FileExistsError):
        write(tmp_path / "page", "text")

    assert victim.read_text() == "precious"
    assert not (tmp_path / "page").exists()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "page"
    path.write_text("old")

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dsice.files.os.fsync", full)
    for write in (write_into, write_atomically):
        with pytest.raises(OSError, match="No space"):
            write(path, "new")

    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["page"]
