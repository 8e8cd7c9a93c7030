//! The ports: what landfall needs of object stores, queues, catalogs and clocks, and what each promises.
//!
//! Outcomes that the protocol expects (a lost race, an object that is gone) are values. Only what stops the
//! work is a [`PortError`]. "Not found" is said only on the service's own word: a denied or failed request is
//! never taken for absence.

use std::collections::BTreeMap;
use std::future::Future;

use bytes::Bytes;
use jiff::Timestamp;

use crate::delivery::{Access, Capabilities};
use crate::error::PortError;

/// A bucket, and the account that must own it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket {
    /// The bucket's name.
    pub name: String,
    /// The 12-digit account sent as `ExpectedBucketOwner` on every call; a bucket of another owner is refused.
    pub owner: String,
}

/// One object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// The full key.
    pub key: String,
    /// The entity tag, without quotes.
    pub etag: String,
    /// The size in bytes.
    pub size: u64,
    /// The time of the last write, UTC.
    pub last_modified: Timestamp,
}

/// One page of a listing, in key order (UTF-8 bytes).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListPage {
    /// The objects of this page.
    pub objects: Vec<ListedObject>,
    /// Where to go on, when there is more.
    pub next: Option<String>,
}

/// What is known of an object without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHead {
    /// The entity tag, without quotes.
    pub etag: String,
    /// The size in bytes.
    pub size: u64,
    /// The version id, where the bucket is versioned.
    pub version_id: Option<String>,
    /// The full-object CRC-64/NVME the store holds for it, where it holds one.
    pub crc64nvme: Option<u64>,
    /// User metadata, keys without the `x-amz-meta-` prefix, lower case.
    pub metadata: BTreeMap<String, String>,
}

/// The bytes of an object, chunk by chunk.
pub trait ObjectBody: Send {
    /// The next chunk, `None` at the end. A cut connection is an error, never an early end.
    fn chunk(&mut self) -> impl Future<Output = Result<Option<Bytes>, PortError>> + Send;
}

/// The answer to a read.
#[derive(Debug)]
pub enum GetOutcome<B> {
    /// The object, as asked for.
    Found(ObjectHead, B),
    /// There is no such object.
    Absent,
    /// There is one, and it is not the one named by `if_match`.
    Changed,
}

/// The state a write or delete insists on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// No object has this key (`If-None-Match: *`).
    Absent,
    /// The object has this entity tag (`If-Match`).
    Matches(String),
}

/// How an object is encrypted at rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encryption {
    /// The bucket's default.
    #[default]
    BucketDefault,
    /// SSE-KMS with this key ARN, with a bucket key.
    Kms(String),
}

/// What a new object carries besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectAttributes {
    /// The media type.
    pub content_type: Option<String>,
    /// User metadata: ASCII, keys in lower case.
    pub metadata: BTreeMap<String, String>,
    /// Tags: at most 10.
    pub tags: BTreeMap<String, String>,
    /// Encryption at rest.
    pub encryption: Encryption,
}

/// The answer to a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOutcome {
    /// Written by this request.
    Written {
        /// The new entity tag, without quotes.
        etag: String,
        /// The version id, where the bucket is versioned.
        version_id: Option<String>,
    },
    /// The condition did not hold (412, or 404 to an `If-Match`); nothing was written.
    ConditionFailed,
}

/// The answer to a conditional delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// Deleted by this request (in a versioned bucket: a delete marker stands on top).
    Deleted,
    /// There was nothing to delete.
    Absent,
    /// The object is another one now; it was left alone.
    Changed,
}

/// An uploaded part, to be named on completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedPart {
    /// 1 to 10,000.
    pub number: i32,
    /// The part's entity tag.
    pub etag: String,
    /// The part's CRC-32C as the store answered it, base64, where parts carry one.
    pub crc32c: Option<String>,
}

/// A multipart upload under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The key to be.
    pub key: String,
    /// The id the store gave.
    pub id: String,
}

/// A copy within one bucket, from a staged key to a production key.
#[derive(Debug, Clone)]
pub struct CopyRequest<'a> {
    /// The staged key.
    pub source_key: &'a str,
    /// The entity tag the source must have (`x-amz-copy-source-if-match`).
    pub source_etag: &'a str,
    /// The size of the source in bytes: decides between one call and parts.
    pub source_size: u64,
    /// The production key. Never overwritten.
    pub key: &'a str,
    /// What the copy carries; replaces what the source carried.
    pub attributes: &'a ObjectAttributes,
    /// What the endpoint can do in one call.
    pub capabilities: &'a Capabilities,
}

