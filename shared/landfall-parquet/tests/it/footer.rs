//! The committer's check of a footer.

use landfall_core::contract::Contract;
use landfall_parquet::validate::{ValidateError, check_footer, footer_bytes};

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
    check_footer(&file[file.len() - length..], file.len() as u64, contract).map(|summary| summary.rows)
}

#[test]
fn a_file_of_the_engine_is_what_its_contract_says() {
    let file = file();
    let length = usize::try_from(footer_bytes(&file[file.len() - 8..]).unwrap()).unwrap();
    let summary = check_footer(&file[file.len() - length..], file.len() as u64, &wide()).unwrap();
    assert_eq!((summary.rows, summary.row_groups), (2, 1));
    assert_eq!(summary.created_by.as_deref(), Some("landfall engine 1"));
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
    let good = check_footer(&file[start..], file.len() as u64, &wide()).unwrap();
    for at in start..file.len() {
        for bit in 0..8 {
            let mut copy = file[start..].to_vec();
            copy[at - start] ^= 1 << bit;
            // Some bytes, such as those of statistics, may change without being noticed; rows and schema may not.
            if let Ok(found) = check_footer(&copy, file.len() as u64, &wide()) {
                assert_eq!(
                    (found.rows, found.row_groups),
                    (good.rows, good.row_groups),
                    "byte {at}, bit {bit}"
                );
            }
        }
    }
    for cut in start + 1..file.len() {
        assert!(check_footer(&file[cut..], file.len() as u64, &wide()).is_err());
    }
    assert!(check_footer(&file[start..], (file.len() - start) as u64, &wide()).is_err(), "no room for data");
    assert!(
        check_footer(&file[start..], (file.len() - start + 4) as u64, &wide()).is_err(),
        "chunks outside the file"
    );
}

#[test]
fn the_tail_tells_how_long_the_footer_is() {
    assert_eq!(footer_bytes(b"\x10\0\0\0PAR1"), Ok(24));
    assert!(footer_bytes(b"\x10\0\0\0PARE").is_err(), "encrypted");
    assert!(footer_bytes(b"\xff\xff\xff\xffPAR1").is_err());
    assert!(footer_bytes(b"PAR1").is_err());
    assert!(check_footer(b"", 100, &wide()).is_err());
}
