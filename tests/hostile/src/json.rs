//! The strict reader of JSON, beside `serde_json`.
//!
//! | what `serde_json` takes, or leaves to its caller | the engine |
//! |---|---|
//! | nesting beyond [`DEPTH`] | `too_deep` |
//! | a key that stands twice | `duplicate_key`, unless the last one wins |
//! | half a surrogate pair, in a text that nobody reads | `invalid_json` |
//! | a number beyond `f64`: refused when it is read | well-formed: its column decides |

use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use landfall_core::contract::DuplicateKeys;
use landfall_parquet::limits::DEPTH;
use landfall_parquet::{DocumentFault, InputVerdict, ViolationCode, check_document};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::merging::{column, contract, merge};

/// The bytes are one document.
pub fn json(document: &[u8]) {
    let verdict = check_document(document, DuplicateKeys::Refuse);
    let last_wins = check_document(document, DuplicateKeys::LastWins);
    for fault in [&verdict, &last_wins].into_iter().filter_map(|verdict| verdict.as_ref().err()) {
        assert!(fault.byte_offset <= document.len(), "{fault}: the place lies in the document");
    }
    compare(document, &verdict, &last_wins);
    // A record that is no JSON is that, whichever key stands twice before it turns out.
    let first = if last_wins.is_err() { &last_wins } else { &verdict };
    as_record(document, first, DuplicateKeys::Refuse);
    as_record(document, &last_wins, DuplicateKeys::LastWins);
}

fn compare(document: &[u8], verdict: &Result<(), DocumentFault>, last_wins: &Result<(), DocumentFault>) {
    let text = match std::str::from_utf8(document) {
        Ok(text) => text,
        Err(error) => {
            for verdict in [verdict, last_wins] {
                let fault = verdict.as_ref().expect_err("other than UTF-8");
                assert_eq!(
                    (fault.code, fault.byte_offset),
                    (ViolationCode::InvalidUtf8, error.valid_up_to())
                );
            }
            return;
        }
    };
    let shape = serde_json::from_str::<IgnoredAny>(text);
    match verdict.as_ref().map_err(|fault| fault.code) {
        Ok(()) => {
            assert!(shape.is_ok(), "taken, and serde_json says {shape:?}");
            assert!(deepest(document) <= DEPTH);
            assert_eq!(last_wins, &Ok(()), "what has no key twice has no last one");
        }
        Err(ViolationCode::InvalidJson) => {
            let read = serde_json::from_str::<Value>(text);
            assert!(shape.is_err() || read.is_err(), "refused, and serde_json takes it: {verdict:?}");
            assert!(last_wins.is_err(), "what is no JSON is none whichever key counts");
        }
        Err(ViolationCode::TooDeep) => assert!(deepest(document) > DEPTH),
        Err(ViolationCode::DuplicateKey) => {
            let open = last_wins.as_ref().map_err(|fault| fault.code);
            assert_ne!(open, Err(ViolationCode::DuplicateKey));
            if let Some(pairs) = has_whole_pairs(text) {
                assert_eq!(open.is_ok(), shape.is_ok() && deepest(document) <= DEPTH && pairs);
            }
        }
        Err(other) => panic!("no document is refused as {other}"),
    }
}

/// Whether all texts are Unicode; `None` where `serde_json` stops before it can tell.
fn has_whole_pairs(text: &str) -> Option<bool> {
    let Err(error) = serde_json::from_str::<Value>(text) else { return Some(true) };
    let said = error.to_string();
    let of_pairs = ["surrogate", "hex escape", "unicode"].iter().any(|word| said.contains(word));
    of_pairs.then_some(false)
}

/// How many brackets are open at most, those within texts left out.
fn deepest(document: &[u8]) -> usize {
    let (mut open, mut most, mut text, mut escaped) = (0_usize, 0, false, false);
    for byte in document {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            b'[' | b'{' if !text => {
                open += 1;
                most = most.max(open);
            }
            b']' | b'}' if !text => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// The record of a merge gets the same verdict, and its member comes back from the file.
fn as_record(document: &[u8], verdict: &Result<(), DocumentFault>, duplicate_keys: DuplicateKeys) {
    let first = document.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
    if first != Some(&b'{') || document.contains(&b'\n') {
        return;
    }
    let mut contract = contract(vec![column("a", "json")]);
    contract.duplicate_keys = duplicate_keys;
    let outcome = merge(&contract, &[vec![document]]);
    match verdict {
        Ok(()) => {
            assert_eq!(outcome.verdicts, [InputVerdict::Merged { rows: 1, rejected: 0 }]);
            let batches = outcome.batches();
            let column = batches.first().expect("a row").column(0).as_string::<i32>().clone();
            let kept = (!column.is_null(0)).then(|| column.value(0));
            // Numbers beyond `f64` are kept, and `serde_json` cannot say which they are.
            let Ok(Value::Object(read)) = serde_json::from_slice::<Value>(document) else { return };
            let staged = read.get("a").filter(|value| !value.is_null());
            let kept: Option<Value> = kept.map(|text| serde_json::from_str(text).expect("JSON"));
            assert_eq!(kept.as_ref(), staged, "the value that was staged");
        }
        Err(fault) => {
            assert_eq!(outcome.verdicts, [InputVerdict::Merged { rows: 0, rejected: 1 }]);
            let row = outcome.rejected.first().expect("a rejected row");
            assert_eq!(row.raw, document);
            assert!(row.byte_offset <= document.len() as u64);
            assert_eq!(row.code, fault.code, "{fault} on its own, {row} as a record");
        }
    }
}