/// The answer to a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyOutcome {
    /// Copied by this request.
    Copied {
        /// The entity tag of the copy.
        etag: String,
        /// The checksum the store computed for the copy, where it does (`Capabilities::copy_checksum`).
        crc64nvme: Option<u64>,
    },
    /// The production key is taken (412).
    DestinationExists,
    /// The source is gone or is another object now.
    SourceChanged,
}

/// An object store, acting as one principal. Every call names the bucket and its expected owner.
///
/// Writes that are conditional, copies and completions are sent once: the caller decides what an unknown
/// effect means. Reads and parts may be retried below this port.
pub trait ObjectStore: Send + Sync {
    /// The bytes of an object.
    type Body: ObjectBody;

    /// Lists keys that begin with `prefix`, from `after` (exclusive) or from the page token `page`.
    fn list(
        &self,
        bucket: &Bucket,
        prefix: &str,
        after: Option<&str>,
        page: Option<&str>,
    ) -> impl Future<Output = Result<ListPage, PortError>> + Send;

    /// Looks at an object; `None` when there is none.
    fn head(
        &self,
        bucket: &Bucket,
        key: &str,
    ) -> impl Future<Output = Result<Option<ObjectHead>, PortError>> + Send;

    /// Reads an object, or the byte range `[from, to]` of it (inclusive), pinned by `if_match`.
    fn get(
        &self,
        bucket: &Bucket,
        key: &str,
        if_match: Option<&str>,
        range: Option<(u64, u64)>,
    ) -> impl Future<Output = Result<GetOutcome<Self::Body>, PortError>> + Send;

    /// Reads one version of an object, current or not; `Absent` when the bucket no longer has it.
    fn get_version(
        &self,
        bucket: &Bucket,
        key: &str,
        version_id: &str,
    ) -> impl Future<Output = Result<GetOutcome<Self::Body>, PortError>> + Send;

    /// Writes an object in one request, under a condition. `crc64nvme` is sent and checked by the store.
    fn put(
        &self,
        bucket: &Bucket,
        key: &str,
        body: Bytes,
        condition: &Condition,
        crc64nvme: Option<u64>,
        attributes: &ObjectAttributes,
    ) -> impl Future<Output = Result<PutOutcome, PortError>> + Send;

    /// Deletes an object if it still has this entity tag.
    fn delete(
        &self,
        bucket: &Bucket,
        key: &str,
        if_match: &str,
    ) -> impl Future<Output = Result<DeleteOutcome, PortError>> + Send;

    /// Begins a multipart upload. With `full_object_multipart_checksum` it is declared as CRC-64/NVME of the
    /// whole object, else as CRC-32C per part.
    fn create_upload(
        &self,
        bucket: &Bucket,
        key: &str,
        attributes: &ObjectAttributes,
        capabilities: &Capabilities,
    ) -> impl Future<Output = Result<Upload, PortError>> + Send;

    /// Uploads a part: at least 5 MiB unless it is the last.
    fn upload_part(
        &self,
        bucket: &Bucket,
        upload: &Upload,
        number: i32,
        body: Bytes,
        capabilities: &Capabilities,
    ) -> impl Future<Output = Result<UploadedPart, PortError>> + Send;

    /// Completes an upload, create-if-absent, with the whole object's size and (where the endpoint can) checksum.
    fn complete_upload(
        &self,
        bucket: &Bucket,
        upload: &Upload,
        parts: &[UploadedPart],
        size: u64,
        crc64nvme: u64,
        capabilities: &Capabilities,
    ) -> impl Future<Output = Result<PutOutcome, PortError>> + Send;

