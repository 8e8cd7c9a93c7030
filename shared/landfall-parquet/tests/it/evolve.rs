//! Contracts that evolve: what they take in is enough for the records that asked for it, and is asked for once.

use std::sync::Arc;

use arrow_array::{
    Array as _, ArrayRef, Decimal128Array, Float64Array, Int64Array, StringArray, StructArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, TimeUnit};
use landfall_core::contract::{Column, Contract, UnknownFields, ViolationPolicy};
use landfall_core::evolution::{Change, Evolution, Step};
use landfall_parquet::{Inference, MergeError, MergeSpec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::kit::{Run, column, contract, infer, merge, merge_slices, spec};
use crate::parquet::file;

fn evolving(columns: &[(&str, &str)]) -> Contract {
    Contract {
        on_violation: ViolationPolicy::Evolve,
        ..contract(columns.iter().map(|(name, data_type)| column(name, data_type)).collect())
    }
}

fn evolve(contract: &Contract, inputs: &[&[u8]]) -> Vec<Change> {
    infer(inputs).evolve(contract, ["level"])
}

fn with(contract: &Contract, changes: Vec<Change>) -> Contract {
    let (contract_version, planned_at) = (contract.version + 1, "2026-05-19T10:15:00Z".parse().unwrap());
    let step = Step { contract_version, n: 1, planned_at, changes };
    contract.evolved(&Evolution { version: 1, delivery: "d".into(), steps: vec![step] })
}

/// The changes as they are written: names with types.
fn written(changes: &[Change]) -> Vec<String> {
    let one = |change: &Change| match change {
        Change::Added { column: Column { name, data_type, .. } } => format!("+{name} {data_type}"),
        Change::Widened { column, to } => format!("{column} {to}"),
    };
    changes.iter().map(one).collect()
}

/// Merges; what the contract would take in is refused.
fn refusing(contract: Contract, inputs: &[&[u8]]) -> Run {
    merge(&MergeSpec { drift_from: usize::MAX, ..spec(contract) }, inputs)
}

#[test]
fn types_are_widened_by_need_and_members_added() {
    for (column, value, expected) in [
        ("int8", "127", &[][..]),
        ("int8", "-129", &["c int16"]),
        ("int8", "40000", &["c int32"]),
        ("int32", "2147483648", &["c int64"]),
        ("int64", "9223372036854775808", &[]),
        ("int32", "2147483648.0", &[]),
        ("uint8", "256", &["c uint16"]),
        ("uint8", "-1", &[]),
        ("float32", "0.1", &[]),
        ("float32", "16777217", &["c float64"]),
        ("float32", "1e300", &["c float64"]),
        ("float32", "1e999", &[]),
        ("decimal(4,2)", "123.4", &["c decimal(5,2)"]),
        ("decimal(4,2)", "1.234", &[]),
        ("decimal(4,2)", "1e300", &[]),
        ("string", "1", &[]),
        ("json", "1", &[]),
        ("list<int8>", "[1,300,null]", &["c list<int16>"]),
        ("map<string, int8>", "{\"k\":300}", &["c map<string, int16>"]),
        ("struct<a: int8>", "{\"a\":300,\"b\":\"x\",\"A\":1,\"n\":null}", &["c struct<a: int16, b: string>"]),
        ("list<struct<a: int8>>", "[{\"b\":[1]}]", &["c list<struct<a: int8, b: list<int64>>>"]),
        ("int8", "1,\"b\":\"2026-05-19\"", &["+b date"]),
        ("int8", "1,\"C\":1,\"level\":2", &["+C_1 int64", "+level_1 int64"]),
        ("int8", "1,\"\":1", &[]),
        ("int8", "1,\"b\":{\"x\":1,\"later\":null}", &["+b struct<x: int64>"]),
        ("int8", "1,\"b\":{\"later\":null}", &["+b json"]),
    ] {
        let contract = evolving(&[("c", column)]);
        let line = format!("{{\"c\":{value}}}");
        assert_eq!(written(&evolve(&contract, &[line.as_bytes()])), expected, "{column} {value}");
    }
    let ignoring =
        Contract { unknown_fields: UnknownFields::Ignore, ..evolving(&[("c", "struct<a: int8>")]) };
    let line = br#"{"c":{"a":300,"b":1},"d":1}"#;
    assert_eq!(written(&evolve(&ignoring, &[line])), ["c struct<a: int16>"]);
}

#[test]
fn an_input_that_cannot_be_read_to_its_end_asks_for_nothing() {
    let whole = crate::kit::gzip(b"{\"c\":1,\"new\":1}\n");
    let contract = evolving(&[("c", "int8")]);
    assert_eq!(written(&evolve(&contract, &[&whole])), ["+new int64"]);
    assert_eq!(evolve(&contract, &[&whole[..whole.len() - 4]]), []);
}

#[test]
fn a_merge_ends_at_the_first_value_that_the_contract_might_take_in() {
    let lines: [&[u8]; 2] = [b"{\"c\":1}\n{\"c\":\"wrong\"}\n{\"d\":null}\n", b"{\"c\":1,\"d\":2}\n"];
    let inputs: Vec<Vec<&[u8]>> = lines.iter().map(|input| vec![*input]).collect();
    let stopping = spec(evolving(&[("c", "int8")]));
    let drift = merge_slices(&stopping, &inputs);
    assert!(matches!(drift, Err(MergeError::Drift { input: 1 })), "{drift:?}");
    let refused = refusing(evolving(&[("c", "int8")]), &lines);
    assert_eq!(refused.codes(), ["wrong_type", "unknown_field"]);
    let quarantining =
        Contract { on_violation: ViolationPolicy::QuarantineRow, ..evolving(&[("c", "int8")]) };
    assert_eq!(merge(&spec(quarantining), &lines).codes(), ["wrong_type", "unknown_field", "unknown_field"]);
}

fn parquet() -> Vec<u8> {
    let at = TimestampMicrosecondArray::from(vec![Some(0), None]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("c", Arc::new(Int64Array::from(vec![1, 70_000]))),
        ("text", Arc::new(StringArray::from(vec![Some("a"), None]))),
        ("price", Arc::new(Decimal128Array::from(vec![150, 2]).with_precision_and_scale(9, 2).unwrap())),
        ("at", Arc::new(at.clone().with_timezone("UTC"))),
        ("local", Arc::new(at)),
    ];
    file(columns)
}

#[test]
fn parquet_objects_tell_the_types_of_their_new_columns_and_the_need_of_the_old() {
    let contract = evolving(&[("c", "int16")]);
    let object = parquet();
    let drift = merge_slices(&spec(contract.clone()), &[vec![&object[..]]]);
    assert!(matches!(drift, Err(MergeError::Drift { input: 0 })), "{drift:?}");
    let mut inference = infer(&[&object]);
    let changes = inference.evolve(&contract, []);
    let expected = ["c int32", "+text string", "+price decimal(9,2)", "+at timestamp(us, UTC)"];
    assert_eq!(written(&changes), expected, "a time without a zone has no type until one is declared");
    assert_eq!(inference.take_refused().0, 0);
    let [doubt] = &inference.doubts()[..] else { panic!("{:?}", inference.doubts()) };
    assert_eq!(doubt.member.as_deref(), Some("local"));

    // What infer proposes of it reads it, but for that column.
    let proposed = Contract {
        unknown_fields: UnknownFields::Ignore,
        ..crate::kit::contract(infer(&[&object]).columns(false))
    };
    let run = merge(&spec(proposed), &[&object]);
    let expected = json!({"c": 1, "text": "a", "price": "1.50", "at": "1970-01-01T00:00:00Z"});
    assert_eq!(run.rows().len(), 2);
    assert_eq!(run.rows()[0]["c"], expected["c"]);
    assert_eq!(run.rows()[0]["text"], expected["text"]);
}

#[test]
fn parquet_objects_tell_the_types_of_new_members_at_any_depth() {
    let inner = StructArray::from(vec![
        (Arc::new(Field::new("x", DataType::Int64, true)), Arc::new(Int64Array::from(vec![1])) as ArrayRef),
        (
            Arc::new(Field::new("at", DataType::Time64(TimeUnit::Microsecond), true)),
            Arc::new(Time64MicrosecondArray::from(vec![None])),
        ),
    ]);
    let object = file(vec![
        ("c", Arc::new(inner)),
        ("f", Arc::new(Float64Array::from(vec![0.1]))),
        ("nothing", Arc::new(Int64Array::from(vec![None]))),
    ]);
    let contract = evolving(&[("c", "struct<x: int32>"), ("f", "float32")]);
    let changes = evolve(&contract, &[&object]);
    assert_eq!(written(&changes), ["c struct<x: int32, at: time(us)>", "f float64", "+nothing int64"]);
    let run = refusing(with(&contract, changes), &[&object]);
    assert_eq!((run.rejected.len(), run.rows().len()), (0, 1));
}

#[test]
fn a_type_that_no_document_can_name_is_not_taken_in() {
    let number = |name: &str| {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        (Arc::new(Field::new(name, DataType::Int64, true)), values)
    };
    let alike = StructArray::from(vec![number("id"), number("ID")]);
    let mut deep = StructArray::from(vec![number("x")]);
    for _ in 0..17 {
        let field = Arc::new(Field::new("x", deep.data_type().clone(), true));
        deep = StructArray::from(vec![(field, Arc::new(deep) as ArrayRef)]);
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("c", Arc::new(Int64Array::from(vec![1]))),
        ("alike", Arc::new(alike)),
        ("deep", Arc::new(deep)),
    ];
    let object = file(columns);
    assert_eq!(evolve(&evolving(&[("c", "int8")]), &[&object]), []);
}

#[test]
fn records_whose_keys_are_data_make_no_columns_without_end() {
    let contract = evolving(&[("c", "int8"), ("s", "struct<a: int8>")]);
    // Too many for a struct of its own, and for that of the contract; other changes go on.
    let keys: Vec<String> = (0..3_000).map(|key| format!("\"k{key}\":{{\"a\":1,\"b\":2}}")).collect();
    let keys = keys.join(",");
    let line = format!("{{\"c\":300,\"s\":{{{keys}}},\"new\":{{{keys}}},\"last\":true}}");
    let changes = evolve(&contract, &[line.as_bytes()]);
    assert_eq!(written(&changes), ["c int16", "+new map<string, struct<a: int64, b: int64>>", "+last bool"]);
    let fewer = (0..1_500).map(|key| format!("\"k{key}\":{{\"a\":1,\"b\":2}}")).collect::<Vec<_>>().join(",");
    let line = format!("{{\"c\":1,\"new\":{{{fewer}}}}}");
    assert_eq!(written(&evolve(&contract, &[line.as_bytes()])), ["+new json"]);

    // Members of the contract are known whatever else a record has; of the others the first are.
    let junk: Vec<String> = (0..5_000).map(|key| format!("\"junk{key}\":1")).collect();
    let line = format!("{{{},\"c\":300}}", junk.join(","));
    let mut inference = Inference::of_contract(&contract);
    inference.begin_input();
    inference.push(line.as_bytes());
    inference.end_input();
    let changes = inference.evolve(&contract, []);
    assert_eq!((changes.len(), written(&changes)[0].as_str()), (1_999, "c int16"));
    // Whoever asks for a proposal is told what is in none of its columns.
    assert_eq!((inference.columns(false).len(), inference.doubts().len()), (2_000, 1));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        Just(json!(1e300)),
        (0..1000_i32).prop_map(|n| json!(f64::from(n) / 4.0)),
        ".{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("[a-cA]{1,2}", inner), 0..3)
                .prop_map(|members| Value::from(members.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    })
}

fn records() -> impl Strategy<Value = Vec<String>> {
    let record = prop::collection::vec(("[a-dA]{1,2}", value()), 0..5);
    let text = |members: Vec<(String, Value)>| {
        Value::from(members.into_iter().collect::<serde_json::Map<_, _>>()).to_string()
    };
    prop::collection::vec(record.prop_map(text), 1..8)
}

fn types() -> impl Strategy<Value = Vec<&'static str>> {
    let any_type = prop::sample::select(vec![
        "int8",
        "int32",
        "uint8",
        "uint64",
        "float32",
        "float64",
        "decimal(5,2)",
        "bool",
        "string",
        "json",
        "list<int8>",
        "list<struct<a: int8>>",
        "map<string, float32>",
        "struct<a: int8, b: list<int16>>",
    ]);
    prop::collection::vec(any_type, 1..3)
}

