//! Records with a unique key that another record of the batch has.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, StringArray, types::Int32Type};
use landfall_core::contract::{Column, Contract, ViolationPolicy};
use landfall_core::layout::{Compression, FileFormat, PartitionTransform};
use landfall_parquet::{Flow, InputInfo, InputVerdict, Merge, limits};
use serde_json::{Value, json};

use crate::kit::{column, contract, gzip, level, merge, spec};
use crate::parquet::file;

fn keyed(columns: &[(&str, &str)], key: &[&str]) -> Contract {
    let nullable = |name: &str| !key.contains(&name);
    let columns = columns
        .iter()
        .map(|(name, data_type)| Column { nullable: nullable(name), ..column(name, data_type) })
        .collect();
    Contract { unique_key: key.iter().map(|name| (*name).to_owned()).collect(), ..contract(columns) }
}

fn numbered() -> Contract {
    keyed(&[("k", "int64"), ("v", "string")], &["k"])
}

fn keys(rows: &[Value]) -> Vec<i64> {
    rows.iter().filter_map(|row| row["k"].as_i64()).collect()
}

#[test]
fn the_first_record_of_a_key_is_delivered_and_the_others_set_aside() {
    let inputs = ["{\"k\":1}\n{\"k\":2}\n{\"k\":1,\"v\":\"x\"}\n", "{\"k\":3}\n{\"k\":2}\n{\"k\":4}\n"];
    let run = merge(&spec(numbered()), &inputs.map(str::as_bytes));
    assert_eq!(keys(&run.rows()), [1, 2, 3, 4]);
    assert_eq!(run.codes(), ["not_unique", "not_unique"]);
    let places: Vec<_> =
        run.rejected.iter().map(|row| (row.input, row.line, row.column.as_deref())).collect();
    assert_eq!(places, [(0, 3, Some("k")), (1, 2, Some("k"))]);
}

#[test]
fn keys_of_several_columns_are_compared_column_by_column() {
    let contract = keyed(&[("a", "string"), ("b", "decimal(4,2)")], &["a", "b"]);
    let text = "{\"a\":\"x\",\"b\":1}\n{\"a\":\"x\",\"b\":1.1}\n{\"a\":\"x\\\",\\\"1\",\"b\":1}\n{\"b\":1.00,\"a\":\"\\u0078\"}\n";
    let run = merge(&spec(contract), &[text.as_bytes()]);
    assert_eq!((run.codes(), run.rejected[0].line), (vec!["not_unique"], 4));
}

#[test]
fn what_is_not_delivered_takes_no_key() {
    let mut cut = gzip(b"{\"k\":1}\n{\"k\":2}\n");
    cut.truncate(cut.len() - 4);
    let faulty = b"{\"k\":3,\"v\":7}\n{\"k\":3}\n";
    let run = merge(&spec(numbered()), &[&cut, b"{\"k\":1}\n", faulty, b"{\"k\":2}\n{\"k\":1}\n"]);
    assert_eq!(keys(&run.rows()), [1, 3, 2]);
    assert_eq!(run.codes(), ["wrong_type", "not_unique"]);

    let mut routed = spec(keyed(&[("k", "int64"), ("v", "string")], &["k"]));
    routed.config.layout.partitions = vec![level("p", "v", PartitionTransform::Identity)];
    routed.partition = vec![None];
    let text = format!("{{\"k\":1,\"v\":\"{}\"}}\n{{\"k\":1,\"v\":\"a\"}}\n", "x".repeat(300));
    let run = merge(&routed, &[text.as_bytes()]);
    assert_eq!((run.codes(), keys(&run.rows())), (vec!["partition_too_long"], vec![1]));
}

#[test]
fn policies_set_aside_the_record_or_the_object() {
    let inputs: [&[u8]; 3] = [b"{\"k\":1}\n", b"{\"k\":2}\n{\"k\":1}\n", b"{\"k\":2}\n"];
    for policy in [ViolationPolicy::Rescue, ViolationPolicy::Evolve, ViolationPolicy::QuarantineRow] {
        let run = merge(&spec(Contract { on_violation: policy, ..numbered() }), &inputs);
        assert_eq!(run.codes(), ["not_unique", "not_unique"], "{policy:?}");
    }
    let run = merge(&spec(Contract { on_violation: ViolationPolicy::Strict, ..numbered() }), &inputs);
    assert_eq!(keys(&run.rows()), [1, 2]);
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[1] else { panic!("{:?}", run.verdicts) };
    assert_eq!(quarantine.reason.as_str(), "not_unique");
}

