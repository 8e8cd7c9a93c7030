//! The fingerprint of an input: what is kept of an identity (key, entity tag, size) once it is only to be recognised.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::port::ListedObject;
use crate::record::Input;

/// SHA-256 of key, entity tag and size, cut to 16 bytes.
///
/// At 14 million known inputs the chance that a new one shares its fingerprint with any of them is 2^-104.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; Fingerprint::BYTES]);

impl Fingerprint {
    /// The length of a fingerprint.
    pub const BYTES: usize = 16;

    /// The fingerprint of an identity. The size has a fixed length and an entity tag no zero byte, so that no two
    /// identities are hashed as the same text.
    pub fn of(key: &str, etag: &str, size: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(key.as_bytes());
        hash.update([0]);
        hash.update(etag.as_bytes());
        hash.update([0]);
        hash.update(size.to_be_bytes());
        let mut cut = [0; Self::BYTES];
        for (to, from) in cut.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        Self(cut)
    }

    /// The fingerprint of an intent's input.
    pub fn of_input(input: &Input) -> Self {
        Self::of(&input.key, &input.etag, input.size)
    }

    /// The fingerprint of a staged object.
    pub fn of_object(object: &ListedObject) -> Self {
        Self::of(&object.key, &object.etag, object.size)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_an_identity_counts() {
        let all = [("a", "e", 1), ("b", "e", 1), ("a", "f", 1), ("a", "e", 2), ("ae", "", 1), ("", "ae", 1)];
        let mut seen: Vec<Fingerprint> =
            all.iter().map(|(key, etag, size)| Fingerprint::of(key, etag, *size)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all.len());
    }

    #[test]
    fn the_form_is_fixed() {
        // sha256("k\0e\0" + eight bytes of 1): identity lists live for two weeks and outlive a build.
        assert_eq!(format!("{:?}", Fingerprint::of("k", "e", 1)), "ac68292a579ad12d63a7bd7bf75644a0");
    }
}
