"""Partitions of the differential test: levels of the path as they are drawn, and the folder of each row."""

import json
from datetime import datetime, timedelta, timezone
from urllib.parse import quote, unquote

from compare import parse_type
from differential_json import Misfit
from differential_rules import EPOCH
from differential_texts import bare, day, instant

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
SEGMENT = 255
PREFIX, KEY = "lake/differential/", 1_024
TRANSFORMS = {
    "year": slice(0, 4),
    "month": slice(5, 7),
    "day": slice(8, 10),
    "hour": slice(11, 13),
    "date": slice(0, 10),
}
KINDS = [*["string"] * 8, "bool", "int8", "uint16", "int64", "date", "time(us)", "decimal(9,2)"]
# What must be escaped, what must not, what readers skip or take for null, and what could lead out of the folder.
VALUES = [
    "eu", "", HIVE_NULL, "a/b", "../..", ".", "..", "...", "a=b", "100%", "%2F", "_x", ".x", "(null)", "ü ß", "日本",
    "\U0001f600", "e\u0301", "a+b", "~@,-", "\x00", "\x7f\n", "a:b*?\"<>|\\", "'", " ", "null", "p0=1", "EU",
]  # fmt: skip
IN_KEYS = [None, "", HIVE_NULL, "eu", "a%20b", "%C3%A9", "%2E%2E", "_x", "a%2Fb"]
# Just before and after the turn of hour, day, month and year, a leap day, and a time before 1970.
ARRIVALS = ["2025-12-31T23:59:59.999999", "2026-01-01T00:00:00", "2024-02-29T12:30:00.5", "1969-12-31T23:59:59.5"]
JOB = object()
# A name of a file that tells the whole id of its job.
WITH_JOB = "part-{job_id}-{seq}"


class TooLong(Misfit):
    """A row whose values are too long for its path."""

    reason = "partition_too_long"


class KeyTooLong(TooLong):
    """A row each of whose segments is short enough."""


def lay_out(draw, contract):
    """Gives a contract levels, and their columns few values."""
    blocks = [of_column, of_column, of_column, of_times, of_times, of_arrival, of_key, of_job]
    levels = []
    for block in draw.random.sample(blocks, draw.one(1, 1, 2, 2, 3)):
        levels += block(draw, contract)
    long = of_long_texts(draw, contract) if draw.chance(0.3) else []
    levels += long
    contract["levels"] = levels
    if "format" not in contract:
        contract["partition_columns"] = draw.one("keep", "drop", "drop")
    named = draw.one(0.0, 0.8, 1.0, 1.0)
    for number, level in enumerate(levels):
        if draw.chance(named):
            level["name"] = name_of(draw, contract, level, number)
    for level in levels:
        if level["source"] == "column":
            few_values(draw, contract, level)
    for level in long:
        long_values(draw, contract, level)


def name_of(draw, contract, level, number):
    """Its transform, or what it is made of where that leaves the name to it."""
    names = [f"p{number}"]
    if "transform" in level and level["transform"] != "identity":
        names += [level["transform"]] * 2
    elif level["source"] == "column" and contract.get("partition_columns") == "drop":
        names.append(level["field"])
    elif level.get("field") == "src":
        names.append("src")
    taken = {other.get("name") for other in contract["levels"]}
    return draw.random.choice([name for name in names if name not in taken])


def of_column(draw, contract):
    level = {"source": "column", "field": column_for(draw, contract, KINDS)["name"]}
    return [{**level, "transform": "identity"} if draw.chance(0.3) else level]


def of_long_texts(draw, contract):
    """Together they are more than a key has room for, or less where a few are short."""
    return [{"source": "column", "field": draw.add_column(contract, "string")["name"]} for _ in range(5)]


def of_times(draw, contract):
    kinds = ["date", "timestamp(ms, UTC)", "timestamp(us, UTC)"]
    column = column_for(draw, contract, kinds)
    transforms = draw.one(["date"], ["year"], ["year", "month"], ["year", "month", "day"])
    if column["type"] != "date":
        transforms = draw.one(transforms, ["date", "hour"], ["hour"], ["year", "month", "day", "hour"])
    return [{"source": "column", "field": column["name"], "transform": transform} for transform in transforms]


def column_for(draw, contract, kinds):
    """A column that there is, or one more."""
    names = {parse_type(kind)[0] for kind in kinds}
    fitting = [column for column in contract["columns"][1:] if parse_type(column["type"])[0] in names]
    if fitting and draw.chance(0.4):
        return draw.random.choice(fitting)
    return draw.add_column(contract, draw.random.choice(kinds))


def of_arrival(draw, _contract):
    transforms = draw.one(["date"], ["year", "month", "day", "hour"], ["date", "hour"], ["month"])
    return [{"source": "arrival", "transform": transform} for transform in transforms]


def of_key(draw, _contract):
    return [{"source": "key", "field": draw.one("src", "Día")}]


def of_job(_draw, contract):
    if "format" in contract:
        contract["file_name"] = WITH_JOB
    return [{"source": "job"}]


