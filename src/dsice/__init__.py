"""Automatic tuning of expensive programs by d-spline Iterative Collinear Exploration (DSICE).

The whole tool, in reading order: `dsice.grid` and `dsice.goal` say what is asked, `dsice.search`
decides which points to measure, `dsice.study` keeps and drives a study, `dsice.launch` runs jobs.
"""

__version__ = "0.1.0"

from dsice.errors import DsiceError, InvalidInput
from dsice.goal import Bound, Goal
from dsice.grid import Axis, Grid, Params, Point
from dsice.search import make_search
from dsice.study.tune import tune

__all__ = [
    "Axis",
    "Bound",
    "DsiceError",
    "Goal",
    "Grid",
    "InvalidInput",
    "Params",
    "Point",
    "make_search",
    "tune",
]
