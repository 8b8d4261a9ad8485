"""The seed's model and its loss, in PyTorch."""
import torch
from torch import nn

import contestant


def autoencoder(width=1):
    """A linear layer between each two sizes, ReLU between them, tanh at the end."""
    layers = []
    for (fan_in, fan_out), _ in contestant.dense_layers(width):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Tanh())


def denoising_loss(model, rows):
    x = rows.float().div_(127.5).sub_(1)
    damaged = torch.randn_like(x).mul_(0.3).add_(x).clamp_(-1, 1)
    return nn.functional.mse_loss(model(damaged), x)
