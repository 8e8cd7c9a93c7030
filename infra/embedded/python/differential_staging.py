"""The objects of the differential test: drawn records in files of every kind, each with a key and a time of its own."""

import gzip
import os
from collections import Counter
from typing import Any, NamedTuple

from differential_json import Misfit
from differential_parquet import stage_parquet
from differential_partitions import ARRIVALS, IN_KEYS, arrival_of, known_of
from differential_records import read_record
from differential_unique import Taken, admit

ENDS = (b"\n", b"\r\n", b"\n\n", b"\n \t\n")

# Of several objects in one folder.
FIRST = "array.json"


class Staged(NamedTuple):
    """A record as it was staged: what it is told by, what it is read from, and its row or the misfit that it is."""

    key: str
    line: bytes
    # None of Parquet.
    text: bytes | None
    read: Any
    # What a row of Parquet is as JSON, in the form of `plain`.
    shown: Any = None


class Object(NamedTuple):
    """An object: its records in their order, and the values of the levels that it has as a whole."""

    key: str
    known: tuple
    records: list


def stage(draw, contract, folder, count, seen):
    """Writes lines, lines in gzip, an array, and at times Parquet."""
    sound = Taken()
    lines = [draw.record_line(number) for number in range(count)]
    # The first byte of a file tells what it is: a record that fits stands first.
    plain, packed = [draw.sound_line(count), *lines[0::2]], [draw.sound_line(count + 1), *lines[1::2]]
    # An element that is no JSON sets its whole array aside.
    array = [draw.well_formed_line(count + 2 + number) for number in range(count // 4)]
    texts = {
        "lines.jsonl": (plain, lambda lines: b"".join(line + draw.random.choice(ENDS) for line in lines)),
        "packed.jsonl.gz": (packed, lambda lines: gzip.compress(b"\n".join(lines), mtime=0)),
        FIRST: (array, lambda lines: b" [" + b" ,\n".join(lines) + b"]\n"),
    }
    objects = []
    for name, (lines, packed_as) in texts.items():
        path, key, known = place(draw, contract, folder, name)
        suits = suitable(draw, contract, name, known, sound)
        records = []
        for line in lines:
            met = Counter()
            read = read_line(line, contract, met)
            if suits(read):
                seen.update(met)
                records.append(Staged(key, line, line, read))
        path.write_bytes(packed_as([record.line for record in records]))
        objects.append(arrived(path, key, known, records))
    if draw.chance(0.7):
        seen["contracts with Parquet inputs"] += 1
        name = "table.parquet"
        path, key, known = place(draw, contract, folder, name)
        suits = suitable(draw, contract, name, known, sound)
        rows = stage_parquet(draw, path, contract, 2 * count, draw.one(0, 1, *[count // 4] * 3), suits, seen)
        objects.append(arrived(path, key, known, [Staged(key, line, None, *read) for line, *read in rows]))
    return objects


def suitable(draw, contract, name, known, sound):
    """Tells which records an object may have: where one misfit sets it aside, it has none, or few."""
    if contract["on_violation"] != "strict":
        return lambda _: True
    batch, _ = known
    share = 0.0
    if draw.chance(0.8 if name == FIRST else 0.25):
        # What it takes before its first misfit, another object may have.
        share, sound = 0.15, Taken()

    def is_sound(read):
        try:
            admit(read, contract, batch, sound)
        except Misfit:
            return draw.chance(share)
        sound.keep(batch)
        return True

    return is_sound


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
