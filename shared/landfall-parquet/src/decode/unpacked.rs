//! Objects decompressed ahead of their merge, on whatever thread there is.

use super::whole::{GATHERED_BYTES, Whole};
use super::{Head, Kind};

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

    /// Decompresses an object. Its memory stays with the caller, for the next one, unless the object was not decompressed.
    pub fn unpack(&mut self, object: &mut Vec<u8>) -> Unpacked {
        let staged_bytes = object.len() as u64;
        let gzip = Head::new().tell(&mut object.as_slice(), true) == Some(Kind::Gzip);
        if gzip && object.len() <= GATHERED_BYTES {
            let mut memory = self.spent.pop().unwrap_or_default();
            if let Some(filled) = self.whole.decode_into(object, &mut memory) {
                return Unpacked { memory, filled, is_content: true, staged_bytes };
            }
            self.spent.push(memory);
        }
        let memory = std::mem::take(object);
        Unpacked { filled: memory.len(), memory, is_content: false, staged_bytes }
    }

    /// Takes the memory of an object that is merged.
    pub fn reuse(&mut self, object: Unpacked) {
        self.spent.push(object.memory);
    }
}

impl Unpacked {
    /// Bytes of the object as it is staged.
    pub fn staged_bytes(&self) -> u64 {
        self.staged_bytes
    }

    /// Bytes it fills in memory.
    pub fn memory_bytes(&self) -> usize {
        self.filled
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
