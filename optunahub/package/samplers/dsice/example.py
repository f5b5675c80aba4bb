"""Tune four settings of a program; takes a second or two."""

import optuna

import optunahub


def objective(trial: optuna.Trial) -> float:
    """A stand-in for a program that takes hours."""
    tile = trial.suggest_int("tile", 8, 128, step=8)
    unroll = trial.suggest_categorical("unroll", [1, 2, 4, 8])
    rate = trial.suggest_float("rate", 0.05, 1.0, step=0.05)
    layout = trial.suggest_categorical("layout", ["aos", "soa"])
    return (tile / 128 - 0.6) ** 2 + (rate - 0.3) ** 2 + 1 / unroll + 0.1 * (layout == "aos")


if __name__ == "__main__":
    sampler = optunahub.load_module("samplers/dsice").DsiceSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=60)
    print(study.best_trial.value, study.best_trial.params)
