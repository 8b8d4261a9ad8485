"""Writes golden.json: what Optuna's FanovaImportanceEvaluator says of fixed trials, and the trees it says it by.

    python golden.py > golden.json        (Optuna 5.0.0, scikit-learn 1.9.1, NumPy 2.4.6: half a minute)
"""
import json
import math

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator
from sklearn.tree import DecisionTreeRegressor

optuna.logging.set_verbosity(optuna.logging.ERROR)
SPACE = {
    "a": FloatDistribution(-1, 1), "b": FloatDistribution(1e-4, 1e-1, log=True), "c": IntDistribution(1, 8),
    "d": CategoricalDistribution(["x", "y", "z"]), "e": FloatDistribution(0, 1), "f": CategoricalDistribution(["on", "off"]),
}
EFFECT = {"x": 0.0, "y": 1.0, "z": -0.5}


def value(p):
    return (2 * p["a"] ** 2 + 0.5 * math.log10(p["b"]) ** 2 + 0.1 * p["c"] + EFFECT[p["d"]] + p["a"] * p["e"]
            + (0.3 if p["f"] == "on" else 0.0))


def place(name, v):
    d = SPACE[name]
    return d.choices.index(v) if isinstance(d, CategoricalDistribution) else v


def trials(n):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=n))
    for _ in range(n):
        trial = study.ask(SPACE)
        study.tell(trial, value(trial.params))
    return study, {"points": [[place(k, t.params[k]) for k in SPACE] for t in study.trials], "values": [t.value for t in study.trials]}


def tree(t):
    t = t.tree_
    return {"feature": t.feature.tolist(), "threshold": t.threshold.tolist(), "left": t.children_left.tolist(),
            "right": t.children_right.tolist(), "value": t.value.ravel().tolist()}


# The arithmetic: four trees and what Optuna makes of them.
study, small = trials(25)
evaluator = FanovaImportanceEvaluator(n_trees=4, seed=0)
evaluator.evaluate(study)
inner = evaluator._evaluator
small["trees"] = [tree(t) for t in inner._forest.estimators_]
small["tree_variances"] = [t.variance for t in inner._trees]
small["variances"] = [[inner._variances[i][j] for i in range(len(SPACE))] for j in range(4)]
small["importance"] = [inner.get_importance(i) for i in range(len(SPACE))]

# The forest: one tree on data without ties, but for splits of the last two or three. float32, as scikit-learn sees it.
rng = np.random.default_rng(0)
x = rng.uniform(size=(100, 3)).astype(np.float32)
y = np.sin(5 * x[:, 0].astype(float)) + x[:, 1] * x[:, 2]
weights = rng.integers(0, 3, size=100)
single = {"x": x.astype(float).tolist(), "y": y.tolist(), "weights": weights.tolist(),
          "tree": tree(DecisionTreeRegressor(max_depth=3, random_state=0).fit(x[weights > 0], y[weights > 0], sample_weight=weights[weights > 0]))}

# The whole, by default (64 trees), over seeds: each parameter's share, its mean and deviation.
study, large = trials(150)
shares = []
for seed in range(10):
    found = optuna.importance.get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    shares.append([found[k] for k in SPACE])
large["mean"] = np.mean(shares, 0).tolist()
large["deviation"] = np.std(shares, 0, ddof=1).tolist()
print(json.dumps({"small": small, "single": single, "large": large}))
