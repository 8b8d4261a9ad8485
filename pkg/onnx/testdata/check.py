"""Checks ONNX files, and compares what onnxruntime makes of them with what Latent did.

For each folder: every NAME.onnx, and NAME.json, which says in which files the inputs are and the outputs that are
expected, as raw numbers of a type and a shape. Prints a line for each file and number of images:
folder, name, images, the largest deviation (of values beyond 1, as a part of them), the largest value.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime


def read(folder, arrays):
    return {a["name"]: np.fromfile(folder / a["file"], a["dtype"]).reshape(a["shape"]) for a in arrays}


for folder in map(Path, sys.argv[1:]):
    for path in sorted(folder.glob("*.onnx")):
        onnx.checker.check_model(str(path), full_check=True)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        told = json.loads(path.with_suffix(".json").read_text())
        inputs, expected = read(folder, told["inputs"]), read(folder, told["outputs"])
        assert [i.name for i in session.get_inputs()] == list(inputs), session.get_inputs()
        for images in told["images"]:
            outputs = session.run(list(expected), {name: array[:images] for name, array in inputs.items()})
            deviation = largest = 0.0
            for name, got in zip(expected, outputs):
                want = expected[name][:images]
                assert got.shape == want.shape and got.dtype == want.dtype, (path, name, got.shape, got.dtype)
                deviation = max(deviation, float(np.max(np.abs(got.astype(np.float64) - want) / np.maximum(1, np.abs(want)), initial=0)))
                largest = max(largest, float(np.max(np.abs(want), initial=0)))
            print(folder.name, path.stem, images, deviation, largest)
