"""Whether files hold the same rows: `rows.py SET FOLDER FILE...` prints a line of JSON, the fingerprint of each file.

Rows are compared whole and as multisets: the sum and the count of the hashes of `to_json(row)`, as DuckDB reads the file.
A sum of hashes per column would call wrong rows equal (NULL = [] = {null}). The first fingerprint is that of the source:
DuckDB's own reading of the objects, of JSON under the set's schema.
"""

import json
import sys

import duckdb

import column_types
from generate import SETS


def fingerprint(con, columns, source):
    names = ", ".join(f'"{name}" := "{name}"' for name, _ in columns)
    query = f"""
        SELECT count(*), sum(h::HUGEINT), sum((hash(h) // 16)::HUGEINT)
        FROM (SELECT hash(to_json(struct_pack({names}))::VARCHAR) AS h FROM {source})
    """
    return [str(value) for value in con.execute(query).fetchone()]


def main():
    name, folder, *files = sys.argv[1:]
    columns, _ = SETS[name]
    con = duckdb.connect(config={"threads": 2, "preserve_insertion_order": False})
    found = [fingerprint(con, columns, column_types.duckdb_source(folder, columns))]
    found += [fingerprint(con, columns, f"read_parquet('{file}')") for file in files]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
