//! Parquet objects under contracts with columns that landfall fills.

use std::sync::Arc;

use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BinaryArray, BooleanArray, Int64Array, ListArray, StringArray};
use landfall_core::contract::{Contract, UnknownFields, ViolationPolicy};
use serde_json::{Value, json};

use crate::given::{rescuing, sha256, tracked};
use crate::kit::{merge, spec};
use crate::parquet::file;

fn ids(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// A file whose `size` is too large once, whose `tag` is no text, and which has a column of its own.
fn drifted() -> Vec<u8> {
    let tags = [Some(vec![Some(1), None]), None, Some(vec![])];
    file(vec![
        ("id", ids(&[1, 2, 3])),
        ("size", Arc::new(Int64Array::from(vec![Some(7), Some(300), None]))),
        ("tag", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(tags))),
        ("new", Arc::new(BinaryArray::from_opt_vec(vec![None, Some(b"\xff\x00"), None]))),
    ])
}

#[test]
fn what_no_column_takes_is_rescued_as_text() {
    let run = merge(&spec(rescuing()), &[&drifted()]);
    assert_eq!(run.codes(), [""; 0]);
    let kept: Vec<Value> = run.rows().iter().map(|row| row["_rescued"].clone()).collect();
    assert_eq!(
        kept,
        [json!(r#"{"tag":[1,null]}"#), json!(r#"{"size":300,"new":"/wA="}"#), json!(r#"{"tag":[]}"#)]
    );
    let rows = run.rows();
    assert_eq!(rows[0]["size"], json!(7));
    assert!(rows.iter().all(|row| row["tag"].is_null()) && rows[1]["size"].is_null());
}

#[test]
fn columns_that_are_to_be_ignored_are_not_rescued() {
    let contract = Contract { unknown_fields: UnknownFields::Ignore, ..rescuing() };
    let run = merge(&spec(contract), &[&drifted()]);
    assert_eq!(run.rows()[1]["_rescued"], json!(r#"{"size":300}"#));
}

#[test]
fn a_row_without_what_must_be_there_is_set_aside_all_the_same() {
    let nulls: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(2)]));
    let run = merge(&spec(rescuing()), &[&file(vec![("id", nulls), ("new", ids(&[1, 2]))])]);
    assert_eq!(run.codes(), ["missing_value"]);
    assert_eq!(run.rows().len(), 1);
    // And an object without the column as a whole.
    let run = merge(&spec(rescuing()), &[&file(vec![("new", ids(&[1]))])]);
    assert!(format!("{:?}", run.verdicts).contains("MissingValue"), "{:?}", run.verdicts);
}

fn people() -> Vec<u8> {
    file(vec![
        ("id", ids(&[7, 8])),
        ("name", Arc::new(StringArray::from(vec!["a\"b", "c"]))),
        ("gone", Arc::new(BooleanArray::from(vec![Some(true), None]))),
    ])
}

#[test]
fn rows_of_parquet_and_of_json_are_numbered_through_and_told_by_the_same_key() {
    let line = br#"{"id":9,"name":"d","gone":null}"#;
    let run = merge(&spec(tracked(&["id", "name"])), &[line, &people(), line]);
    let seen: Vec<_> = run
        .rows()
        .iter()
        .map(|row| (row["_x_index"].clone(), row["_x_deleted"].clone(), row["_x_id"].clone()))
        .collect();
    let row = |index: u64, deleted: bool, key: &str| (json!(index), json!(deleted), json!(sha256(key)));
    assert_eq!(
        seen,
        [
            row(1, false, r#"["9","d"]"#),
            row(2, true, r#"["7","a\"b"]"#),
            row(3, false, r#"["8","c"]"#),
            row(4, false, r#"["9","d"]"#),
        ]
    );
}

#[test]
fn without_a_key_a_row_is_told_by_its_text_whatever_the_contract_reads_of_it() {
    let contract = Contract {
        unknown_fields: UnknownFields::Ignore,
        on_violation: ViolationPolicy::QuarantineRow,
        ..tracked(&[])
    };
    let object =
        file(vec![("id", ids(&[7])), ("other", ids(&[1])), ("name", Arc::new(StringArray::from(vec!["a"])))]);
    let run = merge(&spec(contract), &[&object]);
    assert_eq!(run.rows()[0]["_x_id"], json!(sha256(r#"{"id":7,"other":1,"name":"a"}"#)));
}
