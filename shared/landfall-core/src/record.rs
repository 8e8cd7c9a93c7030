//! The records of the log: what is written once (`If-None-Match: *`) and decides what happened.
//!
//! Every record carries the version of its form. Bodies are zstd-compressed JSON, but for [`Identities`]; a body whose version
//! is greater than this build's is refused, never guessed at.

mod commit;
mod compression;
mod identities;
mod outcome;
mod schedule;

pub use commit::{
    Attempt, Closed, Discarded, Expired, Notified, Published, Receipt, ReceiptFile, Refused, Resumed,
};
pub use identities::{Identities, Numbers};
pub use outcome::{Outcome, OutcomeFile, RejectedRecord, Verdict};
pub use schedule::{Dispatched, Due, Floor, Hold};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

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
    /// The due record's time has come, or a merge was decided while others wait for their turn.
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
    /// Its partition closed.
    Closed,
    /// What an intent gave back that could not run, in two halves.
    Halved,
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
    /// absent where the value comes from the record or is the id of the job.
    pub partition: Vec<Option<KnownValue>>,
    /// How many of the inputs are predicted to fill the target; the rest are a reserve
    /// ([`crate::plan::Ratios::reserve`]).
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

/// Renders a record: zstd-compressed JSON.
///
/// # Errors
/// When the value cannot be written as JSON, which the types of this module always can.
pub fn encode(key: &str, value: &impl Serialize) -> Result<Vec<u8>, RecordError> {
    let failed = |message: String| RecordError { key: key.to_owned(), message };
    let json = serde_json::to_vec(value).map_err(|error| failed(error.to_string()))?;
    compression::compress(&json).map_err(|error| failed(error.to_string()))
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
    let json = compression::decompress(body, MAX_JSON_BYTES).map_err(|error| failed(error.to_string()))?;
    let Version { version } = serde_json::from_slice(&json).map_err(|error| failed(error.to_string()))?;
    if version != FORMAT {
        return Err(failed(format!("form {version}, this build reads form {FORMAT}")));
    }
    serde_json::from_slice(&json).map_err(|error| failed(error.to_string()))
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
