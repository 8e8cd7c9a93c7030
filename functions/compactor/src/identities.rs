//! What was delivered before: lists of input identities, one for each move of the floor, kept for the horizon.
//!
//! A busy delivery moves its floor every minute. So that plans do not read thousands of lists, those of one day are folded
//! into one whenever there are many: the fold is put first, what it holds is deleted after. Between the two an identity
//! stands twice, which is harmless; it never stands not at all.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use jiff::{Timestamp, tz::TimeZone};
use landfall_core::delivery::Delivery;
use landfall_core::keys;
use landfall_core::ledger::{Ledger, LedgerError, PutOnce};
use landfall_core::plan::{DEDUPE_HORIZON, Taken};
use landfall_core::port::ObjectStore;
use landfall_core::record::{FORMAT, Identities};

/// How many lists are read at once.
const LISTS_AT_ONCE: usize = 16;
/// How many lists of one day are folded into one.
const FOLD: usize = 32;
/// How often the lists are listed again because one of them was folded away while they were read.
const ROUNDS: usize = 4;

/// Key, entity tag and size of an input.
pub(crate) type Identity = (String, String, u64);

/// A list that stands.
#[derive(Debug, Clone)]
pub(crate) struct IdentityList {
    key: String,
    etag: String,
    day: String,
}

/// Notes everything delivered before as taken, and removes lists past the horizon; the lists that stand.
///
/// # Errors
/// When the store fails or a list cannot be read.
pub(crate) async fn read<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    taken: &mut Taken,
    now: Timestamp,
) -> Result<Vec<IdentityList>, LedgerError> {
    for _ in 0..ROUNDS {
        let lists = list(ledger, delivery, now).await?;
        if let Some(found) = read_all(ledger, &lists).await? {
            for (key, etag, size) in found.into_iter().flat_map(|list| list.identities) {
                taken.add_closed(key, etag, size);
            }
            return Ok(lists);
        }
    }
    Err(LedgerError::Missing(keys::identities_prefix(&delivery.id)))
}

async fn list<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<Vec<IdentityList>, LedgerError> {
    let horizon = day(now.saturating_sub(DEDUPE_HORIZON).unwrap_or(Timestamp::MIN));
    let mut lists = Vec::new();
    for object in ledger.list_all(&keys::identities_prefix(&delivery.id), None).await? {
        let Some((day, _)) = keys::parse_identities(&delivery.id, &object.key) else { continue };
        let list = IdentityList { key: object.key, etag: object.etag, day };
        if list.day < horizon {
            remove(ledger, &list).await;
        } else {
            lists.push(list);
        }
    }
    Ok(lists)
}

/// All lists; `None` when one was folded into another since they were listed: that one must be read, or a repeat would
/// pass for new.
async fn read_all<S: ObjectStore>(
    ledger: &Ledger<S>,
    lists: &[IdentityList],
) -> Result<Option<Vec<Identities>>, LedgerError> {
    // By index: a closure over references would not be general enough for a `Send` stream.
    let reads = (0..lists.len()).map(|index| read_one(ledger, lists.get(index)));
    let mut read = futures::stream::iter(reads).buffered(LISTS_AT_ONCE);
    let mut found = Vec::with_capacity(lists.len());
    while let Some(list) = read.next().await {
        match list? {
            Some(list) => found.push(list),
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

async fn read_one<S: ObjectStore>(
    ledger: &Ledger<S>,
    list: Option<&IdentityList>,
) -> Result<Option<Identities>, LedgerError> {
    match list {
        Some(list) => Ok(ledger.read(&list.key).await?.map(|(identities, _)| identities)),
        None => Ok(None),
    }
}

/// Writes down what the intents up to `floor` used, with the lists of the same day when they are many.
///
/// # Errors
/// When the store fails or a list cannot be read.
pub(crate) async fn write<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    standing: &[IdentityList],
    mut identities: BTreeSet<Identity>,
    floor: u64,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let today = day(now);
    let mut folded: Vec<&IdentityList> = standing.iter().filter(|list| list.day == today).collect();
    if folded.len() < FOLD {
        folded.clear();
    }
    for list in &folded {
        identities.extend(ledger.must_read::<Identities>(&list.key).await?.identities);
    }
    let list = Identities { version: FORMAT, identities: identities.into_iter().collect() };
    let key = keys::identities(&delivery.id, &today, floor);
    // Somebody else's list of this floor may hold less than ours: then nothing is deleted.
    if ledger.put_once(&key, &list).await? == PutOnce::Ours {
        for list in folded {
            remove(ledger, list).await;
        }
    }
    Ok(())
}

/// Tidying up is worth no plan: another one tries again.
async fn remove<S: ObjectStore>(ledger: &Ledger<S>, list: &IdentityList) {
    if let Err(error) = ledger.delete(&list.key, &list.etag).await {
        tracing::warn!(%error, key = list.key, "identity list not deleted");
    }
}

fn day(time: Timestamp) -> String {
    let time = time.to_zoned(TimeZone::UTC);
    format!("{:04}{:02}{:02}", time.year(), time.month(), time.day())
}
