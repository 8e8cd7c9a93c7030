"""Random contracts and random records for them, converted by landfall, beside Python's own reading of these.

For each seed a contract of nested types is drawn, with rules of its columns, a unique key, tracking columns and partitions,
and records for it, as JSON and as Parquet: values that fit, values at the edge of what fits, values that do not, and texts
that are no JSON. Python's json reads each record with its numbers as Decimal, and rules that share no code with the engine
(differential_records.py) say what row it is, in which folder, with what in the columns that landfall fills, or that it
cannot be one. What `landfall convert` writes, as pyarrow and as DuckDB read it, must be those rows, and what it rejects
the other records, one by one; under `strict` it must set aside the objects that have one. Rows must be sorted within row
groups as they are asked to be, Bloom filters exclude none of them, and JSON lines be the texts of their records.

Prints one line when all seeds agree, with how often each thing was met; otherwise the seed, the contract and the records
that differ, and exits with 1. It does so too when many seeds never met one of these things.
"""

import argparse
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, setcontext
from pathlib import Path

from compare import parse_type
from differential_constraints import RULES
from differential_document import document_of
from differential_draw import Draw
from differential_expected import PLANNED, expect
from differential_files import rejected_of, rows_of, schema_complaints
from differential_groups import fewer, group_complaints
from differential_lines import are_lines, line_complaints, lines_of
from differential_partitions import dropped_of, folder_of, levels_of
from differential_staging import stage
from differential_tracking import columns_of, fields_of, names_of
from staged_files import BLANK

FILE_NAME = re.compile(
    r"(part-(?P<job>[0-9a-f]+)-[0-9]{5,}|20260519T101500Z-[0-9a-f]+-(?P<worker>[0-9a-f]{8}))"
    r"((\.[a-z0-9]+)?\.parquet|\.jsonl(\.gz|\.zst)?)"
)
ASIDE = re.compile(r"set aside: (?P<key>.+?)(:[0-9]+)?: (?P<why>[a-z0-9_]+: .*)")
# Seconds for what takes a tenth of one.
PATIENCE = 120
# So many seeds meet everything.
MANY = 100
MET = [
    "contracts with rules", "contracts where the last key wins", "contracts with tracking columns", "contracts with partitions",
    "contracts that drop columns", "contracts with Parquet inputs", "records refused by a rule", "values rescued from a rule",
    "records with a key twice", "rows marked deleted", "rows in a partition of null", "rows too long for their partition",
    "rows of Parquet", "rows of Parquet refused",
    "contracts with a unique key", "records that are not unique", "contracts in the order of delivery",
    "objects set aside", "objects that are sound", "unique keys given back", "members that say nothing",
    "objects with INT96 times", "rows too long for their key",
    "contracts of JSON lines", "lines that are the text of a record", "lines of which breaks were taken",
    "lines with a key blanked", "lines of rows of Parquet",
    "row groups that are sorted", "files with several row groups", "Bloom filters", "values that a Bloom filter excludes",
]  # fmt: skip


def met(contract, seen):
    seen["contracts with rules"] += any(not column.keys().isdisjoint(RULES) for column in contract["columns"])
    seen["contracts where the last key wins"] += contract["duplicate_keys"] == "last_wins"
    seen["contracts with tracking columns"] += "tracking" in contract
    seen["contracts with partitions"] += "levels" in contract
    seen["contracts that drop columns"] += bool(dropped_of(contract))
    seen["contracts with a unique key"] += "unique_key" in contract
    seen["contracts of JSON lines"] += are_lines(contract)
    seen["contracts in the order of delivery"] += contract["order"] == "delivery"


def check(landfall, seed, count, seen):
    """Everything about which landfall and Python do not agree under one contract."""
    draw = Draw(random.Random(seed))
    contract = draw.contract()
    met(contract, seen)
    columns = [(column["name"], parse_type(column["type"])) for column in contract["columns"]]
    if contract["on_violation"] == "rescue":
        columns.append(("_rescued", ("json", [])))
    columns = [column for column in columns + columns_of(contract) if column[0] not in dropped_of(contract)]
    with tempfile.TemporaryDirectory() as work:
        folder, output = Path(work) / "input", Path(work) / "output"
        document = Path(work) / "delivery.toml"
        document.write_text(document_of(contract), encoding="utf-8")
        objects = stage(draw, contract, folder, fewer(count, contract), seen)
        command = [landfall, "convert", "--delivery", document, "--input", folder, "--output", output]
        command += ["--file-time", PLANNED]
        try:
            run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return contract, [f"landfall convert does not end within {PATIENCE} s"], 0
        if run.returncode != 0 or run.stderr:
            said = run.stderr.splitlines() or ["silent"]
            return contract, [f"landfall convert: exit code {run.returncode}: {line}" for line in said], 0
        expected, misfits, aside = expect(objects, contract, seen)
        complaints = wrong_aside([line.strip() for line in run.stdout.splitlines() if "set aside" in line], aside)
        complaints += differences(rejected_of(output / "_rejected.jsonl"), misfits)
        if are_lines(contract):
            rows, wrong = lines_of(output, contract)
            complaints += wrong + compared("Python", rows, expected, contract, seen)
            return contract, complaints, sum(len(staged.records) for staged in objects)
        schema = list(schema_complaints(output, [name for name, _ in columns], fields_of(contract)))
        if schema:
            return contract, complaints + schema, 0
        levels = [level["name"] for level in contract.get("levels", []) if "name" in level]
        for reader, rows in rows_of(output, columns, levels):
            complaints += compared(reader, rows, expected, contract, seen)
        complaints += group_complaints(output, expected, contract, seen)
        return contract, complaints, sum(len(staged.records) for staged in objects)


