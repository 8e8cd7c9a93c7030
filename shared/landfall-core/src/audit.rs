//! The audit of a log: what stands in it, and whether that can be true.
//!
//! The rules are those of the protocol (docs/semantics.md), read backwards. They need nothing but the log: no bucket of a
//! client, no staged object.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use crate::keys::{self, RecordName};
use crate::ledger::{Ledger, LedgerError};
use crate::plan::DEDUPE_HORIZON;
use crate::port::ObjectStore;
use crate::record::{Closed, Intent, Outcome, OutcomeFile, Published, Receipt, Verdict};
use crate::standing::Standing;

/// The whole log of a delivery, retired intents included.
#[derive(Debug, Clone, Default)]
pub struct DeliveryLog {
    /// The highest retired number.
    pub floor: u64,
    /// Every intent, by number.
    pub intents: BTreeMap<u64, IntentLog>,
}

/// The records of one intent.
#[derive(Debug, Clone, Default)]
pub struct IntentLog {
    /// The names of all records that stand.
    pub records: BTreeSet<RecordName>,
    /// What was planned.
    pub intent: Option<Intent>,
    /// The outcome of the highest generation.
    pub outcome: Option<Outcome>,
    /// The outcomes of the generations before it.
    pub earlier: BTreeMap<u32, Outcome>,
    /// What was published, by the file's index.
    pub published: BTreeMap<u32, Published>,
    /// The receipts, by part.
    pub receipts: BTreeMap<u32, Receipt>,
    /// The end.
    pub closed: Option<Closed>,
}

/// How far an intent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Planned, not merged.
    Planned,
    /// Merged, with files still to be published.
    Merged,
    /// Published and catalogued; inputs are being deleted.
    Delivered,
    /// Closed; the client is not told yet.
    Closed,
    /// Closed and told.
    Done,
    /// It could not run; its inputs returned.
    Void,
    /// It ran out of time; an operator may let it go on.
    Expired,
    /// An operator gave it up; its inputs are being deleted.
    Discarding,
    /// An operator gave up what of it was not published; nothing is left to do.
    Discarded,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Planned => "planned",
            Self::Merged => "merged",
            Self::Delivered => "delivered",
            Self::Closed => "closed",
            Self::Done => "done",
            Self::Void => "void",
            Self::Expired => "expired",
            Self::Discarding => "discarding",
            Self::Discarded => "discarded",
        })
    }
}

impl State {
    /// Whether nothing is left to do, so that the number can be retired.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Void | Self::Discarded)
    }
}

impl IntentLog {
    /// The part it is in, from 1.
    pub fn part(&self) -> u32 {
        Standing::of(&self.records).part
    }

    /// How far it is.
    pub fn state(&self) -> State {
        let standing = Standing::of(&self.records);
        match &self.outcome {
            Some(outcome) if outcome.void => State::Void,
            _ if standing.is_over() && standing.discarded => State::Discarded,
            _ if standing.is_over() => State::Done,
            _ if standing.closed => State::Closed,
            _ if standing.discarded => State::Discarding,
            _ if standing.expired => State::Expired,
            _ if standing.received => State::Delivered,
            Some(_) => State::Merged,
            None => State::Planned,
        }
    }
}

/// Something in a log that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The intent's number; 0 for the log as a whole.
    pub n: u64,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.n > 0 {
            write!(f, "intent {}: ", self.n)?;
        }
        f.write_str(&self.problem)
    }
}

