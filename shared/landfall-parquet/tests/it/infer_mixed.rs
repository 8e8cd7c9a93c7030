//! Contracts proposed from Parquet, alone and beside JSON: what is proposed without a doubt holds every row.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, MapBuilder, StringBuilder};
use arrow_array::types::Int64Type;
use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array, ListArray, StringArray,
    StructArray, Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow_schema::Field;

use crate::kit::{contract, infer, merge, spec};
use crate::parquet::file;

fn of(array: impl arrow_array::Array + 'static) -> Vec<u8> {
    file(vec![("a", Arc::new(array) as ArrayRef)])
}

fn json(value: &str) -> Vec<u8> {
    format!("{{\"a\":{value}}}\n").into_bytes()
}

fn structs(members: Vec<(&str, ArrayRef)>) -> StructArray {
    let member = |(name, array): (&str, ArrayRef)| {
        (Arc::new(Field::new(name, array.data_type().clone(), true)), array)
    };
    StructArray::from(members.into_iter().map(member).collect::<Vec<_>>())
}

#[test]
fn the_type_of_one_object_gives_way_to_what_holds_the_others_too() {
    let decimals = |value, precision, scale| {
        of(Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale).unwrap())
    };
    let ints = || of(Int64Array::from(vec![1, 7]));
    let list =
        |values: Vec<Option<i64>>| of(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(values)]));
    let struct_of = |name: &str, array: ArrayRef| of(structs(vec![(name, array)]));
    let maps = || {
        let mut builder = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        builder.keys().append_value("k");
        builder.values().append_value(1);
        builder.append(true).unwrap();
        of(builder.finish())
    };
    for (inputs, wanted) in [
        ([ints(), of(Float64Array::from(vec![0.5]))], "float64"),
        ([ints(), json("1.5")], "float64"),
        ([ints(), json("18446744073709551615")], "decimal(20,0)"),
        ([ints(), json("null")], "int64"),
        ([ints(), of(UInt64Array::from(vec![1 << 63]))], "decimal(20,0)"),
        ([decimals(123, 3, 2), decimals(12345, 5, 1)], "decimal(6,2)"),
        ([decimals(123, 3, 2), ints()], "decimal(21,2)"),
        ([decimals(123, 3, 2), json("1.125")], "decimal(4,3)"),
        (
            [
                of(TimestampMillisecondArray::from(vec![1]).with_timezone("UTC")),
                of(TimestampMicrosecondArray::from(vec![1]).with_timezone("UTC")),
            ],
            "timestamp(us, UTC)",
        ),
        ([of(Date32Array::from(vec![1])), json("\"2026-05-19\"")], "date"),
        ([list(vec![Some(1)]), json("[1.5]")], "list<float64>"),
        ([maps(), json("{\"k\":2}")], "map<string, int64>"),
        ([maps(), maps()], "map<string, int64>"),
        (
            [
                of(TimestampMillisecondArray::from(vec![1]).with_timezone("UTC")),
                json("\"2026-05-19T10:00:00.123456Z\""),
            ],
            "timestamp(us, UTC)",
        ),
        ([of(Float32Array::from(vec![0.5])), ints()], "float32"),
        ([of(Float32Array::from(vec![0.5])), of(Int64Array::from(vec![16_777_217]))], "float64"),
        (
            [
                struct_of("x", Arc::new(Int64Array::from(vec![1]))),
                struct_of("y", Arc::new(StringArray::from(vec!["t"]))),
            ],
            "struct<x: int64, y: string>",
        ),
        (
            [struct_of("x", Arc::new(Int64Array::from(vec![1]))), json("{\"x\":2.5,\"z\":true}")],
            "struct<x: float64, z: bool>",
        ),
    ] {
        let [one, other] = &inputs;
        for inputs in [[&one[..], other], [other, one]] {
            let inference = infer(&inputs);
            assert_eq!(inference.doubts(), [], "{wanted}");
            let columns = inference.columns(false);
            let found = columns[0].data_type.to_string();
            let sorted = |text: &str| {
                let mut parts: Vec<String> =
                    text.split([',', '<', '>']).map(|part| part.trim().to_owned()).collect();
                parts.sort();
                parts
            };
            assert_eq!(sorted(&found), sorted(wanted));
            let run = merge(&spec(contract(columns)), &inputs);
            assert_eq!(run.rejected.len(), 0, "{wanted}: {:?}", run.rejected);
            let expected = inference.records();
            assert_eq!(run.rows().len() as u64, expected, "{wanted}");
        }
    }
}

#[test]
fn what_no_type_holds_is_told() {
    let nanos = of(TimestampNanosecondArray::from(vec![1]).with_timezone("UTC"));
    let text = of(StringArray::from(vec!["x"]));
    for inputs in [
        [of(Date32Array::from(vec![1])), text.clone()],
        [text.clone(), json("{\"b\":1}")],
        [of(Int64Array::from(vec![(1 << 53) + 1])), json("1e-30")],
        [of(Float64Array::from(vec![f64::NAN])), json("1")],
        [nanos, json("null")],
        [of(Time64MicrosecondArray::from(vec![1])), json("\"foo\"")],
        [of(TimestampMicrosecondArray::from(vec![1])), text.clone()],
    ] {
        let [one, other] = &inputs;
        for inputs in [[&one[..], other], [other, one]] {
            let doubts = infer(&inputs).doubts();
            assert_eq!(doubts.len(), 1, "{doubts:?}");
            assert_eq!(doubts[0].member.as_deref(), Some("a"));
        }
    }
    let local = infer(&[&of(TimestampMicrosecondArray::from(vec![1]))]);
    assert_eq!((local.columns(false).len(), local.doubts().len()), (0, 1), "its zone is to be declared");
}
