//! What can go wrong with the embedded AWS, each with what to do about it.

use std::io;
use std::path::PathBuf;

use landfall_core::error::PortError;
use landfall_core::ledger::LedgerError;

use crate::watch::Standstill;

/// A failure of the embedded AWS.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The sources are not found.
    #[error(
        "no infra/template.yaml in {from} or any folder above: run inside the project, or set LANDFALL_ROOT"
    )]
    NoProject {
        /// Where the search began.
        from: PathBuf,
    },
    /// The Python tools are not installed.
    #[error("{missing} is missing: run `make tools`")]
    NoTools {
        /// What was looked for.
        missing: PathBuf,
    },
    /// The functions are not built.
    #[error("{missing} is missing: run `cargo build -p compactor -p committer -p notifier`")]
    NoBootstrap {
        /// What was looked for.
        missing: PathBuf,
    },
    /// A file, folder or process failed.
    #[error("cannot {attempt}: {source}")]
    Io {
        /// What was attempted on what.
        attempt: String,
        /// The answer of the system.
        source: io::Error,
    },
    /// MiniStack did not come up.
    #[error("MiniStack did not start: {reason}\n{log}")]
    NotStarted {
        /// What happened.
        reason: String,
        /// The end of its log.
        log: String,
    },
    /// A Python script failed.
    #[error("{script} failed ({status}):\n{output}")]
    Script {
        /// The script.
        script: String,
        /// How it ended.
        status: String,
        /// What it wrote to standard error.
        output: String,
        /// What it wrote to standard output.
        stdout: String,
    },
    /// Delivery documents cannot be used, or not together.
    #[error("{0}")]
    Documents(String),
    /// A call through a port failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The log of deliveries cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A call that has no port failed.
    #[error("cannot {attempt}: {reason}")]
    Call {
        /// What was attempted on what.
        attempt: String,
        /// The whole chain of causes.
        reason: String,
    },
    /// Nothing changed for too long, and not everything is delivered.
    #[error("{0}")]
    Standstill(Box<Standstill>),
}

impl EmbeddedError {
    /// For `map_err` over what the system answers.
    pub(crate) fn io(attempt: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { attempt: attempt.into(), source }
    }

    /// For `map_err` over what an SDK answers.
    pub(crate) fn call<E: std::error::Error + 'static>(attempt: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |error| Self::Call { attempt: attempt.into(), reason: landfall_core::error::chain(&error) }
    }
}
