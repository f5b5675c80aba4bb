"""The points of a grid that a static rule allows: testing, counting, listing and drawing them.

A `dsice.Grid` uses `Rule`. An expression is split into conditions that must all hold. Axes without
a common condition form independent groups, and the allowed combinations of each group are found
axis by axis (`dsice.allowed.layers`). The grid is their product (`Rule.points`): counting and
drawing are immediate for 10^12 points, whether 36 or 10^11 of them are allowed.
"""

from dsice.allowed.rule import Rule

__all__ = ["Rule"]
