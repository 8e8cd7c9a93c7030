//! Holds: a destination that only its client can mend is noted, retried with backoff, and released by the first
//! success. The record keeps the facts; a message's age and receive count decide nothing.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::error::{ErrorClass, PortError, PortErrorKind};
use crate::keys;
use crate::ledger::{Ledger, LedgerError};
use crate::port::ObjectStore;
use crate::record::{FORMAT, Hold};
use crate::retry::backoff_seconds;

/// The first wait of a held destination, in seconds.
const BASE_SECONDS: u32 = 2;
/// The longest wait: a client who mends a role is served within the hour.
const CAP_SECONDS: u32 = 1800;

/// What a client must mend, as it stands in the key of the hold record.
pub fn resource(kind: PortErrorKind) -> Option<&'static str> {
    match kind {
        PortErrorKind::RoleRefused => Some("role"),
        PortErrorKind::Denied | PortErrorKind::BucketMissing => Some("bucket"),
        PortErrorKind::KeyRefused => Some("key"),
        PortErrorKind::CatalogRefused => Some("catalog"),
        PortErrorKind::QueueRefused => Some("queue"),
        PortErrorKind::NotFound
        | PortErrorKind::Conflict
        | PortErrorKind::Throttled
        | PortErrorKind::Unavailable
        | PortErrorKind::Invalid
        | PortErrorKind::Corrupt => None,
    }
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

/// Notes a failure that the client must mend; answers after how many seconds to try again.
///
/// # Errors
/// When the log fails. A lost race against another writer of the same hold is no error.
pub async fn note<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &str,
    n: u64,
    breakage: &Breakage,
    now: Timestamp,
) -> Result<u32, LedgerError> {
    let resource = breakage.resource.as_str();
    let key = keys::hold(delivery, resource);
    let (previous, etag) = match ledger.read::<Hold>(&key).await? {
        Some((hold, etag)) => (Some(hold), Some(etag)),
        None => (None, None),
    };
    let attempts = previous.as_ref().map_or(0, |hold| hold.attempts).saturating_add(1);
    let wait = backoff_seconds(&format!("{delivery}/{resource}"), attempts, BASE_SECONDS, CAP_SECONDS);
    let hold = Hold {
        version: FORMAT,
        delivery: delivery.to_owned(),
        resource: resource.to_owned(),
        class: breakage.class,
        code: breakage.code.clone(),
        detail: breakage.detail.clone(),
        first_failure: previous.as_ref().map_or(now, |hold| hold.first_failure),
        attempts,
        not_before: now.saturating_add(SignedDuration::from_secs(i64::from(wait))).unwrap_or(Timestamp::MAX),
        n,
    };
    ledger.replace(&key, &hold, etag.as_deref()).await?;
    Ok(wait)
}

/// What the resource of an intent's own hold begins with.
const OF_INTENT: &str = "intent-";

/// The hold of one intent alone: something about its files that its own commit must get past.
pub fn of_intent(n: u64) -> String {
    format!("{OF_INTENT}{n}")
}

/// Releases the holds of these resources after a success that proved them; answers how many there were.
///
/// # Errors
/// When the log fails.
pub async fn release<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &str,
    resources: &[&str],
) -> Result<usize, LedgerError> {
    let mut released = 0;
    for object in ledger.list_all(&keys::holds_prefix(delivery), None).await? {
        let name = object.key.rsplit('/').next().unwrap_or_default();
        if resources.contains(&name) {
            ledger.delete(&object.key, &object.etag).await?;
            released += 1;
        }
    }
    Ok(released)
}

/// The resources whose hold stops planning: new files would wait for the same repair. A broken queue stops only the
/// telling; a refused document is not planned anyway; what holds one intent concerns no other.
const STOP_PLANNING: [&str; 4] = ["role", "bucket", "key", "catalog"];

/// How a delivery is held now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Resources whose hold stops planning.
    pub resources: Vec<String>,
    /// Intents that are held alone: none of them can show that a resource works again.
    pub intents: BTreeSet<u64>,
}

/// How a delivery is held now.
///
/// # Errors
/// When the log fails.
pub async fn held<S: ObjectStore>(ledger: &Ledger<S>, delivery: &str) -> Result<Held, LedgerError> {
    let mut held = Held::default();
    for object in ledger.list_all(&keys::holds_prefix(delivery), None).await? {
        let name = object.key.rsplit('/').next().unwrap_or_default();
        if STOP_PLANNING.contains(&name) {
            held.resources.push(name.to_owned());
        } else if let Some(n) = name.strip_prefix(OF_INTENT).and_then(|n| n.parse().ok()) {
            held.intents.insert(n);
        }
    }
    Ok(held)
}
