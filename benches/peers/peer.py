"""One conversion by one peer, in a process of its own: `peer.py NAME SET FOLDER OUTPUT COMPRESSION`.

Each is set up as its documentation recommends for many small files: the schema given, two threads, DuckDB told how long a
record can be and that order does not matter. `FOLDER` of `-` starts the peer and does nothing, to learn what that costs.
"""

import os
import sys
from pathlib import Path

THREADS = 2


def duckdb(columns, folder, output, compression):
    import duckdb

    import column_types

    con = duckdb.connect(config={"threads": THREADS, "preserve_insertion_order": False})
    if folder == "-":
        return
    con.execute(f"""
        COPY (SELECT * FROM {column_types.duckdb_source(folder, columns)})
        TO '{output}' (FORMAT parquet, COMPRESSION {compression}{", COMPRESSION_LEVEL 3" if compression == "zstd" else ""})
    """)


def clickhouse(columns, folder, output, compression):
    import chdb

    import column_types

    if folder == "-":
        chdb.query("SELECT 1")
        return
    spec = ", ".join(f"`{name}` {column_types.clickhouse(kind)}" for name, kind in columns).replace("'", "\\'")
    source = (
        f"file('{folder}/input/*.parquet', Parquet, '{spec}')"
        if column_types.is_parquet(folder)
        else f"file('{folder}/input/*.jsonl.gz', JSONEachRow, '{spec}', 'gz')"
    )
    chdb.query(f"""
        INSERT INTO FUNCTION file('{output}', Parquet, '{spec}')
        SELECT * FROM {source}
        SETTINGS max_threads = {THREADS}, max_insert_threads = {THREADS}, max_parsing_threads = {THREADS},
            output_format_parquet_compression_method = '{compression}', output_format_compression_level = 3
    """)


def polars(columns, folder, output, compression):
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)
    import polars as pl

    import column_types

    if folder == "-":
        return
    files = sorted(Path(folder, "input").iterdir())
    schema = {name: column_types.polars(kind) for name, kind in columns}
    frame = pl.scan_parquet(files) if column_types.is_parquet(folder) else pl.scan_ndjson(files, schema=schema)
    frame.sink_parquet(output, compression=compression, compression_level=3 if compression == "zstd" else None)


def pyarrow(columns, folder, output, compression):
    from collections import deque
    from concurrent.futures import ThreadPoolExecutor

    import pyarrow as pa
    import pyarrow.json as pj
    import pyarrow.parquet as pq

    import column_types

    pa.set_cpu_count(THREADS)
    if folder == "-":
        return
    schema = pa.schema([(name, column_types.pyarrow(kind)) for name, kind in columns])
    parse = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    # A block must hold the longest record; an object is one block.
    read = pj.ReadOptions(use_threads=False, block_size=16 << 20)

    parquet = column_types.is_parquet(folder)

    def table(path):
        if parquet:
            return pq.read_table(path, use_threads=False)
        return pj.read_json(path, read_options=read, parse_options=parse)

    with (
        ThreadPoolExecutor(THREADS) as pool,
        pq.ParquetWriter(output, schema, compression=compression, compression_level=3 if compression == "zstd" else None,
                         write_page_index=parquet) as writer,
    ):
        waiting, rows, held = deque(), [], 0
        for path in sorted(Path(folder, "input").iterdir()):
            waiting.append(pool.submit(table, path))
            if len(waiting) > 8:
                rows.append(waiting.popleft().result())
                held += rows[-1].nbytes
                if held > 64 << 20:
                    writer.write_table(pa.concat_tables(rows))
                    rows, held = [], 0
        rows.extend(future.result() for future in waiting)
        if rows:
            writer.write_table(pa.concat_tables(rows))


PEERS = {"clickhouse": clickhouse, "duckdb": duckdb, "polars": polars, "pyarrow": pyarrow}

if __name__ == "__main__":
    name, set_name, folder, output, compression = sys.argv[1:]
    from generate import SETS

    PEERS[name](SETS[set_name][0], folder, output, compression)
