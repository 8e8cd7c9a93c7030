//! A delivery: one configured stream from a staged prefix to a place in a client's lake.
//!
//! These types are the document's own form (see [`crate::document`] for reading and checking one). What shapes
//! bytes and names is pinned by an intent ([`Delivery::pinned`]); what concerns access is read fresh.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::contract::{Column, Contract};
use crate::layout::Layout;

/// One delivery document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// The version of the document's form: 1.
    pub version: u32,
    /// The delivery's id, never reused: `[a-z0-9][a-z0-9-]{0,62}`.
    pub id: String,
    /// The client it belongs to: `[a-z0-9][a-z0-9-]{0,62}`.
    pub tenant: String,
    /// What is delivered, in the client's words.
    pub dataset: String,
    /// Where producers drop their objects.
    pub source: Source,
    /// The client's bucket and the way into it.
    pub destination: DestinationConfig,
    /// Columns, types and rules.
    pub contract: Contract,
    /// Files, sizes and partitions.
    pub layout: Layout,
    /// Registration in the client's catalog.
    #[serde(default, skip_serializing_if = "Catalogs::is_empty")]
    pub catalog: Catalogs,
    /// Who is told.
    #[serde(default, skip_serializing_if = "Notify::is_empty")]
    pub notify: Notify,
    /// Order of publication.
    #[serde(default)]
    pub order: Order,
}

/// Where producers drop their objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The prefix in the staging bucket, with a slash at its end. No two deliveries' prefixes overlap.
    pub prefix: String,
    /// `"all"`, or only objects staged at or after this time (RFC 3339).
    #[serde(default)]
    pub start: Start,
}

/// From when on staged objects are delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Start {
    /// Everything that is there.
    #[default]
    All,
    /// Objects staged at or after this time.
    At(Timestamp),
}

/// The client's bucket and the way into it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationConfig {
    /// The client's role: `arn:aws:iam::<12 digits>:role/<name>`. Its account must own the bucket.
    pub role_arn: String,
    /// The ExternalId agreed with the client, 2 to 1,224 characters of `[\w+=,.@:\/-]`. Never shown.
    pub external_id: String,
    /// The region of the bucket, catalog and queues.
    pub region: String,
    /// The client's bucket.
    pub bucket: String,
    /// The dataset's prefix, with a slash at its end: the location of its table.
    pub prefix: String,
    /// The hidden prefix for files not yet checked, with a slash at its end. Outside every table location.
    #[serde(default = "default_temp_prefix")]
    pub temp_prefix: String,
    /// The KMS key that encrypts what is delivered; the bucket's default when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
    /// Whether the client deletes files it has consumed. When true, a copy of unknown effect whose destination
    /// is absent is held instead of repeated.
    #[serde(default)]
    pub consumer_deletes: bool,
    /// What the endpoint can do. AWS can do all of it.
    #[serde(default)]
    pub capabilities: Capabilities,
}

/// What an S3 endpoint can do in one call. AWS has all four; S3-compatible stores have fewer.
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts about an endpoint, each a key of the document"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Capabilities {
    /// A multipart upload can carry one CRC-64/NVME of the whole object.
    pub full_object_multipart_checksum: bool,
    /// A copy answers with the checksum of what was written.
    pub copy_checksum: bool,
    /// CopyObject honours `If-None-Match: *`.
    pub conditional_copy: bool,
    /// CreateMultipartUpload keeps its tags.
    pub multipart_tags: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            full_object_multipart_checksum: true,
            copy_checksum: true,
            conditional_copy: true,
            multipart_tags: true,
        }
    }
}

/// Registration in the client's catalog.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Catalogs {
    /// A table in the client's Glue Data Catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glue: Option<GlueTable>,
}

/// A table in the client's Glue Data Catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlueTable {
    /// The database: lower case, `[a-z0-9_]{1,255}`.
    pub database: String,
    /// The table: lower case, `[a-z0-9_]{1,255}`.
    pub table: String,
}

/// Who is told of a delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// The client's queues. A name that ends in `.fifo` is sent to with group and deduplication id.
    #[serde(default, rename = "queue")]
    pub queues: Vec<NotifyQueue>,
}

/// One queue of the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifyQueue {
    /// The queue's ARN: `arn:aws:sqs:<region>:<account>:<name>`, in the account of the role.
    pub arn: String,
}

/// The order in which intents are published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// As they are ready.
    #[default]
    None,
    /// Intent n only after n-1 is closed: for change data.
    Delivery,
}

/// All that a session in the client's account needs. Read fresh from the registry, never from a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Access {
    /// The tenant.
    pub tenant: String,
    /// The delivery.
    pub delivery: String,
    /// The role to assume.
    pub role_arn: String,
    /// The ExternalId.
    pub external_id: Secret,
    /// The region of the client's resources.
    pub region: String,
    /// The client's account, from the role's ARN.
    pub account: String,
    /// The client's bucket.
    pub bucket: String,
    /// The production prefix.
    pub prefix: String,
    /// The hidden prefix of this delivery: `<temp_prefix><delivery id>/`.
    pub temp_prefix: String,
    /// The KMS key, where the delivery names one.
    pub kms_key_arn: Option<String>,
    /// Glue database and table, where the delivery names them.
    pub glue: Option<(String, String)>,
    /// ARNs of the client's queues.
    pub queue_arns: Vec<String>,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl fmt::Debug for DestinationConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DestinationConfig")
            .field("role_arn", &self.role_arn)
            .field("external_id", &"<redacted>")
            .field("region", &self.region)
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("temp_prefix", &self.temp_prefix)
            .field("kms_key_arn", &self.kms_key_arn)
            .field("consumer_deletes", &self.consumer_deletes)
            .field("capabilities", &self.capabilities)
            .finish()
    }
}

