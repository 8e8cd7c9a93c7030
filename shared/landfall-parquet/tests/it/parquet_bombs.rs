//! Hostile Parquet objects: refused within bounds, while their neighbours are delivered.

use std::sync::Arc;

use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use arrow_array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};
use landfall_core::contract::{Contract, UnknownFields};
use landfall_parquet::{Flow, InputInfo, InputVerdict, Merge, OutputEvent, limits};
use serde_json::json;

use crate::kit::{Run, column, contract, files, gzip, merge, merge_slices, rows, spec};
use crate::parquet::{file, write};

const NEIGHBOUR: &[u8] = b"{}\n";

/// The reason for which the second of three inputs is refused; its neighbours are delivered.
fn refused(contract: Contract, bytes: &[u8]) -> &'static str {
    let run: Run = merge(&spec(contract), &[NEIGHBOUR, bytes, NEIGHBOUR]);
    assert_eq!(run.rows().len(), 2);
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[1] else { panic!("{:?}", run.verdicts) };
    quarantine.reason.as_str()
}

fn properties() -> WriterProperties {
    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build()
}

fn batch(name: &str, array: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([(name, array, true)]).unwrap()
}

/// A text of a megabyte in so many rows: the object holds it once.
fn repeated(rows: usize) -> Vec<u8> {
    let text = "x".repeat(1_000_000);
    let part: ArrayRef = Arc::new(StringArray::from(vec![text.as_str(); 50]));
    write(&vec![batch("v", part); rows / 50], properties())
}

#[test]
fn values_that_are_stored_once_and_repeated_without_end_are_refused() {
    let bomb = repeated(1_000);
    assert!(bomb.len() < 100_000);
    assert_eq!(refused(contract(vec![column("v", "string")]), &bomb), "expansion_ratio");
}

#[test]
fn rows_that_hold_nothing_are_bounded_by_the_columns_they_fill() {
    let columns = (0..2_000).map(|n| column(&format!("c{n}"), "decimal(38,0)")).collect();
    let mut wide = contract(columns);
    wide.unknown_fields = UnknownFields::Ignore;
    let bomb = write(&[batch("v", Arc::new(Int64Array::from(vec![7; 1_000_000])))], properties());
    assert!(bomb.len() < 10_000);
    assert_eq!(refused(wide, &bomb), "expansion_ratio");
}

#[test]
fn a_row_of_too_many_elements_is_rejected_alone() {
    let texts = StringArray::from(vec!["x".repeat(1_000_000).as_str(); 150]);
    let item = Arc::new(Field::new("element", DataType::Utf8, true));
    let list = ListArray::new(item, OffsetBuffer::new(vec![0, 149, 150].into()), Arc::new(texts), None);
    let bytes = write(&[batch("v", Arc::new(list))], properties());
    let run = merge(&spec(contract(vec![column("v", "list<string>")])), &[&bytes]);
    assert_eq!(whole(&run), "too_many_rejected", "its text is too long to be kept");
    let mut numbers = contract(vec![column("v", "list<struct<a: decimal(38,0), b: decimal(38,0)>>")]);
    numbers.unknown_fields = UnknownFields::Ignore;
    assert_eq!(refused(numbers, &bytes), "schema_mismatch");
    // A row whose columns take much and whose text takes little.
    let numbers = |many: i32| {
        let values = Int64Array::from(vec![1; usize::try_from(many).unwrap() + 1]);
        let item = Arc::new(Field::new("element", DataType::Int64, true));
        let offsets = OffsetBuffer::new(vec![0, many, many + 1].into());
        write(&[batch("v", Arc::new(ListArray::new(item, offsets, Arc::new(values), None)))], properties())
    };
    let decimals = || contract(vec![column("v", "list<decimal(38,0)>")]);
    let run = merge(&spec(decimals()), &[&numbers(8_000_000)]);
    assert_eq!((run.codes(), run.rows()), (vec!["row_too_large"], vec![json!({"v": ["1e-0"]})]));
    // Lists of a row group are decoded together, whatever row they are of.
    assert_eq!(refused(decimals(), &numbers(20_000_000)), "parquet_page_too_large");
}