#[test]
fn lines_have_unique_keys_too() {
    let mut spec = spec(numbered());
    spec.config.layout.format = FileFormat::Jsonl;
    spec.config.layout.compression = Compression::Gzip;
    spec.config.layout.file_name = "{hash}".parse().unwrap();
    let run = merge(&spec, &[b"{\"k\":1}\n{\"k\":1.0}\n{\"k\":1}\n{\"k\":2}\n"]);
    assert_eq!(run.files[0].text(), "{\"k\":1}\n{\"k\":2}\n");
    assert_eq!(run.codes(), ["wrong_type", "not_unique"]);
}

#[test]
fn a_parquet_object_that_is_read_twice_has_its_keys_once() {
    // So heavy that the first rows do not wait for the last: they are read again when all are known to be sound.
    let text = "x".repeat(64 * 1024);
    let rows = i64::try_from(limits::ISOLATED_WEIGHT).unwrap() / 65_536 + 100;
    let repeated = |at: i64| if at == rows - 1 || at == 5 { 2 } else { at };
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(repeated)));
    let places = Int32Array::from_iter_values((0..rows).map(|_| 0));
    let texts = DictionaryArray::<Int32Type>::new(places, Arc::new(StringArray::from(vec![text])));
    let new: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let object = file(vec![("k", ids), ("v", Arc::new(texts)), ("new", new)]);
    let rescuing = Contract { on_violation: ViolationPolicy::Rescue, ..numbered() };
    let run = merge(&spec(rescuing), &[&object, b"{\"k\":7}"]);
    let lines: Vec<_> = run.rejected.iter().map(|row| (row.input, row.line)).collect();
    assert_eq!(run.codes(), ["not_unique"; 3]);
    assert_eq!(lines, [(0, 6), (0, u64::try_from(rows).unwrap()), (1, 1)]);
    let expected: Vec<i64> = (0..rows - 1).filter(|at| *at != 5).collect();
    assert_eq!(keys(&run.rows()), expected);
    // Each of them holds what no column does, and is counted once.
    assert_eq!(run.rescued, expected.len() as u64);
}

#[test]
fn keys_without_bound_are_refused() {
    let lines = |from: usize, to: usize| {
        let mut text = String::new();
        for number in from..to {
            writeln!(text, "{{\"k\":{number}}}").unwrap();
        }
        text
    };
    let most = limits::OBJECT_UNIQUE_KEYS;
    let mut merge = Merge::new(spec(numbered())).unwrap();
    let mut push = |index: usize, text: &str| {
        let key = format!("in/{index}");
        merge.begin_input(InputInfo { index, key, size: text.len() as u64 }).unwrap();
        let flow = merge.push(text.as_bytes()).unwrap();
        let verdict = merge.end_input().unwrap();
        assert_eq!(flow == Flow::Settled, matches!(verdict, InputVerdict::Quarantined(_)));
        (verdict, merge.should_stop())
    };
    let (InputVerdict::Quarantined(quarantine), false) = push(0, &lines(0, most + 1)) else { panic!() };
    assert_eq!(quarantine.reason.as_str(), "too_many_keys");
    let merged = |rows: usize| InputVerdict::Merged { rows: rows as u64, rejected: 0 };
    assert_eq!(push(1, &lines(0, most)), (merged(most), false));
    assert_eq!(push(2, &lines(most, most + 1)), (merged(1), true));
}

#[test]
fn a_key_needs_columns_that_may_not_be_null() {
    for key in ["v", "w"] {
        let contract = Contract { unique_key: vec![key.to_owned()], ..numbered() };
        let error = Merge::new(spec(contract)).map(drop).unwrap_err();
        assert!(error.to_string().contains("may not be null"), "{error}");
    }
    let good = json!({"k": 1, "v": null});
    assert_eq!(merge(&spec(numbered()), &[good.to_string().as_bytes()]).rows(), [good]);
}
