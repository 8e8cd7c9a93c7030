//! Values of Parquet objects: exactly what is stored, or a rejected row with its reason.

use std::sync::Arc;

use arrow_array::types::Decimal256Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int8Array, Int32Array, Int64Array, ListArray, PrimitiveArray, StringArray, StructArray,
    Time64NanosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    UInt32Array, UInt64Array,
};
use arrow_buffer::{OffsetBuffer, i256};
use arrow_schema::{DataType, Field, Fields};
use landfall_core::contract::{Column, TimeFormat, UnknownFields, ViolationPolicy};
use landfall_parquet::{InputVerdict, Position};
use serde_json::{Value, json};

use crate::kit::{Run, column, contract, merge, spec};
use crate::parquet::file;

/// Reads one column `v`. For each row `Ok` with the value in the file, or `Err` with the code.
#[allow(clippy::needless_pass_by_value, reason = "expectations are written in place")]
fn check(column: Column, array: ArrayRef, expected: Vec<Result<Value, &str>>) {
    let run = merge(&spec(contract(vec![column.clone()])), &[&file(vec![("v", array)])]);
    let mut good = run.rows().into_iter();
    let found: Vec<Result<Value, &str>> = (1..=expected.len() as u64)
        .map(|number| match run.rejected.iter().find(|row| row.line == number) {
            Some(row) => {
                assert_eq!((row.byte_offset, row.column.as_deref()), (0, Some("v")));
                Err(row.code.as_str())
            }
            None => Ok(good.next().expect("a row").get_mut("v").expect("column v").take()),
        })
        .collect();
    assert_eq!(found, expected, "{}: {:?}", column.data_type, run.verdicts);
}

fn v(data_type: &str) -> Column {
    column("v", data_type)
}

fn utc(column: Column) -> Column {
    Column { format: Some(TimeFormat::IsoUtc), ..column }
}

/// The reason for which an object with one column `v` is refused as a whole.
fn refused(column: Column, array: ArrayRef) -> &'static str {
    whole(&merge(&spec(contract(vec![column])), &[&file(vec![("v", array)])]))
}

fn whole(run: &Run) -> &'static str {
    assert!(run.files.is_empty() && run.rejected.is_empty());
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[0] else { panic!("{:?}", run.verdicts) };
    assert!(!quarantine.detail.contains("secret"), "{}", quarantine.detail);
    quarantine.reason.as_str()
}

#[test]
fn integers_fit_or_are_rejected_one_by_one() {
    let wide = || -> ArrayRef {
        Arc::new(Int64Array::from(vec![Some(1), Some(2_147_483_648), None, Some(-2_147_483_648), Some(-129)]))
    };
    let big = json!(-2_147_483_648_i64);
    check(
        v("int32"),
        wide(),
        vec![Ok(json!(1)), Err("out_of_range"), Ok(Value::Null), Ok(big), Ok(json!(-129))],
    );
    let out = || Err("out_of_range");
    check(v("int8"), wide(), vec![Ok(json!(1)), out(), Ok(Value::Null), out(), out()]);
    check(
        v("uint64"),
        wide(),
        vec![Ok(json!(1)), Ok(json!(2_147_483_648_u64)), Ok(Value::Null), out(), out()],
    );
    let unsigned: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 7]));
    check(v("int64"), unsigned.clone(), vec![out(), Ok(json!(7))]);
    check(v("uint64"), unsigned, vec![Ok(json!(u64::MAX)), Ok(json!(7))]);
    check(v("uint32"), Arc::new(UInt32Array::from(vec![u32::MAX])), vec![Ok(json!(u32::MAX))]);
    check(v("int64"), Arc::new(Int8Array::from(vec![-128])), vec![Ok(json!(-128))]);
    let whole =
        Decimal128Array::from(vec![12_i128, 10_i128.pow(30)]).with_precision_and_scale(38, 0).unwrap();
    check(v("int64"), Arc::new(whole), vec![Ok(json!(12)), out()]);
}

#[test]
fn floats_are_exact_or_rejected() {
    let doubles: ArrayRef =
        Arc::new(Float64Array::from(vec![0.5, 0.1, f64::NAN, f64::INFINITY, 1e300, -0.0]));
    let out = || Err("out_of_range");
    check(
        v("float64"),
        doubles.clone(),
        vec![Ok(json!(0.5)), Ok(json!(0.1)), out(), out(), Ok(json!(1e300)), Ok(json!(-0.0))],
    );
    check(v("float32"), doubles, vec![Ok(json!(0.5)), Err("inexact"), out(), out(), out(), Ok(json!(-0.0))]);
    check(v("float64"), Arc::new(Float32Array::from(vec![0.1])), vec![Ok(json!(f64::from(0.1_f32)))]);
    let whole: ArrayRef = Arc::new(Int64Array::from(vec![1 << 53, (1 << 53) + 1, i64::MAX]));
    check(
        v("float64"),
        whole.clone(),
        vec![Ok(json!(9_007_199_254_740_992.0)), Err("inexact"), Err("inexact")],
    );
    check(v("float32"), whole, vec![Ok(json!(9_007_199_254_740_992.0_f32)), Err("inexact"), Err("inexact")]);
    let decimals = Decimal128Array::from(vec![110_i128]).with_precision_and_scale(10, 2).unwrap();
    check(v("float64"), Arc::new(decimals), vec![Ok(json!(1.1))]);
}

