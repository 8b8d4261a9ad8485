"""Writes TIFF files in all variants that are read and some that are refused, and what is in them: python write.py FOLDER

index.json lists the files, each with pages, or with the word that its refusal must have; a page has its type, shape, and the name of a
file of its values, [height, width, channel], little-endian.
"""
import itertools
import json
import sys

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

folder = sys.argv[1]
index = []
written = {}
random = np.random.default_rng(7)
HEIGHT, WIDTH, PAGES = 21, 37, 2
COMPRESSIONS = {1: None, 5: "lzw", 8: "zlib", 32946: "deflate", 32773: "packbits"}


def page(values, **flags):
    """Says what a page has: its values as Latent gives them."""
    values = np.asarray(values)
    if values.ndim == 2:
        values = values[:, :, None]
    if values.dtype == bool:
        values = values.astype(np.uint8) * 255
    if values.dtype not in (np.uint8, np.uint16):
        values = values.astype(np.float32)
    values = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<")))
    key = (str(values.dtype), values.shape, values.tobytes())
    if key not in written:
        written[key] = f"values-{len(written)}.bin"
        values.tofile(f"{folder}/{written[key]}")
    return {"type": str(values.dtype), "shape": values.shape, "values": written[key], **flags}


def file(name, pages):
    index.append({"file": name, "pages": pages})


def sample(dtype, channels):
    dtype = np.dtype(dtype)
    shape = (PAGES, HEIGHT, WIDTH, channels)
    if dtype == bool:
        return random.random(shape) < 0.5
    if dtype.kind in "iu":
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        values = random.integers(low, high, shape, dtype, endpoint=True)
        values[:, 5:15] = random.integers(0, 3, dtype=dtype)  # runs
        values[:, 0, :2] = np.array([low, high], dtype)[None, :, None]
        return values
    values = random.normal(0, 100, shape).astype(dtype)
    values[:, 5:15] = 0.25
    values[:, 0, 0], values[:, 0, 1] = -0.0, np.finfo(np.float16).smallest_subnormal
    return values


def matrix():
    dtypes = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "bool"]
    for dtype, channels in itertools.product(dtypes, [1, 2, 3, 4, 5]):
        values = sample(dtype, channels)
        expected = [page(v, alpha=2 if channels == 4 else 0) for v in values]  # RGB and one more, tifffile takes for alpha
        kinds = itertools.product(COMPRESSIONS, [1, 2, 3], [None, 7, (16, 32)], ["contig", "separate"], "<>", [False, True])
        for compression, predictor, block, planar, order, big in kinds:
            kind = np.dtype(dtype).kind
            if predictor > 1 and (compression == 1 or kind == "b") or predictor == 2 and kind == "f" or predictor == 3 and kind != "f":
                continue
            if planar == "separate" and channels == 1 or kind == "b" and (channels > 1 or block == (16, 32) and compression != 1):
                continue
            name = f"{dtype}-{channels}-{compression}-{predictor}-{block}-{planar}-{'le' if order == '<' else 'be'}-{big}.tif".replace(" ", "")
            options = {"tile": block} if isinstance(block, tuple) else {"rowsperstrip": block or HEIGHT}
            if predictor > 1:
                options["predictor"] = predictor
            if channels > 1:
                options["planarconfig"] = planar
            with tifffile.TiffWriter(f"{folder}/{name}", byteorder=order, bigtiff=big) as tif:
                for v in values:
                    if channels == 1:
                        v = v[:, :, 0]
                    elif planar == "separate":
                        v = np.moveaxis(v, 2, 0)
                    tif.write(v, photometric="rgb" if channels in (3, 4) else "minisblack", compression=COMPRESSIONS[compression],
                              contiguous=False, metadata=None, **options)
            file(name, expected)


def turned(v, orientation):
    """The upright picture of one that is stored with an orientation."""
    return {
        1: v, 2: v[:, ::-1], 3: v[::-1, ::-1], 4: v[::-1], 5: v.swapaxes(0, 1), 6: v.swapaxes(0, 1)[:, ::-1],
        7: v[::-1, ::-1].swapaxes(0, 1), 8: v.swapaxes(0, 1)[::-1],
    }[orientation]


