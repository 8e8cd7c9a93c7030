//! The source bucket: objects that are known by key, size and time, and made when they are read.

use std::collections::BTreeMap;
use std::ops::Bound;

use jiff::Timestamp;
use landfall_core::port::{DeleteOutcome, ListPage, ListedObject, ObjectHead};

use crate::fake::checksum;

/// Objects of a page of a listing.
const PAGE: usize = 1000;

#[derive(Debug, Clone, Copy)]
pub(super) struct Staged {
    pub(super) size: u64,
    at: Timestamp,
}

#[derive(Debug)]
pub(super) struct Source {
    name: String,
    objects: BTreeMap<Box<str>, Staged>,
}

/// The tag of a generated object: it never changes, so its key and size say all.
fn etag(key: &str, size: u64) -> String {
    checksum::etag(format!("{size}/{key}").as_bytes())
}

impl Source {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), objects: BTreeMap::new() }
    }

    pub(super) fn is(&self, bucket: &str) -> bool {
        self.name == bucket
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn stage(&mut self, key: &str, size: u64, at: Timestamp) {
        self.objects.insert(key.into(), Staged { size, at });
    }

    pub(super) fn list(&self, prefix: &str, after: Option<&str>, page: Option<&str>) -> ListPage {
        let after = page.or(after).filter(|after| *after >= prefix);
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let mut below = self
            .objects
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix));
        let objects: Vec<ListedObject> = below
            .by_ref()
            .take(PAGE)
            .map(|(key, staged)| ListedObject {
                key: key.to_string(),
                etag: etag(key, staged.size),
                size: staged.size,
                last_modified: staged.at,
            })
            .collect();
        let next = below.next().and_then(|_| objects.last()).map(|last| last.key.clone());
        ListPage { objects, next }
    }

    pub(super) fn head(&self, key: &str) -> Option<ObjectHead> {
        let staged = self.objects.get(key)?;
        Some(ObjectHead {
            etag: etag(key, staged.size),
            size: staged.size,
            version_id: Some("v1".to_owned()),
            crc64nvme: None,
            metadata: BTreeMap::new(),
        })
    }

    pub(super) fn delete(&mut self, key: &str, if_match: &str) -> DeleteOutcome {
        match self.objects.get(key) {
            None => DeleteOutcome::Absent,
            Some(staged) if etag(key, staged.size) != if_match => DeleteOutcome::Changed,
            Some(_) => {
                self.objects.remove(key);
                DeleteOutcome::Deleted
            }
        }
    }
}