#[test]
fn decimals_are_rescaled_exactly_or_rejected() {
    let decimals =
        Decimal128Array::from(vec![150_i128, 155, -999_900, 0]).with_precision_and_scale(10, 2).unwrap();
    check(
        v("decimal(5,1)"),
        Arc::new(decimals.clone()),
        vec![Ok(json!("15e-1")), Err("inexact"), Ok(json!("-99990e-1")), Ok(json!("0e-1"))],
    );
    check(
        v("decimal(5,3)"),
        Arc::new(decimals),
        vec![Ok(json!("1500e-3")), Ok(json!("1550e-3")), Err("out_of_range"), Ok(json!("0e-3"))],
    );
    check(
        v("decimal(3,1)"),
        Arc::new(Int64Array::from(vec![99, 100])),
        vec![Ok(json!("990e-1")), Err("out_of_range")],
    );
    let wide = PrimitiveArray::<Decimal256Type>::from(vec![
        i256::from_i128(-7),
        i256::from_i128(10_i128.pow(38) - 1),
        i256::from_i128(10_i128.pow(38)),
        i256::MAX >> 20,
    ])
    .with_precision_and_scale(76, 0)
    .unwrap();
    let nines = "9".repeat(38);
    check(
        v("decimal(38,0)"),
        Arc::new(wide),
        vec![Ok(json!("-7e-0")), Ok(json!(format!("{nines}e-0"))), Err("out_of_range"), Err("out_of_range")],
    );
}

#[test]
fn times_keep_their_unit_and_zone_or_are_rejected() {
    let zoned = |array: TimestampNanosecondArray| -> ArrayRef { Arc::new(array.with_timezone("UTC")) };
    check(
        v("timestamp(us, UTC)"),
        zoned(TimestampNanosecondArray::from(vec![1_000, 1_001, -1_000, i64::MAX])),
        vec![Ok(json!(1)), Err("inexact"), Ok(json!(-1)), Err("inexact")],
    );
    let millis: ArrayRef =
        Arc::new(TimestampMillisecondArray::from(vec![1, 253_402_300_800_000]).with_timezone("+02:00"));
    check(v("timestamp(us, UTC)"), millis, vec![Ok(json!(1_000)), Err("out_of_range")]);
    let local: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![2_000, 1]));
    assert_eq!(refused(v("timestamp(us, UTC)"), local.clone()), "schema_mismatch");
    check(utc(v("timestamp(ms, UTC)")), local.clone(), vec![Ok(json!(2)), Err("inexact")]);
    // What is in UTC is that, however texts are written.
    let stamp = || -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![5]).with_timezone("UTC")) };
    for format in [TimeFormat::Iso, TimeFormat::IsoUtc, TimeFormat::EpochSeconds] {
        check(Column { format: Some(format), ..v("timestamp(us, UTC)") }, stamp(), vec![Ok(json!(5))]);
    }
    let seconds: ArrayRef = Arc::new(Int64Array::from(vec![2, i64::MAX]));
    let epoch = |data_type| Column { format: Some(TimeFormat::EpochSeconds), ..v(data_type) };
    check(epoch("timestamp(ms, UTC)"), seconds.clone(), vec![Ok(json!(2_000)), Err("out_of_range")]);
    assert_eq!(refused(v("timestamp(ms, UTC)"), seconds), "schema_mismatch");
    check(epoch("date"), Arc::new(Int32Array::from(vec![86_400, 1])), vec![Ok(json!(1)), Err("inexact")]);
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1970-01-01T00:00:01Z", "1970-01-01T00:00:01"]));
    check(v("timestamp(ms, UTC)"), texts.clone(), vec![Ok(json!(1_000)), Err("invalid_format")]);
    check(utc(v("timestamp(ms, UTC)")), texts, vec![Err("invalid_format"), Ok(json!(1_000))]);
    check(
        v("date"),
        Arc::new(Date32Array::from(vec![1, 2_932_897])),
        vec![Ok(json!(1)), Err("out_of_range")],
    );
    check(v("date"), Arc::new(StringArray::from(vec!["1970-01-02"])), vec![Ok(json!(1))]);
    check(
        v("time(us)"),
        Arc::new(Time64NanosecondArray::from(vec![1_000, 1, 86_400_000_000_000, -1_000])),
        vec![Ok(json!(1)), Err("inexact"), Err("out_of_range"), Err("out_of_range")],
    );
}

