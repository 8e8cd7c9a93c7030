//! The records of the log: what is written once (`If-None-Match: *`) and decides what happened.
//!
//! Every record carries the version of its form. Bodies are zstd-compressed JSON; a body whose version is
//! greater than this build's is refused, never guessed at.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::ErrorClass;
use crate::partition::Partition;

/// The version of the form of all records below.
pub const FORMAT: u32 = 1;

/// The greatest size of a record's JSON: 200,000 inputs with keys of 1,024 bytes.
const MAX_JSON_BYTES: usize = 512 * 1024 * 1024;

/// A body that is not a record of this version.
#[derive(Debug, thiserror::Error)]
#[error("cannot read record {key}: {message}")]
pub struct RecordError {
    /// The record's key.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
}

/// A staged object as an intent names it. Its identity is (key, etag, size); versions are not in listings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The full key in the staging bucket.
    pub key: String,
    /// The entity tag, without quotes.
    pub etag: String,
    /// The size in bytes.
    pub size: u64,
    /// When it was staged, UTC.
    pub last_modified: Timestamp,
}

/// Why a plan was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanReason {
    /// Objects arrived.
    Event,
    /// An operator asks for everything that waits.
    Flush,
    /// The due record's time has come.
    Due,
    /// A held destination works again, or an execution freed inputs.
    Resume,
}

/// Why a group was flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlushReason {
    /// The group reached the target size.
    Size,
    /// Its oldest object reached the maximum latency.
    Age,
    /// On request.
    Request,
}

/// What is to be merged: decided once, by whoever put number `n` first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Form of this record.
    pub version: u32,
    /// The delivery.
    pub delivery: String,
    /// The number, from 1.
    pub n: u64,
    /// The `now` of the plan, UTC. Names and times in files derive from it.
    pub planned_at: Timestamp,
    /// Hash of the pinned configuration.
    pub pin: String,
    /// Why it was flushed.
    pub reason: FlushReason,
    /// Values of the partition levels known before reading (arrival, key): one entry per level of the layout,
    /// absent where the value comes from the record.
    pub partition: Vec<Option<KnownValue>>,
    /// How many of the inputs are predicted to fill the target; the rest are a reserve of 25%.
    pub predicted: usize,
    /// The inputs, in key order.
    pub inputs: Vec<Input>,
}

/// A partition value known before reading.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KnownValue {
    /// The value; `None` is Hive's null.
    pub value: Option<String>,
}

impl Intent {
    /// The hash that ids and names derive from: number, time and inputs.
    pub fn hash(&self) -> String {
        crate::hash::hex_of_json(self)
    }

    /// The job id: the first 20 digits of the hash.
    pub fn job_id(&self) -> String {
        self.hash().chars().take(20).collect()
    }
}

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

/// The end of an execution: the one object that decides an intent. The first one put wins.
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

    /// The inputs this outcome used up: their bytes were read and delivered, held no record, or were set aside. One that
    /// was gone or overwritten was never read: the same bytes may still come and are a new input then.
    pub fn used<'a>(&'a self, intent: &'a Intent) -> impl Iterator<Item = &'a Input> {
        let consumed = if self.void { 0 } else { self.consumed };
        intent.inputs.iter().zip(&self.verdicts).take(consumed).filter_map(|(input, verdict)| match verdict {
            Verdict::Merged { .. } | Verdict::Empty | Verdict::Quarantined { .. } => Some(input),
            Verdict::Superseded | Verdict::Gone => None,
        })
    }
}

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
    /// The entity tag of the published object.
    pub etag: String,
    /// When, UTC.
    pub at: Timestamp,
}

/// All files of an intent are published and catalogued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Form of this record.
    pub version: u32,
    /// The delivery.
    pub delivery: String,
    /// The intent's number.
    pub n: u64,
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

/// The highest retired number. Nobody executes a number at or below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// Form of this record.
    pub version: u32,
    /// The number; 0 when nothing is retired.
    pub n: u64,
}

