//! From staged bytes to decoded ones. What an object is, its content tells, never its name.
//!
//! | begins with | is read as |
//! |---|---|
//! | `1f 8b` | gzip, any number of members, zeros after the last one |
//! | a zstd frame or skippable frame | zstd, any number of frames |
//! | `PAR1` | Parquet: gathered whole, and read by [`crate::inbound`] |
//! | bzip2, xz, lz4, zip, encrypted Parquet, framed snappy, UTF-16 or UTF-32 with a byte order mark | refused: `unsupported_format` |
//! | anything else | plain text: lines or an array, as [`crate::records`] tells |
//!
//! What comes out of gzip or zstd must be plain text: data that is compressed twice is refused, and so is Parquet, which is
//! compressed in itself.

mod gzip;
mod unpacked;
mod whole;
mod zstd;

use crate::fault::QuarantineReason;
use crate::limits;
use crate::merge::Stop;
use crate::spec::MergeError;

pub(crate) use gzip::Gzip;
pub use unpacked::{Unpacked, Unpacker};
pub(crate) use whole::Whole;
pub(crate) use zstd::Zstd;

/// Decoded bytes handed over at once.
const OUT_BYTES: usize = 64 * 1024;

/// Staged bytes decoded at once. A codec that fails gives nothing of what it decoded in the same call, so the calls must
/// not depend on how the object was sliced.
const IN_BYTES: usize = 64 * 1024;

/// How many bytes tell all kinds apart.
const HEAD_BYTES: usize = 10;

/// Takes decoded bytes.
pub(crate) type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), Stop> + 'a;

/// What the first bytes of an object say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Gzip,
    Zstd,
    Parquet,
    Unsupported(&'static str),
}