def variants():
    grey, colours = sample("u1", 1)[0, :, :, 0], sample("u2", 3)[0]
    for orientation in range(1, 9):
        for name, v, options in [("grey", grey, {}), ("colours", colours, {"tile": (16, 16), "compression": "zlib", "predictor": True}),
                                 ("planes", colours, {"planarconfig": "separate"}), ("floats", colours.astype("f4"), {"compression": "lzw"})]:
            stored = np.moveaxis(v, 2, 0) if name == "planes" else v
            tifffile.imwrite(f"{folder}/{name}-{orientation}.tif", stored, extratags=[(274, "H", 1, orientation, True)], metadata=None,
                             photometric="rgb" if v.ndim == 3 else "minisblack", **options)
            file(f"{name}-{orientation}.tif", [page(turned(v, orientation))])
    for dtype in ["u1", "u2", "u4", "bool"]:
        v = sample(dtype, 1)[0, :, :, 0]
        tifffile.imwrite(f"{folder}/white-{dtype}.tif", v, photometric="miniswhite", compression="packbits")
        file(f"white-{dtype}.tif", [page(~v)])
    for number, name in enumerate(["unspecified", "assocalpha", "unassalpha"]):
        for channels in [2, 4]:
            v = sample("u1", channels)[0]
            tifffile.imwrite(f"{folder}/{name}-{channels}.tif", v, photometric="rgb" if channels == 4 else "minisblack",
                             planarconfig="contig", extrasamples=[name])
            file(f"{name}-{channels}.tif", [page(v, alpha=number)])
    palette = random.integers(0, 1 << 16, (3, 256), np.uint16)
    for name, colormap, narrow in [("wide", palette, False), ("v257", palette // 256 * 257, True), ("v256", palette // 256 * 256, True)]:
        tifffile.imwrite(f"{folder}/palette-{name}.tif", grey, photometric="palette", colormap=colormap)
        looked_up = np.moveaxis(colormap[:, grey], 0, 2)
        file(f"palette-{name}.tif", [page((looked_up >> 8).astype(np.uint8) if narrow else looked_up)])
    wide = sample("u2", 1)[0, :, :, 0]
    colormap = random.integers(0, 1 << 16, (3, 1 << 16), np.uint16)
    tifffile.imwrite(f"{folder}/palette-16.tif", wide, photometric="palette", colormap=colormap, compression="lzw", predictor=True)
    file("palette-16.tif", [page(np.moveaxis(colormap[:, wide], 0, 2))])
    for compression in [None, "zlib"]:  # bytes whose bits are reversed, packed or not; tag 274 becomes 266
        data = imagecodecs.zlib_encode(grey.tobytes()) if compression else grey.tobytes()
        tifffile.imwrite(f"{folder}/fill-order-{compression}.tif", iter([imagecodecs.bitorder_encode(data)]), shape=grey.shape, dtype="u1",
                         compression=compression, extratags=[(274, "H", 1, 2, True)], metadata=None)
        with open(f"{folder}/fill-order-{compression}.tif", "r+b") as tif:
            tag = bytes.fromhex("1201 0300 01000000 0200")
            content = tif.read()
            assert content.count(tag) == 1
            tif.seek(content.index(tag))
            tif.write(bytes.fromhex("0a01"))
        assert (tifffile.imread(f"{folder}/fill-order-{compression}.tif") == grey).all()
        file(f"fill-order-{compression}.tif", [page(grey)])
    stack = random.integers(0, 1 << 16, (5, HEIGHT, WIDTH), np.uint16)
    for name, options in [("plain", {}), ("imagej", {"imagej": True}), ("ome", {"ome": True}), ("zlib", {"compression": "zlib"})]:
        tifffile.imwrite(f"{folder}/stack-{name}.tif", stack, photometric="minisblack", **options)
        file(f"stack-{name}.tif", [page(v) for v in stack])
    with tifffile.TiffWriter(f"{folder}/pyramid.tif") as tif:
        tif.write(wide, subifds=1, tile=(16, 16))
        tif.write(wide[::2, ::2], subfiletype=1, tile=(16, 16))
        tif.write(grey[::2, ::2], subfiletype=1)
        tif.write(grey)
    file("pyramid.tif", [page(wide), page(grey[::2, ::2], auxiliary=True), page(grey)])
    large = (np.add.outer(np.arange(700), np.arange(900)) // 7 % 251).astype(np.uint8)  # LZW clears its table
    large[::3] = random.integers(0, 256, (234, 900))
    for name in ["lzw", "zlib", "packbits"]:
        tifffile.imwrite(f"{folder}/large-{name}.tif", large, compression=name)
        file(f"large-{name}.tif", [page(large)])
    zeros = np.zeros((2000, 2000), np.uint16)
    for name in ["lzw", "zlib", "packbits"]:
        tifffile.imwrite(f"{folder}/zeros-{name}.tif", zeros, compression=name, rowsperstrip=2000)
        file(f"zeros-{name}.tif", [page(zeros)])


def packed():
    """Samples of 2 and 4 bits: bytes that are said to be fewer bits, as Pillow reads them."""
    for bits in [2, 4]:
        n = WIDTH * bits // 8
        for photometric in ["minisblack", "miniswhite", "palette"]:
            for compression in ["packbits", "zlib", None]:
                name = f"bits{bits}-{photometric}-{compression}.tif"
                colormap = (random.integers(0, 256, (3, 256)) * 257).astype(np.uint16) if photometric == "palette" else None
                tifffile.imwrite(f"{folder}/{name}", random.integers(0, 256, (HEIGHT, n), np.uint8), photometric=photometric, colormap=colormap,
                                 compression=compression, metadata=None)
                with tifffile.TiffFile(f"{folder}/{name}", mode="r+") as tif:
                    tags = tif.pages[0].tags
                    tags["ImageWidth"].overwrite(n * 8 // bits)
                    tags["BitsPerSample"].overwrite(bits)
                    if colormap is not None:
                        tags["ColorMap"].overwrite(colormap[:, :1 << bits].flatten())
                with Image.open(f"{folder}/{name}") as im:
                    file(name, [page(np.asarray(im.convert("RGB") if colormap is not None else im))])


def pillow():
    base = Image.fromarray(sample("u1", 4)[0])
    modes = {mode: base.convert("L" if mode == "1" else mode).convert(mode) for mode in ["1", "L", "LA", "P", "RGB", "RGBA", "I", "F", "RGBX"]}
    modes["I;16"] = Image.fromarray(sample("u2", 1)[0, :, :, 0])
    for mode, im in modes.items():
        values = np.asarray(im.convert("RGB") if mode == "P" else im)
        for compression in [None, "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits"]:
            for big in [False, True]:
                name = f"pillow-{mode.replace(';', '')}-{compression}-{big}.tif"
                im.save(f"{folder}/{name}", compression=compression, big_tiff=big, tiffinfo={274: 1})
                file(name, [page(values, alpha=2 if mode in ("LA", "RGBA") else 0)])
        if mode not in ("F", "1", "P"):
            name = f"pillow-{mode.replace(';', '')}-predictor.tif"
            im.save(f"{folder}/{name}", compression="tiff_lzw", tiffinfo={317: 2})
            file(name, [page(values, alpha=2 if mode in ("LA", "RGBA") else 0)])
    pictures = [Image.fromarray(v) for v in sample("u1", 3)]
    pictures[0].save(f"{folder}/pillow-pages.tif", save_all=True, append_images=pictures[1:], compression="tiff_lzw")
    file("pillow-pages.tif", [page(np.asarray(im)) for im in pictures])


def refused():
    colours, grey = sample("u1", 3)[0], sample("u1", 1)[0, :, :, 0]

    def refuse(name, word, data, **options):
        tifffile.imwrite(f"{folder}/{name}.tif", data, **options)
        index.append({"file": f"{name}.tif", "refused": word})

    refuse("jpeg", "JPEG", colours, compression="jpeg", photometric="rgb")
    refuse("jpeg2000", "JPEG 2000", grey, compression="jpeg2000")
    refuse("zstd", "ZSTD", grey, compression="zstd")
    refuse("webp", "WebP", colours, compression="webp")
    refuse("lerc", "LERC", grey, compression="lerc")
    refuse("lzma", "LZMA", grey, compression="lzma")
    refuse("jpegxl", "JPEG XL", grey, compression="jpegxl")
    refuse("cmyk", "CMYK", sample("u1", 4)[0], photometric="separated")
    refuse("cielab", "CIELab", colours, photometric="cielab")
    refuse("cfa", "camera", sample("u2", 1)[0, :, :, 0], photometric="cfa")
    refuse("complex", "complex", grey.astype(np.complex64))
    refuse("volume", "volume", np.zeros((16, 32, 32), np.uint8), volumetric=True, tile=(16, 16, 16), photometric="minisblack")
    floats = sample("f4", 3)[0]
    floats[7, 11, 2] = np.nan
    refuse("nan", "row 7, column 11, channel 2", floats, photometric="rgb", planarconfig="contig", compression="zlib", predictor=True)
    refuse("double", "row 2, column 3, channel 0", np.where(np.add.outer(np.arange(5) * 10, np.arange(6)) == 23, 1e300, 0.0))
    Image.fromarray(colours).convert("YCbCr").save(f"{folder}/ycbcr.tif")
    index.append({"file": "ycbcr.tif", "refused": "YCbCr"})
    for compression in ["group3", "group4"]:
        Image.fromarray(grey).convert("1").save(f"{folder}/{compression}.tif", compression=compression)
        index.append({"file": f"{compression}.tif", "refused": "CCITT"})


matrix()
variants()
packed()
pillow()
refused()
with open(f"{folder}/index.json", "w") as out:
    json.dump(index, out)
