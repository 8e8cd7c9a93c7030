//! Seeded records as producers write them: JSON lines of any size, made as fast as they are read.
//!
//! [`Records`] gives the body of one staged object in chunks, exactly as long as was asked for; the same seed gives the same
//! bytes. The records fit the contracts of `docs/examples`: a product catalogue and click events. Objects differ as real
//! ones do: how long texts are, how many values are missing and how often values repeat is drawn for each object, so that
//! no two of them shrink alike.
//!
//! A crate of its own because it is optimised in every build: gigabytes pass through it.

mod catalogue;
mod clicks;
mod draw;
mod readings;
mod words;

use bytes::Bytes;

use draw::Draw;

/// Bytes of a chunk, about.
const CHUNK_BYTES: usize = 1024 * 1024;

/// What the records are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Products as a scrape saw them: `docs/examples/product-catalogue.toml`.
    Catalogue,
    /// Click events: `docs/examples/click-events.toml`.
    Clicks,
    /// Readings of sensors, which shrink far more than anybody would guess: [`READINGS`].
    Readings,
}

/// The contract of [`Subject::Readings`], as a delivery document has it.
pub const READINGS: &str = r#"
version = 1
[[contract.column]]
name = "measurement"
type = "string"
[[contract.column]]
name = "site_name"
type = "string"
[[contract.column]]
name = "sensor_serial_number"
type = "string"
[[contract.column]]
name = "recorded_at"
from = "recorded_at_epoch_millis"
type = "timestamp(ms, UTC)"
format = "epoch_millis"
[[contract.column]]
name = "reading_value"
type = "float64"
[[contract.column]]
name = "quality_flag"
type = "string"
[[contract.column]]
name = "firmware_version"
type = "string"
[[contract.column]]
name = "battery_is_low"
type = "bool"
"#;

/// How the records of one object are, drawn once for each object.
#[derive(Debug, Clone, Copy)]
struct Manner {
    /// The most words of a text.
    words: u64,
    /// How many of its words the vocabulary lends.
    vocabulary: u64,
    /// A value is missing once in so many.
    missing_one_in: u64,
}

/// The body of one object.
#[derive(Debug)]
pub struct Records {
    subject: Subject,
    draw: Draw,
    manner: Manner,
    /// The number of the next record, unlike any of another object's.
    next: u64,
    left: u64,
    line: Vec<u8>,
}

impl Records {
    /// A body of exactly `bytes` bytes. What the last whole record leaves is filled with spaces: a blank line.
    pub fn new(subject: Subject, seed: u64, bytes: u64) -> Self {
        let mut draw = Draw::new(seed);
        let manner = Manner {
            words: 12 + draw.below(28),
            vocabulary: 200 + draw.below(800),
            missing_one_in: 4 + draw.below(12),
        };
        Self { subject, draw, manner, next: seed << 24, left: bytes, line: Vec::new() }
    }

    /// The whole body; for objects that fit into memory.
    pub fn whole(self) -> Bytes {
        let mut body = Vec::new();
        for chunk in self {
            body.extend_from_slice(&chunk);
        }
        body.into()
    }
}

impl Iterator for Records {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + 16 * 1024);
        while chunk.len() < CHUNK_BYTES {
            self.line.clear();
            let write = match self.subject {
                Subject::Catalogue => catalogue::product,
                Subject::Clicks => clicks::event,
                Subject::Readings => readings::reading,
            };
            write(&mut self.draw, self.manner, self.next, &mut self.line);
            self.next += 1;
            let length = self.line.len() as u64;
            if length > self.left {
                let blank = usize::try_from(self.left).unwrap_or(usize::MAX);
                chunk.resize(chunk.len().saturating_add(blank), b' ');
                self.left = 0;
                break;
            }
            chunk.extend_from_slice(&self.line);
            self.left -= length;
        }
        Some(chunk.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_exactly_as_many_as_asked_for() {
        for subject in [Subject::Catalogue, Subject::Clicks, Subject::Readings] {
            for bytes in [1, 5_000, 3_000_000] {
                let body = Records::new(subject, 7, bytes).whole();
                assert_eq!(body.len() as u64, bytes);
                assert_eq!(body, Records::new(subject, 7, bytes).whole());
                assert!(bytes < 5_000 || body != Records::new(subject, 8, bytes).whole());
            }
        }
    }
}
