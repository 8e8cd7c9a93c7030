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
use crate::record::{Closed, Intent, Outcome, Published, Receipt, Verdict};

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
    /// What was published, by the file's index.
    pub published: BTreeMap<u32, Published>,
    /// The receipt.
    pub receipt: Option<Receipt>,
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
    /// It ran out of time.
    Expired,
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
        })
    }
}

impl IntentLog {
    /// How far it is.
    pub fn state(&self) -> State {
        let has = |name: RecordName| self.records.contains(&name);
        match &self.outcome {
            Some(outcome) if outcome.void => State::Void,
            _ if has(RecordName::Expired) => State::Expired,
            _ if has(RecordName::Closed) && has(RecordName::Notified) => State::Done,
            _ if has(RecordName::Closed) => State::Closed,
            _ if has(RecordName::Receipt) => State::Delivered,
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
                if entry.outcome.as_ref().is_none_or(|outcome| outcome.generation < generation) {
                    entry.outcome = Some(ledger.must_read(&object.key).await?);
                }
            }
            RecordName::Published(file) => {
                entry.published.insert(file, ledger.must_read(&object.key).await?);
            }
            RecordName::Receipt => entry.receipt = Some(ledger.must_read(&object.key).await?),
            RecordName::Closed => entry.closed = Some(ledger.must_read(&object.key).await?),
            RecordName::Attempt { .. }
            | RecordName::Refused { .. }
            | RecordName::Notified
            | RecordName::Expired => {}
        }
    }
    Ok(log)
}

/// Everything in a log that cannot be, in the order of the intents. Empty for a sound log, at whatever step it stands.
pub fn verify(log: &DeliveryLog) -> Vec<Finding> {
    let mut findings = Findings::default();
    let last = log.intents.last_key_value().map_or(0, |(n, _)| *n);
    if log.floor > last {
        findings.add(0, format!("the floor is {}, the last intent {last}", log.floor));
    }
    for (expected, n) in (1..).zip(log.intents.keys()) {
        if expected != *n {
            findings.add(0, format!("intent {expected} is missing"));
            break;
        }
    }
    let mut used: BTreeMap<(&str, &str, u64), (u64, Timestamp)> = BTreeMap::new();
    let mut produced: BTreeMap<&str, u64> = BTreeMap::new();
    for (n, entry) in &log.intents {
        verify_intent(*n, entry, &mut findings);
        let retired = matches!(entry.state(), State::Done | State::Void | State::Expired);
        if *n <= log.floor && !retired {
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
    let Some(outcome) = &entry.outcome else {
        if entry.records.iter().any(|name| *name != RecordName::Intent) {
            findings.add(n, "has later records and no outcome");
        }
        return;
    };
    verify_outcome(n, intent, outcome, findings);
    verify_publication(n, entry, outcome, findings);
    match &entry.receipt {
        Some(receipt) => verify_receipt(n, entry, outcome, receipt, findings),
        None => {
            for name in [RecordName::Closed, RecordName::Notified] {
                if entry.records.contains(&name) {
                    findings.add(n, format!("is {name} without a receipt"));
                }
            }
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

fn verify_publication(n: u64, entry: &IntentLog, outcome: &Outcome, findings: &mut Findings) {
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
    for (index, published) in &entry.published {
        match outcome.files.iter().find(|file| file.index == *index) {
            Some(file) if file.key == published.key => {}
            Some(file) => {
                findings.add(n, format!("published {}, its outcome names {}", published.key, file.key));
            }
            None => findings.add(n, format!("published {}, which its outcome does not name", published.key)),
        }
    }
}

fn verify_receipt(n: u64, entry: &IntentLog, outcome: &Outcome, receipt: &Receipt, findings: &mut Findings) {
    let written = |file: &crate::record::OutcomeFile| (file.key.clone(), file.bytes, file.rows);
    let named: Vec<_> = outcome.files.iter().map(written).collect();
    let received: Vec<_> =
        receipt.files.iter().map(|file| (file.key.clone(), file.bytes, file.rows)).collect();
    if named != received {
        findings.add(n, "has a receipt for other files than its outcome's");
    }
    if receipt.rows != outcome.rows() || receipt.rejected != outcome.rejected() {
        findings
            .add(n, format!("has a receipt for {} rows, its outcome says {}", receipt.rows, outcome.rows()));
    }
    for file in &outcome.files {
        if !entry.published.contains_key(&file.index) {
            findings.add(n, format!("has a receipt for {}, which was not published", file.key));
        }
    }
}
