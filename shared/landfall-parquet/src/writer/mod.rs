//! A file that is being written: rows in, bytes out. What a format is, is known here alone; where a file ends is decided by
//! [`crate::files`].

mod columns;
mod dictionary;
mod lines;
mod parquet;
mod pieces;
mod sorted;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use landfall_core::layout::{Compression, FileFormat};

pub(crate) use self::columns::ReadingOver;
use self::lines::LinesFile;
use self::parquet::ParquetFiles;
use self::pieces::{Pieces, Ready};
use crate::spec::MergeSpec;

/// Rows could not be written: a defect of the engine.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WriteFailed(String);

impl WriteFailed {
    fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// How the estimates of groups compared with what was then written: an open group counts dictionaries and its newest
/// pages uncompressed. Learnt from the row stream, so that it is the same in every run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Learnt {
    estimated: u64,
    written: u64,
}

impl Learnt {
    pub(crate) fn new() -> Self {
        Self { estimated: 1, written: 1 }
    }

    /// A group that was estimated has ended.
    pub(crate) fn add(&mut self, estimated: u64, written: u64) {
        self.estimated += estimated;
        self.written += written;
    }

    /// What is to be expected of an estimate.
    pub(crate) fn apply(self, estimate: u64) -> u64 {
        let exact = u128::from(estimate) * u128::from(self.written) / u128::from(self.estimated.max(1));
        u64::try_from(exact).unwrap_or(u64::MAX)
    }
}

/// One open file.
///
/// Rows are written in groups. The size of a group is exact once it has ended; until then it is estimated, and the estimate is
/// not below what it comes to.
pub(crate) trait Writer: Send {
    /// Appends rows of a weight.
    fn write(&mut self, rows: &RecordBatch, weight: u64) -> Result<(), WriteFailed>;

    /// The size of the open group, estimated.
    fn in_progress(&self) -> u64;

    /// The memory that the open group takes whatever it holds.
    fn room(&self) -> u64;

    /// Whether the open group has reached its size.
    fn group_is_full(&self, learnt: Learnt) -> bool;

    /// The size of all groups that have ended.
    fn written(&self) -> u64;

    /// Ends the group.
    fn flush(&mut self) -> Result<(), WriteFailed>;

    /// Ends the file.
    fn finish(&mut self) -> Result<(), WriteFailed>;

    /// Bytes and CRC-64/NVME of all pieces so far.
    fn sum(&self) -> (u64, u64);
}

/// What the files of a merge are made of.
pub(crate) enum Format {
    Parquet(Box<ParquetFiles>),
    Lines(Compression),
}

impl Format {
    /// The format of the layout, for rows of this schema.
    pub(crate) fn new(
        spec: &MergeSpec,
        schema: SchemaRef,
        version: u32,
        over: ReadingOver,
    ) -> Result<Self, WriteFailed> {
        let layout = &spec.config.layout;
        match layout.format {
            FileFormat::Parquet => {
                Ok(Self::Parquet(Box::new(ParquetFiles::new(spec, schema, version, over)?)))
            }
            FileFormat::Jsonl => Ok(Self::Lines(layout.compression)),
        }
    }

    /// Begins a file whose first rows are these; `ready` takes its pieces.
    pub(crate) fn open(&self, rows: &RecordBatch, ready: Ready) -> Result<Box<dyn Writer>, WriteFailed> {
        let pieces = Pieces::new(ready);
        match self {
            Self::Parquet(files) => Ok(Box::new(files.open(rows, pieces)?)),
            Self::Lines(compression) => Ok(Box::new(LinesFile::open(*compression, pieces)?)),
        }
    }
}
