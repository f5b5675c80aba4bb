"""A range of bounds answered from one history: the best at each, and where more is to be found.

`answer` works it out, `show` prints it, `command` is ``dsice sweep``.
"""
