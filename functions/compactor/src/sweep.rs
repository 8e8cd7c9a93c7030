//! The sweep: once a minute, lists `due/` and opens only what may be due.

use std::collections::BTreeMap;

use jiff::Timestamp;
use landfall_core::keys;
use landfall_core::ledger::{Ledger, LedgerError};
use landfall_core::port::ObjectStore;
use landfall_core::record::Due;
use landfall_core::registry::Registry;

/// Due times by delivery, with the entity tag under which each was read: an unchanged record is not read again.
#[derive(Debug, Default)]
pub(crate) struct DueTimes {
    seen: BTreeMap<String, (String, Timestamp)>,
}

impl DueTimes {
    /// The deliveries of the registry whose time has come, and those that were never planned.
    ///
    /// # Errors
    /// When the store fails or a due record cannot be read.
    pub(crate) async fn due<S: ObjectStore>(
        &mut self,
        ledger: &Ledger<S>,
        registry: &Registry,
        now: Timestamp,
    ) -> Result<Vec<String>, LedgerError> {
        let listing = ledger.list_all(keys::DUE_PREFIX, None).await?;
        let mut times: BTreeMap<String, (String, Timestamp)> = BTreeMap::new();
        for object in &listing {
            let Some(delivery) = keys::parse_due(&object.key) else { continue };
            if registry.by_id(delivery).is_none() {
                continue;
            }
            let known = self.seen.get(delivery).filter(|(etag, _)| *etag == object.etag);
            let entry = match known {
                Some(entry) => entry.clone(),
                None => match ledger.read::<Due>(&object.key).await {
                    Ok(Some((due, etag))) => (etag, due.at),
                    Ok(None) => continue,
                    // One that another build wrote, or that was damaged, must not stop everybody's clock: it is due, and
                    // the plan writes it anew.
                    Err(LedgerError::Record(error)) => {
                        tracing::error!(%error, delivery, "due record cannot be read");
                        (object.etag.clone(), Timestamp::MIN)
                    }
                    Err(error) => return Err(error),
                },
            };
            times.insert(delivery.to_owned(), entry);
        }
        self.seen = times;
        Ok(registry
            .deliveries()
            .filter(|delivery| self.seen.get(&delivery.id).is_none_or(|(_, at)| *at <= now))
            .map(|delivery| delivery.id.clone())
            .collect())
    }
}
