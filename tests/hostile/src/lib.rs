//! What must hold of landfall whatever bytes others send.
//!
//! Each target is a function of bytes that panics when a property fails. The fuzzer (`fuzz/`, `make fuzz`) looks for such bytes;
//! the replay test runs the ones it has found interesting, kept in `fuzz/corpus`, on every build. Both run the same
//! functions, through nothing but what the crates make public.
//!
//! | target | what holds |
//! |---|---|
//! | `line_splitting` | any slicing gives the same records, and lines are those that a plain split gives |
//! | `json` | the verdict is `serde_json`'s but for what the engine refuses beyond it; values come back from the file |
//! | `gzip_framing` | what is sound when decoded at once is the same when streamed; any slicing agrees; nothing is lost |
//! | `parquet_input` | a verdict whatever the bytes; neighbours are delivered; what is written passes the committer's check |
//! | `event_decoding` | a body is read or refused by a typed error; no record of a batch is lost |
//! | `key_encoding` | what is escaped comes back and never leaves its segment; only keys as written are read |
//! | `delivery_documents` | a document that is read is the same when written and read again, and its contract compiles |

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a property that fails panics: that is how the fuzzer and the replay hear of it"
)]

mod delivery_documents;
mod event_decoding;
mod gzip_framing;
mod json;
mod key_encoding;
mod line_splitting;
mod merging;
mod parquet_input;

pub use delivery_documents::delivery_documents;
pub use event_decoding::event_decoding;
pub use gzip_framing::gzip_framing;
pub use json::json;
pub use key_encoding::key_encoding;
pub use line_splitting::line_splitting;
pub use parquet_input::parquet_input;

/// A property of bytes: panics when it fails.
pub type Target = fn(&[u8]);

/// All targets, by the names that the fuzzer and the corpus know them by.
pub const TARGETS: [(&str, Target); 7] = [
    ("delivery_documents", delivery_documents),
    ("event_decoding", event_decoding),
    ("gzip_framing", gzip_framing),
    ("json", json),
    ("key_encoding", key_encoding),
    ("line_splitting", line_splitting),
    ("parquet_input", parquet_input),
];
