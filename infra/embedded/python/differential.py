"""Random contracts and random JSON for them, converted by landfall, beside Python's own reading of the same records.

For each seed a contract of nested types is drawn and records for it: values that fit, values at the edge of what fits,
values that do not, and texts that are no JSON. Python's json reads each record with its numbers as Decimal, and rules
that share no code with the engine (differential_rules.py) say what row it is or that it cannot be one. What
`landfall convert` writes, as pyarrow and as DuckDB read it, must be those rows, and what it rejects the other records,
one by one.

Prints one line when all seeds agree; otherwise the seed, the contract and the records that differ, and exits with 1.
"""

import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile
from base64 import b64decode
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, setcontext
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from compare import parse_type
from differential_draw import Draw
from differential_rules import Misfit, read_record, shown
from staged_files import BLANK

DOCUMENT = """
version = 1
id = "differential"
tenant = "acme"
dataset = "differential"
[source]
prefix = "acme/differential/"
[destination]
role_arn = "arn:aws:iam::222222222222:role/landfall-delivery"
external_id = "an-external-id"
region = "eu-central-1"
bucket = "acme-lake"
prefix = "lake/differential/"
[layout]
compression = "{compression}"
[contract]
version = 1
on_violation = "{on_violation}"
unknown_fields = "{unknown_fields}"
"""