impl DestinationConfig {
    /// The client's account: the fifth part of the role's ARN; empty when the ARN has none (a checked document
    /// always has one).
    pub fn account(&self) -> &str {
        self.role_arn.split(':').nth(4).unwrap_or_default()
    }
}

impl Delivery {
    /// What a session in the client's account needs.
    pub fn access(&self) -> Access {
        let to = &self.destination;
        Access {
            tenant: self.tenant.clone(),
            delivery: self.id.clone(),
            role_arn: to.role_arn.clone(),
            external_id: Secret::new(to.external_id.clone()),
            region: to.region.clone(),
            account: to.account().to_owned(),
            bucket: to.bucket.clone(),
            prefix: to.prefix.clone(),
            temp_prefix: format!("{}{}/", to.temp_prefix, self.id),
            kms_key_arn: to.kms_key_arn.clone(),
            glue: self.catalog.glue.as_ref().map(|glue| (glue.database.clone(), glue.table.clone())),
            queue_arns: self.notify.queues.iter().map(|queue| queue.arn.clone()).collect(),
        }
    }

    /// What shapes bytes and names: pinned by every intent under its content hash.
    pub fn pinned(&self) -> PinnedConfig {
        PinnedConfig {
            version: 1,
            engine: ENGINE_FORMAT.to_owned(),
            delivery: self.id.clone(),
            dataset: self.dataset.clone(),
            bucket: self.destination.bucket.clone(),
            prefix: self.destination.prefix.clone(),
            temp_prefix: format!("{}{}/", self.destination.temp_prefix, self.id),
            contract: self.contract.clone(),
            layout: self.layout.clone(),
            glue: self.catalog.glue.clone(),
        }
    }
}

/// The format version of the merge engine: raised when the same inputs would give other bytes.
pub const ENGINE_FORMAT: &str = "6";

/// The part of a delivery that shapes bytes and names, kept immutable under its content hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedConfig {
    /// Format version of this record.
    pub version: u32,
    /// [`ENGINE_FORMAT`] of the planner.
    pub engine: String,
    /// The delivery.
    pub delivery: String,
    /// The dataset's name.
    pub dataset: String,
    /// The client's bucket.
    pub bucket: String,
    /// The production prefix.
    pub prefix: String,
    /// The hidden prefix of this delivery.
    pub temp_prefix: String,
    /// The contract.
    pub contract: Contract,
    /// The layout.
    pub layout: Layout,
    /// The table of the files; absent as well in records of builds that did not pin it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glue: Option<GlueTable>,
}

impl PinnedConfig {
    /// The content hash: hex SHA-256 of the record's canonical JSON (fields in the order of this type).
    pub fn hash(&self) -> String {
        crate::hash::hex_of_json(self)
    }

    /// The columns of the files: those of the contract, without what the layout leaves to the path.
    pub fn file_columns(&self) -> Vec<Column> {
        let mut columns = self.contract.file_columns();
        columns.retain(|column| !self.layout.drops(&column.name));
        columns
    }

    /// The table that files of this configuration are registered in, `now` being the delivery as configured now. A table has
    /// one place and one form: files that stand elsewhere, or are cut otherwise, than the document says now belong into the
    /// table they were planned for, or they would make the new table what it must not be. Otherwise a corrected name holds at
    /// once, and so does a document that names no table any more.
    ///
    /// `None` as well for files whose layout no table can have: a document that names one now has another layout.
    pub fn table<'a>(&'a self, now: &'a Delivery) -> Option<&'a GlueTable> {
        let to = &now.destination;
        let as_now = (&self.bucket, &self.prefix) == (&to.bucket, &to.prefix)
            && self.contract.is_or_evolved_from(&now.contract)
            && self.layout.partitions == now.layout.partitions
            && self.layout.partition_columns == now.layout.partition_columns;
        let named = now.catalog.glue.as_ref().filter(|_| self.layout.is_tabular())?;
        Some(self.glue.as_ref().filter(|_| !as_now).unwrap_or(named))
    }
}

impl Catalogs {
    fn is_empty(&self) -> bool {
        self.glue.is_none()
    }
}

impl Notify {
    fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }
}

impl Serialize for Start {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::At(time) => serializer.serialize_str(&time.to_string()),
        }
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "all" {
            return Ok(Self::All);
        }
        text.parse().map(Self::At).map_err(|_| {
            serde::de::Error::custom("expected \"all\" or an RFC 3339 time such as 2026-05-19T00:00:00Z")
        })
    }
}

impl schemars::JsonSchema for Start {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Start".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "\"all\", or an RFC 3339 time: only objects staged at or after it.",
            "anyOf": [{ "const": "all" }, { "type": "string", "format": "date-time" }]
        })
    }
}

pub(crate) fn default_temp_prefix() -> String {
    "_tmp/".to_owned()
}
