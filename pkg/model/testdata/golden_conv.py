"""Writes golden_conv.json: forward passes of small convolutional models and of dense ones with norms, by PyTorch in float64.

    python golden_conv.py > golden_conv.json        (PyTorch 2.15)

In training, batch norms also give their next running statistics.
"""
import json

import torch
import torch.nn.functional as F

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
HEIGHT, WIDTH, BATCH = 7, 10, 3


def rounded(*dims):
    return torch.round(torch.randn(*dims) * 100) / 100


def short(values):
    return [round(v, 7) for v in values.flatten().tolist()]


class Case:
    """Weights by Latent's names, in Latent's layout, drawn as they are asked for."""

    def __init__(self, name, model, channels, training=False):
        self.record = {"name": name, "model": model, "channels": channels, "training": training}
        self.weights, self.next = {}, {}
        self.training = training
        self.x = torch.clamp(rounded(BATCH, channels, HEIGHT, WIDTH), -1, 1)

    def weight(self, name, *dims):
        if name not in self.weights:
            self.weights[name] = rounded(*dims)
        return self.weights[name]

    def dense(self, name, x, out):
        return x @ self.weight(name + ".weight", x.shape[1], out) + self.weight(name + ".bias", out)

    def conv(self, name, x, out, kernel, stride=1):
        w = self.weight(name + ".weight", kernel, kernel, x.shape[1], out)
        pads = []
        for size in (x.shape[3], x.shape[2]):  # F.pad begins with the last axis
            zeros = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            pads += [zeros // 2, zeros - zeros // 2]
        return F.conv2d(F.pad(x, pads), w.permute(3, 2, 0, 1), self.weight(name + ".bias", out), stride)

    def transposed(self, name, x, out, kernel, stride, height, width):
        w = self.weight(name + ".weight", kernel, kernel, x.shape[1], out)
        y = F.conv_transpose2d(x, w.permute(2, 3, 0, 1), None, stride)
        y = F.pad(y, (0, stride, 0, stride))
        top, left = (max(0, (-(-n // stride) - 1) * stride + kernel - n) // 2 for n in (height, width))
        return y[:, :, top:top + height, left:left + width] + self.weight(name + ".bias", out)[:, None, None]

    def norm(self, kind, name, x):
        channels = x.shape[1]
        scale, shift = self.weight(name + ".scale", channels), self.weight(name + ".shift", channels)
        if kind == "layer":
            return F.layer_norm(x.movedim(1, -1), (channels,), scale, shift).movedim(-1, 1)
        mean, variance = self.weight(name + ".mean", channels), self.weight(name + ".variance", channels)
        if not self.training:
            variance.abs_()
        after = mean.clone(), variance.clone()
        y = F.batch_norm(x, *after, scale, shift, training=self.training, momentum=0.1)
        if self.training:
            self.next[name + ".mean"], self.next[name + ".variance"] = after[0].tolist(), after[1].tolist()
        return y

    def done(self, latent, image):
        if image.dim() == 4:
            image = image.permute(0, 2, 3, 1)
        return self.record | {
            "x": self.x.permute(0, 2, 3, 1).flatten().tolist(),
            "weights": {k: v.flatten().tolist() for k, v in self.weights.items()},
            "latent": short(latent), "image": short(image), "next": self.next,
        }


def conv(decoder, norm, kernel, stride, channels, training=False):
    c = Case(f"conv {decoder} {norm}", {
        "kind": "conv", "channels": [3, 2], "kernel": kernel, "stride": stride, "latent": 4, "decoder": decoder,
        "activation": "silu", "latent_activation": "tanh", "norm": norm, "output": "linear"}, channels, training)
    after = lambda name, h: F.silu(h if norm == "none" else c.norm(norm, f"{name}.{norm}_norm", h))
    h, sizes = c.x, [(HEIGHT, WIDTH)]
    for i, out in enumerate((3, 2)):
        h = after(f"encoder.conv_{i + 1}", c.conv(f"encoder.conv_{i + 1}", h, out, kernel, stride))
        sizes.append(h.shape[2:])
    z = torch.tanh(c.dense("encoder.code", h.permute(0, 2, 3, 1).flatten(1), 4))
    h = c.dense("decoder.code", z, 2 * sizes[2][0] * sizes[2][1]).unflatten(1, (*sizes[2], 2)).permute(0, 3, 1, 2)
    h = after("decoder.code", h)
    for i, out in enumerate((3, channels)):
        name, (height, width) = f"decoder.conv_{i + 1}", sizes[1 - i]
        if decoder == "transposed":
            h = c.transposed(name, h, out, kernel, stride, height, width)
        else:
            h = F.interpolate(h, scale_factor=stride, mode="nearest")[:, :, :height, :width]
            h = c.conv(name, h, out, kernel)
        if i == 0:
            h = after(name, h)
    return c.done(z, h)


def unet(pooling, upsampling, norm, residual, training=False):
    c = Case(f"unet {pooling} {upsampling} {norm}", {
        "kind": "unet", "channels": [2, 3], "convolutions": 1, "kernel": 3, "pooling": pooling, "upsampling": upsampling,
        "activation": "relu", "norm": norm, "residual": residual, "output": "tanh"}, 1, training)
    after = lambda name, h: F.relu(h if norm == "none" else c.norm(norm, f"{name}.{norm}_norm", h))
    skip = after("down_1.conv_1", c.conv("down_1.conv_1", c.x, 2, 3))
    if pooling == "strided":
        h = c.conv("pool_1", skip, 2, 2, 2)
    elif pooling == "max":
        h = F.max_pool2d(skip, 2, ceil_mode=True)
    else:
        h = F.avg_pool2d(skip, 2, ceil_mode=True)
    h = z = after("down_2.conv_1", c.conv("down_2.conv_1", h, 3, 3))
    if upsampling == "transposed":
        h = c.transposed("unpool_1", h, 2, 2, 2, HEIGHT, WIDTH)
    else:
        h = F.interpolate(c.conv("unpool_1", h, 2, 1), scale_factor=2, mode="nearest")[:, :, :HEIGHT, :WIDTH]
    h = after("up_1.conv_1", c.conv("up_1.conv_1", torch.cat([skip, h], 1), 2, 3))
    h = c.conv("image", h, 1, 1)
    if residual:
        h = h + c.x
    return c.done(z.permute(0, 2, 3, 1).flatten(1), torch.tanh(h))


def dense(norm, tied, training=False):
    c = Case(f"dense {norm} tied={tied}", {
        "kind": "dense", "encoder": [5, 3], "decoder": [5], "activation": "gelu", "latent_activation": "linear",
        "norm": norm, "tied": tied, "output": "linear"}, 1, training)
    h = c.norm(norm, f"encoder.layer_1.{norm}_norm", c.dense("encoder.layer_1", c.x.flatten(1), 5))
    z = c.dense("encoder.layer_2", F.gelu(h), 3)
    if tied:
        w1, w2 = c.weights["encoder.layer_1.weight"], c.weights["encoder.layer_2.weight"]
        h = z @ w2.T + c.weight("decoder.layer_1.bias", 5)
        h = F.gelu(c.norm(norm, f"decoder.layer_1.{norm}_norm", h))
        h = h @ w1.T + c.weight("decoder.layer_2.bias", HEIGHT * WIDTH)
    else:
        h = F.gelu(c.norm(norm, f"decoder.layer_1.{norm}_norm", c.dense("decoder.layer_1", z, 5)))
        h = c.dense("decoder.layer_2", h, HEIGHT * WIDTH)
    return c.done(z, h)


print(json.dumps({"height": HEIGHT, "width": WIDTH, "batch": BATCH, "cases": [
    conv("transposed", "none", 4, 2, 1), conv("resize", "layer", 3, 2, 3), conv("transposed", "batch", 3, 3, 1, training=True),
    unet("max", "transposed", "none", False), unet("mean", "resize", "batch", True), unet("strided", "resize", "layer", True),
    dense("batch", False, training=True), dense("layer", True),
]}))
