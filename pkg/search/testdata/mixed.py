"""Prints the median, over 101 seeds, of the best of 100 trials of Optuna's CmaEsSampler on the function of TestEvolutionOfMixed.

python -m venv env && env/bin/pip install optuna==5.0.0 cmaes==0.13.1 && env/bin/python mixed.py
"""

import math
import statistics

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)


def mixed(trial):
    c = trial.suggest_categorical("c", [0, 1, 2, 3])
    k = trial.suggest_int("k", 1, 8)
    rate = math.log10(trial.suggest_float("rate", 1e-5, 1e-1, log=True))
    x = trial.suggest_float("x", 0, 1)
    return (rate + 3 + 0.3 * c) ** 2 + 0.05 * (k - 5) ** 2 + 4 * (x - 0.35 - 0.1 * c) ** 2 + 0.2 * [2, 0, 3, 1][c]


def best(seed):
    study = optuna.create_study(sampler=optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False))
    study.optimize(mixed, n_trials=100)
    return study.best_value


print(statistics.median(best(seed) for seed in range(101)))
