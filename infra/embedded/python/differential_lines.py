"""Deliveries of JSON lines in the differential test: how they are asked for, and what their files hold."""

import zlib

from differential_files import Found
from differential_json import Misfit, parse, plain
from differential_partitions import WITH_JOB
from staged_files import BLANK, opened

ENDINGS = {"gzip": ".jsonl.gz", "zstd": ".jsonl.zst", "none": ".jsonl"}
REJECTED = "_rejected.jsonl"


def choose_lines(draw, contract):
    """Asks for lines, with all that they can be asked for with."""
    contract["format"] = "jsonl"
    contract["compression"] = draw.one(None, "gzip", "zstd", "none")
    contract["on_violation"] = draw.one("quarantine_row", "quarantine_row", "strict", "evolve")
    contract["duplicate_keys"] = draw.one("refuse", "last_wins", "last_wins")
    if draw.chance(0.5):
        contract["file_name"] = WITH_JOB


def are_lines(contract):
    return contract.get("format") == "jsonl"


def lines_of(output, contract):
    """Rows by their id, each with its line, and what is wrong with files."""
    rows, complaints = {}, []
    ending = ENDINGS[contract["compression"] or "gzip"]
    for path in sorted(path for path in output.rglob("*") if path.is_file() and path != output / REJECTED):
        relative = str(path.relative_to(output))
        if not path.name.endswith(ending):
            complaints.append(f"{relative} does not end with {ending}")
            continue
        complaints += [f"{relative}: {what}" for what in unpacked_wrong(path.read_bytes(), ending)]
        with opened(path) as file:
            content = file.read()
        *lines, rest = content.split(b"\n")
        if rest or not lines:
            complaints.append(f"{relative} ends with {rest!r}")
        for line in lines:
            try:
                record, _ = parse(line, last_wins=True)
            except Misfit as why:
                complaints.append(f"{relative}: {why}: {line!r}")
                continue
            if record["id"] in rows:
                complaints.append(f"{relative}: id {record['id']} stands twice")
            rows[int(record["id"])] = Found({}, relative, None, line)
    return rows, complaints


def unpacked_wrong(content, ending):
    """A file is one member of gzip, or one frame of zstd with a checksum."""
    if ending == ENDINGS["gzip"]:
        member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        member.decompress(content)
        if not member.eof or member.unused_data:
            yield "no single member of gzip"
    elif ending == ENDINGS["zstd"] and not content[4] & 0b100:
        yield "a frame of zstd without a checksum"


def line_complaints(record, line, seen):
    """A line that is not what a record becomes."""
    if record.text is None:
        seen["lines of rows of Parquet"] += 1
        try:
            value, repeated = parse(line)
        except Misfit as why:
            yield f"the line {line!r}: {why}"
            return
        if plain(value) != record.shown:
            yield f"the line {line!r} is not {record.shown!r}"
        return
    text = record.text.strip(BLANK).replace(b"\n", b" ").replace(b"\r", b" ")
    value, repeated = parse(text, last_wins=True)
    seen["lines with a key blanked" if repeated else "lines that are the text of a record"] += 1
    seen["lines of which breaks were taken"] += text != record.text.strip(BLANK)
    if not repeated:
        if line != text:
            yield f"the line {line!r} is not the text"
        return
    left, repeats = parse(line, last_wins=True)
    if repeats or plain(left) != plain(value):
        yield f"the line {line!r} is not the record that it was read as"
    if len(line) != len(text) or any(byte not in (was, ord(" ")) for byte, was in zip(line, text, strict=True)):
        yield f"in the line {line!r} is more than blanked"
