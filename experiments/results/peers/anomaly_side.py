"""PyOD's AutoEncoder, with its defaults, on splits that Latent wrote. python anomaly_side.py FOLDER…

Each folder has train.npy, test.npy and anomalous.npy (of the test), and its name ends in -SEED. Features are scaled to [0, 1] by the
training part, which is unlabelled. Prints JSON: for each folder the AUROC and the seconds of the fit, and the package's version."""

import json
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")

import pyod
import torch
from pyod.models.auto_encoder import AutoEncoder
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import MinMaxScaler

torch.set_num_threads(1)  # with more, small batches only wait

found = []
for folder in sys.argv[1:]:
    train, test, anomalous = (np.load(f"{folder}/{name}.npy").astype("f8") for name in ("train", "test", "anomalous"))
    scaler = MinMaxScaler().fit(train)
    start = time.time()
    model = AutoEncoder(random_state=int(folder.rsplit("-", 1)[1]), verbose=0)
    model.fit(scaler.transform(train))
    seconds = time.time() - start
    scores = model.decision_function(scaler.transform(test))
    found.append({"auroc": roc_auc_score(anomalous.ravel(), scores), "seconds": seconds})
print(json.dumps({"version": pyod.__version__, "torch": torch.__version__, "found": found}))
