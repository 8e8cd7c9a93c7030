//! The end of holds that nobody mended in time: what they gate expires, or the telling is given up. And the end of holds
//! that nothing waits for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use landfall_core::hold::{self, Held, Holds};
use landfall_core::keys::{self, RecordName};
use landfall_core::port::{ObjectStore, Queue};
use landfall_core::record::{Expired, FORMAT, Hold, Notified};
use landfall_core::standing::Standing;

use crate::error::WorkError;
use crate::log_state::LogState;

/// Lets expire what the holds gate whose time has run out; answers how many intents did. What is written is noted in
/// `held` and `log` as well.
///
/// # Errors
/// When the log or the queue of notices fails; what has expired until then stands, and the next plan goes on.
pub(crate) async fn expire<S: ObjectStore, Q: Queue>(
    holds: &Holds<'_, S, Q>,
    held: &mut Held,
    log: &mut LogState,
    now: Timestamp,
) -> Result<usize, WorkError> {
    let mut expired = 0;
    for hold in held.0.clone() {
        let run_out = hold::has_run_out(&hold, now);
        if hold.resource == hold::QUEUE {
            let untold = untold(log);
            if run_out && !untold.is_empty() {
                for (n, part) in untold {
                    give_up(holds, log, &hold, n, part, now).await?;
                }
                holds.end(&hold).await?;
                held.0.retain(|other| *other != hold);
            }
        } else if let Some(n) = hold::intent_of(&hold.resource) {
            let open = log.open_data().any(|open| open == n);
            if run_out && open {
                expire_one(holds, log, &hold, n, now).await?;
                expired += 1;
                holds.end(&hold).await?;
                held.0.retain(|other| *other != hold);
            }
        } else if hold::is_of_destination(&hold.resource) && hold::ends(&hold) <= now {
            let open: Vec<u64> = log.open_data().collect();
            // A hold older than its limit that gates nothing has not kept the next intent waiting either.
            if run_out || open.is_empty() {
                for n in open {
                    expire_one(holds, log, &hold, n, now).await?;
                    expired += 1;
                }
                // One probing intent at a time from here on, each with its own 72 hours.
                holds.restart(&hold, now).await?;
                if let Some(restarted) = held.0.iter_mut().find(|other| **other == hold) {
                    restarted.first_failure = now;
                }
            }
        }
    }
    Ok(expired)
}

async fn expire_one<S: ObjectStore, Q: Queue>(
    holds: &Holds<'_, S, Q>,
    log: &mut LogState,
    hold: &Hold,
    n: u64,
    now: Timestamp,
) -> Result<(), WorkError> {
    let Some(records) = log.view.intents.get_mut(&n) else { return Ok(()) };
    let (mut published, mut unpublished) = (Vec::new(), Vec::new());
    let standing = Standing::of(records);
    let outcome = holds.ledger().outcome(&hold.delivery, n, standing.generation).await?;
    for file in outcome.iter().flat_map(|outcome| &outcome.files) {
        let stands = records.contains(&RecordName::Published(file.index));
        if stands { &mut published } else { &mut unpublished }.push(file.key.clone());
    }
    let record = Expired {
        version: FORMAT,
        at: now,
        resource: hold.resource.clone(),
        first_failure: hold.first_failure,
        detail: hold.detail.clone(),
        published,
        unpublished,
    };
    // Told before it is written: at least once, never not at all.
    holds.tell_expired(hold, n).await?;
    let name = RecordName::Expired(standing.part);
    holds.ledger().put_once(&keys::record(&hold.delivery, n, name), &record).await?;
    records.insert(name);
    Ok(())
}

/// The parts of intents with a receipt of which the client has not been told.
fn untold(log: &LogState) -> Vec<(u64, u32)> {
    let intents = log.view.intents.iter();
    intents
        .flat_map(|(n, records)| Standing::untold_parts(records).into_iter().map(|part| (*n, part)))
        .collect()
}

/// Gives up telling a part: its files stand in the client's bucket, and the receipt in the log.
async fn give_up<S: ObjectStore, Q: Queue>(
    holds: &Holds<'_, S, Q>,
    log: &mut LogState,
    hold: &Hold,
    n: u64,
    part: u32,
    now: Timestamp,
) -> Result<(), WorkError> {
    holds.tell_expired(hold, n).await?;
    let given_up = Some(hold.detail.clone());
    let notified = Notified { version: FORMAT, at: now, messages: BTreeMap::new(), given_up };
    let name = RecordName::Notified(part);
    holds.ledger().put_once(&keys::record(&hold.delivery, n, name), &notified).await?;
    if let Some(records) = log.view.intents.get_mut(&n) {
        records.insert(name);
    }
    Ok(())
}

/// Releases holds that nothing waits for, when their wait is over and nothing is pending: a failure that came after the
/// success of another worker leaves such a hold, and no success would ever come to release it. What is still broken is found
/// by the next intent. While an expired intent waits for its operator the destination stays held.
///
/// # Errors
/// When the log or the queue of notices fails.
pub(crate) async fn tidy<S: ObjectStore, Q: Queue>(
    holds: &Holds<'_, S, Q>,
    held: &mut Held,
    log: &LogState,
    now: Timestamp,
) -> Result<(), WorkError> {
    let open = log.open_data().next().is_some();
    let untold = !untold(log).is_empty();
    let expired = log.view.intents.values().any(|records| {
        let standing = Standing::of(records);
        standing.expired && !standing.closed
    });
    let is_idle = |hold: &Hold| {
        hold.not_before <= now
            && match hold::intent_of(&hold.resource) {
                Some(n) => !log.open_data().any(|open| open == n),
                None if hold.resource == hold::QUEUE => !open && !untold,
                None => hold::is_of_destination(&hold.resource) && !open && !expired,
            }
    };
    let idle: Vec<Hold> = held.0.iter().filter(|hold| is_idle(hold)).cloned().collect();
    for hold in idle {
        holds.release(&hold.delivery, hold.n, &[&hold.resource], hold.first_failure).await?;
        held.0.retain(|other| *other != hold);
    }
    Ok(())
}
