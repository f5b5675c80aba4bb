"""The commands of ``dsice``, one module each: its arguments and its implementation.

Commands import heavy modules when they run, to keep --help fast.
"""
