"""The delivery document of a drawn contract."""

import json

from differential_constraints import RULES

DOCUMENT = """
version = 1
order = "{order}"
id = "differential"
tenant = "acme"
dataset = "differential"
[source]
prefix = "acme/differential/"
[destination]
role_arn = "arn:aws:iam::222222222222:role/landfall-delivery"
external_id = "an-external-id"
region = "eu-central-1"
bucket = "acme-lake"
prefix = "lake/differential/"
[contract]
version = 1
on_violation = "{on_violation}"
unknown_fields = "{unknown_fields}"
duplicate_keys = "{duplicate_keys}"
"""
LAYOUT = (
    "format", "compression", "file_name", "target_bytes", "row_group_bytes", "bloom_filters", "sort_by",
    "partition_columns",
)  # fmt: skip


def document_of(contract):
    text = DOCUMENT.format(**contract)
    if "unique_key" in contract:
        text += f"unique_key = {in_toml(contract['unique_key'])}\n"
    if "tracking" in contract:
        text += table("[contract.tracking]", contract["tracking"])
    for column in contract["columns"]:
        text += table("[[contract.column]]", column, ("name", "from", "type", "format", "nullable", *RULES))
    text += table("[layout]", contract, LAYOUT)
    for level in contract.get("levels", []):
        # A level that reads the segment of its own name need not say so.
        is_said = level["source"] != "key" or level.get("name") != level["field"]
        keys = ("name", "source", *(["field"] if is_said else []), "transform")
        text += table("[[layout.partition]]", level, keys)
    return text


def table(header, values, keys=None):
    keys = values if keys is None else keys
    return "".join(
        [f"{header}\n", *(f"{key} = {in_toml(values[key])}\n" for key in keys if values.get(key) is not None)]
    )


def in_toml(value):
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(in_toml(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
