"""Parquet inputs of the differential test: drawn rows, written by pyarrow in types from which the contract takes values.

A row is drawn as JSON and read by the contract without its rules; its values are stored, and then held against the rules
like others.
"""

from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from compare import parse_type
from differential_constraints import RULES
from differential_json import Misfit, plain, plain_object, written
from differential_records import read_record, settle, source_of
from differential_rules import DAY, PER_SECOND, number_of, shortest32
from differential_texts import clock, day, instant


@dataclass
class Stored:
    """A type of Arrow: how a value becomes one of it, what is left of the value, and what it is as JSON."""

    type: Any
    store: Callable = lambda value: value
    left: Callable = lambda value: value
    shown: Callable = plain


def stage_parquet(draw, path, contract, first, count, suits, seen):
    """Writes rows; answers each as what it is told by, as the row or the misfit that it is, and as JSON.

    `suits` tells of the former whether it may be staged.
    """
    draw.int96 = may_have_int96(contract) and draw.chance(0.7)
    draw.more_members = draw.one(None, more_kind(contract))
    ways = {column["name"]: way_of(draw, column, contract) for column in contract["columns"]}
    kind = more_kind(contract, top=True) if draw.chance(0.5) else None
    drawn = []
    for row in sound_rows(draw, contract, first, count):
        more = draw.one(None, "", "more") if kind == pa.string() else None
        met = Counter()
        read = settled(row, contract, ways, more, met)
        if suits(read):
            seen.update(met)
            drawn.append((row, more, read))
    rows = [row for row, _, _ in drawn]
    columns, kinds = {}, {}
    for column in contract["columns"]:
        name, source = column["name"], source_of(column)
        if ways[name] is not None:
            columns[source] = [None if row[name] is None else ways[name].store(row[name]) for row in rows]
            kinds[source] = ways[name].type
    if kind is not None:
        columns["more"] = [more for _, more, _ in drawn]
        kinds["more"] = kind
    fields = [
        pa.field(name, kind, kind == pa.null() or None in columns[name] or draw.chance(0.7))
        for name, kind in kinds.items()
    ]
    draw.random.shuffle(fields)
    arrays = [pa.array(columns[field.name], field.type) for field in fields]
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), path, **settings(draw, fields))
    is_met = draw.int96 and rows and any(pa.types.is_timestamp(kind) for kind in kinds.values())
    seen["objects with INT96 times"] += bool(is_met)
    return [
        (f"row {row['id']}".encode(), read, as_json(row, contract, ways, {} if kind is None else {"more": plain(more)}))
        for row, more, read in drawn
    ]


def as_json(row, contract, ways, members):
    """A row as JSON of all columns that the object has, beside those of the contract some members more."""
    for column in contract["columns"]:
        way = ways[column["name"]]
        if way is not None:
            members[source_of(column)] = shown_or_null(row[column["name"]], way)
    return plain_object(members)


def shown_or_null(value, way):
    return plain(None) if value is None else way.shown(value)


def settled(row, contract, ways, more, seen):
    """A row as the contract has it, or why it is none."""

    def read(column):
        way, value = ways[column["name"]], row[column["name"]]
        return None if way is None or value is None else way.left(value)

    def original(column):
        return ways[column["name"]].shown(row[column["name"]])

    unknown = {} if more is None or contract["unknown_fields"] == "ignore" else {"more": plain(more)}
    try:
        return settle(contract, read, original, unknown, seen)
    except Misfit as why:
        return why


def more_kind(contract, top=False):
    """Of which type a column may be that the contract does not name, or a member of a struct: of any where they are
    ignored, or columns rescued; under `evolve` of the one that has only null. None where it sets the object aside."""
    if contract["unknown_fields"] == "ignore" or (top and contract["on_violation"] == "rescue"):
        return pa.string()
    return pa.null() if contract["on_violation"] == "evolve" else None


def sound_rows(draw, contract, first, count):
    """Rows by the types alone, some with null where the contract asks for a value."""
    columns = [{key: value for key, value in column.items() if key not in RULES} for column in contract["columns"]]
    bare = {**contract, "columns": columns, "on_violation": "quarantine_row", "duplicate_keys": "last_wins"}
    rows = []
    while len(rows) < count:
        try:
            row = read_record(draw.record(first + len(rows), 0).encode(), bare, Counter())
        except Misfit:
            continue
        for column in contract["columns"][1:]:
            if draw.chance(0.01):
                row[column["name"]] = None
        rows.append(row)
    return rows


def may_have_int96(contract):
    """With INT96 an object has all its times so: some column takes them, and others can take texts."""
    formats = [column.get("format") for column in contract["columns"] if parse_type(column["type"])[0] == "timestamp"]
    return "iso_utc" in formats and all(form not in PER_SECOND for form in formats)


