//! What an operator decides about an intent: to let it go on, to give it up, or what became of a copy.
//!
//! Each action is a record, and a look at the delivery now. Nothing is published, told or deleted here: the planner finds
//! the intent open again and dispatches it, and whoever works on it then finds the record.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::due;
use crate::hold;
use crate::keys::{self, RecordName};
use crate::ledger::{Ledger, LedgerError};
use crate::port::ObjectStore;
use crate::record::{Attempt, Discarded, FORMAT, Hold, Outcome, Published, Refused, Resumed, Verdict};
use crate::standing::{Attempts, Standing};

/// How long after it began a copy can still have an effect: the longest timeout of a function (Lambda: 15 minutes) and a
/// minute.
const COPY_MAY_RUN: SignedDuration = SignedDuration::from_mins(16);
/// The reason of an attempt that an operator refused.
pub const BY_OPERATOR: &str = "operator";

/// An action that does not apply, or could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The log failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// No such intent was planned, or its number is retired.
    #[error("delivery {delivery} has no open intent {n}")]
    NoIntent {
        /// The delivery.
        delivery: String,
        /// The number.
        n: u64,
    },
    /// Nothing is left of the intent that could be decided.
    #[error("delivery {delivery}, intent {n}: it is {state} already")]
    Over {
        /// The delivery.
        delivery: String,
        /// The number.
        n: u64,
        /// What it is.
        state: &'static str,
    },
    /// Only an expired intent is delivered again: any other goes on by itself.
    #[error("delivery {delivery}, intent {n}: it has not expired, and goes on by itself")]
    NotExpired {
        /// The delivery.
        delivery: String,
        /// The number.
        n: u64,
    },
    /// Only what expired, is held alone, or was so until a copy of it was resolved, is given up.
    #[error("delivery {delivery}, intent {n}: it has neither expired nor is it held alone")]
    NotStuck {
        /// The delivery.
        delivery: String,
        /// The number.
        n: u64,
    },
    /// No attempt at the file is of unknown effect.
    #[error("delivery {delivery}, intent {n}: no copy of file {file} is of unknown effect")]
    NothingUnknown {
        /// The delivery.
        delivery: String,
        /// The number.
        n: u64,
        /// The file's index.
        file: u32,
    },
    /// A function may still be making the copy.
    #[error("delivery {delivery}, intent {n}: file {file} may still be being copied until {until}")]
    StillUnderWay {
        /// The delivery.
        delivery: String,
        /// The number.
        n: u64,
        /// The file's index.
        file: u32,
        /// When nobody can be making it any more, UTC.
        until: Timestamp,
    },
}

/// What became of a copy, as an operator found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The client has the file. It is never copied again.
    Delivered,
    /// The client never had it. It is copied again.
    NotDelivered,
}

/// What stands of an intent that an action is asked for.
struct Open {
    standing: Standing,
    records: BTreeSet<RecordName>,
    outcome: Option<Outcome>,
}

/// Lets an expired intent go on; answers the part it goes on in.
///
/// # Errors
/// [`OperateError::NotExpired`] and the like when it does not apply. A second call after a first one says so too.
pub async fn redeliver<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &str,
    n: u64,
    now: Timestamp,
) -> Result<u32, OperateError> {
    let open = open(ledger, delivery, n).await?;
    if open.standing.discarded {
        return Err(OperateError::Over { delivery: delivery.to_owned(), n, state: "discarded" });
    }
    if !open.standing.expired {
        return Err(OperateError::NotExpired { delivery: delivery.to_owned(), n });
    }
    let part = open.standing.part;
    let resumed = Resumed { version: FORMAT, at: now };
    // Another operator who was faster asked for the same.
    ledger.put_once(&keys::record(delivery, n, RecordName::Resumed(part)), &resumed).await?;
    hold::renew(ledger, delivery, now).await?;
    hold::dismiss(ledger, delivery, n).await?;
    due::pull(ledger, delivery, now, Some(n), now).await?;
    Ok(part.saturating_add(1))
}

