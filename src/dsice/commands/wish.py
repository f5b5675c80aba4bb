"""Shared code of ``dsice retry``, ``discard`` and ``add``: makes a request and reports on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dsice.errors import DsiceError
from dsice.text import one_line, say

if TYPE_CHECKING:
    from dsice.study.requests import Wish
    from dsice.study.state import Study

ANYTIME: Final = (
    "A driver that is at work takes it up within moments; without one it is done at once. It is "
    "an event of the study's journal: nothing is overwritten."
)
"""What holds for all of them, for ``--help``."""


def done(directory: Path, wish: Callable[[Study], Wish]) -> int:
    """Request what ``wish`` returns for the study in a directory, and print the outcome.

    Raises:
        DsiceError: the request failed.
    """
    from dsice.study.requests import ask
    from dsice.study.state import Study
    from dsice.study.wishes import told

    study = Study.open(directory)
    wanted = wish(study)
    name = ask(study.directory, wanted)
    after = Study.open(directory)
    if name in after.requests:
        say(one_line(told(after, wanted)))
        return 0
    if (study.directory.requests / name).exists():
        say("The driver at work is computing; it does this as soon as it is done with that.")
        return 0
    raise DsiceError("nothing was done: the trials have gone on meanwhile; look at 'dsice status'")
