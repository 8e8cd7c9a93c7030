//! What is wrong with a record or an object, as codes that never change their meaning.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use landfall_core::record::RejectedRecord;

/// Why a record was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ViolationCode {
    /// The line is not UTF-8.
    InvalidUtf8,
    /// The line is not one JSON value (RFC 8259).
    InvalidJson,
    /// Arrays and objects nest deeper than [`crate::limits::DEPTH`].
    TooDeep,
    /// The line is JSON, but no object.
    NotAnObject,
    /// An object holds one key twice.
    DuplicateKey,
    /// A member that the contract does not name.
    UnknownField,
    /// A column that must have a value has none.
    MissingValue,
    /// A value of another JSON type, or a number that is no integer where one is wanted.
    WrongType,
    /// A text that is not written in the declared form.
    InvalidFormat,
    /// A number or time with more digits than the column can hold.
    Inexact,
    /// A value outside the range of its type or of the contract.
    OutOfRange,
    /// A text with too few characters.
    TooShort,
    /// A text with too many characters.
    TooLong,
    /// A text that the contract's pattern does not match.
    PatternMismatch,
    /// A value that is not among the allowed ones.
    NotInEnum,
    /// A record whose lists, maps and keys would take more than [`crate::limits::ROW_WEIGHT`].
    RowTooLarge,
    /// A partition value longer than [`crate::limits::PARTITION_SEGMENT_BYTES`], or too long for a key of
    /// [`crate::limits::KEY_BYTES`].
    PartitionTooLong,
    /// A record with the unique key of an earlier one of the batch.
    NotUnique,
}

impl ViolationCode {
    /// The machine-readable code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidUtf8 => "invalid_utf8",
            Self::InvalidJson => "invalid_json",
            Self::TooDeep => "too_deep",
            Self::NotAnObject => "not_an_object",
            Self::DuplicateKey => "duplicate_key",
            Self::UnknownField => "unknown_field",
            Self::MissingValue => "missing_value",
            Self::WrongType => "wrong_type",
            Self::InvalidFormat => "invalid_format",
            Self::Inexact => "inexact",
            Self::OutOfRange => "out_of_range",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::PatternMismatch => "pattern_mismatch",
            Self::NotInEnum => "not_in_enum",
            Self::RowTooLarge => "row_too_large",
            Self::PartitionTooLong => "partition_too_long",
            Self::NotUnique => "not_unique",
        }
    }
}

impl ViolationCode {
    /// Whether one value is wrong for its column, in a record that is sound JSON.
    pub(crate) fn is_of_value(self) -> bool {
        match self {
            Self::UnknownField
            | Self::WrongType
            | Self::InvalidFormat
            | Self::Inexact
            | Self::OutOfRange
            | Self::TooShort
            | Self::TooLong
            | Self::PatternMismatch
            | Self::NotInEnum => true,
            Self::InvalidUtf8
            | Self::InvalidJson
            | Self::TooDeep
            | Self::NotAnObject
            | Self::DuplicateKey
            | Self::MissingValue
            | Self::RowTooLarge
            | Self::PartitionTooLong
            | Self::NotUnique => false,
        }
    }

    /// Whether a contract that evolves might take the value in.
    pub(crate) fn may_evolve(self) -> bool {
        matches!(self, Self::UnknownField | Self::OutOfRange | Self::Inexact)
    }

    /// The column of a fault, as far as its name is the contract's and not the record's.
    pub(crate) fn contract_column(self, column: Option<&str>) -> Option<&str> {
        column.filter(|_| self != Self::UnknownField)
    }
}

impl fmt::Display for ViolationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an object was set aside as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QuarantineReason {
    /// A gzip member's header is wrong.
    GzipHeader,
    /// The deflate data of a gzip member is corrupt.
    GzipData,
    /// The CRC-32 of a gzip member does not match its data.
    GzipChecksum,
    /// The length at the end of a gzip member does not match its data.
    GzipLength,
    /// The object ends inside a gzip member.
    GzipTruncated,
    /// After the last gzip member stands something that is neither a member nor zero padding.
    GzipTrailingBytes,
    /// A zstd frame is corrupt, or needs more memory than the default limit.
    ZstdData,
    /// The object ends inside a zstd frame.
    ZstdTruncated,
    /// After the last zstd frame stands something that is no frame.
    ZstdTrailingBytes,
    /// The object begins as Parquet and does not end so.
    ParquetTruncated,
    /// The footer of a Parquet object cannot be read, contradicts itself, or exceeds a limit.
    ParquetFooter,
    /// The pages of a Parquet object cannot be read, or contradict each other or the footer.
    ParquetData,
    /// The checksum of a page does not match its bytes.
    ParquetChecksum,
    /// A page is longer than [`crate::limits::PARQUET_PAGE_BYTES`], or one row takes more than
    /// [`crate::limits::PARQUET_OPEN_BYTES`].
    ParquetPageTooLarge,
    /// A column of a Parquet object is of a type from which the contract's column takes nothing.
    SchemaMismatch,
    /// The content is of a kind the engine does not read, or is compressed twice.
    UnsupportedFormat,
    /// More than [`crate::limits::EXPANSION_RATIO`] decoded bytes per compressed byte.
    ExpansionRatio,
    /// More than [`crate::limits::OBJECT_BYTES`] decoded, or Parquet of more than [`crate::limits::PARQUET_BYTES`].
    ObjectTooLarge,
    /// A line longer than [`crate::limits::LINE_BYTES`].
    LineTooLong,
    /// More than [`crate::limits::REJECTED_ROWS`] rejected rows.
    TooManyRejected,
    /// More than [`crate::limits::OBJECT_PARTITIONS`] partitions.
    TooManyPartitions,
    /// More than [`crate::limits::OBJECT_UNIQUE_KEYS`] records, under a contract with a unique key.
    TooManyKeys,
    /// What is known of its rows' keys in advance is longer than [`crate::limits::KEY_BYTES`].
    KeyTooLong,
    /// A record breaks the contract, and its policy is `strict`.
    Violation(ViolationCode),
    /// No execution that read it came to an end. Found by whoever counts executions, never by the engine.
    Poison,
}

