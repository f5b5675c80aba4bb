"""The exceptions of this package.

SuperresError
├── UserError    something the user gave is wrong: exit code 2
├── Diverged     a training run diverged: exit code 3
└── Stopped      a training run was asked to stop, and can be resumed: exit code 130 or 143
"""

import signal


class SuperresError(Exception):
    """Base class of all intended exceptions; the message is one line for the user."""


class UserError(SuperresError):
    """An argument, a file or a folder that the user named cannot be used."""


class Diverged(SuperresError):
    """The loss became infinite or NaN, or the images lost all similarity to the photos."""


class Stopped(SuperresError):
    """A training run was asked to stop and did so before its end.

    Attributes:
        signal_number: the signal that asked for it.
    """

    signal_number: int = signal.SIGTERM
