//! Pruning: records of retired intents are deleted a month after they were written.
//!
//! A number cannot be made again: whoever puts `intent` reads the floor after it and stops at or below it.

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use landfall_core::delivery::Delivery;
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::{Ledger, LedgerError};
use landfall_core::port::{ListedObject, ObjectStore};

/// How long records are kept after they were written: long enough to look at what happened, and longer than the horizon
/// of what was delivered.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How often old records are looked for.
const EVERY: SignedDuration = SignedDuration::from_hours(24);
/// How many records one plan deletes, but for those of its last intent: a plan has other things to do.
const RECORDS: usize = 1000;
/// How many are deleted at once.
const AT_ONCE: usize = 16;

/// Deletes what is old at or below the floor, from the first intent on, if nobody has looked for a day. When nothing old was
/// left: now, or `pruned_at` as it was.
pub(crate) async fn prune<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    floor: u64,
    pruned_at: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    let lately = pruned_at.is_some_and(|at| now.duration_since(at) < EVERY);
    if floor == 0 || lately {
        return pruned_at;
    }
    match delete_old(ledger, delivery, floor, now).await {
        Ok(true) => Some(now),
        Ok(false) => pruned_at,
        // Tidying up is worth no plan: another one tries again.
        Err(error) => {
            tracing::warn!(%error, delivery = delivery.id, "old records not deleted");
            pruned_at
        }
    }
}

/// Whether nothing old is left.
async fn delete_old<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    floor: u64,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let old = now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
    let prefix = keys::log_prefix(&delivery.id);
    let mut deleted = 0;
    // The records of one intent, as far as they were listed.
    let mut current: Option<(u64, Vec<ListedObject>)> = None;
    let mut page: Option<String> = None;
    loop {
        let listing = ledger.store().list(ledger.bucket(), &prefix, None, page.as_deref()).await?;
        for object in listing.objects {
            let Some((n, _)) = keys::parse_record(&delivery.id, &object.key) else { continue };
            if let Some((other, records)) = current.take_if(|(other, _)| *other != n) {
                if deleted >= RECORDS {
                    return Ok(false);
                }
                deleted += records.len();
                delete_intent(ledger, delivery, other, &records).await?;
            }
            // An intent whose last record is young stays as a whole, and so does everything after it.
            if n > floor || object.last_modified >= old {
                return Ok(true);
            }
            current.get_or_insert_with(|| (n, Vec::new())).1.push(object);
        }
        page = listing.next;
        if page.is_none() {
            if let Some((n, records)) = current {
                delete_intent(ledger, delivery, n, &records).await?;
            }
            return Ok(true);
        }
    }
}

/// The intent itself goes first: what is left of one that is half deleted is known by its absence.
async fn delete_intent<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    n: u64,
    records: &[ListedObject],
) -> Result<(), LedgerError> {
    let intent = keys::record(&delivery.id, n, RecordName::Intent);
    for record in records.iter().filter(|record| record.key == intent) {
        ledger.delete(&record.key, &record.etag).await?;
    }
    // By index: a closure over references would not be general enough for a `Send` stream.
    let deletes = (0..records.len()).map(|index| delete_one(ledger, &intent, records.get(index)));
    let mut deletes = futures::stream::iter(deletes).buffered(AT_ONCE);
    while let Some(answer) = deletes.next().await {
        answer?;
    }
    Ok(())
}

async fn delete_one<S: ObjectStore>(
    ledger: &Ledger<S>,
    intent: &str,
    record: Option<&ListedObject>,
) -> Result<(), LedgerError> {
    if let Some(record) = record.filter(|record| record.key != intent) {
        ledger.delete(&record.key, &record.etag).await?;
    }
    Ok(())
}
