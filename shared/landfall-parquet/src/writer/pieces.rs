//! The bytes of a file on their way to the caller, and the checksum of all of them. They leave while a row group is put
//! together: a file is large, and need not stand in memory twice.

use std::collections::VecDeque;
use std::io;

use bytes::{Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, Digest};

/// Output is handed over in pieces of about this size.
const PIECE_BYTES: usize = 256 * 1024;
/// Memory for a piece: its last write may be a whole page.
const ROOM_BYTES: usize = 2 * PIECE_BYTES;

/// So many pieces that went out are kept at hand while a row group is written: once nobody else holds one, the next is written in
/// its memory, which need not come from the kernel then.
const AT_HAND: usize = 8;

/// Takes the pieces of one file in their order.
pub(crate) type Ready = Box<dyn FnMut(Bytes) + Send>;

/// Where a file is written to: the piece that is not complete, and the checksum of all before it.
pub(crate) struct Pieces {
    waiting: BytesMut,
    at_hand: VecDeque<Bytes>,
    /// Whether any are kept at hand. Files that are written all the time would keep them all the time.
    reuse: bool,
    ready: Ready,
    crc: Digest,
    bytes: u64,
}

impl Pieces {
    pub(super) fn new(ready: Ready) -> Self {
        let crc = Digest::new(CrcAlgorithm::Crc64Nvme);
        Self { waiting: BytesMut::new(), at_hand: VecDeque::new(), reuse: false, ready, crc, bytes: 0 }
    }

    /// The same for a file that is written in large parts, each of which ends with [`Self::cut`].
    pub(super) fn reused(self) -> Self {
        Self { reuse: true, ..self }
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
        if self.reuse && piece.len() <= ROOM_BYTES {
            self.at_hand.push_back(piece.clone());
        }
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
        BytesMut::with_capacity(ROOM_BYTES)
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Writes `count` pieces, each of its own byte, and hands each to `take`; then the pieces at hand.
    fn write(count: u8, bytes: usize, reuse: bool, take: impl FnMut(Bytes) + Send + 'static) -> usize {
        let pieces = Pieces::new(Box::new(take));
        let mut pieces = if reuse { pieces.reused() } else { pieces };
        for byte in 0..count {
            pieces.write_all(&vec![byte; bytes]).unwrap();
        }
        let at_hand = pieces.at_hand.len();
        assert_eq!(pieces.written(), u64::from(count) * bytes as u64);
        pieces.cut();
        assert!(pieces.at_hand.is_empty() && pieces.waiting.capacity() == 0);
        at_hand
    }

    #[test]
    fn a_piece_that_somebody_holds_is_not_written_again() {
        let held = Arc::new(Mutex::new(Vec::new()));
        let (keeps, mut seen) = (held.clone(), 0);
        let at_hand = write(100, PIECE_BYTES, true, move |piece| {
            seen += 1;
            // Every third piece is given back at once.
            if seen % 3 > 0 {
                keeps.lock().unwrap().push((seen - 1, piece));
            }
        });
        assert!((1..=AT_HAND).contains(&at_hand), "{at_hand}");
        for (byte, piece) in held.lock().unwrap().iter() {
            assert!(piece.len() == PIECE_BYTES && piece.iter().all(|found| found == byte), "piece {byte}");
        }
    }

    #[test]
    fn memory_is_used_again_where_that_is_wanted() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sees = seen.clone();
        write(20, PIECE_BYTES, true, move |piece| sees.lock().unwrap().push(piece.as_ptr().addr()));
        let mut places = seen.lock().unwrap().clone();
        places.dedup();
        assert_eq!((seen.lock().unwrap().len(), places.len()), (20, 1));

        let held = Arc::new(Mutex::new(Vec::new()));
        for (reuse, bytes, expected) in
            [(true, PIECE_BYTES, AT_HAND), (false, PIECE_BYTES, 0), (true, ROOM_BYTES + 1, 0)]
        {
            let holds = held.clone();
            let at_hand = write(20, bytes, reuse, move |piece| holds.lock().unwrap().push(piece));
            assert_eq!(at_hand, expected, "{reuse} {bytes}");
        }
    }
}
