"""All tables and pictures of one comparison."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from benchmarks.compare import figures, tables
from benchmarks.compare.measure import Plan
from benchmarks.compare.store import Store
from benchmarks.compare.summary import Cell, cell


class Report:
    """What the stored runs of a plan say.

    Args:
        plan: which runs count.
        store: where they are.
        reference: the tuner that others are compared with.
    """

    def __init__(self, plan: Plan, store: Store, reference: str) -> None:
        self._plan = plan
        self._store = store
        self.reference = reference

    @cached_property
    def cells(self) -> list[Cell]:
        """Problems without a bound."""
        return self._cells(bounded=False)

    @cached_property
    def bounded(self) -> list[Cell]:
        """Problems with a bound."""
        return self._cells(bounded=True)

    @cached_property
    def tables(self) -> dict[str, str]:
        """Tables by name, such as ``scores-40-545``."""
        found = {_name("scores", c): tables.scores(c, self.reference) for c in self.cells}
        found |= {_name("savings", c): tables.savings(c, self.reference) for c in self.cells}
        found |= {_name("bounded", c): tables.bounded(c, self.reference) for c in self.bounded}
        return {name: table for name, table in found.items() if table}

    def text(self) -> str:
        """All tables under their names."""
        return "\n\n".join(f"{name}\n\n{table}" for name, table in self.tables.items())

    def write(self, folder: Path) -> None:
        """``tables.md`` and the pictures."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tables.md").write_text(self.text() + "\n", encoding="utf-8")
        self.draw(folder, [".svg", ".png"])

    def draw(self, folder: Path, suffixes: Sequence[str]) -> None:
        """``regret-WORKERS`` and, for several workers, ``time-WORKERS``, for the largest budget."""
        folder.mkdir(parents=True, exist_ok=True)
        for one in self.cells:
            if one.budget != max(self._plan.budgets):
                continue
            pictures = {"regret": figures.regret(one, self.reference)}
            if one.workers > 1:
                pictures["time"] = figures.regret(one, self.reference, in_time=True)
            for kind, spec in pictures.items():
                for suffix in suffixes:
                    figures.write(spec, folder / f"{kind}-{one.workers}{suffix}")

    def _cells(self, *, bounded: bool) -> list[Cell]:
        problems = [p for p in self._plan.problems if p.constrained == bounded]
        cells = [
            cell(self._store, problems, self._plan.tuners, workers, budget)
            for workers in self._plan.workers
            for budget in self._plan.budgets
        ]
        return [one for one in cells if one.runs]


def _name(kind: str, one: Cell) -> str:
    return f"{kind}-{one.workers}-{one.budget}"
