"""What scikit-learn makes of rows that this writes, too. python expect.py OUT [FOLDER of NPZ files with X and y]"""

import glob
import json
import os
import sys

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import MinMaxScaler

out = sys.argv[1]


def write(name, rows):
    rows.astype("<f4").tofile(os.path.join(out, name))


def exact():
    """Scores that are defined to rounding, of rows with correlated features."""
    cases = []
    for name, n, d, rank in [("tall", 500, 12, 12), ("wide", 40, 100, 100), ("flat", 200, 30, 5), ("far", 300, 6, 6)]:
        rng = np.random.default_rng(n)
        mix = rng.normal(size=(rank, d)) * np.linspace(3, 0.1, rank)[:, None]
        offset = 1000 if name == "far" else 0
        train = (rng.normal(size=(n, rank)) @ mix + offset).astype("f4")
        test = (rng.standard_t(3, size=(50, rank)) @ mix + 0.1 * rng.normal(size=(50, d)) + offset).astype("f4")
        write(name + ".train", train)
        write(name + ".test", test)
        train, test = train.astype("f8"), test.astype("f8")
        pca = PCA(n_components=0.9, svd_solver="full").fit(train)
        errors = np.mean((test - pca.inverse_transform(pca.transform(test))) ** 2, axis=1)
        covariance = LedoitWolf().fit(train)
        distances, _ = NearestNeighbors(n_neighbors=4, algorithm="kd_tree").fit(train).kneighbors(test)
        cases.append({
            "Name": name, "Features": d, "Components": int(pca.n_components_), "PCA": errors.tolist(),
            "Shrinkage": covariance.shrinkage_, "Mahalanobis": covariance.mahalanobis(test).tolist(),
            "Kth": distances[:, -1].tolist(), "Mean": distances.mean(1).tolist(),
            "LOF": (-LocalOutlierFactor(n_neighbors=4, algorithm="brute", novelty=True).fit(train).score_samples(test)).tolist(),
        })
    return cases


def forests(folder):
    """AUROCs of isolation forests of five seeds on each set: half the rows to train on, at most 5,000 to score."""
    sets = []
    for path in sorted(glob.glob(os.path.join(folder, "*.npz"))):
        name = os.path.basename(path)[:-4]
        data = np.load(path)
        x, y = data["X"].astype("f8"), data["y"].astype(int)
        train, test, _, truth = train_test_split(x, y, test_size=0.5, random_state=0, stratify=y)
        scaler = MinMaxScaler().fit(train)
        train, test = scaler.transform(train).astype("f4"), scaler.transform(test).astype("f4")[:5000]
        truth = truth[:5000]
        write(name + ".train", train)
        write(name + ".test", test)
        areas = [roc_auc_score(truth, -IsolationForest(random_state=seed).fit(train).score_samples(test)) for seed in range(5)]
        sets.append({"Name": name, "Features": x.shape[1], "Anomalous": [bool(v) for v in truth], "AUROC": areas})
    return sets


result = {"Exact": exact(), "Forests": forests(sys.argv[2]) if len(sys.argv) > 2 else []}
with open(os.path.join(out, "expect.json"), "w") as file:
    json.dump(result, file)
