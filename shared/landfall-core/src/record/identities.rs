//! The identities of what was delivered: the one record that is not JSON, since fingerprints are many and do not compress.
//!
//! All numbers are big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `LFID` |
//! | 4 | the form, 1 |
//! | 4 | how many ranges of intents it covers |
//! | 16 each | first and last number of a range, ascending, apart from each other |
//! | 8 | how many fingerprints |
//! | 16 each | the fingerprints, ascending |
//!
//! Before there were fingerprints the record was JSON like all others; such lists are still read, until their horizon has
//! passed.

use serde::Deserialize;

use super::{FORMAT, RecordError};
use crate::plan::Fingerprint;

const MAGIC: [u8; 4] = *b"LFID";
/// How zstd begins, and with it the records that are JSON.
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// The record before there were fingerprints.
#[derive(Deserialize)]
struct Listed {
    /// Key, entity tag and size of each input of intents at or below the floor.
    identities: Vec<(String, String, u64)>,
}

/// Numbers of intents, as ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers {
    /// First and last of each range, ascending, neither overlapping nor adjacent.
    ranges: Vec<(u64, u64)>,
}

impl Numbers {
    /// Whether `n` is one of them.
    pub fn contains(&self, n: u64) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= n);
        after.checked_sub(1).and_then(|index| self.ranges.get(index)).is_some_and(|(_, last)| n <= *last)
    }

    /// Adds those of another set.
    pub fn extend(&mut self, other: &Self) {
        let mut ranges = std::mem::take(&mut self.ranges);
        ranges.extend(&other.ranges);
        ranges.sort_unstable();
        for (first, last) in ranges {
            match self.ranges.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => self.ranges.push((first, last)),
            }
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

impl FromIterator<u64> for Numbers {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut all = Self::default();
        all.extend(&Self { ranges: numbers.into_iter().map(|n| (n, n)).collect() });
        all
    }
}

/// Fingerprints of the inputs that closed intents used up, and which intents those are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identities {
    covered: Numbers,
    fingerprints: Vec<Fingerprint>,
}

impl Identities {
    /// The list of what the covered intents used up.
    pub fn new(covered: Numbers, mut fingerprints: Vec<Fingerprint>) -> Self {
        fingerprints.sort_unstable();
        fingerprints.dedup();
        Self { covered, fingerprints }
    }

    /// The intents whose inputs it lists, each with all of them.
    pub fn covered(&self) -> &Numbers {
        &self.covered
    }

    /// The fingerprints, ascending.
    pub fn fingerprints(&self) -> &[Fingerprint] {
        &self.fingerprints
    }

    /// Renders the record.
    pub fn encode(&self) -> Vec<u8> {
        let Self { covered: Numbers { ranges }, fingerprints } = self;
        let mut body = Vec::with_capacity(20 + 16 * (ranges.len() + fingerprints.len()));
        body.extend(MAGIC);
        body.extend(FORMAT.to_be_bytes());
        body.extend(u32::try_from(ranges.len()).unwrap_or(u32::MAX).to_be_bytes());
        for (first, last) in ranges {
            body.extend(first.to_be_bytes());
            body.extend(last.to_be_bytes());
        }
        body.extend((fingerprints.len() as u64).to_be_bytes());
        body.extend(fingerprints.iter().flat_map(|fingerprint| fingerprint.0));
        body
    }

    /// Reads the record.
    ///
    /// # Errors
    /// When the body is of another form, cut short, longer than it says, or not in order: what cannot be trusted wholly could
    /// make delivered objects new again.
    pub fn decode(key: &str, body: &[u8]) -> Result<Self, RecordError> {
        if body.starts_with(&ZSTD) {
            let Listed { identities } = super::decode(key, body)?;
            let of = |(key, etag, size): &(String, String, u64)| Fingerprint::of(key, etag, *size);
            return Ok(Self::new(Numbers::default(), identities.iter().map(of).collect()));
        }
        read(body).map_err(|message| RecordError { key: key.to_owned(), message })
    }
}

