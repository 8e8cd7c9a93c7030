"""Reading staged files without the engine: Python's gzip, pyarrow for zstd, Python's json with Decimal."""

import gzip
import io
import json
from decimal import Decimal

import pyarrow as pa

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
BLANK = b" \t\r\n"


def opened(path):
    """The decompressed bytes of a file, by what it is and not by its name."""
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(GZIP):
        return gzip.open(path, "rb")
    if head == ZSTD:
        return io.BufferedReader(pa.input_stream(str(path), compression="zstd", buffer_size=0), 1 << 20)
    return path.open("rb", buffering=1 << 20)


def delivered_records(report, delivery, folder):
    """Every staged record that was neither rejected nor set aside with its object."""
    set_aside = {entry["key"] for entry in delivery["quarantined_objects"]}
    rejected = {(row["key"], row["line"]) for row in delivery["rejected_rows"]}
    for entry in report["objects"]:
        if entry["delivery"] != delivery["id"] or entry["key"] in set_aside:
            continue
        with opened(folder / entry["file"]) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip(BLANK) and (entry["key"], number) not in rejected:
                    yield json.loads(line, parse_float=Decimal)
