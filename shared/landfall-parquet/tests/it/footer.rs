//! The committer's check of a footer.

use landfall_core::contract::Contract;
use landfall_parquet::validate::{ValidateError, check_footer, footer_bytes};
use parquet::file::metadata::{ColumnChunkMetaDataBuilder, ParquetMetaDataReader, ParquetMetaDataWriter};

use crate::kit::{column, contract, merge_text};

fn wide() -> Contract {
    contract(vec![
        column("a", "int8"),
        column("b", "decimal(20,3)"),
        column("c", "timestamp(us, UTC)"),
        column("d", "list<struct<x: uint32, y: map<string, time(ms)>>>"),
        column("e", "json"),
        column("f", "binary"),
    ])
}

fn file() -> Vec<u8> {
    merge_text(wide(), "{\"a\":1}\n{\"a\":2}\n").files[0].bytes.to_vec()
}

fn check(file: &[u8], contract: &Contract) -> Result<u64, ValidateError> {
    let tail = &file[file.len() - 8..];
    let length = usize::try_from(footer_bytes(tail)?).unwrap();
    check_footer(&file[file.len() - length..], file.len() as u64, &contract.file_columns())
        .map(|summary| summary.rows)
}

#[test]
fn a_file_of_the_engine_is_what_its_contract_says() {
    let file = file();
    let length = usize::try_from(footer_bytes(&file[file.len() - 8..]).unwrap()).unwrap();
    let summary =
        check_footer(&file[file.len() - length..], file.len() as u64, &wide().file_columns()).unwrap();
    assert_eq!((summary.rows, summary.row_groups), (2, 1));
    assert_eq!(summary.created_by.as_deref(), Some("landfall version 6 (build engine-6)"));
    let metadata: Vec<(&str, &str)> =
        summary.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let intent = "ab".repeat(32);
    assert_eq!(
        metadata,
        [
            ("landfall.delivery", "clicks"),
            ("landfall.intent", intent.as_str()),
            ("landfall.job_id", "job1"),
            ("landfall.schema_version", "3"),
        ]
    );
}

#[test]
fn any_other_schema_is_refused() {
    let file = file();
    let mut changes: Vec<Contract> = Vec::new();
    for change in [
        |contract: &mut Contract| contract.columns[0].nullable = false,
        |contract: &mut Contract| contract.columns[0].name = "z".into(),
        |contract: &mut Contract| contract.columns[0].data_type = "int16".parse().unwrap(),
        |contract: &mut Contract| contract.columns[1].data_type = "decimal(20,2)".parse().unwrap(),
        |contract: &mut Contract| contract.columns[2].data_type = "timestamp(ms, UTC)".parse().unwrap(),
        |contract: &mut Contract| contract.columns.swap(4, 5),
        |contract: &mut Contract| contract.columns.truncate(5),
        |contract: &mut Contract| contract.columns.push(column("g", "int8")),
    ] {
        let mut other = wide();
        change(&mut other);
        changes.push(other);
    }
    for other in changes {
        assert!(matches!(check(&file, &other), Err(ValidateError::Schema(_))), "{other:?}");
    }
    assert_eq!(check(&file, &wide()), Ok(2));
}

#[test]
fn a_damaged_footer_is_refused_without_a_panic() {
    let file = file();
    let start = file.len() - usize::try_from(footer_bytes(&file[file.len() - 8..]).unwrap()).unwrap();
    let good = check_footer(&file[start..], file.len() as u64, &wide().file_columns()).unwrap();
    for at in start..file.len() {
        for bit in 0..8 {
            let mut copy = file[start..].to_vec();
            copy[at - start] ^= 1 << bit;
            // Some bytes, such as those of statistics, may change without being noticed; rows and schema may not.
            if let Ok(found) = check_footer(&copy, file.len() as u64, &wide().file_columns()) {
                assert_eq!(
                    (found.rows, found.row_groups),
                    (good.rows, good.row_groups),
                    "byte {at}, bit {bit}"
                );
            }
        }
    }
    for cut in start + 1..file.len() {
        assert!(check_footer(&file[cut..], file.len() as u64, &wide().file_columns()).is_err());
    }
    assert!(
        check_footer(&file[start..], (file.len() - start) as u64, &wide().file_columns()).is_err(),
        "no room for data"
    );
    assert!(
        check_footer(&file[start..], (file.len() - start + 4) as u64, &wide().file_columns()).is_err(),
        "chunks outside the file"
    );
}

#[test]
fn the_tail_tells_how_long_the_footer_is() {
    assert_eq!(footer_bytes(b"\x10\0\0\0PAR1"), Ok(24));
    assert!(footer_bytes(b"\x10\0\0\0PARE").is_err(), "encrypted");
    assert!(footer_bytes(b"\xff\xff\xff\xffPAR1").is_err());
    assert!(footer_bytes(b"PAR1").is_err());
    assert!(check_footer(b"", 100, &wide().file_columns()).is_err());
}

/// A number of Thrift's compact protocol.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

