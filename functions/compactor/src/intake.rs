//! Intake: S3 events become nudges, schedule events become a sweep. Nothing is merged here.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use landfall_core::error::PortError;
use landfall_core::message::Message;
use landfall_core::port::{OutgoingMessage, Queue};
use landfall_core::record::PlanReason;
use landfall_core::registry::Registry;
use landfall_lambda::ObjectEvent;

/// What the objects of one message ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Routed {
    /// Deliveries to be planned.
    pub deliveries: BTreeSet<String>,
    /// Objects in buckets or under prefixes that no delivery has: they stay where they are.
    pub unrouted: usize,
}

/// Routes the objects of one message.
pub(crate) fn route(registry: &Registry, staging: &str, objects: &[ObjectEvent]) -> Routed {
    let mut routed = Routed::default();
    for object in objects {
        match registry.route(&object.key).filter(|_| object.bucket == staging) {
            Some(delivery) => {
                routed.deliveries.insert(delivery.id.clone());
            }
            None => routed.unrouted += 1,
        }
    }
    routed
}

/// A request for a plan as it goes onto the plan queue: serial per delivery, once per slot and reason.
///
/// The queue delays each message by a slot, so that the plan of a slot lists after its last nudge.
pub(crate) fn plan_message(
    delivery: &str,
    reason: PlanReason,
    now: Timestamp,
    slot_seconds: u32,
) -> OutgoingMessage {
    let slot = now.as_second().div_euclid(i64::from(slot_seconds.max(1)));
    let body = Message::plan(delivery, reason).to_body();
    // A due delivery and one with new objects want the same plan; a flush wants more.
    let kind = if reason == PlanReason::Flush { "flush" } else { "look" };
    OutgoingMessage {
        body,
        group: Some(delivery.to_owned()),
        deduplication: Some(format!("{delivery}-{kind}-{slot}")),
        delay_seconds: None,
    }
}

/// Sends one nudge per delivery; answers which failed and why.
pub(crate) async fn nudge<Q: Queue>(
    queue: &Q,
    plan_queue: &str,
    deliveries: &BTreeSet<String>,
    reason: PlanReason,
    now: Timestamp,
    slot_seconds: u32,
) -> BTreeMap<String, PortError> {
    let messages: Vec<OutgoingMessage> =
        deliveries.iter().map(|delivery| plan_message(delivery, reason, now, slot_seconds)).collect();
    if messages.is_empty() {
        return BTreeMap::new();
    }
    let answers = queue.send(plan_queue, &messages).await;
    deliveries
        .iter()
        .zip(answers)
        .filter_map(|(delivery, answer)| answer.err().map(|error| (delivery.clone(), error)))
        .collect()
}
