"""Writes files of numbers with NumPy, pandas and pyarrow to a folder, and what a reader must find in each to expect.json."""
import itertools, json, os, sys
import numpy as np, pandas as pd, pyarrow as pa, pyarrow.feather, pyarrow.ipc, pyarrow.parquet as pq

out = sys.argv[1]
rng = np.random.default_rng(7)
expect = []


def want(name, rows, names=None, labels=None, missing=False, label="", ignore=(), dtype=None, left=None):
    """rows: float64 or whole numbers, which Latent turns to float32 as NumPy does."""
    rows = np.asarray(rows)
    dims = list(rows.shape[1:]) or [1]
    if dtype is None:
        dtype = {"bool": "Uint8", "uint8": "Uint8", "uint16": "Uint16"}.get(rows.dtype.name, "Float32")
    flat = rows.astype(np.float32).ravel()
    flat.astype("<f4").tofile(os.path.join(out, name + ".expect"))
    expect.append(dict(file=name, dims=dims, names=names, labels=labels, missing=missing, label=label, ignore=list(ignore), dtype=dtype, rows=len(rows), left=left))


def numbers(kind, shape):
    kind = np.dtype(kind)
    if kind.kind == "b":
        return rng.integers(0, 2, shape).astype(kind)
    if kind.kind in "iu":
        info = np.iinfo(kind)
        a = rng.integers(info.min, info.max, shape, dtype=kind.newbyteorder("="), endpoint=True).astype(kind)
        a.flat[0], a.flat[-1] = info.min, info.max
        return a
    a = rng.normal(size=shape).astype(kind)
    a.flat[0], a.flat[-1] = np.finfo(np.float16).max, np.finfo(np.float16).smallest_subnormal
    return a


# NumPy: every type, order, version and number of axes.
kinds = ["?", "u1", "i1"] + [o + k for o in "<>" for k in ("u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8")]
shapes = [(5,), (5, 3), (4, 3, 2), (3, 2, 4, 3), (0, 3)]
for kind, shape, order, version in itertools.product(kinds, shapes, "CF", [(1, 0), (2, 0), (3, 0)]):
    a = numbers(kind, shape) if shape[0] else np.zeros(shape, kind)
    name = f"{kind.replace('<', 'l').replace('>', 'b').replace('?', 'bool')}-{len(shape)}{'e' * (shape[0] == 0)}-{order}-{version[0]}.npy"
    with open(os.path.join(out, name), "wb") as f:
        np.lib.format.write_array(f, np.asarray(a, order=order), version=version)
    want(name, a)
for packed, order, labels in itertools.product([False, True], "CF", [
        np.array([1, -2, 3], "<i8"), np.array([1, 2, 300], ">u2"), np.array([0.5, 1, 1e-7], "f8"), np.array([0.1, 3, 2], "f4"), np.array([0.5, 1, 2], "f2"),
        np.array([True, False, True]), np.array(["a", "äöü", "\U0001f600"]), np.array([b"a", b"bc", b"d"]), np.array(["a", "b", "c"], ">U7")]):
    x = np.asarray(numbers("f4", (3, 5, 2)), order=order)
    name = f"{labels.dtype.str.strip('<>|')}{labels.dtype.byteorder == '>'}-{order}-{packed}.npz"
    (np.savez_compressed if packed else np.savez)(os.path.join(out, name), X=x, y=labels)
    text = [v.decode() if isinstance(v, bytes) else str(bool(v)).lower() if labels.dtype.kind == "b" else v for v in labels]
    if labels.dtype.kind == "f":
        text = [{0.5: "0.5", 1: "1", 2: "2", 3: "3"}.get(float(v), {np.float64(1e-7): "1e-07"}.get(v, "0.1")) for v in labels]
    want(name, x, labels=[str(t) for t in text], label="y")

