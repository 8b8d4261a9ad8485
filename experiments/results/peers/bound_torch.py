"""The model of configs/papers/iwae.yaml in PyTorch: python - FOLDER JSON.

FOLDER holds train.npy and test.npy, uint8 [images, 784]. JSON has samples (1 is the evidence bound, more are those of IWAE), epochs, rate,
epsilon, batch, seed, draws and images. Black-and-white images are drawn for each batch anew, and once for the test. Prints JSON: nll, nats by so
many importance samples of each of the first images of the test; seconds of training; and the version.
"""
import json
import math
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

folder, asked = sys.argv[1], json.loads(sys.argv[2])
torch.manual_seed(asked["seed"])
train = torch.from_numpy(np.load(f"{folder}/train.npy")).float() / 255
test = torch.from_numpy(np.load(f"{folder}/test.npy")[: asked["images"]]).float() / 255
hidden, latent = 200, 50


def layers(sizes):
    parts = []
    for a, b in zip(sizes, sizes[1:]):
        linear = nn.Linear(a, b)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        parts += [linear, nn.Tanh()]
    return nn.Sequential(*parts[:-1])


encoder, decoder = layers([784, hidden, hidden, 2 * latent]), layers([latent, hidden, hidden, 784])


def log_weights(x, k):
    """log p(x, z) / q(z|x) of k draws of z for each image: [k, batch]."""
    mean, log_variance = encoder(x).chunk(2, -1)
    noise = torch.randn(k, *mean.shape)
    z = mean + noise * (0.5 * log_variance).exp()
    logits = decoder(z)
    observed = -F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)
    return observed + 0.5 * (noise**2 + log_variance - z**2).sum(-1)


parameters = [*encoder.parameters(), *decoder.parameters()]
optimizer = torch.optim.Adam(parameters, asked["rate"], eps=asked["epsilon"])
per_epoch = math.ceil(len(train) / asked["batch"])
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, per_epoch * asked["epochs"])
begun = time.time()
for epoch in range(asked["epochs"]):
    for rows in torch.randperm(len(train)).split(asked["batch"]):
        x = torch.bernoulli(train[rows])
        w = log_weights(x, asked["samples"])
        loss = -(torch.logsumexp(w, 0) - math.log(asked["samples"])).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    if epoch % 20 == 0:
        print(f"epoch {epoch + 1} of {asked['epochs']}, {time.time() - begun:.0f} s, loss {loss.item():.2f}", file=sys.stderr)
seconds = time.time() - begun
nll, part = 0.0, 50
with torch.no_grad():
    x = torch.bernoulli(test)
    for rows in x.split(20):
        w = torch.cat([log_weights(rows, part) for _ in range(asked["draws"] // part)])
        nll -= (torch.logsumexp(w, 0) - math.log(len(w))).sum().item()
print(json.dumps({"nll": nll / len(x), "seconds": seconds, "version": torch.__version__}))
