"""Every exception of dsice, as a tree.

    DsiceError
    ├── InvalidInput (also a ValueError)   an invalid grid, goal, study file or argument
    │   ├── OtherStudy                     a directory that belongs to another study
    │   └── DamagedStudy                   a directory whose files contradict each other
    ├── NoResult (also a ValueError)       a study that has no best trial so far
    ├── StudyLocked                        another driver holds the directory
    ├── StageFailed                        a stage before the trials did not end well
    ├── GaveUp                             trials failed alike in a row, as the machine is at fault
    ├── LaunchError                        jobs cannot be started or asked about
    ├── OutOfTime                          the driver's own time is over
    └── Interrupted                        the user stopped the run

A message says what was found, where, and what is accepted: it is all a user sees.
"""

from __future__ import annotations


class DsiceError(Exception):
    """Base of all errors that dsice raises on purpose; ``exit_code`` is the command line's."""

    exit_code = 1


class InvalidInput(DsiceError, ValueError):
    """Invalid user input; nothing was started or changed."""

    exit_code = 2


class OtherStudy(InvalidInput):
    """The directory holds another study, or the same one with another grid or goal."""


class DamagedStudy(InvalidInput):
    """A file of the study is damaged, or its files contradict each other; see ``dsice repair``."""


class NoResult(DsiceError, ValueError):
    """The study has no best trial so far: none was measured, or none keeps the bounds."""


class StudyLocked(DsiceError):
    """Another driver is at work on the directory."""

    exit_code = 2


class StageFailed(DsiceError):
    """A stage before the trials failed; its log is in the message."""


class GaveUp(DsiceError):
    """Trials failed alike in a row: the machine or the program is at fault; they do not count.

    The message has the program's last words and what to do.
    """


class LaunchError(DsiceError):
    """Jobs cannot be started, or their launcher cannot be asked."""


class OutOfTime(DsiceError):
    """The driver's own time is over; the same command goes on with the study."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again


class Interrupted(DsiceError):
    """The user stopped the run; it can be resumed."""

    exit_code = 130
