"""BM3D (Dabov et al. 2007; package bm3d) on pictures that Latent damaged: python - FOLDER SIGMA.

FOLDER holds NNNNN-damaged.npy and NNNNN-clean.npy, [height, width, 1] from 0 to 255, as `latent eval RUN --damaged FOLDER` writes them.
Prints JSON: the PSNR of each picture in dB, with the output clipped to 0…255, and the seconds of all.
"""
import glob
import json
import sys
import time
from importlib.metadata import version

import numpy as np
from bm3d import bm3d

folder, sigma = sys.argv[1], float(sys.argv[2])
psnr, seconds = [], 0.0
for path in sorted(glob.glob(f"{folder}/*-damaged.npy")):
    damaged = np.load(path)[:, :, 0].astype(np.float64)
    clean = np.load(path.replace("-damaged", "-clean"))[:, :, 0].astype(np.float64)
    begun = time.time()
    restored = bm3d(damaged / 255, sigma / 255)
    seconds += time.time() - begun
    error = np.clip(restored, 0, 1) - clean / 255
    psnr.append(float(-10 * np.log10(np.mean(error**2))))
json.dump({"psnr": psnr, "seconds": seconds, "version": version("bm3d")}, sys.stdout)