# CSV by pandas.
frame = pd.DataFrame({"plain": rng.normal(size=500), "a b": rng.integers(-9, 9, 500), "c,d": rng.normal(size=500).astype("f4"), 'e"f\ng': rng.random(500) * 1e-30,
                      "large": rng.integers(-2**40, 2**40, 500)})
holes = frame.mask(rng.random(frame.shape) < 0.2)
names = list(frame.columns)
labels = [["a", "b, c", 'd"e', "f\ng", "ä"][i] for i in rng.integers(0, 5, 500)]
import csv
for (text, sep), quoting, end, hole, coding, packed in itertools.product(
        [("csv", ","), ("csv", ";"), ("tsv", "\t")], [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC], ["\n", "\r\n"], ["", "NA", "NaN", "null", None],
        ["utf-8", "utf-8-sig"], [False, True]):
    data = frame if hole is None else holes
    name = f"{text}{ord(sep)}-{quoting}-{len(end)}-{hole}-{coding}.{text}" + ".gz" * packed
    data.assign(y=labels).to_csv(os.path.join(out, name), index=False, sep=sep, quoting=quoting, lineterminator=end, na_rep=hole or "", encoding=coding)
    want(name, data.to_numpy("f8"), names=names, labels=labels, label="y", missing=hole is not None)
frame.to_csv(os.path.join(out, "index.csv"))
want("index.csv", frame.to_numpy("f8"), names=names, ignore=["column_1"])
np.savetxt(os.path.join(out, "numpy.csv"), frame.to_numpy("f8"), delimiter=",")
want("numpy.csv", frame.to_numpy("f8"), names=[f"column_{i + 1}" for i in range(5)])

# Parquet and Arrow: every type, with and without nulls.
rows = 3000
def table(holes, large=False):
    columns = {}
    for kind in ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]:
        a = numbers(kind, rows)
        mask = rng.random(rows) < 0.1 if holes else None
        columns[kind] = pa.array(a, mask=mask)
    columns["constant"] = pa.array(np.full(rows, 0.1))
    columns["few"] = pa.array(rng.integers(0, 3, rows))
    return columns
def dense(columns):
    return np.stack([pd.Series(c.to_pandas()).astype("float64").to_numpy() if c.type != pa.uint64() and c.type != pa.int64() else
                     np.array([np.nan if v is None else np.float32(v) for v in c.to_pylist()], "f8") for c in columns.values()], axis=1)
label_columns = {
    "text": pa.array([["a", "bc", "a text of some length", "ä"][i] for i in rng.integers(0, 4, rows)]),
    "dictionary": pa.array([["a", "bc", "d"][i] for i in rng.integers(0, 3, rows)]).dictionary_encode(),
    "large": pa.array([["a", "bc", "d"][i] for i in rng.integers(0, 3, rows)], pa.large_string()),
    "view": pa.array([["a", "bc", "a text of some length"][i] for i in rng.integers(0, 3, rows)], pa.string_view()),
    "whole": pa.array(rng.integers(-5, 5, rows)),
}
others = {"date": pa.array(np.arange(rows, dtype="i4"), pa.int32()).cast(pa.date32()), "when": pa.array(np.arange(rows), pa.timestamp("us", tz="UTC")), "list": pa.array([[1, 2]] * rows),
          "struct": pa.array([{"a": 1, "b": 2}] * rows), "decimal": pa.array([1] * rows, pa.decimal128(10, 2))}