/// Gives up what of an intent is not published: it never will be, and the inputs are deleted.
///
/// # Errors
/// [`OperateError::NotStuck`] and the like when it does not apply.
pub async fn discard<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &str,
    n: u64,
    now: Timestamp,
) -> Result<(), OperateError> {
    let open = open(ledger, delivery, n).await?;
    let held = ledger.read::<Hold>(&keys::hold(delivery, &hold::of_intent(n))).await?.is_some();
    // Once more after an earlier call: it may have ended before all was written. And after a copy was resolved, which ended
    // the hold: whoever decides the one may decide the other first.
    let stuck = open.standing.expired || open.standing.discarded || held;
    if !stuck && !was_resolved(ledger, delivery, n, &open.records).await? {
        return Err(OperateError::NotStuck { delivery: delivery.to_owned(), n });
    }
    if open.outcome.is_none() {
        // An outcome like any other: an execution that is faster has its own stand, of which nothing is published then.
        let intent = ledger.intent(delivery, n).await?;
        let outcome = Outcome {
            version: FORMAT,
            delivery: delivery.to_owned(),
            n,
            generation: 1,
            execution: BY_OPERATOR.to_owned(),
            engine: String::new(),
            void: false,
            consumed: intent.inputs.len(),
            files: Vec::new(),
            verdicts: vec![Verdict::Discarded; intent.inputs.len()],
            versions: vec![None; intent.inputs.len()],
            rejected_rows: Vec::new(),
            rescued: 0,
            raw_bytes: 0,
            evolved: None,
        };
        ledger.put_once(&keys::record(delivery, n, RecordName::Outcome(1)), &outcome).await?;
    }
    let discarded = Discarded { version: FORMAT, at: now };
    ledger.put_once(&keys::record(delivery, n, RecordName::Discarded), &discarded).await?;
    hold::dismiss(ledger, delivery, n).await?;
    due::pull(ledger, delivery, now, Some(n), now).await?;
    Ok(())
}

/// Decides a copy of unknown effect, which nobody but the client can tell (`possible_duplicate`).
///
/// # Errors
/// [`OperateError::NothingUnknown`], or [`OperateError::StillUnderWay`] while a function may be making the copy.
pub async fn resolve<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &str,
    n: u64,
    file: u32,
    resolution: Resolution,
    now: Timestamp,
) -> Result<(), OperateError> {
    let open = open(ledger, delivery, n).await?;
    let attempts = Attempts::of(&open.records, file);
    let nothing = || OperateError::NothingUnknown { delivery: delivery.to_owned(), n, file };
    let mut latest: Option<Attempt> = None;
    for k in &attempts.unknown {
        let key = keys::record(delivery, n, RecordName::Attempt { file, k: *k });
        let attempt: Attempt = ledger.must_read(&key).await?;
        let until = attempt.at.saturating_add(COPY_MAY_RUN).unwrap_or(Timestamp::MAX);
        if now < until {
            return Err(OperateError::StillUnderWay { delivery: delivery.to_owned(), n, file, until });
        }
        latest = Some(attempt);
    }
    let latest = latest.ok_or_else(nothing)?;
    match resolution {
        Resolution::Delivered => {
            let key = keys::record(delivery, n, RecordName::Outcome(latest.generation));
            let outcome: Outcome = ledger.must_read(&key).await?;
            let copied = outcome.files.iter().find(|entry| entry.index == file).ok_or_else(nothing)?;
            let published = Published {
                version: FORMAT,
                file,
                key: copied.key.clone(),
                // The client has taken it: nobody knows it any more.
                etag: String::new(),
                at: now,
                generation: latest.generation,
            };
            ledger.put_once(&keys::record(delivery, n, RecordName::Published(file)), &published).await?;
        }
        Resolution::NotDelivered => {
            for k in &attempts.unknown {
                let refused = Refused { version: FORMAT, file, k: *k, reason: BY_OPERATOR.to_owned() };
                let key = keys::record(delivery, n, RecordName::Refused { file, k: *k });
                ledger.put_once(&key, &refused).await?;
            }
        }
    }
    hold::dismiss(ledger, delivery, n).await?;
    due::pull(ledger, delivery, now, Some(n), now).await?;
    Ok(())
}

/// Whether an operator decided a copy of the intent.
async fn was_resolved<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &str,
    n: u64,
    records: &BTreeSet<RecordName>,
) -> Result<bool, LedgerError> {
    for name in records {
        let key = keys::record(delivery, n, *name);
        let by_operator = match name {
            RecordName::Published(_) => ledger.must_read::<Published>(&key).await?.etag.is_empty(),
            RecordName::Refused { .. } => ledger.must_read::<Refused>(&key).await?.reason == BY_OPERATOR,
            _ => false,
        };
        if by_operator {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An intent of which something is left to decide.
async fn open<S: ObjectStore>(ledger: &Ledger<S>, delivery: &str, n: u64) -> Result<Open, OperateError> {
    let (floor, _) = ledger.floor(delivery).await?;
    let records = ledger.records(delivery, n).await?;
    if n <= floor || !records.contains(&RecordName::Intent) {
        return Err(OperateError::NoIntent { delivery: delivery.to_owned(), n });
    }
    let standing = Standing::of(&records);
    let outcome = ledger.outcome(delivery, n, standing.generation).await?;
    let over = |state| OperateError::Over { delivery: delivery.to_owned(), n, state };
    if outcome.as_ref().is_some_and(|outcome| outcome.void) {
        return Err(over("void"));
    }
    if standing.closed {
        return Err(over("closed"));
    }
    Ok(Open { standing, records, outcome })
}
