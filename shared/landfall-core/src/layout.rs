//! The layout of a delivery: how rows become files and where the files stand.

use serde::{Deserialize, Serialize};

/// How rows become files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// What files are.
    #[serde(default, skip_serializing_if = "is_default")]
    pub format: FileFormat,
    /// The compression of the Parquet pages, or of the lines.
    #[serde(default)]
    pub compression: Compression,
    /// The name of a file, without its ending. Variables: `{seq}` (five digits), `{uuid}`, `{timestamp}`
    /// (`20260519T101500Z`), `{date}`, `{job_id}`, `{worker_id}`, `{hash}`. At least one of `{uuid}`, `{job_id}`, `{hash}` must be in it, and
    /// `{seq}` unless `{uuid}` or `{hash}` is: files are never overwritten.
    #[serde(default = "default_file_name")]
    pub file_name: String,
    /// The size a file is aimed at, in bytes.
    #[serde(default = "default_target_bytes")]
    pub target_bytes: u64,
    /// The longest a staged object waits for company, in seconds.
    #[serde(default = "default_max_latency_seconds")]
    pub max_latency_seconds: u32,
    /// How long after the end of an hour or a day its partition closes, in seconds: what was staged for it leaves then, however
    /// little it is. Only for partitions whose time is known from the arrival or the key.
    #[serde(default = "default_close_grace_seconds")]
    pub close_grace_seconds: u32,
    /// The size a row group is aimed at, in bytes of encoded data.
    #[serde(default = "default_row_group_bytes")]
    pub row_group_bytes: u64,
    /// The columns with a Bloom filter in each row group: of single values, neither booleans nor floats nor `json`. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bloom_filters: Vec<String>,
    /// The columns by which the rows of each row group are sorted: `"name"`, or `"name desc"`. Of single values other than
    /// `json`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sort_by: Vec<SortKey>,
    /// Whether a column whose values the path holds stays in the files.
    #[serde(default, skip_serializing_if = "is_default")]
    pub partition_columns: PartitionColumns,
    /// The levels of the path, outermost first. None: all files stand side by side.
    #[serde(default, rename = "partition")]
    pub partitions: Vec<PartitionLevel>,
}

/// One level of the path: `name=value` as Hive has it, or without a name the value alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartitionLevel {
    /// The name in the path and in the catalog; not the name of a column of the file. Without it the value stands alone
    /// (`2026/05/19/`), which no catalog can register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the value comes from.
    pub source: PartitionSource,
    /// The column, for `source = "column"`; the name of the `name=value` segment of the staged key, for
    /// `source = "key"` (the level's own name when not given; a level without a name gives it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// How the value is made of what the source gives.
    #[serde(default)]
    pub transform: PartitionTransform,
}

/// A column by which rows are sorted. Null counts as less than any value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct SortKey {
    /// The column.
    pub column: String,
    /// Whether the greatest value comes first.
    pub descending: bool,
}

/// A text that names no column to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of a column, with ` desc` behind it where the greatest value comes first")]
pub struct SortKeyError;

impl TryFrom<String> for SortKey {
    type Error = SortKeyError;

    fn try_from(text: String) -> Result<Self, SortKeyError> {
        match text.split(' ').collect::<Vec<&str>>()[..] {
            [column] if !column.is_empty() => Ok(Self { column: column.to_owned(), descending: false }),
            [column, "desc"] if !column.is_empty() => {
                Ok(Self { column: column.to_owned(), descending: true })
            }
            _ => Err(SortKeyError),
        }
    }
}

impl From<SortKey> for String {
    fn from(key: SortKey) -> Self {
        if key.descending { format!("{} desc", key.column) } else { key.column }
    }
}

/// What happens to a column that a named level takes as it is (`identity`): the path holds its values as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartitionColumns {
    /// It stays in the files, and the level has another name.
    #[default]
    Keep,
    /// It is left out of the files and of the catalog's columns; the level may have its name, as Hive and Spark write it.
    Drop,
}

/// Where a partition value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartitionSource {
    /// A column of the record: each row goes to its own partition.
    Column,
    /// The time the object was staged (its LastModified), UTC.
    Arrival,
    /// A `name=value` segment of the staged key.
    Key,
    /// The id of the job.
    Job,
}

/// How a partition value is made. Times are UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartitionTransform {
    /// The value itself.
    #[default]
    Identity,
    /// `YYYY`.
    Year,
    /// `MM`.
    Month,
    /// `DD`.
    Day,
    /// `HH`.
    Hour,
    /// `YYYY-MM-DD`.
    Date,
}

/// What files are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// Parquet: the columns of the contract.
    #[default]
    Parquet,
    /// JSON lines: the text of each accepted record, as it was staged.
    Jsonl,
}

