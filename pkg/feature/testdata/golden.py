"""Writes golden.json: the Fréchet distance of two normal distributions, with SciPy's square root of their covariances' product.

    python golden.py > golden.json        (NumPy 2.4, SciPy 1.17)
"""
import json

import numpy as np
from scipy.linalg import sqrtm

rng = np.random.default_rng(4)
a = np.round(rng.normal(size=(12, 4)) @ rng.normal(size=(4, 4)), 3)
b = np.round(rng.normal(size=(9, 4)) @ rng.normal(size=(4, 4)) + 1, 3)
ca, cb = np.cov(a.T), np.cov(b.T)
distance = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(ca + cb - 2 * sqrtm(ca @ cb).real)
print(json.dumps({"a": a.tolist(), "b": b.tolist(), "distance": distance}))
