//! The pinned limits of the engine. They are part of its format version: a number that changes here can change which
//! rows are refused or where files are cut, so [`landfall_core::delivery::ENGINE_FORMAT`] rises with it.

const MIB: u64 = 1024 * 1024;

/// The longest line, in bytes without its newline. An object with a longer one is quarantined as a whole: its line
/// cannot be kept as a rejected row.
pub const LINE_BYTES: usize = 64 * 1024 * 1024;

/// How deep arrays and objects may nest, the record itself counted.
pub const DEPTH: usize = 128;

/// An object of at most this many decoded bytes is checked whole before its first row enters a file.
pub const ISOLATED_BYTES: u64 = 64 * MIB;

/// The same promise ends where the columns of one object take this many bytes of memory: a record of a few bytes can fill
/// thousands of columns.
pub const ISOLATED_WEIGHT: u64 = 128 * MIB;

/// The most memory that one record's lists and maps, and the keys of its open objects, may take, in bytes. Beyond it the
/// record is rejected with `row_too_large`.
pub const ROW_WEIGHT: u64 = 128 * MIB;

/// Decoded bytes per compressed byte, beyond [`EXPANSION_FLOOR`].
pub const EXPANSION_RATIO: u64 = 1000;

/// Decoded bytes up to which no ratio is asked for.
pub const EXPANSION_FLOOR: u64 = 16 * MIB;

/// The largest decoded object, in bytes.
pub const OBJECT_BYTES: u64 = 64 * 1024 * MIB;

/// The most rejected rows of one object. With more of them the object is quarantined as a whole.
pub const REJECTED_ROWS: u64 = 200_000;

/// The most bytes of rejected rows of one object. With more of them the object is quarantined as a whole.
pub const REJECTED_BYTES: u64 = 128 * MIB;

/// The most partitions of one merge. It takes no further input from where one more could exceed this.
pub const PARTITIONS: usize = 20_000;

/// The most partitions of one object. With rows of more of them it is quarantined, whatever else is merged with it.
pub const OBJECT_PARTITIONS: usize = PARTITIONS / 2;

/// The longest key of a published file, in bytes: S3's limit.
pub const KEY_BYTES: usize = 1024;

/// The longest segment of a partition path, `name=value` escaped, in bytes: what local file systems take as a name.
pub const PARTITION_SEGMENT_BYTES: usize = 255;

/// How many files are open at once. A row of one more partition closes the file of the partition that was least recently
/// written to, in the order of the row stream. Spilling such rows to ephemeral storage instead, so that partitions
/// beyond this number do not end up in many small files, is not built yet.
pub const OPEN_FILES: usize = 64;

/// Encoded bytes that the unfinished row groups of all open files may hold together. Beyond it the largest of them ends.
pub const OPEN_ROW_GROUP_BYTES: u64 = 128 * MIB;

/// The longest header of a gzip member, in bytes (its name and comment have no limit of their own).
pub const GZIP_HEADER_BYTES: usize = 256 * 1024;
