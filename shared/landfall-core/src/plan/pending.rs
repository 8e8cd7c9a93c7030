//! What is pending: the listing minus everything the log names, told object by object.

use super::fingerprint::Fingerprint;
use crate::port::ListedObject;

/// What intents have taken: 16 bytes for each input, sorted. One key can be taken with several identities over time.
#[derive(Debug, Default)]
pub struct Taken {
    open: Vec<Fingerprint>,
    closed: Vec<Fingerprint>,
    voided: Vec<(Fingerprint, u64)>,
}

/// Where an object of the listing belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// No intent has taken it, or what took it gave it back.
    Pending,
    /// An intent that is under way has taken it.
    InFlight,
    /// The same bytes were delivered before under the same key: to be deleted, never delivered.
    Repeat,
}

/// What the log knows of an object of the listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Where it belongs.
    pub place: Place,
    /// The last void intent that held it, of those that are not retired.
    pub void: Option<u64>,
}

impl Taken {
    /// What is taken: by intents under way, by closed ones, and, with its number, by each void one.
    pub fn new(
        mut open: Vec<Fingerprint>,
        mut closed: Vec<Fingerprint>,
        mut voided: Vec<(Fingerprint, u64)>,
    ) -> Self {
        open.sort_unstable();
        closed.sort_unstable();
        voided.sort_unstable();
        Self { open, closed, voided }
    }

    /// What is known of an object.
    pub fn know(&self, object: &ListedObject) -> Known {
        if self.open.is_empty() && self.closed.is_empty() && self.voided.is_empty() {
            return Known { place: Place::Pending, void: None };
        }
        let fingerprint = Fingerprint::of_object(object);
        let place = if self.open.binary_search(&fingerprint).is_ok() {
            Place::InFlight
        } else if self.closed.binary_search(&fingerprint).is_ok() {
            Place::Repeat
        } else {
            Place::Pending
        };
        let after = self.voided.partition_point(|(voided, _)| *voided <= fingerprint);
        let last = after.checked_sub(1).and_then(|index| self.voided.get(index));
        let void = last.filter(|(voided, _)| *voided == fingerprint).map(|(_, n)| *n);
        Known { place, void }
    }
}