/// Identities of the inputs of retired intents, in key order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identities {
    /// Form of this record.
    pub version: u32,
    /// (key, etag, size).
    pub identities: Vec<(String, String, u64)>,
}

/// When to look at a delivery next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Form of this record.
    pub version: u32,
    /// The time, UTC.
    pub at: Timestamp,
    /// When the delivery was last planned, UTC.
    pub planned_at: Timestamp,
    /// The last request to flush, UTC: whatever was staged up to then leaves, also what an intent that was under way
    /// then gives back later.
    pub flushed_at: Option<Timestamp>,
    /// How often stalled work was dispatched again, by intent number: the spacing doubles.
    pub dispatched: BTreeMap<u64, Dispatched>,
}

/// Dispatches of one stalled intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatched {
    /// How often.
    pub times: u32,
    /// The last time, UTC.
    pub last: Timestamp,
}

/// A destination that only the client can mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Form of this record.
    pub version: u32,
    /// The delivery.
    pub delivery: String,
    /// What is broken: `role`, `bucket`, `key`, `catalog`, `queue`, `configuration`, or `intent-<n>` for what concerns one
    /// intent alone.
    pub resource: String,
    /// The class of the failure.
    pub class: ErrorClass,
    /// The service's code, where there is one.
    pub code: Option<String>,
    /// What was attempted on what, and the answer.
    pub detail: String,
    /// The first failure, UTC.
    pub first_failure: Timestamp,
    /// Failures so far.
    pub attempts: u32,
    /// When the message that met the failure comes back, UTC. What else wakes the work tries it too.
    pub not_before: Timestamp,
    /// The intent that met it.
    pub n: u64,
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

/// Renders a record: zstd-compressed JSON.
///
/// # Errors
/// When the value cannot be written as JSON, which the types of this module always can.
pub fn encode(key: &str, value: &impl Serialize) -> Result<Vec<u8>, RecordError> {
    let failed = |message: String| RecordError { key: key.to_owned(), message };
    let json = serde_json::to_vec(value).map_err(|error| failed(error.to_string()))?;
    zstd::bulk::compress(&json, 3).map_err(|error| failed(error.to_string()))
}

/// Reads a record.
///
/// # Errors
/// When the body is not zstd, not JSON of this form, of a later version, or larger than any record may be.
pub fn decode<T: DeserializeOwned>(key: &str, body: &[u8]) -> Result<T, RecordError> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let failed = |message: String| RecordError { key: key.to_owned(), message };
    let json = decompress(body).map_err(failed)?;
    let Version { version } = serde_json::from_slice(&json).map_err(|error| failed(error.to_string()))?;
    if version != FORMAT {
        return Err(failed(format!("form {version}, this build reads form {FORMAT}")));
    }
    serde_json::from_slice(&json).map_err(|error| failed(error.to_string()))
}

fn decompress(body: &[u8]) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let decoder = zstd::stream::read::Decoder::new(body).map_err(|error| error.to_string())?;
    let mut json = Vec::new();
    let limit = MAX_JSON_BYTES as u64;
    decoder.take(limit + 1).read_to_end(&mut json).map_err(|error| error.to_string())?;
    if json.len() as u64 > limit {
        return Err(format!("larger than {limit} bytes"));
    }
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_written_and_later_forms_refused() {
        let floor = Floor { version: FORMAT, n: 7 };
        let body = encode("log/d/floor", &floor).expect("encodes");
        assert_eq!(decode::<Floor>("log/d/floor", &body).expect("decodes"), floor);

        let later = encode("k", &Floor { version: FORMAT + 1, n: 7 }).expect("encodes");
        let error = decode::<Floor>("k", &later).expect_err("a later form").to_string();
        assert!(error.contains("form 2, this build reads form 1"), "{error}");
        assert!(decode::<Floor>("k", b"not zstd").is_err());
    }
}
