"""Search algorithms, by name.

Each decides which points to measure next, without access to files, clocks or processes.
`dsice.search.base.Search` is their common interface.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from dsice.errors import InvalidInput

if TYPE_CHECKING:
    from dsice.goal import Goal
    from dsice.grid import Grid
    from dsice.search.base import Search

DEFAULT_SEARCH: Final = "dsice"

# Modules are imported on first use: SciPy takes longer to load than a short command runs.
_SEARCHES: Final[Mapping[str, tuple[str, str]]] = {
    "dsice": ("dsice.search.asynchronous", "Dsice"),
    "dsice-2017": ("dsice.search.classic", "Dsice2017"),
    "dsice-2018": ("dsice.search.classic", "Dsice2018"),
    "dsice-2024": ("dsice.search.classic", "Dsice2024"),
    "random": ("dsice.search.random", "RandomSearch"),
}
SEARCHES: Final = tuple(_SEARCHES)
FRONT_SEARCHES: Final = ("dsice", "random")
"""Those that take a goal with several objectives or a range of bounds (`Search.sweeps`)."""


def make_search(
    name: str, grid: Grid, goal: Goal, *, seed: int = 0, capacity: int = 1, **options: Any
) -> Search:
    """Create a search.

    Args:
        name: one of `SEARCHES`.
        grid: the points.
        goal: what to optimise; its bounds must be settled.
        seed: of all random choices; the same seed and results give the same proposals.
        capacity: how many points can be measured at the same time.
        options: those of the algorithm, see its class.

    Raises:
        InvalidInput: an unknown algorithm, an unknown option, or an invalid value.
    """
    if name not in _SEARCHES:
        raise InvalidInput(f"no search is named {name!r}: accepted are {', '.join(SEARCHES)}")
    from inspect import signature

    module, attribute = _SEARCHES[name]
    make: type[Search] = getattr(importlib.import_module(module), attribute)
    accepted = [
        option
        for option in signature(make).parameters
        if option not in ("grid", "goal", "seed", "capacity")
    ]
    for option in options:
        if option not in accepted:
            known = f"accepted are {', '.join(accepted)}" if accepted else "it has none"
            raise InvalidInput(f"search {name!r} has no option {option!r}: {known}")
    return make(grid, goal, seed=seed, capacity=capacity, **options)
