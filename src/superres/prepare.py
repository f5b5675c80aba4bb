"""Preparing a data folder from photographs; `superres.data` describes and reads it."""

from __future__ import annotations

import errno
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path

from PIL import Image

from superres.arrays import ArrayWriter, write_array
from superres.cutting import Prepared, Sizes, cut_photo
from superres.data import UNFINISHED, Manifest, TestEntry, TrainEntry, cut
from superres.errors import UserError
from superres.files import require_folder
from superres.photos import LeftOut, Source, Unusable, read_size
from superres.progress import Progress
from superres.resize import enlarge
from superres.workers import in_processes

# The disk, a quota or the maximum file size is exhausted.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# Maximum number of photographs in a message.
_SHOWN = 3


def prepare(
    sources: Sequence[Source],
    out: Path,
    sizes: Sizes,
    left_out: Sequence[LeftOut] = (),
    report: Callable[[str], None] = print,
    workers: int = 1,
    *,
    whole_test: bool = False,
) -> Manifest:
    """Decode every photograph once and write the data folder `out`.

    Corrupt and tiny photographs, and grey ones for training, are skipped and listed in `report` and
    the manifest. The folder does not depend on the number of workers, and has no manifest until it
    is complete.

    Args:
        sources: the photographs.
        out: a new or empty folder, or one that an earlier call made or began, which is replaced.
        sizes: sizes of tiles and test images.
        left_out: files left out before, for the manifest.
        report: receives lines about skipped photographs, and a summary.
        workers: processes that decode; 1 means that everything runs in this one.
        whole_test: whether every test image must be usable, as results on a part of a set do not
            represent the set.

    Raises:
        UserError: `out` contains something else or has too little space, no photograph is usable
            for training or test, or, with `whole_test`, a test image is unusable.
    """
    if whole_test:
        _check_test(left_out, _tests(sources, left_out))
    for one in left_out:
        report(f"skip   {one}")
    needed = space(sources, sizes)
    report(f"{len(sources)} photographs, {_text(needed)} of data at most")
    try:
        _make_room(out, needed)
        manifest = _write_all(sources, out, sizes, left_out, report, workers, whole_test)
        manifest.save(out)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise UserError(
            f"{out} is not finished, since no more can be written there ({error.strerror}): "
            f"it needs up to {_text(needed)}"
        ) from error
    return manifest


def space(sources: Iterable[Source], sizes: Sizes) -> int:
    """Upper bound on the bytes of the data of photographs, from their file headers."""
    crop, pixels = sizes.crop, 0
    for source in sources:
        size = read_size(source.path, halved=sizes.halve_jpeg and source.low is None)
        if size is None:
            continue
        if source.split == "test":
            pixels += min(size[0], sizes.test_crop) * min(size[1], sizes.test_crop)
        elif min(size) >= crop:
            pixels += math.prod(-(-length // crop) for length in size) * crop**2
    return 3 * (pixels + pixels // sizes.scale**2)


def _write_all(
    sources: Sequence[Source],
    out: Path,
    sizes: Sizes,
    known: Sequence[LeftOut],
    report: Callable[[str], None],
    workers: int,
    whole_test: bool,
) -> Manifest:
    """Write everything except the manifest."""
    train: list[TrainEntry] = []
    test: list[TestEntry] = []
    left_out = list(known)
    tests = _tests(sources, known)
    do = partial(cut_photo, sizes=sizes)
    results = in_processes(do, sources, workers) if workers > 1 else map(do, sources)
    crop, scale = sizes.crop, sizes.scale
    with (
        ArrayWriter(out / "train" / "hr.npy", (crop, crop, 3)) as high,
        ArrayWriter(out / "train" / "lr.npy", (crop // scale, crop // scale, 3)) as low,
        Progress("photographs prepared", len(sources)) as progress,
    ):
        for source, result in zip(sources, results, strict=True):
            if whole_test and source.split == "train":  # all test images come first
                _check_test(left_out, tests)
            if isinstance(result, Unusable):
                left_out.append(LeftOut(source.origin, source.split, result))
                report(f"skip   {left_out[-1]}")
            elif isinstance(result.entry, TrainEntry):
                high.append(result.high)
                low.append(result.low)
                train.append(result.entry)
            else:
                _write_test(out, result.entry, result, sizes)
                test.append(result.entry)
            progress.advance()
    if whole_test:
        _check_test(left_out, tests)
    for split, entries in (("training", train), ("test", test)):
        if not entries:
            raise UserError(f"no photograph is usable for {split}")
    report(f"train  {sum(entry.tiles for entry in train)} tiles of {len(train)} photographs")
    report(f"test   {len(test)} images")
    if left_out:
        reasons = Counter(one.reason.kind for one in left_out)
        kinds = ", ".join(f"{count} {kind}" for kind, count in reasons.items())
        report(f"skipped {len(left_out)} of {len(sources) + len(known)}: {kinds}")
    skipped = tuple(map(str, left_out))
    return Manifest(
        sizes.crop,
        tuple(train),
        tuple(test),
        skipped,
        scale,
        sizes.downscaling,
        sizes.halve_jpeg,
    )


def _tests(sources: Sequence[Source], left_out: Sequence[LeftOut]) -> int:
    """Number of all test images."""
    splits = [source.split for source in sources] + [one.split for one in left_out]
    return splits.count("test")


def _check_test(left_out: Sequence[LeftOut], tests: int) -> None:
    """Check that no test image was left out.

    Args:
        left_out: files left out so far.
        tests: number of all test images.

    Raises:
        UserError: a test image was left out.
    """
    missing = [str(one) for one in left_out if one.split == "test"]
    if missing:
        shown = "; ".join(missing[:_SHOWN]) + ("; .." if len(missing) > _SHOWN else "")
        raise UserError(
            f"{len(missing)} of {tests} test images cannot be used, and the mean of the others "
            f"is not that of the set: {shown} (--allow-incomplete-test goes on without)"
        )


def _make_room(out: Path, needed: int) -> None:
    require_folder(out)
    manifest, unfinished = out / "manifest.json", out / UNFINISHED
    is_ours = manifest.is_file() or unfinished.is_file()
    if out.is_dir() and any(out.iterdir()) and not is_ours:
        raise UserError(f"{out} is not empty and holds no prepared data: name a new folder")
    parts = [out / part for part in ("train", "test", "crops")]
    there = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    free += sum(file.stat().st_size for part in parts for file in part.glob("*"))  # to be replaced
    if needed > free:
        raise UserError(f"{out} needs up to {_text(needed)}, but only {_text(free)} are free there")
    out.mkdir(parents=True, exist_ok=True)
    # The manifest marks a complete folder, so it is removed first and written last. The file in its
    # place until then distinguishes an incomplete folder from one of the user's.
    if manifest.is_file():
        manifest.replace(unfinished)
    unfinished.touch()
    for part in parts:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()


def _write_test(out: Path, entry: TestEntry, made: Prepared, sizes: Sizes) -> None:
    write_array(out / "test" / f"{entry.name}-hr.npy", made.high)
    write_array(out / "test" / f"{entry.name}-lr.npy", made.low)
    bicubic = enlarge(made.low, sizes.scale, sizes.downscaling)
    for kind, image in (("original", made.high), ("bicubic", bicubic)):
        png = BytesIO()
        Image.fromarray(cut(image, entry.showcase)).save(png, "PNG")
        (out / "crops" / f"{entry.name}-{kind}.png").write_bytes(png.getvalue())


def _text(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
