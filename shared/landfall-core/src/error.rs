//! What went wrong at a port, and what is to be done about it.
//!
//! [`PortError::class`] is the only place that turns a failure into a treatment (DESIGN: errors carry a class,
//! decided in one place). Adapters map service codes to a [`PortErrorKind`]; handlers ask for the class.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a failure calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Passes by itself: throttling, 5xx, a lost race. The message returns with a backoff.
    Transient,
    /// Only the client can mend it: a role, a bucket, a key, a catalog, a queue. The destination is held.
    ClientFixable,
    /// Will never succeed: the object or row is quarantined.
    Permanent,
    /// The request may have had its effect. Verify, then classify.
    Ambiguous,
}

impl ErrorClass {
    /// The name used in logs, metrics and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::ClientFixable => "client_fixable",
            Self::Permanent => "permanent",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// What a service said, in terms that do not depend on the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PortErrorKind {
    /// The principal may not do this (403), or the bucket's owner is not the expected one.
    Denied,
    /// The role could not be assumed: it is gone, does not trust us, or the ExternalId is wrong.
    RoleRefused,
    /// The bucket does not exist or lies in another region.
    BucketMissing,
    /// The encryption key is missing, disabled, or refuses us.
    KeyRefused,
    /// The catalog entity that must exist does not, or catalog access is denied.
    CatalogRefused,
    /// The queue does not exist or refuses us.
    QueueRefused,
    /// An object that must exist does not.
    NotFound,
    /// A concurrent change won (409); the request had no effect.
    Conflict,
    /// The service asks for less (429, 503 SlowDown); the request had no effect.
    Throttled,
    /// 500, timeout, cut connection, an error inside a 200: the effect is unknown if the request writes.
    Unavailable,
    /// The request is wrong in itself (400). A defect of ours or a limit of the service.
    Invalid,
    /// What came back contradicts its checksum or its declared form.
    Corrupt,
}

/// Whether a failed request can have changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The request surely had no effect.
    None,
    /// The request may have had its effect.
    Unknown,
}

/// A failed call through a port: what was attempted, on what, and how it failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {subject}: {message}")]
pub struct PortError {
    /// The verb of the attempt, such as `copy object`.
    pub operation: &'static str,
    /// What it was attempted on, such as `s3://bucket/key`. Never a secret.
    pub subject: String,
    /// The failure in terms of the port.
    pub kind: PortErrorKind,
    /// Whether the request can have had its effect.
    pub effect: Effect,
    /// The service's error code, such as `AccessDenied`, where there is one.
    pub code: Option<String>,
    /// The whole chain of causes, on one line.
    pub message: String,
}

impl PortError {
    /// A failure of `operation` on `subject` that surely had no effect.
    pub fn new(
        operation: &'static str,
        subject: impl Into<String>,
        kind: PortErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self {
            operation,
            subject: subject.into(),
            kind,
            effect: Effect::None,
            code: None,
            message: message.into(),
        }
    }

    /// The same failure with the service's code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The same failure, of a request that may have had its effect.
    #[must_use]
    pub fn with_unknown_effect(mut self) -> Self {
        self.effect = Effect::Unknown;
        self
    }

    /// The treatment this failure calls for. No wildcard: a new kind must be decided here.
    pub fn class(&self) -> ErrorClass {
        match (self.kind, self.effect) {
            (
                PortErrorKind::Denied
                | PortErrorKind::RoleRefused
                | PortErrorKind::BucketMissing
                | PortErrorKind::KeyRefused
                | PortErrorKind::CatalogRefused
                | PortErrorKind::QueueRefused,
                _,
            ) => ErrorClass::ClientFixable,
            (PortErrorKind::Conflict | PortErrorKind::Throttled, _)
            | (PortErrorKind::Unavailable, Effect::None) => ErrorClass::Transient,
            (PortErrorKind::Unavailable, Effect::Unknown) => ErrorClass::Ambiguous,
            (PortErrorKind::NotFound | PortErrorKind::Invalid | PortErrorKind::Corrupt, _) => {
                ErrorClass::Permanent
            }
        }
    }
}

/// The chain of an error and its sources on one line, joined by `: `.
///
/// The SDK's own errors print only "service error"; the cause is in their sources.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let line = cause.to_string();
        if !text.ends_with(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        source = cause.source();
    }
    text.replace(['\n', '\r'], " ")
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
