"""The objects of the differential test: drawn records in files of every kind, each with a key and a time of its own."""

import gzip
import os
from typing import Any, NamedTuple

from differential_json import Misfit
from differential_parquet import stage_parquet
from differential_partitions import ARRIVALS, IN_KEYS, arrival_of, known_of
from differential_records import read_record


class Staged(NamedTuple):
    """A record as it was staged: what it is read from, and its row or the misfit that it is."""

    key: str
    line: bytes
    text: bytes | None
    read: Any


class Object(NamedTuple):
    """An object: its records in their order, and the values of the levels that it has as a whole."""

    key: str
    known: tuple
    records: list


def stage(draw, contract, folder, count, seen):
    """Writes lines, lines in gzip, an array, and at times Parquet."""
    lines = [draw.record_line(number) for number in range(count)]
    # The first byte of a file tells what it is: a record that fits stands first.
    plain, packed = [draw.sound_line(count), *lines[0::2]], [draw.sound_line(count + 1), *lines[1::2]]
    # An element that is no JSON sets its whole array aside.
    array = [draw.well_formed_line(count + 2 + number) for number in range(count // 4)]
    ends = (draw.random.choice((b"\n", b"\r\n", b"\n\n", b"\n \t\n")) for _ in plain)
    texts = {
        "lines.jsonl": (plain, b"".join(line + end for line, end in zip(plain, ends))),
        "packed.jsonl.gz": (packed, gzip.compress(b"\n".join(packed), mtime=0)),
        "array.json": (array, b" [" + b" ,\n".join(array) + b"]\n"),
    }
    objects = []
    for name, (records, content) in texts.items():
        path, key, known = place(draw, contract, folder, name)
        path.write_bytes(content)
        read = [Staged(key, line, line, read_line(line, contract, seen)) for line in records]
        objects.append(arrived(path, key, known, read))
    if draw.chance(0.5):
        seen["contracts with Parquet inputs"] += 1
        path, key, known = place(draw, contract, folder, "table.parquet")
        rows = stage_parquet(draw, path, contract, 2 * count, draw.one(0, 1, count // 4, count // 4), seen)
        objects.append(arrived(path, key, known, [Staged(key, line, None, read) for line, read in rows]))
    return objects


def place(draw, contract, folder, name):
    """A path below the folder, its key, and what both and the time of arrival tell of every row."""
    segments = []
    for level in contract.get("levels", []):
        if level["source"] == "key":
            value = draw.random.choice(IN_KEYS)
            segments += [f"{level['field']}={value}"] if value is not None else ["none"]
    arrival = draw.random.choice(ARRIVALS)
    path = folder.joinpath(*segments, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path, "/".join([*segments, name]), (known_of(contract, "/".join(segments), arrival), arrival)


def arrived(path, key, known, records):
    values, arrival = known
    os.utime(path, ns=(arrival_of(arrival), arrival_of(arrival)))
    return Object(key, values, records)


def read_line(line, contract, seen):
    try:
        return read_record(line, contract, seen)
    except Misfit as why:
        return why
