"""Judging upscalers on folders of originals, as in papers on Set5, Set14 and BSD100."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from superres.data import Pixels
from superres.errors import UserError
from superres.judging import Distance, Pair, Protocol, check_sizes, judge_all
from superres.metrics.ma import MaModel
from superres.pairs import image_files, read_pixels, read_size
from superres.resize import Downscaling, shrink
from superres.scores import Scores


@dataclass(frozen=True, slots=True)
class TestSet:
    """A test set.

    Attributes:
        name: its name in tables.
        files: the originals by their names without extension, sorted.
    """

    __test__ = False  # not a test class of pytest

    name: str
    files: tuple[tuple[str, Path], ...]


def find_set(text: str) -> TestSet:
    """Find the test set that a command line names as `FOLDER` or `NAME=FOLDER`.

    Raises:
        UserError: no such folder, or no image in it.
    """
    name, equals, folder = text.partition("=")
    path = Path(folder if equals else text)
    return TestSet(name if equals else path.resolve().name, tuple(image_files(path).items()))


def judge_set(
    test_set: TestSet,
    upscaler: Callable[[Pixels], Pixels],
    scale: int,
    downscaling: Downscaling,
    protocol: Protocol,
    model: MaModel | None = None,
    workers: int = 1,
    distance: Distance | None = None,
) -> Scores:
    """Downscale every original, enlarge it again, and judge the result.

    Originals are first cropped at the right and at the bottom to multiples of the scale.

    Args:
        test_set: the originals.
        upscaler: maps (H, W, 3) to (sH, sW, 3), uint8 RGB.
        scale: the scale s.
        downscaling: how low-resolution images are made.
        protocol: how results are judged.
        model: the model of Ma's score; without it there is neither Ma nor PI.
        workers: processes that compute metrics; the images are enlarged in this one.
        distance: LPIPS, if wanted.

    Raises:
        UserError: an image cannot be read or is too small to be judged.
    """

    def results() -> Iterator[Pair]:
        for name, path in test_set.files:
            original = read_pixels(path)
            height, width = (side - side % scale for side in original.shape[:2])
            original = original[:height, :width]
            yield Pair(name, upscaler(shrink(original, scale, downscaling)), original)

    return judge_all(results(), len(test_set.files), model, workers, protocol, distance)


def check_sets(sets: Sequence[TestSet], scale: int, shave: int) -> None:
    """Check from all file headers that the images can be judged.

    Raises:
        UserError: an image cannot be read or is too small, or two sets have the same name.
    """
    names = [one.name for one in sets]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two test sets are called {name}: name one of them as NAME=FOLDER")
    for one in sets:
        for name, path in one.files:
            width, height = (side - side % scale for side in read_size(path))
            check_sizes(f"{one.name}: {name}", (width, height), (width, height), shave)
