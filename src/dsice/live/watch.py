"""The live view of a study in a terminal, for a study that another process drives."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from dsice.live.follow import Followed
from dsice.study.state import Study
from dsice.terminal import Terminal


def watch(
    path: Path, terminal: Terminal, wait: Callable[[float], None] = time.sleep, every: float = 1.0
) -> Study:
    """Show a study until no driver is at work on it, and return it as it stands then.

    Args:
        path: of its directory.
        terminal: where to show it.
        wait: passes the seconds between two looks.
        every: how many these are.

    Raises:
        InvalidInput: there is no study, or its files are damaged.
    """
    followed = Followed(path)
    while True:
        # In this order: what a driver wrote before it left is seen in the last look.
        driven = followed.is_driven()
        study = followed.look()
        terminal.show(study, live=driven)
        if not driven:
            return study
        wait(every)
