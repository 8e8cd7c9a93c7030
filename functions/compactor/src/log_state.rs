//! What the log of a delivery says: open intents and what they have taken, what was delivered before, what can be retired,
//! and what past outcomes teach.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use jiff::Timestamp;
use landfall_core::delivery::Delivery;
use landfall_core::hold::Held;
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::{Ledger, LedgerError, LogView};
use landfall_core::plan::{DEDUPE_HORIZON, Fingerprint, InputForm, Ratios, Taken, input_form};
use landfall_core::port::ObjectStore;
use landfall_core::record::{FORMAT, Floor, Intent, Numbers, Outcome, Verdict};
use landfall_core::standing::Standing;
use tokio::sync::Mutex;

use crate::identities::Delivered;
use crate::identity_cache::IdentityCache;

/// How many of the last outcomes the size prediction learns from.
const LEARN_FROM: usize = 6;
/// How many intents are read at once, with their outcomes.
const RECORDS_AT_ONCE: usize = 32;

/// The state of a delivery's log, read before its inputs are listed.
pub(crate) struct LogState {
    /// What a listing shows.
    pub(crate) view: LogView,
    /// The intents above the floor of which something is left to do.
    pub(crate) intents: BTreeMap<u64, Planned>,
    /// Those that have an outcome.
    pub(crate) outcomes: BTreeMap<u64, Decided>,
    /// The inputs that intents have taken, those of closed ones as far back as the horizon.
    pub(crate) taken: Taken,
    /// The closed intents whose inputs are known by their fingerprints, or by nobody any more.
    told: Numbers,
    /// What the intents teach that were read.
    lessons: BTreeMap<u64, Option<Lesson>>,
}

/// What is kept of an intent. Its inputs are not: they are many, and fingerprints by now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned {
    /// When it was planned, UTC; of a closed one that is not read any more: when it was closed.
    pub(crate) planned_at: Timestamp,
}

/// What is kept of an outcome.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decided {
    /// Whether the intent could not run at all.
    pub(crate) void: bool,
    /// Whether it is void because the contract evolved first.
    pub(crate) evolved: bool,
}

/// Reads the log of a delivery above its floor, and the fingerprints of what was delivered before. Writes down the
/// fingerprints of what has closed since, wherever it stands: an intent is not read again then.
///
/// # Errors
/// When the store fails or a record cannot be read.
pub(crate) async fn read_log<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    identities: &Mutex<IdentityCache>,
    now: Timestamp,
) -> Result<LogState, LedgerError> {
    // The floor before the lists: what it retired is in them.
    let view = ledger.view(&delivery.id).await?;
    let mut delivered = Delivered::read(ledger, delivery, identities, now).await?;
    let mut told = delivered.covered.clone();
    let horizon = now.saturating_sub(DEDUPE_HORIZON).unwrap_or(Timestamp::MIN);
    let forgotten = view.closed.iter().filter(|(_, at)| **at < horizon).map(|(n, _)| *n);
    told.extend(&forgotten.collect());

    let (mut intents, mut outcomes, mut lessons) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut unread = Vec::new();
    for (n, records) in &view.intents {
        let standing = Standing::of(records);
        match view.closed.get(n) {
            Some(closed_at) if told.contains(*n) => {
                if !standing.is_over() {
                    intents.insert(*n, Planned { planned_at: *closed_at });
                    outcomes.insert(*n, Decided { void: false, evolved: false });
                }
            }
            _ => unread.push((*n, standing)),
        }
    }
    let (mut open, mut voided) = (Vec::new(), Vec::new());
    let (mut closed, mut closed_now) = (Vec::new(), Vec::new());
    // Many at once: the log is as long as its oldest open intent is old.
    let reads = (0..unread.len()).map(|index| read_intent(ledger, delivery, unread.get(index).copied()));
    let mut read = futures::stream::iter(reads).buffered(RECORDS_AT_ONCE);
    while let Some(entry) = read.next().await {
        let Some((n, Read { planned, decided, inputs, lesson })) = entry? else { continue };
        intents.insert(n, planned);
        match decided {
            Some(decided) => {
                outcomes.insert(n, decided);
                lessons.insert(n, lesson);
                if decided.evolved {
                    // Nothing is wrong with its inputs: they are pending like any other.
                } else if decided.void {
                    voided.extend(inputs.into_iter().map(|input| (input, n)));
                } else if view.closed.contains_key(&n) {
                    closed.extend(inputs);
                    closed_now.push(n);
                } else {
                    open.extend(inputs);
                }
            }
            None => open.extend(inputs),
        }
    }
    drop(read);
    if !closed_now.is_empty() {
        let closed_now: Numbers = closed_now.into_iter().collect();
        delivered.add(ledger, delivery, identities, &closed_now, &closed, now).await?;
        told.extend(&closed_now);
    }
    let taken = Taken::new(open, delivered.fingerprints, voided);
    Ok(LogState { view, intents, outcomes, taken, told, lessons })
}

