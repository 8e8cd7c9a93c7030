//! Gzip (RFC 1952), framed here so that each way to be broken has its own reason: the usual decoders stop silently after the
//! first member, or refuse the zero padding that tape tools and some producers append.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{CodecSink, OUT_BYTES};
use crate::fault::QuarantineReason;
use crate::limits;
use crate::merge::Stop;

/// The fixed part of a member's header.
const FIXED: usize = 10;

/// CRC-32 and length after a member's data.
const TRAILER: usize = 8;

#[derive(Debug)]
enum State {
    /// In a header, or before the first one.
    Header,
    /// In deflate data.
    Data,
    /// In the eight bytes after the data.
    Trailer,
    /// After a member: another one, padding, or the end.
    Between,
    /// Zeros up to the end.
    Padding,
}

/// The state of one gzip object.
pub(crate) struct Gzip {
    state: State,
    /// The header or trailer gathered so far.
    gathered: Vec<u8>,
    inflate: Decompress,
    crc: Crc,
    out: Vec<u8>,
    /// Whether a whole member came before.
    after_member: bool,
}

impl std::fmt::Debug for Gzip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gzip").field("state", &self.state).finish_non_exhaustive()
    }
}

fn broken(reason: QuarantineReason, detail: &'static str) -> Stop {
    Stop::quarantine(reason, detail)
}

impl Gzip {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Header,
            gathered: Vec::new(),
            inflate: Decompress::new(false),
            crc: Crc::new(),
            out: vec![0; OUT_BYTES],
            after_member: false,
        }
    }

    /// Decodes the next bytes.
    pub(crate) fn push(&mut self, chunk: &[u8], sink: &mut CodecSink<'_>) -> Result<(), Stop> {
        let mut rest = chunk;
        while let Some(first) = rest.first() {
            match self.state {
                State::Header => self.header(&mut rest)?,
                State::Data => self.data(&mut rest, chunk.len(), sink)?,
                State::Trailer => self.trailer(&mut rest)?,
                State::Between => self.state = if *first == 0 { State::Padding } else { State::Header },
                State::Padding => {
                    if rest.iter().any(|byte| *byte != 0) {
                        return Err(trailing());
                    }
                    rest = &[];
                }
            }
        }
        Ok(())
    }

    /// The object ends here.
    pub(crate) fn finish(&mut self) -> Result<(), Stop> {
        match self.state {
            State::Between | State::Padding => Ok(()),
            State::Header => {
                Err(broken(QuarantineReason::GzipTruncated, "the object ends in the header of a gzip member"))
            }
            State::Data => {
                Err(broken(QuarantineReason::GzipTruncated, "the object ends in the data of a gzip member"))
            }
            State::Trailer => Err(broken(
                QuarantineReason::GzipTruncated,
                "the object ends in the trailer of a gzip member",
            )),
        }
    }

    fn header(&mut self, rest: &mut &[u8]) -> Result<(), Stop> {
        // Mostly the header lies in one chunk: nothing to gather.
        if self.gathered.is_empty()
            && let Header::Complete(length) = header_length(rest)
            && length <= limits::GZIP_HEADER_BYTES
        {
            *rest = rest.get(length..).unwrap_or_default();
            self.begin_data();
            return Ok(());
        }
        let before = self.gathered.len();
        let room = limits::GZIP_HEADER_BYTES.saturating_sub(before);
        self.gathered.extend(rest.iter().take(room));
        match header_length(&self.gathered) {
            Header::Broken(_) if self.after_member && !self.gathered.starts_with(&[0x1f, 0x8b]) => {
                // `1f` alone may still become a member.
                Err(trailing())
            }
            Header::Broken(detail) => Err(broken(QuarantineReason::GzipHeader, detail)),
            Header::Incomplete if self.gathered.len() >= limits::GZIP_HEADER_BYTES => {
                Err(broken(QuarantineReason::GzipHeader, "the header is longer than the limit"))
            }
            Header::Incomplete => {
                *rest = &[];
                Ok(())
            }
            Header::Complete(length) => {
                *rest = rest.get(length.saturating_sub(before)..).unwrap_or_default();
                self.begin_data();
                Ok(())
            }
        }
    }

    fn begin_data(&mut self) {
        self.gathered.clear();
        self.inflate.reset(false);
        self.crc.reset();
        self.state = State::Data;
    }

    fn data(&mut self, rest: &mut &[u8], chunk_bytes: usize, sink: &mut CodecSink<'_>) -> Result<(), Stop> {
        loop {
            let (in_before, out_before) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(rest, &mut self.out, FlushDecompress::None)
                .map_err(|_| broken(QuarantineReason::GzipData, "the deflate data is corrupt"))?;
            let read = usize::try_from(self.inflate.total_in() - in_before).unwrap_or(usize::MAX);
            let written = usize::try_from(self.inflate.total_out() - out_before).unwrap_or(usize::MAX);
            *rest = rest.get(read..).unwrap_or_default();
            let decoded = self.out.get(..written).unwrap_or_default();
            self.crc.update(decoded);
            if !decoded.is_empty() {
                sink(decoded, (chunk_bytes - rest.len()) as u64)?;
            }
            match status {
                Status::StreamEnd => {
                    self.state = State::Trailer;
                    return Ok(());
                }
                // All input is taken and no output is held back.
                Status::Ok | Status::BufError if rest.is_empty() && written < self.out.len() => return Ok(()),
                Status::Ok | Status::BufError if read == 0 && written == 0 => {
                    return Err(broken(QuarantineReason::GzipData, "the deflate data does not go on"));
                }
                Status::Ok | Status::BufError => {}
            }
        }
    }

    fn trailer(&mut self, rest: &mut &[u8]) -> Result<(), Stop> {
        let wanted = TRAILER.saturating_sub(self.gathered.len());
        let (taken, after) = rest.split_at_checked(wanted).unwrap_or((rest, &[]));
        self.gathered.extend_from_slice(taken);
        *rest = after;
        let words = self.gathered.as_chunks::<4>().0;
        let [checksum, length] = words else { return Ok(()) };
        if u32::from_le_bytes(*checksum) != self.crc.sum() {
            return Err(broken(QuarantineReason::GzipChecksum, "the CRC-32 does not match the data"));
        }
        if u32::from_le_bytes(*length) != self.crc.amount() {
            return Err(broken(QuarantineReason::GzipLength, "the length does not match the data"));
        }
        self.gathered.clear();
        self.after_member = true;
        self.state = State::Between;
        Ok(())
    }
}

