//! The planner: reads the log, lists what is pending, puts intents, dispatches work, moves the floor.
//!
//! Order matters. The log is read before the inputs are listed: an input deleted in between belongs to an intent
//! the log already named. After each put the floor is read again: a number at or below it was retired by
//! somebody who saw more, and nothing is done under it.
//!
//! The listing is taken page by page, and an intent is put as soon as it is full: nothing here grows with the listing.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use jiff::Timestamp;
use landfall_core::delivery::Delivery;
use landfall_core::error::PortError;
use landfall_core::hold::{Held, Holds};
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::{Ledger, LedgerError, PutOnce};
use landfall_core::message::{Message, dispatch};
use landfall_core::plan::shares::Turns;
use landfall_core::plan::{Bounds, IntentDraft, Place, Plan, PlanContext, Planner, Ratios};
use landfall_core::port::{Bucket, DeleteOutcome, ListedObject, ObjectStore, Queue};
use landfall_core::record::{FORMAT, Intent, PlanReason};
use tokio::sync::Mutex;

use crate::dispatch::{Schedule, Seen, dispatch_and_note};
use crate::error::WorkError;
use crate::evolve;
use crate::expiry::{expire, tidy};
use crate::identity_cache::IdentityCache;
use crate::log_state::{LogState, learn, read_log, retire};
use crate::prune::prune;

/// How often a plan starts over because somebody else put the same number.
const ROUNDS: usize = 8;
/// How many repeated uploads are deleted at once.
const DELETES_AT_ONCE: usize = 16;

/// What a plan needs to know of the stack.
#[derive(Debug, Clone)]
pub struct PlannerConfig {
    /// The staging bucket.
    pub staging: Bucket,
    /// Where merges are dispatched to.
    pub work_queue: String,
    /// Where commits are dispatched to.
    pub commit_queue: String,
    /// Where holds are told of.
    pub notify_queue: String,
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
    /// Intents that expired.
    pub expired: usize,
    /// The floor moved to here.
    pub floor: Option<u64>,
    /// Resources under which the destination is held; at most a probe is planned then.
    pub held: Vec<String>,
}

/// A plan that is asked for.
pub(crate) struct Asked<'a> {
    pub(crate) delivery: &'a Delivery,
    pub(crate) reason: PlanReason,
    /// How many merges may be dispatched and not decided.
    pub(crate) merges: usize,
}

