"""Column types of the data sets, and how landfall and each peer write them.

A type is a name (`string`, `int64`, `float64`, `bool`), `("list", type)` or `("struct", [(member, type), ...])`.
"""

from pathlib import Path


def struct(*members):
    return ("struct", list(members))


def list_of(item):
    return ("list", item)


def leaves(kind):
    """How many Parquet columns a type takes."""
    if isinstance(kind, str):
        return 1
    if kind[0] == "list":
        return leaves(kind[1])
    return sum(leaves(member) for _, member in kind[1])


def landfall(kind):
    if isinstance(kind, str):
        return kind
    if kind[0] == "list":
        return f"list<{landfall(kind[1])}>"
    return "struct<" + ", ".join(f"{name}: {landfall(member)}" for name, member in kind[1]) + ">"


def duckdb(kind):
    if isinstance(kind, str):
        return {"string": "VARCHAR", "int64": "BIGINT", "float64": "DOUBLE", "bool": "BOOLEAN"}[kind]
    if kind[0] == "list":
        return duckdb(kind[1]) + "[]"
    return "STRUCT(" + ", ".join(f'"{name}" {duckdb(member)}' for name, member in kind[1]) + ")"


def clickhouse(kind):
    """ClickHouse has no list that is null: it reads one as empty, which the comparison of rows then shows."""
    if isinstance(kind, str):
        name = {"string": "String", "int64": "Int64", "float64": "Float64", "bool": "Bool"}[kind]
        return f"Nullable({name})"
    if kind[0] == "list":
        return f"Array({clickhouse(kind[1])})"
    return "Tuple(" + ", ".join(f"`{name}` {clickhouse(member)}" for name, member in kind[1]) + ")"


def polars(kind):
    import polars as pl

    if isinstance(kind, str):
        return {"string": pl.String, "int64": pl.Int64, "float64": pl.Float64, "bool": pl.Boolean}[kind]
    if kind[0] == "list":
        return pl.List(polars(kind[1]))
    return pl.Struct({name: polars(member) for name, member in kind[1]})


def pyarrow(kind):
    import pyarrow as pa

    if isinstance(kind, str):
        return {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_()}[kind]
    if kind[0] == "list":
        return pa.list_(pyarrow(kind[1]))
    return pa.struct([(name, pyarrow(member)) for name, member in kind[1]])


def is_parquet(folder):
    """Whether the objects of the set are Parquet: they are all of one kind."""
    return next(Path(folder, "input").iterdir()).suffix == ".parquet"


def duckdb_source(folder, columns):
    """The objects of a set as DuckDB reads them best, whole records in no order."""
    if is_parquet(folder):
        return f"read_parquet('{folder}/input/*.parquet')"
    spec = ", ".join(f"'{name}': '{duckdb(kind)}'" for name, kind in columns)
    return f"""read_json('{folder}/input/*.jsonl.gz', columns={{{spec}}}, format='newline_delimited',
                      compression='gzip', maximum_object_size=1048576)"""
