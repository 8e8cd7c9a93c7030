//! Dispatch: what of a delivery's open work is due is sent to its queue, and when to look next is written down.
//!
//! Only a matter of schedule: correctness never depends on who is woken when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use landfall_core::delivery::{Delivery, Order};
use landfall_core::hold::{self, Held, Holds, Work};
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::{Ledger, LedgerError};
use landfall_core::message::{Message, dispatch};
use landfall_core::plan::shares::Turns;
use landfall_core::port::{ObjectStore, Queue};
use landfall_core::record::{Dispatched, Due, FORMAT, PlanReason};
use landfall_core::standing::Standing;

use crate::error::WorkError;
use crate::log_state::{Decided, LogState};
use crate::planner::PlannerConfig;

/// How often writing the due record is tried against other writers.
const ROUNDS: usize = 8;
/// What is added to the function timeout before silent work is dispatched again.
const STALL_GRACE: SignedDuration = SignedDuration::from_secs(60);
/// The longest time between two dispatches of one piece of work: a client who mends a role is served within the hour.
const MOST_SPACING: SignedDuration = SignedDuration::from_mins(30);

/// What a plan saw of its delivery.
pub(crate) struct Seen<'a> {
    pub(crate) delivery: &'a Delivery,
    pub(crate) log: &'a LogState,
    pub(crate) held: &'a Held,
    pub(crate) reason: PlanReason,
    /// Whose turn it is to be merged, those dispatched by this plan included; nobody's when the destination is held.
    pub(crate) turns: &'a Turns,
    /// Whether this plan put an intent: under a hold it is the probe.
    pub(crate) planned: bool,
    /// When an object that waits for company is due.
    pub(crate) next_look: Option<Timestamp>,
    pub(crate) now: Timestamp,
}

/// Dispatches work that waits for it and writes down when to look next; answers how much was dispatched.
pub(crate) async fn dispatch_and_note<S: ObjectStore, Q: Queue>(
    holds: &Holds<'_, S, Q>,
    queue: &Q,
    config: &PlannerConfig,
    seen: &Seen<'_>,
    schedule: Schedule,
) -> Result<usize, WorkError> {
    let mut choice = Choice::new(config, seen, &schedule);
    choice.choose(config, seen);
    let mut count = 0;
    for (target, messages) in choice.messages {
        count += messages.len();
        dispatch(queue, target, &seen.delivery.tenant, messages).await?;
    }
    // The document is valid, or there would be no plan. After the dispatch: a crash in between dispatches once more.
    if let Some(hold) = seen.held.under(hold::CONFIGURATION) {
        holds.release(&hold.delivery, hold.n, &[hold::CONFIGURATION], seen.now).await?;
    }
    let due = Due {
        version: FORMAT,
        at: choice.at,
        planned_at: seen.now,
        flushed_at: schedule.flushed_at,
        pruned_at: schedule.pruned_at,
        waiting_from: schedule.waiting_from,
        dispatched: choice.dispatched,
    };
    schedule.replace(holds.ledger(), seen, due).await?;
    Ok(count)
}

/// What is dispatched now, and when to look again.
struct Choice<'a> {
    schedule: &'a Schedule,
    now: Timestamp,
    stall: SignedDuration,
    messages: BTreeMap<&'a str, Vec<Message>>,
    dispatched: BTreeMap<u64, Dispatched>,
    at: Timestamp,
}

/// The next step of an intent that is not over.
struct Step<'a> {
    n: u64,
    planned_at: Timestamp,
    /// The queue it goes to.
    target: &'a str,
    message: Message,
    /// What of holds concerns it; `None` for what needs nobody but us.
    work: Option<Work>,
}

impl<'a> Choice<'a> {
    fn new(config: &PlannerConfig, seen: &Seen<'_>, schedule: &'a Schedule) -> Self {
        let reconcile = SignedDuration::from_secs(i64::from(config.reconcile_seconds));
        let latest = seen.now.saturating_add(reconcile).unwrap_or(Timestamp::MAX);
        let waits = seen.held.0.iter().map(|hold| hold.not_before).filter(|at| *at > seen.now);
        Self {
            schedule,
            now: seen.now,
            stall: SignedDuration::from_secs(i64::from(config.timeout_seconds)) + STALL_GRACE,
            messages: BTreeMap::new(),
            dispatched: BTreeMap::new(),
            at: waits.chain(seen.next_look).fold(latest, Timestamp::min),
        }
    }

