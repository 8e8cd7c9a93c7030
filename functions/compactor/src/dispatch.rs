//! Dispatch: what of a delivery's open work is due is sent to its queue, and when to look next is written down.
//!
//! Only a matter of schedule: correctness never depends on who is woken when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use landfall_core::delivery::Delivery;
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::{Ledger, LedgerError};
use landfall_core::message::{Message, dispatch};
use landfall_core::plan::shares::Turns;
use landfall_core::port::{ObjectStore, Queue};
use landfall_core::record::{Dispatched, Due, FORMAT, Outcome};
use landfall_core::standing::Standing;

use crate::error::WorkError;
use crate::log_state::LogState;
use crate::planner::PlannerConfig;

/// How often writing the due record is tried against other writers.
const ROUNDS: usize = 8;
/// What is added to the function timeout before silent work is dispatched again.
const STALL_GRACE: SignedDuration = SignedDuration::from_secs(60);
/// The longest time between two dispatches of one piece of work: a client who mends a role is served within the hour.
const MOST_SPACING: SignedDuration = SignedDuration::from_mins(30);

/// Dispatches silent work again and writes down when to look next.
#[expect(
    clippy::too_many_arguments,
    reason = "the work and the world it is done in; a struct would only rename them"
)]
pub(crate) async fn dispatch_and_note<S: ObjectStore, Q: Queue>(
    ledger: &Ledger<S>,
    queue: &Q,
    config: &PlannerConfig,
    delivery: &Delivery,
    log: &LogState,
    mut schedule: Schedule,
    turns: &Turns,
    next_look: Option<Timestamp>,
    now: Timestamp,
) -> Result<usize, WorkError> {
    let stall = SignedDuration::from_secs(i64::from(config.timeout_seconds)) + STALL_GRACE;
    let reconcile = SignedDuration::from_secs(i64::from(config.reconcile_seconds));
    let mut at = now.saturating_add(reconcile).unwrap_or(Timestamp::MAX);
    at = next_look.map_or(at, |look| look.min(at));

    let mut dispatched = BTreeMap::new();
    let mut messages: BTreeMap<&str, Vec<Message>> = BTreeMap::new();
    for (n, intent) in &log.intents {
        let Some(records) = log.view.intents.get(n) else { continue };
        let Some((target, message)) = unfinished(config, delivery, *n, records, log.outcomes.get(n)) else {
            continue;
        };
        if turns.waits(*n) {
            continue;
        }
        let known = if turns.begin().contains(n) {
            Dispatched { times: 1, last: now }
        } else {
            let planned = Dispatched { times: 0, last: intent.planned_at };
            schedule.dispatched.get(n).cloned().unwrap_or(planned)
        };
        let spacing = stall.saturating_mul(1 << known.times.min(10)).min(MOST_SPACING.max(stall));
        let due = known.last.saturating_add(spacing).unwrap_or(Timestamp::MAX);
        if due <= now {
            messages.entry(target).or_default().push(message);
            dispatched.insert(*n, Dispatched { times: known.times + 1, last: now });
        } else {
            if known.times > 0 {
                dispatched.insert(*n, known);
            }
            at = at.min(due);
        }
    }
    let mut count = 0;
    for (target, messages) in messages {
        count += messages.len();
        dispatch(queue, target, &delivery.tenant, messages).await?;
    }
    let (flushed_at, waiting_from) = (schedule.flushed_at, turns.waiting_from());
    let mut due = Due { version: FORMAT, at, planned_at: now, flushed_at, dispatched, waiting_from };
    // A lost race means that another plan of this delivery has just written its own view, which is equally good; but a
    // request to flush must not be lost with it.
    for _ in 0..ROUNDS {
        if ledger.replace(&keys::due(&delivery.id), &due, schedule.etag.as_deref()).await? {
            break;
        }
        let theirs = Schedule::read(ledger, &delivery.id).await?;
        if theirs.flushed_at >= due.flushed_at {
            break;
        }
        schedule = theirs;
        due.at = due.at.min(now);
    }
    Ok(count)
}

/// What the due record says, and the entity tag to replace it under.
pub(crate) struct Schedule {
    dispatched: BTreeMap<u64, Dispatched>,
    pub(crate) flushed_at: Option<Timestamp>,
    /// The first undecided intent that was never dispatched.
    pub(crate) waiting_from: Option<u64>,
    etag: Option<String>,
}

impl Schedule {
    pub(crate) async fn read<S: ObjectStore>(
        ledger: &Ledger<S>,
        delivery: &str,
    ) -> Result<Self, LedgerError> {
        let key = keys::due(delivery);
        let none = Self { dispatched: BTreeMap::new(), flushed_at: None, waiting_from: None, etag: None };
        match ledger.read::<Due>(&key).await {
            Ok(Some((due, etag))) => Ok(Self {
                dispatched: due.dispatched,
                flushed_at: due.flushed_at,
                waiting_from: due.waiting_from,
                etag: Some(etag),
            }),
            Ok(None) => Ok(none),
            // Only a schedule: what cannot be read is written anew.
            Err(LedgerError::Record(error)) => {
                tracing::warn!(%error, "due record written anew");
                Ok(Self { etag: ledger.read_bytes(&key).await?.map(|(_, etag)| etag), ..none })
            }
            Err(error) => Err(error),
        }
    }
}

/// The next step of an intent that is not over, and the queue it goes to.
fn unfinished<'a>(
    config: &'a PlannerConfig,
    delivery: &Delivery,
    n: u64,
    records: &BTreeSet<RecordName>,
    outcome: Option<&Outcome>,
) -> Option<(&'a str, Message)> {
    match outcome {
        None => Some((config.work_queue.as_str(), Message::merge(&delivery.id, n))),
        Some(outcome) if outcome.void => None,
        // The committer also sends a closed intent on to the notifier again when its notice is not recorded.
        Some(_) if !Standing::of(records).is_over() => {
            Some((config.commit_queue.as_str(), Message::commit(&delivery.id, n)))
        }
        Some(_) => None,
    }
}
