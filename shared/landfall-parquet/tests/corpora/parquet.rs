//! Parquet files written by others.
//!
//! Each is merged under a contract that has its own columns, as far as a contract can name them, and compared with what
//! the `parquet` crate reads from it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ::parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use arrow_array::Array;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal256Type, Float16Type, Time64NanosecondType, TimestampNanosecondType};
use arrow_array::types::{TimestampMicrosecondType, TimestampMillisecondType};
use arrow_schema::{DataType, Schema, TimeUnit};
use bytes::Bytes;
use landfall_core::contract::{Column, TimeFormat, UnknownFields};
use landfall_parquet::InputVerdict;
use serde_json::{Value, json};

use crate::kit::{self, Run, column, contract, merge, spec};
use crate::{corpora, files, read};

/// The contract's type for a column; `None` when it has none.
fn data_type(arrow: &DataType) -> Option<String> {
    let whole = |text: &str| Some(text.to_owned());
    match arrow {
        DataType::Boolean => whole("bool"),
        DataType::Int8 => whole("int8"),
        DataType::Int16 => whole("int16"),
        DataType::Int32 => whole("int32"),
        DataType::Int64 => whole("int64"),
        DataType::UInt8 => whole("uint8"),
        DataType::UInt16 => whole("uint16"),
        DataType::UInt32 => whole("uint32"),
        DataType::UInt64 => whole("uint64"),
        DataType::Float16 | DataType::Float32 => whole("float32"),
        DataType::Float64 => whole("float64"),
        DataType::Decimal128(precision, scale) => Some(format!("decimal({precision},{scale})")),
        DataType::Decimal256(_, scale) => Some(format!("decimal(38,{scale})")),
        DataType::Utf8 | DataType::Null => whole("string"),
        DataType::Binary | DataType::FixedSizeBinary(_) => whole("binary"),
        DataType::Date32 => whole("date"),
        DataType::Time32(_) => whole("time(ms)"),
        DataType::Time64(_) => whole("time(us)"),
        DataType::Timestamp(TimeUnit::Millisecond, _) => whole("timestamp(ms, UTC)"),
        DataType::Timestamp(_, _) => whole("timestamp(us, UTC)"),
        DataType::List(item) => Some(format!("list<{}>", data_type(item.data_type())?)),
        DataType::Struct(fields) => {
            let members: Option<Vec<String>> = fields
                .iter()
                .map(|field| Some(format!("\"{}\": {}", field.name(), data_type(field.data_type())?)))
                .collect();
            Some(format!("struct<{}>", members?.join(", ")))
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else { return None };
            let [key, value] = fields.as_ref() else { return None };
            match key.data_type() {
                DataType::Utf8 | DataType::Binary => {
                    Some(format!("map<string, {}>", data_type(value.data_type())?))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn without_zone(arrow: &DataType) -> bool {
    match arrow {
        DataType::Timestamp(_, zone) => zone.is_none(),
        DataType::List(item) | DataType::Map(item, _) => without_zone(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| without_zone(field.data_type())),
        _ => false,
    }
}

/// Columns named `c0`, `c1` and so on, each read from one of the file; `None` for those that have no type here.
fn columns(schema: &Schema) -> Vec<Option<Column>> {
    let fields = schema.fields().iter().enumerate();
    fields
        .map(|(n, field)| {
            let format = without_zone(field.data_type()).then_some(TimeFormat::IsoUtc);
            let data_type = data_type(field.data_type())?;
            Some(Column { from: Some(field.name().clone()), format, ..column(&format!("c{n}"), &data_type) })
        })
        .collect()
}

/// One value as the engine's own files would give it back. `None` when it is no value the engine takes.
fn expected(array: &dyn Array, row: usize) -> Option<Value> {
    if array.is_null(row) {
        return Some(Value::Null);
    }
    let micros = |nanos: i64| (nanos % 1000 == 0).then(|| json!(nanos / 1000));
    Some(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Float16 => {
            let value = array.as_primitive::<Float16Type>().value(row).to_f32();
            value.is_finite().then(|| json!(value))?
        }
        DataType::Float32 => {
            let value = array.as_primitive::<arrow_array::types::Float32Type>().value(row);
            value.is_finite().then(|| json!(value))?
        }
        DataType::Float64 => {
            let value = array.as_primitive::<arrow_array::types::Float64Type>().value(row);
            value.is_finite().then(|| json!(value))?
        }
        DataType::Decimal256(_, scale) => {
            json!(format!("{}e-{scale}", array.as_primitive::<Decimal256Type>().value(row)))
        }
        DataType::FixedSizeBinary(_) => {
            let bytes = array.as_fixed_size_binary().value(row);
            json!(kit::hex(bytes))
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            micros(array.as_primitive::<Time64NanosecondType>().value(row))?
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            micros(array.as_primitive::<TimestampNanosecondType>().value(row))?
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            json!(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            json!(array.as_primitive::<TimestampMillisecondType>().value(row))
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            Value::Array((0..items.len()).map(|n| expected(items.as_ref(), n)).collect::<Option<_>>()?)
        }
        DataType::Struct(fields) => {
            let members = array.as_struct();
            let pairs = fields.iter().zip(members.columns());
            let pairs =
                pairs.map(|(field, values)| Some((field.name().clone(), expected(values.as_ref(), row)?)));
            Value::Object(pairs.collect::<Option<_>>()?)
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let keys = entries.column(0);
            let key = |n| match keys.data_type() {
                DataType::Utf8 => keys.as_string::<i32>().value(n).to_owned(),
                _ => String::from_utf8(keys.as_binary::<i32>().value(n).to_vec()).unwrap(),
            };
            let pairs = (0..entries.len()).map(|n| Some((key(n), expected(entries.column(1).as_ref(), n)?)));
            Value::Object(pairs.collect::<Option<_>>()?)
        }
        _ => kit::cell(array, row),
    })
}

/// What the `parquet` crate reads: the schema, and the rows, each `None` when it holds a value that the engine refuses.
type Read = (Schema, Vec<Option<Value>>);

fn by_the_crate(bytes: &[u8]) -> Result<Read, String> {
    let read = || -> Result<Read, String> {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder =
            ParquetRecordBatchReaderBuilder::try_new_with_options(Bytes::copy_from_slice(bytes), options)
                .map_err(|error| error.to_string())?;
        let schema = builder.schema().as_ref().clone();
        let mut rows = Vec::new();
        for batch in builder.build().map_err(|error| error.to_string())? {
            let batch = batch.map_err(|error| error.to_string())?;
            for row in 0..batch.num_rows() {
                let pairs = columns(&schema).into_iter().enumerate().filter_map(|(n, column)| {
                    column.map(|_| Some((format!("c{n}"), expected(batch.column(n).as_ref(), row)?)))
                });
                rows.push(pairs.collect::<Option<_>>().map(Value::Object));
            }
        }
        Ok((schema, rows))
    };
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("it panics".to_owned()))
}

fn schema_of(bytes: &[u8]) -> Option<Schema> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let bytes = Bytes::copy_from_slice(bytes);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options).ok()?;
    Some(builder.schema().as_ref().clone())
}

/// The verdict of the engine in short.
pub(crate) fn verdict(run: &Run, input: usize) -> String {
    match &run.verdicts[input] {
        InputVerdict::Empty => "empty".to_owned(),
        InputVerdict::Merged { rows, rejected: 0 } => format!("{rows} rows"),
        InputVerdict::Merged { rows, rejected } => {
            let mut codes = run.codes();
            codes.dedup();
            format!("{rows} rows, {rejected} rejected: {}", codes.join(" "))
        }
        InputVerdict::Quarantined(quarantine) => quarantine.reason.to_string(),
    }
}

fn merged(bytes: &[u8], columns: Vec<Column>) -> Run {
    let mut contract = contract(columns);
    contract.unknown_fields = UnknownFields::Ignore;
    merge(&spec(contract), &[bytes])
}

/// Columns by hand, where the crate cannot read the schema.
fn by_hand(name: &str) -> Vec<Column> {
    let named = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, kind)| column(name, kind)).collect();
    match name {
        "dict-page-offset-zero.parquet" => named(&[("l_partkey", "int32")]),
        "ARROW-RS-GH-6229-DICTHEADER.parquet" | "nation.dict-malformed.parquet" => named(&[
            ("nation_key", "int32"),
            ("name", "string"),
            ("region_key", "int32"),
            ("comment_col", "string"),
        ]),
        "ARROW-GH-41317.parquet" => {
            let format = Some(TimeFormat::IsoUtc);
            let broken = Column { format, ..column("timestamp_us_no_tz", "timestamp(us, UTC)") };
            vec![broken, column("boolean", "bool")]
        }
        "PARQUET-1481.parquet" => named(&[("a", "int32")]),
        other => panic!("{other}: no schema"),
    }
}