def quoted(text):
    """A text as TOML writes it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def document_of(contract):
    text = DOCUMENT.format(**contract)
    for column in contract["columns"]:
        text += "[[contract.column]]\n"
        for key in ("name", "from", "type", "format"):
            if column.get(key) is not None:
                text += f"{key} = {quoted(column[key])}\n"
        text += f"nullable = {'true' if column['nullable'] else 'false'}\n"
    return text


def stage(draw, folder, count):
    """Writes lines, lines in gzip, and an array; the records of each file as bytes."""
    lines = [draw.record_line(number) for number in range(count)]
    # The first byte of a file tells what it is: a record that fits stands first.
    plain, packed = [draw.sound_line(count), *lines[0::2]], [draw.sound_line(count + 1), *lines[1::2]]
    # An element that is no JSON sets its whole array aside.
    array = [draw.well_formed_line(count + 2 + number) for number in range(count // 4)]
    ends = (draw.random.choice((b"\n", b"\r\n", b"\n\n", b"\n \t\n")) for _ in plain)
    (folder / "lines.jsonl").write_bytes(b"".join(line + end for line, end in zip(plain, ends)))
    (folder / "packed.jsonl.gz").write_bytes(gzip.compress(b"\n".join(packed)))
    (folder / "array.json").write_bytes(b" [" + b" ,\n".join(array) + b"]\n")
    return {"lines.jsonl": plain, "packed.jsonl.gz": packed, "array.json": array}


def rows_of(files, columns):
    """What each reader finds, rows by their id."""
    for reader, read in (("pyarrow", by_pyarrow), ("DuckDB", by_duckdb)):
        rows = {}
        for row in read(files, columns):
            if row["id"] in rows:
                raise SystemExit(f"{reader}: id {row['id']} stands twice")
            rows[row["id"]] = {name: shown(row[name], kind) for name, kind in columns}
        yield reader, rows


def by_pyarrow(files, columns):
    for path in files:
        with pq.ParquetFile(path) as file:
            yield from file.read([name for name, _ in columns]).to_pylist()


def by_duckdb(files, columns):
    if not files:
        return
    connection = duckdb.connect()
    # Instants as times without a zone, at whatever depth: for others DuckDB asks for a package of time zones.
    connection.execute("SET TimeZone = 'UTC'")
    chosen = ", ".join(f'"{name}"::{in_duckdb(kind)}' for name, kind in columns)
    query = f"SELECT {chosen} FROM read_parquet(?, hive_partitioning = false)"
    for row in connection.execute(query, [[str(path) for path in files]]).fetchall():
        yield {name: value for (name, _), value in zip(columns, row, strict=True)}


DUCKDB = {
    "bool": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT",
    "uint8": "UTINYINT", "uint16": "USMALLINT", "uint32": "UINTEGER", "uint64": "UBIGINT", "float32": "FLOAT",
    "float64": "DOUBLE", "string": "VARCHAR", "binary": "BLOB", "json": "VARCHAR", "date": "DATE", "time": "TIME",
    "timestamp": "TIMESTAMP",
}  # fmt: skip


def in_duckdb(kind):
    """A type as DuckDB has it, but for instants: these become times without a zone."""
    name, arguments = kind
    match name:
        case "list":
            return f"{in_duckdb(arguments[0][1])}[]"
        case "map":
            return f"MAP(VARCHAR, {in_duckdb(arguments[1][1])})"
        case "struct":
            members = (f'"{member}" {in_duckdb(inner)}' for member, inner in arguments)
            return f"STRUCT({', '.join(members)})"
        case "decimal":
            return f"DECIMAL({', '.join(arguments)})"
    return DUCKDB[name]


def rejected_of(path):
    rows = []
    if path.exists():
        for line in path.read_bytes().splitlines():
            row = json.loads(line)
            raw = b64decode(row["raw_base64"]) if row.get("raw_base64") else row["raw"].encode()
            rows.append((row["key"], raw, f"{row['reason']}: {row.get('column')}: {row['detail']}"))
    return rows


def check(landfall, seed, count):
    """Everything about which landfall and Python do not agree under one contract."""
    draw = Draw(random.Random(seed))
    contract = draw.contract()
    columns = [(column["name"], parse_type(column["type"])) for column in contract["columns"]]
    if contract["on_violation"] == "rescue":
        columns.append(("_rescued", ("json", [])))
    with tempfile.TemporaryDirectory() as work:
        folder, output = Path(work) / "input", Path(work) / "output"
        folder.mkdir()
        document = Path(work) / "delivery.toml"
        document.write_text(document_of(contract), encoding="utf-8")
        staged = stage(draw, folder, count)
        run = subprocess.run(
            [landfall, "convert", "--delivery", document, "--input", folder, "--output", output],
            capture_output=True,
            text=True,
            check=False,
        )
        said = run.stdout + run.stderr
        if run.returncode != 0 or "set aside" in said:
            return contract, [f"landfall convert: exit code {run.returncode}: {said}"], 0
        expected, misfits = {}, []
        for key, lines in staged.items():
            for line in lines:
                try:
                    row = read_record(line, contract)
                except Misfit as why:
                    misfits.append((key, line, str(why)))
                else:
                    expected[row["id"]] = (line, row)
        complaints = differences(rejected_of(output / "_rejected.jsonl"), misfits)
        for reader, rows in rows_of(sorted(output.rglob("*.parquet")), columns):
            for key in expected.keys() - rows.keys():
                complaints.append(f"{reader}: there is no row of {expected[key][0]!r}")
            for key in rows.keys() - expected.keys():
                complaints.append(f"{reader}: row {key} is of no record that fits")
            for key in expected.keys() & rows.keys():
                line, row = expected[key]
                for name, wanted in row.items():
                    if rows[key][name] != wanted:
                        complaints.append(f"{reader}: {name}: {rows[key][name]!r}, not {wanted!r}, of {line!r}")
        return contract, complaints, sum(len(lines) for lines in staged.values())


def differences(rejected, misfits):
    """Records that only one side refuses."""
    # White space around an element of an array is not kept with it.
    theirs = {(key, raw.strip(BLANK)): why for key, raw, why in rejected}
    ours = {(key, raw.strip(BLANK)): why for key, raw, why in misfits}
    complaints = []
    for key, raw in theirs.keys() - ours.keys():
        complaints.append(f"{key}: rejected ({theirs[key, raw]}), and fits: {raw!r}")
    for key, raw in ours.keys() - theirs.keys():
        complaints.append(f"{key}: delivered, and does not fit ({ours[key, raw]}): {raw!r}")
    if len(rejected) != len(misfits):
        complaints.append(f"{len(rejected)} records are rejected, and {len(misfits)} do not fit")
    return complaints


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landfall", type=Path, required=True, help="the program")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="how many contracts")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed")
    parser.add_argument("--records", type=int, default=150, metavar="N", help="how many records of each")
    args = parser.parse_args()
    # Decimals are compared to their last digit, whatever their exponent.
    setcontext(Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN))
    records, wrong = 0, 0
    for seed in range(args.first, args.first + args.seeds):
        contract, complaints, count = check(args.landfall, seed, args.records)
        records += count
        if complaints:
            wrong += 1
            print(f"seed {seed}:\n{document_of(contract)}")
            for complaint in complaints[:10]:
                print(f"  {complaint[:2000]}")
            print(f"  {len(complaints)} complaints")
    print(f"{args.seeds} contracts, {records} records: {wrong} contracts under which landfall and Python differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
