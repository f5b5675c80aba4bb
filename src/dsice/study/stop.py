"""How a driver is told to stop."""

from __future__ import annotations

from enum import IntEnum


class Stop(IntEnum):
    """How a driver was told to stop; a later request can only be stronger."""

    NO = 0
    DRAIN = 1
    """Begin nothing new; wait for what runs."""
    CANCEL = 2
    """Make what runs end; it is begun again on resumption."""
    LEAVE = 3
    """Go at once; what runs goes on, and is taken up on resumption."""