/// What becomes of the good files of which not every row is delivered, and why.
const VERDICTS: [(&str, &str); 13] = [
    // Nothing is in it.
    ("column_chunk_key_value_metadata.parquet", "empty"),
    // The checksums of pages are wrong, which their names promise.
    ("datapage_v1-corrupt-checksum.parquet", "parquet_checksum"),
    ("rle-dict-uncompressed-corrupt-checksum.parquet", "parquet_checksum"),
    // A list of its footer is of another type than the format has it: the crate refuses it as well.
    ("dict-page-offset-zero.parquet", "parquet_footer"),
    // NaN is no number that a contract takes.
    ("float16_nonzeros_and_nans.parquet", "7 rows, 1 rejected: out_of_range"),
    ("float16_zeros_and_nans.parquet", "2 rows, 1 rejected: out_of_range"),
    ("floating_orders_nan_count.parquet", "36 rows, 14 rejected: out_of_range"),
    ("nan_in_stats.parquet", "1 rows, 1 rejected: out_of_range"),
    // A nanosecond of the day that no day has, and a year beyond 9999.
    ("int96_from_spark.parquet", "5 rows, 1 rejected: out_of_range"),
    ("nested_structs.rust.parquet", "0 rows, 1 rejected: out_of_range"),
    // A page of more than a gigabyte.
    ("large_string_map.brotli.parquet", "parquet_page_too_large"),
    // The length of a column chunk leaves out the header of its dictionary.
    ("nation.dict-malformed.parquet", "parquet_data"),
    // The footer says 0 rows, its row group 6.
    ("repeated_no_annotation.parquet", "parquet_footer"),
];

