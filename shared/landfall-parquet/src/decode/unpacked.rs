//! Objects decompressed ahead of their merge, on whatever thread there is.

use super::whole::{GATHERED_BYTES, Whole};
use super::{Head, Kind};

/// Memory of a merged object that is larger is not kept: others would hardly fill it.
const KEPT_BYTES: usize = 1024 * 1024;

/// Decompresses whole objects, with memory that is used again: new memory costs more than what is done in it.
#[derive(Debug, Default)]
pub struct Unpacker {
    whole: Whole,
    /// Memory of objects that are merged. The last one first: it is still in the processor's cache.
    spent: Vec<Vec<u8>>,
}

/// An object that was read whole: its content, where it was small gzip and sound beyond doubt, else itself.
/// [`crate::Merge::push_whole`] takes it, to the same end as its bytes.
#[derive(Debug)]
pub struct Unpacked {
    memory: Vec<u8>,
    /// How much of the memory is filled.
    filled: usize,
    is_content: bool,
    staged_bytes: u64,
}

impl Unpacker {
    /// The longest object that is worth reading whole, in bytes.
    pub const MOST_BYTES: usize = GATHERED_BYTES;

    /// Decompresses an object. What the caller has in its place then is memory for the next one, and anything may be in it.
    pub fn unpack(&mut self, object: &mut Vec<u8>) -> Unpacked {
        let staged_bytes = object.len() as u64;
        let gzip = Head::new().tell(&mut object.as_slice(), true) == Some(Kind::Gzip);
        let mut memory = self.spent.pop().unwrap_or_default();
        if gzip
            && object.len() <= GATHERED_BYTES
            && let Some(filled) = self.whole.decode_into(object, &mut memory)
        {
            return Unpacked { memory, filled, is_content: true, staged_bytes };
        }
        let memory = std::mem::replace(object, memory);
        Unpacked { filled: memory.len(), memory, is_content: false, staged_bytes }
    }

    /// Takes the memory of an object that is merged.
    pub fn reuse(&mut self, object: Unpacked) {
        if object.memory.capacity() <= KEPT_BYTES {
            self.spent.push(object.memory);
        }
    }
}

impl Unpacked {
    /// Bytes of the object as it is staged.
    pub fn staged_bytes(&self) -> u64 {
        self.staged_bytes
    }

    /// Bytes it takes in memory, filled or not.
    pub fn memory_bytes(&self) -> usize {
        self.memory.capacity()
    }

    /// Its content where it was decompressed, else itself.
    pub(super) fn bytes(&self) -> &[u8] {
        self.memory.get(..self.filled).unwrap_or_default()
    }

    /// Whether it was decompressed.
    pub(super) fn is_content(&self) -> bool {
        self.is_content
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn memory_of_merged_objects_does_not_pile_up() {
        let mut unpacker = Unpacker::default();
        let unsound = [gzip(b"{}"), b"rest".to_vec()].concat();
        for object in [b"{}\n{}".to_vec(), gzip(b"{}"), unsound] {
            for _ in 0..100 {
                let merged = unpacker.unpack(&mut object.clone());
                unpacker.reuse(merged);
            }
            assert!(unpacker.spent.len() <= 1, "{}", unpacker.spent.len());
        }
        let merged = unpacker.unpack(&mut gzip(&vec![b' '; 2 * KEPT_BYTES]));
        assert!(merged.memory_bytes() >= 2 * KEPT_BYTES && merged.is_content());
        unpacker.reuse(merged);
        assert!(unpacker.spent.iter().all(|memory| memory.capacity() <= KEPT_BYTES));
    }
}
