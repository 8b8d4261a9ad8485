"""Reads what Latent wrote, with NumPy, pandas and pyarrow, and compares it to the bit with the array beside it."""
import os, sys
import numpy as np, pandas as pd, pyarrow.parquet as pq

folder = sys.argv[1]
names = ["a", "b c", "d,e", 'f"g', "h;i", "ä"]
count = 0
for kind in ("uint8", "uint16", "float32"):
    raw = np.fromfile(os.path.join(folder, kind + ".raw"), kind)
    want = raw.reshape(-1, 6)
    def same(got, what):
        global count
        got = np.asarray(got)
        assert got.dtype == want.dtype, (what, got.dtype)
        assert got.shape == want.shape, (what, got.shape)
        assert np.array_equal(got, want, equal_nan=kind == "float32"), what
        if kind == "float32":
            assert np.array_equal(np.signbit(got[~np.isnan(got)]), np.signbit(want[~np.isnan(want)])), what
        count += 1
    path = os.path.join(folder, kind)
    same(np.load(path + ".npy"), "npy")
    assert np.load(path + "-images.npy").shape == (len(want) // 2, 2, 3, 2)
    same(np.load(path + "-images.npy").reshape(-1, 6), "images")
    same(np.load(path + ".npz")["data"], "npz")
    for text, sep in ((".csv", ","), (".tsv", "\t")):
        frame = pd.read_csv(path + text, sep=sep, float_precision="round_trip")
        assert list(frame.columns) == names, frame.columns
        same(frame.to_numpy("f8").astype(kind), text)
    t = pq.read_table(path + ".parquet")
    assert t.column_names == names
    assert all(str(c) == {"float32": "float"}.get(kind, kind) for c in t.schema.types), t.schema
    same(np.stack([c.to_numpy() for c in t.columns], axis=1), "parquet")
    same(pd.read_parquet(path + ".parquet").to_numpy(), "parquet by pandas")
assert count == 21, count