fn read(body: &[u8]) -> Result<Identities, String> {
    let mut rest = Rest(body);
    if rest.take::<4>()? != MAGIC {
        return Err("not a list of identities".to_owned());
    }
    let form = u32::from_be_bytes(rest.take()?);
    if form != FORMAT {
        return Err(format!("form {form}, this build reads form {FORMAT}"));
    }
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for _ in 0..u32::from_be_bytes(rest.take()?) {
        let (first, last) = (u64::from_be_bytes(rest.take()?), u64::from_be_bytes(rest.take()?));
        let apart = ranges.last().is_none_or(|(_, before)| before.saturating_add(1) < first);
        if first > last || !apart {
            return Err(format!("the covered intents {first} to {last} are out of order"));
        }
        ranges.push((first, last));
    }
    let count = u64::from_be_bytes(rest.take()?);
    let fingerprints: Vec<Fingerprint> = rest
        .0
        .chunks_exact(Fingerprint::BYTES)
        .filter_map(|chunk| chunk.try_into().ok())
        .map(Fingerprint)
        .collect();
    if fingerprints.len() as u64 != count || !rest.0.len().is_multiple_of(Fingerprint::BYTES) {
        return Err(format!("{} bytes are left for {count} fingerprints", rest.0.len()));
    }
    if !fingerprints.is_sorted_by(|left, right| left < right) {
        return Err("fingerprints are out of order".to_owned());
    }
    Ok(Identities { covered: Numbers { ranges }, fingerprints })
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("cut short")?;
        self.0 = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(numbers: &[u64], seeds: &[u8]) -> Identities {
        let covered = numbers.iter().copied().collect();
        Identities::new(covered, seeds.iter().map(|seed| Fingerprint([*seed; 16])).collect())
    }

    proptest! {
        #[test]
        fn lists_are_read_as_written(
            numbers in prop::collection::btree_set(0_u64..60, 0..40),
            fingerprints in prop::collection::vec(any::<[u8; 16]>(), 0..40),
        ) {
            let covered: Numbers = numbers.iter().copied().collect();
            for n in 0..62 {
                prop_assert_eq!(covered.contains(n), numbers.contains(&n));
            }
            let list = Identities::new(covered, fingerprints.into_iter().map(Fingerprint).collect());
            let body = list.encode();
            prop_assert_eq!(Identities::decode("k", &body).expect("its own form"), list);
            // Whatever is missing at the end, or too much, is found.
            for cut in 0..body.len() {
                prop_assert!(Identities::decode("k", &body[..cut]).is_err(), "{cut}");
            }
            prop_assert!(Identities::decode("k", &[&body[..], &[0]].concat()).is_err());
            prop_assert!(Identities::decode("k", &[&body[..], &[255; 16]].concat()).is_err());
        }
    }

    #[test]
    fn later_forms_and_lists_out_of_order_are_refused() {
        let refused = |body: &[u8]| Identities::decode("k", body).expect_err("refused").to_string();
        let sound = list(&[1, 2, 3, 7], &[1, 2]).encode();
        let with = |at: usize, byte: u8| {
            let mut body = sound.clone();
            body[at] = byte;
            body
        };
        assert!(Identities::decode("k", &sound).is_ok());
        assert!(refused(&with(0, b'X')).contains("not a list of identities"));
        assert!(refused(&with(7, 2)).contains("form 2, this build reads form 1"));
        // The first range is 1 to 3, the second 7 to 7.
        assert!(refused(&with(19, 9)).contains("out of order"), "9 to 3");
        assert!(refused(&with(27, 6)).contains("out of order"), "1 to 6 and 7 to 7 are one range");
        let mut swapped = sound.clone();
        let first = swapped.len() - 32;
        swapped[first..].rotate_left(16);
        assert!(refused(&swapped).contains("fingerprints are out of order"));
        swapped.copy_within(first..first + 16, first + 16);
        assert!(refused(&swapped).contains("fingerprints are out of order"), "the same one twice");
        assert!(refused(b"{}").contains("cut short"));
    }

    #[test]
    fn lists_from_before_there_were_fingerprints_are_read() {
        let listed = serde_json::json!({ "version": 1, "identities": [["b", "e", 2], ["a", "e", 1]] });
        let read = Identities::decode("k", &super::super::encode("k", &listed).expect("JSON")).expect("read");
        let known = vec![Fingerprint::of("a", "e", 1), Fingerprint::of("b", "e", 2)];
        assert_eq!(read, Identities::new(Numbers::default(), known));
        let later = serde_json::json!({ "version": 2, "identities": [] });
        assert!(Identities::decode("k", &super::super::encode("k", &later).expect("JSON")).is_err());
    }

    #[test]
    fn ranges_that_meet_are_one() {
        let mut numbers: Numbers = [1, 2, 5, 9].into_iter().collect();
        numbers.extend(&[3, 4, 6, 20].into_iter().collect());
        assert_eq!(numbers.ranges, [(1, 6), (9, 9), (20, 20)]);
    }
}
