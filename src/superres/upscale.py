"""Enlarging a user's images of any kind within a memory limit."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from superres.data import Pixels
from superres.errors import UserError
from superres.files import require_folder, write_whole
from superres.images import is_several, opened
from superres.model import Generator
from superres.tiling import network_upscaler, return_freed_memory

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif")
"""What counts as an image in a folder. A file that is named itself may have any name."""

# Bytes per pixel: of the input, decoded and converted; of the result during its computation; and of
# the result while it is written, with Pillow's four bytes per pixel, and transparency.
_INPUT, _RESULT, _ENCODED = 16, 3, 9

# Seconds between two lines about the progress within one image.
_PAUSE = 2.0


@dataclass(frozen=True, slots=True)
class Task:
    """An image and the file for its enlargement."""

    source: Path
    target: Path


def find_images(named: Sequence[Path], out: Path) -> list[Task]:
    """Find the images that the user names, and the paths of their enlargements.

    An image becomes `out/STEM.png`. A folder stands for all images in it and in its subfolders,
    which are recreated in `out`; hidden ones and `out` itself are ignored.

    Raises:
        UserError: two images would have the same result file, a result would replace an image of
            the user, a folder contains no image, or `out` is a file.
    """
    require_folder(out)
    tasks: dict[Path, Task] = {}
    for path in named:
        found = _in_folder(path, out) if path.is_dir() else [(path, Path())]
        for source, below in found:
            task = Task(source, out / below / f"{source.stem}.png")
            if task.target in tasks:
                raise UserError(
                    f"{tasks[task.target].source} and {source} would both become {task.target}"
                )
            tasks[task.target] = task
    sources = {_real(task.source) for task in tasks.values()}
    for target in tasks:
        if _real(target) in sources:
            raise UserError(f"{target} would be replaced by its enlargement: name another --out")
    return list(tasks.values())


def _in_folder(folder: Path, out: Path) -> Iterable[tuple[Path, Path]]:
    """The images in `folder`, sorted, each with its path relative to it."""
    # Results of an earlier run in a separate folder are not images of the user.
    results, whole = _real(out), _real(folder)
    nested = results.is_relative_to(whole) and results != whole
    found = []
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        ours = nested and _real(path).is_relative_to(results)
        hidden = any(part.startswith(".") for part in below.parts)
        # A dangling link is reported later as unreadable.
        is_file = path.is_file() or (path.is_symlink() and not path.exists())
        if path.suffix.lower() in EXTENSIONS and is_file and not (ours or hidden):
            found.append((path, below.parent))
    if not found:
        raise UserError(f"no image in {folder}")
    return found


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # unlike `resolve`, tolerates links to themselves


class Enlarger:
    """An upscaler that keeps the whole process below a memory limit.

    Args:
        generator: in evaluation mode.
        memory: maximum bytes of the process; without it, see `network_upscaler`.
        threads: number of torch's threads.
        ensemble: see `network_upscaler`.
    """

    def __init__(
        self,
        generator: Generator,
        memory: int | None = None,
        threads: int = 1,
        *,
        ensemble: bool = False,
    ) -> None:
        if memory is not None:
            return_freed_memory()
        self._generator = generator
        self._memory = memory
        self._threads = threads
        self._ensemble = ensemble

    def check(self, width: int, height: int) -> None:
        """Check that an image can be decoded and its enlargement computed and written.

        Raises:
            UserError: it would exceed the limit.
        """
        if self._memory is None:
            return
        pixels, larger = width * height, width * height * self._generator.config.scale**2
        needed = _occupied() + _INPUT * pixels + _ENCODED * larger
        if needed > self._memory:
            raise UserError(
                f"{width}x{height} pixels and their enlargement alone need {needed / 1e6:.0f} MB, "
                f"which is more than --memory allows"
            )

    def __call__(self, image: Pixels) -> Pixels:
        """Enlarge (H, W, 3) to (sH, sW, 3), uint8 RGB."""
        memory = self._memory
        if memory is not None:
            height, width = image.shape[:2]
            memory -= _occupied() + _RESULT * height * width * self._generator.config.scale**2
        upscaler = network_upscaler(
            self._generator, memory, self._threads, _pieces(), ensemble=self._ensemble
        )
        try:
            return upscaler(image)
        except (MemoryError, RuntimeError) as error:  # torch has no specific class
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            raise UserError("this machine has too little memory: try with --memory") from error


def upscale_all(tasks: Sequence[Task], enlarger: Enlarger) -> None:
    """Enlarge all images, with a line about each; unreadable ones are skipped.

    Raises:
        UserError: an image was not enlarged.
    """
    failures: list[UserError] = []
    for number, task in enumerate(tasks, 1):
        began = time.monotonic()
        try:
            size = upscale_file(task.source, task.target, enlarger, enlarger.check)
        except UserError as error:
            failures.append(error)
            if len(tasks) > 1:
                print(f"skip   {error}", flush=True)
            continue
        seconds = time.monotonic() - began
        line = f"{task.target}  {size[0]}x{size[1]} pixels, {seconds:.1f} s"
        print(f"[{number}/{len(tasks)}] {line}", flush=True)
    if len(failures) > 1:
        raise UserError(f"{len(failures)} of {len(tasks)} images were not enlarged, see above")
    if failures:
        raise failures[0]


def upscale_file(
    source: Path,
    target: Path,
    upscaler: Callable[[Pixels], Pixels],
    check: Callable[[int, int], None] = lambda width, height: None,
) -> tuple[int, int]:
    """Enlarge the image in `source` and write it to `target`, a PNG file.

    Grey images stay grey. Transparency is enlarged by bicubic interpolation, since it is not a
    photograph. The image is turned upright by its EXIF orientation, and its colour profile is kept.

    Args:
        source: any image that Pillow reads with 8 bits per channel.
        target: appears when it is complete.
        upscaler: maps (H, W, 3) to (sH, sW, 3), uint8 RGB.
        check: called with width and height before the image is decoded; may raise `UserError`.

    Returns:
        Width and height of the result.

    Raises:
        UserError: `source` cannot be read, has more than 8 bits per channel or more than one
            picture, or `target` cannot be written.
    """
    image = _read(source, check)
    try:
        enlarged = upscale_image(image, upscaler)
    except UserError as error:  # does not know the file
        raise UserError(f"{source}: {error}") from error
    same_colours = enlarged.mode == image.mode or image.mode in ("P", "PA")
    profile = image.info.get("icc_profile") if same_colours else None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, lambda file: enlarged.save(file, format="PNG", icc_profile=profile))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot write {target}: {error}") from error
    return enlarged.size


def upscale_image(image: Image.Image, upscaler: Callable[[Pixels], Pixels]) -> Image.Image:
    """Enlarge an 8-bit image; the mode of the result is L, LA, RGB or RGBA as needed."""
    transparent = image.has_transparency_data
    grey = image.mode in ("1", "L", "LA", "La")
    rgb = image.convert("RGBA" if transparent else "RGB").convert("RGB")
    result = Image.fromarray(upscaler(np.asarray(rgb)))
    if grey:
        result = result.convert("L")
    if transparent:
        alpha = image.convert("RGBA").getchannel("A")
        result.putalpha(alpha.resize(result.size, Image.Resampling.BICUBIC))
    return result


def _read(source: Path, check: Callable[[int, int], None]) -> Image.Image:
    with opened(source) as image:
        if is_several(image):
            raise UserError(f"{source} holds several pictures: extract one first")
        try:
            check(*image.size)
        except UserError as error:  # does not know the file
            raise UserError(f"{source}: {error}") from error
        upright = ImageOps.exif_transpose(image)
        upright.load()
        if upright.mode not in ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa"):
            upright = upright.convert("RGB")
            upright.info.pop("icc_profile", None)  # the profile was for other colours
    return upright


def _pieces() -> Callable[[int, int], None]:
    """Progress callback for images that take long."""
    last = time.monotonic()

    def progress(done: int, of: int) -> None:
        nonlocal last
        if done < of and time.monotonic() - last >= _PAUSE:
            last = time.monotonic()
            print(f"       piece {done} of {of}", flush=True)

    return progress


def _occupied() -> int:
    """Current memory of this process in bytes."""
    try:
        with Path("/proc/self/status").open() as status:
            (line,) = (line for line in status if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024
    except (OSError, ValueError):  # not Linux: use the peak so far instead, which is higher
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
