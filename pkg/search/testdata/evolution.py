"""Writes evolution.json: what the package cmaes makes of given generations, and how many evaluations it takes.

python -m venv env && env/bin/pip install cmaes==0.13.1 numpy==2.4.6 && env/bin/python evolution.py > evolution.json
"""

import json
import sys

import numpy as np
from cmaes import CMA


def told(dimensions, population, generations, seed, sigma=1 / 6):
    rng = np.random.default_rng(seed)
    optimizer = CMA(mean=np.full(dimensions, 0.5), sigma=sigma, population_size=population, seed=seed)
    points, values, means, sigmas, covariances = [], [], [], [], []
    for _ in range(generations):
        generation = []
        for _ in range(population):
            x = np.round(optimizer.ask(), 6)
            generation.append((x, float(np.round(np.sum(np.arange(1, dimensions + 1) * (x - 0.3) ** 2) + rng.uniform(0, 0.01), 9))))
        points.append([x.tolist() for x, _ in generation])
        values.append([v for _, v in generation])
        optimizer.tell(generation)
        means.append(optimizer._mean.tolist())
        sigmas.append(float(optimizer._sigma))
        covariances.append(optimizer._C.tolist())
    return dict(sigma=sigma, points=points, values=values, means=means, sigmas=sigmas, covariances=covariances)


# In u of the unit cube; each is 0 at its best, which is not in the middle.
def sphere(u):
    x = 10 * u - 5 - 1.3
    return np.sum(x**2)


def ellipsoid(u):
    x = 10 * u - 5 - 1.3
    y = np.array([(x[i] + x[(i + 1) % len(x)]) / np.sqrt(2) + 0.5 * x[i] for i in range(len(x))])
    return np.sum(10 ** (3 * np.arange(len(x)) / (len(x) - 1)) * y**2)


def rosenbrock(u):
    x = 5 * u - 2
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def evaluations(function, dimensions, seeds=51, most=20000):
    """The median number of evaluations to come below 1e-8."""
    counts = []
    for seed in range(seeds):
        bounds = np.array([[0.0, 1.0]] * dimensions)
        optimizer = CMA(mean=np.full(dimensions, 0.5), sigma=1 / 6, seed=seed, bounds=bounds, n_max_resampling=10 * dimensions)
        count, best = 0, np.inf
        while best > 1e-8 and count < most:
            generation = []
            for _ in range(optimizer.population_size):
                x = optimizer.ask()
                value = function(x)
                count += 1
                if value < best:
                    best = value
                    if best <= 1e-8:
                        break
                generation.append((x, value))
            else:
                optimizer.tell(generation)
        counts.append(count)
    return float(np.median(counts))


json.dump(
    dict(
        # The last grows from a small step, for which h_sigma is 0.
        told=[told(2, 6, 10, 1), told(5, 8, 15, 2), told(3, 7, 10, 3), told(4, 30, 6, 4, sigma=0.001)],
        evaluations={f.__name__: evaluations(f, 5) for f in (sphere, ellipsoid, rosenbrock)},
    ),
    sys.stdout,
)
