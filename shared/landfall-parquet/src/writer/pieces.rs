//! The bytes of a file on their way to the caller, and the checksum of all of them. They leave while a row group is put
//! together: a file is large, and need not stand in memory twice.

use std::collections::VecDeque;
use std::io;

use bytes::{Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, Digest};

/// Output is handed over in pieces of about this size.
const PIECE_BYTES: usize = 256 * 1024;
/// What is written at once, at most, but for what is larger than a buffer anyway.
const WRITE_BYTES: usize = 8 * 1024;

/// So many pieces that went out are kept at hand: once nobody else holds one, the next is written in its memory, which need not
/// come from the kernel then.
const AT_HAND: usize = 8;

/// Takes the pieces of one file in their order.
pub(crate) type Ready = Box<dyn FnMut(Bytes) + Send>;

/// Where a file is written to: the piece that is not complete, and the checksum of all before it.
pub(crate) struct Pieces {
    waiting: BytesMut,
    at_hand: VecDeque<Bytes>,
    ready: Ready,
    crc: Digest,
    bytes: u64,
}

impl Pieces {
    pub(super) fn new(ready: Ready) -> Self {
        let crc = Digest::new(CrcAlgorithm::Crc64Nvme);
        Self { waiting: BytesMut::new(), at_hand: VecDeque::new(), ready, crc, bytes: 0 }
    }

    /// Ends the piece that is being written, the last one for some time: no memory is kept.
    pub(super) fn cut(&mut self) {
        self.hand_over();
        self.waiting = BytesMut::new();
        self.at_hand.clear();
    }

    fn hand_over(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let piece = std::mem::take(&mut self.waiting).freeze();
        self.crc.update(&piece);
        self.bytes += piece.len() as u64;
        self.at_hand.push_back(piece.clone());
        (self.ready)(piece);
    }

    /// Memory for the next piece.
    fn room(&mut self) -> BytesMut {
        match self.at_hand.pop_front().map(Bytes::try_into_mut) {
            Some(Ok(mut used)) => {
                used.clear();
                return used;
            }
            Some(Err(held)) if self.at_hand.len() < AT_HAND => self.at_hand.push_front(held),
            Some(Err(_)) | None => {}
        }
        BytesMut::with_capacity(PIECE_BYTES + WRITE_BYTES)
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
            self.hand_over();
            self.waiting = self.room();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