proptest! {
    /// What was taken in is enough: a record is refused only for what no change would hold; and it is asked for once.
    #[test]
    fn a_contract_that_evolved_asks_for_nothing_more_and_refuses_no_member(records in records(), types in types()) {
        let columns: Vec<(&str, &str)> = ["a", "b", "c"].into_iter().zip(types).collect();
        let before = evolving(&columns);
        let text = records.join("\n");
        let changes = evolve(&before, &[text.as_bytes()]);
        let after = with(&before, changes.clone());
        prop_assert!(after.is_or_evolved_from(&before), "{changes:?}");
        prop_assert_eq!(evolve(&after, &[text.as_bytes()]), vec![], "{:?}", changes);
        let run = refusing(after, &[text.as_bytes()]);
        // Members that differ from another's by case alone stand in no struct.
        let unknown = run.rejected.iter().filter(|row| row.code.as_str() == "unknown_field");
        for row in unknown {
            let column = row.column.clone().unwrap_or_default();
            prop_assert!(column.contains('.'), "{column} of {row:?}");
        }
        let stopped = refusing(before.clone(), &[text.as_bytes()]);
        prop_assert!(run.rejected.len() <= stopped.rejected.len());
        if changes.is_empty() {
            prop_assert_eq!(run.rejected, stopped.rejected);
        }
    }
}
