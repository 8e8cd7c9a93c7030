//! Parquet objects that others wrote, or that only begin like one.

use landfall_core::contract::{Contract, ViolationPolicy};
use landfall_parquet::InputVerdict;
use landfall_parquet::validate::{TAIL_BYTES, check_footer, footer_bytes};

use crate::merging::{column, contract, merge};

/// The bytes are an object, read under a contract that wants its columns and under one that rescues whatever it has.
pub fn parquet_input(object: &[u8]) {
    let mut wanted = contract(vec![
        column("n", "int32"),
        column("i", "int64"),
        column("s", "string"),
        column("b", "binary"),
        column("d", "decimal(20,4)"),
        column("f", "float64"),
        column("day", "date"),
        column("at", "timestamp(us, UTC)"),
        column("j", "json"),
        column("l", "list<int64>"),
        column("t", "struct<x: string, y: list<string>>"),
        column("m", "map<string, int64>"),
    ]);
    check(&wanted, object);
    wanted.on_violation = ViolationPolicy::Rescue;
    check(&wanted, object);
}

/// Merges the object between two neighbours, to which nothing may happen.
fn check(contract: &Contract, object: &[u8]) {
    let neighbour = b"{\"n\":1}\n".as_slice();
    let outcome = merge(contract, &[vec![neighbour], vec![object], vec![neighbour]]);
    let fine = InputVerdict::Merged { rows: 1, rejected: 0 };
    assert_eq!((outcome.verdicts.first(), outcome.verdicts.last()), (Some(&fine), Some(&fine)));
    assert_eq!(
        outcome,
        merge(contract, &[vec![neighbour], vec![object], vec![neighbour]]),
        "a verdict is for good"
    );
    for row in &outcome.rejected {
        if object.starts_with(b"PAR1") {
            serde_json::from_slice::<serde::de::IgnoredAny>(&row.raw).expect("a rejected row is JSON text");
        }
    }
    outcome.batches();
    for file in &outcome.files {
        let size = file.len() as u64;
        let tail = file.len().checked_sub(usize::try_from(TAIL_BYTES).expect("eight"));
        let footer =
            footer_bytes(tail.and_then(|tail| file.get(tail..)).expect("a tail")).expect("our own footer");
        let begin = usize::try_from(size.checked_sub(footer).expect("within the file")).expect("memory");
        let checked = check_footer(file.get(begin..).expect("a footer"), size, &contract.file_columns());
        assert!(checked.is_ok(), "the committer refuses what the engine wrote: {checked:?}");
    }
}