impl QuarantineReason {
    /// The machine-readable code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GzipHeader => "gzip_header",
            Self::GzipData => "gzip_data",
            Self::GzipChecksum => "gzip_checksum",
            Self::GzipLength => "gzip_length",
            Self::GzipTruncated => "gzip_truncated",
            Self::GzipTrailingBytes => "gzip_trailing_bytes",
            Self::ZstdData => "zstd_data",
            Self::ZstdTruncated => "zstd_truncated",
            Self::ZstdTrailingBytes => "zstd_trailing_bytes",
            Self::ParquetTruncated => "parquet_truncated",
            Self::ParquetFooter => "parquet_footer",
            Self::ParquetData => "parquet_data",
            Self::ParquetChecksum => "parquet_checksum",
            Self::ParquetPageTooLarge => "parquet_page_too_large",
            Self::SchemaMismatch => "schema_mismatch",
            Self::UnsupportedFormat => "unsupported_format",
            Self::ExpansionRatio => "expansion_ratio",
            Self::ObjectTooLarge => "object_too_large",
            Self::LineTooLong => "line_too_long",
            Self::TooManyRejected => "too_many_rejected",
            Self::TooManyPartitions => "too_many_partitions",
            Self::TooManyKeys => "too_many_keys",
            Self::KeyTooLong => "key_too_long",
            Self::Violation(code) => code.as_str(),
            Self::Poison => "poison",
        }
    }
}

impl fmt::Display for QuarantineReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in a decoded object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1; blank lines count. Of a Parquet object the row, from 1.
    pub line: u64,
    /// The byte, from 0. Of a Parquet object always 0.
    pub byte_offset: u64,
}

/// An object that was set aside as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// Why.
    pub reason: QuarantineReason,
    /// What exactly. Holds no content of the object.
    pub detail: String,
    /// Where in the decoded object, when it could be decoded that far.
    pub position: Option<Position>,
    /// Rows it was seen to hold before it was given up, good and rejected ones.
    pub rows: u64,
}

/// What became of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputVerdict {
    /// Its rows are in the files, but for the rejected ones.
    Merged {
        /// Rows accepted. May be 0 when every row was rejected.
        rows: u64,
        /// Rows rejected.
        rejected: u64,
    },
    /// It holds no byte, or blank lines only.
    Empty,
    /// None of its rows is in any file.
    Quarantined(Quarantine),
}

/// A record that the contract cannot hold, kept with its reason.
#[derive(Clone, PartialEq, Eq)]
pub struct RejectedRow {
    /// The index of the input, as given to `begin_input`.
    pub input: usize,
    /// The key of the input.
    pub key: Arc<str>,
    /// The line in the decoded object, from 1. Of a Parquet object the row, from 1.
    pub line: u64,
    /// Where the fault stands in the decoded object, in bytes from 0. Of a Parquet object always 0.
    pub byte_offset: u64,
    /// What is wrong.
    pub code: ViolationCode,
    /// The column, where the fault belongs to one; members within it after a dot. Of an unknown member its path, whose last
    /// name is the record's own: it is data to be kept, and neither `Display` nor `Debug` shows it.
    pub column: Option<String>,
    /// What exactly. Holds no content of the record.
    pub detail: String,
    /// The whole line or element of an array as it stands in the decoded object, without its newline. May be other than UTF-8.
    /// The row of a Parquet object as JSON text.
    pub raw: Bytes,
}

impl RejectedRow {
    /// The row as it is kept; `etag` is that of its input. A line that is not UTF-8 is kept as base64: it must come back as
    /// it was staged.
    pub fn into_record(self, etag: String) -> RejectedRecord {
        let (raw, raw_base64) = match std::str::from_utf8(&self.raw) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(STANDARD.encode(&self.raw))),
        };
        RejectedRecord {
            key: self.key.to_string(),
            etag,
            line: self.line,
            byte_offset: self.byte_offset,
            reason: self.code.as_str().to_owned(),
            column: self.column,
            detail: self.detail,
            raw,
            raw_base64,
        }
    }
}

impl fmt::Display for RejectedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in line {} (byte {}) of {}", self.code, self.line, self.byte_offset, self.key)?;
        if let Some(column) = self.code.contract_column(self.column.as_deref()) {
            write!(f, ", column {column}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// Shows no content of the record: debug output ends up in logs.
impl fmt::Debug for RejectedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RejectedRow({self}; {} bytes)", self.raw.len())
    }
}

/// The first fault of a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: ViolationCode,
    /// Where in the line, in bytes.
    pub(crate) at: usize,
    pub(crate) column: Option<String>,
    pub(crate) detail: Cow<'static, str>,
}

/// Boxed: the good path carries a pointer.
pub(crate) type Checked<T> = Result<T, Box<Fault>>;

impl Fault {
    #[cold]
    pub(crate) fn new(code: ViolationCode, at: usize, detail: impl Into<Cow<'static, str>>) -> Box<Self> {
        Box::new(Self { code, at, column: None, detail: detail.into() })
    }

    /// The same fault, seen from one level further out.
    #[cold]
    pub(crate) fn within(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.column = Some(match self.column.take() {
            None => name.to_owned(),
            Some(inner) => format!("{name}.{inner}"),
        });
        self
    }
}