/// An intent that was read.
struct Read {
    planned: Planned,
    decided: Option<Decided>,
    /// What it has taken, or used up; of a void one, what it gave back.
    inputs: Vec<Fingerprint>,
    lesson: Option<Lesson>,
}

async fn read_intent<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    which: Option<(u64, Standing)>,
) -> Result<Option<(u64, Read)>, LedgerError> {
    let Some((n, standing)) = which else { return Ok(None) };
    // The intent last: of the two it is the large one, and it is gone again before anything else is waited for.
    let outcome = ledger.outcome(&delivery.id, n, standing.generation).await?;
    let intent = ledger.intent(&delivery.id, n).await?;
    let inputs = match &outcome {
        Some(outcome) if !outcome.void => outcome.used(&intent).map(Fingerprint::of_input).collect(),
        Some(_) | None => intent.inputs.iter().map(Fingerprint::of_input).collect(),
    };
    let read = Read {
        planned: Planned { planned_at: intent.planned_at },
        decided: outcome
            .as_ref()
            .map(|outcome| Decided { void: outcome.void, evolved: outcome.evolved.is_some() }),
        inputs,
        lesson: outcome.as_ref().and_then(|outcome| Lesson::of(&intent, outcome)),
    };
    Ok(Some((n, read)))
}

impl LogState {
    /// The intents that a held destination keeps from going on: neither void nor expired, nor past their receipt.
    pub(crate) fn open_data(&self) -> impl Iterator<Item = u64> {
        self.view.intents.iter().filter_map(|(n, records)| {
            let void = self.outcomes.get(n).is_some_and(|outcome| outcome.void);
            let Standing { closed, expired, received, discarded, .. } = Standing::of(records);
            (!(void || closed || expired || received || discarded)).then_some(*n)
        })
    }

    /// The intents that nobody has merged, but for those that are held alone or have expired.
    pub(crate) fn undecided<'a>(&'a self, held: &'a Held) -> impl Iterator<Item = u64> + 'a {
        self.view.intents.iter().filter_map(|(n, records)| {
            let standing = Standing::of(records);
            let over = standing.generation.is_some() || standing.expired || standing.discarded;
            (!over && held.of_intent(*n).is_none()).then_some(*n)
        })
    }

    /// Whether one of them can find a repair: those that are held alone cannot.
    pub(crate) fn has_open_data(&self, held: &Held) -> bool {
        self.open_data().any(|n| held.of_intent(n).is_none())
    }
}

