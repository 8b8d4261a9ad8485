"""Writes golden.json: PSNR and SSIM of image pairs by scikit-image.

    python golden.py > golden.json        (scikit-image 0.26, NumPy 2.4)
"""
import json

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

rng = np.random.default_rng(11)


def scene(height, width, channels):
    """A smooth picture with an edge, in bytes."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [np.sin(x / (3 + c)) * np.cos(y / (4 + c)) + (x + y > width) * 0.7 for c in range(channels)]
    picture = np.stack(planes, axis=-1)
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return np.round(picture * 255).astype(np.uint8)


cases = []
for name, shape, noise in (("grey", (28, 28, 1), 20), ("grey, barely damaged", (28, 28, 1), 2),
                           ("colour", (16, 20, 3), 40), ("smallest", (11, 11, 1), 60)):
    clean = scene(*shape)
    damaged = np.clip(np.round(clean + rng.normal(scale=noise, size=shape)), 0, 255).astype(np.uint8)
    a, b = clean / 255, damaged / 255
    # The mean over the region where the window lies wholly inside, channel by channel (Wang et al. 2004).
    similarity = []
    for c in range(shape[2]):
        _, full = structural_similarity(a[..., c], b[..., c], gaussian_weights=True, sigma=1.5,
                                        use_sample_covariance=False, data_range=1, full=True)
        similarity.append(full[5:-5, 5:-5].mean())
    cases.append({
        "name": name, "height": shape[0], "width": shape[1], "channels": shape[2],
        "clean": clean.ravel().tolist(), "damaged": damaged.ravel().tolist(),
        "psnr": peak_signal_noise_ratio(a, b, data_range=1), "ssim": float(np.mean(similarity)),
        "mse": float(np.mean((2 * a - 2 * b) ** 2)), "mae": float(np.mean(np.abs(2 * a - 2 * b))),
    })
print(json.dumps(cases))
