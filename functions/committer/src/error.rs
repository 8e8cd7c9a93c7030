//! What can stop the commit of an intent.

use landfall_core::error::{ErrorClass, PortError};
use landfall_core::hold::{self, Breakage};
use landfall_core::ledger::LedgerError;
use landfall_lambda::Failure;

/// A commit that could not go on.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
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
    /// A staged file is not what the outcome names. It is never published.
    #[error("delivery {delivery}, intent {n}: staged file {key}: {problem}")]
    NotAsStaged {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// The staged key.
        key: String,
        /// What differs.
        problem: String,
    },
    /// A staged file is gone, and nothing of it is out: it has to be made anew.
    #[error("delivery {delivery}, intent {n}: staged file {key} is gone")]
    Vanished {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// The staged key.
        key: String,
    },
    /// A file of an earlier generation is out, or may be, and the newest has other files.
    #[error(
        "delivery {delivery}, intent {n}: file {file} of generation {generation} was copied, and what was staged anew is cut otherwise"
    )]
    RebuildDiffers {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// The file's index.
        file: u32,
        /// The generation that was copied.
        generation: u32,
    },
    /// Another object stands at the production key. It is never overwritten.
    #[error("delivery {delivery}, intent {n}: s3 key {key} is taken by another object: {problem}")]
    Conflict {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// The production key.
        key: String,
        /// How it differs from ours.
        problem: String,
    },
    /// A copy answered with another checksum than that of the staged file. It cannot be taken back: nobody but the client
    /// deletes what stands below its production prefix.
    #[error("delivery {delivery}, intent {n}: the copy at {key} is damaged: {problem}")]
    DamagedCopy {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// The production key.
        key: String,
        /// How it differs.
        problem: String,
    },
    /// A copy of unknown effect left nothing at a destination whose client deletes what it consumed.
    #[error(
        "delivery {delivery}, intent {n}: {key} may have been delivered and consumed: possible_duplicate"
    )]
    PossibleDuplicate {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// The production key.
        key: String,
    },
    /// An attempt of unknown effect is too young to be judged, or another worker is at it.
    #[error("delivery {delivery}, intent {n}: waits {seconds} s: {reason}")]
    NotYet {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// After how many seconds to look again.
        seconds: u32,
        /// For what.
        reason: String,
    },
    /// The registry has no valid document for the delivery: its open intents are held.
    #[error("delivery {delivery}, intent {n}: {reason}")]
    NoConfiguration {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// Why.
        reason: String,
    },
}

impl CommitError {
    /// The treatment.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Ledger(error) => error.class(),
            // Our own account: it passes when we mend it; no client can.
            Self::Own(_) | Self::NotYet { .. } | Self::Vanished { .. } => ErrorClass::Transient,
            Self::Destination { source, .. } => source.class(),
            Self::NotAsStaged { .. }
            | Self::RebuildDiffers { .. }
            | Self::Conflict { .. }
            | Self::DamagedCopy { .. }
            | Self::PossibleDuplicate { .. }
            | Self::NoConfiguration { .. } => ErrorClass::ClientFixable,
        }
    }

    /// What becomes of the message.
    pub fn failure(&self) -> Failure {
        let class = self.class();
        Failure {
            class,
            reason: self.to_string(),
            breakage: self.breakage(),
            passes: matches!(class, ErrorClass::Transient | ErrorClass::Ambiguous),
            wait_seconds: if let Self::NotYet { seconds, .. } = self { Some(*seconds) } else { None },
        }
    }

    /// What must be mended before this can go on; `None` when waiting is enough.
    pub fn breakage(&self) -> Option<Breakage> {
        let named = |resource: String, code: &str| {
            Some(Breakage {
                resource,
                class: self.class(),
                code: Some(code.to_owned()),
                detail: self.to_string(),
            })
        };
        match self {
            // A refusal that no setting of the client explains: a defect of ours, or a limit. It concerns this intent.
            Self::Destination { source, n, .. } if source.class() == ErrorClass::Permanent => {
                named(hold::of_intent(*n), source.code.as_deref().unwrap_or("refused"))
            }
            Self::Destination { source, .. } => Breakage::of(source),
            Self::NotAsStaged { n, .. } => named(hold::of_intent(*n), "not_as_staged"),
            Self::RebuildDiffers { n, .. } => named(hold::of_intent(*n), "rebuild_differs"),
            Self::Conflict { n, .. } => named(hold::of_intent(*n), "conflict"),
            Self::DamagedCopy { n, .. } => named(hold::of_intent(*n), "damaged_copy"),
            Self::PossibleDuplicate { n, .. } => named(hold::of_intent(*n), hold::POSSIBLE_DUPLICATE),
            Self::NoConfiguration { .. } => named("configuration".to_owned(), "no_configuration"),
            Self::Ledger(_) | Self::Own(_) | Self::NotYet { .. } | Self::Vanished { .. } => None,
        }
    }
}
