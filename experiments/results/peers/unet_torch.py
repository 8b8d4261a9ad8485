"""The U-Net of configs/photos/bsd.yaml in PyTorch, trained for a time: python - FOLDER SIGMA SECONDS.

FOLDER holds train400, set12 and set68. The same layers, batches of 8 patches of 64×64 with mirrors and quarter turns, Adam with the same
rate, which falls with a cosine to the end of the time. Prints JSON: the steps, and the mean PSNR in dB on both sets, of one draw of noise,
with the output clipped to 0…1.
"""
import glob
import json
import math
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

folder, sigma, limit = sys.argv[1], float(sys.argv[2]) / 255, float(sys.argv[3])
torch.manual_seed(42)
draw = np.random.default_rng(42)


def pictures(name):
    return [np.asarray(Image.open(path).convert("L"), np.float32) / 255 for path in sorted(glob.glob(f"{folder}/{name}/*"))]


def convolutions(channels, out):
    return nn.Sequential(nn.Conv2d(channels, out, 3, padding=1), nn.ReLU(), nn.Conv2d(out, out, 3, padding=1), nn.ReLU())


class UNet(nn.Module):
    def __init__(self, channels=(24, 48, 96)):
        super().__init__()
        below = (1, *channels)
        self.down = nn.ModuleList(convolutions(a, b) for a, b in zip(below, channels))
        self.back = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in zip(channels, channels[1:]))
        self.up = nn.ModuleList(convolutions(2 * a, a) for a in channels[:-1])
        self.image = nn.Conv2d(channels[0], 1, 1)

    def forward(self, x):
        h, skips = x, []
        for i, level in enumerate(self.down):
            h = level(h if i == 0 else F.max_pool2d(h, 2))
            skips.append(h)
        for i in reversed(range(len(self.up))):
            h = self.up[i](torch.cat([skips[i], self.back[i](h)], 1))
        return x + self.image(h)


train = np.stack(pictures("train400"))
model = UNet()
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
begun, steps = time.time(), 0
while (passed := time.time() - begun) < limit:
    optimizer.param_groups[0]["lr"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * passed / limit))
    tops, lefts = draw.integers(0, train.shape[1] - 63, 8), draw.integers(0, train.shape[2] - 63, 8)
    batch = []
    for i, top, left in zip(draw.integers(0, len(train), 8), tops, lefts):
        patch = np.rot90(train[i, top : top + 64, left : left + 64], draw.integers(4))
        batch.append(patch[:, ::-1] if draw.random() < 0.5 else patch)
    clean = torch.from_numpy(np.stack(batch))[:, None]
    loss = F.mse_loss(model(clean + sigma * torch.randn_like(clean)), clean)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    steps += 1
found = {"steps": steps, "version": torch.__version__}
model.eval()
generator = torch.Generator().manual_seed(1)
for name in ("set12", "set68"):
    psnr = []
    for picture in pictures(name):
        clean = torch.from_numpy(picture)[None, None]
        noisy = clean + sigma * torch.randn(clean.shape, generator=generator)
        height, width = picture.shape
        padded = F.pad(noisy, (0, -width % 4, 0, -height % 4), mode="reflect")
        with torch.no_grad():
            restored = model(padded)[..., :height, :width].clamp(0, 1)
        psnr.append(-10 * math.log10(F.mse_loss(restored, clean).item()))
    found[name] = float(np.mean(psnr))
json.dump(found, sys.stdout)