/// Reads the whole log of a delivery.
///
/// # Errors
/// When the store fails or a record cannot be read.
pub async fn read<S: ObjectStore>(ledger: &Ledger<S>, delivery: &str) -> Result<DeliveryLog, LedgerError> {
    let (floor, _) = ledger.floor(delivery).await?;
    let mut log = DeliveryLog { floor, intents: BTreeMap::new() };
    for object in ledger.list_all(&keys::log_prefix(delivery), None).await? {
        let Some((n, name)) = keys::parse_record(delivery, &object.key) else { continue };
        let entry = log.intents.entry(n).or_default();
        entry.records.insert(name);
        match name {
            RecordName::Intent => entry.intent = Some(ledger.must_read(&object.key).await?),
            RecordName::Outcome(generation) => {
                let outcome: Outcome = ledger.must_read(&object.key).await?;
                let before = match &entry.outcome {
                    Some(highest) if highest.generation > generation => Some(outcome),
                    _ => entry.outcome.replace(outcome),
                };
                entry.earlier.extend(before.map(|outcome| (outcome.generation, outcome)));
            }
            RecordName::Published(file) => {
                entry.published.insert(file, ledger.must_read(&object.key).await?);
            }
            RecordName::Receipt(part) => {
                entry.receipts.insert(part, ledger.must_read(&object.key).await?);
            }
            RecordName::Closed => entry.closed = Some(ledger.must_read(&object.key).await?),
            RecordName::Attempt { .. }
            | RecordName::Refused { .. }
            | RecordName::Notified(_)
            | RecordName::Expired(_)
            | RecordName::Resumed(_)
            | RecordName::Discarded => {}
        }
    }
    Ok(log)
}

/// Everything in a log that cannot be, in the order of the intents. Empty for a sound log, at whatever step it stands, and
/// however much of what is retired was deleted with age.
pub fn verify(log: &DeliveryLog) -> Vec<Finding> {
    let mut findings = Findings::default();
    let kept: BTreeMap<u64, &IntentLog> = kept(log);
    let last = log.intents.last_key_value().map_or(0, |(n, _)| *n);
    if log.floor > last && !kept.is_empty() {
        findings.add(0, format!("the floor is {}, the last intent {last}", log.floor));
    }
    // What was deleted with age is the beginning of the log, and nothing above the floor.
    let first = kept.first_key_value().map_or(log.floor, |(n, _)| *n).min(log.floor + 1);
    for (expected, n) in (first..).zip(kept.keys()) {
        if expected != *n {
            findings.add(0, format!("intent {expected} is missing"));
            break;
        }
    }
    let mut used: BTreeMap<(&str, &str, u64), (u64, Timestamp)> = BTreeMap::new();
    let mut produced: BTreeMap<&str, u64> = BTreeMap::new();
    for (n, entry) in kept {
        let n = &n;
        verify_intent(*n, entry, &mut findings);
        if *n <= log.floor && !entry.state().is_over() {
            findings.add(*n, format!("is retired and only {}", entry.state()));
        }
        let (Some(intent), Some(outcome)) = (&entry.intent, &entry.outcome) else { continue };
        for input in outcome.used(intent) {
            let identity = (input.key.as_str(), input.etag.as_str(), input.size);
            // After the horizon the same bytes are a new input.
            if let Some((other, planned_at)) = used.insert(identity, (*n, intent.planned_at))
                && intent.planned_at.duration_since(planned_at) < DEDUPE_HORIZON
            {
                findings.add(*n, format!("used {}, which intent {other} had used", input.key));
            }
        }
        for file in &outcome.files {
            if let Some(other) = produced.insert(&file.key, *n) {
                findings.add(*n, format!("names {}, which intent {other} names", file.key));
            }
        }
    }
    findings.0
}

/// The intents that were not deleted with age. At or below the floor two kinds of remains are none: the first ones without
/// `intent`, which is deleted before the rest; and a lone `intent` beside a gap, put by a planner so slow that its number had
/// been deleted meanwhile: it saw the floor and did nothing under it.
fn kept(log: &DeliveryLog) -> BTreeMap<u64, &IntentLog> {
    let gap = |n: u64| n > 0 && n <= log.floor && !log.intents.contains_key(&n);
    let stale = |n: u64, entry: &IntentLog| {
        let lone = entry.records.iter().all(|name| *name == RecordName::Intent);
        n <= log.floor && lone && (gap(n - 1) || gap(n + 1))
    };
    let intents = log.intents.iter().map(|(n, entry)| (*n, entry)).filter(|(n, entry)| !stale(*n, entry));
    intents.skip_while(|(n, entry)| *n <= log.floor && entry.intent.is_none()).collect()
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, n: u64, problem: impl Into<String>) {
        self.0.push(Finding { n, problem: problem.into() });
    }
}