plain = {holes: table(holes) for holes in (False, True)}
values = {holes: dense(plain[holes]) for holes in (False, True)}
number = 0
for holes, label in itertools.product([False, True], [None, *label_columns]):
    columns = dict(plain[holes])
    columns.update(others)
    if label:
        columns[label] = label_columns[label]
    t = pa.table(columns)
    text = None if not label else [str(v) for v in label_columns[label].to_pylist()]
    tell = dict(rows=values[holes], names=list(plain[holes]), labels=text, label=label or "", missing=holes, dtype="Float32", left=list(others))
    for compression, version, page, dictionary, group in [("none", "1.0", 1 << 20, True, 1 << 20), ("snappy", "2.0", 1 << 20, True, 1000), ("gzip", "1.0", 1000, False, 777),
                                                         ("zstd", "2.0", 3000, True, 1 << 20), ("brotli", "2.0", 500, False, 1500), ("lz4", "1.0", 2000, True, 1111)]:
        number += 1
        name = f"{number}-{compression}.parquet"
        pq.write_table(t, os.path.join(out, name), compression=compression, data_page_version=version, data_page_size=page, use_dictionary=dictionary, row_group_size=group,
                       version="2.6", write_page_index=number % 2 == 0, write_page_checksum=number % 3 == 0)
        want(name, **tell)
    for compression, chunk in itertools.product(["none", "lz4", "zstd"], [777, 1 << 20]):
        number += 1
        name = f"{number}-{compression}.feather"
        if label == "dictionary":  # one dictionary for all batches of a file
            t = t.unify_dictionaries()
        options = pa.ipc.IpcWriteOptions(compression=None if compression == "none" else compression)
        with pa.ipc.new_file(os.path.join(out, name), t.schema, options=options) as w:
            w.write_table(t, max_chunksize=chunk)
        want(name, **tell)
        name = f"{number}-{compression}-stream.arrow"
        with pa.ipc.new_stream(os.path.join(out, name), t.schema, options=options) as w:
            w.write_table(t, max_chunksize=chunk)
        want(name, **tell)
    number += 1
    if label != "view":
        pa.feather.write_feather(t, os.path.join(out, f"{number}-v2.feather"))
        want(f"{number}-v2.feather", **tell)
# Encodings of Parquet, each for the types that have it.
for encoding, kinds in {"BYTE_STREAM_SPLIT": ["int32", "int64", "float16", "float32", "float64"], "DELTA_BINARY_PACKED": ["int8", "int16", "int32", "int64", "uint8", "uint64"],
                        "RLE": ["bool"], "PLAIN": list(plain[True])}.items():
    for holes in (False, True):
        t = pa.table({k: plain[holes][k] for k in kinds} | {"y": label_columns["text"]})
        text_encodings = {"BYTE_STREAM_SPLIT": "PLAIN", "DELTA_BINARY_PACKED": "DELTA_BYTE_ARRAY", "RLE": "DELTA_LENGTH_BYTE_ARRAY", "PLAIN": "PLAIN"}
        name = f"{encoding}-{holes}.parquet"
        pq.write_table(t, os.path.join(out, name), use_dictionary=False, column_encoding={k: encoding for k in kinds} | {"y": text_encodings[encoding]}, data_page_size=2000,
                       data_page_version="2.0" if encoding == "RLE" else "1.0")
        a = dense({k: plain[holes][k] for k in kinds})
        want(name, a, names=kinds, labels=label_columns["text"].to_pylist(), label="y", missing=holes, dtype="Uint8" if kinds == ["bool"] and not holes else "Float32")
# Bytes and 16 bits keep their type; pandas writes its index.
small = pd.DataFrame({"a": numbers("u1", 50), "b": numbers("?", 50)})
deep = small.assign(c=numbers("u2", 50))
for data, dtype in ((small, "Uint8"), (deep, "Uint16")):
    data = data.set_index(rng.permutation(50))
    data.to_parquet(os.path.join(out, dtype + ".parquet"))
    want(dtype + ".parquet", data.to_numpy("f8"), names=list(data.columns), dtype=dtype, left=["__index_level_0__"])
    data.to_parquet(os.path.join(out, dtype + "-m.parquet"))
    want(dtype + "-m.parquet", data.to_numpy("f8"), names=list(data.columns), dtype=dtype, left=["__index_level_0__"], missing=True)
    data.reset_index(drop=True).to_feather(os.path.join(out, dtype + ".feather"))
    want(dtype + ".feather", data.to_numpy("f8"), names=list(data.columns), dtype=dtype)
json.dump(expect, open(os.path.join(out, "expect.json"), "w"))