fn whole(run: &Run) -> &'static str {
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[0] else { panic!("{:?}", run.verdicts) };
    quarantine.reason.as_str()
}

#[test]
fn an_object_that_is_cut_or_wrapped_is_refused_as_what_it_is() {
    let whole = file(vec![("v", Arc::new(Int64Array::from(vec![1, 2, 3])))]);
    let numbers = || contract(vec![column("v", "int64")]);
    for cut in [4, 5, 11, 12, whole.len() - 9, whole.len() - 1] {
        assert_eq!(refused(numbers(), &whole[..cut]), "parquet_truncated", "{cut}");
    }
    assert_eq!(refused(numbers(), &[&whole[..], b"\n"].concat()), "parquet_truncated");
    assert_eq!(refused(numbers(), &gzip(&whole)), "unsupported_format");
    assert_eq!(refused(numbers(), b"PAR1\0\0\0\0PAR1"), "parquet_footer");
    assert_eq!(refused(numbers(), b"PAR1\xff\xff\xff\xffPAR1"), "parquet_footer");
    let encrypted = [&whole[..whole.len() - 4], b"PARE"].concat();
    assert_eq!(refused(numbers(), &encrypted), "unsupported_format");
}

/// A footer of these bytes, in an object of nothing else.
fn footer(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    [b"PAR1", bytes, &length, b"PAR1"].concat()
}

#[test]
fn footers_that_claim_more_than_they_hold_are_refused() {
    let numbers = || contract(vec![column("v", "int64")]);
    let long = [0xff, 0xff, 0xff, 0xff, 0x07];
    // A list of 2 to the power of 31 elements of the schema, or of row groups; a name as long.
    for bytes in [
        [&[0x29, 0xfc][..], &long].concat(),
        [&[0x49, 0xfc][..], &long].concat(),
        [&[0x29, 0x1c, 0x48][..], &long].concat(),
    ] {
        assert_eq!(refused(numbers(), &footer(&bytes)), "parquet_footer");
    }
    // Groups within groups: each element has the name `a` and one child.
    let element = [0x48, 1, b'a', 0x15, 2, 0];
    let deep = [&[0x29, 0xfc, 0x90, 0x4e][..], &element.repeat(10_000), &[0]].concat();
    assert_eq!(refused(numbers(), &footer(&deep)), "parquet_footer");
    // Structures within structures, in a field that is not read.
    let nested = [&[0xfc_u8][..], &[0x1c].repeat(1_000_000)].concat();
    assert_eq!(refused(numbers(), &footer(&nested)), "parquet_footer");
}

#[test]
fn an_object_above_the_limit_is_settled_when_it_passes_it() {
    let mut merge = Merge::new(spec(contract(vec![column("v", "int64")]))).unwrap();
    let chunk = vec![0; 1024 * 1024];
    let size = limits::PARQUET_BYTES as u64 + 1;
    merge.begin_input(InputInfo { index: 0, key: "k".into(), size }).unwrap();
    assert_eq!(merge.push(b"PAR1aaaaaa").unwrap(), Flow::More);
    let mut pushed = 10;
    while merge.push(&chunk).unwrap() == Flow::More {
        pushed += chunk.len();
        assert!(pushed <= limits::PARQUET_BYTES);
    }
    let InputVerdict::Quarantined(quarantine) = merge.end_input().unwrap() else { panic!("it is refused") };
    assert_eq!(quarantine.reason.as_str(), "object_too_large");
}

