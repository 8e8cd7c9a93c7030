//! Waking: whoever writes down that something of a delivery is to be tried pulls its due record forward, so that the
//! schedule comes in time.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::keys;
use crate::ledger::{Ledger, LedgerError};
use crate::port::ObjectStore;
use crate::record::{Dispatched, Due, FORMAT};

/// How often it is tried against other writers. Whoever wins reads what was written down himself.
const ROUNDS: usize = 8;

/// Lets the planner look at a delivery at `at`, or before; and dispatch the intent `again`, whenever it was dispatched last.
///
/// # Errors
/// When the store fails. A record that cannot be read is due anyway, and the planner writes it anew.
pub async fn pull<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &str,
    at: Timestamp,
    again: Option<u64>,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let key = keys::due(delivery);
    for _ in 0..ROUNDS {
        let (stands, etag) = match ledger.read::<Due>(&key).await {
            Ok(Some((due, etag))) => (Some(due), Some(etag)),
            Ok(None) => (None, None),
            Err(LedgerError::Record(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut due = stands.clone().unwrap_or_else(|| Due {
            version: FORMAT,
            at,
            planned_at: now,
            flushed_at: None,
            pruned_at: None,
            waiting_from: None,
            dispatched: BTreeMap::new(),
        });
        due.at = due.at.min(at);
        if let Some(n) = again {
            due.dispatched.insert(n, Dispatched { times: 0, last: Timestamp::UNIX_EPOCH });
        }
        if stands.as_ref() == Some(&due) || ledger.replace(&key, &due, etag.as_deref()).await? {
            return Ok(());
        }
    }
    Ok(())
}
