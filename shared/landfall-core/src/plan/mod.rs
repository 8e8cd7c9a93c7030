//! Planning: which pending objects become which intents, and when to look again. Pure and total: every staged
//! object is in exactly one intent, waits with a time, or is left out with a reason.
//!
//! One pass over the listing, in memory that does not grow with it: see [`Planner`].

mod close;
mod fingerprint;
mod pending;
mod planner;
mod ratio;
pub mod shares;

pub use fingerprint::Fingerprint;
pub use pending::{Known, Place, Taken};
pub use planner::Planner;
pub use ratio::{InputForm, Ratios, input_form};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::delivery::Delivery;
use crate::layout::{Layout, PartitionLevel, PartitionSource, PartitionTransform};
use crate::partition::value_in_key;
use crate::port::ListedObject;
use crate::record::{FlushReason, Input, KnownValue, PlanReason};

/// How long identities of delivered inputs are kept: after it the same bytes are a new input.
pub const DEDUPE_HORIZON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Bounds of one intent, so that one execution can finish it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The greatest sum of decoded bytes.
    pub raw_bytes: u64,
    /// The greatest number of objects it is cut at; a reserve of a quarter may come on top.
    pub objects: usize,
    /// Bytes of output an execution can make in a third of its timeout.
    pub output_bytes: u64,
}

impl Bounds {
    /// The bounds for an execution of `timeout_seconds`, of which a third is planned for.
    ///
    /// 40 MB of raw JSON a second is a fifth of what one core was measured to do: networks are slower.
    pub fn for_timeout(timeout_seconds: u32) -> Self {
        let third = u64::from(timeout_seconds / 3).max(1);
        Self {
            raw_bytes: (8 << 30).min(third * 40_000_000),
            objects: 200_000.min(usize::try_from(third * 700).unwrap_or(usize::MAX)),
            output_bytes: (5 << 30).min(third * 20_000_000),
        }
    }
}

/// What a plan is made of.
#[derive(Debug, Clone, Copy)]
pub struct PlanContext<'a> {
    /// The time of the plan, UTC.
    pub now: Timestamp,
    /// The delivery.
    pub delivery: &'a Delivery,
    /// Why the plan is made.
    pub reason: PlanReason,
    /// The last request to flush, UTC: whatever was staged up to then leaves.
    pub flushed_at: Option<Timestamp>,
    /// Output bytes per listed byte, learned.
    pub ratios: &'a Ratios,
    /// Bounds of an intent.
    pub bounds: Bounds,
}

/// An intent without a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentDraft {
    /// Values of the levels known before reading.
    pub partition: Vec<Option<KnownValue>>,
    /// Why it is flushed.
    pub reason: FlushReason,
    /// How many inputs are predicted to fill the target.
    pub predicted: usize,
    /// The inputs, in key order.
    pub inputs: Vec<Input>,
}

/// What is to be done now, and when to look again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Intents to put, in this order.
    pub intents: Vec<IntentDraft>,
    /// Objects that wait for company.
    pub waiting: usize,
    /// When the first of them reaches its maximum latency, or its partition closes, UTC.
    pub next_look: Option<Timestamp>,
    /// Objects staged before the delivery's start: left alone.
    pub before_start: usize,
}

/// Makes a plan of what is pending, all at once; the objects come in key order.
pub fn plan(context: PlanContext<'_>, pending: impl IntoIterator<Item = ListedObject>) -> Plan {
    let mut planner = Planner::new(context);
    let mut intents: Vec<IntentDraft> =
        pending.into_iter().filter_map(|object| planner.offer(object, None)).collect();
    let mut plan = planner.finish();
    intents.append(&mut plan.intents);
    Plan { intents, ..plan }
}

/// The partition values known before reading, one entry per level.
pub fn known_partition(layout: &Layout, object: &ListedObject) -> Vec<Option<KnownValue>> {
    layout
        .partitions
        .iter()
        .map(|level| match level.source {
            // The id of the job comes from the intent.
            PartitionSource::Column | PartitionSource::Job => None,
            PartitionSource::Arrival => {
                Some(KnownValue { value: time_value(level.transform, object.last_modified) })
            }
            PartitionSource::Key => Some(KnownValue { value: key_value(level, &object.key) }),
        })
        .collect()
}

fn key_value(level: &PartitionLevel, key: &str) -> Option<String> {
    value_in_key(key, level.reads()).flatten()
}

/// The value of a time-derived level, UTC; `None` for a transform that needs another source.
pub fn time_value(transform: PartitionTransform, time: Timestamp) -> Option<String> {
    let time = time.to_zoned(TimeZone::UTC);
    Some(match transform {
        PartitionTransform::Identity => return None,
        PartitionTransform::Year => format!("{:04}", time.year()),
        PartitionTransform::Month => format!("{:02}", time.month()),
        PartitionTransform::Day => format!("{:02}", time.day()),
        PartitionTransform::Hour => format!("{:02}", time.hour()),
        PartitionTransform::Date => format!("{:04}-{:02}-{:02}", time.year(), time.month(), time.day()),
    })
}

#[cfg(test)]
mod tests;
