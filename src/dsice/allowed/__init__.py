"""Which points of a grid a static rule allows: tested, counted, listed, drawn and found.

`Rule` is what a `dsice.Grid` uses. An expression is split into conditions that all must hold; axes
that no condition ties together form independent groups, and the allowed combinations of each group
are found axis by axis (`dsice.allowed.layers`). The grid is their product (`Rule.points`): 10^12
points with 36 allowed ones, or with 10^11, are counted and drawn from in an instant.
"""

from dsice.allowed.rule import Rule

__all__ = ["Rule"]
