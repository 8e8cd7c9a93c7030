//! The outcome of an intent: the one object that decides it, and what was set aside on the way.

use serde::{Deserialize, Serialize};

use super::{Input, Intent};
use crate::layout::is_default;
use crate::partition::Partition;

/// What became of one input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Its rows are in the files of the outcome, but for those rejected.
    Merged {
        /// Rows delivered.
        rows: u64,
        /// Rows quarantined.
        rejected: u64,
    },
    /// It holds no record.
    Empty,
    /// It was overwritten before it was read; the new object is pending.
    Superseded,
    /// It was deleted before it was read.
    Gone,
    /// An operator gave it up: it is deleted and never delivered.
    Discarded,
    /// It was set aside as a whole.
    Quarantined {
        /// Machine-readable reason.
        reason: String,
        /// What exactly, with position.
        detail: String,
        /// Where the object was kept in the state bucket.
        kept: String,
        /// Rows it was seen to hold before it was given up; 0 when unknown.
        rows: u64,
    },
}

/// A merged file in the client's hidden prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeFile {
    /// Index, from 0, in the order of finishing.
    pub index: u32,
    /// The staged key.
    pub temp_key: String,
    /// The staged object's entity tag.
    pub etag: String,
    /// Bytes.
    pub bytes: u64,
    /// CRC-64/NVME of the whole file, 16 hex digits.
    pub crc64nvme: String,
    /// Rows.
    pub rows: u64,
    /// Partition values, in path order.
    pub partition: Partition,
    /// The production key.
    pub key: String,
}

impl OutcomeFile {
    /// Whether it holds the same rows for the same production key: each execution reads in the same order, so that what
    /// is counted alike was cut alike.
    pub fn is_cut_like(&self, other: &Self) -> bool {
        (self.index, self.rows, &self.partition, &self.key)
            == (other.index, other.rows, &other.partition, &other.key)
    }
}

/// The end of an execution: the one object that decides an intent. The first one put wins. When staged files vanish, a
/// further generation names them anew: with the same verdicts, and while a file is out, with the same files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Form of this record.
    pub version: u32,
    /// The delivery.
    pub delivery: String,
    /// The intent's number.
    pub n: u64,
    /// The generation, from 1.
    pub generation: u32,
    /// The execution whose temps these are.
    pub execution: String,
    /// Version of the engine's output form.
    pub engine: String,
    /// Whether the intent could not run at all; its inputs return.
    pub void: bool,
    /// Of a void outcome: the version to which the contract has evolved, so that the inputs are planned again under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evolved: Option<u32>,
    /// How many inputs, from the first, were consumed. The others are free again.
    pub consumed: usize,
    /// The files, by index.
    pub files: Vec<OutcomeFile>,
    /// One verdict for each consumed input, in order.
    pub verdicts: Vec<Verdict>,
    /// The version of each consumed input that was read, where the staging bucket is versioned: by it the object can be
    /// read again until the version expires. Never part of an input's identity.
    pub versions: Vec<Option<String>>,
    /// Where the rejected rows are kept in the state bucket, in order; empty when there are none.
    pub rejected_rows: Vec<String>,
    /// Delivered rows of which a member is kept in [`crate::contract::RESCUED`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub rescued: u64,
    /// Decoded bytes of the consumed inputs.
    pub raw_bytes: u64,
}

impl Outcome {
    /// Rows delivered.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Rows rejected one by one.
    pub fn rejected(&self) -> u64 {
        self.verdicts
            .iter()
            .map(|verdict| if let Verdict::Merged { rejected, .. } = verdict { *rejected } else { 0 })
            .sum()
    }

    /// Whether another generation of it has the same files: as many, with the same rows under the same keys.
    pub fn is_cut_like(&self, other: &Self) -> bool {
        self.files.len() == other.files.len()
            && self.files.iter().zip(&other.files).all(|(left, right)| left.is_cut_like(right))
    }

    /// The inputs this outcome used up: their bytes were read and delivered, held no record, or were set aside. One that
    /// was gone or overwritten was never read: the same bytes may still come and are a new input then.
    pub fn used<'a>(&'a self, intent: &'a Intent) -> impl Iterator<Item = &'a Input> {
        let consumed = if self.void { 0 } else { self.consumed };
        intent.inputs.iter().zip(&self.verdicts).take(consumed).filter_map(|(input, verdict)| match verdict {
            Verdict::Merged { .. } | Verdict::Empty | Verdict::Discarded | Verdict::Quarantined { .. } => {
                Some(input)
            }
            Verdict::Superseded | Verdict::Gone => None,
        })
    }
}

/// A row that was set aside: one line of a `rejected-<k>.jsonl.zst`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRecord {
    /// The staged object.
    pub key: String,
    /// Its entity tag.
    pub etag: String,
    /// The line in the decoded object, from 1.
    pub line: u64,
    /// The offset of the fault in the decoded object, in bytes.
    pub byte_offset: u64,
    /// Machine-readable reason.
    pub reason: String,
    /// The column at fault, or the member that no column names. It may come from the record: never put it into a log.
    pub column: Option<String>,
    /// What exactly.
    pub detail: String,
    /// The line as staged, when it is UTF-8.
    pub raw: Option<String>,
    /// The line as staged, base64, when it is not UTF-8.
    pub raw_base64: Option<String>,
}
