"""PyTorch, as its users write it: python peer_torch.py DATA eager|fused|compile"""
import sys
import time

import torch
from torch import nn

import contestant

variant = sys.argv[2]
data = torch.from_numpy(contestant.training_images())


def autoencoder(width=1):
    """A linear layer between each two sizes, ReLU between them, tanh at the end."""
    sizes = contestant.sizes(width)
    layers = []
    for fan_in, fan_out in zip(sizes, sizes[1:]):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Tanh())


def denoising_loss(model, rows):
    x = rows.float().div_(127.5).sub_(1)
    damaged = torch.randn_like(x).mul_(0.3).add_(x).clamp_(-1, 1)
    return nn.functional.mse_loss(model(damaged), x)


loss_of = torch.compile(denoising_loss, dynamic=False) if variant == "compile" else denoising_loss


def epoch(images, batch, width, runs, seed):
    """The first epoch of so many runs, one after another."""
    seconds, losses = 0, []
    for run in range(runs):
        torch.manual_seed(seed + run)
        model = autoencoder(width)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=variant != "eager")
        start = time.perf_counter()
        total = torch.zeros(())
        for index in torch.randperm(images).split(batch):
            loss = loss_of(model, data[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(index)
        losses.append(total.item() / images)
        seconds += time.perf_counter() - start
    return {"seconds": seconds, "loss": sum(losses) / runs}


@torch.inference_mode()
def denoise(folder):
    model = autoencoder()
    for parameter, value in zip(model.parameters(), contestant.weights(folder)):
        parameter.copy_(torch.from_numpy(value.T))  # nn.Linear keeps [out, in]
    return contestant.denoised(folder, lambda x: model(torch.from_numpy(x)).numpy())


def product(size):
    a, b = torch.ones(size, size), torch.ones(size, size)
    return {"seconds": contestant.seconds(lambda: a @ b, passes=3), "loss": 0}


contestant.serve({"epoch": epoch, "denoise": denoise, "product": product})
