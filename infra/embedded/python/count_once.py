"""Count how often each staged record was delivered, over whole records, and print one JSON object.

For every --delivery the folder that was staged and the folder that was delivered. A line that is no record of this form
(`id`, `text`, `day`) is left out: those are for the contract to refuse. Shares no code with the engine.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from staged_files import opened


def staged_records(folder):
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with opened(path) as lines:
                for line in lines:
                    record = json.loads(line)
                    if isinstance(record.get("id"), int):
                        yield record["id"], record["text"], record["day"]


def delivered_records(folder):
    for path in sorted(folder.rglob("*.parquet")):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["id", "text", "day"]):
                for row in batch.to_pylist():
                    yield row["id"], row["text"], row["day"].isoformat()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delivery", type=Path, nargs=2, action="append", required=True, metavar=("STAGED", "LAKE"))
    args = parser.parse_args()
    total = Counter()
    for staged_folder, lake in args.delivery:
        staged, delivered = Counter(staged_records(staged_folder)), Counter(delivered_records(lake))
        foreign = {record: times for record, times in delivered.items() if record not in staged}
        total["staged"] += staged.total()
        total["delivered"] += delivered.total()
        total["lost"] += (staged - delivered).total()
        total["foreign"] += sum(foreign.values())
        total["duplicated"] += (delivered - staged).total() - sum(foreign.values())
    names = ("staged", "delivered", "lost", "duplicated", "foreign")
    print(json.dumps({name: total[name] for name in names}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
