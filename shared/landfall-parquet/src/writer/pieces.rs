//! The bytes of a file on their way to the caller, and the checksum of all of them. They leave while a row group is put
//! together: a file is large, and need not stand in memory twice.

use std::io;

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};

/// Output is handed over in pieces of about this size.
const PIECE_BYTES: usize = 1024 * 1024;

/// Takes the pieces of one file in their order.
pub(crate) type Ready = Box<dyn FnMut(Bytes) + Send>;

/// Where a file is written to: the piece that is not complete, and the checksum of all before it.
pub(crate) struct Pieces {
    waiting: Vec<u8>,
    ready: Ready,
    crc: Digest,
    bytes: u64,
}

impl Pieces {
    pub(super) fn new(ready: Ready) -> Self {
        Self { waiting: Vec::new(), ready, crc: Digest::new(CrcAlgorithm::Crc64Nvme), bytes: 0 }
    }

    /// Ends the piece that is being written.
    pub(super) fn cut(&mut self) {
        if !self.waiting.is_empty() {
            let piece = std::mem::take(&mut self.waiting);
            self.crc.update(&piece);
            self.bytes += piece.len() as u64;
            (self.ready)(Bytes::from(piece));
        }
    }

    /// All bytes that were written, those of the unfinished piece too.
    pub(super) fn written(&self) -> u64 {
        self.bytes + self.waiting.len() as u64
    }

    /// Bytes and CRC-64/NVME of all pieces that ended.
    pub(crate) fn sum(&self) -> (u64, u64) {
        (self.bytes, self.crc.clone().finalize())
    }
}

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE_BYTES {
            // The next piece becomes as long: growing is dearer than room.
            let room = self.waiting.len().min(2 * PIECE_BYTES);
            self.cut();
            self.waiting.reserve(room);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
