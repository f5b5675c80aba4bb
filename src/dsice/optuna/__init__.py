"""For those who stay with Optuna: the search ``dsice`` as a sampler of its studies.

`levels` and `space` translate Optuna's distributions into a grid, `record` tells a search what the
trials of a study say, `sampler` is what Optuna calls.
"""

try:
    import optuna as _optuna  # noqa: F401
except ImportError as error:
    raise ImportError("dsice.optuna needs Optuna 4 or 5: pip install 'dsice[optuna]'") from error

from dsice.optuna.sampler import DsiceSampler

__all__ = ["DsiceSampler"]