def few_values(draw, contract, level):
    """So few that no limit is met and rows share folders; now and then one is too long for its segment."""
    column = next(column for column in contract["columns"] if column["name"] == level["field"])
    kind = parse_type(column["type"])
    room = SEGMENT - (len(level["name"]) + 1 if "name" in level else 0)
    if "inside" in column:
        column["inside"] = draw.random.sample(column["inside"], min(3, len(column["inside"])))
    elif kind[0] == "string":
        values = draw.random.sample(VALUES, 4) + ["x" * room] * draw.chance(0.5)
        column["inside"] = [json.dumps(value, ensure_ascii=draw.chance(0.5)) for value in values]
    else:
        column["inside"] = [draw.scalar(*kind, column.get("format") or "iso", False) for _ in range(4)]
    if kind[0] == "string":
        longer = ("x" * (room + 1), "x" * (room - 2) + "é", "é" * 50)
        column["outside"] = column.get("outside", []) + [json.dumps(text) for text in longer]


def long_values(draw, contract, level):
    column = next(column for column in contract["columns"] if column["name"] == level["field"])
    texts = ["x" * draw.random.randint(150, 240), "é" * draw.random.randint(30, 40), "/" * 70, "y" * 200, "eu"]
    column["inside"] = [json.dumps(text) for text in texts]
    column["outside"] = column["outside"][: draw.one(0, 1)]


def dropped_of(contract):
    """The columns that are left out of the files: a level that has a name takes them as they are."""
    if contract.get("partition_columns") != "drop":
        return set()
    taken = (level for level in contract["levels"] if level["source"] == "column" and "name" in level)
    return {level["field"] for level in taken if level.get("transform", "identity") == "identity"}


def known_of(contract, folder, arrival):
    """The values of the levels that an object has as a whole: of its key and of its arrival."""
    values = []
    for level in contract.get("levels", []):
        match level["source"]:
            case "key":
                value = in_key(folder, level["field"])
                values.append(None if is_null(value) else value)
            case "arrival":
                values.append(arrival[TRANSFORMS[level["transform"]]])
            case "job":
                values.append(JOB)
            case _:
                values.append(None)
    return tuple(values)


def in_key(folder, name):
    """The value of a `name=value` segment, escaped as in a path that we write."""
    for segment_of_key in folder.split("/"):
        left, found, right = segment_of_key.partition("=")
        if found and left == name:
            return unquote(right, errors="strict")
    return None


def place_of(row, contract, known):
    """The values of all levels for a row; a misfit where one is too long."""
    kinds = {column["name"]: parse_type(column["type"]) for column in contract["columns"]}
    values = []
    for level, value in zip(contract.get("levels", []), known, strict=True):
        if level["source"] == "column":
            value = of_row(row[level["field"]], kinds[level["field"]], level.get("transform", "identity"))
        if value is not JOB and len(segment(level.get("name"), value).encode()) > SEGMENT:
            raise TooLong("the partition is too long")
        values.append(value)
    if "levels" in contract and len(PREFIX + folder_of(values, contract, "0" * 20)) + 1 + longest_name(contract) > KEY:
        raise KeyTooLong("the whole key is too long")
    return tuple(values)


def longest_name(contract):
    """The bytes of the longest name of a file: there is room for a number of ten digits."""
    compression = contract["compression"]
    if "format" not in contract:
        return len("part--") + 30 + len(".parquet" if compression == "none" else f".{compression}.parquet")
    ending = len({"none": ".jsonl", "zstd": ".jsonl.zst"}.get(compression, ".jsonl.gz"))
    return ending + (len("part--") + 30 if "file_name" in contract else len("20260519T101500Z--") + 28)


def of_row(value, kind, transform):
    if value is None:
        return None
    if transform == "identity":
        return bare(value, kind)
    text = day(value) if kind[0] == "date" else instant(value, " ")
    return text[TRANSFORMS[transform]]


def folder_of(place, contract, job):
    """The folder of a partition below the dataset's prefix, without a slash at its end."""
    levels = contract.get("levels", [])
    return "/".join(segment(level.get("name"), job if value is JOB else value) for level, value in zip(levels, place))


def levels_of(place, contract, job):
    """What a reader finds in the path: the levels with names. DuckDB takes the word null for null, in any case."""
    named = {}
    for level, value in zip(contract.get("levels", []), place):
        if "name" in level:
            named[level["name"]] = job if value is JOB else None if is_null(value) or value.lower() == "null" else value
    return named


def is_null(value):
    return value is None or value in ("", HIVE_NULL)


def segment(name, value):
    if name is not None:
        return f"{name}={HIVE_NULL if is_null(value) else escaped(value)}"
    if is_null(value):
        return "(null)"
    text = escaped(value)
    # Query engines skip folders that begin so.
    return f"%{ord(text[0]):02X}{text[1:]}" if text[0] in "_." else text


def escaped(value):
    """Percent-encoded but for what no reader takes for anything else; dots alone would be another folder."""
    return "%2E" * len(value) if set(value) == {"."} else quote(value, safe="+@,")


def arrival_of(text):
    """Nanoseconds since the epoch, as a file has them."""
    moment = datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
    return (moment - EPOCH) // timedelta(microseconds=1) * 1_000
