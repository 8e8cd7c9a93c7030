//! What can go wrong with a piece of the compactor's work.

use landfall_core::error::{ErrorClass, PortError, PortErrorKind};
use landfall_core::hold::{self, Breakage};
use landfall_core::ledger::LedgerError;
use landfall_core::record::RecordError;
use landfall_lambda::Failure;
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
    /// Staged files of a decided intent are gone, and an input they were made of is too.
    #[error(
        "delivery {delivery}, intent {n}: {key} cannot be read again, neither as listed nor by its version"
    )]
    InputsGone {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// The staged key.
        key: String,
    },
    /// Staged files of a decided intent are gone and cannot be made as they were, while others of them are out.
    #[error("delivery {delivery}, intent {n}: cannot stage the same files again: {detail}")]
    RebuildDiffers {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// What differs.
        detail: String,
    },
    /// Every execution that made vanished files of a decided intent anew died, panicked or ran out of time.
    #[error(
        "delivery {delivery}, intent {n}: its staged files are gone, and every execution that made them anew died"
    )]
    RebuildDies {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
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
    /// An input of intent `n` that could not be read: an object that nobody lets us read is its producer's to mend, or the
    /// operator's, and holds its intent alone; anything else passes.
    pub(crate) fn of_input(delivery: &str, n: u64, key: &str, tries: u32, source: PortError) -> Self {
        let (key, source) = (key.to_owned(), Box::new(source));
        match source.kind {
            PortErrorKind::Denied | PortErrorKind::KeyRefused => {
                Self::Unreadable { delivery: delivery.to_owned(), n, key, source }
            }
            _ => Self::Input { key, tries, source },
        }
    }

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
            Self::NoConfiguration { .. }
            | Self::InputsGone { .. }
            | Self::RebuildDiffers { .. }
            | Self::RebuildDies { .. }
            | Self::Unreadable { .. } => ErrorClass::ClientFixable,
        }
    }

    /// What becomes of the message: what died, ran out of time, or is nobody's data comes back and uses up its receives.
    pub fn failure(&self) -> Failure {
        let passing = match self {
            Self::Ledger(_)
            | Self::Destination { .. }
            | Self::Own(_)
            | Self::Raced { .. }
            | Self::Input { .. } => true,
            Self::Merge { .. }
            | Self::Record(_)
            | Self::NoConfiguration { .. }
            | Self::InputsGone { .. }
            | Self::RebuildDiffers { .. }
            | Self::RebuildDies { .. }
            | Self::Unreadable { .. }
            | Self::OutOfTime { .. } => false,
        };
        let class = self.class();
        Failure {
            class,
            reason: self.to_string(),
            breakage: self.breakage(),
            passes: passing && matches!(class, ErrorClass::Transient | ErrorClass::Ambiguous),
            wait_seconds: None,
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
            Self::InputsGone { n, .. } => Some(self.alone(*n, "inputs_gone")),
            Self::RebuildDiffers { n, .. } => Some(self.alone(*n, "rebuild_differs")),
            Self::RebuildDies { n, .. } => Some(self.alone(*n, "rebuild_dies")),
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

    /// A breakage of one intent alone.
    fn alone(&self, n: u64, code: &str) -> Breakage {
        Breakage {
            resource: hold::of_intent(n),
            class: self.class(),
            code: Some(code.to_owned()),
            detail: self.to_string(),
        }
    }
}