/// The compression of Parquet pages, or of JSON lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Snappy: the fastest to read.
    #[default]
    Snappy,
    /// Zstandard, level 3.
    Zstd,
    /// Gzip, level 6.
    Gzip,
    /// LZ4, raw blocks.
    Lz4,
    /// None.
    None,
}

impl Layout {
    /// The ending of a file: `.snappy.parquet` and so on, `.parquet` without compression; `.jsonl.gz`, `.jsonl.zst`, `.jsonl`.
    pub fn file_ending(&self) -> &'static str {
        match (self.format, self.compression) {
            (FileFormat::Parquet, Compression::Snappy) => ".snappy.parquet",
            (FileFormat::Parquet, Compression::Zstd) => ".zstd.parquet",
            (FileFormat::Parquet, Compression::Gzip) => ".gzip.parquet",
            (FileFormat::Parquet, Compression::Lz4) => ".lz4.parquet",
            (FileFormat::Parquet, Compression::None) => ".parquet",
            (FileFormat::Jsonl, Compression::Gzip) => ".jsonl.gz",
            (FileFormat::Jsonl, Compression::Zstd) => ".jsonl.zst",
            // A document refuses the others for lines.
            (FileFormat::Jsonl, _) => ".jsonl",
        }
    }

    /// The media type of a file. Compressed lines are told as what they are, without a `Content-Encoding`: a client that
    /// decompresses on the way would store other bytes than were checked, under a name that says `.gz`.
    pub fn media_type(&self) -> &'static str {
        match (self.format, self.compression) {
            (FileFormat::Parquet, _) => "application/vnd.apache.parquet",
            (FileFormat::Jsonl, Compression::Gzip) => "application/gzip",
            (FileFormat::Jsonl, Compression::Zstd) => "application/zstd",
            (FileFormat::Jsonl, _) => "application/x-ndjson",
        }
    }

    /// Whether any level's value comes from the record, so that an intent can feed several partitions.
    pub fn routes_by_record(&self) -> bool {
        self.partitions.iter().any(|level| level.source == PartitionSource::Column)
    }

    /// Whether a column is left out of the files, as a level holds its values.
    pub fn drops(&self, column: &str) -> bool {
        let holds = |level: &PartitionLevel| level.replaces_column() && level.reads() == column;
        self.partition_columns == PartitionColumns::Drop && self.partitions.iter().any(holds)
    }

    /// Whether a catalog can hold files of this layout as a table: of Parquet, its partition columns the levels, by name.
    pub fn is_tabular(&self) -> bool {
        self.format == FileFormat::Parquet && self.partitions.iter().all(|level| level.name.is_some())
    }
}

impl PartitionLevel {
    /// Whether the path says all that the column has, and by name.
    pub(crate) fn replaces_column(&self) -> bool {
        self.source == PartitionSource::Column
            && self.transform == PartitionTransform::Identity
            && self.name.is_some()
    }

    /// What the level reads: a column, or the segment of that name of the staged key.
    pub fn reads(&self) -> &str {
        self.field.as_deref().or(self.name.as_deref()).unwrap_or_default()
    }

    /// What a message calls the level: its name, or what it reads.
    pub fn label(&self) -> &str {
        self.name.as_deref().or(self.field.as_deref()).unwrap_or("without a name")
    }
}

/// An empty `[layout]`.
impl Default for Layout {
    fn default() -> Self {
        Self {
            format: FileFormat::default(),
            compression: Compression::default(),
            file_name: default_file_name(),
            target_bytes: default_target_bytes(),
            max_latency_seconds: default_max_latency_seconds(),
            close_grace_seconds: default_close_grace_seconds(),
            row_group_bytes: default_row_group_bytes(),
            bloom_filters: Vec::new(),
            sort_by: Vec::new(),
            partition_columns: PartitionColumns::default(),
            partitions: Vec::new(),
        }
    }
}

/// Whether a key says nothing: it is left out then, and a configuration keeps the hash it had before there was such a key.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Permutive's naming: `{timestamp}-{hash}-{worker_id}.jsonl.gz`.
pub(crate) fn default_lines_file_name() -> String {
    "{timestamp}-{hash}-{worker_id}".to_owned()
}

pub(crate) fn default_file_name() -> String {
    "part-{job_id}-{seq}".to_owned()
}

pub(crate) fn default_target_bytes() -> u64 {
    128 * 1024 * 1024
}

pub(crate) fn default_max_latency_seconds() -> u32 {
    300
}

pub(crate) fn default_close_grace_seconds() -> u32 {
    300
}

pub(crate) fn default_row_group_bytes() -> u64 {
    32 * 1024 * 1024
}
