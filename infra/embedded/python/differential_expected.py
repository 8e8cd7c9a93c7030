"""What must come of the objects of the differential test: rows, records that are none, and objects that are set aside."""

from collections import Counter
from datetime import datetime
from typing import NamedTuple

from differential_constraints import Broken
from differential_json import Misfit
from differential_partitions import KeyTooLong, TooLong, is_null
from differential_rules import shown
from differential_staging import Staged
from differential_tracking import given, names_of
from differential_unique import NotUnique, Taken, admit, key_of

# When the batches are planned: a time with all its digits.
PLANNED = "2026-05-19T10:15:00.123456Z"


class Expected(NamedTuple):
    """A row that must be delivered: of which record, at which place of which batch, in the partition of which values."""

    record: Staged
    row: dict
    batch: tuple
    at: int
    place: tuple


class Outcome(NamedTuple):
    """Rows by their id, records that are none with why, and by their keys objects that are set aside with why."""

    rows: dict
    misfits: list
    aside: dict


def expect(objects, contract, seen):
    """A batch is all objects with the same known levels."""
    outcome, indexes, taken = Outcome({}, [], {}), Counter(), Taken()
    index = names_of(contract).get("index")
    planned = shown(datetime.fromisoformat(PLANNED), ("timestamp", []))
    for staged in sorted(objects, key=lambda staged: staged.key.encode()):
        rows = []
        for record in staged.records:
            try:
                rows.append((record, admit(record.read, contract, staged.known, taken)))
            except Misfit as why:
                seen["records refused by a rule"] += isinstance(why, Broken)
                seen["rows too long for their partition"] += isinstance(why, TooLong)
                seen["rows too long for their key"] += isinstance(why, KeyTooLong)
                seen["records that are not unique"] += isinstance(why, NotUnique)
                seen["rows of Parquet refused"] += record.text is None
                if contract["on_violation"] == "strict":
                    outcome.aside[staged.key] = why
                    break
                outcome.misfits.append((record, why))
        if staged.key in outcome.aside:
            taken.give_back(staged.known)
            continue
        if contract["on_violation"] == "strict" and rows:
            seen["objects that are sound"] += 1
        taken.keep(staged.known)
        for record, place in rows:
            row = record.read
            seen["unique keys given back"] += taken.was_given_back(staged.known, key_of(row, contract))
            indexes[staged.known] += 1
            row.update(given(row, record.text, contract, planned))
            if index:
                row[index] = indexes[staged.known]
                seen["rows marked deleted"] += row[names_of(contract)["deleted"]]
            seen["rows in a partition of null"] += any(is_null(value) for value in place)
            seen["rows of Parquet"] += record.text is None
            outcome.rows[row["id"]] = Expected(record, row, staged.known, indexes[staged.known], place)
    seen["objects set aside"] += len(outcome.aside)
    return outcome