fn kind(head: &[u8]) -> Kind {
    match head {
        [0x1f, 0x8b, ..] => Kind::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Kind::Zstd,
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Kind::Unsupported("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Kind::Unsupported("xz"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Kind::Unsupported("lz4"),
        [b'P', b'K', 3, 4, ..] => Kind::Unsupported("zip"),
        [b'P', b'A', b'R', b'1', ..] => Kind::Parquet,
        [b'P', b'A', b'R', b'E', ..] => Kind::Unsupported("encrypted Parquet"),
        [0xff, 0x06, 0, 0, b's', b'N', b'a', b'P', b'p', b'Y'] => Kind::Unsupported("framed snappy"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Kind::Unsupported("UTF-16 or UTF-32"),
        [0, 0, 0xfe, 0xff, ..] => Kind::Unsupported("UTF-32"),
        _ => Kind::Plain,
    }
}

/// The bytes gathered until the kind is told; afterwards the kind.
#[derive(Debug)]
struct Head {
    bytes: Vec<u8>,
    told: Option<Kind>,
}

impl Head {
    fn new() -> Self {
        Self { bytes: Vec::new(), told: None }
    }

    /// Adds bytes. Answers the kind as soon as it is sure, or when this is the end.
    fn tell(&mut self, chunk: &mut &[u8], end: bool) -> Option<Kind> {
        if self.told.is_none() {
            let wanted = HEAD_BYTES.saturating_sub(self.bytes.len());
            let (taken, rest) = chunk.split_at_checked(wanted).unwrap_or((chunk, &[]));
            self.bytes.extend_from_slice(taken);
            *chunk = rest;
            if end || self.bytes.len() >= HEAD_BYTES {
                self.told = Some(kind(&self.bytes));
            }
        }
        self.told
    }
}

/// The decoder of one object.
#[derive(Debug)]
pub(crate) struct Decoder {
    head: Head,
    codec: Option<Codec>,
    /// Bytes of the next piece, as long as it is not complete.
    piece: Vec<u8>,
    /// Staged bytes taken so far.
    taken: u64,
    check: Check,
    whole: Whole,
}

#[derive(Debug)]
enum Codec {
    Plain,
    /// A gzip object that may be small enough to be decoded at once.
    Gathered(Vec<u8>),
    /// One that came decoded.
    Unpacked,
    Gzip(Box<Gzip>),
    Zstd(Box<Zstd>),
    /// All of it so far.
    Whole(Vec<u8>),
}

/// What holds for decoded bytes of every kind.
#[derive(Debug)]
struct Check {
    decoded: u64,
    /// The head of what a codec gives; unused for plain objects.
    inner: Head,
    compressed: bool,
}

impl Check {
    /// Hands decoded bytes on, within the limits. `taken` is what was read for them.
    fn pass(&mut self, mut bytes: &[u8], taken: u64, end: bool, sink: &mut Sink<'_>) -> Result<(), Stop> {
        let room = limits::OBJECT_BYTES.saturating_sub(self.decoded);
        self.decoded = self.decoded.saturating_add(bytes.len() as u64);
        if !self.compressed {
            // What is within the limit comes first, so that the rows seen do not depend on how the object was sliced.
            let within = usize::try_from(room).ok().and_then(|room| bytes.get(..room));
            sink(within.unwrap_or(bytes))?;
        }
        if self.decoded > limits::OBJECT_BYTES {
            return Err(Stop::quarantine(
                QuarantineReason::ObjectTooLarge,
                "more decoded bytes than the limit",
            ));
        }
        if !self.compressed {
            return Ok(());
        }
        let allowed = taken.saturating_mul(limits::EXPANSION_RATIO).max(limits::EXPANSION_FLOOR);
        if self.decoded > allowed {
            return Err(Stop::quarantine(
                QuarantineReason::ExpansionRatio,
                "more decoded bytes per compressed byte than the limit",
            ));
        }
        let before = self.inner.told.is_some();
        match self.inner.tell(&mut bytes, end) {
            None => return Ok(()),
            Some(Kind::Plain) => {}
            Some(Kind::Gzip) => return Err(twice("gzip")),
            Some(Kind::Zstd) => return Err(twice("zstd")),
            Some(Kind::Parquet) => return Err(unsupported("compressed Parquet")),
            Some(Kind::Unsupported(name)) => return Err(unsupported(name)),
        }
        if !before {
            sink(&std::mem::take(&mut self.inner.bytes))?;
        }
        sink(bytes)
    }
}

fn twice(name: &'static str) -> Stop {
    Stop::quarantine(QuarantineReason::UnsupportedFormat, format!("the decompressed content is {name} again"))
}

fn unsupported(name: &'static str) -> Stop {
    Stop::quarantine(QuarantineReason::UnsupportedFormat, format!("the content is {name}, which is not read"))
}

impl Decoder {
    /// A decoder with the memory of an earlier one, or with `Whole::default()`.
    pub(crate) fn new(whole: Whole) -> Self {
        let check = Check { decoded: 0, inner: Head::new(), compressed: true };
        Self { head: Head::new(), codec: None, piece: Vec::new(), taken: 0, check, whole }
    }

    /// The memory for the next decoder.
    pub(crate) fn into_whole(self) -> Whole {
        self.whole
    }

    /// Decoded bytes so far.
    pub(crate) fn decoded(&self) -> u64 {
        self.check.decoded
    }

    /// The whole object, if it is of a kind that is read as one.
    pub(crate) fn take_whole(&mut self) -> Option<Vec<u8>> {
        match &mut self.codec {
            Some(Codec::Whole(object)) => Some(std::mem::take(object)),
            _ => None,
        }
    }

    /// Decodes the next staged bytes.
    pub(crate) fn push(&mut self, mut chunk: &[u8], sink: &mut Sink<'_>) -> Result<(), Stop> {
        if self.codec.is_none() {
            self.begin(&mut chunk, false, sink)?;
        }
        if matches!(self.codec, Some(Codec::Plain | Codec::Whole(_))) {
            return self.feed(chunk, sink);
        }
        if !self.piece.is_empty() {
            let wanted = IN_BYTES.saturating_sub(self.piece.len());
            let (taken, rest) = chunk.split_at_checked(wanted).unwrap_or((chunk, &[]));
            self.piece.extend_from_slice(taken);
            chunk = rest;
            if self.piece.len() < IN_BYTES {
                return Ok(());
            }
            self.feed_piece(sink)?;
        }
        while let Some((piece, rest)) = chunk.split_at_checked(IN_BYTES) {
            self.feed(piece, sink)?;
            chunk = rest;
        }
        self.piece.extend_from_slice(chunk);
        Ok(())
    }

    /// Takes a whole object, decoded or not. Nothing else of it may be pushed.
    pub(crate) fn push_whole(&mut self, whole: &Unpacked, sink: &mut Sink<'_>) -> Result<(), Stop> {
        if !whole.is_content() {
            return self.push(whole.bytes(), sink);
        }
        if self.codec.is_some() || self.taken > 0 {
            return Err(Stop::Failed(MergeError::Order("push a whole object behind other bytes")));
        }
        self.codec = Some(Codec::Unpacked);
        self.taken = whole.staged_bytes();
        self.check.pass(whole.bytes(), self.taken, false, sink)
    }

    /// Decodes the gathered bytes.
    fn feed_piece(&mut self, sink: &mut Sink<'_>) -> Result<(), Stop> {
        let mut piece = std::mem::take(&mut self.piece);
        self.feed(&piece, sink)?;
        piece.clear();
        self.piece = piece;
        Ok(())
    }

    /// The object ends here.
    pub(crate) fn finish(&mut self, sink: &mut Sink<'_>) -> Result<(), Stop> {
        if self.codec.is_none() {
            self.begin(&mut &[][..], true, sink)?;
        }
        self.feed_piece(sink)?;
        if let Some(Codec::Gathered(object)) = &mut self.codec {
            let object = std::mem::take(object);
            match self.whole.decode(&object) {
                Some(decoded) => self.check.pass(decoded, object.len() as u64, false, sink)?,
                None => self.stream(&object, sink)?,
            }
        }
        match &mut self.codec {
            Some(Codec::Gzip(gzip)) => gzip.finish()?,
            Some(Codec::Zstd(zstd)) => zstd.finish()?,
            Some(Codec::Plain | Codec::Gathered(_) | Codec::Unpacked | Codec::Whole(_)) | None => {}
        }
        self.check.pass(&[], self.taken, true, sink)
    }

    /// Tells the kind, if it can be told yet, and decodes the bytes it was told by.
    fn begin(&mut self, chunk: &mut &[u8], end: bool, sink: &mut Sink<'_>) -> Result<(), Stop> {
        let Some(kind) = self.head.tell(chunk, end) else { return Ok(()) };
        self.check.compressed = kind != Kind::Plain;
        self.codec = Some(match kind {
            Kind::Plain => Codec::Plain,
            Kind::Gzip => Codec::Gathered(Vec::new()),
            Kind::Zstd => Codec::Zstd(Box::new(Zstd::new()?)),
            Kind::Parquet => Codec::Whole(Vec::new()),
            Kind::Unsupported(name) => return Err(unsupported(name)),
        });
        let head = std::mem::take(&mut self.head.bytes);
        self.feed(&head, sink)
    }

    /// Decodes a gathered object as a stream, in the pieces in which a stream would have had it.
    fn stream(&mut self, object: &[u8], sink: &mut Sink<'_>) -> Result<(), Stop> {
        self.codec = Some(Codec::Gzip(Box::new(Gzip::new())));
        self.taken = 0;
        let (head, rest) = object.split_at_checked(HEAD_BYTES).unwrap_or((object, &[]));
        self.feed(head, sink)?;
        rest.chunks(IN_BYTES).try_for_each(|piece| self.feed(piece, sink))
    }

    fn feed(&mut self, chunk: &[u8], sink: &mut Sink<'_>) -> Result<(), Stop> {
        if let Some(Codec::Gathered(object)) = &mut self.codec {
            object.extend_from_slice(chunk);
            if object.len() > whole::GATHERED_BYTES {
                let object = std::mem::take(object);
                return self.stream(&object, sink);
            }
            return Ok(());
        }
        let Self { codec, check, taken, .. } = self;
        let before = *taken;
        match codec {
            None | Some(Codec::Gathered(_) | Codec::Unpacked) => return Ok(()),
            Some(Codec::Plain) => check.pass(chunk, 0, false, sink)?,
            Some(Codec::Whole(object)) => {
                if chunk.len() > limits::PARQUET_BYTES.saturating_sub(object.len()) {
                    *object = Vec::new();
                    let detail = format!("a Parquet object is larger than {} bytes", limits::PARQUET_BYTES);
                    return Err(Stop::quarantine(QuarantineReason::ObjectTooLarge, detail));
                }
                object.extend_from_slice(chunk);
            }
            Some(Codec::Gzip(gzip)) => {
                gzip.push(chunk, &mut |bytes, read| check.pass(bytes, before + read, false, sink))?;
            }
            Some(Codec::Zstd(zstd)) => {
                zstd.push(chunk, &mut |bytes, read| check.pass(bytes, before + read, false, sink))?;
            }
        }
        *taken = before.saturating_add(chunk.len() as u64);
        Ok(())
    }
}

/// Takes decoded bytes, and how much of the chunk was read for them.
pub(crate) type CodecSink<'a> = dyn FnMut(&[u8], u64) -> Result<(), Stop> + 'a;