/// Checks a footer of these bytes, as if a large file stood before it.
fn check_bytes(footer: &[u8], contract: &Contract) -> Result<(), ValidateError> {
    let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
    check_footer(&[footer, &length, b"PAR1"].concat(), 1 << 40, &contract.file_columns()).map(drop)
}

/// Version 1, and the header of a schema of so many elements.
fn schema_begins(elements: u64) -> Vec<u8> {
    [&[0x15, 2, 0x19, 0xfc][..], &varint(elements)].concat()
}

/// The element of a group with one child.
const GROUP: [u8; 6] = [0x48, 1, b'g', 0x15, 2, 0];

#[test]
fn a_footer_that_claims_too_much_is_refused_before_memory_is_reserved() {
    let one = contract(vec![column("v", "int8")]);
    let schema = [
        &schema_begins(2)[..],
        &[0x48, 1, b'g', 0x15, 2, 0],
        &[0x15, 2, 0x25, 2, 0x18, 1, b'v', 0],
        &[0x16, 0],
    ]
    .concat();
    for count in [(1 << 31) - 1, 1 << 31, u64::MAX] {
        assert!(check_bytes(&schema_begins(count), &one).is_err());
        let groups = [&schema[..], &[0x19, 0xfc], &varint(count)].concat();
        let Err(ValidateError::Footer(message)) = check_bytes(&groups, &one) else { panic!("{count}") };
        assert_eq!(message, "a list is longer than it may be");
        // A second list of row groups, and one of key-value pairs.
        let again = [&schema[..], &[0x19, 0x0c, 0x09, 8, 0xfc], &varint(count)].concat();
        assert!(check_bytes(&again, &one).is_err());
        let pairs = [&schema[..], &[0x19, 0x0c, 0x19, 0xfc], &varint(count), &[0; 4096]].concat();
        assert!(check_bytes(&pairs, &one).is_err());
    }
}

#[test]
fn a_schema_of_many_levels_is_refused_before_it_is_followed() {
    let deep = [schema_begins(100_000), GROUP.repeat(100_000)].concat();
    assert!(matches!(check_bytes(&deep, &wide()), Err(ValidateError::Schema(_))));
    // As many elements as the contract has, in another shape.
    let columns: Vec<_> = (0..5_000).map(|n| column(&format!("c{n}"), "int8")).collect();
    let flat = contract(columns);
    let deep = [schema_begins(5_001), GROUP.repeat(5_001)].concat();
    assert!(matches!(check_bytes(&deep, &flat), Err(ValidateError::Schema(_))));
}

/// The footer of a file of one flat column and one list, changed and written again.
fn rewritten(
    change: impl Fn(ColumnChunkMetaDataBuilder) -> ColumnChunkMetaDataBuilder,
) -> Result<u64, ValidateError> {
    let contract = contract(vec![column("v", "int8"), column("l", "list<int8>")]);
    let file = merge_text(contract.clone(), "{\"v\":1,\"l\":[1,2]}\n{\"v\":2}\n").files[0].bytes.clone();
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
    let mut builder = metadata.clone().into_builder();
    let groups = builder.take_row_groups().into_iter().map(|group| {
        let mut group = group.into_builder();
        let mut columns = group.take_columns();
        let first = columns.remove(0);
        columns.insert(0, change(first.into_builder()).build().unwrap());
        group.set_column_metadata(columns).build().unwrap()
    });
    let changed = builder.set_row_groups(groups.collect()).build();
    let mut footer = Vec::new();
    ParquetMetaDataWriter::new(&mut footer, &changed).finish().unwrap();
    let length = usize::try_from(footer_bytes(&footer[footer.len() - 8..]).unwrap()).unwrap();
    let footer = &footer[footer.len() - length..];
    check_footer(footer, file.len() as u64, &contract.file_columns()).map(|summary| summary.rows)
}

#[test]
fn what_a_footer_says_of_its_columns_must_fit_the_file() {
    assert_eq!(rewritten(|column| column), Ok(2));
    let refused = |message: &str, found: Result<u64, ValidateError>| {
        assert_eq!(found, Err(ValidateError::Inconsistent(message.to_owned())));
    };
    let outside = "an index of a column chunk lies outside the file";
    refused(outside, rewritten(|c| c.set_column_index_offset(Some(1 << 40))));
    refused(outside, rewritten(|c| c.set_column_index_length(Some(i32::MAX))));
    refused(outside, rewritten(|c| c.set_column_index_length(None)));
    refused(outside, rewritten(|c| c.set_offset_index_offset(Some(0))));
    refused(outside, rewritten(|c| c.set_offset_index_offset(Some(-1))));
    refused(outside, rewritten(|c| c.set_offset_index_length(Some(-1))));
    refused("a column chunk lies in another file", rewritten(|c| c.set_file_path("other".into())));
    refused("a column chunk has not a value for each row", rewritten(|c| c.set_num_values(3)));
    refused("a column chunk has not a value for each row", rewritten(|c| c.set_num_values(1)));
    refused("a column chunk lies outside the file", rewritten(|c| c.set_data_page_offset(1 << 40)));
    refused("a column chunk lies outside the file", rewritten(|c| c.set_total_compressed_size(-1)));
}
