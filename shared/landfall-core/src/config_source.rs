//! The registry as functions read it: all documents below `config/` of the state bucket, fetched again only when
//! their entity tag changed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::keys::CONFIG_PREFIX;
use crate::ledger::{Ledger, LedgerError};
use crate::port::ObjectStore;
use crate::registry::{Registry, RegistryOptions};

/// Delivery documents by key, with the entity tag under which each was read.
#[derive(Default)]
pub struct ConfigSource {
    documents: BTreeMap<String, (String, Bytes)>,
    /// What these documents were read as. Reading a thousand of them for every message would cost more than the message.
    registry: Option<Arc<Registry>>,
}

impl fmt::Debug for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The documents hold ExternalIds: names only.
        f.debug_set().entries(self.documents.keys()).finish()
    }
}

impl ConfigSource {
    /// Reads what changed and loads the registry, always under the same options. One listing, and one read for each changed document.
    ///
    /// # Errors
    /// When the store fails. A malformed document is no error here: the registry refuses its delivery.
    pub async fn load<S: ObjectStore>(
        &mut self,
        ledger: &Ledger<S>,
        options: &RegistryOptions,
    ) -> Result<Arc<Registry>, LedgerError> {
        let listing = ledger.list_all(CONFIG_PREFIX, None).await?;
        let known = self.documents.len();
        self.documents.retain(|key, _| listing.iter().any(|object| object.key == *key));
        if self.documents.len() < known {
            self.registry = None;
        }
        for object in listing {
            let is_document = object.key.rsplit_once('.').is_some_and(|(_, ending)| ending == "toml");
            let known = self.documents.get(&object.key).is_some_and(|(etag, _)| *etag == object.etag);
            if !is_document || known {
                continue;
            }
            if let Some((body, etag)) = ledger.read_bytes(&object.key).await? {
                self.documents.insert(object.key, (etag, body));
                self.registry = None;
            }
        }
        let documents = || self.documents.iter().map(|(key, (_, text))| (key.clone(), text.clone()));
        let registry = self.registry.take().unwrap_or_else(|| Arc::new(Registry::load(documents(), options)));
        Ok(Arc::clone(self.registry.insert(registry)))
    }
}
