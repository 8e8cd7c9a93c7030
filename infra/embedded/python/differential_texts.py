"""Values of the differential test as texts: in a path or key, in a document, in a record."""

import json
from base64 import b64encode
from datetime import date, timedelta
from decimal import Decimal

from differential_rules import DAY, PER_SECOND, number_of, shortest32

DIGITS = {"ms": 3, "us": 6, "ns": 9}


def day(days):
    """The date that is so many days after the epoch."""
    return (date(1970, 1, 1) + timedelta(days=days)).isoformat()


def clock(micros, unit=None):
    """With all digits of a unit; without one, with those that the fraction needs."""
    seconds, fraction = divmod(micros, 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if unit:
        return f"{text}.{f'{fraction:06}000'[: DIGITS[unit]]}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text


def instant(micros, between, unit=None):
    days, rest = divmod(micros, DAY * 1_000_000)
    return f"{day(days)}{between}{clock(rest, unit)}"


def bare(value, kind):
    """A single value as it stands in a path, and is hashed in a key: instants as Hive writes them."""
    name, arguments = kind
    match name:
        case "bool":
            return "true" if value else "false"
        case "decimal":
            return f"{value:.{arguments[1]}f}"
        case "binary":
            return b64encode(value).decode()
        case "date":
            return day(value)
        case "time":
            return clock(value)
        case "timestamp":
            return instant(value, " ")
    return str(value)


def bound(value, kind):
    """As a document has it in `min` and `max`."""
    if kind[0] in ("float32", "float64"):
        return in_record(value, kind, None)
    return instant(value, "T") + "Z" if kind[0] == "timestamp" else bare(value, kind)


def in_record(value, kind, form):
    """A single value as JSON. Of an instant between two of the form's units this is no whole number, and no value."""
    name, _ = kind
    if form in PER_SECOND:
        micros = value * DAY * 1_000_000 if name == "date" else value
        whole, rest = divmod(micros * PER_SECOND[form], 1_000_000)
        return str(whole) if rest == 0 else str(Decimal(micros * PER_SECOND[form]).scaleb(-6))
    if name == "bool":
        return bare(value, kind)
    if name == "float32":
        return str(shortest32(number_of(value)))
    if name == "float64":
        return repr(number_of(value))
    if name == "timestamp":
        return json.dumps(instant(value, "T") + ("" if form == "iso_utc" else "Z"))
    if name in ("string", "binary", "date", "time"):
        return json.dumps(bare(value, kind))
    return bare(value, kind)
