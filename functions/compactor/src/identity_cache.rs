//! The lists of identities that a warm function has read, so that each plan reads what is new and no more.

use std::collections::BTreeMap;
use std::sync::Arc;

use landfall_core::record::Identities;

/// The most bytes of fingerprints that are kept from plan to plan: those of two million objects.
const MOST_BYTES: u64 = 32 << 20;

/// Decoded lists by key, each with the entity tag under which it was read. All of them together are bounded.
#[derive(Debug)]
pub(crate) struct IdentityCache {
    lists: BTreeMap<String, Known>,
    bytes: u64,
    most: u64,
    /// Counts the readings of all lists of a delivery.
    reading: u64,
}

#[derive(Debug)]
struct Known {
    etag: String,
    bytes: u64,
    list: Arc<Identities>,
    /// The last reading that used it.
    used: u64,
}

impl Default for IdentityCache {
    fn default() -> Self {
        Self::of(MOST_BYTES)
    }
}

impl IdentityCache {
    fn of(most: u64) -> Self {
        Self { lists: BTreeMap::new(), bytes: 0, most, reading: 0 }
    }

    /// Begins to read the lists of a delivery. What this reading uses is not given up for the rest of it: of more lists than
    /// there is room for some are kept, and not each in its turn forgotten before it is asked for again.
    pub(crate) fn begin(&mut self) {
        self.reading = self.reading.saturating_add(1);
    }

    /// The list that stands under this key with this entity tag.
    pub(crate) fn get(&mut self, key: &str, etag: &str) -> Option<Arc<Identities>> {
        let known = self.lists.get_mut(key).filter(|known| known.etag == etag)?;
        known.used = self.reading;
        Some(Arc::clone(&known.list))
    }

    /// Keeps a list of so many bytes, where there is room for it or can be made.
    pub(crate) fn keep(&mut self, key: &str, etag: &str, bytes: u64, list: &Arc<Identities>) {
        self.forget(key);
        while self.bytes.saturating_add(bytes) > self.most {
            let reading = self.reading;
            let unused = self.lists.iter().filter(|(_, known)| known.used < reading);
            let Some(oldest) = unused.min_by_key(|(_, known)| known.used).map(|(key, _)| key.clone()) else {
                return;
            };
            self.forget(&oldest);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let known = Known { etag: etag.to_owned(), bytes, list: Arc::clone(list), used: self.reading };
        self.lists.insert(key.to_owned(), known);
    }

    fn forget(&mut self, key: &str) {
        if let Some(known) = self.lists.remove(key) {
            self.bytes = self.bytes.saturating_sub(known.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_kept_up_to_a_bound_and_known_by_their_entity_tag() {
        let mut cache = IdentityCache::of(30);
        let list = Arc::new(Identities::default());
        cache.begin();
        for key in ["a", "b", "c", "d"] {
            cache.keep(key, "1", 10, &list);
        }
        assert_eq!(cache.bytes, 30);
        assert!(cache.get("c", "1").is_some() && cache.get("d", "1").is_none(), "no room in this reading");
        assert!(cache.get("a", "2").is_none(), "another list stands there now");
        cache.begin();
        assert!(cache.get("a", "1").is_some());
        cache.keep("d", "1", 10, &list);
        let kept: Vec<&str> = cache.lists.keys().map(String::as_str).collect();
        assert_eq!(kept.len(), 3);
        assert!(kept.contains(&"a") && kept.contains(&"d"), "{kept:?}");
        cache.keep("e", "1", 31, &list);
        assert!(cache.get("e", "1").is_none() && cache.get("a", "1").is_some());
        cache.keep("a", "2", 4, &list);
        assert!(cache.get("a", "2").is_some() && cache.bytes <= 30, "{}", cache.bytes);
    }
}
