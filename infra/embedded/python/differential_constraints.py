"""Rules that a column has beside its type: drawn, with values at their edges, and what obeys them.

Beside its rules a drawn column gets two lists of values as JSON, `inside` and `outside`, of which most of its records
take theirs.
"""

import json
import math
import re
import struct
from decimal import Decimal

from compare import parse_type
from differential_json import Misfit, parse
from differential_rules import DAY, FIRST_DAY, LAST_DAY, bits, fitted, nearest32, number_of
from differential_texts import bound, in_record

RULES = ("min", "max", "min_length", "max_length", "pattern", "one_of")
FLOATS = ("float32", "float64")
WHOLE = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
ORDERED = (*WHOLE, *FLOATS, "decimal", "date", "time", "timestamp")
UNIT = {"ms": 1_000, "us": 1}

# Of one to four bytes in UTF-8, two that are one letter together, and one that Rust's and Python's `.` both leave out.
CHARS = [*"aZ0 ", "é", "ß", "日", "\U0001f600", "e\u0301", "\u2028", "\n", '"', "\\", "\x00"]
WORDS = ["a", "A", "b", "ab", "", " a", "a b", "é", "e\u0301", "日本", "\U0001f600", "a\n", "a/b", "null", "1"]
# Patterns that mean the same to Rust's `regex` and Python's `re`, and texts at their edges.
PATTERNS = {
    "[A-Z]{2}-[0-9]{3}": ["AB-123", "ZZ-000", "AB-1234", "ab-123", "AB-123\n", "ÄB-123", "xAB-123", "AB-١٢٣", ""],
    "a|ab": ["a", "ab", "aab", "abc", "b", ""],
    "(?s).{2,4}": ["日本", "\U0001f600\n", "éé", "e\u0301", "é", "abcd", "abcde", ""],
    ".*": ["", "a b", "\r", "\u2028", "a\nb", "\n"],
    "[^/]+(?:/[^/]+)?": ["a/b", "日/本", "a", "a//b", "/", "a/", ""],
    "[\\u00e0-\\u00ff]+[日本]?": ["é", "àÿ日", "日", "é日本", "e\u0301", "É"],
    "": ["", "a", "\n"],
    "^a+$": ["a", "aaa", "aa\n", "ba", ""],
    "\\.\\*\\\\|\\x00": [".*\\", "a*\\", ".*", "\x00", "\x00\x00"],
    "(?x) [0-9]{1,3} ( \\. [0-9]+ )?": ["1", "999.95", "1.", "1 .5", "1000", " 1"],
}


class Broken(Misfit):
    """A value of the column's type that a rule of the contract refuses."""


def constrain(draw, column):
    """Gives a column rules, where its type has any."""
    kind = parse_type(column["type"])
    if kind[0] == "string":
        rules, values = of_text(draw)
        texts = [json.dumps(value, ensure_ascii=draw.chance(0.5)) for value in values]
    elif kind[0] in WHOLE and draw.chance(0.3):
        rules, texts = of_list(draw, kind)
    elif kind[0] in ORDERED:
        rules, texts = of_range(draw, column, kind)
    else:
        return
    column.update(rules)
    column["inside"] = [text for text in texts if is_taken(column, text)]
    column["outside"] = [text for text in texts if text not in column["inside"]]


def is_taken(column, text):
    try:
        obeys(column, value_of(text, parse_type(column["type"]), column.get("format")))
    except Misfit:
        return False
    return True


def value_of(text, kind, form):
    value, _ = parse(text.encode())
    return fitted(value, kind, form or "iso", lets=None)


def of_text(draw):
    """A rule or two, of which some text obeys both."""
    makers = [lengths, pattern, words]
    draw.random.shuffle(makers)
    rules, values = makers[0](draw)
    if draw.chance(0.3):
        more, others = makers[1](draw)
        both = {**rules, **more}
        if any(is_taken({"type": "string", **both}, json.dumps(value)) for value in values + others):
            return both, values + others
    return rules, values


