//! The records of a commit: attempts at copies, receipts, notices, the end of an intent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::partition::Partition;

/// A copy is about to be attempted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Form of this record.
    pub version: u32,
    /// The file's index.
    pub file: u32,
    /// The attempt, from 1.
    pub k: u32,
    /// When, UTC: an attempt of unknown effect is judged only when it is old enough.
    pub at: Timestamp,
    /// The invocation that makes it.
    pub execution: String,
    /// The generation of the outcome whose staged file it copies.
    #[serde(default = "first")]
    pub generation: u32,
}

/// An attempt that surely had no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Form of this record.
    pub version: u32,
    /// The file's index.
    pub file: u32,
    /// The attempt.
    pub k: u32,
    /// What the service said.
    pub reason: String,
}

/// A file stands at its production key and will never be copied again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Form of this record.
    pub version: u32,
    /// The file's index.
    pub file: u32,
    /// The production key.
    pub key: String,
    /// The entity tag of the published object; empty when an operator vouched for it, who knows none.
    pub etag: String,
    /// When, UTC.
    pub at: Timestamp,
    /// The generation of the outcome whose staged file it is a copy of.
    #[serde(default = "first")]
    pub generation: u32,
}

/// All files of an intent are published and catalogued; or, of one that expired, those that were published until then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Form of this record.
    pub version: u32,
    /// The delivery.
    pub delivery: String,
    /// The intent's number.
    pub n: u64,
    /// The part: 1, and one more for each time an expired intent was resumed. Each part names the files that were
    /// published since the part before it.
    #[serde(default = "first")]
    pub part: u32,
    /// When, UTC.
    pub at: Timestamp,
    /// The dataset's name.
    pub dataset: String,
    /// The job id.
    pub job_id: String,
    /// The contract's version.
    pub schema_version: u32,
    /// The client's bucket.
    pub bucket: String,
    /// The files.
    pub files: Vec<ReceiptFile>,
    /// Rows delivered.
    pub rows: u64,
    /// Rows quarantined.
    pub rejected: u64,
    /// Whole objects quarantined.
    pub quarantined_objects: u64,
    /// Staged objects consumed.
    pub inputs: u64,
}

/// The first generation, and the first part: what records say that were written before there were more.
fn first() -> u32 {
    1
}

/// A published file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptFile {
    /// The production key.
    pub key: String,
    /// Bytes.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// CRC-64/NVME of the whole file, 16 hex digits.
    pub crc64nvme: String,
    /// Partition values, in path order.
    pub partition: Partition,
}

/// All client queues have been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notified {
    /// Form of this record.
    pub version: u32,
    /// When, UTC.
    pub at: Timestamp,
    /// Message id by queue ARN.
    pub messages: BTreeMap<String, String>,
    /// Why the telling was given up, after 72 hours of trying; `None` when everybody was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<String>,
}

/// An intent ran out of time: nothing more of it is published until it is resumed. Its inputs stay subtracted, and stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// Form of this record.
    pub version: u32,
    /// When, UTC.
    pub at: Timestamp,
    /// What was broken, as in the hold's key.
    pub resource: String,
    /// When it failed first, UTC.
    pub first_failure: Timestamp,
    /// What the last failure said.
    pub detail: String,
    /// Production keys of the files that were published until then.
    pub published: Vec<String>,
    /// Production keys of the files that were not. Empty as well when the intent was never merged.
    pub unpublished: Vec<String>,
}

/// An operator gave up what of an intent was not published; its inputs are deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discarded {
    /// Form of this record.
    pub version: u32,
    /// When, UTC.
    pub at: Timestamp,
}

/// An operator let an expired intent go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// Form of this record.
    pub version: u32,
    /// When, UTC.
    pub at: Timestamp,
}

/// Nothing is left to do for an intent but to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Form of this record.
    pub version: u32,
    /// When, UTC.
    pub at: Timestamp,
    /// Inputs deleted by this closing.
    pub deleted: u64,
    /// Inputs that had been overwritten since: they are left, as new ones.
    pub left: u64,
}
