"""Automatic tuning of expensive programs by d-spline Iterative Collinear Exploration (DSICE).

The whole tool, in reading order: `dsice.grid` and `dsice.goal` say what is asked, `dsice.search`
decides which points to measure, `dsice.study` keeps and drives a study, `dsice.launch` runs jobs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsice.errors import DsiceError, InvalidInput, NoResult
    from dsice.goal import Bound, Goal
    from dsice.grid import Axis, Grid, Params, Point
    from dsice.reporting import report
    from dsice.search import make_search
    from dsice.tuning import load, tune
    from dsice.version import __version__

# Looked up when used: each trial's shim imports this package, and needs none of them.
_MODULES = {
    "DsiceError": "errors",
    "InvalidInput": "errors",
    "NoResult": "errors",
    "Bound": "goal",
    "Goal": "goal",
    "Axis": "grid",
    "Grid": "grid",
    "Params": "grid",
    "Point": "grid",
    "make_search": "search",
    "load": "tuning",
    "tune": "tuning",
    "__version__": "version",
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "report":  # a package that can be called
        return import_module("dsice.report")
    if name not in _MODULES:
        raise AttributeError(f"module 'dsice' has no attribute {name!r}")
    found = getattr(import_module(f"dsice.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "Axis",
    "Bound",
    "DsiceError",
    "Goal",
    "Grid",
    "InvalidInput",
    "NoResult",
    "Params",
    "Point",
    "__version__",
    "load",
    "make_search",
    "report",
    "tune",
]
