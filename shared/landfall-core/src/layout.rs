//! The layout of a delivery: how rows become files and where the files stand.

use serde::{Deserialize, Serialize};

/// How rows become files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// The compression of the Parquet pages.
    #[serde(default)]
    pub compression: Compression,
    /// The name of a file, without its ending. Variables: `{seq}` (five digits), `{uuid}`, `{timestamp}`
    /// (`20260519T101500Z`), `{date}`, `{job_id}`, `{hash}`. At least one of `{uuid}`, `{job_id}`, `{hash}` must be in it, and
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
    /// Whether a column whose values the path holds stays in the files.
    #[serde(default, skip_serializing_if = "PartitionColumns::is_keep")]
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

impl PartitionColumns {
    fn is_keep(&self) -> bool {
        *self == Self::Keep
    }
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

/// The compression of Parquet pages.
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

impl Compression {
    /// The ending of a file: `.snappy.parquet` and so on; `.parquet` without compression.
    pub fn file_ending(self) -> &'static str {
        match self {
            Self::Snappy => ".snappy.parquet",
            Self::Zstd => ".zstd.parquet",
            Self::Gzip => ".gzip.parquet",
            Self::Lz4 => ".lz4.parquet",
            Self::None => ".parquet",
        }
    }
}

impl Layout {
    /// Whether any level's value comes from the record, so that an intent can feed several partitions.
    pub fn routes_by_record(&self) -> bool {
        self.partitions.iter().any(|level| level.source == PartitionSource::Column)
    }

    /// Whether a column is left out of the files, as a level holds its values.
    pub fn drops(&self, column: &str) -> bool {
        let holds = |level: &PartitionLevel| level.replaces_column() && level.reads() == column;
        self.partition_columns == PartitionColumns::Drop && self.partitions.iter().any(holds)
    }

    /// Whether a catalog can hold files of this layout as a table: its partition columns are the levels, by name.
    pub fn is_tabular(&self) -> bool {
        self.partitions.iter().all(|level| level.name.is_some())
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
            compression: Compression::default(),
            file_name: default_file_name(),
            target_bytes: default_target_bytes(),
            max_latency_seconds: default_max_latency_seconds(),
            close_grace_seconds: default_close_grace_seconds(),
            row_group_bytes: default_row_group_bytes(),
            partition_columns: PartitionColumns::default(),
            partitions: Vec::new(),
        }
    }
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
