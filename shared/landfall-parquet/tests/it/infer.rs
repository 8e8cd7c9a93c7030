//! Contracts proposed from data: every record that was seen fits, and the order of the files is of no consequence.

use std::collections::BTreeMap;

use landfall_core::contract::Column;
use landfall_parquet::Inference;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::kit::{contract, gzip, merge_text};

fn infer(files: &[String]) -> Inference {
    let files: Vec<&[u8]> = files.iter().map(String::as_bytes).collect();
    crate::kit::infer(&files)
}

/// Name, member and type of each column.
fn columns(lines: &[&str]) -> Vec<(String, Option<String>, String)> {
    let columns = infer(&[lines.join("\n")]).columns(false);
    columns.into_iter().map(|column| (column.name, column.from, column.data_type.to_string())).collect()
}

/// The type proposed for a column with these values.
fn type_of(values: &[&str]) -> String {
    let lines: Vec<String> = values.iter().map(|value| format!("{{\"a\":{value}}}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    columns(&lines)[0].2.clone()
}

#[test]
fn the_narrowest_type_that_holds_all_values_is_proposed() {
    for (values, wanted) in [
        (&["1", "-9223372036854775808", "null"][..], "int64"),
        (&["1", "18446744073709551615"], "uint64"),
        (&["-1", "18446744073709551615"], "decimal(20,0)"),
        (&["1", "2.5"], "float64"),
        (&["9007199254740993", "0.5"], "decimal(17,1)"),
        (&["9007199254740993", "1e-30"], "json"),
        (&["0.1", "1e5"], "float64"),
        (&["true", "false"], "bool"),
        (&["true", "1"], "json"),
        (&["\"x\"", "1"], "json"),
        (&["\"x\"", "\"2026-05-19\""], "string"),
        (&["\"2026-05-19\"", "\"2024-02-29\""], "date"),
        (&["\"2026-05-19\"", "\"2025-02-29\""], "string"),
        (&["\"2026-05-19T10:00:00Z\"", "\"2026-05-19T10:00:00.123456+02:00\""], "timestamp(us, UTC)"),
        (&["\"2026-05-19T10:00:00\""], "string"),
        (&["null"], "json"),
        (&["[]"], "list<json>"),
        (&["[]", "[1,null]", "null"], "list<int64>"),
        (&["{}"], "json"),
        (&["{\"x\":1}", "{\"y z\":[\"t\"]}"], "struct<x: int64, \"y z\": list<string>>"),
        (&["{\"x\":1,\"X\":2}"], "json"),
        (&["{\"x\":1}", "[1]"], "json"),
    ] {
        assert_eq!(type_of(values), wanted, "{values:?}");
    }
}

#[test]
fn objects_whose_keys_are_data_become_maps() {
    let objects: Vec<String> = (0..400).map(|n| format!("{{\"user-{n}\":{n}}}")).collect();
    let values: Vec<&str> = objects.iter().map(String::as_str).collect();
    assert_eq!(type_of(&values), "map<string, int64>");
    let many: Vec<String> = (0..5_000).map(|n| format!("{{\"user-{n}\":{{\"n\":{n}}}}}")).collect();
    let values: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(type_of(&values), "map<string, struct<n: int64>>");
}

#[test]
fn columns_get_names_that_every_reader_takes() {
    let lines = [r#"{"id":1,"Größe (cm)":2.5,"ID":3,"1st":true}"#];
    let wanted = [
        ("id", None, "int64"),
        ("Gro_e_cm_", Some("Größe (cm)"), "float64"),
        ("ID_1", Some("ID"), "int64"),
        ("_1st", Some("1st"), "bool"),
    ];
    let wanted: Vec<(String, Option<String>, String)> = wanted
        .iter()
        .map(|(name, from, kind)| (name.to_string(), from.map(str::to_owned), kind.to_string()))
        .collect();
    assert_eq!(columns(&lines), wanted);
}

#[test]
fn what_every_record_has_may_be_required() {
    let file = "{\"a\":1,\"b\":2,\"c\":3}\n{\"a\":1,\"b\":null}\n".to_owned();
    let nullable = |required| -> Vec<bool> {
        infer(std::slice::from_ref(&file)).columns(required).iter().map(|column| column.nullable).collect()
    };
    assert_eq!(nullable(true), [false, true, true]);
    assert_eq!(nullable(false), [true, true, true]);
}

#[test]
fn what_is_no_record_is_left_out_and_counted() {
    let mut inference = infer(&["{\"a\":1}\n{\"a\":\nnull\n\n{\"a\":2}".to_owned()]);
    let (lines, first) = inference.take_refused();
    assert_eq!((lines, inference.records()), (2, 2));
    let first = first.expect("the first of them");
    assert_eq!((first.position.line, first.position.byte_offset), (2, 8));
    let whole = gzip(b"{\"a\":1}\n");
    inference.begin_input();
    inference.push(&whole[..whole.len() - 4]);
    inference.end_input();
    assert!(inference.take_refused().1.expect("it is cut off").detail.contains("gzip"));
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_record() {
    let inference = infer(&["\u{feff}{\"a\":1}\n{\"b\":2}\n".to_owned()]);
    assert_eq!((inference.records(), inference.columns(false).len()), (2, 2));
}

/// The details of what is in doubt, of records that are each a line.
fn doubts(lines: &[String]) -> Vec<String> {
    infer(&[lines.join("\n")]).doubts().iter().map(ToString::to_string).collect()
}

#[test]
fn members_that_no_column_can_hold_are_told_and_all_others_proposed() {
    let long = format!("{{\"a\":1,\"{}\":1}}", "x".repeat(256));
    assert_eq!(columns(&[&long]).len(), 1);
    assert_eq!(
        doubts(&[long]),
        ["members with a name of more than 255 bytes (met 1 times): they are in no column"]
    );
    let many: Vec<String> = (0..2_003).map(|n| format!("{{\"k{n}\":1}}")).collect();
    assert_eq!(infer(&[many.join("\n")]).columns(false).len(), 2_000);
    assert_eq!(doubts(&many), ["members beyond the first 2000 (met 3 times): they are in no column"]);
    let unnamed = "{\"a\":1,\"\":1}".to_owned();
    assert_eq!(doubts(&[unnamed]), ["\"\": a member without a name can be in no column"]);
    let twice = vec!["{\"a\":1,\"a\":2}".to_owned(), "{\"a\":{\"b\":1,\"b\":1}}".to_owned()];
    assert_eq!(doubts(&twice).len(), 1);
    assert!(doubts(&twice)[0].starts_with("2 records have a key twice"), "{:?}", doubts(&twice));
    assert_eq!(doubts(&["{\"a\":1}".to_owned()]), [""; 0]);
}

#[test]
fn places_that_run_out_take_no_column_away() {
    let keys = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("\"m{n}\":1")).collect();
        format!("{{{}}}", members.join(","))
    };
    let inner: Vec<String> = (0..52).map(|n| format!("\"k{n}\":{}", keys(1_900))).collect();
    let mut lines = vec![
        format!("{{\"a\":{{{}}}}}", inner.join(",")),
        format!("{{\"b\":{}}}", keys(1_900)),
        "{\"c\":1}".to_owned(),
    ];
    for _ in 0..2 {
        let names: std::collections::BTreeSet<String> =
            infer(&[lines.join("\n")]).columns(false).into_iter().map(|column| column.name).collect();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(doubts(&lines), [""; 0]);
        lines.reverse();
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no other", |n| n.is_finite()).prop_map(|n| json!(n)),
        ".{0,6}".prop_map(Value::from),
        Just(json!("2026-05-19T10:00:00Z")),
        Just(json!("2026-05-19")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-dA-B é]{0,2}", inner), 0..4)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<String, Value>>())),
        ]
    })
}

