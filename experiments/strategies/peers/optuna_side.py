"""Runs Optuna's samplers on the functions of functions.go, and prints their simple regrets as JSON.

    python optuna_side.py SEEDS TRIALS STRATEGY...

A function takes a suggester with Optuna's names, so that a trial and a table of values can both be one.
"""

import json
import math
import platform
import sys
import warnings
from importlib.metadata import version

import optuna

FIXED_POINTS = 5  # a function, for the check that both languages mean the same


def branin(t):
    x, y = t.suggest_float("x", -5, 10), t.suggest_float("y", 0, 15)
    b, c = 5.1 / (4 * math.pi**2), 5 / math.pi
    return (y - b * x**2 + c * x - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


HARTMANN_ALPHA = [1.0, 1.2, 3.0, 3.2]
HARTMANN_A = [
    [10, 3, 17, 3.5, 1.7, 8],
    [0.05, 10, 17, 0.1, 8, 14],
    [3, 3.5, 1.7, 10, 17, 8],
    [17, 8, 0.05, 10, 0.1, 14],
]
HARTMANN_P = [
    [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
    [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
    [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
    [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
]


def hartmann6(t):
    x = [t.suggest_float(f"x{i}", 0, 1) for i in range(6)]
    return -sum(
        alpha * math.exp(-sum(a * (v - p) ** 2 for a, v, p in zip(row_a, x, row_p)))
        for alpha, row_a, row_p in zip(HARTMANN_ALPHA, HARTMANN_A, HARTMANN_P)
    )


def rosenbrock_log(t):
    x = [math.log10(t.suggest_float(f"r{i}", 1e-2, 1e2, log=True)) for i in range(3)]
    return sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(2))


def ackley_mixed(t):
    x = [
        t.suggest_float("x0", -20, 32),
        t.suggest_float("x1", -32, 20),
        float(t.suggest_int("k0", -10, 20)),
        float(t.suggest_int("k1", -20, 10)),
        [5.0, -3.0, 0.0, 10.0][t.suggest_categorical("offset", [0, 1, 2, 3])],
    ]
    squares = sum(v * v for v in x) / len(x)
    waves = sum(math.cos(2 * math.pi * v) for v in x) / len(x)
    return -20 * math.exp(-0.2 * math.sqrt(squares)) - math.exp(waves) + 20 + math.e


def levy_integer(t):
    x = [
        t.suggest_float("x", -10, 10),
        float(t.suggest_int("k0", -10, 10)),
        float(t.suggest_int("k1", -10, 10)),
        1 + math.log2(t.suggest_int("n", 1, 1024, log=True) / 16),
    ]
    w = [1 + (v - 1) / 4 for v in x]
    middle = sum((v - 1) ** 2 * (1 + 10 * math.sin(math.pi * v + 1) ** 2) for v in w[:-1])
    return math.sin(math.pi * w[0]) ** 2 + middle + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)


def branches(t):
    value = [0.3, 0.0, 0.2, 0.5, 0.1][t.suggest_categorical("activation", [0, 1, 2, 3, 4])]
    value += 0.1 * (t.suggest_float("w", -5, 5) - 1.7) ** 2
    kind = t.suggest_categorical("kind", [0, 1, 2])
    if kind == 0:
        rate = math.log10(t.suggest_float("rate", 1e-4, 1, log=True))
        return value + 0.2 + (t.suggest_float("a", -1, 1) - 0.3) ** 2 + 0.5 * (rate + 2) ** 2
    if kind == 1:
        layers = t.suggest_int("layers", 1, 8)
        return value + 0.15 * abs(layers - 5) + 2 * (t.suggest_float("b", 0, 1) - 0.7) ** 2
    return value + 0.5


# With the value at the minimum.
FUNCTIONS = {
    "branin": (branin, 0.39788735772973816),
    "hartmann6": (hartmann6, -3.322368011415513),
    "rosenbrock-log": (rosenbrock_log, 0.0),
    "ackley-mixed": (ackley_mixed, 0.0),
    "levy-integer": (levy_integer, 0.0),
    "branches": (branches, 0.0),
}

SAMPLERS = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "quasi-random": lambda seed: optuna.samplers.QMCSampler(qmc_type="sobol", scramble=True, seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(multivariate=False, seed=seed),
    "tpe multivariate": lambda seed: optuna.samplers.TPESampler(multivariate=True, group=True, seed=seed),
    "cma-es": lambda seed: optuna.samplers.CmaEsSampler(seed=seed),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
}


def regret(function, minimum, sampler, trials):
    study = optuna.create_study(sampler=sampler)
    study.optimize(function, n_trials=trials)
    return study.best_value - minimum


def fixed_points(function):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(function, n_trials=FIXED_POINTS)
    return [{"params": t.params, "value": t.value} for t in study.trials]


def main():
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seeds, trials, strategies = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    versions = {"python": platform.python_version()}
    for package in ["optuna", "cmaes", "numpy", "scipy"] + (["torch"] if "gp" in strategies else []):
        versions[package] = version(package)
    if "gp" in strategies:
        import torch

        torch.set_num_threads(1)
    results = {"versions": versions, "seeds": seeds, "trials": trials, "points": {}, "regrets": {}}
    for name, (function, minimum) in FUNCTIONS.items():
        results["points"][name] = fixed_points(function)
        results["regrets"][name] = {}
        for strategy in strategies:
            print(f"optuna {name} {strategy}", file=sys.stderr)
            results["regrets"][name][strategy] = [
                regret(function, minimum, SAMPLERS[strategy](seed), trials) for seed in range(seeds)
            ]
    json.dump(results, sys.stdout, indent=1)
    print()


main()
