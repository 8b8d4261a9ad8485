"""Writes golden.json: weights of a regularised logistic regression of three classes, by SciPy's BFGS on standardised points.

    python golden.py > golden.json        (NumPy 2.4, SciPy 1.17)
"""
import json

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

rng = np.random.default_rng(5)
N, D, C, STRENGTH = 40, 3, 3, 0.01
points = np.round(rng.normal(size=(N, D)) * [1, 5, 0.2] + [0, 3, -1], 3)
labels = np.argmax((points - points.mean(0)) / points.std(0) @ rng.normal(size=(D, C)) + rng.gumbel(size=(N, C)), 1)
x = (points - points.mean(0)) / points.std(0)


def loss(flat):
    w = flat.reshape(C, D + 1)
    logits = x @ w[:, :D].T + w[:, D]
    return np.mean(logsumexp(logits, 1) - logits[np.arange(N), labels]) + STRENGTH / 2 * np.sum(w[:, :D] ** 2)


found = minimize(loss, np.zeros(C * (D + 1)), method="BFGS", options={"gtol": 1e-8})
w = found.x.reshape(C, D + 1)
logits = x @ w[:, :D].T + w[:, D]
print(json.dumps({
    "points": points.tolist(), "labels": labels.tolist(), "strength": STRENGTH, "loss": found.fun,
    "probabilities": np.exp(logits - logsumexp(logits, 1)[:, None]).tolist(),
}))
