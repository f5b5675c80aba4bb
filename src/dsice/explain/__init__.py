"""Explanations of a study, computed from its journal: pure functions from a study to plain data.

`line_of` gives the line on which a trial was found, `explanation_of` everything about one trial,
`walk_of` the incumbents over time, `effects_of` the effects of the parameters.
"""
