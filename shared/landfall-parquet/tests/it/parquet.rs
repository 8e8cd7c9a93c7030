//! Parquet objects as inputs: whatever the `parquet` crate writes is read back, as rows or as rejects.

use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use ::parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, Type as Physical, ZstdLevel};
use ::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use arrow_array::{ArrayRef, RecordBatch};
use bytes::Bytes;
use landfall_parquet::InputVerdict;
use proptest::prelude::*;
use serde_json::Value;

use crate::kit::{self, contract, gzip, merge, merge_slices, spec};
use crate::round_trip::{columns, dataset};

/// A file of named columns.
pub(crate) fn file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    );
    write(&[batch.unwrap()], WriterProperties::default())
}

/// A file of batches.
pub(crate) fn write(batches: &[RecordBatch], properties: WriterProperties) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batches[0].schema(), Some(properties)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

/// The batches of a file.
pub(crate) fn batches(file: &Bytes) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

/// What a writer may decide.
#[derive(Debug, Clone)]
struct Choices {
    codec: u8,
    newer: bool,
    dictionary: bool,
    encodings: Vec<u8>,
    page_rows: usize,
    group_rows: usize,
    checksums: bool,
}

fn choices() -> impl Strategy<Value = Choices> {
    let encodings = prop::collection::vec(0..4_u8, 8);
    (0..6_u8, any::<bool>(), any::<bool>(), encodings, 1..7_usize, 1..12_usize, any::<bool>()).prop_map(
        |(codec, newer, dictionary, encodings, page_rows, group_rows, checksums)| Choices {
            codec,
            newer,
            dictionary,
            encodings,
            page_rows,
            group_rows,
            checksums,
        },
    )
}

fn properties(choices: &Choices, batch: &RecordBatch) -> WriterProperties {
    let codec = match choices.codec {
        0 => Compression::UNCOMPRESSED,
        1 => Compression::SNAPPY,
        2 => Compression::GZIP(GzipLevel::default()),
        3 => Compression::ZSTD(ZstdLevel::default()),
        4 => Compression::LZ4,
        _ => Compression::LZ4_RAW,
    };
    let version = if choices.newer { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 };
    let mut builder = WriterProperties::builder()
        .set_compression(codec)
        .set_writer_version(version)
        .set_dictionary_enabled(choices.dictionary)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_data_page_row_count_limit(choices.page_rows)
        .set_write_batch_size(1)
        .set_write_page_header_statistics(choices.checksums)
        .set_max_row_group_row_count(Some(choices.group_rows));
    let schema = ArrowSchemaConverter::new().convert(&batch.schema()).unwrap();
    for (leaf, choice) in schema.columns().iter().zip(choices.encodings.iter().cycle()) {
        let possible: &[Encoding] = match leaf.physical_type() {
            Physical::BOOLEAN => &[Encoding::PLAIN, Encoding::RLE],
            Physical::INT32 | Physical::INT64 => {
                &[Encoding::PLAIN, Encoding::DELTA_BINARY_PACKED, Encoding::BYTE_STREAM_SPLIT]
            }
            Physical::FLOAT | Physical::DOUBLE => &[Encoding::PLAIN, Encoding::BYTE_STREAM_SPLIT],
            Physical::BYTE_ARRAY => {
                &[Encoding::PLAIN, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY]
            }
            Physical::FIXED_LEN_BYTE_ARRAY => {
                &[Encoding::PLAIN, Encoding::DELTA_BYTE_ARRAY, Encoding::BYTE_STREAM_SPLIT]
            }
            Physical::INT96 => &[Encoding::PLAIN],
        };
        let encoding = possible[usize::from(*choice) % possible.len()];
        builder = builder.set_column_encoding(leaf.path().clone(), encoding);
    }
    builder.build()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Random contracts, random rows, every codec, encoding and form of page: equal rows.
    #[test]
    fn whatever_is_written_is_read_back((types, records) in dataset(), choices in choices(), cut in 1..300_usize) {
        let spec = spec(contract(columns(&types)));
        let (texts, values): (Vec<String>, Vec<Value>) = records.into_iter().unzip();
        let first = merge(&spec, &[texts.join("\n").as_bytes()]);
        prop_assert_eq!(&first.rejected, &[]);
        let batches = batches(&first.files[0].bytes);
        let file = write(&batches, properties(&choices, &batches[0]));
        let whole = merge(&spec, &[&file]);
        prop_assert_eq!(&whole.rejected, &[]);
        prop_assert_eq!(&whole.verdicts, &first.verdicts);
        prop_assert_eq!(whole.rows(), values);
        let sliced = merge_slices(&spec, &[file.chunks(cut).collect()]).unwrap();
        prop_assert!(whole == sliced);
    }

    /// The same rows in every form an input may have: the same rows come out, and of all forms of text the same bytes.
    #[test]
    fn the_form_of_an_input_does_not_matter((types, records) in dataset()) {
        let spec = spec(contract(columns(&types)));
        let (texts, values): (Vec<String>, Vec<Value>) = records.into_iter().unzip();
        let lines = texts.join("\n").into_bytes();
        let array = format!("[{}]", texts.join(",\n")).into_bytes();
        let zstd = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).unwrap();
        let by_lines = merge(&spec, &[&lines]);
        prop_assert_eq!(by_lines.rows(), values.clone());
        for input in [gzip(&lines), zstd(&lines), array.clone(), gzip(&array), zstd(&array)] {
            prop_assert!(merge(&spec, &[&input]) == by_lines);
        }
        // A file of the engine is an input as any other, beside all of them.
        let own = &by_lines.files[0].bytes;
        let all = merge(&spec, &[own, &array, own, &lines]);
        prop_assert_eq!(all.rows(), [values.clone(), values.clone(), values.clone(), values].concat());
    }
}

