"""Writes golden.json: images blurred by SciPy, and scaled down and up by Pillow.

    python golden.py > golden.json        (SciPy 1.17, Pillow 13.0, NumPy 2.4)
"""
import json

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

rng = np.random.default_rng(3)


def case(kind, number, text, shape, damage):
    clean = rng.integers(0, 256, shape).astype(np.uint8)
    x = clean / 127.5 - 1
    damaged = np.stack([damage(x[..., c]) for c in range(shape[2])], axis=-1)
    return {"kind": kind, "number": number, "text": text, "height": shape[0], "width": shape[1], "channels": shape[2],
            "clean": clean.ravel().tolist(), "damaged": np.round(damaged, 6).ravel().tolist()}


def blurred(sigma):
    """Nothing beyond the border: the zeros there divided out."""
    def damage(x):
        blur = lambda y: gaussian_filter(y, sigma, mode="constant", truncate=20)
        return blur(x) / blur(np.ones_like(x))
    return damage


def scaled(factor, resample):
    """reduce() takes the mean of squares, of what is left of them at the border; resize() of whole squares is cut off."""
    def damage(x):
        small = Image.fromarray(x.astype(np.float32)).reduce(factor)
        large = small.resize((small.width * factor, small.height * factor), resample)
        return np.asarray(large)[:x.shape[0], :x.shape[1]]
    return damage


cases = [case("blur", sigma, "", shape, blurred(sigma))
         for sigma, shape in ((0.4, (12, 15, 1)), (1, (16, 16, 3)), (5, (9, 20, 1)))]
for factor, shape in ((2, (12, 16, 1)), (3, (14, 10, 3)), (4, (28, 28, 1)), (20, (8, 8, 1))):
    cases.append(case("downscale", factor, "nearest", shape, scaled(factor, Image.Resampling.NEAREST)))
    cases.append(case("downscale", factor, "bilinear", shape, scaled(factor, Image.Resampling.BILINEAR)))
print(json.dumps(cases))
