"""Why a study went as it did, from its journal: pure functions from a study to plain data.

`line_of` gives the line on which a trial was found, `explanation_of` all that can be said of a
trial, `walk_of` the improvements of the best, `effects_of` what the axes do, `story_of` the whole.
"""
