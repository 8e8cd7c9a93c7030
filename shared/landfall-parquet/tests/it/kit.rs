//! Builders and readers of the tests: the only place that knows the engine's calls and arrow's arrays.

use std::io::{Read as _, Write as _};

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time64MicrosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use bytes::Bytes;
use landfall_core::contract::{Column, Contract, DuplicateKeys, UnknownFields, ViolationPolicy};
use landfall_core::delivery::PinnedConfig;
use landfall_core::layout::{Layout, PartitionLevel, PartitionSource, PartitionTransform};
use landfall_parquet::{
    FinishedFile, Flow, Inference, InputInfo, InputVerdict, Merge, MergeError, MergeSpec, OutputEvent,
    RejectedRow, Unpacker,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value, json};

/// A column without rules, nullable.
pub(crate) fn column(name: &str, data_type: &str) -> Column {
    Column::new(name, data_type.parse().expect(data_type))
}

/// A contract with the default policies.
pub(crate) fn contract(columns: Vec<Column>) -> Contract {
    Contract {
        version: 3,
        on_violation: ViolationPolicy::QuarantineRow,
        unknown_fields: UnknownFields::Violation,
        duplicate_keys: DuplicateKeys::Refuse,
        columns,
        unique_key: Vec::new(),
        tracking: None,
    }
}

/// A merge without partitions, with a target that no test reaches by accident.
pub(crate) fn spec(contract: Contract) -> MergeSpec {
    MergeSpec {
        config: PinnedConfig {
            version: 1,
            engine: "1".into(),
            delivery: "clicks".into(),
            dataset: "clicks".into(),
            bucket: "lake".into(),
            prefix: "clicks/".into(),
            temp_prefix: "_tmp/clicks/".into(),
            contract,
            glue: None,
            layout: Layout::default(),
        },
        job_id: "job1".into(),
        intent_hash: "ab".repeat(32),
        planned_at: "2026-05-19T10:15:00Z".parse().unwrap(),
        partition: Vec::new(),
        drift_from: 0,
    }
}

/// A level that reads a column of the record.
pub(crate) fn level(name: &str, field: &str, transform: PartitionTransform) -> PartitionLevel {
    PartitionLevel {
        name: Some(name.into()),
        source: PartitionSource::Column,
        field: Some(field.into()),
        transform,
    }
}

/// What a merge came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) verdicts: Vec<InputVerdict>,
    pub(crate) files: Vec<File>,
    pub(crate) rejected: Vec<RejectedRow>,
    pub(crate) rescued: u64,
}

/// A finished file with its bytes.
#[derive(Debug, PartialEq)]
pub(crate) struct File {
    pub(crate) finished: FinishedFile,
    pub(crate) bytes: Bytes,
}

impl File {
    /// The text of a file of lines, as a reader of its ending decompresses it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        match self.ending() {
            "gz" => {
                flate2::read::GzDecoder::new(&self.bytes[..]).read_to_string(&mut text).unwrap();
            }
            "zst" => text = String::from_utf8(zstd::decode_all(&self.bytes[..]).unwrap()).unwrap(),
            _ => text = String::from_utf8(self.bytes.to_vec()).unwrap(),
        }
        text
    }

    /// What its name ends with.
    pub(crate) fn ending(&self) -> &str {
        self.finished.relative_key.rsplit('.').next().unwrap_or_default()
    }
}

impl Run {
    /// All rows of all files, as JSON objects.
    pub(crate) fn rows(&self) -> Vec<Value> {
        self.files.iter().flat_map(|file| rows(&file.bytes)).collect()
    }

    /// Codes of the rejected rows.
    pub(crate) fn codes(&self) -> Vec<&'static str> {
        self.rejected.iter().map(|row| row.code.as_str()).collect()
    }
}