fn verify_intent(n: u64, entry: &IntentLog, findings: &mut Findings) {
    let Some(intent) = &entry.intent else {
        findings.add(n, "has records and was never planned");
        return;
    };
    if !intent.inputs.windows(2).all(|pair| matches!(pair, [left, right] if left.key < right.key)) {
        findings.add(n, "has inputs that are not in the order of their keys");
    }
    verify_parts(n, entry, findings);
    let Some(outcome) = &entry.outcome else {
        let early = |name: &RecordName| {
            matches!(name, RecordName::Intent | RecordName::Expired(_) | RecordName::Resumed(_))
        };
        if !entry.records.iter().all(early) {
            findings.add(n, "has later records and no outcome");
        }
        return;
    };
    verify_outcome(n, intent, outcome, findings);
    verify_generations(n, entry, outcome, findings);
    verify_publication(n, entry, findings);
    verify_receipts(n, entry, outcome, findings);
}

/// Every part but the last begins with a resumption of the one before it, which had expired.
fn verify_parts(n: u64, entry: &IntentLog, findings: &mut Findings) {
    let has = |name: RecordName| entry.records.contains(&name);
    for name in &entry.records {
        match name {
            RecordName::Resumed(part) if !has(RecordName::Expired(*part)) => {
                findings.add(n, format!("has {name} and had not expired"));
            }
            RecordName::Expired(part) if *part > 1 && !has(RecordName::Resumed(part - 1)) => {
                findings.add(n, format!("has {name} and was not resumed before it"));
            }
            RecordName::Notified(part) if !has(RecordName::Receipt(*part)) => {
                findings.add(n, format!("has {name} without a receipt"));
            }
            _ => {}
        }
    }
    let standing = Standing::of(&entry.records);
    if standing.closed && !standing.received && !standing.discarded {
        findings.add(n, "is closed without a receipt");
    }
    if standing.closed && standing.expired {
        findings.add(n, "is closed and was neither resumed nor discarded after it expired");
    }
    let received = entry.receipts.keys().filter(|part| **part > standing.part.saturating_add(1));
    for part in received {
        findings.add(n, format!("has a receipt of part {part} and is in part {}", standing.part));
    }
}

/// The file of which this is the publication, as the generation says that was copied.
fn as_copied<'a>(entry: &'a IntentLog, published: &Published) -> Option<&'a OutcomeFile> {
    let highest = entry.outcome.iter().filter(|outcome| outcome.generation == published.generation);
    let outcome = highest.chain(entry.earlier.get(&published.generation)).next()?;
    outcome.files.iter().find(|file| file.index == published.file)
}

/// Each generation decides as the one before it did; while a file of an earlier one is out, it is cut alike, or nothing more of
/// the intent is published.
fn verify_generations(n: u64, entry: &IntentLog, outcome: &Outcome, findings: &mut Findings) {
    let numbers = entry.earlier.keys().chain(std::iter::once(&outcome.generation));
    if (1..).zip(numbers).any(|(expected, generation)| expected != *generation) {
        findings.add(n, "has generations of its outcome that do not follow each other");
    }
    let Standing { expired, discarded, .. } = Standing::of(&entry.records);
    let stopped = expired || discarded;
    for (generation, earlier) in &entry.earlier {
        if (earlier.consumed, &earlier.verdicts) != (outcome.consumed, &outcome.verdicts) {
            findings.add(n, format!("decides otherwise in generation {generation}"));
        }
        let out = entry.published.values().any(|published| published.generation == *generation);
        if out && !stopped && !earlier.is_cut_like(outcome) {
            findings.add(n, format!("published files of generation {generation}, which was cut otherwise"));
        }
    }
    for published in entry.published.values() {
        let known =
            published.generation == outcome.generation || entry.earlier.contains_key(&published.generation);
        if !known {
            let (key, generation) = (&published.key, published.generation);
            findings.add(n, format!("published {key} of generation {generation}, which does not stand"));
        }
    }
}