fn trailing() -> Stop {
    broken(
        QuarantineReason::GzipTrailingBytes,
        "something follows the last gzip member that is neither a member nor zeros",
    )
}

pub(super) enum Header {
    Complete(usize),
    Incomplete,
    Broken(&'static str),
}

/// The length of the header that `bytes` begins with.
pub(super) fn header_length(bytes: &[u8]) -> Header {
    if !bytes.iter().zip([0x1f, 0x8b, 8]).all(|(found, wanted)| *found == wanted) {
        return Header::Broken("the header does not begin with 1f 8b 08");
    }
    let Some(flags) = bytes.get(3).copied() else { return Header::Incomplete };
    if flags & 0xe0 != 0 {
        return Header::Broken("the header has flags that do not exist");
    }
    let mut at = FIXED;
    if flags & 4 != 0 {
        let Some([low, high]) = bytes.get(at..at + 2).and_then(|length| <[u8; 2]>::try_from(length).ok())
        else {
            return Header::Incomplete;
        };
        at += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            let end = bytes.get(at..).and_then(|text| memchr::memchr(0, text));
            let Some(length) = end else { return Header::Incomplete };
            at += length + 1;
        }
    }
    if flags & 2 != 0 {
        let Some([low, high]) = bytes.get(at..at + 2).and_then(|crc| <[u8; 2]>::try_from(crc).ok()) else {
            return Header::Incomplete;
        };
        let mut crc = Crc::new();
        crc.update(bytes.get(..at).unwrap_or_default());
        if crc.sum() & 0xffff != u32::from(u16::from_le_bytes([low, high])) {
            return Header::Broken("the checksum of the header does not match");
        }
        at += 2;
    }
    if bytes.len() < at { Header::Incomplete } else { Header::Complete(at) }
}
