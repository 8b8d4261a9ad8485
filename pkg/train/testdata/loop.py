"""Writes loop.json: the losses of a whole small run, computed in float64 without Latent.

    python loop.py > loop.json        (NumPy 1.26 or later)

Everything is written down again here from its definition: Threefry-2x32-20 and the keys of the streams, the first weights,
the shuffling, the images, the noise, the forward and the backward pass, and Adam. TestWholeLoop compares.
"""
import json
import statistics

import numpy as np

np.seterr(over="ignore")
U = np.uint32
SEED, SIDE, IMAGES, BATCH, EPOCHS, NOISE, RATE = 11, 8, 50, 16, 10, 0.3, 0.01
SIZES = [64, 24, 6, 24, 64]


def threefry(key, c0, c1):
    """The words of Threefry-2x32-20 (Salmon et al. 2011) at the counters (c0, c1)."""
    c0, c1 = np.broadcast_arrays(np.asarray(c0, U), np.asarray(c1, U))
    ks = [U(key[0]), U(key[1]), U(0x1BD11BDA) ^ U(key[0]) ^ U(key[1])]
    x0, x1 = c0 + ks[0], c1 + ks[1]
    for block in range(5):
        for r in [(13, 15, 26, 6), (17, 29, 16, 24)][block % 2]:
            x0 = x0 + x1
            x1 = ((x1 << U(r)) | (x1 >> U(32 - r))) ^ x0
        x0 = x0 + ks[(block + 1) % 3]
        x1 = x1 + ks[(block + 2) % 3] + U(block + 1)
    return x0, x1


def child(key, i):
    x0, x1 = threefry(key, i, 1)
    return int(x0), int(x1)


def words(key, n):
    return threefry(key, np.arange(n), 0)[0]


def uniform(key, n):
    return ((words(key, n) >> U(9)) + 0.5) / 2**22 - 1


def permutation(key, n):
    order = []
    for i, word in enumerate(words(key, n)):
        j = int(word) * (i + 1) >> 32
        order.append(order[j] if j < i else i)
        order[j] = i
    return order


def normal(key, rows, columns):
    pairs = (columns + 1) // 2
    x0, x1 = threefry(key, np.arange(rows * pairs).reshape(rows, pairs), 0)
    inverse = statistics.NormalDist().inv_cdf
    values = []
    for word in np.concatenate([x0, x1], 1)[:, :columns].flatten().tolist():
        tail = ((word & 0x7FFFFFFF) + 0.5) / 2**31  # of both sides
        z = -inverse(tail / 2)
        values.append(-z if word >> 31 else z)
    return np.reshape(values, (rows, columns))


def blobs(n):
    images = np.zeros((n, SIDE, SIDE))
    for i in range(n):
        x, y = threefry((4, 0), i, 0)
        images[i, int(y) % 5 : int(y) % 5 + 4, int(x) % 5 : int(x) % 5 + 4] = 255
    return images.reshape(n, -1) / 127.5 - 1


root = (SEED, 0)
init, shuffle, noise = (child(root, i) for i in range(3))
params = []
for layer, (fan_in, fan_out) in enumerate(zip(SIZES, SIZES[1:])):
    limit = fan_in**-0.5
    params.append(limit * uniform(child(init, 2 * layer), fan_in * fan_out).reshape(fan_in, fan_out))
    params.append(limit * uniform(child(init, 2 * layer + 1), fan_out))
m, v = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]

data, losses, step = blobs(IMAGES), [], 0
for epoch in range(EPOCHS):
    order = permutation(child(shuffle, epoch), IMAGES)
    for first in range(0, IMAGES, BATCH):
        x = data[order[first : first + BATCH]]
        z = normal(child(child(noise, step), 0), len(x), SIDE * SIDE)
        h = [np.clip(x + NOISE * z, -1, 1)]
        for layer in range(4):
            a = h[-1] @ params[2 * layer] + params[2 * layer + 1]
            h.append(np.tanh(a) if layer == 3 else np.maximum(a, 0))
        losses.append(float(((h[-1] - x) ** 2).mean()))

        g = 2 * (h[-1] - x) / x.size * (1 - h[-1] ** 2)
        gradients = [None] * 8
        for layer in reversed(range(4)):
            gradients[2 * layer], gradients[2 * layer + 1] = h[layer].T @ g, g.sum(0)
            g = (g @ params[2 * layer].T) * (h[layer] > 0)
        step += 1
        for i, gradient in enumerate(gradients):
            m[i] = 0.9 * m[i] + 0.1 * gradient
            v[i] = 0.999 * v[i] + 0.001 * gradient**2
            params[i] = params[i] - RATE * (m[i] / (1 - 0.9**step)) / (np.sqrt(v[i] / (1 - 0.999**step)) + 1e-8)
print(json.dumps({"losses": losses}))
