//! What `parquet` uses of the crate `brotli`, in place of it (`[patch.crates-io]` of the workspace).
//!
//! Parquet objects that come in may be compressed by Brotli; nothing that landfall writes is. The feature of `parquet` that
//! reads them brings an encoder of 0.9 MB along, most of it tables, into each function. So the decoder here is the one that
//! `brotli` itself hands on, and the encoder is one that is right and no more: it stores.
//!
//! Source: RFC 7932, section 9 ("Compressed Data Format").

use std::io::{self, Write};

pub use brotli_decompressor::Decompressor;

/// The bits of a stream's first stored block before its bytes: a window of 64 KiB (`0`), not the last block (`0`), a length of
/// four nibbles (`00`), the length less one (16 bits), not compressed (`1`), and zeros up to the next byte. The blocks that
/// follow have no window.
const FIRST_LENGTH_AT: u32 = 4;
const LENGTH_AT: u32 = 3;
/// Not compressed, behind the length.
const STORED: u32 = 1 << 16;

/// The last block, which is empty (`11`), alone or behind the window.
const END: u8 = 0b11;
const NOTHING: u8 = 0b110;

/// The most bytes of one block: what four nibbles can say.
const BLOCK_BYTES: usize = 1 << 16;

/// A writer of streams whose bytes are stored as they are.
#[derive(Debug)]
pub struct CompressorWriter<W: Write> {
    inner: W,
    begun: bool,
}

impl<W: Write> CompressorWriter<W> {
    /// A writer before its first byte. The size of its buffer, its quality, and its window are the ones of `brotli`, and mean
    /// nothing here. The stream ends when it is dropped.
    pub fn new(inner: W, _buffer_size: usize, _quality: u32, _window: u32) -> Self {
        Self { inner, begun: false }
    }
}

impl<W: Write> Write for CompressorWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let block = bytes.get(..BLOCK_BYTES).unwrap_or(bytes);
        let Some(last) = block.len().checked_sub(1) else { return Ok(0) };
        let length_at = if self.begun { LENGTH_AT } else { FIRST_LENGTH_AT };
        let length = u32::try_from(last).map_err(io::Error::other)?;
        let [first, second, third, _] = ((length | STORED) << length_at).to_le_bytes();
        self.inner.write_all(&[first, second, third])?;
        self.inner.write_all(block)?;
        self.begun = true;
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Drop for CompressorWriter<W> {
    fn drop(&mut self) {
        // As with `brotli`: who drops a writer does not hear of it. Into memory, where `parquet` writes, nothing fails.
        let _unheard = self.inner.write_all(&[if self.begun { END } else { NOTHING }]);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    fn round_trip(parts: &[Vec<u8>]) -> Vec<u8> {
        let mut stream = Vec::new();
        let mut writer = CompressorWriter::new(&mut stream, 32 * 1024, 1, 22);
        for part in parts {
            writer.write_all(part).unwrap();
        }
        drop(writer);
        let mut read = Vec::new();
        Decompressor::new(stream.as_slice(), 4096).read_to_end(&mut read).unwrap();
        read
    }

    #[test]
    fn nothing_and_blocks_of_any_length_are_read_as_they_were() {
        for length in [0, 1, 2, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 5] {
            let bytes: Vec<u8> = (0_u8..=250).cycle().take(length).collect();
            assert!(round_trip(std::slice::from_ref(&bytes)) == bytes, "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_in_parts_is_read_as_one(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8)) {
            prop_assert_eq!(round_trip(&parts), parts.concat());
        }
    }
}
