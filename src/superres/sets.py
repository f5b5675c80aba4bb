"""Judging upscalers on folders of originals, as papers judge them on Set5, Set14 and BSD100."""

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
        name: as the table shows it.
        files: the originals by their names without extension, sorted.
    """

    __test__ = False  # the name is no invitation to pytest

    name: str
    files: tuple[tuple[str, Path], ...]


def find_set(text: str) -> TestSet:
    """The test set that a command line names: `FOLDER`, or `NAME=FOLDER`.

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
    """Make every original smaller, enlarge it again, and judge the result.

    Sides are cut to multiples of the scale first, at the right and at the bottom.

    Args:
        test_set: the originals.
        upscaler: (H, W, 3) to (sH, sW, 3), uint8 RGB.
        scale: s.
        downscaling: how low resolution is made.
        protocol: how results are judged.
        model: of Ma's score; without it there is neither Ma nor PI.
        workers: processes that judge; the images are enlarged in this one.
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
    """See from the heads of all files whether the images can be judged.

    Raises:
        UserError: one cannot be read or is too small; or two sets have one name.
    """
    names = [one.name for one in sets]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two test sets are called {name}: name one of them as NAME=FOLDER")
    for one in sets:
        for name, path in one.files:
            width, height = (side - side % scale for side in read_size(path))
            check_sizes(f"{one.name}: {name}", (width, height), (width, height), shave)
