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

/// The largest Parquet object, in bytes as it is staged. It is held in memory whole, as its footer stands at its end.
pub const PARQUET_BYTES: usize = 128 * 1024 * 1024;

/// The longest footer of a Parquet object, in bytes.
pub const PARQUET_FOOTER_BYTES: usize = 16 * 1024 * 1024;

/// The most elements of a Parquet schema: groups and columns.
pub const PARQUET_SCHEMA_ELEMENTS: usize = 20_000;

/// How deep a Parquet schema may nest. A list takes two levels.
pub const PARQUET_SCHEMA_DEPTH: usize = 64;

/// The most column chunks of a Parquet object, those of all its row groups together.
pub const PARQUET_CHUNKS: u64 = 100_000;

/// The longest page of a Parquet object, in bytes without its compression, and with what its values share written out.
pub const PARQUET_PAGE_BYTES: u64 = 64 * MIB;

/// The most values of one page, those that are null counted.
pub const PARQUET_PAGE_VALUES: u64 = 64 * MIB;

/// The most memory that decoding a batch of rows may take, in bytes: pages, dictionaries and arrays of all columns. Where it
/// would be more, fewer rows are decoded at once. Of a column with lists or maps around it a whole row group counts.
pub const PARQUET_OPEN_BYTES: u64 = 256 * MIB;

/// Bytes of records up to which no [`EXPANSION_RATIO`] is asked for of a Parquet object: its encodings make little of equal
/// values, without any ill will.
pub const PARQUET_EXPANSION_FLOOR: u64 = 256 * MIB;

/// The most rejected rows of one object. With more of them the object is quarantined as a whole.
pub const REJECTED_ROWS: u64 = 200_000;

/// The most bytes of rejected rows of one object. With more of them the object is quarantined as a whole.
pub const REJECTED_BYTES: u64 = 128 * MIB;

/// The most partitions of one merge. It takes no further input from where one more could exceed this.
pub const PARTITIONS: usize = 20_000;

/// The most partitions of one object. With rows of more of them it is quarantined, whatever else is merged with it.
pub const OBJECT_PARTITIONS: usize = PARTITIONS / 2;

/// The most unique keys of one merge, where the contract has one: about 100 MiB, of them 32 MiB for those of the current input, which
/// may be undone; more for a moment when their table grows. The merge takes no further input from where one more could exceed this.
pub const UNIQUE_KEYS: usize = 3_600_000;

/// The most unique keys of one object. With more of them it is quarantined, whatever else is merged with it.
pub const OBJECT_UNIQUE_KEYS: usize = UNIQUE_KEYS / 2;

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

/// The memory that a column of numbers with a dictionary takes before it holds any, in bytes, as measured: `parquet` makes room for
/// 4,096 values at once, 74 KiB.
pub const NUMBER_DICTIONARY_BYTES: u64 = 128 * 1024;

/// What such columns of all unfinished row groups may take so, in bytes: 64 of them in each of [`OPEN_FILES`]. Beyond it the row group that was least recently written to ends; its file goes on, up to [`SHORT_GROUPS`].
pub const OPEN_DICTIONARY_BYTES: u64 = 512 * MIB;

/// How many row groups of a file end so before the file does: each takes room in its footer for every column.
pub const SHORT_GROUPS: u32 = 8;

/// The weight of the rows of one row group that wait to be sorted. They wait as they were read, with their keys beside them.
pub const SORTED_BYTES: u64 = 128 * MIB;

/// The chance that a Bloom filter takes a value to be there that is not.
pub const BLOOM_FPP: f64 = 0.01;

/// The distinct values of a row group that a Bloom filter has room for at first; it is folded to what they take. As many as a
/// row group has rows: 2 MiB.
pub const DISTINCT: u64 = 1024 * 1024;

/// The same where the record decides, and [`OPEN_FILES`] files are open: 256 KiB each.
pub const ROUTED_DISTINCT: u64 = 128 * 1024;

/// The longest header of a gzip member, in bytes (its name and comment have no limit of their own).
pub const GZIP_HEADER_BYTES: usize = 256 * 1024;
