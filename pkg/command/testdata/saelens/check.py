"""Compares what SAELens makes of an exported dictionary with what Latent made: check.py FOLDER SAMPLES.npz ERRORS.json."""

import json
import sys

import numpy as np
import torch
from sae_lens import SAE

folder, samples, errors = sys.argv[1:]
sae = SAE.load_from_disk(folder)
made = np.load(samples)
with torch.no_grad():
    latents = sae.encode(torch.from_numpy(made["x"]))
    reconstructed = sae.decode(latents)


def furthest(a, b):
    """The largest difference, as a part of the largest value."""
    return float(np.abs(a - b).max() / np.abs(b).max())


with open(errors, "w") as file:
    json.dump({
        "kind": type(sae).__name__,
        "latents": furthest(latents.numpy(), made["latents"]),
        "reconstructed": furthest(reconstructed.numpy(), made["reconstructed"]),
        "l0": float((latents != 0).sum(-1).float().mean()),
    }, file)
