//! Zstandard: any number of frames, skippable ones among them. A frame's own checksum is verified where it has one.

use zstd::stream::raw::{Decoder, Operation};

use super::{CodecSink, OUT_BYTES};
use crate::fault::QuarantineReason;
use crate::merge::Stop;

/// The bytes that a frame begins with.
const MAGIC: usize = 4;

/// The state of one zstd object.
pub(crate) struct Zstd {
    decoder: Decoder<'static>,
    /// The first bytes of the next frame, as long as they are not enough to tell that it is one.
    magic: Vec<u8>,
    in_frame: bool,
    after_frame: bool,
    out: Vec<u8>,
}

impl std::fmt::Debug for Zstd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zstd").field("in_frame", &self.in_frame).finish_non_exhaustive()
    }
}

impl Zstd {
    /// A decoder with the library's default limit of a 128 MiB window.
    pub(crate) fn new() -> Result<Self, Stop> {
        let decoder = Decoder::new()
            .map_err(|_| Stop::quarantine(QuarantineReason::ZstdData, "no memory for a zstd decoder"))?;
        Ok(Self { decoder, magic: Vec::new(), in_frame: false, after_frame: false, out: vec![0; OUT_BYTES] })
    }

    /// Decodes the next bytes.
    pub(crate) fn push(&mut self, chunk: &[u8], sink: &mut CodecSink<'_>) -> Result<(), Stop> {
        let mut rest = chunk;
        while !rest.is_empty() {
            if !self.in_frame {
                let wanted = MAGIC.saturating_sub(self.magic.len());
                let (taken, after) = rest.split_at_checked(wanted).unwrap_or((rest, &[]));
                self.magic.extend_from_slice(taken);
                rest = after;
                if self.magic.len() < MAGIC {
                    return Ok(());
                }
                let magic = std::mem::take(&mut self.magic);
                if !matches!(*magic, [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18]) {
                    return Err(self.no_frame());
                }
                self.in_frame = true;
                self.run(&mut &*magic, chunk.len() - rest.len(), sink)?;
            }
            let end = chunk.len();
            self.run(&mut rest, end, sink)?;
        }
        Ok(())
    }

    /// The object ends here.
    pub(crate) fn finish(&mut self) -> Result<(), Stop> {
        if self.in_frame || !self.magic.is_empty() {
            return Err(Stop::quarantine(
                QuarantineReason::ZstdTruncated,
                "the object ends inside a zstd frame",
            ));
        }
        Ok(())
    }

    fn no_frame(&self) -> Stop {
        if self.after_frame {
            let detail = "something follows the last zstd frame that is no frame";
            return Stop::quarantine(QuarantineReason::ZstdTrailingBytes, detail);
        }
        Stop::quarantine(QuarantineReason::ZstdData, "the zstd data is corrupt")
    }

    /// Decodes up to the end of the frame or of the input. `end` is how much of the chunk is read when `rest` is.
    fn run(&mut self, rest: &mut &[u8], end: usize, sink: &mut CodecSink<'_>) -> Result<(), Stop> {
        loop {
            let status = self
                .decoder
                .run_on_buffers(rest, &mut self.out)
                .map_err(|_| Stop::quarantine(QuarantineReason::ZstdData, "the zstd data is corrupt"))?;
            *rest = rest.get(status.bytes_read..).unwrap_or_default();
            let decoded = self.out.get(..status.bytes_written).unwrap_or_default();
            if !decoded.is_empty() {
                sink(decoded, end.saturating_sub(rest.len()) as u64)?;
            }
            if status.remaining == 0 {
                self.in_frame = false;
                self.after_frame = true;
                return Ok(());
            }
            if rest.is_empty() && status.bytes_written < self.out.len() {
                return Ok(());
            }
        }
    }
}
