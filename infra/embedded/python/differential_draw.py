"""Contracts and records as the differential test draws them: texts, so that every way to write a value is tried."""

import json
from base64 import b64encode
from datetime import date, timedelta
from json import JSONDecoder

from compare import parse_type
from differential_bloom import choose_filtered
from differential_constraints import constrain
from differential_groups import choose_order, make_groups_small
from differential_json import Repeated, Unsound, parse
from differential_lines import are_lines, choose_lines
from differential_partitions import lay_out
from differential_tracking import track
from differential_unique import make_unique

INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
SIMPLE = ["bool", *INTEGERS, "float32", "float64", "string", "binary", "date", "time(ms)", "time(us)", "json"]
FORMATS = [None, None, "iso", "iso_utc", "epoch_seconds", "epoch_millis", "epoch_micros"]
MEMBERS = ["a", "b", "x1", "_y", '"a b"', '"é"', '"K.k"', '"0"']
CHARS = [*"aZ0 éß日'/{],", "\U0001f600", "\u2028", "\x7f", "\ufeff", "\uffff"]
ESCAPES = [*(f"\\{char}" for char in '"\\/bfnrt'), "\\u0000", "\\u00e9", "\\uD83D\\uDE00", "\\ud834\\udd1e"]
BROKEN = ["\\ud800", "\\udc00x", "\\ud800\\u0041", "\\x", "\\u12", "\x01", "\t"]
OFFSETS = ["Z", "z", "+00:00", "-00:00", "+02:00", "-23:59", "+14:00", "+05:30"]
SPACES = ["", "", "", "", " ", "\t", "  ", " \r "]
# Between the values of an element of an array, which may stand on several lines.
SPACES_AND_BREAKS = [*SPACES, "\n", "\r\n "]


