"""Row groups of the differential test: how their rows are to be sorted, and whether they are."""

import json

import pyarrow.parquet as pq

from compare import parse_type
from differential_bloom import filter_complaints
from differential_partitions import dropped_of

# Not of json, whose values are no single ones.
KINDS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "decimal",
         "string", "binary", "date", "time", "timestamp")  # fmt: skip
# More than what rows come to, and so little that the size of a row group is often looked at.
SMALL = {"target_bytes": 4_194_304, "row_group_bytes": 65_536}


def fewer(count, contract):
    """So few records that they fill no file, with which a batch would end."""
    return min(count, 200) if "target_bytes" in contract else count


def make_groups_small(draw, contract):
    """Asks for so small row groups, of so large records, that a file has several."""
    contract.update(SMALL)
    column = draw.add_column(contract, "string")
    column["inside"] = [json.dumps(draw.random.randbytes(4_000).hex()) for _ in range(300)]


def choose_order(draw, contract):
    """Asks for sorted rows."""
    fitting = [column["name"] for column in contract["columns"] if parse_type(column["type"])[0] in KINDS]
    fitting = [name for name in fitting if name not in dropped_of(contract)]
    names = draw.random.sample(fitting, draw.random.randint(1, min(3, len(fitting))))
    contract["sort_by"] = [name + draw.one("", " desc") for name in names]


def group_complaints(output, expected, contract, seen):
    """Row groups whose rows are not in their order, or with a filter that is wrong."""
    for path in sorted(output.rglob("*.parquet")):
        with pq.ParquetFile(path) as file:
            several = range(file.num_row_groups)
            groups = [file.read_row_group(at, ["id"]).column("id").to_pylist() for at in several]
            said = [file.metadata.row_group(at).sorting_columns for at in several]
            columns = sorting_columns(file.metadata.schema, contract)
        if any(one not in expected for ids in groups for one in ids):
            # That is said already.
            continue
        groups = [[expected[one] for one in ids] for ids in groups]
        seen["files with several row groups"] += len(groups) > 1
        seen["row groups that are sorted"] += len(groups) * ("sort_by" in contract)
        if any(one != columns for one in said):
            yield f"{path.name}: the footer says it is sorted by {said}, not {columns}"
        before = 0
        for number, rows in enumerate(groups):
            right = in_order(rows, contract)
            wrong = next(
                (at for at, (found, wanted) in enumerate(zip(rows, right, strict=True)) if found is not wanted), None
            )
            if wrong is not None:
                found, wanted = rows[wrong], right[wrong]
                yield f"{path.name}: row {wrong} of row group {number} is {found.row!r}, not {wanted.row!r}"
            if min(row.at for row in rows) <= before:
                yield f"{path.name}: row group {number} has rows that were staged before those of the one before it"
            before = max(row.at for row in rows)
        if "bloom_filters" in contract:
            yield from filter_complaints(path, [[row.row for row in rows] for rows in groups], contract, seen)


def in_order(rows, contract):
    """By the columns, null before all values and `desc` turning all around; equal rows as they were staged."""
    rows = sorted(rows, key=lambda row: row.at)
    kinds = {column["name"]: parse_type(column["type"]) for column in contract["columns"]}
    for key in reversed(contract.get("sort_by", [])):
        name, _, descends = key.partition(" ")
        # Equal rows stay in their order both ways.
        rows.sort(key=lambda row: rank(row.row[name], kinds[name]), reverse=bool(descends))
    return rows


def rank(value, kind):
    if value is None:
        return (0,)
    if kind[0] == "string":
        return (1, value.encode())
    if kind[0] in ("float32", "float64"):
        # Negative ones, the negative zero among them, come before others, the greatest first.
        bits = int.from_bytes(value, "big")
        return (1, -bits if bits >> 63 else bits + 1)
    return (1, value)


def sorting_columns(schema, contract):
    """What the footer must say."""
    places = {schema.column(at).path: at for at in range(len(schema))}
    keys = [key.partition(" ") for key in contract.get("sort_by", [])]
    return tuple(pq.SortingColumn(places[name], bool(desc), not desc) for name, _, desc in keys)
