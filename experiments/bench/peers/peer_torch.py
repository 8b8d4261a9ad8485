"""PyTorch, as its users write it: python peer_torch.py DATA eager|fused|compile"""
import sys
import time

import torch
from torch import nn

import contestant
from dense import autoencoder, denoising_loss

variant = sys.argv[2]
data = torch.from_numpy(contestant.training_images())


class UNet(nn.Module):
    """Two 3×3 convolutions a level, max pooling, transposed convolutions, skip connections."""

    def __init__(self, channels=(24, 48, 96)):
        super().__init__()

        def level(fan_in, fan_out):
            return nn.Sequential(nn.Conv2d(fan_in, fan_out, 3, padding=1), nn.ReLU(), nn.Conv2d(fan_out, fan_out, 3, padding=1), nn.ReLU())

        self.down = nn.ModuleList(level(a, b) for a, b in zip((1, *channels), channels))
        self.back = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in zip(channels, channels[1:]))
        self.up = nn.ModuleList(level(2 * a, a) for a in channels[:-1])
        self.image = nn.Conv2d(channels[0], 1, 1)

    def forward(self, rows):
        h, skips = self.down[0](rows.view(-1, 1, 28, 28)), []
        for level in self.down[1:]:
            skips.append(h)
            h = level(nn.functional.max_pool2d(h, 2))
        for back, level in zip(reversed(self.back), reversed(self.up)):
            h = level(torch.cat([skips.pop(), back(h)], 1))
        return torch.tanh(self.image(h)).flatten(1)


loss_of = torch.compile(denoising_loss, dynamic=False) if variant == "compile" else denoising_loss


def epoch(images, batch, width, runs, seed, model=""):
    """The first epoch of so many runs, one after another."""
    seconds, losses = 0, []
    for run in range(runs):
        torch.manual_seed(seed + run)
        net = UNet() if model == "unet" else autoencoder(width)
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=variant != "eager")
        start = time.perf_counter()
        total = torch.zeros(())
        for index in torch.randperm(images).split(batch):
            loss = loss_of(net, data[index])
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
