"""Reporting intermediate metrics from a running program, by lines of its progress file."""

from __future__ import annotations

import json
import os
from pathlib import Path


def report(**values: float) -> None:
    """Report intermediate metrics and their step from within a trial.

    ``dsice.report(epoch=3, loss=0.41)`` appends a line to the file that the environment variable
    ``DSICE_PROGRESS`` names. Outside of a trial it does nothing, so the same program also runs
    on its own.

    Args:
        values: numbers by name; NumPy's and PyTorch's scalars are accepted.

    Raises:
        ValueError: a value is not a number.
    """
    path = os.environ.get("DSICE_PROGRESS")
    if not path:
        return
    plain = {}
    for name, value in values.items():
        try:
            plain[name] = value if isinstance(value, int | float) else float(value)
        except (TypeError, ValueError):
            raise ValueError(f"{name} = {value!r}: a number is needed") from None
    # A single write, so that concurrent readers and writers see whole lines.
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(plain) + "\n")
