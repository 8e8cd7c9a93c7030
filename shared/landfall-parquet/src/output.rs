//! What a merge gives back: bytes of files, as soon as they are final.

use std::sync::Arc;

use bytes::Bytes;
use landfall_core::partition::Partition;

/// One step of the output. Events of several files interleave; those of one file are in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputEvent {
    /// A file begins.
    Opened(FileOpened),
    /// The next bytes of a file.
    Bytes {
        /// The file.
        seq: u32,
        /// Its next bytes, about 1 MiB.
        bytes: Bytes,
    },
    /// A file is complete.
    Finished(FinishedFile),
}

/// A file that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOpened {
    /// Its number in the order of opening, from 0: `{seq}` in names.
    pub seq: u32,
    /// Its partition values, in path order.
    pub partition: Partition,
    /// Its key below the dataset's prefix: partition path and name with ending.
    pub relative_key: String,
}

/// A file that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedFile {
    /// Its number in the order of finishing, from 0.
    pub index: u32,
    /// Its number in the order of opening, from 0.
    pub seq: u32,
    /// Its partition values, in path order.
    pub partition: Partition,
    /// Its key below the dataset's prefix.
    pub relative_key: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// CRC-64/NVME of all its bytes.
    pub crc64nvme: u64,
}

impl FinishedFile {
    /// The checksum as 16 hex digits.
    pub fn crc64nvme_hex(&self) -> String {
        format!("{:016x}", self.crc64nvme)
    }
}

/// Takes events as soon as they happen, on whatever thread.
pub(crate) type Outbox = Arc<dyn Fn(OutputEvent) + Send + Sync>;
