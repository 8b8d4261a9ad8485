"""Figures of rankings by scikit-learn, NumPy and SciPy. python expect.py OUT"""

import json
import sys

import numpy as np
from scipy import ndimage, stats
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve


def kernel(positive, negative):
    """1 where the positive is above, 1/2 where it is equal: [positives, negatives]."""
    return (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)


def delong(score, truth):
    """Area and variance components by all pairs, as the paper defines them."""
    pairs = kernel(score[truth], score[~truth])
    return pairs.mean(), pairs.mean(1), pairs.mean(0)


def at_n(score, truth, orders=400):
    """Precision among the first n, the mean over random orders of equal scores."""
    rng = np.random.default_rng(0)
    n = truth.sum()
    return float(np.mean([truth[np.lexsort((rng.random(len(score)), -score))[:n]].mean() for _ in range(orders)]))


def figures(score, truth):
    fpr, tpr, _ = roc_curve(truth, score, drop_intermediate=False)
    return average_precision_score(truth, score), fpr[np.argmax(tpr >= 0.95)]


def ranking(name, score, truth, other):
    area, v10, v01 = delong(score, truth)
    assert abs(area - roc_auc_score(truth, score)) < 1e-12
    m, n = len(v10), len(v01)
    deviation = np.sqrt(v10.var(ddof=1) / m + v01.var(ddof=1) / n)
    logit = np.log(area / (1 - area)) + np.array([-1, 1]) * stats.norm.ppf(0.975) * deviation / area / (1 - area)
    area2, w10, w01 = delong(other, truth)
    covariance = np.cov(np.stack([v10, w10])) / m + np.cov(np.stack([v01, w01])) / n
    z = (area - area2) / np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    rng = np.random.default_rng(1)
    positive, negative = np.flatnonzero(truth), np.flatnonzero(~truth)
    rounds = []
    for _ in range(1000):
        drawn = np.concatenate([rng.choice(positive, m), rng.choice(negative, n)])
        rounds.append(figures(score[drawn], truth[drawn]))
    low, high = np.quantile(rounds, [0.025, 0.975], axis=0)
    precision, alarms = figures(score, truth)
    return {
        "Name": name, "Scores": score.tolist(), "Other": other.tolist(), "Anomalous": truth.tolist(),
        "AUROC": [area, *(1 / (1 + np.exp(-logit)))], "P": 2 * stats.norm.sf(abs(z)),
        "AveragePrecision": [precision, low[0], high[0]], "FalseAlarms95": [alarms, low[1], high[1]], "PrecisionAtN": at_n(score, truth),
    }


def rankings():
    rng = np.random.default_rng(7)
    for name, m, n, levels in [("few", 12, 60, 0), ("many", 150, 1200, 0), ("ties", 40, 200, 4), ("two", 2, 30, 0)]:
        truth = np.arange(m + n) < m
        rng.shuffle(truth)
        base = rng.normal(size=m + n) + 1.2 * truth
        other = base + rng.normal(size=m + n)
        if levels:
            base, other = np.round(base * levels / 3), np.round(other * levels / 3)
        yield ranking(name, base, truth, other)


def pixels():
    """PRO by one threshold after the other, and the curve cut at a rate of 0.3."""
    rng = np.random.default_rng(11)
    pictures, labels, regions = [], [], 0
    for picture in range(6):
        height, width = 20 + picture, 31
        mask = np.zeros((height, width), bool) if picture == 0 else ndimage.gaussian_filter(rng.normal(size=(height, width)), 1.5) > 0.25
        score = np.round(ndimage.gaussian_filter(rng.normal(size=(height, width)), 1) + 0.3 * mask, 2).astype("f4")
        numbers, count = ndimage.label(mask, structure=np.ones((3, 3)))
        labels.append(np.where(numbers > 0, numbers + regions, 0).ravel())
        regions += count
        pictures.append({"Width": width, "Scores": score.ravel().tolist(), "Mask": mask.ravel().tolist()})
    score = np.concatenate([p["Scores"] for p in pictures])
    numbers = np.concatenate(labels)
    normal = numbers == 0
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique(score)[::-1]:
        above = score >= threshold
        rates.append(above[normal].mean())
        overlaps.append(np.mean([above[numbers == r].mean() for r in range(1, regions + 1)]))
    rates, overlaps = np.array(rates), np.array(overlaps)
    inside = rates < 0.3
    x = np.append(rates[inside], 0.3)
    y = np.append(overlaps[inside], np.interp(0.3, rates, overlaps))
    return {"Pictures": pictures, "AUROC": roc_auc_score(~normal, score), "PRO": np.trapezoid(y, x) / 0.3, "Regions": regions}


with open(sys.argv[1], "w") as file:
    json.dump({"Rankings": list(rankings()), "Pixels": pixels()}, file)
