//! The registry as functions read it: all documents below `config/` of the state bucket, fetched again only when
//! their entity tag changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::keys::CONFIG_PREFIX;
use crate::ledger::{Ledger, LedgerError};
use crate::port::{ListedObject, ObjectStore};
use crate::registry::{Registry, RegistryOptions};

/// Delivery documents by key, with the entity tag under which each was read.
#[derive(Default)]
pub struct ConfigSource {
    documents: BTreeMap<String, (String, Bytes)>,
    loaded: Option<Loaded>,
}

/// A registry, and what it was made of.
struct Loaded {
    listing: Vec<ListedObject>,
    options: RegistryOptions,
    registry: Arc<Registry>,
}

impl fmt::Debug for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The documents hold ExternalIds: names only.
        f.debug_set().entries(self.documents.keys()).finish()
    }
}

impl ConfigSource {
    /// Reads what changed and loads the registry, if anything did. One listing, and one read for each changed document.
    ///
    /// # Errors
    /// When the store fails. A malformed document is no error here: the registry refuses its delivery.
    pub async fn load<S: ObjectStore>(
        &mut self,
        ledger: &Ledger<S>,
        options: &RegistryOptions,
    ) -> Result<Arc<Registry>, LedgerError> {
        let listing = ledger.list_all(CONFIG_PREFIX, None).await?;
        if let Some(loaded) = &self.loaded
            && loaded.listing == listing
            && loaded.options == *options
        {
            return Ok(Arc::clone(&loaded.registry));
        }
        let listed: BTreeSet<&str> = listing.iter().map(|object| object.key.as_str()).collect();
        self.documents.retain(|key, _| listed.contains(key.as_str()));
        for object in &listing {
            let is_document = object.key.rsplit_once('.').is_some_and(|(_, ending)| ending == "toml");
            let known = self.documents.get(&object.key).is_some_and(|(etag, _)| *etag == object.etag);
            if !is_document || known {
                continue;
            }
            if let Some((body, etag)) = ledger.read_bytes(&object.key).await? {
                self.documents.insert(object.key.clone(), (etag, body));
            }
        }
        let documents = self.documents.iter().map(|(key, (_, text))| (key.clone(), text.clone()));
        let registry = Arc::new(Registry::load(documents, options));
        self.loaded = Some(Loaded { listing, options: options.clone(), registry: Arc::clone(&registry) });
        Ok(registry)
    }
}
