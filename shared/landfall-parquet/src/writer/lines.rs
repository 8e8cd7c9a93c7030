//! JSON lines: the text of records, one a line, compressed as one gzip member or one zstd frame.
//!
//! A group is what the compressor was given since it was last told to write out all it has, which it is when the group ends:
//! only then is its size known. That costs a few bytes each time, and no reader sees it.

use std::io::{self, Write as _};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use flate2::write::GzEncoder;
use landfall_core::layout::Compression;

use super::{Learnt, Pieces, WriteFailed, Writer};

/// The levels are those of Parquet pages.
const ZSTD_LEVEL: i32 = 3;
const GZIP_LEVEL: u32 = 6;

/// The text that a group has.
const GROUP_BYTES: u64 = 32 * 1024 * 1024;

/// One open file.
pub(super) struct LinesFile {
    encoder: Encoder,
    /// Text of the open group.
    text: u64,
    /// The size of all groups that have ended.
    written: u64,
    /// Lines on their way to the compressor.
    lines: Vec<u8>,
}

enum Encoder {
    Plain(Pieces),
    Gzip(GzEncoder<Pieces>),
    Zstd(zstd::stream::write::Encoder<'static, Pieces>),
}

impl LinesFile {
    pub(super) fn open(compression: Compression, pieces: Pieces) -> Result<Self, WriteFailed> {
        let encoder = match compression {
            Compression::None => Encoder::Plain(pieces),
            // Its header has neither a time nor a name: the same rows give the same bytes.
            Compression::Gzip => Encoder::Gzip(GzEncoder::new(pieces, flate2::Compression::new(GZIP_LEVEL))),
            Compression::Zstd => {
                let mut encoder =
                    zstd::stream::write::Encoder::new(pieces, ZSTD_LEVEL).map_err(WriteFailed::new)?;
                encoder.include_checksum(true).map_err(WriteFailed::new)?;
                Encoder::Zstd(encoder)
            }
            Compression::Snappy | Compression::Lz4 => {
                return Err(WriteFailed::new("JSON lines are compressed with gzip, zstd, or not at all"));
            }
        };
        Ok(Self { encoder, text: 0, written: 0, lines: Vec::new() })
    }
}

impl Encoder {
    fn pieces(&self) -> &Pieces {
        match self {
            Self::Plain(pieces) => pieces,
            Self::Gzip(encoder) => encoder.get_ref(),
            Self::Zstd(encoder) => encoder.get_ref(),
        }
    }

    fn pieces_mut(&mut self) -> &mut Pieces {
        match self {
            Self::Plain(pieces) => pieces,
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        }
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(pieces) => pieces.write_all(lines),
            Self::Gzip(encoder) => encoder.write_all(lines),
            Self::Zstd(encoder) => encoder.write_all(lines),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Gzip(encoder) => encoder.try_finish(),
            Self::Zstd(encoder) => encoder.do_finish(),
        }
    }
}

impl Writer for LinesFile {
    /// The rows have one column: their text.
    fn write(&mut self, rows: &RecordBatch, _weight: u64) -> Result<(), WriteFailed> {
        let texts = rows.columns().first().and_then(|column| column.as_string_opt::<i32>());
        let texts = texts.ok_or_else(|| WriteFailed::new("no text of the records"))?;
        self.lines.clear();
        for text in texts {
            self.lines.extend_from_slice(text.unwrap_or_default().as_bytes());
            self.lines.push(b'\n');
        }
        self.text += self.lines.len() as u64;
        self.encoder.write(&self.lines).map_err(WriteFailed::new)
    }

    fn in_progress(&self) -> u64 {
        self.text
    }

    fn room(&self) -> u64 {
        0
    }

    fn group_is_full(&self, _learnt: Learnt) -> bool {
        self.text >= GROUP_BYTES
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn flush(&mut self) -> Result<(), WriteFailed> {
        if self.text > 0 {
            self.encoder.flush().map_err(WriteFailed::new)?;
            self.text = 0;
            self.written = self.encoder.pieces().written();
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), WriteFailed> {
        self.encoder.finish().map_err(WriteFailed::new)?;
        self.text = 0;
        let pieces = self.encoder.pieces_mut();
        pieces.cut();
        self.written = pieces.written();
        Ok(())
    }

    fn sum(&self) -> (u64, u64) {
        self.encoder.pieces().sum()
    }
}