fn verify_outcome(n: u64, intent: &Intent, outcome: &Outcome, findings: &mut Findings) {
    if outcome.void {
        if !outcome.files.is_empty() || outcome.consumed > 0 {
            findings.add(n, "is void and has results");
        }
        return;
    }
    if outcome.evolved.is_some() {
        findings.add(n, "evolved the contract and is not void");
    }
    if outcome.consumed > intent.inputs.len() {
        let (consumed, inputs) = (outcome.consumed, intent.inputs.len());
        findings.add(n, format!("consumed {consumed} of {inputs} inputs"));
    }
    for (what, count) in [("verdicts", outcome.verdicts.len()), ("versions", outcome.versions.len())] {
        if count != outcome.consumed {
            findings.add(n, format!("has {count} {what} on {} inputs", outcome.consumed));
        }
    }
    let merged: u64 = outcome
        .verdicts
        .iter()
        .map(|verdict| if let Verdict::Merged { rows, .. } = verdict { *rows } else { 0 })
        .sum();
    if merged != outcome.rows() {
        findings.add(n, format!("took {merged} rows and wrote {}", outcome.rows()));
    }
    if outcome.rejected() > 0 && outcome.rejected_rows.is_empty() {
        findings.add(n, format!("rejected {} rows and kept none of them", outcome.rejected()));
    }
    if (0..).zip(&outcome.files).any(|(index, file)| index != file.index) {
        findings.add(n, "has files that are not numbered in order");
    }
}

fn verify_publication(n: u64, entry: &IntentLog, findings: &mut Findings) {
    let attempt = |file: u32, k: u32| entry.records.contains(&RecordName::Attempt { file, k });
    for name in &entry.records {
        match name {
            RecordName::Attempt { file, k } if *k > 1 && !attempt(*file, k - 1) => {
                findings.add(n, format!("has {name} and not the attempt before it"));
            }
            RecordName::Refused { file, k } if !attempt(*file, *k) => {
                findings.add(n, format!("has {name} without its attempt"));
            }
            RecordName::Published(file) if !attempt(*file, 1) => {
                findings.add(n, format!("has {name} without an attempt"));
            }
            _ => {}
        }
    }
    for published in entry.published.values() {
        match as_copied(entry, published) {
            Some(file) if file.key == published.key => {}
            Some(file) => {
                findings.add(n, format!("published {}, its outcome names {}", published.key, file.key));
            }
            None => findings.add(n, format!("published {}, which its outcome does not name", published.key)),
        }
    }
}

/// The receipts of all parts name each published file once; those of a closed intent name all files of the outcome.
fn verify_receipts(n: u64, entry: &IntentLog, outcome: &Outcome, findings: &mut Findings) {
    let mut received = BTreeSet::new();
    for file in entry.receipts.values().flat_map(|receipt| &receipt.files) {
        let mut published = entry.published.values().filter_map(|published| as_copied(entry, published));
        let known = published.find(|copied| copied.key == file.key);
        match known.or_else(|| outcome.files.iter().find(|named| named.key == file.key)) {
            Some(named) if named.rows == file.rows => {
                if known.is_none() {
                    findings.add(n, format!("has a receipt for {}, which was not published", file.key));
                }
            }
            Some(_) | None => findings.add(n, format!("has a receipt for {}, unlike its outcome", file.key)),
        }
        if !received.insert(file.key.as_str()) {
            findings.add(n, format!("has two receipts for {}", file.key));
        }
    }
    let standing = Standing::of(&entry.records);
    if standing.received && !standing.expired && !standing.discarded && received.len() != outcome.files.len()
    {
        findings.add(n, format!("has receipts for {} of {} files", received.len(), outcome.files.len()));
    }
    for receipt in entry.receipts.values() {
        let rows: u64 = receipt.files.iter().map(|file| file.rows).sum();
        if receipt.rows != rows {
            findings.add(n, format!("has a receipt for {} rows in files of {rows}", receipt.rows));
        }
    }
}
