"""What a value of a record is in a column, by rules that share no code with the engine: one of its type, or a misfit."""

import re
import struct
from base64 import b64decode, b64encode
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

from differential_json import Misfit, Whole, plain, plain_of

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
PER_SECOND = {"epoch_seconds": 1, "epoch_millis": 1_000, "epoch_micros": 1_000_000}
UNITS = {"ms": 1_000, "us": 1_000_000}
DAY = 86_400
FIRST_DAY, LAST_DAY = (date(1, 1, 1) - date(1970, 1, 1)).days, (date(9999, 12, 31) - date(1970, 1, 1)).days

DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
CLOCK = r"(\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?"
TIME = re.compile(CLOCK, re.ASCII)
STAMP = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt ]" + CLOCK + r"([Zz]|[+-]\d{2}:\d{2})?", re.ASCII)


def fitted(value, kind, form, lets):
    """A value as its column shows it, null in lists, structs and maps included.

    `lets` tells of a member that the type does not name whether it is left out, by its value.
    """
    name, arguments = kind
    if name == "json":
        return plain(value)
    if value is None:
        return None
    if name == "list":
        wanted(isinstance(value, list), "no array")
        return tuple(within(inner, arguments[0][1], form, lets) for inner in value)
    if name == "struct":
        wanted(isinstance(value, dict), "no object")
        names = {member for member, _ in arguments}
        wanted(all(lets(inner) for member, inner in value.items() if member not in names), "an unknown member")
        return tuple(within(value.get(member), inner, form, lets) for member, inner in arguments)
    if name == "map":
        wanted(isinstance(value, dict), "no object")
        pairs = ((key, within(inner, arguments[1][1], form, lets)) for key, inner in value.items())
        return tuple(sorted(pairs, key=lambda pair: pair[0]))
    return SCALARS[name](value, arguments, form)


def within(value, kind, form, lets):
    """Null in a list, struct or map is null, whatever the type, and JSON's null is null of a `json` too."""
    return None if value is None else fitted(value, kind, form, lets)


def wanted(holds, otherwise):
    if not holds:
        raise Misfit(otherwise)


def number(value):
    wanted(isinstance(value, Decimal), "no number")
    return value


def whole(value):
    wanted(isinstance(value, Whole), "no whole number")
    return value


def boolean(value, _arguments, _form):
    wanted(isinstance(value, bool), "no boolean")
    return value


def integer(low, high):
    def fits(value, _arguments, _form):
        whole(value)
        wanted(low <= value <= high, "out of range")
        return int(value)

    return fits


def decimal(value, arguments, _form):
    precision, scale = (int(argument) for argument in arguments)
    number(value)
    wanted(value == 0 or value.adjusted() < precision, "out of range")
    wanted(value == 0 or value.normalize().as_tuple().exponent >= -scale, "too many digits")
    unscaled = 0 if value == 0 else int(value.scaleb(scale))
    wanted(abs(unscaled) < 10**precision, "out of range")
    return Decimal(unscaled).scaleb(-scale).normalize() if unscaled else Decimal(0)


def nearest32(value):
    """The single nearest to a decimal, ties to even, without a double in between."""
    if value == 0:
        return float(value)
    if value.adjusted() > 40:
        return float("inf") if value > 0 else float("-inf")
    if value.adjusted() < -60:
        return -0.0 if value < 0 else 0.0
    exact = abs(Fraction(value))
    exponent = max(exact.numerator.bit_length() - exact.denominator.bit_length() - 1, -126)
    if exact >= Fraction(2) ** (exponent + 1):
        exponent += 1
    step = Fraction(2) ** (exponent - 23)
    # `round` of a fraction goes to even.
    rounded = round(exact / step) * step
    if rounded >= Fraction(2) ** 128:
        return float("inf") if value > 0 else float("-inf")
    return -float(rounded) if value < 0 else float(rounded)


def shortest32(value):
    """The shortest decimal that is read as this single."""
    for digits in range(9):
        text = Decimal(f"{value:.{digits}e}")
        if nearest32(text) == value:
            return text
    return Decimal(value)


def floating(nearest, shortest):
    def fits(value, _arguments, _form):
        found = nearest(number(value))
        wanted(found not in (float("inf"), float("-inf")), "out of range")
        wanted(found != 0 or value == 0, "it would become zero")
        # A whole number is itself, or, unless it is written as an integer, the shortest text of a float.
        if value != 0 and value.normalize().as_tuple().exponent >= 0:
            itself = Decimal(found) == value
            wanted(itself or (not isinstance(value, Whole) and shortest(found) == value), "inexact")
        return bits(found)

    return fits


def bits(value):
    """A float with the sign of its zero."""
    return struct.pack(">d", value)