#[test]
fn texts_and_bytes_are_kept_to_the_byte() {
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"a\xc3\xa9"[..], b"\xff", b""]));
    check(v("binary"), bytes.clone(), vec![Ok(json!("61c3a9")), Ok(json!("ff")), Ok(json!(""))]);
    check(v("string"), bytes, vec![Ok(json!("aé")), Err("invalid_utf8"), Ok(json!(""))]);
    let fixed: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([b"ab", b"\0\xff"].iter()).unwrap());
    check(v("binary"), fixed, vec![Ok(json!("6162")), Ok(json!("00ff"))]);
    check(
        v("bool"),
        Arc::new(BooleanArray::from(vec![true, false])),
        vec![Ok(json!(true)), Ok(json!(false))],
    );
    let texts: ArrayRef =
        Arc::new(StringArray::from(vec![" [1, {\"a\" : 1.10}]\n", "x", "{\"a\":1,\"a\":2}", "null"]));
    check(
        v("json"),
        texts,
        vec![Ok(json!("[1, {\"a\" : 1.10}]")), Err("invalid_json"), Err("duplicate_key"), Ok(json!("null"))],
    );
}

#[test]
fn types_that_do_not_fit_refuse_the_whole_object() {
    let text = || -> ArrayRef { Arc::new(StringArray::from(vec!["secret"])) };
    let number = || -> ArrayRef { Arc::new(Int64Array::from(vec![1])) };
    for data_type in
        ["int64", "bool", "float64", "decimal(5,2)", "binary", "list<string>", "struct<a: string>"]
    {
        assert_eq!(refused(v(data_type), text()), "schema_mismatch", "{data_type}");
    }
    for data_type in ["string", "bool", "json", "date", "time(ms)", "map<string, int64>"] {
        assert_eq!(refused(v(data_type), number()), "schema_mismatch", "{data_type}");
    }
    assert_eq!(refused(v("int64"), Arc::new(Float64Array::from(vec![1.0]))), "schema_mismatch");
    assert_eq!(refused(v("decimal(5,2)"), Arc::new(Float64Array::from(vec![1.0]))), "schema_mismatch");
    let cents = Decimal128Array::from(vec![100_i128]).with_precision_and_scale(10, 2).unwrap();
    assert_eq!(refused(v("int64"), Arc::new(cents)), "schema_mismatch");
}

#[test]
fn columns_without_a_name_in_the_contract_follow_its_policy() {
    let numbers = || -> ArrayRef { Arc::new(Int64Array::from(vec![1, 2])) };
    let both = file(vec![("secret", numbers()), ("v", numbers())]);
    let mut contract = contract(vec![v("int64"), column("w", "string")]);
    assert_eq!(whole(&merge(&spec(contract.clone()), &[&both])), "unknown_field");
    contract.unknown_fields = UnknownFields::Ignore;
    let rows = [json!({"v": 1, "w": null}), json!({"v": 2, "w": null})];
    assert_eq!(merge(&spec(contract.clone()), &[&both]).rows(), rows);
    // Nothing of the object is in the contract: its rows are counted all the same.
    let other = file(vec![("secret", numbers())]);
    let empty = json!({"v": null, "w": null});
    assert_eq!(merge(&spec(contract.clone()), &[&other]).rows(), [empty.clone(), empty]);
    contract.columns[1].nullable = false;
    assert_eq!(whole(&merge(&spec(contract.clone()), &[&both])), "missing_value");
    contract.columns[1] = Column { from: Some("secret".into()), nullable: false, ..column("w", "int64") };
    let nulls: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(5)]));
    let run = merge(&spec(contract), &[&file(vec![("secret", nulls), ("v", numbers())])]);
    assert_eq!((run.codes(), run.rows()), (vec!["missing_value"], vec![json!({"v": 2, "w": 5})]));
}

fn nested() -> Vec<u8> {
    let fields =
        Fields::from(vec![Field::new("b", DataType::Int64, true), Field::new("c", DataType::Utf8, true)]);
    let members = StructArray::new(
        fields.clone(),
        vec![
            Arc::new(Int64Array::from(vec![Some(1), None, Some(300), Some(4)])),
            Arc::new(StringArray::from(vec![Some("x"), None, Some("y\"\n"), None])),
        ],
        Some(vec![true, false, true, true].into()),
    );
    let item = Arc::new(Field::new("element", DataType::Struct(fields), true));
    let nulls = Some(vec![true, false, true, true].into());
    let list = ListArray::new(item, OffsetBuffer::new(vec![0, 2, 2, 3, 4].into()), Arc::new(members), nulls);
    file(vec![("a", Arc::new(list))])
}

