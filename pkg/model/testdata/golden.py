"""Writes golden.json: the forward pass and losses of small dense autoencoders, computed by NumPy in float64.

    python golden.py > golden.json        (NumPy 2.4)

The formulas are written from the definitions in the package's documentation, not from its Go code.
"""
import json
import math

import numpy as np

rng = np.random.default_rng(7)
HEIGHT, WIDTH, BATCH = 3, 4, 3
ENCODER, DECODER = [6, 5], [7]

erf = np.vectorize(math.erf)
sigmoid = lambda v: 1 / (1 + np.exp(-v))
activations = {
    "relu": lambda v: np.where(v > 0, v, 0),
    "leaky_relu": lambda v: np.where(v > 0, v, 0.01 * v),
    "gelu": lambda v: v * 0.5 * (1 + erf(v / np.sqrt(2))),
    "silu": lambda v: v * sigmoid(v),
    "elu": lambda v: np.where(v > 0, v, np.exp(np.minimum(v, 0)) - 1),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "linear": lambda v: v,
}

size = HEIGHT * WIDTH
names, weights, fan_in = [], {}, size
for part, outs in (("encoder", ENCODER), ("decoder", DECODER + [size])):
    for i, out in enumerate(outs):
        name = f"{part}.layer_{i + 1}"
        names.append(name)
        # Rounded to what float32 holds exactly, so that Go starts from the same numbers.
        weights[name + ".weight"] = np.round(rng.normal(size=(fan_in, out)), 2).astype(np.float32)
        weights[name + ".bias"] = np.round(rng.normal(size=out), 2).astype(np.float32)
        fan_in = out
x = np.round(rng.uniform(-1, 1, size=(BATCH, HEIGHT, WIDTH, 1)), 2).astype(np.float32)


def forward(hidden, latent, output):
    h = x.reshape(BATCH, -1).astype(np.float64)
    for i, name in enumerate(names):
        h = h @ weights[name + ".weight"].astype(np.float64) + weights[name + ".bias"]
        if i == len(ENCODER) - 1:
            h = z = activations[latent](h)
        elif i < len(names) - 1:
            h = activations[hidden](h)
    y = activations[output](h)
    if output == "sigmoid":
        y = 2 * y - 1
    return z, h, y


def losses(logits, y):
    t = x.reshape(BATCH, -1).astype(np.float64)
    error = np.abs(y - t)
    delta = 0.5
    p = sigmoid(logits)
    p01 = (t + 1) / 2
    return {
        "mse": np.mean((y - t) ** 2, axis=1),
        "mae": np.mean(error, axis=1),
        "huber": np.mean(np.where(error <= delta, 0.5 * error**2, delta * (error - 0.5 * delta)), axis=1),
        "bce": np.mean(-p01 * np.log(p) - (1 - p01) * np.log(1 - p), axis=1),
    }


cases = []
for hidden in activations:
    for latent, output in (("relu", "tanh"), ("linear", "sigmoid"), (hidden, "linear")):
        z, logits, y = forward(hidden, latent, output)
        cases.append({
            "activation": hidden, "latent_activation": latent, "output": output,
            "latent": z.ravel().tolist(), "image": y.ravel().tolist(),
            "losses": {k: v.tolist() for k, v in losses(logits, y).items()},
        })

print(json.dumps({
    "height": HEIGHT, "width": WIDTH, "batch": BATCH, "encoder": ENCODER, "decoder": DECODER, "huber_delta": 0.5,
    "x": x.ravel().astype(float).round(2).tolist(),
    "weights": {k: v.ravel().astype(float).round(2).tolist() for k, v in weights.items()},
    "cases": cases,
}))