/// Merges inputs, each given in slices: encoded where they are read, and again by a thread, to the same result.
pub(crate) fn merge_slices(spec: &MergeSpec, inputs: &[Vec<&[u8]>]) -> Result<Run, MergeError> {
    let here = run(Merge::new(spec.clone())?, inputs);
    same(&here, &run(Merge::with_encoding_thread(spec.clone())?, inputs), "the thread");
    same(&here, &run_whole(Merge::new(spec.clone())?, inputs), "unpacking ahead");
    here
}

fn same(left: &Result<Run, MergeError>, right: &Result<Run, MergeError>, what: &str) {
    match (left, right) {
        (Ok(left), Ok(right)) => assert_eq!(left, right, "{what} changes nothing"),
        (left, right) => assert_eq!(format!("{left:?}"), format!("{right:?}"), "{what} changes nothing"),
    }
}

/// Merges inputs that are unpacked before.
fn run_whole(merge: Merge, inputs: &[Vec<&[u8]>]) -> Result<Run, MergeError> {
    let mut unpacker = Unpacker::default();
    // Memory of another object, which must not show.
    let mut other = gzip(&[b'x'; 1000]);
    let spent = unpacker.unpack(&mut other);
    unpacker.reuse(spent);
    let objects: Vec<_> = inputs.iter().map(|slices| unpacker.unpack(&mut slices.concat())).collect();
    run_with(
        merge,
        objects.len(),
        |merge, index| {
            merge.push_whole(&objects[index])?;
            Ok(merge.take_output())
        },
        |index| objects[index].staged_bytes(),
    )
}

fn run(merge: Merge, inputs: &[Vec<&[u8]>]) -> Result<Run, MergeError> {
    let push = |merge: &mut Merge, index: usize| {
        let mut events = Vec::new();
        for slice in &inputs[index] {
            if merge.push(slice)? == Flow::Settled {
                break;
            }
            events.append(&mut merge.take_output());
        }
        Ok(events)
    };
    run_with(merge, inputs.len(), push, |index| inputs[index].iter().map(|slice| slice.len() as u64).sum())
}

fn run_with(
    mut merge: Merge,
    inputs: usize,
    push: impl Fn(&mut Merge, usize) -> Result<Vec<OutputEvent>, MergeError>,
    size: impl Fn(usize) -> u64,
) -> Result<Run, MergeError> {
    let mut run = Run { verdicts: Vec::new(), files: Vec::new(), rejected: Vec::new(), rescued: 0 };
    let mut events = Vec::new();
    for index in 0..inputs {
        merge.begin_input(InputInfo { index, key: format!("in/{index}"), size: size(index) })?;
        events.append(&mut push(&mut merge, index)?);
        run.verdicts.push(merge.end_input()?);
        events.append(&mut merge.take_output());
        run.rejected.append(&mut merge.take_rejected());
    }
    while merge.settle_files()? == Flow::More {
        events.append(&mut merge.take_output());
    }
    merge.finish()?;
    events.append(&mut merge.take_output());
    run.files = files(events);
    run.rescued = merge.rescued();
    Ok(run)
}

/// Puts the events of a merge together, checking that they are in order.
pub(crate) fn files(events: Vec<OutputEvent>) -> Vec<File> {
    let mut open = std::collections::BTreeMap::new();
    let mut files = Vec::new();
    for event in events {
        match event {
            OutputEvent::Opened(opened) => {
                assert!(open.insert(opened.seq, (opened, Vec::new())).is_none());
            }
            OutputEvent::Bytes { seq, bytes } => {
                open.get_mut(&seq).expect("opened").1.extend_from_slice(&bytes);
            }
            OutputEvent::Finished(finished) => {
                let (opened, bytes) = open.remove(&finished.seq).expect("opened");
                assert_eq!(opened.relative_key, finished.relative_key);
                assert_eq!(opened.partition, finished.partition);
                assert_eq!(finished.bytes, bytes.len() as u64);
                assert_eq!(finished.crc64nvme, crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &bytes));
                assert_eq!(finished.index as usize, files.len());
                files.push(File { finished, bytes: bytes.into() });
            }
        }
    }
    assert!(open.is_empty(), "every opened file is finished");
    for file in &files {
        let found =
            if file.ending() == "parquet" { rows(&file.bytes).len() } else { file.text().lines().count() };
        assert_eq!(file.finished.rows, found as u64);
    }
    files
}

