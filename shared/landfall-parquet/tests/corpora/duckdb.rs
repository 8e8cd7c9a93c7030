//! The odd JSON files that DuckDB is tested with, each with its verdict.

use std::collections::BTreeMap;

use landfall_core::contract::UnknownFields;
use landfall_parquet::InputVerdict;

use crate::files;
use crate::kit::{column, contract, merge, spec};
use crate::parquet::verdict;

/// What becomes of each file under a contract that reads none of its members: how many records are sound, and how those that are
/// not, or the whole object, are refused.
const VERDICTS: [(&str, &str); 72] = [
    ("10751.json", "3 rows"),
    // Lines 2 and 3 hold a key twice or are no JSON.
    ("11152.json", "2 rows, 2 rejected: duplicate_key invalid_json"),
    ("11407.json", "2 rows"),
    ("12188.ndjson", "2 rows"),
    ("13725/month=07/mytest.json", "1 rows"),
    ("14167.json", "1 rows"),
    ("15601/bunch_of_key_collisions.json", "1 rows"),
    ("15601/fragment1.json", "2 rows"),
    ("15601/fragment2.json", "3 rows"),
    // Objects written over several lines are not lines of JSON.
    (
        "18301/1448397.json",
        "0 rows, 19 rejected: invalid_json not_an_object invalid_json not_an_object invalid_json",
    ),
    ("18301/1485504.json", "0 rows, 19 rejected: invalid_json"),
    ("18301/156456.json", "0 rows, 19 rejected: invalid_json"),
    ("18301/161616.json", "0 rows, 19 rejected: invalid_json"),
    (
        "18301/1675504.json",
        "0 rows, 26 rejected: invalid_json not_an_object invalid_json not_an_object invalid_json",
    ),
    // Lines that are values, but no objects.
    ("arr.json", "0 rows, 2 rejected: not_an_object"),
    ("array_of_empty_arrays.json", "0 rows, 3 rejected: not_an_object"),
    ("different_schemas.ndjson", "5 rows"),
    ("duplicate_column_names.json", "1 rows"),
    ("duplicate_key.ndjson", "4 rows, 1 rejected: duplicate_key"),
    // Nothing, an empty array, white space.
    ("empty.ndjson", "empty"),
    ("empty_array.json", "empty"),
    ("empty_no_newline.json", "empty"),
    ("example_n.ndjson", "5 rows"),
    // CR alone ends no line.
    ("example_r.ndjson", "0 rows, 1 rejected: invalid_json"),
    ("example_rn.ndjson", "5 rows"),
    ("example_rn.ndjson.gz", "5 rows"),
    ("filter_keystage.ndjson", "3 rows"),
    ("format_string_key.json", "0 rows, 1 rejected: duplicate_key"),
    ("fuzzer_hang.json", "0 rows, 1 rejected: invalid_json"),
    ("geojson/near_miss.ndjson", "2 rows"),
    ("geojson/nested.ndjson", "2 rows"),
    ("inconsistent_schemas.ndjson", "5 rows"),
    ("internal_3197.json", "3 rows, 2 rejected: duplicate_key"),
    ("internal_3813.json", "0 rows, 52 rejected: invalid_json"),
    ("internal_4014.json", "0 rows, 15 rejected: invalid_json"),
    (
        "issue.json",
        "0 rows, 75 rejected: invalid_json not_an_object invalid_json not_an_object invalid_json not_an_object invalid_json not_an_object invalid_json",
    ),
    ("issue14259.json", "0 rows, 30 rejected: invalid_json"),
    ("issue_22827.json", "1 rows"),
    // Arrays that are broken, or that something follows.
    ("malformed/array_comma_malformed.json", "invalid_json"),
    ("malformed/empty_array_malformed.json", "invalid_json"),
    ("malformed/empty_array_trailing.json", "invalid_json"),
    ("malformed/union/bad_key.ndjson", "1 rows"),
    ("malformed/union/empty_object.ndjson", "1 rows"),
    ("malformed/union/non_object.ndjson", "1 rows"),
    ("malformed/union/too_many_keys.ndjson", "1 rows"),
    ("map_50_50.jsonl", "0 rows, 14 rejected: invalid_json"),
    ("map_incompatible.jsonl", "0 rows, 14 rejected: invalid_json"),
    ("map_of_dates.jsonl", "0 rows, 29 rejected: invalid_json"),
    ("map_of_map.jsonl", "0 rows, 52 rejected: invalid_json"),
    ("map_of_mixed_date_timestamps.jsonl", "0 rows, 29 rejected: invalid_json"),
    ("map_of_nulls.jsonl", "100 rows"),
    ("map_of_struct_with_nulls.jsonl", "0 rows, 34 rejected: invalid_json"),
    ("map_of_structs.jsonl", "100 rows"),
    // Several objects on one line.
    ("multi_file_hang/my.json", "0 rows, 1 rejected: invalid_json"),
    ("multi_file_hang/my2.json", "0 rows, 1 rejected: invalid_json"),
    ("multi_file_hang/my3.json", "invalid_json"),
    ("multi_file_hang/my4.json", "1 rows, 2 rejected: not_an_object"),
    ("multiple_objects_per_line.ndjson", "0 rows, 1 rejected: invalid_json"),
    ("projection_pushdown_example.json", "1 rows"),
    // A byte order mark, and one object over several lines.
    ("sample_utf8_bom.json", "0 rows, 24 rejected: invalid_json"),
    ("simple_map.jsonl", "100 rows"),
    ("simple_timestamp.json", "0 rows, 3 rejected: invalid_json"),
    ("timestamp_example.json", "1 rows"),
    // An array of records.
    ("top_level_array.json", "2 rows"),
    ("top_level_map.jsonl", "100 rows"),
    ("top_level_two_arrays.json", "invalid_json"),
    ("trailing_content.ndjson", "2 rows, 1 rejected: invalid_json"),
    ("union.ndjson", "3 rows"),
    ("unterminated_quotes.ndjson", "4 rows, 1 rejected: invalid_json"),
    ("whitespace_only.json", "empty"),
    ("with_list.json", "5 rows"),
    ("with_uuid.json", "5 rows"),
];

#[test]
fn odd_files_get_their_verdicts() {
    let expected: BTreeMap<&str, &str> = VERDICTS.into();
    let files: Vec<_> = files("duckdb-json").into_iter().filter(|(name, _)| name != "LICENSE").collect();
    assert_eq!(files.len(), VERDICTS.len());
    for (name, bytes) in &files {
        let mut contract = contract(vec![column("no such member", "string")]);
        contract.unknown_fields = UnknownFields::Ignore;
        let run = merge(&spec(contract), &[b"{}\n", bytes, b"{}\n"]);
        let neighbour = InputVerdict::Merged { rows: 1, rejected: 0 };
        assert_eq!((&run.verdicts[0], &run.verdicts[2]), (&neighbour, &neighbour), "{name}");
        assert_eq!(verdict(&run, 1), expected[name.as_str()], "{name}");
    }
}
