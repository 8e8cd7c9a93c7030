"""Columns that landfall fills, in the differential test: how they are asked for, and what each row has in them."""

import hashlib
import json
import re

import pyarrow as pa

from compare import parse_type
from differential_texts import bare

# In the order of the files, behind all other columns.
TYPES = {
    "synced": ("timestamp(us, UTC)", pa.timestamp("us", "UTC")),
    "deleted": ("bool", pa.bool_()),
    "index": ("int64", pa.int64()),
    "id": ("string", pa.string()),
    "job_id": ("string", pa.string()),
}
KEYS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "decimal", "string", "binary",
        "date", "time", "timestamp")  # fmt: skip


class SomeHash:
    """What the text of a Parquet row is hashed to: that text is nobody's to know."""

    def __eq__(self, other):
        return isinstance(other, str) and re.fullmatch("[0-9a-f]{64}", other) is not None

    def __hash__(self):
        return 0

    def __repr__(self):
        return "a SHA-256 in hex"


def track(draw, contract):
    """Asks for the columns, by a key or without one."""
    tracking = {}
    if draw.chance(0.4):
        tracking["prefix"] = draw.one("_", "Trk_", "c0")
    if draw.chance(0.7):
        tracking["key"] = [column["name"] for column in choose_key(draw, contract)]
    if draw.chance(0.6):
        marks = [column for column in contract["columns"] if column["type"] == "bool"]
        tracking["deleted"] = (draw.random.choice(marks) if marks else draw.add_column(contract, "bool"))["name"]
    contract["tracking"] = tracking


def choose_key(draw, contract):
    """One to three columns that may be a key, and are not null."""
    fitting = [column for column in contract["columns"] if parse_type(column["type"])[0] in KEYS]
    while len(fitting) < 2:
        fitting.append(draw.add_column(contract, draw.one("string", "binary", "decimal(5,2)", "timestamp(ms, UTC)")))
    key = draw.random.sample(fitting, draw.random.randint(1, min(3, len(fitting))))
    for column in key:
        column["nullable"] = False
    return key


def names_of(contract):
    """The columns by what they hold; none where the contract does not ask for them."""
    if "tracking" not in contract:
        return {}
    prefix = contract["tracking"].get("prefix", "_landfall_")
    return {what: prefix + what for what in TYPES}


def columns_of(contract):
    return [(name, parse_type(TYPES[what][0])) for what, name in names_of(contract).items()]


def fields_of(contract):
    """As pyarrow reads them: none of them is ever null."""
    return [pa.field(name, TYPES[what][1], nullable=False) for what, name in names_of(contract).items()]


def given(row, text, contract, synced):
    """What can be known of a row before its neighbours are; `text` is what it was read from, None of Parquet."""
    names = names_of(contract)
    if not names:
        return {}
    marked = contract["tracking"].get("deleted")
    return {
        names["synced"]: synced,
        names["deleted"]: bool(marked and row[marked]),
        names["id"]: identity(row, text, contract),
    }


def identity(row, text, contract):
    """SHA-256 of the key as a JSON list of texts, or of the record's own text without white space around it."""
    key = contract["tracking"].get("key")
    if key:
        kinds = {column["name"]: parse_type(column["type"]) for column in contract["columns"]}
        values = [bare(row[name], kinds[name]) for name in key]
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
    return SomeHash() if text is None else hashlib.sha256(text.strip(b" \t\r\n")).hexdigest()
