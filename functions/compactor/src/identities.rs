//! What was delivered before: lists of input fingerprints, written when intents close, kept for the horizon.
//!
//! A busy delivery closes intents every minute. So that plans do not read thousands of lists, those of one day are folded
//! into one whenever there are many: the fold is put first, what it holds is deleted after. Between the two a fingerprint
//! stands twice, which is harmless; it never stands not at all.

use std::sync::Arc;

use futures::StreamExt as _;
use jiff::{Timestamp, tz::TimeZone};
use landfall_core::delivery::Delivery;
use landfall_core::keys;
use landfall_core::ledger::{Ledger, LedgerError};
use landfall_core::plan::{DEDUPE_HORIZON, Fingerprint};
use landfall_core::port::ObjectStore;
use landfall_core::record::{Identities, Numbers};
use tokio::sync::Mutex;

use crate::identity_cache::IdentityCache;

/// How many lists are read at once.
const LISTS_AT_ONCE: usize = 16;
/// How many lists of one day are folded into one.
const FOLD: usize = 32;
/// How often the lists are listed again because one of them was folded away while they were read.
const ROUNDS: usize = 4;

/// What the lists say that stand.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    lists: Vec<IdentityList>,
    /// The intents whose inputs are all in the lists.
    pub(crate) covered: Numbers,
    /// Everything that was delivered within the horizon; in no order, and some of it twice.
    pub(crate) fingerprints: Vec<Fingerprint>,
}

/// A list that stands.
#[derive(Debug, Clone)]
struct IdentityList {
    key: String,
    etag: String,
    size: u64,
    day: String,
}

impl Delivered {
    /// Reads all lists, and removes those past the horizon.
    ///
    /// # Errors
    /// When the store fails or a list cannot be read.
    pub(crate) async fn read<S: ObjectStore>(
        ledger: &Ledger<S>,
        delivery: &Delivery,
        cache: &Mutex<IdentityCache>,
        now: Timestamp,
    ) -> Result<Self, LedgerError> {
        cache.lock().await.begin();
        for _ in 0..ROUNDS {
            let lists = list(ledger, delivery, now).await?;
            if let Some(read) = read_all(ledger, cache, lists).await? {
                return Ok(read);
            }
        }
        Err(LedgerError::Missing(keys::identities_prefix(&delivery.id)))
    }

    /// Writes down what these intents used up, with the lists of the same day when they are many.
    ///
    /// # Errors
    /// When the store fails or a list cannot be read.
    pub(crate) async fn add<S: ObjectStore>(
        &mut self,
        ledger: &Ledger<S>,
        delivery: &Delivery,
        cache: &Mutex<IdentityCache>,
        covered: &Numbers,
        fingerprints: &[Fingerprint],
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let today = day(now);
        let of_today: Vec<IdentityList> =
            self.lists.iter().filter(|list| list.day == today).cloned().collect();
        let mut fold = Self::default();
        if of_today.len() >= FOLD {
            // One that another plan has just folded away is in a list we have not seen: then it folds next time.
            fold = read_all(ledger, cache, of_today).await?.unwrap_or_default();
        }
        fold.covered.extend(covered);
        fold.fingerprints.extend(fingerprints);
        let body = Identities::new(fold.covered, fold.fingerprints).encode();
        let key = keys::identities(&delivery.id, &today, &body);
        // Named by its content: nobody's but the same list can stand there.
        ledger.put_once_bytes(&key, body.into()).await?;
        for list in fold.lists.iter().filter(|list| list.key != key) {
            remove(ledger, list).await;
        }
        self.covered.extend(covered);
        self.fingerprints.extend(fingerprints);
        Ok(())
    }
}

async fn list<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<Vec<IdentityList>, LedgerError> {
    let horizon = day(now.saturating_sub(DEDUPE_HORIZON).unwrap_or(Timestamp::MIN));
    let mut lists = Vec::new();
    for object in ledger.list_all(&keys::identities_prefix(&delivery.id), None).await? {
        let Some(day) = keys::parse_identities(&delivery.id, &object.key) else { continue };
        let list = IdentityList { key: object.key, etag: object.etag, size: object.size, day };
        if list.day < horizon {
            remove(ledger, &list).await;
        } else {
            lists.push(list);
        }
    }
    Ok(lists)
}

/// All of these lists; `None` when one was folded into another since they were listed: that one must be read, or a repeat
/// would pass for new.
async fn read_all<S: ObjectStore>(
    ledger: &Ledger<S>,
    cache: &Mutex<IdentityCache>,
    lists: Vec<IdentityList>,
) -> Result<Option<Delivered>, LedgerError> {
    let bytes: u64 = lists.iter().map(|list| list.size).sum();
    let count = usize::try_from(bytes).unwrap_or(0) / Fingerprint::BYTES;
    let mut covered = Numbers::default();
    // A busy delivery has millions: no growing by doubling.
    let mut fingerprints = Vec::with_capacity(count);
    {
        // By index: a closure over references would not be general enough for a `Send` stream.
        let reads = (0..lists.len()).map(|index| read_one(ledger, cache, lists.get(index)));
        let mut read = futures::stream::iter(reads).buffered(LISTS_AT_ONCE);
        while let Some(list) = read.next().await {
            let Some(list) = list? else { return Ok(None) };
            covered.extend(list.covered());
            fingerprints.extend_from_slice(list.fingerprints());
        }
    }
    Ok(Some(Delivered { lists, covered, fingerprints }))
}

async fn read_one<S: ObjectStore>(
    ledger: &Ledger<S>,
    cache: &Mutex<IdentityCache>,
    list: Option<&IdentityList>,
) -> Result<Option<Arc<Identities>>, LedgerError> {
    let Some(IdentityList { key, etag, size, .. }) = list else { return Ok(None) };
    let known = cache.lock().await.get(key, etag);
    if known.is_some() {
        return Ok(known);
    }
    let Some((body, etag)) = ledger.read_bytes(key).await? else { return Ok(None) };
    let read = Arc::new(Identities::decode(key, &body)?);
    cache.lock().await.keep(key, &etag, *size, &read);
    Ok(Some(read))
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
