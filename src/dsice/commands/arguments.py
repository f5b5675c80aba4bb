"""What the arguments of several commands have in common."""

from __future__ import annotations

import argparse
from typing import TypeAlias

from dsice.errors import InvalidInput

# A string, as the class takes no parameters while the program runs.
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def duration(text: str) -> float:
    """Seconds from ``9 h``, as the type of an argument."""
    from dsice.units import seconds

    try:
        return seconds(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None
