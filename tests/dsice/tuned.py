"""A grid, a goal and a call of `dsice.tune` for its tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dsice

GRID = dsice.Grid([dsice.Axis.integers("a", 0, 9), dsice.Axis.choice("mode", ["slow", "fast"])])
GOAL = dsice.Goal(minimize="y", subject_to=["z <= 8"])


def tune(function: Any, tmp_path: Path, **more: Any) -> Any:
    return dsice.tune(function, GRID, GOAL, directory=tmp_path / "x", progress=False, **more)