def number_of(value):
    """A float from its bits."""
    return struct.unpack(">d", value)[0]


def text(value, _arguments=None, _form=None):
    wanted(isinstance(value, str), "no text")
    return value


def binary(value, _arguments, _form):
    try:
        decoded = b64decode(text(value), validate=True)
    except ValueError as error:
        raise Misfit("no base64") from error
    wanted(b64encode(decoded).decode() == value, "base64 that nobody would write")
    return decoded


def day(value, _arguments, form):
    if form in PER_SECOND:
        days, rest = divmod(int(whole(value)), DAY * PER_SECOND[form])
        wanted(rest == 0, "no beginning of a day")
        wanted(FIRST_DAY <= days <= LAST_DAY, "out of range")
        return days
    return civil(text(value))


def civil(written, first_year=1):
    """Days since the epoch. With an offset, the last hours of the year 0 are in the year 1 of UTC."""
    parts = DATE.fullmatch(written)
    wanted(parts is not None, "no date")
    year, month, day_of_month = (int(part) for part in parts.groups())
    wanted(year >= first_year, "out of range")
    try:
        # Every 400 years have the same days.
        return (date(year or 400, month, day_of_month) - date(1970, 1, 1)).days - (0 if year else 146_097)
    except ValueError as error:
        raise Misfit("no such day") from error


def seconds_of(hour, minute, second, fraction, unit):
    """Units since midnight."""
    hour, minute, second = int(hour), int(minute), int(second)
    wanted(hour < 24 and minute < 60 and second < 60, "no time of a day")
    digits = len(str(unit)) - 1
    fraction = (fraction or "").ljust(digits, "0")
    wanted(not fraction[digits:].strip("0"), "too many digits")
    return (hour * 3600 + minute * 60 + second) * unit + int(fraction[:digits])


def of_day(value, arguments, _form):
    unit = UNITS[arguments[0]]
    parts = TIME.fullmatch(text(value))
    wanted(parts is not None, "no time")
    return seconds_of(*parts.groups(), unit) * (1_000_000 // unit)


def stamp(value, arguments, form):
    """Microseconds since the epoch."""
    unit = UNITS[arguments[0]]
    if form in PER_SECOND:
        instant, rest = divmod(int(whole(value)) * unit, PER_SECOND[form])
        wanted(rest == 0, "too many digits")
    else:
        parts = STAMP.fullmatch(text(value))
        wanted(parts is not None, "no timestamp")
        written, *clock, offset = parts.groups()
        wanted((offset is None) == (form == "iso_utc"), "an offset where none is wanted, or none where one is")
        shift = 0
        if offset and offset not in "Zz":
            hours, minutes = int(offset[1:3]), int(offset[4:6])
            wanted(hours < 24 and minutes < 60, "no offset")
            shift = (hours * 3600 + minutes * 60) * (-1 if offset[0] == "-" else 1)
        instant = civil(written, 0) * DAY * unit + seconds_of(*clock, unit) - shift * unit
    wanted(FIRST_DAY <= instant // (DAY * unit) <= LAST_DAY, "out of range")
    return instant * (1_000_000 // unit)


SCALARS = {
    "bool": boolean,
    "string": text,
    "binary": binary,
    "decimal": decimal,
    "float32": floating(nearest32, shortest32),
    "float64": floating(float, lambda value: Decimal(repr(value))),
    "date": day,
    "time": of_day,
    "timestamp": stamp,
}
for _bits in (8, 16, 32, 64):
    SCALARS[f"int{_bits}"] = integer(-(2 ** (_bits - 1)), 2 ** (_bits - 1) - 1)
    SCALARS[f"uint{_bits}"] = integer(0, 2**_bits - 1)


def shown(value, kind):
    """A value as a reader of Parquet gives it: times as numbers, floats as bits, maps sorted."""
    name, arguments = kind
    if value is None:
        return None
    if name == "json":
        return plain_of(value)
    if name == "list":
        return tuple(shown(inner, arguments[0][1]) for inner in value)
    if name == "struct":
        return tuple(shown(value[member], inner) for member, inner in arguments)
    if name == "map":
        pairs = value.items() if isinstance(value, dict) else value
        return tuple(sorted(((key, shown(inner, arguments[1][1])) for key, inner in pairs), key=lambda pair: pair[0]))
    if name == "decimal":
        return value.normalize() if value else Decimal(0)
    if name in ("float32", "float64"):
        return bits(value)
    if isinstance(value, datetime):
        return ((value if value.tzinfo else value.replace(tzinfo=timezone.utc)) - EPOCH) // timedelta(microseconds=1)
    if isinstance(value, date):
        return (value - date(1970, 1, 1)).days
    if isinstance(value, time):
        return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
    return value
