"""Ask DuckDB about the delivered lake, and Python about the staged files; exit 1 when they disagree.

Staged files are read with Python's json and Decimal; rows that the report names as rejected, and objects it names as
set aside, are left out. The lake is read as its client reads it: Hive partitions below the table's location.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

import duckdb

from staged_files import delivered_records

# Per delivery: the query, and the same row by row. Groups must come in the order of their keys.
QUERIES = {
    "acme-flights": (
        "SELECT carrier, count(*) AS flights, sum(distance) AS miles, count(*) FILTER (dep_delay > 60) AS late,"
        " count(DISTINCT dep_month) AS months FROM {lake} GROUP BY carrier ORDER BY carrier",
        lambda row: (
            row["carrier"],
            (1, row["distance"], (row["dep_delay"] or 0) > 60, {row["time_hour"][5:7]}),
        ),
    ),
    "globex-weather": (
        "SELECT station, obs_month, count(*) AS hours, sum(temp) AS temp, sum(wind_speed) AS wind,"
        " count(precip) AS precip FROM {lake} GROUP BY station, obs_month ORDER BY station, obs_month",
        lambda row: (
            (row["origin"], row["time_hour"][5:7]),
            (1, row["temp"] or 0, row["wind_speed"] or 0, row["precip"] is not None),
        ),
    ),
    "acme-product-catalogue": (
        "SELECT dt::VARCHAR AS dt, shop, count(*) AS products, sum(price) AS price, sum(len(offers)) AS offers"
        " FROM {lake} GROUP BY ALL ORDER BY ALL",
        lambda row: (
            (row["scraped_at"][:10], row["shop"]),
            (1, row["price"], len(row["offers"])),
        ),
    ),
}
SHOWN = 8


def expected(rows, read):
    groups = defaultdict(list)
    for row in rows:
        key, values = read(row)
        if key in groups:
            have = groups[key]
            groups[key] = [a | b if isinstance(a, set) else a + b for a, b in zip(have, values)]
        else:
            groups[key] = list(values)
    return [
        (*(key if isinstance(key, tuple) else (key,)), *(len(v) if isinstance(v, set) else v + 0 for v in values))
        for key, values in sorted(groups.items())
    ]


def show(names, rows):
    texts = [names, *([str(value) for value in row] for row in rows[:SHOWN])]
    widths = [max(len(row[column]) for row in texts) for column in range(len(names))]
    for row in texts:
        print("    " + "  ".join(text.rjust(width) for text, width in zip(row, widths)))
    if len(rows) > SHOWN:
        print(f"    ... {len(rows)} rows in all")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    report = json.loads(args.report.read_text(encoding="utf-8"))
    deliveries = {delivery["id"]: delivery for delivery in report["deliveries"]}
    lake, wrong = duckdb.connect(), []
    lake.execute("SET TimeZone = 'UTC'")
    # Partition values are text in the catalog: `01` is not 1.
    options = "hive_partitioning = true, hive_types_autocast = false"
    for name, (query, read) in QUERIES.items():
        delivery = deliveries[name]
        location = args.output / delivery["bucket"] / delivery["prefix"]
        cursor = lake.execute(query.format(lake=f"read_parquet('{location}/**/*.parquet', {options})"))
        names, found = [column[0] for column in cursor.description], cursor.fetchall()
        wanted = expected(delivered_records(report, delivery, args.input), read)
        print(f"\n  {query.format(lake='s3://' + delivery['bucket'] + '/' + delivery['prefix'])}")
        show(names, found)
        if [tuple(row) for row in found] == wanted:
            print(f"  equal to the staged files as Python reads them: {len(found)} groups")
        else:
            differing = Counter(found) - Counter(wanted) + (Counter(wanted) - Counter(found))
            wrong.append(name)
            print(f"  NOT EQUAL to the staged files as Python reads them: {list(differing)[:3]}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
