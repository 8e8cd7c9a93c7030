//! The check of a staged file of JSON lines before it is published: decompressed and counted.
//!
//! A file of lines has no footer. That its bytes are those the merge wrote is what its checksum says; that they are as many
//! records as the outcome names, and come to a good end, is what is found here, in little memory whatever the file holds.

use std::io::{self, Write};

use flate2::write::GzDecoder;
use landfall_core::layout::Compression;

/// A file that is not the lines that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecountError {
    /// It cannot be decompressed.
    #[error("it cannot be decompressed: {0}")]
    Compressed(String),
    /// A line is no record.
    #[error("line {0} is not one record")]
    Line(u64),
    /// Its last line does not end.
    #[error("it does not end with a line break")]
    Open,
}

/// Counts the records of one file, piece by piece.
#[derive(Debug)]
pub struct Recount {
    decoder: Decoder,
}

#[derive(Debug)]
enum Decoder {
    Plain(Lines),
    Gzip(Box<GzDecoder<Lines>>),
    Zstd(Box<ZstdDecoder>),
}

struct ZstdDecoder(zstd::stream::write::Decoder<'static, Lines>);

impl std::fmt::Debug for ZstdDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ZstdDecoder").field(self.0.get_ref()).finish()
    }
}

/// Counts lines, each of which is an object: that much can be told from its first and last byte.
#[derive(Debug, Default)]
struct Lines {
    ended: u64,
    /// The last byte, unless a line has just ended.
    last: Option<u8>,
    /// The first line that is no record.
    wrong: Option<u64>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            if self.last.is_none() && text.first() != Some(&b'{') {
                self.wrong.get_or_insert(self.ended + 1);
            }
            self.last = text.last().copied().or(self.last);
            if ends {
                if self.last != Some(b'}') {
                    self.wrong.get_or_insert(self.ended + 1);
                }
                self.ended += 1;
                self.last = None;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Recount {
    /// Nothing is counted yet of a file that is compressed so.
    ///
    /// # Errors
    /// When there is no decompressor.
    pub fn new(compression: Compression) -> Result<Self, RecountError> {
        let lines = Lines::default();
        let decoder = match compression {
            Compression::Gzip => Decoder::Gzip(Box::new(GzDecoder::new(lines))),
            Compression::Zstd => Decoder::Zstd(Box::new(ZstdDecoder(
                zstd::stream::write::Decoder::new(lines).map_err(compressed)?,
            ))),
            Compression::None | Compression::Snappy | Compression::Lz4 => Decoder::Plain(lines),
        };
        Ok(Self { decoder })
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// [`RecountError::Compressed`], [`RecountError::Line`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), RecountError> {
        let written = match &mut self.decoder {
            Decoder::Plain(lines) => lines.write_all(bytes),
            Decoder::Gzip(decoder) => decoder.write_all(bytes),
            Decoder::Zstd(decoder) => decoder.0.write_all(bytes),
        };
        written.map_err(compressed)?;
        self.lines().wrong.map_or(Ok(()), |line| Err(RecountError::Line(line)))
    }

    /// The records of the whole file.
    ///
    /// # Errors
    /// When it ends too early.
    pub fn finish(mut self) -> Result<u64, RecountError> {
        match &mut self.decoder {
            Decoder::Plain(_) => {}
            Decoder::Gzip(decoder) => decoder.try_finish().map_err(compressed)?,
            Decoder::Zstd(decoder) => decoder.0.flush().map_err(compressed)?,
        }
        let lines = self.lines();
        if let Some(line) = lines.wrong {
            return Err(RecountError::Line(line));
        }
        if lines.last.is_some() { Err(RecountError::Open) } else { Ok(lines.ended) }
    }

    fn lines(&self) -> &Lines {
        match &self.decoder {
            Decoder::Plain(lines) => lines,
            Decoder::Gzip(decoder) => decoder.get_ref(),
            Decoder::Zstd(decoder) => decoder.0.get_ref(),
        }
    }
}

fn compressed(error: impl std::fmt::Display) -> RecountError {
    RecountError::Compressed(error.to_string())
}
