"""A range of bounds answered from one history: the best at each, and where more trials would help.

`answer` computes it, `show` prints it.
"""