def way_of(draw, column, contract):
    """How a column is stored; None where the object does not have it."""
    kind = parse_type(column["type"])
    if column["nullable"] and draw.chance(0.1):
        return None
    if column["nullable"] and contract["on_violation"] == "rescue" and kind[0] in NO_TEXT and draw.chance(0.15):
        return Stored(pa.string(), lambda _: "another type", refuse, lambda _: plain("another type"))
    return way(draw, kind, column.get("format") or "iso", top=True)


# These take nothing from texts.
NO_TEXT = ("bool", "int8", "int32", "int64", "uint16", "uint64", "float64", "decimal", "list", "struct", "map")


def refuse(_value):
    raise Misfit("another type")


def way(draw, kind, form, top=False):
    name, arguments = kind
    match name:
        case "list":
            return of_list(draw, way(draw, arguments[0][1], form))
        case "map":
            return of_map(way(draw, arguments[1][1], form))
        case "struct":
            return of_struct(draw, [(member, way(draw, inner, form)) for member, inner in arguments])
        case "bool":
            return Stored(pa.bool_())
        case "string":
            kinds = [pa.string(), pa.large_string()]
            return draw.one(
                Stored(draw.random.choice(kinds + [pa.dictionary(pa.int32(), pa.string())] * top)),
                Stored(pa.binary(), str.encode, shown=lambda value: in_base64(value.encode())),
            )
        case "binary":
            return Stored(draw.one(pa.binary(), pa.large_binary()), shown=in_base64)
        case "json":
            return draw.one(
                Stored(pa.string(), written, shown=lambda value: plain(written(value))),
                Stored(
                    pa.binary(),
                    lambda value: written(value).encode(),
                    shown=lambda value: in_base64(written(value).encode()),
                ),
            )
        case "float32":
            single = Stored(pa.float32(), number_of, shown=lambda value: plain(shortest32(number_of(value))))
            return draw.one(single, of_double())
        case "float64":
            return of_double()
        case "decimal":
            return of_decimal(draw, *(int(argument) for argument in arguments))
        case "timestamp" if draw.int96:
            return int96(form)
        case "date" | "time" | "timestamp":
            return draw.random.choice(TIMED[name](arguments, form))
    return of_whole(draw, name)


def in_base64(value):
    return plain(b64encode(value).decode())


def of_double():
    return Stored(pa.float64(), number_of, shown=lambda value: plain(Decimal(repr(number_of(value)))))


def of_whole(draw, name):
    """Integers of this or a greater width, and decimals without a fraction."""
    bits = int(name.removeprefix("u").removeprefix("int"))
    wider = [f"int{more}" for more in (8, 16, 32, 64) if more >= bits]
    names = [f"u{wide}" for wide in wider] + [f"int{more}" for more in (16, 32, 64) if more > bits]
    kinds = [pa.type_for_alias(wide) for wide in (names if name.startswith("u") else wider)]
    return Stored(draw.random.choice([*kinds, pa.decimal128(20, 0), pa.decimal256(45, 0)]), shown=plain_number)


def of_decimal(draw, precision, scale):
    """As precise or more so, of its own scale or a finer one."""
    finer = draw.random.randint(0, 38 - precision)
    more = draw.random.randint(0, finer)
    exact = pa.decimal128(precision, scale)
    return Stored(
        draw.one(exact, pa.decimal128(precision + finer, scale + more), pa.decimal256(76, scale)), shown=plain_number
    )


def plain_number(value):
    return plain(Decimal(value))


def of_list(draw, item):
    kind = draw.one(pa.list_, pa.large_list)(item.type)
    return Stored(
        kind,
        lambda values: each(values, item.store),
        lambda values: each(values, item.left),
        lambda values: ("list", tuple(shown_or_null(value, item) for value in values)),
    )


def each(values, change):
    return tuple(None if value is None else change(value) for value in values)


def of_map(value):
    def change(pairs, of):
        return tuple((key, None if inner is None else of(inner)) for key, inner in pairs)

    kind = pa.map_(pa.string(), value.type)
    return Stored(
        kind,
        lambda pairs: change(pairs, value.store),
        lambda pairs: change(pairs, value.left),
        lambda pairs: ("list", tuple(("list", (plain(key), shown_or_null(inner, value))) for key, inner in pairs)),
    )


