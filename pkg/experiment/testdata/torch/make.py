"""Writes what TestImportTorch reads: python make.py FOLDER.

conv.pt is the state dict of the autoencoder below, in the dict of a training checkpoint; conv.safetensors the same; conv.json an input, [1, 28, 28],
and what the module makes of it. The config beside them in import_test.go has the same layers.
"""
import json
import sys

import torch
from safetensors.torch import save_file
from torch import nn

folder = sys.argv[1]
torch.manual_seed(7)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 3, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU(),
            nn.Conv2d(3, 4, 4, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
            nn.Flatten(), nn.Linear(4 * 7 * 7, 5),
        )
        self.decoder = nn.Sequential(
            nn.Linear(5, 4 * 7 * 7), nn.Unflatten(1, (4, 7, 7)), nn.BatchNorm2d(4), nn.ReLU(),
            nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1), nn.BatchNorm2d(3), nn.ReLU(),
            nn.ConvTranspose2d(3, 1, 4, stride=2, padding=1), nn.Tanh(),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


model = Autoencoder()
for _ in range(20):  # running means that are not those of the start
    model(torch.rand(16, 1, 28, 28) * 3 - 1)
model.eval()
x = (torch.rand(1, 1, 28, 28) * 200).round() / 100 - 1
with torch.no_grad():
    y = model(x)
optimizer = torch.optim.Adam(model.parameters())
torch.save({"epoch": 20, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, f"{folder}/conv.pt")
save_file(model.state_dict(), f"{folder}/conv.safetensors")
with open(f"{folder}/conv.json", "w") as out:
    json.dump({"x": [round(v, 2) for v in x.flatten().tolist()], "y": [round(v, 7) for v in y.flatten().tolist()]}, out)
