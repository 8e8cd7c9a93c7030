//! The planner: reads the log, lists what is pending, puts intents, dispatches work, moves the floor.
//!
//! Order matters. The log is read before the inputs are listed: an input deleted in between belongs to an intent
//! the log already named. After each put the floor is read again: a number at or below it was retired by
//! somebody who saw more, and nothing is done under it.

use jiff::Timestamp;
use landfall_core::delivery::Delivery;
use landfall_core::hold;
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::{Ledger, LedgerError, LogView, PutOnce, list_all};
use landfall_core::message::{Message, dispatch};
use landfall_core::plan::{self, Bounds, IntentDraft, PlanInput, shares::Turns};
use landfall_core::port::{Bucket, DeleteOutcome, ListedObject, ObjectStore, Queue};
use landfall_core::record::{FORMAT, Intent, PlanReason};

use crate::dispatch::{Schedule, dispatch_and_note};
use crate::error::WorkError;
use crate::log_state::{learn, read_log, retire};

/// How often a plan starts over because somebody else put the same number.
const ROUNDS: usize = 8;

/// What a plan needs to know of the stack.
#[derive(Debug, Clone)]
pub struct PlannerConfig {
    /// The staging bucket.
    pub staging: Bucket,
    /// Where merges are dispatched to.
    pub work_queue: String,
    /// Where commits are dispatched to.
    pub commit_queue: String,
    /// The timeout of the functions, in seconds: silent work is dispatched again after it.
    pub timeout_seconds: u32,
    /// How often a full listing is made although nothing was heard, in seconds.
    pub reconcile_seconds: u32,
}

/// What a plan did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanReport {
    /// Intents put.
    pub intents: usize,
    /// Objects in them.
    pub objects: usize,
    /// Objects that wait for company.
    pub waiting: usize,
    /// Repeated uploads deleted.
    pub repeats: usize,
    /// Work dispatched again.
    pub redispatched: usize,
    /// The floor moved to here.
    pub floor: Option<u64>,
    /// Resources under which the delivery is held; nothing new is planned then.
    pub held: Vec<String>,
}

/// Plans one delivery, of which `merges` may be dispatched and not decided.
///
/// # Errors
/// When the store or the queue fails; everything done until then stands, and the next plan goes on from it.
pub(crate) async fn plan_delivery<S: ObjectStore, Q: Queue>(
    ledger: &Ledger<S>,
    queue: &Q,
    config: &PlannerConfig,
    delivery: &Delivery,
    reason: PlanReason,
    merges: usize,
    now: Timestamp,
) -> Result<PlanReport, WorkError> {
    let mut report = PlanReport::default();
    let holds = hold::held(ledger, &delivery.id).await?;
    let mut schedule = Schedule::read(ledger, &delivery.id).await?;
    for _ in 0..ROUNDS {
        let log = read_log(ledger, delivery, now).await?;
        // A hold ends by the success of an intent that is under way. Without one nothing would ever find the repair: then
        // the next intent is the probe.
        let held = if log.has_open_data(&holds.intents) { holds.resources.clone() } else { Vec::new() };
        let listing = list_all(ledger.store(), &config.staging, &delivery.source.prefix, None).await?;
        if reason == PlanReason::Flush {
            // By the store's clock too, which may be ahead of ours.
            let newest = listing.iter().map(|object| object.last_modified).max();
            schedule.flushed_at = schedule.flushed_at.max(Some(now)).max(newest);
        }
        let floor = retire(ledger, delivery, &log, &listing, now).await?;
        report.floor = floor.or(report.floor);
        let divided = plan::pending(listing, &log.taken);
        report.repeats += delete_repeats(ledger.store(), &config.staging, &divided.repeats).await?;

        let plan = if held.is_empty() {
            let ratios = learn(ledger, delivery, &log).await?;
            plan::plan(&PlanInput {
                now,
                delivery,
                reason,
                flushed_at: schedule.flushed_at,
                pending: &divided.objects,
                ratios: &ratios,
                bounds: Bounds::for_timeout(config.timeout_seconds),
            })
        } else {
            plan::Plan::default()
        };
        let put = put_intents(ledger, delivery, &log.view, &plan.intents, now).await?;
        report.intents += put.numbers.len();
        report.objects += put.objects;
        let mut turns = Turns::new(log.undecided(&holds.intents), schedule.waiting_from, merges);
        for n in &put.numbers {
            turns.add(*n);
        }
        let begin = turns.begin().iter().map(|n| Message::merge(&delivery.id, *n));
        dispatch(queue, &config.work_queue, &delivery.tenant, begin).await?;
        schedule.waiting_from = turns.waiting_from();
        if put.raced {
            continue;
        }

        report.waiting = plan.waiting;
        report.held.clone_from(&held);
        let next_look = if held.is_empty() { plan.next_look } else { None };
        report.redispatched +=
            dispatch_and_note(ledger, queue, config, delivery, &log, schedule, &turns, next_look, now)
                .await?;
        return Ok(report);
    }
    Err(WorkError::Raced { delivery: delivery.id.clone() })
}

async fn delete_repeats<S: ObjectStore>(
    store: &S,
    staging: &Bucket,
    repeats: &[ListedObject],
) -> Result<usize, WorkError> {
    let mut deleted = 0;
    for repeat in repeats {
        if store.delete(staging, &repeat.key, &repeat.etag).await? == DeleteOutcome::Deleted {
            deleted += 1;
        }
    }
    Ok(deleted)
}

struct PutIntents {
    numbers: Vec<u64>,
    objects: usize,
    raced: bool,
}

/// Puts intents under the next numbers. Stops at the first number somebody else took: the plan starts over.
async fn put_intents<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    view: &LogView,
    drafts: &[IntentDraft],
    now: Timestamp,
) -> Result<PutIntents, LedgerError> {
    let mut put = PutIntents { numbers: Vec::new(), objects: 0, raced: false };
    if drafts.is_empty() {
        return Ok(put);
    }
    let pinned = delivery.pinned();
    let pin = pinned.hash();
    ledger.put_once(&keys::pin(&delivery.id, &pin), &pinned).await?;
    for (draft, n) in drafts.iter().zip(view.next()..) {
        let intent = Intent {
            version: FORMAT,
            delivery: delivery.id.clone(),
            n,
            planned_at: now,
            pin: pin.clone(),
            reason: draft.reason,
            partition: draft.partition.clone(),
            predicted: draft.predicted,
            inputs: draft.inputs.clone(),
        };
        let put_once = ledger.put_once(&keys::record(&delivery.id, n, RecordName::Intent), &intent).await?;
        let (floor, _) = ledger.floor(&delivery.id).await?;
        if put_once == PutOnce::Theirs || n <= floor {
            put.raced = true;
            return Ok(put);
        }
        put.objects += draft.inputs.len();
        put.numbers.push(n);
    }
    Ok(put)
}
