//! Objects decompressed ahead of their merge, on whatever thread there is.

use super::whole::{GATHERED_BYTES, Whole};
use super::{Head, Kind};

/// Decompresses whole objects, with memory that is kept from one to the next.
#[derive(Debug, Default)]
pub struct Unpacker {
    whole: Whole,
}

/// An object that was read whole, and its content where it was small gzip and sound beyond doubt. [`crate::Merge::push_whole`] takes it,
/// to the same end as its bytes.
#[derive(Debug)]
pub struct Unpacked {
    pub(crate) object: Vec<u8>,
    pub(crate) content: Option<Vec<u8>>,
}

impl Unpacker {
    /// The longest object that is worth reading whole, in bytes.
    pub const MOST_BYTES: usize = GATHERED_BYTES;

    /// Decompresses an object.
    pub fn unpack(&mut self, object: Vec<u8>) -> Unpacked {
        let gzip = Head::new().tell(&mut object.as_slice(), true) == Some(Kind::Gzip);
        let content = if gzip && object.len() <= GATHERED_BYTES {
            self.whole.decode(&object).map(<[u8]>::to_vec)
        } else {
            None
        };
        Unpacked { object, content }
    }
}

impl Unpacked {
    /// Bytes of the object as it is staged.
    pub fn staged_bytes(&self) -> u64 {
        self.object.len() as u64
    }

    /// Bytes it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.object.len() + self.content.as_ref().map_or(0, Vec::len)
    }
}
