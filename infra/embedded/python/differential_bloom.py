"""Bloom filters of the differential test: which columns have one, and whether it excludes no value that is there.

DuckDB probes those of integers and texts that stand before all lists, structs and maps: behind them it looks at the
filter of another column, and of other types it hashes something else than Parquet asks for, or nothing. A reading of our
own probes all of them by the specification: XXH64 of the plain bytes of a value, in blocks of eight words of which each
has one bit.
"""

import struct

import duckdb
import pyarrow.parquet as pq

from compare import parse_type
from differential_partitions import dropped_of

MOST = 8
# So many values of a column of each row group are looked for.
PROBES = 10
KINDS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "decimal", "string", "binary", "date",
         "time", "timestamp")  # fmt: skip
AS_DUCKDB_HASHES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "string")
WORDS = 8
SALT = (0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31)
PRIMES = (
    0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5,
)  # fmt: skip
ALL = 2**64 - 1


def choose_filtered(draw, contract):
    """Asks for filters of some columns."""
    fitting = [column["name"] for column in contract["columns"] if parse_type(column["type"])[0] in KINDS]
    fitting = [name for name in fitting if name not in dropped_of(contract)]
    contract["bloom_filters"] = draw.random.sample(fitting, draw.random.randint(1, min(MOST, len(fitting))))


def filter_complaints(path, groups, contract, seen):
    """Filters that are missing, that nobody asked for, or that exclude a value of the rows of their row group."""
    metadata = pq.read_metadata(path)
    connection = duckdb.connect()
    found = {}
    for group, column, offset, length in connection.execute(
        """SELECT row_group_id, path_in_schema, bloom_filter_offset, bloom_filter_length FROM parquet_metadata(?)
        WHERE bloom_filter_offset IS NOT NULL""",
        [str(path)],
    ).fetchall():
        found[group, column] = (offset, length)
    wanted = {(group, column) for group in range(len(groups)) for column in contract["bloom_filters"]}
    if found.keys() != wanted:
        yield f"{path.name}: Bloom filters {sorted(found.keys())}, not {sorted(wanted)}"
        return
    kinds = {column["name"]: parse_type(column["type"]) for column in contract["columns"]}
    names = metadata.schema.to_arrow_schema().names
    content = path.read_bytes()
    for (group, column), (offset, length) in found.items():
        seen["Bloom filters"] += 1
        bits = bits_of(content[offset : offset + length])
        place, leaf = leaf_of(metadata.schema, column)
        is_probed = kinds[column][0] in AS_DUCKDB_HASHES and names.index(column) == place
        values = {row[column] for row in groups[group]} - {None}
        for value in sorted(values)[:: len(values) // PROBES + 1]:
            if not may_hold(bits, plain_bytes(value, kinds[column], leaf)):
                yield f"{path.name}: the Bloom filter of {column} in row group {group} excludes {value!r}"
            if is_probed and group in excluded(connection, path, column, value):
                yield f"{path.name}: in DuckDB the Bloom filter of {column} in row group {group} excludes {value!r}"
        for other in range(PROBES):
            seen["values that a Bloom filter excludes"] += not may_hold(bits, f"{other} of {path.name}".encode())


def excluded(connection, path, column, value):
    """The row groups that do not hold a value, as DuckDB has it."""
    query = "SELECT row_group_id FROM parquet_bloom_probe(?, ?, ?) WHERE bloom_filter_excludes"
    return {group for (group,) in connection.execute(query, [str(path), column, value]).fetchall()}


def leaf_of(schema, name):
    """A column of single values, and its place among all that are stored."""
    return next((at, schema.column(at)) for at in range(len(schema)) if schema.column(at).path == name)


def plain_bytes(value, kind, leaf):
    """A value of a row as Parquet stores it, without its length."""
    name, arguments = kind
    if name == "string":
        return value.encode()
    if name == "binary":
        return value
    if name == "decimal":
        value = int(value.scaleb(int(arguments[1])))
        if leaf.physical_type == "FIXED_LEN_BYTE_ARRAY":
            return value.to_bytes(leaf.length, "big", signed=True)
    elif name in ("time", "timestamp") and arguments[0] == "ms":
        value //= 1_000
    length = {"INT32": 4, "INT64": 8}[leaf.physical_type]
    return (value % 2 ** (8 * length)).to_bytes(length, "little")


def bits_of(block):
    """The words of a filter, behind its header, of which the first field is their length."""
    length = shift = 0
    for byte in block[1:]:
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return struct.unpack(f"<{length // 8}I", block[len(block) - length // 2 :])


def may_hold(words, plain):
    found = xxh64(plain)
    block = WORDS * ((found >> 32) * (len(words) // WORDS) >> 32)
    key = found & 0xFFFFFFFF
    return all(words[block + at] >> ((key * salt & 0xFFFFFFFF) >> 27) & 1 for at, salt in enumerate(SALT))


def xxh64(data):
    """The hash with the seed 0."""
    one, two, three, four, five = PRIMES
    at = 0
    if len(data) >= 32:
        lanes = [one + two & ALL, two, 0, -one & ALL]
        while at + 32 <= len(data):
            lanes = [
                rotated(lane + word * two & ALL, 31) * one & ALL
                for lane, word in zip(lanes, struct.unpack_from("<4Q", data, at), strict=True)
            ]
            at += 32
        found = sum(rotated(lane, turn) for lane, turn in zip(lanes, (1, 7, 12, 18), strict=True)) & ALL
        for lane in lanes:
            found = ((found ^ rotated(lane * two & ALL, 31) * one & ALL) * one + four) & ALL
    else:
        found = five
    found = found + len(data) & ALL
    while at + 8 <= len(data):
        word = rotated(int.from_bytes(data[at : at + 8], "little") * two & ALL, 31) * one & ALL
        found = (rotated(found ^ word, 27) * one + four) & ALL
        at += 8
    if at + 4 <= len(data):
        word = int.from_bytes(data[at : at + 4], "little") * one & ALL
        found = (rotated(found ^ word, 23) * two + three) & ALL
        at += 4
    for byte in data[at:]:
        found = rotated(found ^ byte * five & ALL, 11) * one & ALL
    for shift, prime in ((33, two), (29, three), (32, 1)):
        found = (found ^ found >> shift) * prime & ALL
    return found


def rotated(value, by):
    return (value << by | value >> 64 - by) & ALL