#[test]
fn faults_within_lists_and_structs_name_their_place_and_touch_no_neighbour() {
    let run = merge(&spec(contract(vec![column("a", "list<struct<c: string, b: int8>>")])), &[&nested()]);
    assert_eq!(
        run.rows(),
        [json!({"a": [{"c": "x", "b": 1}, null]}), json!({"a": null}), json!({"a": [{"c": null, "b": 4}]})]
    );
    let [rejected] = run.rejected.as_slice() else { panic!("{:?}", run.rejected) };
    assert_eq!(
        (rejected.line, rejected.code.as_str(), rejected.column.as_deref()),
        (3, "out_of_range", Some("a.[].b"))
    );
    assert_eq!(&*rejected.raw, br#"{"a":[{"b":300,"c":"y\"\u000a"}]}"#);
    // Members that the contract leaves out, some or all of them.
    let mut contract = contract(vec![column("a", "list<struct<c: string>>")]);
    assert_eq!(whole(&merge(&spec(contract.clone()), &[&nested()])), "unknown_field");
    contract.unknown_fields = UnknownFields::Ignore;
    assert_eq!(merge(&spec(contract.clone()), &[&nested()]).rows().len(), 4);
    contract.columns = vec![column("a", "list<struct<d: int8>>")];
    let run = merge(&spec(contract), &[&nested()]);
    assert_eq!(run.rows()[0], json!({"a": [{"d": null}, null]}));
}

#[test]
fn the_rules_of_a_column_hold() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(9), None]));
    let ranged = Column { max: Some("5".into()), ..v("int8") };
    check(ranged, numbers, vec![Ok(json!(1)), Err("out_of_range"), Ok(Value::Null)]);
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["ab", "b"]));
    check(
        Column { pattern: Some("a.*".into()), ..v("string") },
        texts,
        vec![Ok(json!("ab")), Err("pattern_mismatch")],
    );
}

#[test]
fn a_strict_contract_refuses_the_object_for_its_first_row() {
    let mut strict = contract(vec![v("int8")]);
    strict.on_violation = ViolationPolicy::Strict;
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 300, 400]));
    let run = merge(&spec(strict), &[&file(vec![("v", numbers)])]);
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[0] else { panic!("{:?}", run.verdicts) };
    assert_eq!(quarantine.reason.as_str(), "out_of_range");
    assert_eq!(quarantine.position, Some(Position { line: 3, byte_offset: 0 }));
    assert_eq!(quarantine.rows, 3);
}

#[test]
fn a_rejected_row_is_kept_with_all_its_columns() {
    let one = |array: ArrayRef| array;
    let decimals = Decimal128Array::from(vec![-105_i128]).with_precision_and_scale(5, 2).unwrap();
    let bytes = file(vec![
        ("v", one(Arc::new(Int64Array::from(vec![300])))),
        ("n", one(Arc::new(Int8Array::from(vec![None])))),
        ("b", one(Arc::new(BooleanArray::from(vec![true])))),
        ("d", one(Arc::new(decimals))),
        ("f", one(Arc::new(Float64Array::from(vec![f64::NEG_INFINITY])))),
        ("g", one(Arc::new(Float32Array::from(vec![0.1])))),
        ("t", one(Arc::new(TimestampMicrosecondArray::from(vec![-1]).with_timezone("UTC")))),
        ("l", one(Arc::new(TimestampMillisecondArray::from(vec![1])))),
        ("x", one(Arc::new(BinaryArray::from(vec![&b"\xff"[..]])))),
        ("day", one(Arc::new(Date32Array::from(vec![1])))),
        ("c", one(Arc::new(Time64NanosecondArray::from(vec![1])))),
    ]);
    let mut contract = contract(vec![v("int8")]);
    contract.unknown_fields = UnknownFields::Ignore;
    let run = merge(&spec(contract), &[&bytes]);
    let kept: Value = serde_json::from_slice(&run.rejected[0].raw).unwrap();
    assert_eq!(
        kept,
        json!({
            "v": 300, "n": null, "b": true, "d": -1.05, "f": "-Infinity", "g": 0.1,
            "t": "1969-12-31T23:59:59.999999Z", "l": "1970-01-01T00:00:00.001", "x": "/w==",
            "day": "1970-01-02", "c": "00:00:00.000000001",
        })
    );
}
