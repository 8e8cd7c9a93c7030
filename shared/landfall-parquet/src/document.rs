//! One JSON document on its own, checked as the engine checks the value of a record.

use landfall_core::contract::DuplicateKeys;

use crate::fault::{Fault, ViolationCode};
use crate::json::blank_duplicates;
use crate::json::keys::{Keys, check};

/// Why a text is not a JSON document the engine accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} at byte {byte_offset}: {detail}")]
pub struct DocumentFault {
    /// What is wrong: `invalid_utf8`, `invalid_json`, `too_deep`, `duplicate_key` or `row_too_large`.
    pub code: ViolationCode,
    /// Where, in bytes from 0.
    pub byte_offset: usize,
    /// What exactly. Holds no content of the document.
    pub detail: String,
}

/// Checks that `text` is one JSON value (RFC 8259, UTF-8, nested at most [`crate::limits::DEPTH`] deep), by the parser that
/// checks the records of a merge. Newlines are white space here. A byte order mark is no part of a document.
///
/// # Errors
/// The first fault. With [`DuplicateKeys::LastWins`] a key that stands twice is none.
pub fn check_document(text: &[u8], duplicate_keys: DuplicateKeys) -> Result<(), DocumentFault> {
    let public = |fault: Fault| DocumentFault {
        code: fault.code,
        byte_offset: fault.at,
        detail: fault.detail.into_owned(),
    };
    if let Err(error) = std::str::from_utf8(text) {
        let detail = "the document is not UTF-8".to_owned();
        return Err(DocumentFault {
            code: ViolationCode::InvalidUtf8,
            byte_offset: error.valid_up_to(),
            detail,
        });
    }
    match duplicate_keys {
        DuplicateKeys::Refuse => check(text, &mut Keys::default()).map_err(|fault| public(*fault)),
        DuplicateKeys::LastWins => blank_duplicates(text).map(drop).map_err(|fault| public(*fault)),
    }
}
