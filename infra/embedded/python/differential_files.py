"""What landfall wrote in the differential test, as pyarrow and as DuckDB read it, and what it rejected."""

import json
from base64 import b64decode
from typing import NamedTuple

import duckdb
import pyarrow.parquet as pq

from differential_json import parse, plain
from differential_rules import shown


class Found(NamedTuple):
    """A row: its columns, its file, and the levels with names as far as the reader reads them in the path."""

    row: dict
    path: str
    levels: dict | None
    # Of JSON lines, which have no columns.
    line: bytes | None = None


def rows_of(output, columns, levels):
    """What each reader finds, rows by their id; `levels` are the names of partitions."""
    files = sorted(output.rglob("*.parquet"))
    for reader, read in (("pyarrow", by_pyarrow), ("DuckDB", by_duckdb)):
        rows = {}
        for path, row, values in read(files, columns, levels):
            if row["id"] in rows:
                raise SystemExit(f"{reader}: id {row['id']} stands twice")
            row = {name: shown(row[name], kind) for name, kind in columns}
            rows[row["id"]] = Found(row, path.removeprefix(f"{output}/"), values)
        yield reader, rows


def by_pyarrow(files, columns, _levels):
    for path in files:
        with pq.ParquetFile(path) as file:
            for row in file.read([name for name, _ in columns]).to_pylist():
                yield str(path), row, None


def by_duckdb(files, columns, levels):
    """The levels with names are columns that DuckDB reads in the path."""
    if not files:
        return
    connection = duckdb.connect()
    # Instants as times without a zone, at whatever depth: for others DuckDB asks for a package of time zones.
    connection.execute("SET TimeZone = 'UTC'")
    chosen = ["filename", *(f'"{name}"::VARCHAR' for name in levels)]
    chosen += [f'"{name}"::{in_duckdb(kind)}' for name, kind in columns]
    query = f"""SELECT {", ".join(chosen)} FROM read_parquet(?, filename = true,
        hive_partitioning = {"true" if levels else "false"}, hive_types_autocast = false)"""
    for path, *values in connection.execute(query, [[str(path) for path in files]]).fetchall():
        row = {name: value for (name, _), value in zip(columns, values[len(levels) :], strict=True)}
        yield path, row, dict(zip(levels, values[: len(levels)], strict=True))


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


def schema_complaints(output, names, given):
    """Files that have other columns, or whose last ones, which landfall fills, are of other types."""
    for path in sorted(output.rglob("*.parquet")):
        schema = pq.read_schema(path)
        if schema.names != names:
            yield f"{path.name} has the columns {schema.names}, not {names}"
        for field in given:
            if field.name in schema.names and not schema.field(field.name).equals(field):
                yield f"{path.name}: {schema.field(field.name)}, not {field}"


def rejected_of(path):
    """Rejected records: object, record and why. A row of Parquet is told by its id, and comes with all that is kept of it."""
    rows = []
    if path.exists():
        for line in path.read_bytes().splitlines():
            row = json.loads(line)
            raw = b64decode(row["raw_base64"]) if row.get("raw_base64") else row["raw"].encode()
            kept = None
            if row["key"].endswith(".parquet"):
                kept, _ = parse(raw)
                raw = f"row {kept['id']}".encode()
            rows.append((row["key"], raw, f"{row['reason']}: {row.get('column')}: {row['detail']}", plain(kept)))
    return rows
