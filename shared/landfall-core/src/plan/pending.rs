//! What is pending: the listing minus everything the log names.

use std::collections::BTreeMap;

use crate::port::ListedObject;
use crate::record::Input;

/// What intents have taken, by key. One key can be taken with several identities over time.
#[derive(Debug, Default)]
pub struct Taken {
    open: BTreeMap<String, Vec<(String, u64)>>,
    closed: BTreeMap<String, Vec<(String, u64)>>,
}

impl Taken {
    /// Notes the inputs of an intent that is under way: they are neither pending nor repeats.
    pub fn add_open<'a>(&mut self, inputs: impl IntoIterator<Item = &'a Input>) {
        for input in inputs {
            self.open.entry(input.key.clone()).or_default().push((input.etag.clone(), input.size));
        }
    }

    /// Notes an input of a closed intent: the same bytes under the same key are a repeated upload.
    pub fn add_closed(&mut self, key: String, etag: String, size: u64) {
        self.closed.entry(key).or_default().push((etag, size));
    }

    fn holds(map: &BTreeMap<String, Vec<(String, u64)>>, object: &ListedObject) -> bool {
        map.get(&object.key).is_some_and(|identities| {
            identities.iter().any(|(etag, size)| *etag == object.etag && *size == object.size)
        })
    }
}

/// A listing, divided.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Objects no intent has taken, in key order.
    pub objects: Vec<ListedObject>,
    /// Objects whose bytes were delivered before under the same key: to be deleted, never delivered.
    pub repeats: Vec<ListedObject>,
    /// Objects that an open intent has taken.
    pub in_flight: usize,
}

/// Divides a listing by what the log names.
pub fn pending(listing: impl IntoIterator<Item = ListedObject>, taken: &Taken) -> Pending {
    let mut out = Pending::default();
    for object in listing {
        if Taken::holds(&taken.open, &object) {
            out.in_flight += 1;
        } else if Taken::holds(&taken.closed, &object) {
            out.repeats.push(object);
        } else {
            out.objects.push(object);
        }
    }
    out
}