/// Moves the floor over the intents that follow it and are over: closed, their client told, their inputs known by
/// fingerprint; and over void ones that are the last void intent of no object still listed (`remembered`): what they gave back
/// is gone, or a later one remembers it.
///
/// # Errors
/// When the store fails.
pub(crate) async fn retire<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    log: &LogState,
    remembered: &BTreeSet<u64>,
) -> Result<Option<u64>, LedgerError> {
    let mut floor = log.view.floor;
    while let Some(records) = log.view.intents.get(&(floor + 1)) {
        let n = floor + 1;
        let void = log.outcomes.get(&n).is_some_and(|outcome| outcome.void);
        let over = if void {
            !remembered.contains(&n)
        } else {
            Standing::of(records).is_over() && log.told.contains(n)
        };
        if !over {
            break;
        }
        floor = n;
    }
    if floor == log.view.floor {
        return Ok(None);
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

/// What one outcome teaches of sizes.
#[derive(Debug, Clone, Copy)]
struct Lesson {
    partitions: usize,
    /// Form, bytes listed, decoded and written.
    sizes: Option<(InputForm, u64, u64, u64)>,
}

impl Lesson {
    /// Inputs of several forms in one intent teach nothing of sizes, nor does an object that was set aside or given up: it has
    /// bytes and made no output. A void outcome teaches nothing at all.
    fn of(intent: &Intent, outcome: &Outcome) -> Option<Self> {
        if outcome.void || outcome.verdicts.contains(&Verdict::Discarded) {
            return None;
        }
        let partitions: BTreeSet<_> = outcome.files.iter().map(|file| &file.partition).collect();
        let forms: BTreeSet<_> = outcome.used(intent).map(|input| input_form(&input.key)).collect();
        let whole = !outcome.verdicts.iter().any(|verdict| matches!(verdict, Verdict::Quarantined { .. }));
        let sizes = match (whole, forms.len(), forms.first()) {
            (true, 1, Some(form)) => {
                let listed = outcome.used(intent).map(|input| input.size).sum();
                let output = outcome.files.iter().map(|file| file.bytes).sum();
                Some((*form, listed, outcome.raw_bytes, output))
            }
            _ => None,
        };
        Some(Self { partitions: partitions.len(), sizes })
    }
}

/// Learns size ratios from the last outcomes.
///
/// # Errors
/// When the store fails or a record cannot be read. One that was deleted with age teaches nothing.
pub(crate) async fn learn<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    log: &LogState,
) -> Result<Ratios, LedgerError> {
    let last = log.view.next().saturating_sub(1);
    // The last outcomes, not the last numbers: behind a backlog that was planned in one pass stand only open intents.
    let decided = |n: &u64| {
        let records = log.view.intents.get(n);
        records.is_none_or(|records| Standing::of(records).generation.is_some())
    };
    let lessons = (1..=last).rev().filter(decided).take(LEARN_FROM).map(|n| lesson(ledger, delivery, log, n));
    let mut lessons = futures::stream::iter(lessons).buffered(RECORDS_AT_ONCE);
    let mut ratios = Ratios::default();
    while let Some(lesson) = lessons.next().await {
        let Some(Lesson { partitions, sizes }) = lesson? else { continue };
        ratios.learn_partitions(partitions);
        if let Some((form, listed, raw, output)) = sizes {
            ratios.learn(form, listed, raw, output);
        }
    }
    Ok(ratios)
}

async fn lesson<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    log: &LogState,
    n: u64,
) -> Result<Option<Lesson>, LedgerError> {
    if let Some(lesson) = log.lessons.get(&n) {
        return Ok(*lesson);
    }
    let undecided =
        log.view.intents.get(&n).is_some_and(|records| Standing::of(records).generation.is_none());
    if undecided {
        return Ok(None);
    }
    let record = |name| keys::record(&delivery.id, n, name);
    let Some((outcome, _)) = ledger.read::<Outcome>(&record(RecordName::Outcome(1))).await? else {
        return Ok(None);
    };
    let intent = ledger.read::<Intent>(&record(RecordName::Intent)).await?;
    Ok(intent.and_then(|(intent, _)| Lesson::of(&intent, &outcome)))
}