def of_struct(draw, members):
    """Of its members, one or more: the others are null."""
    kept = [draw.chance(0.9) for _ in members]
    kept[draw.random.randrange(len(kept))] = True
    order = [at for at, is_kept in enumerate(kept) if is_kept]
    draw.random.shuffle(order)
    more = {"more": None if draw.more_members == pa.null() else "more"}
    if draw.more_members is None or draw.chance(0.5):
        more = {}

    def store(values):
        return more | {members[at][0]: None if values[at] is None else members[at][1].store(values[at]) for at in order}

    def left(values):
        return tuple(
            inner.left(value) if is_kept and value is not None else None
            for is_kept, value, (_, inner) in zip(kept, values, members, strict=True)
        )

    def shown(values):
        own = {members[at][0]: shown_or_null(values[at], members[at][1]) for at in order}
        return plain_object(own | {member: plain(value) for member, value in more.items()})

    fields = [pa.field(members[at][0], members[at][1].type) for at in order]
    fields += [pa.field(member, draw.more_members) for member in more]
    return Stored(pa.struct(fields), store, left, shown)


def dates(_arguments, form):
    if form in PER_SECOND:
        per_day = DAY * PER_SECOND[form]
        more = Stored(pa.int64(), lambda days: days * per_day, shown=lambda days: plain_number(days * per_day))
    else:
        more = Stored(pa.string(), day, shown=lambda days: plain(day(days)))
    return [Stored(pa.date32(), shown=lambda days: plain(day(days))), more]


def times(arguments, _form):
    kinds = {"ms": pa.time32("ms"), "us": pa.time64("us"), "ns": pa.time64("ns")}
    if arguments[0] == "us":
        del kinds["ms"]
    ways = [
        Stored(kind, in_units(unit), shown=lambda micros, unit=unit: plain(clock(micros, unit)))
        for unit, kind in kinds.items()
    ]
    return [*ways, Stored(pa.string(), clock, shown=lambda micros: plain(clock(micros)))]


def stamps(arguments, form):
    """With a zone, in which they are not stored; without one where the form declares it."""
    units = ["us"] if arguments[0] == "us" else ["ms", "us"]
    zones = ["UTC", "+02:00"] + [None] * (form == "iso_utc")
    kinds = [
        Stored(
            pa.timestamp(unit, zone),
            in_units(unit),
            shown=lambda micros, unit=unit, end="Z" if zone else "": plain(instant(micros, "T", unit) + end),
        )
        for unit in units
        for zone in zones
    ]
    if form in PER_SECOND:
        # Of a time between two of its units there is none.
        if 1_000_000 // PER_SECOND[form] <= (1_000 if arguments[0] == "ms" else 1):
            store = in_units({"epoch_millis": "ms", "epoch_micros": "us"}[form])
            kinds.append(Stored(pa.int64(), store, shown=lambda micros: plain_number(store(micros))))
    else:
        kinds.append(written_stamps(form))
    return kinds


def written_stamps(form):
    end = "" if form == "iso_utc" else "Z"
    text = Stored(pa.string(), lambda micros: instant(micros, "T") + end)
    text.shown = lambda micros: plain(text.store(micros))
    return text


def int96(form):
    """Of a zone that is declared, and with all digits of a nanosecond; as text where none is."""
    if form != "iso_utc":
        return written_stamps(form)
    return Stored(pa.timestamp("us"), shown=lambda micros: plain(instant(micros, "T", "ns")))


TIMED = {"date": dates, "time": times, "timestamp": stamps}


def in_units(unit):
    return lambda micros: micros // 1_000 if unit == "ms" else micros * 1_000 if unit == "ns" else micros


def settings(draw, fields):
    """Of how many kinds pages, codecs and encodings are."""
    chosen = {
        "compression": draw.one("snappy", "gzip", "zstd", "brotli", "lz4", "none"),
        "data_page_version": draw.one("1.0", "2.0"),
        "data_page_size": draw.one(1, 100, 1 << 20),
        "row_group_size": draw.one(1, 7, 1_000),
        "write_page_checksum": draw.chance(0.5),
        "store_schema": draw.chance(0.5),
        "use_compliant_nested_type": draw.chance(0.5),
        "store_decimal_as_integer": draw.chance(0.5),
        "use_dictionary": draw.chance(0.5),
        "use_deprecated_int96_timestamps": draw.int96,
    }
    if not chosen["use_dictionary"]:
        # Only of what is stored as it is called.
        plain_ones = [field for field in fields if not (draw.int96 and pa.types.is_timestamp(field.type))]
        encodings = {field.name: encoding(draw, field.type) for field in plain_ones}
        chosen["column_encoding"] = {name: found for name, found in encodings.items() if found}
    return chosen


def encoding(draw, kind):
    if pa.types.is_floating(kind):
        return draw.one("PLAIN", "BYTE_STREAM_SPLIT")
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        return draw.one("PLAIN", "DELTA_BINARY_PACKED")
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return draw.one("PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY")
    return None
