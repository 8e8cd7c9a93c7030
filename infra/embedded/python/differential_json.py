"""JSON as the differential test reads it: by Python's json, with numbers as Decimal and what RFC 8259 leaves open decided."""

import json
import re
from decimal import Decimal, InvalidOperation

DEPTH = 128


class Misfit(Exception):
    """A record that the contract cannot hold; also a value, where it is caught in time."""

    # The reason that must be given for it, where there is one alone.
    reason = None


class Unsound(Misfit):
    """A text that is no JSON by RFC 8259 and the limits, or an object with one key twice: nothing of it is rescued."""


class Repeated(Unsound):
    """JSON, but for an object with one key twice where the contract refuses that."""


class Whole(Decimal):
    """A number written without fraction and exponent."""


def refused(text):
    raise Unsound(f"{text} is no JSON")


def real(text):
    """A number with a fraction or an exponent. Decimal has exponents of up to 18 digits: longer ones mean no less."""
    try:
        return Decimal(text)
    except InvalidOperation:
        mantissa, exponent = text.lower().split("e")
        return Decimal(f"{mantissa}e{'-' if exponent.startswith('-') else ''}{10**17}")


def parse(line, last_wins=False):
    """A line as JSON, numbers as Decimal, and whether a key stands twice in it, of which the last one counts."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unsound("not UTF-8") from error
    if deepest(text) > DEPTH:
        raise Unsound("nested too deeply")
    overwritten = []

    def members(pairs):
        kept = dict(pairs)
        if len(kept) != len(pairs):
            overwritten.extend(value for _, value in pairs)
        return kept

    try:
        value = json.loads(text, parse_float=real, parse_int=Whole, parse_constant=refused, object_pairs_hook=members)
    except ValueError as error:
        raise Unsound(str(error)) from error
    whole_pairs(value)
    # What does not count must be JSON all the same.
    whole_pairs(overwritten)
    if overwritten and not last_wins:
        raise Repeated("a key stands twice")
    return value, bool(overwritten)


def deepest(text):
    """How many brackets are open at most, those in texts left out."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    depth = most = 0
    for char in bare:
        if char in "[{":
            depth += 1
            most = max(most, depth)
        elif char in "]}":
            depth -= 1
    return most


def whole_pairs(value):
    """Half a surrogate pair is no character: Python lets it pass."""
    if isinstance(value, str):
        if any(0xD800 <= ord(char) <= 0xDFFF for char in value):
            raise Unsound("half a surrogate pair")
    elif isinstance(value, dict):
        for key, inner in value.items():
            whole_pairs(key)
            whole_pairs(inner)
    elif isinstance(value, list):
        for inner in value:
            whole_pairs(inner)


def plain(value):
    """JSON in a form that is equal exactly when the values are: member order does not count, 1.0 is 1."""
    if isinstance(value, dict):
        return plain_object({key: plain(inner) for key, inner in value.items()})
    if isinstance(value, list):
        return ("list", tuple(plain(inner) for inner in value))
    if isinstance(value, Decimal):
        return ("number", value.normalize() if value else Decimal(0))
    return (type(value).__name__, value)


def plain_object(members):
    """An object of members that are plain already."""
    return ("object", tuple(sorted(members.items(), key=lambda pair: pair[0])))


def plain_of(text):
    """The text of a JSON value as a file holds it: no key stands twice in it, however the record was written."""
    repeated = []

    def members(pairs):
        kept = dict(pairs)
        repeated.extend(pairs if len(kept) != len(pairs) else [])
        return kept

    value = plain(json.loads(text, parse_float=real, parse_int=Whole, object_pairs_hook=members))
    return ("a key stands twice in", text) if repeated else value


def written(value):
    """JSON text of what is plain."""
    name, inside = value
    match name:
        case "object":
            return "{" + ",".join(f"{json.dumps(key)}:{written(inner)}" for key, inner in inside) + "}"
        case "list":
            return "[" + ",".join(written(inner) for inner in inside) + "]"
        case "number":
            return str(inside)
    return json.dumps(inside)