#[test]
fn no_row_enters_a_file_before_the_last_is_checked() {
    let strings = || contract(vec![column("v", "string")]);
    // More than waits for one input; well within what it may expand to.
    let large = repeated(200);
    let run = merge(&spec(strings()), &[NEIGHBOUR, &large, NEIGHBOUR]);
    assert_eq!(run.verdicts[1], InputVerdict::Merged { rows: 200, rejected: 0 });
    let long =
        run.rows().iter().filter(|row| row["v"].as_str().is_some_and(|text| text.len() == 1_000_000)).count();
    assert_eq!((long, run.rows().len()), (200, 202));
    let (head, tail) = large.split_at(large.len() / 3);
    assert_eq!(
        merge_slices(&spec(strings()), &[vec![NEIGHBOUR], vec![head, tail], vec![NEIGHBOUR]]).unwrap(),
        run
    );
    // The same with a last row that is none: the object is undone, and nobody has to begin again.
    let text = "x".repeat(1_000_000);
    let mut batches = vec![batch("v", Arc::new(StringArray::from(vec![text.as_str(); 50]))); 4];
    batches.push(batch("v", Arc::new(StringArray::from(vec![Some("last"), None]))));
    let mut strict = strings();
    strict.on_violation = landfall_core::contract::ViolationPolicy::Strict;
    strict.columns[0].nullable = false;
    let run = merge(&spec(strict.clone()), &[b"{\"v\":\"a\"}", &write(&batches, properties())]);
    assert_eq!(run.rows(), [json!({"v": "a"})]);
    assert_eq!(whole_of(&run, 1), "missing_value");
    // Or with a row that is rejected: all others are delivered.
    strict.on_violation = landfall_core::contract::ViolationPolicy::QuarantineRow;
    let run = merge(&spec(strict), &[b"{\"v\":\"a\"}", &write(&batches, properties())]);
    assert_eq!((run.rows().len(), run.codes()), (202, vec!["missing_value"]));
    assert_eq!(run.rejected[0].line, 202);
    assert_eq!(&*run.rejected[0].raw, b"{\"v\":null}");
}

fn whole_of(run: &Run, input: usize) -> &'static str {
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[input] else { panic!("{:?}", run.verdicts) };
    quarantine.reason.as_str()
}

#[test]
fn a_large_object_gives_its_output_bit_by_bit() {
    // Texts that differ, so that the output is as large as they are.
    let texts: Vec<String> = (0..150_u64)
        .map(|n| {
            let mut state = n;
            let words: Vec<String> = (0..125_000)
                .map(|_| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    format!("{:08x}", state >> 32)
                })
                .collect();
            words.concat()
        })
        .collect();
    let object = write(&[batch("v", Arc::new(StringArray::from(texts.clone())))], properties());
    let mut merge = Merge::new(spec(contract(vec![column("v", "string")]))).unwrap();
    merge.begin_input(InputInfo { index: 0, key: "k".into(), size: object.len() as u64 }).unwrap();
    assert_eq!(merge.push(&object).unwrap(), Flow::More);
    let (mut events, mut steps): (Vec<OutputEvent>, _) = (Vec::new(), 0);
    assert!(merge.take_output().is_empty());
    while merge.settle().unwrap() == Flow::More {
        let output = merge.take_output();
        let bytes: usize = output
            .iter()
            .map(|event| if let OutputEvent::Bytes { bytes, .. } = event { bytes.len() } else { 0 })
            .sum();
        assert!(bytes <= 64 * 1024 * 1024, "{bytes}");
        events.extend(output);
        steps += 1;
    }
    assert!(steps > 2, "{steps}");
    assert_eq!(merge.end_input().unwrap(), InputVerdict::Merged { rows: 150, rejected: 0 });
    merge.finish().unwrap();
    events.extend(merge.take_output());
    let found: Vec<_> = files(events).iter().flat_map(|file| rows(&file.bytes)).collect();
    assert!(found.iter().map(|row| row["v"].as_str().unwrap()).eq(texts.iter().map(String::as_str)));
}