/// A text in slices that end at these places, each taken modulo its length.
pub(crate) fn cut(text: &str, places: Vec<usize>) -> Vec<&[u8]> {
    let mut places: Vec<usize> = places.into_iter().map(|place| place % text.len()).collect();
    places.sort_unstable();
    let mut slices = Vec::new();
    let mut start = 0;
    for place in places {
        slices.push(&text.as_bytes()[start..place]);
        start = place;
    }
    slices.push(&text.as_bytes()[start..]);
    slices
}

/// Merges whole inputs.
pub(crate) fn merge(spec: &MergeSpec, inputs: &[&[u8]]) -> Run {
    let inputs: Vec<Vec<&[u8]>> = inputs.iter().map(|input| vec![*input]).collect();
    merge_slices(spec, &inputs).expect("a merge that ends")
}

/// Merges one text under a contract.
pub(crate) fn merge_text(contract: Contract, text: &str) -> Run {
    merge(&spec(contract), &[text.as_bytes()])
}

/// One line for each number.
pub(crate) fn lines(numbers: impl IntoIterator<Item = i64>, line: impl Fn(i64) -> String) -> String {
    let mut text = String::new();
    for number in numbers {
        text.push_str(&line(number));
        text.push('\n');
    }
    text
}

/// Gzip of one member.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The rows of a Parquet file.
pub(crate) fn rows(file: &Bytes) -> Vec<Value> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap().build().unwrap();
    reader.flat_map(|batch| batch_rows(&batch.unwrap())).collect()
}

fn batch_rows(batch: &RecordBatch) -> Vec<Value> {
    let schema = batch.schema();
    (0..batch.num_rows())
        .map(|row| {
            let pairs = schema.fields().iter().zip(batch.columns());
            Value::Object(
                pairs.map(|(field, array)| (field.name().clone(), cell(array.as_ref(), row))).collect(),
            )
        })
        .collect()
}

/// Bytes as two hex digits each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// One value: decimals as `{unscaled, scale}` text, instants and times as their number, binary as hex.
pub(crate) fn cell(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Int8 => json!(array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => json!(array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => json!(array.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => json!(array.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => json!(array.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => json!(array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => json!(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => json!(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => {
            json!(format!("{}e-{scale}", array.as_primitive::<Decimal128Type>().value(row)))
        }
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::Binary => json!(hex(array.as_binary::<i32>().value(row))),
        DataType::Date32 => json!(array.as_primitive::<Date32Type>().value(row)),
        DataType::Time32(TimeUnit::Millisecond) => {
            json!(array.as_primitive::<Time32MillisecondType>().value(row))
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            json!(array.as_primitive::<Time64MicrosecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Millisecond, Some(zone)) if &**zone == "UTC" => {
            json!(array.as_primitive::<TimestampMillisecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => {
            json!(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|index| cell(items.as_ref(), index)).collect()
        }
        DataType::Struct(fields) => {
            let members = array.as_struct();
            let pairs = fields.iter().zip(members.columns());
            Value::Object(
                pairs.map(|(field, values)| (field.name().clone(), cell(values.as_ref(), row))).collect(),
            )
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let keys = entries.column(0).as_string::<i32>();
            let values = entries.column(1);
            let pairs =
                (0..entries.len()).map(|index| (keys.value(index).to_owned(), cell(values.as_ref(), index)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        other => panic!("no engine type gives {other}"),
    }
}

/// What is known of these inputs, given in small pieces.
pub(crate) fn infer(inputs: &[&[u8]]) -> Inference {
    let mut inference = Inference::new();
    for input in inputs {
        inference.begin_input();
        input.chunks(5).for_each(|chunk| inference.push(chunk));
        inference.end_input();
    }
    inference
}
