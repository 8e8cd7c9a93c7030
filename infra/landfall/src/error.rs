//! Why a command could not be done.

use std::io;
use std::path::PathBuf;

use landfall_core::ledger::LedgerError;
use landfall_embedded::EmbeddedError;
use landfall_parquet::MergeError;

/// A command that could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The embedded AWS failed, or something in it.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The log cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file or folder failed.
    #[error("cannot {attempt}: {source}")]
    Io {
        /// What was attempted on what.
        attempt: String,
        /// The answer of the system.
        source: io::Error,
    },
    /// The engine cannot work with the document.
    #[error("cannot merge: {0}")]
    Merge(#[from] MergeError),
    /// A report cannot be written or read.
    #[error("cannot {attempt}: {source}")]
    Json {
        /// What was attempted on what.
        attempt: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Files would mix with older ones.
    #[error("{0} is not empty: name another folder, or empty it")]
    OutputInUse(PathBuf),
    /// A file that no delivery would take.
    #[error("{0}")]
    Input(String),
    /// Documents are refused.
    #[error("{0}")]
    Documents(String),
}

impl CommandError {
    /// For `map_err` over what the system answers.
    pub(crate) fn io(attempt: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { attempt: attempt.into(), source }
    }

    /// For `map_err` over what the JSON library answers.
    pub(crate) fn json(attempt: impl Into<String>) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Json { attempt: attempt.into(), source }
    }
}