    fn choose(&mut self, config: &'a PlannerConfig, seen: &Seen<'_>) {
        let resumed = seen.reason == PlanReason::Resume || seen.held.under(hold::CONFIGURATION).is_some();
        let destination = seen.held.try_at();
        let queue = seen.held.under(hold::QUEUE).map(|hold| hold.not_before);
        let ordered = seen.delivery.order == Order::Delivery;
        let last_prober = seen.held.of_destination().map(|hold| hold.n).max().unwrap_or(0);
        let (mut probe, mut last_resort, mut notice) = (None::<Step<'_>>, None::<Step<'_>>, None::<Step<'_>>);
        let mut blocked = false;
        for (n, intent) in &seen.log.intents {
            let Some(records) = seen.log.view.intents.get(n) else { continue };
            let outcome = seen.log.outcomes.get(n);
            let Some(mut step) = unfinished(config, seen.delivery, *n, records, outcome) else { continue };
            step.planned_at = intent.planned_at;
            let own = seen.held.of_intent(*n).filter(|_| step.work == Some(Work::Data));
            match (step.work, own) {
                // Not always the same one: what cannot succeed by itself must not hide that the destination works again. An
                // ordered delivery has no choice.
                (Some(Work::Data), None) if destination.is_some() => match &probe {
                    Some(first) if ordered || first.n > last_prober || step.n <= last_prober => {}
                    _ => probe = Some(step),
                },
                // Its successors wait for it, and can prove nothing before its own time has come.
                (Some(Work::Data), Some(own)) if own.not_before > self.now => {
                    blocked |= ordered && probe.is_none() && last_resort.is_none();
                }
                (Some(Work::Data), Some(_)) if destination.is_some() => {
                    last_resort.get_or_insert(step);
                }
                (Some(Work::Data), Some(own)) => self.probe(step, own.not_before),
                (Some(Work::Notice), _) if queue.is_some() => {
                    notice.get_or_insert(step);
                }
                _ if outcome.is_none() && seen.turns.waits(*n) => {}
                _ if outcome.is_none() && seen.turns.begin().contains(n) => self.note_dispatched(*n),
                _ if resumed => self.dispatch(step),
                _ => self.dispatch_when_silent(step),
            }
        }
        // One piece of work finds out whether a hold can end; what else waits is dispatched when it has.
        if let (Some(at), false) = (destination.filter(|at| *at <= self.now), seen.planned)
            && let Some(step) = first(probe, last_resort, ordered)
            && !blocked
        {
            self.probe(step, at);
        }
        if let (Some(at), Some(step)) = (queue.filter(|at| *at <= self.now), notice) {
            self.probe(step, at);
        }
    }

    /// Dispatches a probe that a hold allows since `at`; once, unless it stays silent.
    fn probe(&mut self, step: Step<'a>, at: Timestamp) {
        let known = self.schedule.dispatched.get(&step.n).filter(|known| known.last >= at);
        let due = known.and_then(|known| known.last.saturating_add(self.stall).ok());
        match (known, due) {
            (Some(known), Some(due)) if due > self.now => {
                self.dispatched.insert(step.n, known.clone());
                self.at = self.at.min(due);
            }
            _ => self.dispatch(step),
        }
    }

    /// Dispatches a step whose worker was not heard of for too long; the time between two dispatches doubles.
    fn dispatch_when_silent(&mut self, step: Step<'a>) {
        let known = self.schedule.dispatched.get(&step.n).cloned();
        let known = known.unwrap_or(Dispatched { times: 0, last: step.planned_at });
        let spacing = self.stall.saturating_mul(1 << known.times.min(10)).min(MOST_SPACING.max(self.stall));
        let due = known.last.saturating_add(spacing).unwrap_or(Timestamp::MAX);
        if due <= self.now {
            self.dispatch(step);
        } else {
            if known.times > 0 {
                self.dispatched.insert(step.n, known);
            }
            self.at = self.at.min(due);
        }
    }

    /// Notes that an intent is dispatched by this plan.
    fn note_dispatched(&mut self, n: u64) {
        let times = self.schedule.dispatched.get(&n).map_or(0, |known| known.times);
        self.dispatched.insert(n, Dispatched { times: times.saturating_add(1), last: self.now });
        self.at = self.at.min(self.now.saturating_add(self.stall).unwrap_or(Timestamp::MAX));
    }

    fn dispatch(&mut self, step: Step<'a>) {
        self.note_dispatched(step.n);
        self.messages.entry(step.target).or_default().push(step.message);
    }
}

/// The probe of a destination: work that is not held alone, but in an ordered delivery what comes first.
fn first<'a>(free: Option<Step<'a>>, held_alone: Option<Step<'a>>, ordered: bool) -> Option<Step<'a>> {
    match (free, held_alone) {
        (Some(free), Some(alone)) if ordered && alone.n < free.n => Some(alone),
        (free, alone) => free.or(alone),
    }
}

/// What the due record says, and the entity tag to replace it under.
pub(crate) struct Schedule {
    dispatched: BTreeMap<u64, Dispatched>,
    pub(crate) flushed_at: Option<Timestamp>,
    pub(crate) pruned_at: Option<Timestamp>,
    /// The first undecided intent that was never dispatched.
    pub(crate) waiting_from: Option<u64>,
    at: Timestamp,
    planned_at: Option<Timestamp>,
    etag: Option<String>,
}

impl Schedule {
    pub(crate) async fn read<S: ObjectStore>(
        ledger: &Ledger<S>,
        delivery: &str,
    ) -> Result<Self, LedgerError> {
        let key = keys::due(delivery);
        let none = Self {
            dispatched: BTreeMap::new(),
            flushed_at: None,
            pruned_at: None,
            waiting_from: None,
            at: Timestamp::MAX,
            planned_at: None,
            etag: None,
        };
        match ledger.read::<Due>(&key).await {
            Ok(Some((due, etag))) => Ok(Self {
                dispatched: due.dispatched,
                flushed_at: due.flushed_at,
                pruned_at: due.pruned_at,
                waiting_from: due.waiting_from,
                at: due.at,
                planned_at: Some(due.planned_at),
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

    /// Writes the due record in the place of what was read. A lost race means that another plan of this delivery has just
    /// written its own view, which is equally good, but for a request to flush, which must not be lost; or that a hold
    /// has pulled the next look forward, which must not be lost either.
    async fn replace<S: ObjectStore>(
        mut self,
        ledger: &Ledger<S>,
        seen: &Seen<'_>,
        mut due: Due,
    ) -> Result<(), LedgerError> {
        for _ in 0..ROUNDS {
            if ledger.replace(&keys::due(&seen.delivery.id), &due, self.etag.as_deref()).await? {
                break;
            }
            let theirs = Self::read(ledger, &seen.delivery.id).await?;
            let pulled = theirs.planned_at == self.planned_at && theirs.at < self.at;
            if pulled {
                due.at = due.at.min(theirs.at);
            } else if theirs.flushed_at >= due.flushed_at {
                break;
            } else {
                due.at = due.at.min(seen.now);
            }
            self = theirs;
        }
        Ok(())
    }
}

/// The next step of an intent that is not over.
fn unfinished<'a>(
    config: &'a PlannerConfig,
    delivery: &Delivery,
    n: u64,
    records: &BTreeSet<RecordName>,
    outcome: Option<&Decided>,
) -> Option<Step<'a>> {
    let standing = Standing::of(records);
    let step = |target: &'a str, message: Message, work: Option<Work>| {
        Some(Step { n, planned_at: Timestamp::MIN, target, message, work })
    };
    let commit = |work| step(&config.commit_queue, Message::commit(&delivery.id, n), work);
    let is_published = |name: &RecordName| matches!(name, RecordName::Published(_));
    match outcome {
        Some(outcome) if outcome.void => None,
        // Before its inputs are deleted nothing of it waits for the client.
        _ if standing.discarded && !standing.closed => commit(None),
        // Nothing of it goes on, but what was published gets its receipt and its notice.
        _ if standing.expired && standing.untold.is_some() => commit(Some(Work::Notice)),
        _ if standing.expired && !standing.received && records.iter().any(is_published) => commit(None),
        _ if standing.expired => None,
        None => step(&config.work_queue, Message::merge(&delivery.id, n), Some(Work::Data)),
        // The committer also sends a closed intent on to the notifier again when its notice is not recorded.
        Some(_) if standing.closed && standing.untold.is_some() => commit(Some(Work::Notice)),
        Some(_) if standing.closed => None,
        Some(_) if standing.received => commit(None),
        Some(_) => commit(Some(Work::Data)),
    }
}
