"""The commands of ``dsice``, one module each: its arguments, and what it does with them.

Everything heavy is imported by the command that needs it, so that --help is quick.
"""
