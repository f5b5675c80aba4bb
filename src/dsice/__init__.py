"""Automatic tuning of expensive programs by d-spline Iterative Collinear Exploration (DSICE).

The whole tool, in reading order: `dsice.grid` and `dsice.goal` say what is asked, `dsice.search`
decides which points to measure, `dsice.study` keeps and drives a study, `dsice.launch` runs jobs.
"""

from dsice.errors import DsiceError, InvalidInput
from dsice.goal import Bound, Goal
from dsice.grid import Axis, Grid, Params, Point
from dsice.search import make_search
from dsice.tuning import tune
from dsice.version import __version__

__all__ = [
    "Axis",
    "Bound",
    "DsiceError",
    "Goal",
    "Grid",
    "InvalidInput",
    "Params",
    "Point",
    "__version__",
    "make_search",
    "tune",
]
