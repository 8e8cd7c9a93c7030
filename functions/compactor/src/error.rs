//! What can go wrong with a piece of the compactor's work.

use landfall_core::error::{ErrorClass, PortError};
use landfall_core::hold::{self, Breakage};
use landfall_core::ledger::LedgerError;
use landfall_core::record::RecordError;
use landfall_parquet::MergeError;

/// A failure of a plan or a merge.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The log failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A call in our own account failed.
    #[error(transparent)]
    Own(#[from] PortError),
    /// A call in the client's account failed.
    #[error("delivery {delivery}, intent {n}: {source}")]
    Destination {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// The failure.
        source: Box<PortError>,
    },
    /// The engine failed for a reason that is not the data's.
    #[error("delivery {delivery}, intent {n}: {source}")]
    Merge {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// The failure.
        source: MergeError,
    },
    /// Rejected rows could not be written down.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Too many other plans of this delivery were faster.
    #[error("cannot plan delivery {delivery}: other plans took every number tried")]
    Raced {
        /// The delivery.
        delivery: String,
    },
    /// The registry refuses the delivery's document, or has none: its work is held.
    #[error("cannot work for delivery {delivery}: {reason}")]
    NoConfiguration {
        /// The delivery.
        delivery: String,
        /// Why.
        reason: String,
    },
    /// The invocation ends too soon.
    #[error("delivery {delivery}, intent {n}: out of time after {inputs} inputs")]
    OutOfTime {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// How many inputs had been read.
        inputs: usize,
    },
    /// An input could not be read to its end.
    #[error("cannot read {key} after {tries} tries: {source}")]
    Input {
        /// The staged key.
        key: String,
        /// How often it was tried.
        tries: u32,
        /// The last failure.
        source: Box<PortError>,
    },
    /// An object that our role may not read, such as one under a producer's own key: it can neither be merged nor set
    /// aside.
    #[error("delivery {delivery}, intent {n}: may not read {key}: {source}")]
    Unreadable {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// The staged key.
        key: String,
        /// The refusal.
        source: Box<PortError>,
    },
}

impl WorkError {
    /// The treatment.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Ledger(error) => error.class(),
            Self::Destination { source, .. } => source.class(),
            Self::Merge { source, .. } => source.class(),
            Self::Record(_) => ErrorClass::Permanent,
            // In our own account nothing is the client's to mend and nothing is the data's fault.
            Self::Own(_) | Self::Raced { .. } | Self::OutOfTime { .. } | Self::Input { .. } => {
                ErrorClass::Transient
            }
            Self::NoConfiguration { .. } | Self::Unreadable { .. } => ErrorClass::ClientFixable,
        }
    }

    /// What the client must mend before this can work; `None` when waiting is enough.
    pub fn breakage(&self) -> Option<Breakage> {
        match self {
            // A refusal that no setting of the client explains: a defect of ours, or a limit. It concerns this intent.
            Self::Destination { source, n, .. } if source.class() == ErrorClass::Permanent => {
                Some(Breakage {
                    resource: hold::of_intent(*n),
                    class: source.class(),
                    code: source.code.clone(),
                    detail: self.to_string(),
                })
            }
            Self::Destination { source, .. } => Breakage::of(source),
            Self::NoConfiguration { .. } => Some(Breakage {
                resource: "configuration".to_owned(),
                class: self.class(),
                code: None,
                detail: self.to_string(),
            }),
            Self::Unreadable { n, .. } => Some(Breakage {
                resource: hold::of_intent(*n),
                class: self.class(),
                code: Some("unreadable_input".to_owned()),
                detail: self.to_string(),
            }),
            Self::Ledger(_)
            | Self::Own(_)
            | Self::Merge { .. }
            | Self::Record(_)
            | Self::Raced { .. }
            | Self::OutOfTime { .. }
            | Self::Input { .. } => None,
        }
    }
}
