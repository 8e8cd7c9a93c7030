//! Small gzip objects, decoded at once: twice as fast as a stream.
//!
//! What is decoded here is sound beyond doubt; for everything else the answer is no, and the stream of [`super::gzip`] reads
//! the object from its beginning and says what is wrong with it. So there is one place that tells broken objects apart,
//! and the verdict on an object does not depend on its size.

use libdeflater::{Decompressor, crc32};
use memchr::memmem;

use super::gzip::{Header, header_length};
use crate::limits;

/// The longest object that is gathered, in bytes.
pub(crate) const GATHERED_BYTES: usize = 4 * 1024 * 1024;

/// The most decoded bytes. Below this no expansion ratio is asked for, whatever was read for them.
const DECODED_BYTES: usize = 16 * 1024 * 1024;
const _: () = assert!(DECODED_BYTES as u64 <= limits::EXPANSION_FLOOR);

/// The decoder, and the memory of what it decodes, kept from one object to the next.
#[derive(Default)]
pub(crate) struct Whole {
    inflate: Option<Decompressor>,
    out: Vec<u8>,
}

impl std::fmt::Debug for Whole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Whole").field("out", &self.out.len()).finish_non_exhaustive()
    }
}

impl Whole {
    /// The content of a gzip object, if all of it is sound: members, then nothing or zeros.
    pub(crate) fn decode(&mut self, object: &[u8]) -> Option<&[u8]> {
        let mut out = std::mem::take(&mut self.out);
        let filled = self.decode_into(object, &mut out);
        self.out = out;
        self.out.get(..filled?)
    }

    /// The same in memory that is given, which grows where it must; how much of it is filled.
    pub(crate) fn decode_into(&mut self, object: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        // The last word is the length of the last member: mostly the only one.
        let (_, length) = object.split_last_chunk::<4>()?;
        let length =
            usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= DECODED_BYTES)?;
        let wanted = length.max(object.len().saturating_mul(4));
        if out.len() < wanted.min(DECODED_BYTES) {
            out.resize(wanted.min(DECODED_BYTES), 0);
        }
        let inflate = self.inflate.get_or_insert_with(Decompressor::new);
        let (mut rest, mut filled) = (object, 0);
        while rest.iter().any(|byte| *byte != 0) {
            let Header::Complete(header) = header_length(rest) else { return None };
            if header > limits::GZIP_HEADER_BYTES {
                return None;
            }
            let room = out.get_mut(filled..)?;
            let decoded = inflate.gzip_decompress(rest, room).ok()?;
            let member = room.get(..decoded)?;
            filled += decoded;
            rest = rest.get(end_of_member(rest, member)?..)?;
        }
        Some(filled)
    }
}

/// Where the member that `rest` begins with ends. The decoder has found the checksum and length of its content where
/// it ends, but does not tell where that is; when these eight bytes stand only once, it is there.
fn end_of_member(rest: &[u8], content: &[u8]) -> Option<usize> {
    let length = u32::try_from(content.len()).ok()?;
    let trailer = [crc32(content).to_le_bytes(), length.to_le_bytes()].concat();
    // Mostly at the very end: the search before it goes backwards, and finds nothing.
    let last = memmem::rfind(rest, &trailer)?;
    let before = rest.get(..last + trailer.len() - 1)?;
    if memmem::find(before, &trailer).is_some() {
        return None;
    }
    Some(last + trailer.len())
}