/// Plans one delivery; `identities` are the lists that are known from earlier plans.
///
/// # Errors
/// When the store or the queue fails; everything done until then stands, and the next plan goes on from it.
pub(crate) async fn plan_delivery<S: ObjectStore, Q: Queue>(
    holds: &Holds<'_, S, Q>,
    queue: &Q,
    config: &PlannerConfig,
    identities: &Mutex<IdentityCache>,
    asked: &Asked<'_>,
    now: Timestamp,
) -> Result<PlanReport, WorkError> {
    let Asked { delivery, reason, merges } = *asked;
    let ledger = holds.ledger();
    let mut report = PlanReport::default();
    // Before the holds: whoever writes a hold later pulls this record forward, and our own writing of it finds that out.
    let mut schedule = Schedule::read(ledger, &delivery.id).await?;
    let mut held = holds.all(&delivery.id).await?;
    if reason == PlanReason::Flush {
        schedule.flushed_at = schedule.flushed_at.max(Some(now));
    }
    for _ in 0..ROUNDS {
        let mut log = read_log(ledger, delivery, identities, now).await?;
        report.expired += expire(holds, &mut held, &mut log, now).await?;
        let limit = plan_limit(&held, &log, now);
        let ratios = if limit > 0 { learn(ledger, delivery, &log).await? } else { Ratios::default() };
        let planner = (limit > 0).then(|| {
            Planner::new(PlanContext {
                now,
                delivery,
                reason,
                flushed_at: schedule.flushed_at,
                ratios: &ratios,
                bounds: Bounds::for_timeout(config.timeout_seconds),
            })
        });
        let turns = Turns::new(log.undecided(&held), schedule.waiting_from, merges);
        let mut pass = Pass::new(ledger, delivery, config, &log, now);
        if held.try_at().is_some() {
            // At most the probe is put, and it goes at once; whose turn it is, is asked when the hold has ended.
            pass.limit = limit;
        } else {
            pass.unsent.extend(turns.begin());
            pass.turns = Some(turns);
        }
        let walked = pass.walk(planner, queue).await;
        report.intents += pass.intents;
        report.objects += pass.objects;
        report.repeats += pass.repeats;
        // Also when the pass failed: what was put is put, and would wait for the schedule.
        pass.send(queue).await?;
        if let Some(turns) = &pass.turns {
            schedule.waiting_from = turns.waiting_from();
        }
        let Some(plan) = walked? else { continue };

        if reason == PlanReason::Flush {
            // By the store's clock too, which may be ahead of ours.
            schedule.flushed_at = schedule.flushed_at.max(pass.newest);
        }
        let floor = retire(ledger, delivery, &log, &pass.remembered).await?;
        report.floor = floor.or(report.floor);
        let floor = floor.unwrap_or(log.view.floor);
        schedule.pruned_at = prune(ledger, delivery, floor, schedule.pruned_at, now).await;
        report.waiting = plan.waiting;
        report.held = held.of_destination().map(|hold| hold.resource.clone()).collect();
        let planned = report.intents > 0;
        if !planned && plan.waiting == 0 {
            tidy(holds, &mut held, &log, now).await?;
        }
        let next_look = plan.next_look;
        let turns = pass.turns.unwrap_or_default();
        let seen = Seen { delivery, log: &log, held: &held, reason, turns: &turns, planned, next_look, now };
        report.redispatched += dispatch_and_note(holds, queue, config, &seen, schedule).await?;
        return Ok(report);
    }
    Err(WorkError::Raced { delivery: delivery.id.clone() })
}

/// How many intents may be planned. A held destination gets no new work while an intent is open that will find the repair.
/// Without one nothing ever would: then the next intent is the probe, when the holds allow one.
fn plan_limit(held: &Held, log: &LogState, now: Timestamp) -> usize {
    match held.try_at() {
        None => usize::MAX,
        Some(at) if at <= now && !log.has_open_data(held) => 1,
        Some(_) => 0,
    }
}

/// One pass over the listing.
struct Pass<'a, S> {
    ledger: &'a Ledger<S>,
    delivery: &'a Delivery,
    config: &'a PlannerConfig,
    log: &'a LogState,
    /// How many intents may be put.
    limit: usize,
    /// Whose turn it is to be merged; `None` when the destination is held.
    turns: Option<Turns>,
    now: Timestamp,
    /// The number of the next intent.
    next: u64,
    /// The hash of the pinned configuration, once it is put.
    pin: Option<String>,
    /// Numbers that were put and of which nobody was told.
    unsent: Vec<u64>,
    /// When the newest object was staged, UTC.
    newest: Option<Timestamp>,
    /// Void intents that are the last one of an object still listed.
    remembered: BTreeSet<u64>,
    intents: usize,
    objects: usize,
    repeats: usize,
}

impl<'a, S: ObjectStore> Pass<'a, S> {
    fn new(
        ledger: &'a Ledger<S>,
        delivery: &'a Delivery,
        config: &'a PlannerConfig,
        log: &'a LogState,
        now: Timestamp,
    ) -> Self {
        Self {
            ledger,
            delivery,
            config,
            log,
            limit: usize::MAX,
            turns: None,
            now,
            next: log.view.next(),
            pin: None,
            unsent: Vec::new(),
            newest: None,
            remembered: BTreeSet::new(),
            intents: 0,
            objects: 0,
            repeats: 0,
        }
    }

