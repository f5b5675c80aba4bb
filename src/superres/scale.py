"""The supported scales, separate from the networks to avoid importing torch."""

from __future__ import annotations

from superres.errors import UserError

SCALES = (2, 4, 8)
"""Enlargements of one side that the authors of DBPN publish networks for."""

DEFAULT_SCALE = 4
"""That of the PIRM challenge."""


def check_scale(scale: int) -> int:
    """Return `scale` if networks support it.

    Raises:
        UserError: it is not in `SCALES`.
    """
    if scale not in SCALES:
        raise UserError(f"images are enlarged 2x, 4x or 8x, not {scale}x")
    return scale
