//! How far an intent is, read from the names of its records alone: what a listing of the log shows.
//!
//! Only whether an outcome is void stands in its body.

use std::collections::BTreeSet;

use crate::keys::RecordName;

/// How far an intent is.
#[expect(
    clippy::struct_excessive_bools,
    reason = "which records stand: each may or may not, in any combination"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Standing {
    /// The generation of the outcome that holds; `None` while nobody has merged.
    pub generation: Option<u32>,
    /// The part it is in, from 1: it expired, and was resumed, this often less one.
    pub part: u32,
    /// Whether it ran out of time in this part: nothing of it goes on until it is resumed.
    pub expired: bool,
    /// Whether there is a receipt of this part.
    pub received: bool,
    /// Whether an operator gave up what was not published.
    pub discarded: bool,
    /// Whether its inputs are deleted and nothing is left to do but to tell.
    pub closed: bool,
    /// The first part with a receipt of which the client has not been told.
    pub untold: Option<u32>,
}

impl Standing {
    /// Reads the names of an intent's records.
    pub fn of(records: &BTreeSet<RecordName>) -> Self {
        let has = |name: RecordName| records.contains(&name);
        let generation = records
            .iter()
            .filter_map(|name| match name {
                RecordName::Outcome(generation) => Some(*generation),
                _ => None,
            })
            .max();
        let resumed = records.iter().filter(|name| matches!(name, RecordName::Resumed(_))).count();
        let part = u32::try_from(resumed).unwrap_or(u32::MAX).saturating_add(1);
        let untold = Self::untold_parts(records).into_iter().min();
        Self {
            generation,
            part,
            expired: has(RecordName::Expired(part)) && !has(RecordName::Discarded),
            received: has(RecordName::Receipt(part)),
            discarded: has(RecordName::Discarded),
            closed: has(RecordName::Closed),
            untold,
        }
    }

    /// The parts that have a receipt and of which the client has not been told, in order.
    pub fn untold_parts(records: &BTreeSet<RecordName>) -> Vec<u32> {
        let received = records.iter().filter_map(|name| match name {
            RecordName::Receipt(part) => Some(*part),
            _ => None,
        });
        received.filter(|part| !records.contains(&RecordName::Notified(*part))).collect()
    }

    /// Whether nothing at all is left to do: closed, and the client told of every part.
    pub fn is_over(&self) -> bool {
        self.closed && self.untold.is_none()
    }
}

/// Attempts at publishing one file, from the names of its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempts {
    /// Whether the file stands at its production key.
    pub published: bool,
    /// The attempts of unknown effect, by number: neither refused nor followed by a publication.
    pub unknown: Vec<u32>,
    /// The last attempt; 0 when there was none.
    pub last: u32,
    /// The last attempt that was not refused: what was published, or may have been, is a copy of what it copied.
    pub effective: Option<u32>,
}

impl Attempts {
    /// Reads the names of an intent's records for one file.
    pub fn of(records: &BTreeSet<RecordName>, index: u32) -> Self {
        let published = records.contains(&RecordName::Published(index));
        let mut of_file = Self { published, unknown: Vec::new(), last: 0, effective: None };
        for name in records {
            let RecordName::Attempt { file, k } = *name else { continue };
            if file != index {
                continue;
            }
            of_file.last = of_file.last.max(k);
            if !records.contains(&RecordName::Refused { file, k }) {
                of_file.effective = of_file.effective.max(Some(k));
                if !published {
                    of_file.unknown.push(k);
                }
            }
        }
        of_file
    }

    /// Whether nothing of the file is out, nor may be: its staged file is needed still.
    pub fn is_open(&self) -> bool {
        !self.published && self.unknown.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_open_when_all_its_attempts_were_refused() {
        let attempts = |names: &[&str], file| {
            let records =
                names.iter().map(|name| RecordName::parse(name).expect("a record's name")).collect();
            Attempts::of(&records, file)
        };
        let names = ["intent", "attempt-0-1", "refused-0-1", "attempt-0-2", "attempt-1-1", "published-1"];
        let unknown = attempts(&names, 0);
        assert_eq!((unknown.unknown.as_slice(), unknown.last, unknown.effective), (&[2][..], 2, Some(2)));
        assert!(!unknown.is_open());
        let published = attempts(&names, 1);
        assert_eq!((published.unknown.len(), published.effective), (0, Some(1)));
        assert!(!published.is_open());
        assert!(attempts(&names, 2).is_open());
        let refused = attempts(&["attempt-0-1", "refused-0-1"], 0);
        assert_eq!((refused.is_open(), refused.last, refused.effective), (true, 1, None));
    }

    fn standing(names: &[&str]) -> Standing {
        Standing::of(&names.iter().map(|name| RecordName::parse(name).expect("a record's name")).collect())
    }

    #[test]
    fn an_intent_that_expired_goes_on_in_its_next_part() {
        let merged = standing(&["intent", "outcome", "outcome-2"]);
        assert_eq!((merged.generation, merged.part, merged.expired), (Some(2), 1, false));
        let expired = standing(&["intent", "outcome", "published-0", "expired", "receipt"]);
        assert_eq!((expired.part, expired.expired, expired.untold), (1, true, Some(1)));
        let resumed = ["intent", "outcome", "expired", "receipt", "notified", "resumed"];
        let resumed = standing(&resumed);
        assert_eq!(
            (resumed.part, resumed.expired, resumed.received, resumed.untold),
            (2, false, false, None)
        );
        let again = standing(&["intent", "expired", "resumed", "expired-2"]);
        assert_eq!((again.part, again.expired), (2, true));
    }

    #[test]
    fn an_intent_is_over_when_it_is_closed_and_every_part_told() {
        let names =
            ["intent", "outcome", "expired", "receipt", "resumed", "receipt-2", "notified-2", "closed"];
        assert_eq!(standing(&names).untold, Some(1));
        let told: Vec<&str> = names.iter().copied().chain(["notified"]).collect();
        assert!(standing(&told).is_over());
        assert!(!standing(&["intent", "outcome", "receipt", "notified"]).is_over());
    }
}
