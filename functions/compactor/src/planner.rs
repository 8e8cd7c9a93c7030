//! The planner: reads the log, lists what is pending, puts intents, dispatches work, moves the floor.
//!
//! Order matters. The log is read before the inputs are listed: an input deleted in between belongs to an intent
//! the log already named. After each put the floor is read again: a number at or below it was retired by
//! somebody who saw more, and nothing is done under it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use landfall_core::delivery::Delivery;
use landfall_core::hold;
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::{Ledger, LedgerError, LogView, PutOnce, generation, list_all};
use landfall_core::message::Message;
use landfall_core::plan::{self, Bounds, IntentDraft, PlanInput, Ratios, Taken, input_form};
use landfall_core::port::{Bucket, DeleteOutcome, ListedObject, ObjectStore, OutgoingMessage, Queue};
use landfall_core::record::{Dispatched, Due, FORMAT, Floor, Identities, Input, Intent, Outcome, PlanReason};

use crate::error::WorkError;

/// How often a plan starts over because somebody else put the same number.
const ROUNDS: usize = 8;
/// How many of the last outcomes the size prediction learns from.
const LEARN_FROM: u64 = 6;
/// How long identities of delivered inputs are kept: after it the same bytes are a new input.
const DEDUPE_HORIZON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// What is added to the function timeout before silent work is dispatched again.
const STALL_GRACE: SignedDuration = SignedDuration::from_secs(60);

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

/// The state of a delivery's log, read before its inputs are listed.
struct LogState {
    view: LogView,
    intents: BTreeMap<u64, Intent>,
    outcomes: BTreeMap<u64, Outcome>,
    taken: Taken,
}

/// Plans one delivery.
///
/// # Errors
/// When the store or the queue fails; everything done until then stands, and the next plan goes on from it.
pub(crate) async fn plan_delivery<S: ObjectStore, Q: Queue>(
    ledger: &Ledger<S>,
    queue: &Q,
    config: &PlannerConfig,
    delivery: &Delivery,
    reason: PlanReason,
    now: Timestamp,
) -> Result<PlanReport, WorkError> {
    let mut report = PlanReport::default();
    let held = hold::stops_planning(ledger, &delivery.id).await?;
    for _ in 0..ROUNDS {
        let log = read_log(ledger, delivery, now).await?;
        let listing = list_all(ledger.store(), &config.staging, &delivery.source.prefix, None).await?;
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
        send(queue, &config.work_queue, put.numbers.iter().map(|n| Message::merge(&delivery.id, *n))).await?;
        if put.raced {
            continue;
        }

        report.waiting = plan.waiting;
        report.held.clone_from(&held);
        let next_look = if held.is_empty() { plan.next_look } else { None };
        report.redispatched +=
            dispatch_and_note(ledger, queue, config, delivery, &log, next_look, now).await?;
        return Ok(report);
    }
    Err(WorkError::Raced { delivery: delivery.id.clone() })
}

async fn read_log<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<LogState, LedgerError> {
    let view = ledger.view(&delivery.id).await?;
    let mut state =
        LogState { view, intents: BTreeMap::new(), outcomes: BTreeMap::new(), taken: Taken::default() };
    for (n, records) in &state.view.intents {
        let intent = ledger.intent(&delivery.id, *n).await?;
        let outcome: Option<Outcome> = match generation(records) {
            Some(generation) => Some(
                ledger.must_read(&keys::record(&delivery.id, *n, RecordName::Outcome(generation))).await?,
            ),
            None => None,
        };
        let held = outcome.as_ref().map_or(intent.inputs.as_slice(), |outcome| consumed(&intent, outcome));
        if records.contains(&RecordName::Closed) {
            for input in held {
                state.taken.add_closed(input.key.clone(), input.etag.clone(), input.size);
            }
        } else {
            state.taken.add_open(held);
        }
        state.intents.insert(*n, intent);
        if let Some(outcome) = outcome {
            state.outcomes.insert(*n, outcome);
        }
    }
    let horizon = day(now.saturating_sub(DEDUPE_HORIZON).unwrap_or(Timestamp::MIN));
    for object in ledger.list_all(&keys::identities_prefix(&delivery.id), None).await? {
        match keys::parse_identities(&delivery.id, &object.key) {
            Some((written, _)) if written < horizon => {
                ledger.delete(&object.key, &object.etag).await?;
            }
            Some(_) => {
                let list: Identities = ledger.must_read(&object.key).await?;
                for (key, etag, size) in list.identities {
                    state.taken.add_closed(key, etag, size);
                }
            }
            None => {}
        }
    }
    Ok(state)
}

/// The inputs an outcome consumed: the first k, none of a void one.
fn consumed<'a>(intent: &'a Intent, outcome: &Outcome) -> &'a [Input] {
    let k = if outcome.void { 0 } else { outcome.consumed };
    intent.inputs.get(..k).unwrap_or(&intent.inputs)
}

