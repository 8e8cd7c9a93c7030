"""Count what was staged and what was delivered, and compare: staged = delivered + rejected + set aside, per delivery.

Shares no code with the engine: Python's gzip, pyarrow for zstd and Parquet. A record is a line that is not blank.
"""

import argparse
import json
import sys
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from staged_files import BLANK, opened

SHOWN = 20


class Lines:
    """Lines of a staged object: how many there are, and which of them are blank."""

    def __init__(self, path):
        self.total, self.blank = 0, set()
        if path.stat().st_size == 0:
            return
        with opened(path) as lines:
            for line in lines:
                self.total += 1
                if not line.strip(BLANK):
                    self.blank.add(self.total)

    @property
    def records(self):
        return self.total - len(self.blank)


def lines_of(path):
    """None where the file cannot be decompressed to its end."""
    try:
        return Lines(path)
    except (OSError, EOFError, zlib.error, pa.ArrowException):
        return None


def rows(path):
    """Rows that can be read: every page of every column is decoded, or every line."""
    if path.suffix != ".parquet":
        return Lines(path).records
    with pq.ParquetFile(path) as file:
        return sum(batch.num_rows for batch in file.iter_batches(batch_size=65_536))


def check(delivery, objects, output):
    problems = []
    set_aside = {entry["key"] for entry in delivery["quarantined_objects"]}
    staged_lines = {key: lines for key, (owner, lines) in objects.items() if owner == delivery["id"]}
    counts = {key: lines.records if lines else None for key, lines in staged_lines.items()}
    for key in sorted(set_aside - set(counts)):
        problems.append(f"{key} was set aside, and never staged")
    for key, count in counts.items():
        if count is None and key not in set_aside:
            problems.append(f"{key} cannot be decompressed, and was not set aside")

    delivered, expected = 0, set()
    for file in delivery["files"]:
        path = output / file["path"]
        expected.add(path)
        try:
            found = rows(path)
        except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
            problems.append(f"{file['path']} cannot be read: {error}")
            continue
        delivered += found
        if found != file["rows"]:
            problems.append(f"{file['path']} has {found} rows, its outcome says {file['rows']}")
    location = output / delivery["bucket"] / delivery["prefix"]
    for path in sorted(location.rglob("*")):
        if path.is_file() and path not in expected:
            problems.append(f"{path.relative_to(output)} was delivered, and no outcome names it")

    # A row is one line of one object, however often it is named.
    rejected_lines = set()
    for row in delivery["rejected_rows"]:
        key, number = row["key"], row["line"]
        if key not in counts:
            problems.append(f"{key}:{number} was rejected, and never staged")
        elif (lines := staged_lines[key]) is not None and not 1 <= number <= lines.total:
            problems.append(f"{key}:{number} was rejected, and the object has {lines.total} lines")
        elif lines is not None and number in lines.blank:
            problems.append(f"{key}:{number} was rejected, and the line is blank")
        if (key, number) in rejected_lines:
            problems.append(f"{key}:{number} was rejected twice")
        rejected_lines.add((key, number))
    staged = sum(count for count in counts.values() if count is not None)
    quarantined = sum(counts[key] or 0 for key in set_aside if key in counts)
    rejected = len(rejected_lines)
    if staged != delivered + rejected + quarantined:
        problems.append(
            f"{staged} records were staged, {delivered} delivered + {rejected} rejected + {quarantined} set aside"
            f" are {delivered + rejected + quarantined}"
        )
    return {
        "staged_objects": len(counts),
        "staged_records": staged,
        "delivered_rows": delivered,
        "rejected_rows": rejected,
        "quarantined_objects": len(set_aside),
        "quarantined_records": quarantined,
        "problems": problems,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--counts", type=Path, help="where everything counted is written, as JSON")
    args = parser.parse_args()
    report = json.loads(args.report.read_text(encoding="utf-8"))
    objects = {
        entry["key"]: (entry["delivery"], lines_of(args.input / entry["file"])) for entry in report["objects"]
    }
    checked = {delivery["id"]: check(delivery, objects, args.output) for delivery in report["deliveries"]}
    sound = not any(found["problems"] for found in checked.values())
    for name, found in checked.items():
        print(
            f"rows {'add up' if not found['problems'] else 'DO NOT ADD UP'}: {name}:"
            f" {found['staged_records']:,} staged ="
            f" {found['delivered_rows']:,} delivered + {found['rejected_rows']:,} rejected"
            f" + {found['quarantined_records']:,} in {found['quarantined_objects']:,} objects set aside"
        )
        for problem in found["problems"][:SHOWN]:
            print(f"  {problem}")
        if len(found["problems"]) > SHOWN:
            print(f"  ... {len(found['problems'])} problems in all")
    if args.counts:
        records = {key: lines.records if lines else None for key, (_, lines) in objects.items()}
        counts = {"sound": sound, "deliveries": checked, "objects": records}
        args.counts.write_text(json.dumps(counts), encoding="utf-8")
        return 0
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
