"""What the peers share: the protocol, MNIST, and what is the same for all in denoising."""
import gzip
import json
import sys
import time

import numpy as np


def serve(tasks):
    """Answers each request, a line of JSON on stdin, with what the task of its name returns, until stdin ends."""
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(tasks[request.pop("task")](**request)), flush=True)


def training_images():
    """MNIST's training images, from the folder that the command line names: [60000, 784] uint8."""
    with gzip.open(f"{sys.argv[1]}/train-images-idx3-ubyte.gz") as file:
        return np.frombuffer(bytearray(file.read()), np.uint8, offset=16).reshape(-1, 784)


def sizes(width=1):
    """The model's layer sizes, from image to image; width multiplies the hidden ones."""
    return [784, *(int(n * width) for n in (256, 128, 64, 128, 256)), 784]


def weights(folder):
    """The exported model's parameters: each layer's [in, out] and [out]."""
    values, params = np.fromfile(f"{folder}/weights.f32", np.float32), []
    for fan_in, fan_out in zip(sizes(), sizes()[1:]):
        weight, bias, values = np.split(values, [fan_in * fan_out, fan_in * fan_out + fan_out])
        params += [weight.reshape(fan_in, fan_out), bias]
    return params


def denoised(folder, reconstruct):
    """Times reconstruct, from array to array, on the exported images, 1,000 at a time."""
    clean, noisy = (np.fromfile(f"{folder}/{name}.f32", np.float32).reshape(-1, 784) for name in ("clean", "noisy"))
    restored = np.empty_like(noisy)

    def work():
        for first in range(0, len(noisy), 1000):
            restored[first : first + 1000] = reconstruct(noisy[first : first + 1000])

    return {"seconds": seconds(work), "loss": float(np.mean((restored - clean) ** 2))}


def seconds(work, passes=10):
    """The mean time of a pass, after one that warms up."""
    work()
    start = time.perf_counter()
    for _ in range(passes):
        work()
    return (time.perf_counter() - start) / passes
