"""Writes golden.json: one step of expectation and maximisation of a mixture, by SciPy's densities and NumPy's moments.

    python golden.py > golden.json        (NumPy 2.4, SciPy 1.17)
"""
import json

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

rng = np.random.default_rng(3)
N, D, K = 30, 3, 2
points = np.round(rng.normal(size=(N, D)) + rng.choice([-1.5, 1.5], size=(N, 1)), 3)
weights = np.array([0.3, 0.7])
means = np.round(rng.normal(size=(K, D)), 3)
roots = np.round(rng.normal(size=(K, D, D)), 2)
covariances = np.round(roots @ roots.transpose(0, 2, 1) + np.eye(D), 4)

joint = np.stack([np.log(w) + multivariate_normal(m, c).logpdf(points) for w, m, c in zip(weights, means, covariances)], 1)
density = logsumexp(joint, 1)
given = np.exp(joint - density[:, None])
print(json.dumps({
    "points": points.tolist(), "weights": weights.tolist(), "means": means.tolist(), "covariances": covariances.tolist(),
    "log_density": density.tolist(),
    "next_weights": given.mean(0).tolist(),
    "next_means": [np.average(points, 0, given[:, k]).tolist() for k in range(K)],
    "next_covariances": [np.cov(points.T, aweights=given[:, k], ddof=0).tolist() for k in range(K)],
}))
