from __future__ import annotations

import json
import shutil
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from superres.cli import main
from superres.cutting import Sizes
from superres.data import UNFINISHED, Dataset, cut
from superres.errors import UserError
from superres.photos import folder_photos
from superres.prepare import prepare, space
from superres.resize import Downscaling, enlarge, shrink


def quiet(_: str) -> None:
    pass


def test_a_data_folder(photos: Path, tmp_path: Path) -> None:
    sources, _ = folder_photos(photos, None)
    manifest = prepare(sources, tmp_path / "data", Sizes(crop=96), report=quiet)
    dataset = Dataset(tmp_path / "data")
    assert dataset.manifest == manifest
    assert dataset.tiles == 2 * 3 * 3
    (test,) = dataset.test_images()
    with Image.open(photos / f"{test.entry.name}.png") as original:
        assert (test.high == np.asarray(original)).all()
    assert (test.low == shrink(test.high, 4)).all()
    assert isinstance(test.high, np.memmap)
    for kind in ("original", "bicubic"):
        with Image.open(tmp_path / "data" / "crops" / f"{test.entry.name}-{kind}.png") as crop:
            assert crop.size == (128, 128)


def test_unusable_photographs_are_named_and_skipped(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "text.png").write_text("no image")
    (folder / "empty.png").touch()
    whole = (photos / "apple.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    # A head that claims 100,000 x 100,000 pixels.
    size = b"IHDR" + struct.pack(">II", 100_000, 100_000) + whole[24:29]
    head = struct.pack(">I", 13) + size + struct.pack(">I", zlib.crc32(size))
    (folder / "huge.png").write_bytes(whole[:8] + head + whole[33:])
    with Image.open(photos / "apple.png") as image:
        good = image.transpose(Image.Transpose.ROTATE_180)
        good.save(folder / "good.png")
        good.resize((60, 60)).save(folder / "small.png")
        good.resize((1, 1)).save(folder / "speck.png")
        good.convert("L").convert("RGB").save(folder / "grey.png")
        good.save(folder / "moving.png", save_all=True, append_images=[image])
    Image.fromarray(np.full((200, 200), 999, np.uint16)).save(folder / "deep.png")
    Image.fromarray(np.full((200, 200, 3), (9, 10, 200), np.uint8)).save(folder / "blank.png")
    shutil.copy(folder / "good.png", folder / "twin.png")
    (folder / "album.png").mkdir()
    (folder / "dangling.png").symlink_to(folder / "nowhere")
    sources, left_out = folder_photos(folder, photos)
    lines: list[str] = []
    manifest = prepare(
        sources, tmp_path / "data", Sizes(crop=96), left_out, lines.append, whole_test=True
    )
    reasons = {
        "dangling.png": "cannot be read (No such file or directory)",
        "twin.png": f"duplicate of {folder / 'good.png'}",
        "blank.png": "without detail",
        "deep.png": "more than 8 bits a channel",
        "empty.png": "cannot be decoded (",
        "grey.png": "grey",
        "half.png": "cannot be decoded (",
        "huge.png": "implausibly large",
        "moving.png": "several pictures, such as an animation",
        "small.png": "tiny, 60x60 pixels; a tile has 96x96",
        "speck.png": "tiny, 1x1 pixels",
        "text.png": "cannot be decoded (",
    }
    assert len(manifest.skipped) == len(reasons)
    for line, (name, reason) in zip(manifest.skipped, reasons.items(), strict=True):
        assert line.startswith(f"{folder / name}: {reason}")
    assert [entry.name for entry in manifest.train] == ["good"]
    assert Dataset(tmp_path / "data").manifest == manifest
    assert sum(line.startswith("skip  ") for line in lines) == 12
    assert lines[-1] == (
        "skipped 12 of 16: 1 cannot be read, 1 duplicate, 1 without detail, "
        "1 more than 8 bits a channel, 3 cannot be decoded, 1 grey, 1 implausibly large, "
        "1 several pictures, 2 tiny"
    )


def test_grey_and_transparent_images_are_test_images(photos: Path, tmp_path: Path) -> None:
    """Two of the fourteen images of Set14 are grey."""
    tests = tmp_path / "tests"
    tests.mkdir()
    with Image.open(photos / "apple.png") as image:
        turned = image.transpose(Image.Transpose.ROTATE_180)
    turned.convert("L").save(tests / "l.png")
    turned.convert("L").convert("RGB").save(tests / "stored-as-colour.png")
    transparent = turned.copy()
    transparent.putalpha(Image.new("L", turned.size, 100))
    transparent.save(tests / "rgba.png")
    sources, left_out = folder_photos(photos, tests)
    prepare(sources, tmp_path / "data", Sizes(crop=96), left_out, quiet, whole_test=True)
    dataset = Dataset(tmp_path / "data")
    found = {test.entry.name: test.high for test in dataset.test_images()}
    grey = np.asarray(turned.convert("L").convert("RGB"))
    assert set(found) == {"l", "stored-as-colour", "rgba"}
    assert (found["l"] == grey).all()
    assert (found["stored-as-colour"] == grey).all()
    assert (found["rgba"] == np.asarray(turned)).all()
    assert not dataset.manifest.skipped


@pytest.mark.parametrize("trouble", ["text", "tiny", "dangling", "duplicate", "deep"])
def test_a_test_set_is_whole_or_nothing(
    photos: Path, tmp_path: Path, trouble: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    shutil.copy(photos / "birch.png", tests / "a.png")
    bad = tests / "bad.png"
    if trouble == "text":
        bad.write_text("text")
    elif trouble == "tiny":
        Image.fromarray(np.full((1, 1, 3), (9, 10, 200), np.uint8)).save(bad)
    elif trouble == "dangling":
        bad.symlink_to(tmp_path / "nowhere")
    elif trouble == "duplicate":
        shutil.copy(tests / "a.png", bad)
    else:
        Image.fromarray(np.full((200, 200), 999, np.uint16)).save(bad)
    command = ["prepare", "--crop", "96", "--photos", str(photos), "--test-photos", str(tests)]
    command += ["--out", str(tmp_path / "data")]
    assert main(command) == 2
    reason = {
        "text": "cannot be decoded (",
        "tiny": "tiny, 1x1 pixels; a test image needs 200x200",
        "dangling": "cannot be read (No such file or directory)",
        "duplicate": f"duplicate of {tests / 'a.png'}",
        "deep": "more than 8 bits a channel",
    }[trouble]
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "superres: 1 of 2 test images cannot be used, and the mean" in error
    assert f"{bad}: {reason}" in error
    assert not (tmp_path / "data" / "manifest.json").exists()
    assert main([*command, "--allow-incomplete-test"]) == 0
    (skipped,) = (s for s in Dataset(tmp_path / "data").manifest.skipped if "bad" in s)
    assert skipped.startswith(f"{bad}: {reason}")


def test_photographs_that_were_held_out_are_no_test_set_of_the_users(
    photos: Path, tmp_path: Path
) -> None:
    for photo in photos.iterdir():
        shutil.copy(photo, tmp_path)
    for number in range(12):  # some of them are held out
        (tmp_path / f"bad{number}.png").write_text(f"text {number}")
    sources, left_out = folder_photos(tmp_path, None)
    assert any(source.split == "test" and "bad" in source.name for source in sources)
    assert not left_out


def test_the_folder_is_the_same_whatever_the_number_of_workers(
    photos: Path, tmp_path: Path
) -> None:
    sources, _ = folder_photos(photos, None)
    for workers in (1, 2):
        prepare(sources, tmp_path / str(workers), Sizes(crop=96), report=quiet, workers=workers)
    alone, together = (
        {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        for folder in (tmp_path / "1", tmp_path / "2")
    )
    assert alone == together
    assert {p.name for p in alone} >= {"manifest.json", "hr.npy", "lr.npy"}
    assert UNFINISHED not in {p.name for p in alone}


def test_a_killed_run_leaves_no_data_and_the_next_one_makes_them_whole(
    photos: Path, tmp_path: Path
) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from superres.cutting import Sizes\n"
        "from superres.photos import folder_photos\n"
        "from superres.prepare import prepare\n"
        "def report(line):\n"
        "    if line.startswith('test '):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "sources, _ = folder_photos(Path(sys.argv[1]), None)\n"
        "prepare(sources, Path(sys.argv[2]), Sizes(crop=96), report=report)\n"
    )
    data = tmp_path / "data"
    for _ in range(2):  # a new folder, and one that is replaced
        done = subprocess.run([sys.executable, "-c", code, photos, data])
        assert done.returncode == -signal.SIGKILL
        with pytest.raises(UserError, match="never finished"):
            Dataset(data)
        prepare(folder_photos(photos, None)[0], data, Sizes(crop=96), report=quiet)
        assert Dataset(data).tiles == 18


def test_a_full_disk_is_told_in_one_line(photos: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk without room, and fails in the same way."""
    code = (
        "import resource, sys\n"
        "from superres.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = ["prepare", "--crop", "96", "--photos", str(photos), "--out", str(tmp_path / "data")]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"superres: {tmp_path / 'data'} is not finished" in done.stderr
    assert "up to 0.7 MB" in done.stderr
    with pytest.raises(UserError, match="never finished"):
        Dataset(tmp_path / "data")


def test_a_disk_that_is_too_small_is_refused_before_anything_is_touched(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, _ = folder_photos(photos, None)
    sizes = Sizes(crop=96)
    needed = space(sources, sizes)
    prepare(sources, tmp_path / "data", sizes, report=quiet)
    arrays = sum(path.stat().st_size - 128 for path in (tmp_path / "data").rglob("*.npy"))
    assert needed == arrays
    # What is replaced makes room.
    there = sum(path.stat().st_size for path in (tmp_path / "data").glob("*/*"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed - there))
    prepare(sources, tmp_path / "data", sizes, report=quiet)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed - there - 1))
    with pytest.raises(UserError, match=r"needs up to 0\.7 MB, but only 0\.7 MB are free"):
        prepare(sources, tmp_path / "data", sizes, report=quiet)
    assert Dataset(tmp_path / "data").tiles == 18
    with pytest.raises(UserError, match="are free"):
        prepare(sources, tmp_path / "new" / "data", sizes, report=quiet)
    assert not (tmp_path / "new").exists()


def test_nothing_usable_for_training(photos: Path, tmp_path: Path) -> None:
    sources = [s for s in folder_photos(photos, None)[0] if s.split == "test"]
    with pytest.raises(UserError, match="usable for training"):
        prepare(sources, tmp_path / "data", Sizes(), report=quiet)
    assert not (tmp_path / "data" / "manifest.json").exists()


def test_low_resolution_as_matlab_makes_it(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prepare", "--crop", "96", "--photos", str(photos), "--out", str(tmp_path / "data")]
    assert main([*command, "--downscaling", "matlab"]) == 0
    prepared = json.loads(capsys.readouterr().out.splitlines()[-1])
    dataset = Dataset(tmp_path / "data")
    assert dataset.manifest.downscaling is Downscaling.MATLAB
    (test,) = dataset.test_images()
    low = shrink(test.high, 4, Downscaling.MATLAB)
    assert (test.low == low).all()
    assert (test.low != shrink(test.high, 4)).any()
    large = enlarge(low, 4, Downscaling.MATLAB)
    with Image.open(tmp_path / "data" / "crops" / f"{test.entry.name}-bicubic.png") as crop:
        assert (np.asarray(crop) == cut(large, test.entry.showcase)).all()
    for number in range(dataset.tiles):
        high, tile = dataset.tile(number)
        inside = shrink(np.ascontiguousarray(high), 4, Downscaling.MATLAB)[2:-2, 2:-2]
        assert (inside == tile[2:-2, 2:-2]).all()
    assert main(["evaluate", "--bicubic", "--data", str(tmp_path / "data")]) == 0
    judged = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert all(judged[name] == prepared[name] for name in ("niqe", "rmse", "psnr"))


def test_only_what_it_made_itself_is_replaced(photos: Path, tmp_path: Path) -> None:
    sources, _ = folder_photos(photos, None)
    precious = tmp_path / "mine" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("do not lose")
    with pytest.raises(UserError, match="not empty"):
        prepare(sources, precious.parent, Sizes(crop=96), report=quiet)
    assert precious.read_text() == "do not lose"
    prepare(sources, tmp_path / "data", Sizes(crop=96), report=quiet)
    prepare(sources, tmp_path / "data", Sizes(crop=112), report=quiet)
    assert json.loads((tmp_path / "data" / "manifest.json").read_text())["crop"] == 112


@pytest.mark.parametrize("scale", [2, 8])
def test_data_for_other_scales(photos: Path, tmp_path: Path, scale: int) -> None:
    sources, _ = folder_photos(photos, None)
    prepare(sources, tmp_path, Sizes(crop=96, scale=scale), report=quiet)
    dataset = Dataset(tmp_path)
    assert dataset.scale == scale
    for test in dataset.test_images():
        assert (test.low == shrink(test.high, scale)).all()
        assert all(side % scale == 0 for side in (*test.entry.box, *test.entry.showcase))
    for number in range(dataset.tiles):
        high, low = dataset.tile(number)
        assert high.shape == (96, 96, 3)
        assert low.shape == (96 // scale, 96 // scale, 3)
        # Both show the same place: one is about the reduction of the other.
        difference = shrink(np.ascontiguousarray(high), scale) - low.astype(int)
        assert np.abs(difference[2:-2, 2:-2]).mean() < 1
