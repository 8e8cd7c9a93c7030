//! Holds: a destination that only its client can mend is noted, tried by one probe at a time, and released by the first
//! success. The record keeps the facts; a message's age and receive count decide nothing (`docs/adr/0002`).

mod clock;
mod holds;

pub use clock::{LIMIT, ends, has_run_out};
pub use holds::{Admission, Held, Holds, Work, dismiss, renew};

use crate::error::{ErrorClass, PortError, PortErrorKind};

/// The hold of what is told to the client's queues.
pub const QUEUE: &str = "queue";
/// The hold of a delivery whose document the registry refuses.
pub const CONFIGURATION: &str = "configuration";
/// The code of the hold of an intent that waits for an operator alone: only he can find out what became of a copy.
pub const POSSIBLE_DUPLICATE: &str = "possible_duplicate";
/// The holds of the destination itself: merges, commits and planning of the delivery wait for their repair.
const DESTINATION: [&str; 4] = ["role", "bucket", "key", "catalog"];
/// What the resource of an intent's own hold begins with.
const OF_INTENT: &str = "intent-";

/// What a client must mend, as it stands in the key of the hold record.
pub fn resource(kind: PortErrorKind) -> Option<&'static str> {
    match kind {
        PortErrorKind::RoleRefused => Some("role"),
        PortErrorKind::Denied | PortErrorKind::BucketMissing => Some("bucket"),
        PortErrorKind::KeyRefused => Some("key"),
        PortErrorKind::CatalogRefused => Some("catalog"),
        PortErrorKind::QueueRefused => Some(QUEUE),
        PortErrorKind::NotFound
        | PortErrorKind::Conflict
        | PortErrorKind::Throttled
        | PortErrorKind::Unavailable
        | PortErrorKind::Invalid
        | PortErrorKind::Corrupt => None,
    }
}

/// The hold of one intent alone: something about its files that its own commit must get past.
pub fn of_intent(n: u64) -> String {
    format!("{OF_INTENT}{n}")
}

/// The intent that a hold concerns alone; `None` for the others.
pub fn intent_of(resource: &str) -> Option<u64> {
    resource.strip_prefix(OF_INTENT).and_then(|n| n.parse().ok())
}

/// Whether a hold gates the merges, the commits and the planning of its delivery.
pub fn is_of_destination(resource: &str) -> bool {
    DESTINATION.contains(&resource)
}

/// A failure that somebody must mend before the work can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breakage {
    /// What is broken: the last part of the hold record's key. Lower-case letters, digits and `-`.
    pub resource: String,
    /// The class of the failure.
    pub class: ErrorClass,
    /// The service's code, where there is one.
    pub code: Option<String>,
    /// What was attempted on what, and the answer.
    pub detail: String,
}

impl Breakage {
    /// The breakage a client call met; `None` when waiting is enough.
    pub fn of(error: &PortError) -> Option<Self> {
        Some(Self {
            resource: resource(error.kind)?.to_owned(),
            class: error.class(),
            code: error.code.clone(),
            detail: error.to_string(),
        })
    }
}
