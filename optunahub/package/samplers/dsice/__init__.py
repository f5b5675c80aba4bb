"""The search of dsice for Optuna, as a package of OptunaHub: all of it is in ``dsice.optuna``."""

from dsice.optuna import DsiceSampler

__all__ = ["DsiceSampler"]