/// What becomes of the broken ones. One of them is only badly encoded: all of its rows are there.
const BAD: [(&str, &str); 8] = [
    ("ARROW-GH-41317.parquet", "parquet_footer"),
    ("ARROW-GH-41321.parquet", "parquet_data"),
    ("ARROW-GH-43605.parquet", "21186 rows"),
    ("ARROW-GH-45185.parquet", "parquet_data"),
    ("ARROW-GH-47662.parquet", "parquet_data"),
    ("ARROW-RS-GH-6229-DICTHEADER.parquet", "parquet_data"),
    ("ARROW-RS-GH-6229-LEVELS.parquet", "parquet_data"),
    ("PARQUET-1481.parquet", "parquet_footer"),
];

/// The columns of a file as a contract has them.
fn all_columns(name: &str, bytes: &[u8]) -> Vec<Column> {
    match (name, schema_of(bytes)) {
        // A map without values is nothing that a contract has, nor is one whose keys are numbers.
        ("map_no_value.parquet", Some(schema)) => {
            columns(&schema).into_iter().flatten().filter(|column| column.name == "c2").collect()
        }
        (_, Some(schema)) => columns(&schema).into_iter().flatten().collect(),
        (_, None) => by_hand(name),
    }
}

#[test]
fn good_files_are_merged_to_their_last_row_or_refused_for_a_reason() {
    let verdicts: BTreeMap<&str, &str> = VERDICTS.into();
    let files: Vec<_> =
        files("parquet-testing/data").into_iter().filter(|(name, _)| name.ends_with(".parquet")).collect();
    assert_eq!(files.len(), 75);
    for (name, bytes) in &files {
        let columns = all_columns(name, bytes);
        assert!(!columns.is_empty(), "{name}");
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let run = merged(bytes, columns);
        let found = verdict(&run, 0);
        if name == "large_string_map.brotli.parquet" {
            // The crate would take gigabytes for it.
            assert_eq!(found, verdicts[name.as_str()], "{name}");
            continue;
        }
        let read = by_the_crate(bytes);
        match (verdicts.get(name.as_str()), &read) {
            (Some(expected), _) => assert_eq!(found, *expected, "{name}"),
            (None, Ok((_, rows))) => assert_eq!(found, format!("{} rows", rows.len()), "{name}"),
            (None, Err(error)) => panic!("{name}: {error}"),
        }
        let merged = matches!(run.verdicts[0], InputVerdict::Merged { .. });
        // Of INT96 the crate wraps what is outside the years of 64 bits of nanoseconds.
        if let (true, Ok((_, rows)), false) = (merged, &read, name.starts_with("int96")) {
            let kept = |row: &Value| {
                let row = row.as_object().unwrap();
                let kept = row.iter().filter(|(column, _)| names.contains(column));
                Value::Object(kept.map(|(column, value)| (column.clone(), value.clone())).collect())
            };
            let refused: Vec<u64> = run.rejected.iter().map(|row| row.line).collect();
            let rows = (1..).zip(rows).filter(|(number, _)| !refused.contains(number));
            let rows: Vec<Option<Value>> = rows.map(|(_, row)| row.as_ref().map(kept)).collect();
            assert_eq!(run.rows().into_iter().map(Some).collect::<Vec<_>>(), rows, "{name}");
        }
        for rejected in &run.rejected {
            serde_json::from_slice::<Value>(&rejected.raw).expect("a rejected row is kept as JSON");
        }
    }
    assert!(verdicts.keys().all(|name| files.iter().any(|(other, _)| other == name)));
}

