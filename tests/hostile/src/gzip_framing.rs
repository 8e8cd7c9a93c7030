//! Members, padding, garbage: gzip objects decoded at once, in slices, and as a stream.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use landfall_parquet::InputVerdict;

use crate::merging::{lengths_and_bytes, merge, merged_any_way, nothing_fits};

/// What is gathered at most to be decoded at once, with a byte more: an object of this length is a stream.
const STREAMED_BYTES: usize = 4 * 1024 * 1024 + 1;

/// Three bytes are lengths of slices, the rest is an object when it begins as gzip does, and else the plan of one.
pub fn gzip_framing(data: &[u8]) {
    let Some((lengths, rest)) = lengths_and_bytes(data) else { return };
    if rest.starts_with(&[0x1f, 0x8b]) {
        agree(rest, lengths);
        return;
    }
    let plan = Plan::read(rest);
    let outcome = agree(&plan.object, lengths);
    if let (true, Some(content)) = (plan.sound, plan.content) {
        let lines: Vec<&[u8]> =
            content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let found: Vec<&[u8]> = outcome.iter().map(|raw| &**raw).collect();
        assert_eq!(found, lines, "what was compressed comes back");
    }
}

/// Decodes an object in every way; the records found.
fn agree(object: &[u8], lengths: [u8; 3]) -> Vec<bytes::Bytes> {
    let contract = nothing_fits();
    let at_once = merged_any_way(&contract, object, lengths);
    let gzip = object.starts_with(&[0x1f, 0x8b]);
    if gzip && !matches!(at_once.verdicts.as_slice(), [InputVerdict::Quarantined(_)]) {
        // Zeros may follow the last member: enough of them, and the object is not decoded at once.
        let mut padded = object.to_vec();
        padded.resize(object.len() + STREAMED_BYTES, 0);
        let streamed = merge(&contract, &[vec![&padded]]);
        assert_eq!(at_once, streamed, "what is sound at once is sound as a stream, and the same");
    }
    at_once.rejected.into_iter().map(|row| row.raw).collect()
}

/// An object put together.
struct Plan {
    object: Vec<u8>,
    /// The content of its members, as long as it is lines.
    content: Option<Vec<u8>>,
    sound: bool,
}

impl Plan {
    /// Reads pairs of an instruction and its argument, with the bytes that it takes.
    fn read(mut rest: &[u8]) -> Self {
        let mut plan = Self { object: Vec::new(), content: Some(b"x".to_vec()), sound: true };
        // The first member says that the content is lines.
        plan.member(b"x", 0, 6);
        let (mut padded, mut left) = (false, 8);
        while let Some(([what, argument], after)) = rest.split_first_chunk::<2>().filter(|_| left > 0) {
            left -= 1;
            let (taken, after) = after.split_at_checked(usize::from(*argument)).unwrap_or((after, &[]));
            rest = after;
            match what % 8 {
                0..=3 => {
                    let lines: Vec<u8> = taken.iter().map(|byte| byte % 94 + b'!').collect();
                    let lines = [b"\n", lines.as_slice()].concat();
                    plan.member(&lines, what / 8, u32::from(what % 4) * 3);
                    if let Some(content) = &mut plan.content {
                        content.extend_from_slice(&lines);
                    }
                    plan.sound &= !padded;
                }
                4 => {
                    plan.object.resize(plan.object.len() + usize::from(*argument), 0);
                    padded |= *argument > 0;
                }
                5 => {
                    plan.object.extend_from_slice(taken);
                    plan.sound &= taken.is_empty();
                }
                6 => {
                    let length = plan.object.len().saturating_sub(usize::from(*argument));
                    plan.object.truncate(length);
                    plan.sound &= *argument == 0;
                }
                _ => {
                    let at = plan.object.len().saturating_sub(usize::from(*argument));
                    if let Some(byte) = plan.object.get_mut(at) {
                        *byte ^= what / 8 + 1;
                        plan.sound = false;
                    }
                }
            }
        }
        plan
    }

    fn member(&mut self, content: &[u8], header: u8, level: u32) {
        let mut builder = GzBuilder::new();
        if header & 1 != 0 {
            builder = builder.filename("name");
        }
        if header & 2 != 0 {
            builder = builder.comment("comment");
        }
        if header & 4 != 0 {
            builder = builder.extra(vec![b'A', b'B', 2, 0, 0, 0]);
        }
        let mut encoder = builder.write(Vec::new(), Compression::new(level.min(9)));
        encoder.write_all(content).expect("memory");
        self.object.append(&mut encoder.finish().expect("memory"));
    }
}
