"""SciPy's adjusted p-values and quantiles of the beta distribution. python expect.py OUT"""

import json
import sys

import numpy as np
from scipy import stats

rng = np.random.default_rng(5)
lists = [rng.random(40) ** 3, np.round(rng.random(30), 1), np.array([0.2]), np.ones(4), np.zeros(3)]
ranges = [(rate, n) for rate in (0.001, 0.01, 0.05, 0.5) for n in (19, 200, 1000, 59_000) if int(rate * (n + 1) + 1e-9) > 0]
with open(sys.argv[1], "w") as file:
    json.dump({
        "Adjusted": [{"P": p.tolist(), "Want": stats.false_discovery_control(p).tolist()} for p in lists],
        "Realised": [
            {"Rate": rate, "Size": n, "Want": stats.beta(k, n + 1 - k).ppf([0.025, 0.975]).tolist()}
            for rate, n in ranges for k in [int(rate * (n + 1) + 1e-9)]
        ],
    }, file)
