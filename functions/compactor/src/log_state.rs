//! What the log of a delivery says: open intents and what they have taken, what was delivered before, what can be retired,
//! and what past outcomes teach.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use jiff::Timestamp;
use landfall_core::delivery::Delivery;
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::{Ledger, LedgerError, LogView, generation};
use landfall_core::plan::{Ratios, Taken, input_form};
use landfall_core::port::{ListedObject, ObjectStore};
use landfall_core::record::{FORMAT, Floor, Intent, Outcome, Verdict};
use landfall_core::standing::Standing;

use crate::identities::{self, IdentityList};

/// How many of the last outcomes the size prediction learns from.
const LEARN_FROM: usize = 6;
/// How many intents are read at once, with their outcomes.
const RECORDS_AT_ONCE: usize = 32;

/// The state of a delivery's log, read before its inputs are listed.
pub(crate) struct LogState {
    /// What a listing shows.
    pub(crate) view: LogView,
    /// The intents above the floor.
    pub(crate) intents: BTreeMap<u64, Intent>,
    /// Their outcomes.
    pub(crate) outcomes: BTreeMap<u64, Outcome>,
    /// The inputs they have taken.
    pub(crate) taken: Taken,
    /// The identity lists that stand.
    pub(crate) lists: Vec<IdentityList>,
}

/// Reads the log of a delivery above its floor, and the identities of what was delivered before.
///
/// # Errors
/// When the store fails or a record cannot be read.
pub(crate) async fn read_log<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<LogState, LedgerError> {
    let view = ledger.view(&delivery.id).await?;
    let mut state = LogState {
        view,
        intents: BTreeMap::new(),
        outcomes: BTreeMap::new(),
        taken: Taken::default(),
        lists: Vec::new(),
    };
    // Many at once: the log is as long as its oldest open intent is old.
    let numbers: Vec<(u64, Option<u32>)> =
        state.view.intents.iter().map(|(n, records)| (*n, generation(records))).collect();
    let reads = (0..numbers.len()).map(|index| read_intent(ledger, delivery, numbers.get(index).copied()));
    let mut read = futures::stream::iter(reads).buffered(RECORDS_AT_ONCE);
    while let Some(entry) = read.next().await {
        let Some((n, intent, outcome)) = entry? else { continue };
        let Some(records) = state.view.intents.get(&n) else { continue };
        match &outcome {
            Some(outcome) if records.contains(&RecordName::Closed) => {
                for input in outcome.used(&intent) {
                    state.taken.add_closed(input.key.clone(), input.etag.clone(), input.size);
                }
            }
            Some(outcome) => state.taken.add_open(outcome.used(&intent)),
            None => state.taken.add_open(&intent.inputs),
        }
        state.intents.insert(n, intent);
        if let Some(outcome) = outcome {
            state.outcomes.insert(n, outcome);
        }
    }
    state.lists = identities::read(ledger, delivery, &mut state.taken, now).await?;
    Ok(state)
}

async fn read_intent<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    which: Option<(u64, Option<u32>)>,
) -> Result<Option<(u64, Intent, Option<Outcome>)>, LedgerError> {
    let Some((n, generation)) = which else { return Ok(None) };
    let intent = ledger.intent(&delivery.id, n).await?;
    let outcome = match generation {
        Some(generation) => {
            Some(ledger.must_read(&keys::record(&delivery.id, n, RecordName::Outcome(generation))).await?)
        }
        None => None,
    };
    Ok(Some((n, intent, outcome)))
}

impl LogState {
    /// Whether an intent is under way whose files are not all delivered, but for those that are held alone.
    pub(crate) fn has_open_data(&self, held: &BTreeSet<u64>) -> bool {
        self.view.intents.iter().any(|(n, records)| {
            let void = self.outcomes.get(n).is_some_and(|outcome| outcome.void);
            let standing = Standing::of(records);
            !(void || held.contains(n) || standing.closed || standing.expired)
        })
    }
}

/// Moves the floor over the closed and notified intents that follow it, if none of their inputs is listed.
pub(crate) async fn retire<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    log: &LogState,
    listing: &[ListedObject],
    now: Timestamp,
) -> Result<Option<u64>, LedgerError> {
    let listed: BTreeSet<(&str, &str, u64)> =
        listing.iter().map(|object| (object.key.as_str(), object.etag.as_str(), object.size)).collect();
    let mut floor = log.view.floor;
    let mut used_up = BTreeSet::new();
    while let Some(records) = log.view.intents.get(&(floor + 1)) {
        let (Some(intent), Some(outcome)) = (log.intents.get(&(floor + 1)), log.outcomes.get(&(floor + 1)))
        else {
            break;
        };
        let over = outcome.void || Standing::of(records).is_over();
        let absent = outcome
            .used(intent)
            .all(|input| !listed.contains(&(input.key.as_str(), input.etag.as_str(), input.size)));
        if !over || !absent {
            break;
        }
        let used = outcome.used(intent);
        used_up.extend(used.map(|input| (input.key.clone(), input.etag.clone(), input.size)));
        floor += 1;
    }
    if floor == log.view.floor {
        return Ok(None);
    }
    // Identities first: between the two writes they stand twice, which is harmless; never not at all.
    if !used_up.is_empty() {
        identities::write(ledger, delivery, &log.lists, used_up, floor, now).await?;
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

/// Learns size ratios from the last outcomes. Inputs of several forms in one intent teach nothing, nor does an object that
/// was set aside: it has bytes and made no output.
pub(crate) async fn learn<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    log: &LogState,
) -> Result<Ratios, LedgerError> {
    let mut ratios = Ratios::default();
    let last = log.view.next().saturating_sub(1);
    // The last outcomes, not the last numbers: behind a backlog that was planned in one pass stand only open intents.
    let decided = |n: &u64| log.view.intents.get(n).is_none_or(|records| generation(records).is_some());
    for n in (1..=last).rev().filter(decided).take(LEARN_FROM) {
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
        let partitions: BTreeSet<_> = outcome.files.iter().map(|file| &file.partition).collect();
        ratios.learn_partitions(partitions.len());
        if outcome.verdicts.iter().any(|verdict| matches!(verdict, Verdict::Quarantined { .. })) {
            continue;
        }
        let forms: BTreeSet<_> = outcome.used(&intent).map(|input| input_form(&input.key)).collect();
        if let (1, Some(form)) = (forms.len(), forms.first()) {
            let listed = outcome.used(&intent).map(|input| input.size).sum();
            let output = outcome.files.iter().map(|file| file.bytes).sum();
            ratios.learn(*form, listed, outcome.raw_bytes, output);
        }
    }
    Ok(ratios)
}
