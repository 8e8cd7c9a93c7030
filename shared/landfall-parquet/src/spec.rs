//! What a merge is told before its first byte.

use jiff::Timestamp;
use landfall_core::delivery::PinnedConfig;
use landfall_core::error::ErrorClass;
use landfall_core::record::{Intent, KnownValue};

use crate::contract::ContractError;
use crate::fault::InputVerdict;

/// Everything that shapes the bytes and names of a merge, beside its inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeSpec {
    /// Contract, layout and delivery, as the intent pinned them.
    pub config: PinnedConfig,
    /// The id of the job: `{job_id}` in names, and in the footer.
    pub job_id: String,
    /// The hash of the intent: `{uuid}` and `{hash}` derive from it.
    pub intent_hash: String,
    /// The time the intent was planned: `{timestamp}` and `{date}`.
    pub planned_at: Timestamp,
    /// The partition values known in advance: one entry per level of the layout, `None` where the record decides.
    pub partition: Vec<Option<KnownValue>>,
    /// Under `evolve`: from which input on a value that the contract might take in ends the merge with [`MergeError::Drift`]. Of
    /// inputs before it, by index, it is known that the contract takes nothing in: such records are refused like any other.
    pub drift_from: usize,
}

impl MergeSpec {
    /// The merge that an intent asks for, under the configuration it pins.
    pub fn for_intent(intent: &Intent, config: PinnedConfig) -> Self {
        Self {
            config,
            job_id: intent.job_id(),
            intent_hash: intent.hash(),
            planned_at: intent.planned_at,
            partition: intent.partition.clone(),
            drift_from: 0,
        }
    }
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputInfo {
    /// Its index, as rejected rows and [`MergeError::Restart`] name it.
    pub index: usize,
    /// Its key.
    pub key: String,
    /// Its size as listed, in bytes.
    pub size: u64,
}

/// Whether more of an input is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// Go on.
    More,
    /// The input is decided: the rest of it need not be read. Call `end_input`.
    Settled,
}

/// A merge that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// The contract cannot be compiled.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The specification contradicts itself.
    #[error("cannot begin a merge: {0}")]
    Spec(String),
    /// An input too large to be checked as a whole failed after rows of it had entered a file. The caller aborts its
    /// uploads and merges again without it.
    #[error("cannot go on: input {input} failed after rows of it had entered a file")]
    Restart {
        /// The index of the input.
        input: usize,
        /// What is to be recorded for it; `None` when the caller itself dropped it.
        verdict: Option<InputVerdict>,
    },
    /// An input holds what the contract might take in, under `evolve`. The caller aborts its uploads, and asks
    /// [`crate::Inference::evolve`] what the contract becomes.
    #[error("input {input} holds what the contract might evolve to hold")]
    Drift {
        /// The index of the input.
        input: usize,
    },
    /// A method was called out of order: a defect of the caller.
    #[error("cannot {0} at this point of a merge")]
    Order(&'static str),
    /// Rows could not be written: a defect of the engine.
    #[error("cannot write file {seq}: {message}")]
    Write {
        /// The file.
        seq: u32,
        /// The cause.
        message: String,
    },
}

impl MergeError {
    /// The treatment this failure calls for.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Contract(_) | Self::Spec(_) | Self::Order(_) | Self::Write { .. } => ErrorClass::Permanent,
            Self::Restart { .. } | Self::Drift { .. } => ErrorClass::Transient,
        }
    }
}
