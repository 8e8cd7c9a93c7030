"""Compare every delivered row with its staged record, value by value, as pyarrow and as DuckDB read the files.

The staged records are read with Python's json and Decimal, and each is turned into the row its delivery document asks
for by the rules written down here, which share no code with the engine. Rows are compared as multisets: which file a
row stands in is the layout's affair. A rejected row is compared with nothing, so their number must be the one that is
expected, and no object may be set aside.
"""

import argparse
import json
import re
import struct
import sys
import tomllib
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, setcontext
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from staged_files import delivered_records

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
UNITS = {"epoch_seconds": 1_000_000, "epoch_millis": 1_000, "epoch_micros": 1}


def parse_type(text):
    """A type of a delivery document as (name, arguments)."""
    tokens = re.findall(r'"[^"]*"|[A-Za-z_][A-Za-z0-9_]*|\d+|[<>(),:]', text)

    def one(at):
        name = tokens[at]
        at += 1
        if at < len(tokens) and tokens[at] == "(":
            end = tokens.index(")", at)
            return (name, [token for token in tokens[at + 1 : end] if token != ","]), end + 1
        if at < len(tokens) and tokens[at] == "<":
            members, at = [], at + 1
            while tokens[at - 1] != ">":
                if tokens[at + 1] == ":":
                    inner, end = one(at + 2)
                    members.append((tokens[at].strip('"'), inner))
                else:
                    inner, end = one(at)
                    members.append((None, inner))
                at = end + 1
            return (name, members), at
        return (name, []), at

    return one(0)[0]


def plain(value):
    """JSON in a form that is equal exactly when the values are: member order does not count, 1.0 is 1."""
    if isinstance(value, dict):
        return ("object", tuple(sorted((key, plain(inner)) for key, inner in value.items())))
    if isinstance(value, (list, tuple)):
        return ("list", tuple(plain(inner) for inner in value))
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return (type(value).__name__, value)
    return ("number", Decimal(value).normalize())


def microseconds(moment):
    return (moment - EPOCH) // timedelta(microseconds=1)


def wanted(value, kind, form):
    """A value of a staged record, as the column's type shows it."""
    name, arguments = kind
    if name == "json":
        return plain(value) if value is not None else None
    if value is None:
        return None
    if name == "list":
        return tuple(wanted(inner, arguments[0][1], form) for inner in value)
    if name == "struct":
        return tuple(wanted(value.get(member), inner, form) for member, inner in arguments)
    if name == "map":
        return tuple(sorted((key, wanted(inner, arguments[1][1], form)) for key, inner in value.items()))
    if name == "timestamp":
        if form in UNITS:
            return int(value) * UNITS[form]
        moment = datetime.fromisoformat(value)
        return microseconds(moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc))
    if name == "date":
        return date.fromisoformat(value)
    if name == "float32":
        return struct.unpack("f", struct.pack("f", value))[0]
    if name == "float64":
        return float(value)
    return Decimal(value).normalize() if name == "decimal" else value


def found(value, kind):
    """A value as a reader of Parquet gives it, in the same form."""
    name, arguments = kind
    if value is None:
        return None
    if name == "json":
        return plain(json.loads(value, parse_float=Decimal))
    if name == "list":
        return tuple(found(inner, arguments[0][1]) for inner in value)
    if name == "struct":
        return tuple(found(value[member], inner) for member, inner in arguments)
    if name == "map":
        pairs = value.items() if isinstance(value, dict) else value
        return tuple(sorted((key, found(inner, arguments[1][1])) for key, inner in pairs))
    if name == "timestamp":
        return microseconds(value) if isinstance(value, datetime) else value
    return Decimal(value).normalize() if name == "decimal" else value


def by_pyarrow(files, columns):
    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=[name for name, *_ in columns]):
                for row in batch.to_pylist():
                    yield tuple(found(row[name], kind) for name, _, kind, _ in columns)


def by_duckdb(files, columns):
    # Times as numbers: DuckDB gives them in the session's zone otherwise.
    chosen = ", ".join(
        f'epoch_us("{name}") AS "{name}"' if kind[0] == "timestamp" else f'"{name}"' for name, _, kind, _ in columns
    )
    cursor = duckdb.connect().execute(
        f"SELECT {chosen} FROM read_parquet(?, hive_partitioning = false)", [[str(path) for path in files]]
    )
    while rows := cursor.fetchmany(10_000):
        for row in rows:
            yield tuple(found(value, kind) for value, (_, _, kind, _) in zip(row, columns, strict=True))


def compare(document, report, folder, output):
    delivery = next(entry for entry in report["deliveries"] if entry["id"] == document["id"])
    columns = [
        (column["name"], column.get("from", column["name"]), parse_type(column["type"]), column.get("format", "iso"))
        for column in document["contract"]["column"]
    ]
    expected = Counter(
        tuple(wanted(record.get(source), kind, form) for _, source, kind, form in columns)
        for record in delivered_records(report, delivery, folder)
    )
    files = [output / file["path"] for file in delivery["files"]]
    equal = True
    for reader, rows in (("pyarrow", by_pyarrow(files, columns)), ("DuckDB", by_duckdb(files, columns))):
        actual = Counter(rows)
        missing, surplus = expected - actual, actual - expected
        total = sum(actual.values())
        if not missing and not surplus:
            print(f"{delivery['id']}: {total:,} rows as {reader} reads them equal the staged records")
            continue
        equal = False
        print(
            f"{delivery['id']}: {total:,} rows as {reader} reads them DIFFER from the staged records:"
            f" {sum(missing.values())} missing, {sum(surplus.values())} not staged"
        )
        for want, have in zip(missing, surplus):
            for (name, *_), left, right in zip(columns, want, have):
                if left != right:
                    print(f"  {name}: staged {str(left)[:200]}, delivered {str(right)[:200]}")
            break
    return equal


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delivery", type=Path, nargs="+", required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--rejected", type=int, default=0, metavar="N", help="rows rejected, of all deliveries together")
    args = parser.parse_args()
    # Decimals are compared to their last digit: Python rounds them to 28 otherwise.
    setcontext(Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN))
    report = json.loads(args.report.read_text(encoding="utf-8"))
    documents = [tomllib.loads(path.read_text(encoding="utf-8")) for path in args.delivery]
    equal = [compare(document, report, args.input, args.output) for document in documents]
    names = {document["id"] for document in documents}
    compared = [delivery for delivery in report["deliveries"] if delivery["id"] in names]
    rejected = sum(len(delivery["rejected_rows"]) for delivery in compared)
    set_aside = sum(len(delivery["quarantined_objects"]) for delivery in compared)
    if rejected != args.rejected or set_aside:
        print(f"{rejected} rows rejected and {set_aside} objects set aside, expected {args.rejected} and 0")
        equal.append(False)
    return 0 if all(equal) else 1


if __name__ == "__main__":
    sys.exit(main())
