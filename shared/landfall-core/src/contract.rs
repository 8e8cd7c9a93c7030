//! The contract of a delivery: which columns a file has, of which type, and what a record must satisfy.

use serde::{Deserialize, Serialize};

use crate::data_type::{DataType, TimeUnit};

/// The schema of a dataset and what to do with a record that breaks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The version of the schema: 1 or more, raised with every change. Published as tag `schema_version`.
    pub version: u32,
    /// What happens to a record the contract cannot hold.
    #[serde(default)]
    pub on_violation: ViolationPolicy,
    /// What happens to members the contract does not name.
    #[serde(default)]
    pub unknown_fields: UnknownFields,
    /// What happens to an object that holds one key twice.
    #[serde(default)]
    pub duplicate_keys: DuplicateKeys,
    /// The columns that together tell a record from every other of its batch, none of which may be null. No rule when not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique_key: Vec<String>,
    /// The columns, in file order.
    #[serde(rename = "column")]
    pub columns: Vec<Column>,
    /// Columns that landfall fills, behind all others; none when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<Tracking>,
}

/// The column that keeps what the others cannot hold, under [`ViolationPolicy::Rescue`]: `{"member": value}`, or null.
pub const RESCUED: &str = "_rescued";

/// Columns that say where a row comes from, so that a client can tell runs apart and find the newest form of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tracking {
    /// What their names begin with.
    #[serde(default = "Tracking::default_prefix")]
    pub prefix: String,
    /// The columns that tell one record from another, none of which may be null. Without them a record's whole text does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// The boolean column in which the source marks what it has deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<String>,
}

impl Tracking {
    /// The prefix when a document names none.
    pub fn default_prefix() -> String {
        "_landfall_".to_owned()
    }

    /// Its columns, in file order: when the batch was planned (UTC), whether the source deleted the record, the record's
    /// place in the batch from 1, the SHA-256 of its key in hex, the id of the job.
    pub fn columns(&self) -> [Column; 5] {
        let column = |name: &str, data_type: DataType, description: &str| Column {
            nullable: false,
            description: Some(description.to_owned()),
            ..Column::new(format!("{}{name}", self.prefix), data_type)
        };
        [
            column("synced", DataType::Timestamp(TimeUnit::Micros), "When the batch was planned (UTC)"),
            column("deleted", DataType::Bool, "Whether the source has deleted the record"),
            column("index", DataType::Int(64), "The place of the record in its batch, from 1"),
            column("id", DataType::String, "SHA-256 of the record's key, in hex"),
            column("job_id", DataType::String, "The job that delivered the record"),
        ]
    }
}

impl Contract {
    /// All columns of the files: those of the contract, then [`RESCUED`] and those of [`Tracking`], where it asks for them.
    pub fn file_columns(&self) -> Vec<Column> {
        [self.columns.clone(), self.own_columns()].concat()
    }

    /// The columns that landfall adds to those of the contract.
    pub fn own_columns(&self) -> Vec<Column> {
        let mut columns = Vec::new();
        if self.on_violation == ViolationPolicy::Rescue {
            columns.push(Column {
                description: Some("What the other columns could not hold, by member".to_owned()),
                ..Column::new(RESCUED, DataType::Json)
            });
        }
        columns.extend(self.tracking.iter().flat_map(Tracking::columns));
        columns
    }
}

/// What happens to a record the contract cannot hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ViolationPolicy {
    /// The whole staged object is quarantined.
    Strict,
    /// The record is quarantined with its reason and position; its neighbours are delivered.
    #[default]
    QuarantineRow,
    /// Members that no column holds are kept in the column [`RESCUED`], and the column they were meant for is null. What
    /// cannot be kept so (text that is no JSON, a value missing where null is not allowed) is quarantined as a row.
    Rescue,
    /// The contract takes in what is new, in its next version ([`crate::evolution`]): members it does not name become
    /// nullable columns, and types are widened. A record that no widening holds is quarantined as a row.
    Evolve,
}

/// What happens to members the contract does not name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownFields {
    /// They break the contract: drift is never silent.
    #[default]
    Violation,
    /// They are validated as JSON and left out of the file, by the explicit wish of this document.
    Ignore,
}

/// What happens to an object that holds one key twice (RFC 8259 leaves it open).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateKeys {
    /// The record is refused.
    #[default]
    Refuse,
    /// The last one counts.
    LastWins,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The name in the file and the catalog: `[A-Za-z_][A-Za-z0-9_]*`, at most 255, unique regardless of case.
    pub name: String,
    /// The member of the record it is read from; the column's name when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The type, such as `int64`, `decimal(10,2)`, `timestamp(us, UTC)`, `list<string>`, `json`.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// Whether null, or absence of the member, is allowed.
    #[serde(default = "yes")]
    pub nullable: bool,
    /// What the column holds; goes into the catalog as its comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How a timestamp or date without its own form is written in the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<TimeFormat>,
    /// The smallest allowed value, as text: a number, a date or a timestamp, by the column's type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// The greatest allowed value, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// The least number of characters of a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u32>,
    /// The greatest number of characters of a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    /// A regular expression the whole string must match (syntax of the `regex` crate, linear time).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The allowed values of a string or integer column, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<String>>,
}

impl Column {
    /// A column without rules, which may be null.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self {
            name: name.into(),
            from: None,
            data_type,
            nullable: true,
            description: None,
            format: None,
            min: None,
            max: None,
            min_length: None,
            max_length: None,
            pattern: None,
            one_of: None,
        }
    }

    /// The member of the record this column is read from.
    pub fn source_name(&self) -> &str {
        self.from.as_deref().unwrap_or(&self.name)
    }
}

/// How a date or timestamp column is written in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// RFC 3339 text with an offset (timestamps), `YYYY-MM-DD` (dates). The default.
    Iso,
    /// ISO text without an offset, to be read as UTC. An offset in the text is refused.
    IsoUtc,
    /// A whole number of seconds since 1970-01-01T00:00:00Z.
    EpochSeconds,
    /// A whole number of milliseconds since the epoch.
    EpochMillis,
    /// A whole number of microseconds since the epoch.
    EpochMicros,
}

fn yes() -> bool {
    true
}