def compared(reader, rows, expected, contract, seen):
    """Rows that are not what a reader finds."""
    complaints = [f"there is no row of {expected[key].record.line!r}" for key in expected.keys() - rows.keys()]
    complaints += [f"row {key} is of no record that fits" for key in rows.keys() - expected.keys()]
    both = [(expected[key], rows[key]) for key in expected if key in rows]
    complaints += wrong_rows(both, contract, seen)
    return [f"{reader}: {what}" for what in complaints]


def wrong_rows(both, contract, seen):
    """Values, folders and jobs that are not what they must be."""
    complaints, jobs = [], {}
    job_column = names_of(contract).get("job_id")
    for wanted, found in both:
        folder, _, name = found.path.rpartition("/")
        named = FILE_NAME.fullmatch(name)
        if not named:
            return [f"{name} is no name of a file"]
        job = named["job"] or named["worker"]
        jobs.setdefault(wanted.batch, set()).add(job)
        right = {**wanted.row, job_column: job}
        wrong = [f"{name}: {value!r}, not {right[name]!r}" for name, value in found.row.items() if right[name] != value]
        right_folder = folder_of(wanted.place, contract, job)
        if folder != right_folder:
            wrong.append(f"in {folder!r}, not {right_folder!r}")
        right_levels = levels_of(wanted.place, contract, job)
        if found.levels not in (None, right_levels):
            wrong.append(f"in the path are {found.levels!r}, not {right_levels!r}")
        if found.line is not None:
            wrong += line_complaints(wanted.record, found.line, seen)
        complaints += [f"{what}, of {wanted.record.line!r}" for what in wrong]
    if job_column and not contract["tracking"].get("key"):
        ids = [found.row[names_of(contract)["id"]] for _, found in both]
        if len(set(ids)) != len(ids):
            complaints.append("two rows have one id, and no two records are alike")
    # A batch is one job, and a job is of one batch.
    if sum(map(len, jobs.values())) != len(set().union(*jobs.values())) or any(len(one) > 1 for one in jobs.values()):
        complaints.append(f"jobs of batches: {jobs}")
    return complaints


def differences(rejected, misfits):
    """Records that only one side refuses."""
    # White space around an element of an array is not kept with it.
    complaints = []
    theirs = {(key, raw.strip(BLANK)): why for key, raw, why, _ in rejected}
    ours = {(record.key, record.line.strip(BLANK)): why for record, why in misfits}
    for place in theirs.keys() & ours.keys():
        if not is_given(ours[place].reason, theirs[place]):
            complaints.append(f"{place[0]}: rejected ({theirs[place]}), and not as {ours[place].reason}: {place[1]!r}")
    kept = {(key, raw): row for key, raw, _, row in rejected}
    for record, _ in misfits:
        row = kept.get((record.key, record.line))
        if record.text is None and row not in (None, record.shown):
            complaints.append(f"{record.key}: kept as {row!r}, not {record.shown!r}")
    for key, raw in theirs.keys() - ours.keys():
        complaints.append(f"{key}: rejected ({theirs[key, raw]}), and fits: {raw!r}")
    for key, raw in ours.keys() - theirs.keys():
        complaints.append(f"{key}: delivered, and does not fit ({ours[key, raw]}): {raw!r}")
    if len(rejected) != len(misfits):
        complaints.append(f"{len(rejected)} records are rejected, and {len(misfits)} do not fit")
    return complaints


def is_given(reason, why):
    return reason is None or why.startswith(f"{reason}:")


def wrong_aside(said, aside):
    """Objects that only one side sets aside."""
    theirs = {}
    for line in said:
        parts = ASIDE.fullmatch(line)
        if not parts:
            return [f"landfall convert: {line}"]
        theirs[parts["key"]] = parts["why"]
    complaints = [f"{key} is set aside: {theirs[key]}" for key in theirs.keys() - aside.keys()]
    complaints += [f"{key} is not set aside: {aside[key]}" for key in aside.keys() - theirs.keys()]
    for key in theirs.keys() & aside.keys():
        if not is_given(aside[key].reason, theirs[key]):
            complaints.append(f"{key} is set aside ({theirs[key]}), and not as {aside[key].reason}")
    return complaints


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landfall", type=Path, required=True, help="the program")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="how many contracts")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed")
    parser.add_argument("--records", type=int, default=150, metavar="N", help="how many records of each")
    args = parser.parse_args()
    # Decimals are compared to their last digit, whatever their exponent.
    setcontext(Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN))
    records, wrong, seen = 0, 0, Counter()
    for seed in range(args.first, args.first + args.seeds):
        contract, complaints, count = check(args.landfall, seed, args.records, seen)
        records += count
        if complaints:
            wrong += 1
            print(f"seed {seed}:\n{document_of(contract)}")
            for complaint in complaints[:10]:
                print(f"  {complaint[:2000]}")
            print(f"  {len(complaints)} complaints")
    print(
        f"{args.seeds} contracts, {records} records: {wrong} contracts under which landfall and Python differ;",
        ", ".join(f"{seen[what]} {what}" for what in MET),
    )
    never = [what for what in MET if args.seeds >= MANY and not seen[what]]
    if never:
        print(f"never met: {', '.join(never)}")
    return 1 if wrong or never else 0


if __name__ == "__main__":
    sys.exit(main())
