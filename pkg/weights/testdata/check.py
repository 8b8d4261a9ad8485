"""Reads what Latent wrote, and writes what Latent is to read: python check.py FOLDER"""
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

folder = sys.argv[1]
want = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 8,
    "a.bias": np.float32([np.inf, -0.0, 1e-45]),
    "scalar": np.array(2.5, np.float32),
    "none": np.zeros((0, 4), np.float32),
}


def compare(got):
    assert set(got) == set(want), set(got)
    for name, value in want.items():
        assert got[name].dtype == np.float32 and got[name].shape == value.shape, name
        assert got[name].tobytes() == value.tobytes(), name


compare(np.load(f"{folder}/weights.npz", allow_pickle=False))
compare(load_file(f"{folder}/weights.safetensors"))
with safe_open(f"{folder}/weights.safetensors", "numpy") as file:
    assert file.metadata() == {"run": "β"}, file.metadata()
save_file(want | {"half": np.float16([1 / 3, 6e-8, -np.inf]), "double": np.float64([1 / 3])}, f"{folder}/python.safetensors", {"by": "numpy"})