/// Moves the floor over the closed and notified intents that follow it, if none of their inputs is listed.
async fn retire<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    log: &LogState,
    listing: &[ListedObject],
    now: Timestamp,
) -> Result<Option<u64>, LedgerError> {
    let listed: BTreeSet<(&str, &str, u64)> =
        listing.iter().map(|object| (object.key.as_str(), object.etag.as_str(), object.size)).collect();
    let mut floor = log.view.floor;
    let mut identities = BTreeSet::new();
    while let Some(records) = log.view.intents.get(&(floor + 1)) {
        let (Some(intent), Some(outcome)) = (log.intents.get(&(floor + 1)), log.outcomes.get(&(floor + 1)))
        else {
            break;
        };
        let over = outcome.void
            || (records.contains(&RecordName::Closed) && records.contains(&RecordName::Notified));
        let inputs = consumed(intent, outcome);
        let absent = inputs
            .iter()
            .all(|input| !listed.contains(&(input.key.as_str(), input.etag.as_str(), input.size)));
        if !over || !absent {
            break;
        }
        identities.extend(inputs.iter().map(|input| (input.key.clone(), input.etag.clone(), input.size)));
        floor += 1;
    }
    if floor == log.view.floor {
        return Ok(None);
    }
    // Identities first: between the two writes they stand twice, which is harmless; never not at all.
    if !identities.is_empty() {
        let list = Identities { version: FORMAT, identities: identities.into_iter().collect() };
        ledger.put_once(&keys::identities(&delivery.id, &day(now), floor), &list).await?;
    }
    let (current, etag) = ledger.floor(&delivery.id).await?;
    if current >= floor {
        return Ok(None);
    }
    let moved = ledger
        .replace(&keys::floor(&delivery.id), &Floor { version: FORMAT, n: floor }, etag.as_deref())
        .await?;
    Ok(moved.then_some(floor))
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

/// Learns size ratios from the last outcomes; inputs of several forms in one intent teach nothing.
async fn learn<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    log: &LogState,
) -> Result<Ratios, LedgerError> {
    let mut ratios = Ratios::default();
    let last = log.view.next().saturating_sub(1);
    for n in (last.saturating_sub(LEARN_FROM) + 1)..=last {
        let name = keys::record(&delivery.id, n, RecordName::Outcome(1));
        let outcome = match log.outcomes.get(&n) {
            Some(outcome) => Some(outcome.clone()),
            None if n <= log.view.floor => ledger.read::<Outcome>(&name).await?.map(|(outcome, _)| outcome),
            None => None,
        };
        let Some(outcome) = outcome.filter(|outcome| !outcome.void) else { continue };
        let intent = match log.intents.get(&n) {
            Some(intent) => intent.clone(),
            None => ledger.intent(&delivery.id, n).await?,
        };
        let inputs = consumed(&intent, &outcome);
        let forms: BTreeSet<_> = inputs.iter().map(|input| input_form(&input.key)).collect();
        if let (1, Some(form)) = (forms.len(), forms.first()) {
            let listed = inputs.iter().map(|input| input.size).sum();
            let output = outcome.files.iter().map(|file| file.bytes).sum();
            ratios.learn(*form, listed, outcome.raw_bytes, output);
        }
    }
    Ok(ratios)
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

/// Dispatches silent work again and writes down when to look next.
async fn dispatch_and_note<S: ObjectStore, Q: Queue>(
    ledger: &Ledger<S>,
    queue: &Q,
    config: &PlannerConfig,
    delivery: &Delivery,
    log: &LogState,
    next_look: Option<Timestamp>,
    now: Timestamp,
) -> Result<usize, WorkError> {
    let key = keys::due(&delivery.id);
    let (previous, etag) = match ledger.read::<Due>(&key).await? {
        Some((due, etag)) => (due.dispatched, Some(etag)),
        None => (BTreeMap::new(), None),
    };
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
        let known = previous.get(n).cloned().unwrap_or(Dispatched { times: 0, last: intent.planned_at });
        let spacing = stall.saturating_mul(1 << known.times.min(10));
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
        send(queue, target, messages).await?;
    }
    let due = Due { version: FORMAT, at, planned_at: now, dispatched };
    // A lost race means that another plan of this delivery has just written its own view: equally good.
    ledger.replace(&key, &due, etag.as_deref()).await?;
    Ok(count)
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
        Some(_) if !(records.contains(&RecordName::Closed) && records.contains(&RecordName::Notified)) => {
            Some((config.commit_queue.as_str(), Message::commit(&delivery.id, n)))
        }
        Some(_) => None,
    }
}

async fn send<Q: Queue>(
    queue: &Q,
    url: &str,
    messages: impl IntoIterator<Item = Message>,
) -> Result<(), WorkError> {
    let outgoing: Vec<OutgoingMessage> = messages
        .into_iter()
        .map(|message| OutgoingMessage {
            body: message.to_body(),
            group: None,
            deduplication: None,
            delay_seconds: None,
        })
        .collect();
    if outgoing.is_empty() {
        return Ok(());
    }
    for answer in queue.send(url, &outgoing).await {
        answer?;
    }
    Ok(())
}

fn day(time: Timestamp) -> String {
    let time = time.to_zoned(TimeZone::UTC);
    format!("{:04}{:02}{:02}", time.year(), time.month(), time.day())
}
