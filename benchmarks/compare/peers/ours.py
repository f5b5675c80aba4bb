"""The searches of dsice itself."""

from __future__ import annotations

from typing import Any

from benchmarks.compare.peers.base import Peer, Task
from dsice.goal import Metrics
from dsice.grid import Point
from dsice.search import make_search


class Ours(Peer):
    """Any search that `dsice.make_search` knows, with options of its own."""

    def __init__(self, task: Task, name: str, **options: Any) -> None:
        self._search = make_search(
            name, task.grid, task.goal, seed=task.seed, capacity=task.workers, **options
        )

    def ask(self) -> Point | None:
        points = self._search.ask(1)
        return points[0] if points else None

    def tell(self, point: Point, metrics: Metrics | None) -> None:
        self._search.tell(point, metrics)
