"""Snapshots of an unfinished training, from which it resumes with an identical result.

A snapshot is one file that is replaced atomically: it is complete whenever a training run is
killed. All random choices in a training run are functions of the seed and the step
(`superres.patches`), so the state consists of networks, optimisers and the monitor.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch

from superres.errors import UserError
from superres.files import write_whole

_FORMAT = 3


class Snapshots:
    """The snapshot file of a training run.

    Args:
        path: the file.
        facts: the facts that identify this training, by names that the user knows. A snapshot with
            other facts belongs to another training.
        pause: seconds between two snapshots.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any], pause: float) -> None:
        self.path = path
        self._facts = dict(facts)
        self._pause = pause
        self._last = time.monotonic()

    def load(self, device: str) -> dict[str, Any] | None:
        """Load the last saved state, with tensors on `device`; None if there is none.

        Raises:
            UserError: the file is damaged or belongs to another training.
        """
        if not self.path.is_file():
            return None
        try:
            content = torch.load(self.path, map_location=device, weights_only=True)
            known, facts = content["format"] == _FORMAT, content["facts"]
            state: dict[str, Any] = content["state"]
        except Exception as error:  # torch's readers raise many types with the same meaning
            raise UserError(f"{self.path} is damaged: remove it to begin anew") from error
        if not known:
            raise UserError(f"{self.path} was written by another version: remove it to begin anew")
        for name in [*facts, *self._facts]:
            if facts.get(name) != self._facts.get(name):
                raise UserError(
                    f"{self.path} is of a training run with {name} {facts.get(name)}, "
                    f"this one has {self._facts.get(name)}: go on with that, or remove the file"
                )
        return state

    @property
    def due(self) -> bool:
        """Whether the next snapshot should be saved."""
        return time.monotonic() - self._last >= self._pause

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the snapshot; it is synced to disk on return.

        Raises:
            OSError: it cannot be written. An earlier one is kept, and nothing else is left.
        """
        self._last = time.monotonic()  # the pause also applies after a failure
        content = {"format": _FORMAT, "facts": self._facts, "state": dict(state)}
        write_whole(self.path, lambda file: _save(content, file))
        self._last = time.monotonic()

    def remove(self) -> None:
        """Remove the snapshot, if there is one, and leftovers of an interrupted save."""
        for path in (self.path, self.path.with_name(self.path.name + ".partial")):
            path.unlink(missing_ok=True)


def _save(content: Mapping[str, Any], file: IO[bytes]) -> None:
    try:
        torch.save(content, file)
    except RuntimeError as error:  # raised by torch on top of what `file` raised
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