#[test]
fn an_object_without_rows_is_empty() {
    let none: ArrayRef = Arc::new(arrow_array::Int64Array::from(Vec::<i64>::new()));
    let run = merge(&spec(contract(vec![kit::column("v", "int64")])), &[&file(vec![("v", none)])]);
    assert_eq!(run.verdicts, [landfall_parquet::InputVerdict::Empty]);
}

/// Writers leave the values of a page of version 2 as they are where the codec gains nothing.
#[test]
fn pages_that_are_not_compressed_are_read_whatever_the_codec() {
    let mut noise = 1_u64;
    let mut texts = Vec::new();
    for _ in 0..8 {
        let text = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from_u32(0x4e00 + u32::try_from(noise >> 50).unwrap()).unwrap()
        });
        texts.push(text.take(200_000).collect::<String>());
    }
    let small: ArrayRef = Arc::new(arrow_array::StringArray::from_iter_values(["a"]));
    let large: ArrayRef = Arc::new(arrow_array::StringArray::from_iter_values(&texts));
    for codec in [
        Compression::BROTLI(BrotliLevel::default()),
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::SNAPPY,
        Compression::LZ4_RAW,
    ] {
        for (values, dictionary) in [(&small, true), (&small, false), (&large, false)] {
            let properties = WriterProperties::builder()
                .set_writer_version(WriterVersion::PARQUET_2_0)
                .set_dictionary_enabled(dictionary)
                .set_compression(codec);
            let batch = RecordBatch::try_from_iter_with_nullable([("v", values.clone(), true)]).unwrap();
            let object = write(&[batch], properties.build());
            let run = merge(&spec(contract(vec![kit::column("v", "string")])), &[&object]);
            let rows = values.len() as u64;
            assert_eq!(run.verdicts, [InputVerdict::Merged { rows, rejected: 0 }], "{codec:?}");
        }
    }
}

/// What our own encoder of Brotli writes is stored only: this object is of another writer (PyArrow 26, level 9, one page).
#[test]
fn pages_that_brotli_compressed_are_read() {
    let object = include_bytes!("../fixtures/brotli.parquet");
    let run = merge(&spec(contract(vec![kit::column("v", "string")])), &[object]);
    let words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    let text = |row: usize| format!("{} and {}, number {row}", words[row % 10], words[(row * 7 + 3) % 10]);
    let expected: Vec<Value> = (0..300).map(|row| serde_json::json!({ "v": text(row) })).collect();
    assert_eq!(run.rows(), expected);
}
