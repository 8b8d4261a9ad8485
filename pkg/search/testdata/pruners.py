"""Writes pruners.json: at which step Optuna's pruners stop each of 60 trials, one after another; 0 where they do not.

python -m venv env && env/bin/pip install optuna==5.0.0 && env/bin/python pruners.py > pruners.json
"""

import json
import math
import random
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)

# Decays to different ends at different rates, which cross, with noise.
generator = random.Random(1)
steps = 27
curves = []
for number in range(60):
    end, rate = generator.random(), math.exp(generator.uniform(math.log(0.03), math.log(1)))
    curves.append([round(end + 2 * math.exp(-rate * step) + generator.gauss(0, 0.03), 4) for step in range(1, steps + 1)])


def stops(pruner, every=1):
    study = optuna.create_study(pruner=pruner)
    found = []
    for curve in curves:
        trial = study.ask()
        stop = 0
        for step in range(every, steps + 1, every):
            trial.report(curve[step - 1], step)
            if trial.should_prune():
                stop = step
                break
        study.tell(trial, curve[-1] if stop == 0 else None, state=optuna.trial.TrialState.PRUNED if stop else None)
        found.append(stop)
    return found


json.dump(
    dict(
        curves=curves,
        stops={
            "median": stops(optuna.pruners.MedianPruner()),
            "median, later": stops(optuna.pruners.MedianPruner(n_startup_trials=8, n_warmup_steps=4, interval_steps=5)),
            "median, every second step": stops(optuna.pruners.MedianPruner(n_warmup_steps=3, interval_steps=3), every=2),
            "halving": stops(optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=4)),
            "halving, later": stops(
                optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=3, min_early_stopping_rate=1)
            ),
            # Optuna's patience counts reports after the one that it allows to be worse.
            "patience": stops(optuna.pruners.PatientPruner(None, patience=3)),
        },
    ),
    sys.stdout,
)
