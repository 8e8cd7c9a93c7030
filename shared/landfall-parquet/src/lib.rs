//! The merge engine of landfall: staged bytes in, checked Parquet bytes or JSON lines out. No AWS, no async, no clock, no file system.
//!
//! A [`Merge`] is fed with the bytes of one input after another. It tells by content whether they are Parquet, or text plain
//! or in gzip or zstd; takes them apart into records (rows, lines, or the elements of one JSON array), checks each record whole
//! against RFC 8259 and the contract, and writes what fits into Parquet files, one series per partition:
//!
//! ```text
//! Merge::new(spec)
//!   for each input, until should_stop():
//!     begin_input, push*, settle*, end_input -> InputVerdict      (take_output, take_rejected after each step)
//!   settle_files*, finish                                (take_output after each step)
//! ```
//!
//! What it must never do: change a value silently; let a row of a quarantined input into a file; let anything but the
//! ordered stream of rows decide where a file is cut. The same inputs give the same bytes, however they are sliced, and however many
//! threads encode ([`Merge::with_encoding_thread`]).
//!
//! [`validate`] is the other half: the committer's check of a staged file from its footer; [`recount`] that of a file of lines.

#![allow(
    clippy::unnecessary_box_returns,
    reason = "faults travel boxed, so that a good value costs no more than itself"
)]

mod column;
mod contract;
mod decode;
mod document;
mod elements;
mod encode;
mod fault;
mod files;
mod footer;
mod given;
mod inbound;
mod infer;
mod input;
mod json;
pub mod limits;
mod lines;
mod merge;
mod number;
mod output;
mod plain;
mod read;
mod records;
pub mod recount;
mod route;
mod rules;
mod schema;
mod slices;
mod spec;
mod stage;
#[cfg(feature = "stages")]
pub mod stages;
mod time;
mod token;
mod unique;
pub mod validate;
mod writer;

pub use contract::{CompiledContract, ContractError};
pub use decode::{Unpacked, Unpacker};
pub use document::{DocumentFault, check_document};
pub use fault::{InputVerdict, Position, Quarantine, QuarantineReason, RejectedRow, ViolationCode};
pub use infer::{Doubt, Inference, Refused};
pub use merge::Merge;
pub use output::{FileOpened, FinishedFile, OutputEvent};
pub use schema::arrow_schema;
pub use spec::{Flow, InputInfo, MergeError, MergeSpec};