class Draw:
    """Draws one contract, then records for it."""

    def __init__(self, random):
        self.random = random
        self.columns = []
        self.spaces = SPACES
        # Of the objects drawn, how many hold one key twice.
        self.share_repeated = 0.0
        # Of the objects drawn, how many have a member that is null and unknown.
        self.share_nothing = 0.0
        # Whether the times of an object of Parquet are of INT96.
        self.int96 = False
        # The type of what structs of Parquet have beside their members.
        self.more_members = None
        # Columns of which records have the values of earlier ones, how many do, and the values that there were, the first
        # `most_earlier` of which come again.
        self.repeated_columns = []
        self.share_again = 0.2
        self.most_earlier = None
        self.earlier = []

    def one(self, *choices):
        return self.random.choice(choices)

    def chance(self, share):
        return self.random.random() < share

    # Contracts

    def contract(self):
        self.columns = [{"name": "id", "type": "int64", "nullable": False}]
        contract = {
            "columns": self.columns,
            "order": self.one("none", "delivery"),
            "on_violation": self.one("quarantine_row", *["rescue"] * 3, *["strict"] * 2, *["evolve"] * 2),
            "unknown_fields": self.one("violation", "ignore"),
            "duplicate_keys": self.one("refuse", "last_wins"),
            "compression": self.one("snappy", "zstd", "gzip", "lz4", "none"),
        }
        if self.chance(0.25):
            choose_lines(self, contract)
        for _ in range(self.random.randint(1, 8)):
            self.add_column(contract, self.type(self.one(0, 0, 1, 2, 3)))
        self.share_repeated = 0.05 if contract["duplicate_keys"] == "last_wins" else 0.002
        if self.chance(0.35):
            # What times without a zone are read with.
            self.add_column(contract, f"timestamp({self.one('ms', 'us')}, UTC)")["format"] = "iso_utc"
        if contract["on_violation"] == "evolve":
            self.share_nothing = 0.05
            contract["unknown_fields"] = self.one("violation", "violation", "ignore")
        if self.chance(0.7):
            # Enough of them that most contracts hold several of these side by side.
            for _ in range(self.one(0, 1, 2, 3)):
                self.add_column(contract, self.one("string", self.type(0)))
            for column in self.columns[1:]:
                if self.chance(0.6):
                    constrain(self, column)
                    # Only then is a value rescued.
                    column["nullable"] |= contract["on_violation"] == "rescue" and self.chance(0.8)
        if not are_lines(contract) and self.chance(0.5):
            track(self, contract)
        if self.chance(0.8 if contract["on_violation"] == "strict" else 0.4):
            make_unique(self, contract)
        is_small = not are_lines(contract) and self.chance(0.2)
        if is_small:
            make_groups_small(self, contract)
        # Rows of many partitions fill no row group.
        if self.chance(0.2 if is_small else 0.7):
            lay_out(self, contract)
        if not are_lines(contract) and self.chance(0.8 if is_small else 0.3):
            choose_order(self, contract)
        if not are_lines(contract) and self.chance(0.4):
            choose_filtered(self, contract)
        return contract

    def add_column(self, contract, kind):
        number = len(contract["columns"]) - 1
        column = {"name": f"c{number}", "type": kind, "nullable": self.chance(0.8)}
        if self.chance(0.3):
            column["from"] = self.one("with space", "Ünï", "a.b", 'quo"te', "back\\slash", "😀") + str(number)
        if kind.startswith(("date", "timestamp")):
            column["format"] = self.random.choice(FORMATS)
        contract["columns"].append(column)
        return column

    def type(self, depth):
        if depth == 0:
            what = self.one("simple", "simple", "simple", "decimal", "timestamp")
            if what == "decimal":
                precision = self.random.randint(1, 38)
                return f"decimal({precision},{self.random.randint(0, precision)})"
            if what == "timestamp":
                return f"timestamp({self.one('ms', 'us')}, UTC)"
            return self.random.choice(SIMPLE)
        inner = depth - 1
        match self.one("list", "struct", "map"):
            case "list":
                return f"list<{self.type(inner)}>"
            case "map":
                return f"map<string, {self.type(inner)}>"
            case _:
                names = self.random.sample(MEMBERS, self.random.randint(1, 4))
                kept = self.random.randrange(len(names))
                members = [f"{name}: {self.type(inner if at == kept else 0)}" for at, name in enumerate(names)]
                return f"struct<{', '.join(members)}>"

    # Records

    def sound_line(self, number):
        """A record that fits, as far as its columns may be null."""
        members = [f'"id":{self.id(number)}']
        for column in self.columns[1:]:
            if not column["nullable"]:
                members.append(f"{self.name_of(column)}:{self.of_column(column, 0)}")
        return ("{" + ",".join(members) + "}").encode()

    def well_formed_line(self, number):
        """A record that is JSON: what else is in an array with one that is not is no record either."""
        while True:
            self.spaces = SPACES_AND_BREAKS
            line = self.record(number, self.one(0, 0, 0.02, 0.2)).encode()
            self.spaces = SPACES
            try:
                parse(line)
            except Repeated:
                return line
            except Unsound:
                continue
            return line

    def record_line(self, number):
        line = self.record(number, self.one(0, 0, 0.02, 0.2))
        if self.chance(0.04):
            at = self.random.randrange(len(line) + 1)
            line = line[:at] + self.one(*'"\\{}[],:0.eE+- \x02', *BROKEN) + line[at + self.one(0, 1) :]
        encoded = line.encode()
        if self.chance(0.01):
            at = self.random.randrange(1, len(encoded))
            encoded = encoded[:at] + self.one(b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xe9") + encoded[at:]
        return encoded

    def record(self, number, odd):
        """A record; `odd` of its values are of the wrong kind or beyond it."""
        members = [('"id"', self.id(number))]
        again, new = self.again(), {}
        for column in self.columns[1:]:
            if column["name"] in again:
                members.append((self.name_of(column), again[column["name"]]))
                continue
            if column["nullable"] and self.chance(0.2):
                if self.chance(0.5):
                    members.append((self.name_of(column), "null"))
                continue
            if self.chance(odd * 0.1):
                if self.chance(0.5):
                    members.append((self.name_of(column), "null"))
                continue
            value = self.of_column(column, odd)
            members.append((self.name_of(column), value))
            if column in self.repeated_columns:
                new[column["name"]] = value
        if len(new) == len(self.repeated_columns):
            self.earlier.append(new)
        if self.chance(odd):
            members.append((self.one('"more"', '"ID"', '"c0 "', '"\\u0063"', '"_landfall_id"', '"p0"'), self.any(2)))
        if self.chance(self.share_nothing):
            members.append(('"nothing"', "null"))
        if self.chance(self.share_repeated * 4):
            column = self.random.choice(self.columns)
            value = self.id(number) if column["name"] == "id" else self.of_column(column, self.one(0, 0.5))
            members.append((self.name_of(column), value))
        self.random.shuffle(members)
        space = self.space
        inside = f"{space()},{space()}".join(f"{name}{space()}:{space()}{value}" for name, value in members)
        return "{" + space() + inside + space() + "}" + space()

    def again(self):
        """The values of some columns as an earlier record has them, or none."""
        return self.random.choice(self.earlier[: self.most_earlier]) if self.earlier and self.chance(self.share_again) else {}

    def id(self, number):
        """So long that it is another's in no record of which a digit was changed."""
        return str((number << 40) + self.random.getrandbits(40))

    def space(self):
        return self.random.choice(self.spaces)

    def form(self, column):
        return column.get("format") or "iso"

    def name_of(self, column):
        """A member's name, at times with an escape that nobody needs."""
        name = column.get("from") or column["name"]
        written = json.dumps(name, ensure_ascii=self.chance(0.3))
        if name.startswith("c") and self.chance(0.1):
            written = written.replace("c", "\\u0063", 1)
        return written

    def of_column(self, column, odd):
        """A value of a column: where it has some to be tried, mostly one of these."""
        if self.chance(odd):
            return self.any(2)
        for share, side in ((0.1, "outside"), (0.95, "inside")):
            if column.get(side) and self.chance(share):
                return self.random.choice(column[side])
        return self.value(parse_type(column["type"]), self.form(column), odd)

    def value(self, kind, form, odd):
        name, arguments = kind
        if self.chance(odd):
            return self.any(2)
        if name == "list":
            inner = (self.within(arguments[0][1], form, odd) for _ in range(self.one(0, 1, 2, 5)))
            return "[" + self.space() + f"{self.space()},".join(inner) + "]"
        if name == "struct":
            members = [(member, inner) for member, inner in arguments if self.chance(0.8)]
            self.random.shuffle(members)
            inside = [f"{json.dumps(member)}:{self.within(inner, form, odd)}" for member, inner in members]
            if self.chance(odd):
                inside.append(f'"unknown":{self.any(1)}')
            if self.chance(self.share_nothing):
                inside.append('"nothing":null')
            return "{" + ",".join(self.repeated(inside)) + "}"
        if name == "map":
            keys = {self.text(short=True): None for _ in range(self.one(0, 1, 2, 5))}
            inside = [f"{key}:{self.within(arguments[1][1], form, odd)}" for key in keys]
            return "{" + ",".join(self.repeated(inside)) + "}"
        return self.scalar(name, arguments, form, odd > 0)

    def repeated(self, inside):
        """The members of an object, now and then one of them again with any value, before the others or behind them."""
        if inside and self.chance(self.share_repeated):
            key, _ = JSONDecoder().raw_decode(self.random.choice(inside))
            inside.insert(self.one(0, len(inside)), f"{json.dumps(key)}:{self.any(1)}")
        return inside

    def within(self, kind, form, odd):
        return "null" if self.chance(0.15) else self.value(kind, form, odd)

    def scalar(self, name, arguments, form, edge):
        """A value of a simple type; with `edge` it may lie just outside of it."""
        if name == "bool":
            return self.one("true", "false")
        if name.endswith(("int8", "int16", "int32", "int64")):
            bits = int(name.removeprefix("u").removeprefix("int"))
            low, high = (0, 2**bits - 1) if name.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
            beyond = [low - 1, high + 1, high * 10] if edge else [low, high]
            return self.one(str(self.random.randint(low, high)), "0", "-0", str(low), str(high), str(self.one(*beyond)))
        if name in ("float32", "float64"):
            return self.float(name, edge)
        if name == "decimal":
            return self.decimal(int(arguments[0]), int(arguments[1]), edge)
        if name == "string":
            return self.text()
        if name == "binary":
            encoded = b64encode(self.random.randbytes(self.one(0, 1, 2, 3, 20))).decode()
            if edge and self.chance(0.3):
                encoded = self.one(encoded.rstrip("="), encoded + "=", encoded + "\\n", "QR==", "-_8=", " " + encoded)
            return '"' + encoded.replace("/", self.one("/", "\\/")) + '"'
        if name == "date":
            return self.epoch(86_400, form, edge) if form.startswith("epoch") else f'"{self.date(edge)}"'
        if name == "time":
            return f'"{self.clock(arguments[0], edge)}"'
        if name == "timestamp":
            if form.startswith("epoch"):
                return self.epoch(1, form, edge, arguments[0])
            offset = "" if form == "iso_utc" else self.random.choice(OFFSETS)
            if edge and self.chance(0.2):
                offset = self.one("", "Z", "+2:00", "+0200", "+24:00", " Z", "+00:60")
            return f'"{self.date(edge)}{self.one("T", "t", " ", "T")}{self.clock(arguments[0], edge)}{offset}"'
        return self.any(3)

    def digits(self, count):
        return "".join(self.random.choice("0123456789") for _ in range(count))

    def float(self, name, edge):
        most = 38 if name == "float32" else 308
        written = [
            "0", "-0", "-0.0", "0.1", "1e23", "9007199254740993.0", "16777217.0", "3.4028235e38", "1.5E+3", "0e999",
            "-0.00000e-400", "5e-324", "1e-45", "2.2250738585072014e-308", "1.1754942e-38",
            f"{self.one('', '-')}{self.random.randint(1, 9)}.{self.digits(self.one(1, 3, 17, 40))}",
            f"{self.random.randint(1, 9)}.{self.digits(self.one(1, 7, 16))}e{self.random.randint(-most - 8, most)}",
            str(self.random.randint(-(2**24), 2**24)),
            repr(self.random.uniform(-1, 1) * 10 ** self.random.randint(-most, most)),
            # Half way between two singles, and a little beside it.
            f"1.000000059604644775390625{self.one('', '0', '1')}", "1.00000005960464477539062499999999",
        ]  # fmt: skip
        if edge:
            written += [
                "1e400", "1e-400", "3.5e38", "1e-46", "9007199254740993", "16777217", "123456789012345678901234567890",
                "1e39", "1.7976931348623159e308", "100000000000000000000000", "12345678.0", "9.007199254740993e15",
            ]  # fmt: skip
        return self.random.choice(written)

    def decimal(self, precision, scale, edge):
        whole = precision - scale
        left = self.digits(self.random.randint(1, whole)).lstrip("0") or "0" if whole else "0"
        right = self.digits(self.random.randint(1, scale)) if scale else ""
        written = f"{self.one('', '-')}{left}" + (f".{right}" if right else "")
        match self.one("plain", "plain", "nines", "zeros", "shift", "edge" if edge else "plain"):
            case "nines":
                return ("9" * whole or "0") + ("." + "9" * scale if scale else "")
            case "zeros":
                return written + ("0" if "." in written else ".0") * 1 + "0" * self.one(0, 30)
            case "shift":
                # The same value with an exponent.
                shift = self.random.randint(0, 45)
                sign, bare = ("-", written[1:]) if written.startswith("-") else ("", written)
                digits = bare.replace(".", "")
                places = len(right) + shift
                return f"{sign}{digits.lstrip('0') or '0'}{'0' * shift}{self.one('e', 'E')}-{places:0{self.one(1, 4)}}"
            case "edge":
                return self.one(
                    "1" + "0" * whole, written + ("1" if "." in written else "." + "0" * scale + "1"), "1e-400", "1e400",
                    "0e99999", "-0.0", f"1e{whole}", f"1e-{scale + 1}", "9" * 39, "170141183460469231731687303715884105728",
                )  # fmt: skip
        return written

    def text(self, short=False):
        parts = [self.random.choice(CHARS + ESCAPES) for _ in range(self.one(0, 1, 4, 4 if short else 30))]
        if self.chance(0.002):
            parts.append(self.random.choice(BROKEN[:3]))
        return '"' + "".join(parts) + '"'

    def date(self, edge):
        if edge and self.chance(0.2):
            return self.one("0000-12-31", "10000-01-01", "2023-02-29", "1900-02-29", "2026-13-01", "2026-1-01", "20260519", "")
        if self.chance(0.2):
            return self.one("0001-01-01", "9999-12-31", "2000-02-29", "1970-01-01", "1969-12-31")
        return str(date(1, 1, 2) + timedelta(days=self.random.randint(0, 3_652_000)))

    def clock(self, unit, edge):
        if edge and self.chance(0.2):
            return self.one("24:00:00", "12:60:00", "23:59:60", "1:00:00", "12:00", "12:00:00.", "12:00:00.1234567", "12:00:00,5")
        digits = {"ms": 3, "us": 6}[unit]
        fraction = self.one("", "", "." + self.digits(self.random.randint(1, digits)), "." + self.digits(digits) + "000")
        hour, minute, second = self.random.randint(0, 23), self.random.randint(0, 59), self.random.randint(0, 59)
        return self.one(f"{hour:02}:{minute:02}:{second:02}{fraction}", "00:00:00", "23:59:59." + "9" * digits)

    def epoch(self, step, form, edge, unit="us"):
        per_second = {"epoch_seconds": 1, "epoch_millis": 1_000, "epoch_micros": 1_000_000}[form]
        first, last = -62_135_596_800, 253_402_300_799
        seconds = self.one(0, -step, step, self.random.randint(first, last) // step * step, first, last // step * step)
        value = seconds * per_second
        if step == 1 and per_second == 1_000_000 and self.chance(0.5):
            value += self.random.randrange(0, 1_000_000, 1 if unit == "us" else 1_000)
        if edge and self.chance(0.2):
            value = self.one(value + 1, (last + 1) * per_second, (first - 1) * per_second, 2**63 - 1, -(2**63), 2**70)
            return self.one(str(value), f"{value}.0", f"{value}e0", f'"{value}"')
        return str(value)

    def any(self, depth):
        """Any JSON; now and then nested as deeply as a record may be, or deeper."""
        if self.chance(0.02):
            levels = self.one(100, 124, 125, 126, 127, 128, 200)
            opened, closed = self.one(("[", "]"), ('{"a":', "}"))
            return opened * levels + self.one("1", '""', "{}") + closed * levels
        if depth and self.chance(0.4):
            if self.chance(0.5):
                return "[" + ",".join(self.any(depth - 1) for _ in range(self.one(0, 1, 3))) + "]"
            inside = [f'"k{at}":{self.any(depth - 1)}' for at in range(self.one(0, 1, 3))]
            return "{" + ",".join(self.repeated(inside)) + "}"
        number = self.one("0", "-0", "1e400", "1E-7", "-1.50", "123456789012345678901234567890", "1.0", "7")
        return self.one("null", "true", "false", number, number, self.text(), '"2026-05-19"', '"x"')