    /// Lists what is staged, puts what is ripe of it and deletes what is repeated. Without a planner (the delivery is held)
    /// nothing is put. `None` when somebody else took a number: the plan starts over.
    async fn walk<Q: Queue>(
        &mut self,
        mut planner: Option<Planner<'_>>,
        queue: &Q,
    ) -> Result<Option<Plan>, WorkError> {
        let (store, staging) = (self.ledger.store(), &self.config.staging);
        let mut page: Option<String> = None;
        loop {
            let listing = store.list(staging, &self.delivery.source.prefix, None, page.as_deref()).await?;
            let mut repeats = Vec::new();
            for object in listing.objects {
                self.newest = self.newest.max(Some(object.last_modified));
                let known = self.log.taken.know(&object);
                self.remembered.extend(known.void);
                match known.place {
                    Place::InFlight => {}
                    Place::Repeat => repeats.push(object),
                    Place::Pending => {
                        let draft = planner.as_mut().and_then(|planner| planner.offer(object, known.void));
                        if let Some(draft) = draft
                            && !self.put(draft).await?
                        {
                            return Ok(None);
                        }
                        if self.intents >= self.limit {
                            planner = None;
                        }
                    }
                }
            }
            self.repeats += delete_repeats(store, staging, &repeats).await?;
            self.send(queue).await?;
            page = listing.next;
            if page.is_none() {
                break;
            }
        }
        let Some(planner) = planner else { return Ok(Some(Plan::default())) };
        let mut plan = planner.finish();
        for draft in std::mem::take(&mut plan.intents).into_iter().take(self.limit) {
            if !self.put(draft).await? {
                return Ok(None);
            }
        }
        Ok(Some(plan))
    }

    /// Puts an intent under the next number; false when somebody else took it, or it is retired.
    async fn put(&mut self, draft: IntentDraft) -> Result<bool, LedgerError> {
        let (ledger, id, n) = (self.ledger, &self.delivery.id, self.next);
        let pin = if let Some(pin) = &self.pin {
            pin.clone()
        } else {
            // After the log was read: an intent that was void for it is planned under what it recorded.
            let pinned = evolve::pinned(ledger, self.delivery).await?;
            let pin = pinned.hash();
            ledger.put_once(&keys::pin(id, &pin), &pinned).await?;
            self.pin.insert(pin).clone()
        };
        let intent = Intent {
            version: FORMAT,
            delivery: id.clone(),
            n,
            planned_at: self.now,
            pin,
            reason: draft.reason,
            partition: draft.partition,
            predicted: draft.predicted,
            inputs: draft.inputs,
        };
        let put_once = ledger.put_once(&keys::record(id, n, RecordName::Intent), &intent).await?;
        let (floor, _) = ledger.floor(id).await?;
        if put_once == PutOnce::Theirs || n <= floor {
            return Ok(false);
        }
        self.next += 1;
        self.intents += 1;
        self.objects += intent.inputs.len();
        if self.turns.as_mut().is_none_or(|turns| turns.add(n)) {
            self.unsent.push(n);
        }
        Ok(true)
    }

    /// Asks for the merges of what was put.
    async fn send<Q: Queue>(&mut self, queue: &Q) -> Result<(), PortError> {
        let numbers = std::mem::take(&mut self.unsent);
        let messages = numbers.into_iter().map(|n| Message::merge(&self.delivery.id, n));
        dispatch(queue, &self.config.work_queue, &self.delivery.tenant, messages).await
    }
}

/// Deletes repeated uploads; how many were still there.
async fn delete_repeats<S: ObjectStore>(
    store: &S,
    staging: &Bucket,
    repeats: &[ListedObject],
) -> Result<usize, PortError> {
    // By index: a closure over references would not be general enough for a `Send` stream.
    let deletes = (0..repeats.len()).map(|index| delete_repeat(store, staging, repeats.get(index)));
    let mut deletes = futures::stream::iter(deletes).buffered(DELETES_AT_ONCE);
    let mut deleted = 0;
    while let Some(gone) = deletes.next().await {
        deleted += usize::from(gone?);
    }
    Ok(deleted)
}

async fn delete_repeat<S: ObjectStore>(
    store: &S,
    staging: &Bucket,
    repeat: Option<&ListedObject>,
) -> Result<bool, PortError> {
    match repeat {
        Some(repeat) => Ok(store.delete(staging, &repeat.key, &repeat.etag).await? == DeleteOutcome::Deleted),
        None => Ok(false),
    }
}