def lengths(draw):
    least = draw.one(0, 1, 2, 5)
    most = least + draw.one(0, 1, 3, 10)
    rules = draw.one({"min_length": least}, {"max_length": most}, {"min_length": least, "max_length": most})
    counts = [least, most, least, most, (least + most) // 2, least - 1, most + 1]
    return rules, [letters(draw, count) for count in counts if count >= 0]


def letters(draw, count):
    """A text of so many characters of Unicode: a letter that is written as two counts twice."""
    text = "".join(draw.random.choice(CHARS) for _ in range(count))
    return text[:count]


def pattern(draw):
    chosen = draw.random.choice(list(PATTERNS))
    return {"pattern": chosen}, list(PATTERNS[chosen])


def words(draw):
    allowed = draw.random.sample(WORDS, draw.one(1, 2, 4))
    return {"one_of": allowed}, list(WORDS)


def of_list(draw, kind):
    values = sorted({single(draw, kind, None) for _ in range(draw.one(1, 2, 4))})
    beside = [value + step for value in values for step in (-1, 0, 1)]
    return {"one_of": [str(value) for value in values]}, [str(value) for value in beside]


def of_range(draw, column, kind):
    form = column.get("format")
    low, high = sorted((single(draw, kind, form), single(draw, kind, form)), key=lambda value: ordinal(value, kind))
    if draw.chance(0.1):
        low = high
    rules = draw.one({"min": low}, {"max": high}, {"min": low, "max": high})
    # The edges twice: they are what it is about.
    values = [value for edge in rules.values() for value in (edge, edge, beside(edge, kind, -1), beside(edge, kind, 1))]
    values += [between(draw, low, high, kind) for _ in range(3)] + [single(draw, kind, form)]
    texts = [in_record(value, kind, form) for value in values if value is not None]
    if kind[0] in FLOATS:
        texts += [almost(edge) for edge in rules.values()]
    return {rule: bound(value, kind) for rule, value in rules.items()}, texts


def single(draw, kind, form):
    """Any value of the type."""
    while True:
        try:
            return value_of(draw.scalar(*kind, form or "iso", False), kind, form)
        except Misfit:
            continue


def ordinal(value, kind):
    return number_of(value) if kind[0] in FLOATS else value


def beside(value, kind, step):
    """The next value of the type; None beyond the last float and the days that are written."""
    name, arguments = kind
    if name in FLOATS:
        following = next32 if name == "float32" else math.nextafter
        found = following(number_of(value), math.copysign(math.inf, step))
        return bits(found) if math.isfinite(found) else None
    if name == "decimal":
        return value + Decimal(step).scaleb(-int(arguments[1]))
    found = value + step * UNIT[arguments[0]] if name in ("time", "timestamp") else value + step
    first, last = {
        "date": (FIRST_DAY, LAST_DAY),
        "time": (0, DAY * 1_000_000 - 1),
        "timestamp": (FIRST_DAY * DAY * 1_000_000, (LAST_DAY + 1) * DAY * 1_000_000 - 1),
    }.get(name, (found, found))
    return found if first <= found <= last else None


def next32(value, towards):
    """The single beside a single: the bits of singles of one sign are in their order."""
    if value == 0:
        return math.copysign(2.0**-149, towards)
    (place,) = struct.unpack(">i", struct.pack(">f", abs(value)))
    place += 1 if (towards > 0) == (value > 0) else -1
    return math.copysign(struct.unpack(">f", struct.pack(">i", place))[0], value)


def between(draw, low, high, kind):
    name, arguments = kind
    if name in FLOATS:
        share = draw.random.random()
        found = number_of(low) * share + number_of(high) * (1 - share)
        return bits(nearest32(Decimal(found)) if name == "float32" else found)
    if name == "decimal":
        scale = int(arguments[1])
        return Decimal(draw.random.randint(int(low.scaleb(scale)), int(high.scaleb(scale)))).scaleb(-scale)
    unit = UNIT[arguments[0]] if name in ("time", "timestamp") else 1
    return draw.random.randint(low // unit, high // unit) * unit


def almost(edge):
    """A number beyond a float by so little that it becomes that float."""
    sign, digits, exponent = Decimal(number_of(edge)).as_tuple()
    return str(Decimal((sign, (*digits, 0, 0, 0, 1), exponent - 4)))


def obeys(column, value):
    """Holds a value of the column's type against its rules; null is none."""
    kind = parse_type(column["type"])
    if "min" in column and ordinal(value, kind) < edge_of(column["min"], kind):
        raise Broken("below the least")
    if "max" in column and ordinal(value, kind) > edge_of(column["max"], kind):
        raise Broken("above the greatest")
    if "min_length" in column and len(value) < column["min_length"]:
        raise Broken("too short")
    if "max_length" in column and len(value) > column["max_length"]:
        raise Broken("too long")
    if "pattern" in column and not re.fullmatch(column["pattern"], value):
        raise Broken("no match")
    if "one_of" in column and str(value) not in column["one_of"]:
        raise Broken("not allowed")


def edge_of(text, kind):
    """A bound as a value of its column: that of a float is as near to its text as the column's values are to theirs."""
    name, _ = kind
    if name in FLOATS:
        return nearest32(Decimal(text)) if name == "float32" else float(text)
    written = text if name in WHOLE or name == "decimal" else json.dumps(text)
    return value_of(written, kind, "iso")
