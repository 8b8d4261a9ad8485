"""Writes vae.json: the objectives of a small variational autoencoder and their gradients, by PyTorch in float64.

    python vae.py > vae.json        (PyTorch 2.15, NumPy 2.4)

The densities are torch.distributions', the gradients autograd's: nothing is written down from Latent's formulas.
"""
import json

import numpy as np
import torch
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(11)
HEIGHT, WIDTH, BATCH, HIDDEN, LATENT, SAMPLES, BETA, DEVIATION = 2, 3, 2, 5, 3, 4, 0.7, 0.3
SIZE = HEIGHT * WIDTH


def rounded(*shape, scale=1.0):
    """Numbers that float32 holds exactly, so that Go starts from the same."""
    return np.round(scale * rng.normal(size=shape), 2).astype(np.float32)


weights = {}
for name, fan_in, out in [("encoder.layer_1", SIZE, HIDDEN), ("encoder.mean", HIDDEN, LATENT),
                          ("encoder.log_variance", HIDDEN, LATENT), ("decoder.layer_1", LATENT, HIDDEN),
                          ("decoder.pixels", HIDDEN, SIZE)]:
    weights[name + ".weight"] = rounded(fan_in, out, scale=0.7)
    weights[name + ".bias"] = rounded(out, scale=0.7)
images = {
    "bernoulli": rng.choice([-1, 1], size=(BATCH, SIZE)).astype(np.float32),
    "gaussian": np.clip(rounded(BATCH, SIZE, scale=0.5), -1, 1),
}
noise = rounded(BATCH, SAMPLES, LATENT)


def objective(likelihood, bound):
    w = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in weights.items()}
    layer = lambda name, x: x @ w[name + ".weight"] + w[name + ".bias"]
    x = torch.tensor(images[likelihood], dtype=torch.float64)
    h = torch.tanh(layer("encoder.layer_1", x))
    q = Normal(layer("encoder.mean", h), torch.exp(layer("encoder.log_variance", h) / 2))
    prior = Normal(torch.zeros(LATENT), torch.ones(LATENT))
    z = q.mean[:, None] + q.stddev[:, None] * torch.tensor(noise, dtype=torch.float64)
    out = layer("decoder.pixels", torch.tanh(layer("decoder.layer_1", z)))
    if likelihood == "bernoulli":
        given, target = Independent(Bernoulli(logits=out), 1), (x + 1) / 2
    else:
        given, target = Independent(Normal(out, DEVIATION), 1), x
    log_given = given.log_prob(target[:, None])  # [batch, samples]
    if bound == "elbo":
        terms = {"reconstruction": -log_given.mean(1), "kl": kl_divergence(q, prior).sum(1)}
        total = terms["reconstruction"] + BETA * terms["kl"]
    else:
        posterior = Independent(Normal(q.mean[:, None], q.stddev[:, None]), 1)
        log_weights = log_given + Independent(prior, 1).log_prob(z) - posterior.log_prob(z)
        terms = {"iwae": np.log(SAMPLES) - torch.logsumexp(log_weights, 1)}
        total = terms["iwae"]
    total.sum().backward()
    return {
        "likelihood": likelihood, "bound": bound,
        "terms": {name: value.tolist() for name, value in terms.items()},
        "gradients": {name: value.grad.flatten().tolist() for name, value in w.items()},
    }


print(json.dumps({
    "height": HEIGHT, "width": WIDTH, "batch": BATCH, "hidden": HIDDEN, "latent": LATENT, "samples": SAMPLES,
    "beta": BETA, "deviation": DEVIATION,
    "weights": {name: value.flatten().tolist() for name, value in weights.items()},
    "images": {name: value.flatten().tolist() for name, value in images.items()},
    "noise": noise.flatten().tolist(),
    "cases": [objective(likelihood, bound) for likelihood in images for bound in ("elbo", "iwae")],
}))
