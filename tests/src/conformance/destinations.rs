//! What `Destinations` promise: a role opens to who knows its ExternalId, and a session can do what its purpose needs
//! and nothing else.
//!
//! The client's role may do everything in its account here: what a session may not do is refused by its session policy
//! alone. The cases of `a_right_the_role_lacks...` show the other half of the intersection.

mod committing;
mod notifying;
mod opening;
mod staging;

use std::collections::BTreeMap;
use std::future::Future;

use bytes::Bytes;
use landfall_core::delivery::{Access, Capabilities};
use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::port::{
    Bucket, Catalog, CatalogChange, CatalogTable, Condition, CopyOutcome, CopyRequest, DestinationOf,
    Destinations, ObjectAttributes, ObjectStore, OutgoingMessage, Purpose, PutOutcome, Queue,
};

use super::{Breach, Case, Verdict, expect_kind};

/// Ways into client accounts to be held to their promises, and the scene around them.
pub trait DestinationsHarness {
    /// The ways into client accounts.
    type Destinations: Destinations;

    /// The ways into client accounts, from landfall's own.
    fn destinations(&self) -> &Self::Destinations;

    /// What the endpoint of the client's buckets can do.
    fn capabilities(&self) -> Capabilities;

    /// A client that nobody has delivered to.
    fn fresh_client(&self) -> impl Future<Output = Client>;

    /// Takes an action (`s3:PutObject`) away from the client's role, whatever else allows it.
    fn deny(&self, client: &Client, action: &str) -> impl Future<Output = ()>;

    /// Writes an object as the client itself, past the port; its entity tag.
    fn place(&self, bucket: &Bucket, key: &str, body: &str) -> impl Future<Output = String>;

    /// The keys of a bucket, read past the port.
    fn keys(&self, bucket: &Bucket) -> impl Future<Output = Vec<String>>;
}

/// A client's account, with more in it than a delivery may reach.
#[derive(Debug, Clone)]
pub struct Client {
    /// The delivery's access: with catalog and one queue. The role may do everything in its account.
    pub access: Access,
    /// A role like the delivery's that trusts another account than ours.
    pub untrusting_role: String,
    /// Another bucket of the same account.
    pub other_bucket: Bucket,
    /// The ARN of another queue of the same account.
    pub other_queue: String,
}

impl Client {
    /// The delivery's bucket.
    fn bucket(&self) -> Bucket {
        Bucket { name: self.access.bucket.clone(), owner: self.access.account.clone() }
    }

    /// A key of the hidden prefix.
    fn temp(&self, name: &str) -> String {
        format!("{}{name}", self.access.temp_prefix)
    }

    /// A key of the production prefix.
    fn out(&self, name: &str) -> String {
        format!("{}{name}", self.access.prefix)
    }

    /// The delivery's table, without partitions.
    fn table(&self) -> CatalogTable {
        let (database, table) = self.access.glue.clone().unwrap_or_default();
        CatalogTable {
            database,
            table,
            location: format!("s3://{}/{}", self.access.bucket, self.access.prefix),
            columns: Vec::new(),
            partition_keys: Vec::new(),
            parameters: BTreeMap::new(),
        }
    }

    /// Keys of the delivery's bucket that belong to others, or to nobody.
    fn foreign_keys(&self) -> [String; 4] {
        let beside = |prefix: &str| format!("{}-b/1", prefix.trim_end_matches('/'));
        let (temp, production) = (&self.access.temp_prefix, &self.access.prefix);
        // A prefix ends in a slash: what begins with the same letters is another's.
        [beside(temp), beside(production), "1".to_owned(), format!("x/{production}1")]
    }
}

/// Every case of the suite.
pub fn cases<H: DestinationsHarness>() -> Vec<Case<H>> {
    let mut cases = opening::cases();
    cases.extend(staging::cases());
    cases.extend(committing::cases());
    cases.extend(notifying::cases());
    cases
}

async fn open<H: DestinationsHarness>(
    harness: &H,
    client: &Client,
    purpose: Purpose,
) -> Result<DestinationOf<H::Destinations>, Breach> {
    Ok(harness.destinations().open(&client.access, purpose).await?)
}

/// Writes a new object.
async fn put<S: ObjectStore>(store: &S, bucket: &Bucket, key: &str) -> Result<PutOutcome, PortError> {
    let (body, attributes) = (Bytes::from_static(b"rows"), ObjectAttributes::default());
    store.put(bucket, key, body, &Condition::Absent, None, &attributes).await
}

/// Copies an object of four bytes, with one tag.
async fn copy<H: DestinationsHarness>(
    harness: &H,
    store: &impl ObjectStore,
    bucket: &Bucket,
    (from, etag): (&str, &str),
    to: &str,
) -> Result<CopyOutcome, PortError> {
    let capabilities = harness.capabilities();
    let attributes = ObjectAttributes {
        tags: BTreeMap::from([("rows".to_owned(), "3".to_owned())]),
        ..ObjectAttributes::default()
    };
    let request = CopyRequest {
        source_key: from,
        source_etag: etag,
        source_size: 4,
        key: to,
        attributes: &attributes,
        capabilities: &capabilities,
    };
    store.copy(bucket, &request).await
}

/// Sends one message.
async fn send<Q: Queue>(queue: &Q, arn: &str) -> Result<String, PortError> {
    let mut results = queue.send(arn, &[OutgoingMessage::plain("hi")]).await;
    results.pop().unwrap_or_else(|| Err(PortError::new("send", arn, PortErrorKind::Invalid, "no result")))
}

async fn register<C: Catalog>(catalog: &C, table: &CatalogTable) -> Result<CatalogChange, PortError> {
    catalog.register(table, &[]).await
}

/// Every request of the object store on a key of this bucket must be refused; `etag` is that of the object there.
async fn denies_everything<H: DestinationsHarness>(
    harness: &H,
    store: &impl ObjectStore,
    bucket: &Bucket,
    (key, etag): (&str, &str),
) -> Verdict {
    let kind = PortErrorKind::Denied;
    let at = format!("{}/{key}", bucket.name);
    expect_kind(store.list(bucket, key, None, None).await, kind, &format!("list {at}"))?;
    expect_kind(store.head(bucket, key).await, kind, &format!("head {at}"))?;
    expect_kind(store.get(bucket, key, None, None).await.map(|_| ()), kind, &format!("get {at}"))?;
    denies_changes(harness, store, bucket, (key, etag)).await
}

/// Every change of a key of this bucket must be refused, and must have changed nothing.
async fn denies_changes<H: DestinationsHarness>(
    harness: &H,
    store: &impl ObjectStore,
    bucket: &Bucket,
    (key, etag): (&str, &str),
) -> Verdict {
    let kind = PortErrorKind::Denied;
    let (at, before) = (format!("{}/{key}", bucket.name), harness.keys(bucket).await);
    let new = format!("{key}-new");
    expect_kind(put(store, bucket, &new).await, kind, &format!("put {at}-new"))?;
    expect_kind(store.delete(bucket, key, etag).await, kind, &format!("delete {at}"))?;
    let (plain, can) = (ObjectAttributes::default(), harness.capabilities());
    let created = store.create_upload(bucket, &new, &plain, &can).await;
    expect_kind(created, kind, &format!("create upload {at}-new"))?;
    let tags = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
    expect_kind(store.put_tags(bucket, key, &tags).await, kind, &format!("tag {at}"))?;
    let after = harness.keys(bucket).await;
    ensure!(before == after, "refused, and changed all the same: {before:?}, {after:?}");
    Ok(())
}