#[test]
fn old_timestamps_are_read_beyond_the_years_of_nanoseconds() {
    let bytes = read(&corpora().join("parquet-testing/data/int96_from_spark.parquet"));
    let format = Some(TimeFormat::IsoUtc);
    let run = merged(&bytes, vec![Column { format, ..column("a", "timestamp(us, UTC)") }]);
    let instants = [
        json!(1_704_141_296_123_456_i64),
        json!(1_704_070_800_000_000_i64),
        json!(253_402_225_200_000_000_i64),
        json!(1_735_599_600_000_000_i64),
        Value::Null,
    ];
    assert_eq!(run.rows(), instants.map(|instant| json!({ "a": instant })));
    // Without a declared zone nobody knows which instants these are.
    assert_eq!(verdict(&merged(&bytes, vec![column("a", "timestamp(us, UTC)")]), 0), "schema_mismatch");
}

#[test]
fn broken_files_are_refused_and_touch_no_neighbour() {
    let verdicts: BTreeMap<&str, &str> = BAD.into();
    let files = files("parquet-testing/bad_data");
    assert_eq!(files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), BAD.map(|(name, _)| name));
    for (name, bytes) in &files {
        let mut contract = contract(all_columns(name, bytes));
        contract.unknown_fields = UnknownFields::Ignore;
        let run = merge(&spec(contract), &[b"{}\n", bytes, b"{}\n"]);
        let neighbour = InputVerdict::Merged { rows: 1, rejected: 0 };
        assert_eq!((&run.verdicts[0], &run.verdicts[2]), (&neighbour, &neighbour), "{name}");
        assert_eq!(verdict(&run, 1), verdicts[name.as_str()], "{name}");
        let rows = if name.contains("43605") { 21_188 } else { 2 };
        assert_eq!(run.rows().len(), rows, "{name}");
    }
}

/// Every file with any of its bytes changed is merged or refused: it does not panic, and takes no memory or time beyond measure.
#[test]
fn files_that_were_tampered_with_end_in_a_verdict() {
    let mut state = 1_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let all = [files("parquet-testing/data"), files("parquet-testing/bad_data")].concat();
    for (name, bytes) in all.iter().filter(|(name, _)| name.ends_with(".parquet")) {
        let columns = all_columns(name, bytes);
        let rounds = (600_000 / (bytes.len() + 20_000)).max(3);
        for _ in 0..rounds {
            let mut copy = bytes.clone();
            for _ in 0..=random(3) {
                // Footers and the headers of pages are a small part of most files: the end is hit as often as the rest.
                let at = if random(2) == 0 {
                    copy.len() - 1 - random(copy.len().min(800))
                } else {
                    random(copy.len())
                };
                copy[at] = match random(4) {
                    0 => 0xff,
                    1 => 0,
                    _ => copy[at] ^ (1 << random(8)),
                };
            }
            // That it comes back at all is what is tested: what cannot be caught would end the process.
            let run = merged(&copy, columns.clone());
            assert_eq!(run.verdicts.len(), 1, "{name}");
        }
    }
}
