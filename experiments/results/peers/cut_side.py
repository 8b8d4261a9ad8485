"""Cuts squares out of the colour photographs of scikit-image: python - FOLDER.

Writes FOLDER/train64, test64, train128 and test128: PNG files of 64 and 128 pixels on a side, of squares of up to 2.5 times that, at random
places of seven pictures for training and of another, the astronaut, for the test.
"""
import os
import sys

import numpy as np
import skimage
from PIL import Image

pictures = os.path.join(os.path.dirname(skimage.__file__), "data")
train = ["coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png", "retina.jpg", "ihc.png", "hubble_deep_field.jpg"]
draw = np.random.default_rng(0)
for side, count in ((64, 1400), (128, 500)):
    for part, names, n in (("train", train, count), ("test", ["astronaut.png"], count // 5)):
        folder = os.path.join(sys.argv[1], f"{part}{side}")
        os.makedirs(folder, exist_ok=True)
        for name in names:
            picture = Image.open(os.path.join(pictures, name)).convert("RGB")
            for i in range(n):
                size = min(int(side * draw.uniform(1, 2.5)), *picture.size)
                x, y = (int(draw.integers(0, length - size + 1)) for length in picture.size)
                cut = picture.crop((x, y, x + size, y + size)).resize((side, side), Image.LANCZOS)
                cut.save(os.path.join(folder, f"{name.split('.')[0]}-{i:04}.png"))
