"""The searches of dsice itself, whole or without one of their parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from benchmarks.compare.peers.base import Peer, Task
from dsice.errors import InvalidInput
from dsice.goal import Metrics
from dsice.gp import evidence
from dsice.grid import Point
from dsice.search import epoch, make_search, targets

# dsice[without=PART]: what each part amounts to in the code, switched off.
_Patch = tuple[Any, str, Any]
PARTS: Final[Mapping[str, tuple[_Patch, ...]]] = {
    # 800 points from anywhere instead of lines through good points
    "lines": ((epoch, "CENTRES", 0), (epoch, "WALKS", 0), (epoch, "FAR", 800)),
    "oblique lines": ((epoch, "OBLIQUE", 0), (epoch, "OBLIQUE_ON_WALKS", 0)),
    "learned lines": ((epoch, "LEARNED", 0), (epoch, "LEARNED_ON_WALKS", 0)),
    "widening": ((epoch, "SPENT", 1e-300),),
    "walks": ((epoch, "WALKS", 0),),
    "ranks": ((targets, "RANKS", 0.0),),
    "values": ((targets, "RANKS", 1.0),),
    "rough terms": ((evidence, "SHARES", {1: np.eye(1), 3: np.array([[0.0, 0.5, 0.5]])}),),
    "smooth terms": ((evidence, "SHARES", {1: np.eye(1), 3: np.array([[1.0, 0.0, 0.0]])}),),
}


class Ours(Peer):
    """Any search that `dsice.make_search` knows, with options of its own.

    Args:
        task: see `Task`.
        name: of the search.
        without: one of `PARTS`, or nothing.
        options: of the search.
    """

    def __init__(self, task: Task, name: str, without: str = "", **options: Any) -> None:
        if without and without not in PARTS:
            raise InvalidInput(f"no part is named {without!r}: accepted are {', '.join(PARTS)}")
        self._patches = PARTS[without] if without else ()
        self._search = make_search(
            name, task.grid, task.goal, seed=task.seed, capacity=task.workers, **options
        )

    def ask(self) -> Point | None:
        with self._patched():
            points = self._search.ask(1)
        return points[0] if points else None

    def tell(self, point: Point, metrics: Metrics | None) -> None:
        with self._patched():
            self._search.tell(point, metrics)

    @contextmanager
    def _patched(self) -> Iterator[None]:
        with ExitStack() as stack:
            for module, constant, value in self._patches:
                stack.enter_context(patch.object(module, constant, value))
            yield
