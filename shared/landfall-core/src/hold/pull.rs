//! Waking: whoever writes a hold pulls the due record of its delivery forward, so that the schedule comes in time.

use jiff::Timestamp;

use crate::keys;
use crate::ledger::{Ledger, LedgerError};
use crate::port::ObjectStore;
use crate::record::{Due, FORMAT};

/// How often it is tried against other writers. Whoever wins reads the holds himself.
const ROUNDS: usize = 4;

/// Lets the planner look at a delivery at `at`, or before.
pub(super) async fn pull<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &str,
    at: Timestamp,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let key = keys::due(delivery);
    for _ in 0..ROUNDS {
        let (due, etag) = match ledger.read::<Due>(&key).await {
            Ok(Some((due, _))) if due.at <= at => return Ok(()),
            Ok(Some((due, etag))) => (Due { at, ..due }, Some(etag)),
            Ok(None) => {
                let dispatched = std::collections::BTreeMap::new();
                (
                    Due {
                        version: FORMAT,
                        at,
                        planned_at: now,
                        flushed_at: None,
                        pruned_at: None,
                        waiting_from: None,
                        dispatched,
                    },
                    None,
                )
            }
            // What cannot be read is due anyway, and the planner writes it anew.
            Err(LedgerError::Record(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        if ledger.replace(&key, &due, etag.as_deref()).await? {
            return Ok(());
        }
    }
    Ok(())
}
