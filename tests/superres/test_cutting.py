from __future__ import annotations

import numpy as np
import pytest

from superres.cutting import Sizes, most_detailed, tile_corners
from superres.errors import UserError


@pytest.mark.parametrize(("length", "crop"), [(96, 96), (100, 96), (208, 96), (1356, 160)])
def test_tiles_cover_everything_on_the_grid(length: int, crop: int) -> None:
    corners = tile_corners(length, crop)
    covered = np.zeros(length, bool)
    for corner in corners:
        assert corner % 4 == 0
        assert corner + crop <= length
        covered[corner : corner + crop] = True
    assert covered.all()
    assert len(corners) == -(-length // crop)


def test_the_most_detailed_window_is_found() -> None:
    image = np.full((60, 80, 3), 90, np.uint8)
    image[24:40, 44:60] = np.random.default_rng(0).integers(0, 255, (16, 16, 3))
    assert most_detailed(image, 16, 16) == (24, 44, 16, 16)
    assert most_detailed(image, 60, 80) == (0, 0, 60, 80)


@pytest.mark.parametrize("sizes", [(100, 768, 8), (98, 768, 8), (33, 768, 2)])
def test_sizes_are_multiples_of_the_scale(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(UserError, match=f"multiple of {sizes[2]}"):
        Sizes(*sizes)


@pytest.mark.parametrize("sizes", [(98, 768), (28, 768), (160, 100), (160, 770)])
def test_impossible_sizes_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(UserError, match="multiple of 4"):
        Sizes(*sizes)