fn records() -> impl Strategy<Value = Vec<Map<String, Value>>> {
    let record = prop::collection::vec(("[a-c]{1,2}", value()), 1..5);
    prop::collection::vec(record.prop_map(|members| members.into_iter().collect()), 1..12)
}

fn file(records: &[Map<String, Value>]) -> String {
    let lines: Vec<String> = records.iter().map(|record| Value::from(record.clone()).to_string()).collect();
    lines.join("\n")
}

/// Types by member: the order of columns alone depends on the order of records.
fn types(columns: Vec<Column>) -> BTreeMap<String, (String, bool)> {
    let sorted = |text: String| {
        let mut parts: Vec<&str> = text.split([',', '<', '>']).map(str::trim).collect();
        parts.sort_unstable();
        parts.join(" ")
    };
    columns
        .into_iter()
        .map(|column| {
            let member = column.source_name().to_owned();
            (member, (sorted(column.data_type.to_string()), column.nullable))
        })
        .collect()
}

proptest! {
    #[test]
    fn every_record_that_was_seen_fits_the_contract(records in records(), required: bool) {
        let text = file(&records);
        let columns = infer(std::slice::from_ref(&text)).columns(required);
        prop_assume!(!columns.is_empty());
        let merged = merge_text(contract(columns.clone()), &text);
        prop_assert_eq!(merged.rejected.len(), 0, "{:?} by {:?}", merged.rejected, columns);
        prop_assert_eq!(merged.rows().len(), records.len());
    }

    #[test]
    fn the_order_of_records_and_files_is_of_no_consequence(records in records(), cut in 0..12_usize) {
        let (left, right) = records.split_at(cut.min(records.len()));
        let forth = infer(&[file(left), file(right)]).columns(true);
        let mut reversed = records.clone();
        reversed.reverse();
        let back = infer(&[file(&reversed)]).columns(true);
        prop_assert_eq!(types(forth), types(back));
    }
}
