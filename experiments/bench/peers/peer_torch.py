"""PyTorch, as its users write it: python peer_torch.py DATA DEVICE eager|fused|compile"""
import contextlib
import sys
import time

import torch
from torch import nn

import contestant
from contestant import dense_layers, unet_layers
from dense import autoencoder, denoising_loss

device, variant = torch.device(sys.argv[2]), sys.argv[3]
data = torch.from_numpy(contestant.training_images()).to(device)


class UNet(nn.Module):
    """Two 3×3 convolutions a level, max pooling, transposed convolutions, skip connections.

    It computes the image, or with residual what to add to the noisy one.
    """

    def __init__(self, residual, channels=(24, 48, 96)):
        super().__init__()
        self.residual = residual

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
        image = self.image(h).flatten(1)
        return rows + image if self.residual else torch.tanh(image)

    def layers(self):
        """Those with weights, in the order of contestant.unet_layers."""
        parts = [*self.down]
        for back, level in zip(reversed(self.back), reversed(self.up)):
            parts += [back, level]
        return [layer for part in [*parts, self.image] for layer in part.modules() if hasattr(layer, "weight")]


loss_of = denoising_loss
if variant == "compile":
    # Each model and each size of a batch is a compilation, and past the limit PyTorch compiles no more, with no error.
    torch._dynamo.config.recompile_limit = 64
    loss_of = torch.compile(denoising_loss, dynamic=False)


def network(model, width):
    return UNet(residual="residual" in model) if "unet" in model else autoencoder(width)


def computing_in(precision):
    """What a step is computed in; without a precision, what PyTorch chooses by itself."""
    if precision:
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else contextlib.nullcontext()


def wait():
    if device.type == "cuda":
        torch.cuda.synchronize()


def epoch(images, batch, width, runs, seed, rate=1e-3, model="", precision=""):
    """The first epoch of so many runs, one after another."""
    seconds, losses, computing = 0, [], computing_in(precision)
    for run in range(runs):
        torch.manual_seed(seed + run)
        net = network(model, width).to(device)
        optimizer = torch.optim.Adam(net.parameters(), lr=rate, fused=variant != "eager")
        wait()
        start = time.perf_counter()
        total = torch.zeros((), device=device)
        for index in torch.randperm(images, device=device).split(batch):
            with computing:
                loss = loss_of(net, data[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(index)
        losses.append(total.item() / images)  # waits for the device
        seconds += time.perf_counter() - start
    return {"seconds": seconds, "loss": sum(losses) / runs}


# How PyTorch keeps what is [in, out] or [height, width, in, out].
AXES = {nn.Linear: (1, 0), nn.Conv2d: (3, 2, 0, 1), nn.ConvTranspose2d: (2, 3, 0, 1)}


@torch.inference_mode()
def denoise(folder, model="", **work):
    computing_in("float32")
    net = network(model, 1).to(device)
    layers, shapes = net.layers() if "unet" in model else net[::2], unet_layers() if "unet" in model else dense_layers()
    for layer, (weight, bias) in zip(layers, contestant.weights(folder, shapes)):
        layer.weight.copy_(torch.from_numpy(weight.transpose(AXES[type(layer)])))
        layer.bias.copy_(torch.from_numpy(bias))
    return contestant.denoised(folder, reconstruct=lambda x: net(torch.from_numpy(x).to(device)).cpu().numpy(), **work)


def product(size):
    a, b = torch.ones(size, size), torch.ones(size, size)
    return {"seconds": contestant.seconds(lambda: a @ b, passes=3), "loss": 0}


contestant.serve({"epoch": epoch, "denoise": denoise, "product": product})