    /// Aborts an upload; one that is gone already is a success.
    fn abort_upload(
        &self,
        bucket: &Bucket,
        upload: &Upload,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Uploads under way whose keys begin with `prefix`: one page of them (S3: 1,000), for tidying up.
    fn list_uploads(
        &self,
        bucket: &Bucket,
        prefix: &str,
    ) -> impl Future<Output = Result<Vec<Upload>, PortError>> + Send;

    /// Copies within the bucket, create-if-absent, in the way the endpoint's capabilities allow:
    /// one conditional CopyObject (up to 5 GB), else UploadPartCopy and a conditional completion, then tags.
    fn copy(
        &self,
        bucket: &Bucket,
        request: &CopyRequest<'_>,
    ) -> impl Future<Output = Result<CopyOutcome, PortError>> + Send;

    /// Copies an object of one bucket of ours into another bucket of ours (quarantine), unconditionally.
    fn copy_across(
        &self,
        from: &Bucket,
        from_key: &str,
        if_match: &str,
        to: &Bucket,
        to_key: &str,
    ) -> impl Future<Output = Result<CopyOutcome, PortError>> + Send;

    /// Replaces the tags of an object.
    fn put_tags(
        &self,
        bucket: &Bucket,
        key: &str,
        tags: &BTreeMap<String, String>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// One message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The body: text within the characters SQS allows.
    pub body: String,
    /// Message group: what keeps its order in a FIFO queue; whose message it is in a standard queue, which then serves the
    /// groups fairly and keeps no order.
    pub group: Option<String>,
    /// Deduplication id, for FIFO queues.
    pub deduplication: Option<String>,
    /// Delay in seconds (0 to 900); FIFO queues take only the queue's own.
    pub delay_seconds: Option<u32>,
}

impl OutgoingMessage {
    /// A message for a standard queue, visible at once.
    pub fn plain(body: impl Into<String>) -> Self {
        Self { body: body.into(), group: None, deduplication: None, delay_seconds: None }
    }

    /// A message of `group` for a standard queue, visible at once.
    pub fn of(group: &str, body: impl Into<String>) -> Self {
        Self { group: Some(group.to_owned()), ..Self::plain(body) }
    }
}

/// Queues, acting as one principal.
pub trait Queue: Send + Sync {
    /// Sends messages, in batches within the service's limits. One result per message, in order: the message
    /// id, or why this one failed. `queue_url` is a URL, or an `arn:aws:sqs:` that the adapter resolves itself,
    /// without a request.
    fn send(
        &self,
        queue_url: &str,
        messages: &[OutgoingMessage],
    ) -> impl Future<Output = Vec<Result<String, PortError>>> + Send;

    /// Makes a received message visible again after this many seconds (0 to 43,200).
    fn change_visibility(
        &self,
        queue_url: &str,
        receipt_handle: &str,
        seconds: u32,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A column as a catalog shows it: name and Hive type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogColumn {
    /// The column's name, lower case.
    pub name: String,
    /// The Hive type, such as `decimal(10,2)`.
    pub hive_type: String,
    /// What the column holds.
    pub comment: Option<String>,
}

/// The table a delivery needs in the client's catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogTable {
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
    /// `s3://bucket/prefix/`.
    pub location: String,
    /// Data columns, in file order.
    pub columns: Vec<CatalogColumn>,
    /// Partition keys, in path order; all of Hive type `string`.
    pub partition_keys: Vec<CatalogColumn>,
    /// Table parameters.
    pub parameters: BTreeMap<String, String>,
}

/// A partition that must exist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CatalogPartition {
    /// The values, in the order of the partition keys.
    pub values: Vec<String>,
    /// `s3://bucket/prefix/key=value/`.
    pub location: String,
}

/// What a registration changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CatalogChange {
    /// The database was created.
    pub database_created: bool,
    /// The table was created.
    pub table_created: bool,
    /// How many partitions were created; the others stood already, at the same place.
    pub partitions_created: usize,
}

/// A Hive-style catalog in the client's account.
pub trait Catalog: Send + Sync {
    /// Creates what is missing of database, table and partitions. Idempotent: what stands already at the same
    /// location is a success; a partition at another location is an error.
    fn register(
        &self,
        table: &CatalogTable,
        partitions: &[CatalogPartition],
    ) -> impl Future<Output = Result<CatalogChange, PortError>> + Send;
}

/// A client's account, entered under the client's role.
#[derive(Debug, Clone)]
pub struct Destination<S, C, Q> {
    /// Objects of the client's bucket.
    pub store: S,
    /// The client's catalog.
    pub catalog: C,
    /// The client's queues.
    pub queue: Q,
}

/// Ways into client accounts.
pub trait Destinations: Send + Sync {
    /// The store of a client's account.
    type Store: ObjectStore;
    /// The catalog of a client's account.
    type Catalog: Catalog;
    /// The queues of a client's account.
    type Queue: Queue;

    /// Assumes the client's role with the ExternalId and a session policy narrowed to `purpose`.
    ///
    /// # Errors
    /// `RoleRefused` when the role cannot be assumed.
    fn open(
        &self,
        access: &Access,
        purpose: Purpose,
    ) -> impl Future<Output = Result<DestinationOf<Self>, PortError>> + Send;
}

/// The client's account as some [`Destinations`] opens it.
pub type DestinationOf<D> =
    Destination<<D as Destinations>::Store, <D as Destinations>::Catalog, <D as Destinations>::Queue>;

/// What a session in a client's account is for: decides its session policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Writing below the hidden prefix.
    Stage,
    /// Reading the hidden prefix, publishing, cataloguing, removing temporaries.
    Commit,
    /// Sending to the client's queues.
    Notify,
}

/// The time. Nothing that decides which bytes are delivered asks for it.
pub trait Clock: Send + Sync {
    /// Now, UTC.
    fn now(&self) -> Timestamp;
}
