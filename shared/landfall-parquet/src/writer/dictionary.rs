//! Which columns of a file are written without a dictionary.
//!
//! Where hardly a value comes twice, as with ids and free text, a dictionary costs time and makes a file larger: up to its
//! bound every value stands in it, and a number beside it. The first rows of a file tell; they are the same in every
//! execution of a job, so its bytes are too.

use std::collections::HashSet;
use std::hash::Hash;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use foldhash::fast::FixedState;

/// How many values of a column are looked at.
const SAMPLE: usize = 4096;
/// With fewer values a column keeps its dictionary: chance says too much. Of so many at most one came before in a column
/// that loses it; drawn at random, such values come from a stock of thousands. Values of a smaller stock that come in turn
/// may lose theirs too, and take more room then.
const LEAST: usize = 128;
/// A column keeps its dictionary when at least one of so many values came before: then, as far as a sample can tell, values
/// come from a stock that a row group has several times over.
const REPEATED_ONE_IN: usize = 100;

/// The leaf columns, in the order of the file, whose values in these rows hardly repeat.
pub(super) fn unrepeated(rows: &RecordBatch) -> Vec<usize> {
    let mut leaves = Vec::new();
    for column in rows.columns() {
        walk(column.as_ref(), &mut leaves);
    }
    leaves.iter().enumerate().filter(|(_, unrepeated)| **unrepeated).map(|(leaf, _)| leaf).collect()
}

fn walk(array: &dyn Array, leaves: &mut Vec<bool>) {
    match array.data_type() {
        DataType::Struct(_) => {
            for member in array.as_struct().columns() {
                walk(member.as_ref(), leaves);
            }
        }
        DataType::List(_) => walk(array.as_list::<i32>().values().as_ref(), leaves),
        DataType::Map(_, _) => {
            walk(array.as_map().keys().as_ref(), leaves);
            walk(array.as_map().values().as_ref(), leaves);
        }
        _ => leaves.push(hardly_repeats(array)),
    }
}

/// Values of four bytes and less keep their dictionary: it saves little or costs little.
fn hardly_repeats(array: &dyn Array) -> bool {
    match array.data_type() {
        DataType::Utf8 => few_repeat(array.as_string::<i32>().iter().map(|text| text.map(str::as_bytes))),
        DataType::Binary => few_repeat(array.as_binary::<i32>().iter()),
        DataType::Int64 => few_repeat(array.as_primitive::<Int64Type>().iter()),
        DataType::UInt64 => few_repeat(array.as_primitive::<UInt64Type>().iter()),
        DataType::Float64 => {
            few_repeat(array.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)))
        }
        DataType::Decimal128(_, _) => few_repeat(array.as_primitive::<Decimal128Type>().iter()),
        DataType::Time64(_) => few_repeat(array.as_primitive::<Time64MicrosecondType>().iter()),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            few_repeat(array.as_primitive::<TimestampMillisecondType>().iter())
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            few_repeat(array.as_primitive::<TimestampMicrosecondType>().iter())
        }
        _ => false,
    }
}

fn few_repeat<T: Hash + Eq>(values: impl Iterator<Item = Option<T>>) -> bool {
    let mut seen = HashSet::with_capacity_and_hasher(SAMPLE, FixedState::default());
    let mut looked_at = 0_usize;
    for value in values.flatten().take(SAMPLE) {
        looked_at += 1;
        seen.insert(value);
    }
    let repeated = looked_at.saturating_sub(seen.len());
    looked_at >= LEAST && repeated.saturating_mul(REPEATED_ONE_IN) < looked_at
}
