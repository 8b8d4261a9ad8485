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


def dense_layers(width=1):
    """Each layer's weights' shape and fan-in, from image to image; width multiplies the hidden layers."""
    sizes = [784, *(int(n * width) for n in (256, 128, 64, 128, 256)), 784]
    return [((fan_in, fan_out), fan_in) for fan_in, fan_out in zip(sizes, sizes[1:])]


CHANNELS = (24, 48, 96)


def unet_layers(_=1):
    """The same of the U-Net: kernels [height, width, in, out], down, then level by level up, then the image."""

    def level(fan_in, fan_out):
        return [((3, 3, fan_in, fan_out), 9 * fan_in), ((3, 3, fan_out, fan_out), 9 * fan_out)]

    layers = []
    for fan_in, fan_out in zip((1, *CHANNELS), CHANNELS):
        layers += level(fan_in, fan_out)
    for above, below in reversed(list(zip(CHANNELS, CHANNELS[1:]))):
        layers += [((2, 2, below, above), 4 * above), *level(2 * above, above)]  # PyTorch counts the outputs of these
    return layers + [((1, 1, CHANNELS[0], 1), CHANNELS[0])]


def weights(folder, layers):
    """The exported model's parameters: each layer's weights and biases."""
    values, params = np.fromfile(f"{folder}/weights.f32", np.float32), []
    for shape, _ in layers:
        weight, bias, values = np.split(values, [np.prod(shape), np.prod(shape) + shape[-1]])
        params.append((weight.reshape(shape), bias))
    return params


def denoised(folder, images, batch, passes, reconstruct):
    """Times reconstruct, from array to array, on the first of the exported images, a batch at a time."""
    clean, noisy = (np.fromfile(f"{folder}/{name}.f32", np.float32).reshape(-1, 784)[:images] for name in ("clean", "noisy"))
    restored = np.empty_like(noisy)

    def work():
        for first in range(0, images, batch):
            restored[first : first + batch] = reconstruct(noisy[first : first + batch])

    return {"seconds": seconds(work, passes), "loss": float(np.mean((restored - clean) ** 2))}


def seconds(work, passes):
    """The mean time of a pass, after one that warms up."""
    work()
    start = time.perf_counter()
    for _ in range(passes):
        work()
    return (time.perf_counter() - start) / passes
