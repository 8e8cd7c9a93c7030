//! Which columns a file has a dictionary for.

use landfall_core::contract::Contract;
use parquet::file::metadata::ParquetMetaDataReader;
use std::fmt::Write as _;

use crate::kit::{column, contract, merge_text};

/// Of each leaf column of the only file, whether a dictionary is written, by its path.
fn dictionaries(contract: Contract, text: &str) -> Vec<(String, bool)> {
    let run = merge_text(contract, text);
    assert_eq!((run.codes(), run.files.len()), (vec![], 1));
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&run.files[0].bytes).unwrap();
    let group = metadata.row_group(0);
    group
        .columns()
        .iter()
        .map(|chunk| (chunk.column_path().string(), chunk.dictionary_page_offset().is_some()))
        .collect()
}

fn events() -> Contract {
    contract(vec![
        column("id", "string"),
        column("kind", "string"),
        column("at", "timestamp(us, UTC)"),
        column("parts", "list<struct<n: int64, code: int32>>"),
    ])
}

fn lines(count: u32) -> String {
    let mut text = String::new();
    for n in 1..=count {
        let (kind, minute, second) = (n % 7, n / 60 % 60, n % 60);
        let at = format!("2026-05-19T{:02}:{minute:02}:{second:02}Z", n / 3600);
        writeln!(
            text,
            r#"{{"id":"event-{n}","kind":"k{kind}","at":"{at}","parts":[{{"n":{n}000,"code":{n}}},{{"n":{kind},"code":1}}]}}"#
        )
        .unwrap();
    }
    text
}

#[test]
fn values_that_hardly_repeat_are_written_without_a_dictionary() {
    let found = dictionaries(events(), &lines(2_000));
    let expected = [
        ("id", false),
        ("kind", true),
        ("at", false),
        ("parts.list.element.n", true),
        ("parts.list.element.code", true),
    ];
    assert_eq!(found, expected.map(|(path, there)| (path.to_owned(), there)));
}

#[test]
fn a_few_rows_say_too_little_to_give_a_dictionary_up() {
    assert!(dictionaries(events(), &lines(127)).iter().all(|(_, there)| *there));
    assert!(dictionaries(events(), &lines(128)).iter().any(|(_, there)| !there));
}
