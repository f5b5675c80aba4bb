"""The search ``dsice`` as a sampler for Optuna.

`levels` and `space` convert Optuna's distributions to a grid, `record` tells a search the results
of a study's trials, `trials` and `reports` read them, and `sampler` and `pruner` are the classes
that Optuna calls.
"""

try:
    import optuna as _optuna  # noqa: F401
except ImportError as error:
    raise ImportError("dsice.optuna needs Optuna 4 or 5: pip install 'dsice[optuna]'") from error

from dsice.optuna.pruner import DsicePruner
from dsice.optuna.sampler import DsiceSampler

__all__ = ["DsicePruner", "DsiceSampler"]
