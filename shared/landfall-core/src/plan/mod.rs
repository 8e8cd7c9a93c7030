//! Planning: which pending objects become which intents, and when to look again. Pure and total: every staged
//! object is in exactly one intent, waits with a time, or is left out with a reason.

mod pending;
mod ratio;

pub use pending::{Pending, Taken, pending};
pub use ratio::{InputForm, Ratios, input_form};

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::delivery::{Delivery, Order, Start};
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
#[derive(Debug)]
pub struct PlanInput<'a> {
    /// The time of the plan, UTC.
    pub now: Timestamp,
    /// The delivery.
    pub delivery: &'a Delivery,
    /// Why the plan is made.
    pub reason: PlanReason,
    /// The last request to flush, UTC: whatever was staged up to then leaves.
    pub flushed_at: Option<Timestamp>,
    /// Objects of the source prefix that no intent has taken, in key order.
    pub pending: &'a [ListedObject],
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
    /// When the oldest of them reaches its maximum latency, UTC.
    pub next_look: Option<Timestamp>,
    /// Objects staged before the delivery's start: left alone.
    pub before_start: usize,
}

/// Makes a plan.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let layout = &input.delivery.layout;
    let mut plan = Plan::default();
    let mut groups: BTreeMap<Vec<Option<KnownValue>>, Vec<&ListedObject>> = BTreeMap::new();
    for object in input.pending {
        if let Start::At(start) = input.delivery.source.start
            && object.last_modified < start
        {
            plan.before_start += 1;
            continue;
        }
        groups.entry(known_partition(layout, object)).or_default().push(object);
    }
    for (partition, objects) in groups {
        plan_group(input, &partition, &objects, &mut plan);
    }
    plan
}

/// The partition values known before reading, one entry per level.
pub fn known_partition(layout: &Layout, object: &ListedObject) -> Vec<Option<KnownValue>> {
    layout
        .partitions
        .iter()
        .map(|level| match level.source {
            PartitionSource::Column => None,
            PartitionSource::Arrival => {
                Some(KnownValue { value: time_value(level.transform, object.last_modified) })
            }
            PartitionSource::Key => Some(KnownValue { value: key_value(level, &object.key) }),
        })
        .collect()
}

fn key_value(level: &PartitionLevel, key: &str) -> Option<String> {
    value_in_key(key, level.field.as_deref().unwrap_or(&level.name)).flatten()
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

fn plan_group(
    input: &PlanInput<'_>,
    partition: &[Option<KnownValue>],
    objects: &[&ListedObject],
    plan: &mut Plan,
) {
    let Some(oldest) = objects.iter().map(|object| object.last_modified).min() else { return };
    let latency = SignedDuration::from_secs(i64::from(input.delivery.layout.max_latency_seconds));
    let ripe = oldest.saturating_add(latency).unwrap_or(Timestamp::MAX);
    let requested = input.reason == PlanReason::Flush || input.flushed_at.is_some_and(|at| oldest <= at);
    let everything = match (requested, ripe <= input.now) {
        (true, _) => Some(FlushReason::Request),
        (false, true) => Some(FlushReason::Age),
        (false, false) => None,
    };

    let mut rest = objects;
    while !rest.is_empty() {
        let slice = slice(input, rest);
        if !slice.full && everything.is_none() {
            break;
        }
        let (taken, remainder) = rest.split_at_checked(slice.listed).unwrap_or((rest, &[]));
        plan.intents.push(IntentDraft {
            partition: partition.to_vec(),
            // On request everything leaves, also what a full file leaves over: the intent says so.
            reason: match everything {
                Some(FlushReason::Request) => FlushReason::Request,
                Some(reason) if !slice.full => reason,
                _ => FlushReason::Size,
            },
            predicted: slice.predicted,
            inputs: taken
                .iter()
                .map(|object| Input {
                    key: object.key.clone(),
                    etag: object.etag.clone(),
                    size: object.size,
                    last_modified: object.last_modified,
                })
                .collect(),
        });
        rest = remainder;
    }

    plan.waiting += rest.len();
    if let Some(oldest) = rest.iter().map(|object| object.last_modified).min() {
        let ripe = oldest.saturating_add(latency).unwrap_or(Timestamp::MAX);
        plan.next_look = Some(plan.next_look.map_or(ripe, |other| other.min(ripe)));
    }
}

/// The first inputs of a group that make one intent.
struct Slice {
    /// Whether they reach the target, or a bound of the execution.
    full: bool,
    /// How many are predicted to reach it.
    predicted: usize,
    /// How many the intent lists: more, so that a wrong prediction still fills the file ([`Ratios::reserve`]).
    listed: usize,
}

fn slice(input: &PlanInput<'_>, objects: &[&ListedObject]) -> Slice {
    let layout = &input.delivery.layout;
    // Records that choose their partition spread over several files: gather enough for each.
    let files = if layout.routes_by_record() { input.ratios.expected_partitions() } else { 1 };
    let target = layout.target_bytes.saturating_mul(files).min(input.bounds.output_bytes);
    let mut output = 0_u64;
    let mut raw = 0_u64;
    let mut predicted = 0_usize;
    let mut full = false;
    for object in objects {
        let form = input_form(&object.key);
        let more_raw = input.ratios.raw_bytes(form, object.size);
        if predicted > 0
            && (raw.saturating_add(more_raw) > input.bounds.raw_bytes || predicted >= input.bounds.objects)
        {
            // A bound of the execution, not the target: no reserve, it would not fit either.
            return Slice { full: true, predicted, listed: predicted };
        }
        raw = raw.saturating_add(more_raw);
        output = output.saturating_add(input.ratios.output_bytes(form, object.size));
        predicted += 1;
        if output >= target {
            full = true;
            break;
        }
    }
    // Such a merge does not stop early, so it gets no reserve. Nor does an ordered delivery: what a reserve frees would
    // come after what was planned behind it.
    let reserved = !layout.routes_by_record() && input.delivery.order == Order::None;
    let form = objects.first().map_or(InputForm::Plain, |object| input_form(&object.key));
    let reserve =
        if reserved { input.ratios.reserve(form, predicted, raw, input.bounds.raw_bytes) } else { 0 };
    Slice { full, predicted, listed: predicted.saturating_add(reserve).min(objects.len()) }
}

#[cfg(test)]
mod tests;
