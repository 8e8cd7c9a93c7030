"""What a record is under a contract: a row, or a misfit."""

from compare import parse_type
from differential_constraints import RULES, Broken, obeys
from differential_json import Misfit, parse, plain, plain_object
from differential_rules import fitted


def read_record(line, contract, seen):
    """The row of a record, in the form of `shown`; `seen` counts what was met on the way."""
    record, repeated = parse(line, contract["duplicate_keys"] == "last_wins")
    if not isinstance(record, dict):
        raise Misfit("no object")
    lets = left_out(contract)

    def read(column):
        value = record.get(source_of(column))
        if value is None:
            return None
        return fitted(value, parse_type(column["type"]), column.get("format") or "iso", lets)

    sources = {source_of(column) for column in contract["columns"]}
    beside = {member: value for member, value in record.items() if member not in sources}
    unknown = {member: plain(value) for member, value in beside.items() if not lets(value)}
    if contract["on_violation"] == "evolve" and contract["unknown_fields"] == "violation":
        seen["members that say nothing"] += len(beside) - len(unknown)
    row = settle(contract, read, lambda column: plain(record[source_of(column)]), unknown, seen)
    if repeated:
        seen["records with a key twice"] += 1
    return row


def left_out(contract):
    """Tells whether a member that no column names may be left out, by its value."""
    if contract["unknown_fields"] == "ignore":
        return lambda _: True
    if contract["on_violation"] == "evolve":
        return lambda value: value is None
    return lambda _: False


def source_of(column):
    return column.get("from") or column["name"]


def settle(contract, read, original, unknown, seen):
    """A row of columns that are read one by one. What one cannot hold is kept beside the others, where it may be.

    `unknown` are the members that no column names and that are not left out.
    """
    rescues = contract["on_violation"] == "rescue"
    row, rescued = {}, {}
    for column in contract["columns"]:
        name = column["name"]
        row[name] = None
        try:
            value = read(column)
            if value is not None and not column.keys().isdisjoint(RULES):
                obeys(column, value)
        except Misfit as why:
            if not (rescues and column["nullable"]):
                raise type(why)(f"{name}: {why}") from why
            seen["values rescued from a rule"] += isinstance(why, Broken)
            rescued[source_of(column)] = original(column)
            continue
        if value is None and not column["nullable"]:
            raise Misfit(f"{name} is missing")
        row[name] = value
    if unknown and not rescues:
        raise Misfit("an unknown member")
    rescued.update(unknown)
    if rescues:
        row["_rescued"] = plain_object(rescued) if rescued else None
    return row
