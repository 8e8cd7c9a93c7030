//! What is rewritten: the floor, when to look next, what is held.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::ErrorClass;

/// The highest retired number. Nobody executes a number at or below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// Form of this record.
    pub version: u32,
    /// The number; 0 when nothing is retired.
    pub n: u64,
}

/// When to look at a delivery next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Form of this record.
    pub version: u32,
    /// The time, UTC.
    pub at: Timestamp,
    /// When the delivery was last planned, UTC.
    pub planned_at: Timestamp,
    /// The last request to flush, UTC: whatever was staged up to then leaves, also what an intent that was under way
    /// then gives back later.
    pub flushed_at: Option<Timestamp>,
    /// When nothing old was left in the log to be deleted, UTC: it is looked for once a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned_at: Option<Timestamp>,
    /// How often stalled work was dispatched again, by intent number: the spacing doubles.
    pub dispatched: BTreeMap<u64, Dispatched>,
    /// The first undecided intent that was never dispatched: from it on they wait for their turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_from: Option<u64>,
}

/// Dispatches of one stalled intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatched {
    /// How often.
    pub times: u32,
    /// The last time, UTC.
    pub last: Timestamp,
}

/// A destination that only the client can mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Form of this record.
    pub version: u32,
    /// The delivery.
    pub delivery: String,
    /// What is broken: `role`, `bucket`, `key`, `catalog`, `queue`, `configuration`, or `intent-<n>` for what concerns one
    /// intent alone.
    pub resource: String,
    /// The class of the failure.
    pub class: ErrorClass,
    /// The service's code, where there is one.
    pub code: Option<String>,
    /// What was attempted on what, and the answer.
    pub detail: String,
    /// The first failure, UTC.
    pub first_failure: Timestamp,
    /// Failures so far, and tries under way.
    pub attempts: u32,
    /// Before this nobody tries, UTC; after it one piece of work does, as the probe.
    pub not_before: Timestamp,
    /// The intent that met it.
    pub n: u64,
}
