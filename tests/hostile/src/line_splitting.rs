//! Decoded bytes into records: lines, or the elements of an array.

use landfall_core::contract::DuplicateKeys;
use landfall_parquet::{InputVerdict, check_document};

use crate::merging::{lengths_and_bytes, merge, merged_any_way, nothing_fits, sliced};

/// Three bytes are lengths of slices, the rest is an object.
pub fn line_splitting(data: &[u8]) {
    let Some((lengths, object)) = lengths_and_bytes(data) else { return };
    let contract = nothing_fits();
    merged_any_way(&contract, object, lengths);

    // A first line that is a record says that these are lines, whatever follows.
    let object = [b"{}\n", object].concat();
    let lines: Vec<&[u8]> = object.split(|byte| *byte == b'\n').collect();
    let outcome = merge(&contract, &[sliced(&object, &lengths)]);
    let expected: Vec<(u64, &[u8])> =
        (1..).zip(lines.iter().copied()).filter(|(_, line)| !is_blank(line)).collect();
    let found: Vec<(u64, &[u8])> = outcome.rejected.iter().map(|row| (row.line, &*row.raw)).collect();
    assert_eq!(found, expected, "lines are what stands between newlines");
    let rejected = expected.len() as u64;
    assert_eq!(outcome.verdicts, [InputVerdict::Merged { rows: 0, rejected }]);

    // The same records as an array.
    let records: Vec<&[u8]> = lines.into_iter().filter(|line| is_document(line)).collect();
    let array = [b"[", records.join(&b","[..]).as_slice(), b"]"].concat();
    let outcome = merge(&contract, &[sliced(&array, &lengths)]);
    let expected: Vec<&[u8]> = records.iter().map(|record| trimmed(record)).collect();
    let found: Vec<&[u8]> = outcome.rejected.iter().map(|row| &*row.raw).collect();
    assert_eq!(found, expected, "elements are what stands between commas");
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| is_space(*byte))
}

fn is_document(line: &[u8]) -> bool {
    check_document(line, DuplicateKeys::Refuse).is_ok()
}

fn trimmed(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| !is_space(*byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !is_space(*byte)).map_or(start, |last| last + 1);
    line.get(start..end).unwrap_or_default()
}
