"""Reads the TIFF files of a folder with tifffile, and wants the values of the .bin file of the same name, page by page: python read.py FOLDER"""
import pathlib
import sys

import numpy as np
import tifffile

for path in pathlib.Path(sys.argv[1]).glob("*.tif"):
    values, kinds = path.with_suffix(".bin").read_bytes(), set()
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff == (path.stem == "big")
        for page in file.pages:
            page_values = page.asarray()
            data = page_values.astype(page_values.dtype.newbyteorder("<")).tobytes()
            assert data == values[: len(data)], f"{path}: page {page.index} has other values"
            values = values[len(data) :]
            kinds.add((str(page_values.dtype), page.compression.name, page.photometric.name, tuple(page.extrasamples)))
            assert page.tags["XResolution"].value == (300, 1) and page.tags["Make"].value == "Maker of cameras"
            assert page.tags[34675].value == b"profile" * 99
            assert page.tags["ExifTag"].value["ExposureTime"] == (1, 125) and page.tags["ExifTag"].value["ISOSpeedRatings"] == 200
            assert page.tags["GPSTag"].value["GPSLatitudeRef"] == "N"
    assert not values and len(kinds) >= 3 * 2 * 7, (len(values), kinds)
