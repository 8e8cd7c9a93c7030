//! What an `ObjectStore` promises.

mod copies;
mod limits;
mod listings;
mod owners;
mod single;
mod uploads;

use std::collections::BTreeMap;
use std::future::Future;

use bytes::Bytes;
use landfall_core::delivery::Capabilities;
use landfall_core::port::{
    Bucket, Condition, GetOutcome, ObjectAttributes, ObjectBody as _, ObjectStore, PutOutcome,
};

use super::{Breach, Case, Verdict, expect_class, expect_kind};

/// A store to be held to its promises, and the scene around it.
pub trait StoreHarness {
    /// The store.
    type Store: ObjectStore;

    /// The store, acting as the owner of the buckets.
    fn store(&self) -> &Self::Store;

    /// What the endpoint can do, as a delivery would declare it.
    fn capabilities(&self) -> Capabilities;

    /// A new, empty bucket in the store's account.
    fn fresh_bucket(&self, versioned: bool) -> impl Future<Output = Bucket>;

    /// How many objects do not fit into one page of a listing.
    fn more_than_a_page(&self) -> usize;

    /// The tags of an object, read past the port.
    fn tags(&self, bucket: &Bucket, key: &str) -> impl Future<Output = BTreeMap<String, String>>;

    /// The keys of the uploads under way, read past the port.
    fn uploads(&self, bucket: &Bucket) -> impl Future<Output = Vec<String>>;

    /// The bytes of one version of an object, read past the port; `None` when there is none.
    fn version(&self, bucket: &Bucket, key: &str, id: &str) -> impl Future<Output = Option<Vec<u8>>>;
}

/// Every case of the suite.
pub fn cases<H: StoreHarness>() -> Vec<Case<H>> {
    let mut cases = single::cases();
    cases.extend(listings::cases());
    cases.extend(uploads::cases());
    cases.extend(copies::cases());
    cases.extend(owners::cases());
    cases.extend(limits::cases());
    cases
}

/// Whether the endpoint adds a checksum to what comes without one; where it does not, the adapter must send one.
fn adds_checksums<H: StoreHarness>(harness: &H) -> Option<&'static str> {
    (!harness.capabilities().copy_checksum).then_some("the endpoint computes no checksum (copy_checksum)")
}

/// Whether the endpoint checks an upload by the checksum of the whole object.
fn checks_wholes<H: StoreHarness>(harness: &H) -> Option<&'static str> {
    (!harness.capabilities().full_object_multipart_checksum)
        .then_some("parts carry the checksums (full_object_multipart_checksum)")
}

/// Whether the endpoint checks an upload by the checksums of its parts.
fn checks_parts<H: StoreHarness>(harness: &H) -> Option<&'static str> {
    harness
        .capabilities()
        .full_object_multipart_checksum
        .then_some("the whole carries the checksum (full_object_multipart_checksum)")
}

/// Five mebibytes: the least a part may have that is not the last.
const PART_BYTES: usize = 5 * 1024 * 1024;

fn plain() -> ObjectAttributes {
    ObjectAttributes::default()
}

/// Attributes with one piece of metadata and the given tags.
fn attributes(tags: &[(&str, &str)]) -> ObjectAttributes {
    ObjectAttributes {
        content_type: Some("application/vnd.apache.parquet".to_owned()),
        metadata: BTreeMap::from([("landfall-delivery".to_owned(), "acme-sales".to_owned())]),
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..plain()
    }
}

/// Writes a new object; answers its entity tag.
async fn create<H: StoreHarness>(
    harness: &H,
    bucket: &Bucket,
    key: &str,
    body: &[u8],
) -> Result<String, Breach> {
    let body = Bytes::copy_from_slice(body);
    let put = harness.store().put(bucket, key, body, &Condition::Absent, None, &plain()).await?;
    written(put)
}

/// The entity tag of a write that must have succeeded.
fn written(put: PutOutcome) -> Result<String, Breach> {
    match put {
        PutOutcome::Written { etag, .. } => {
            ensure!(!etag.is_empty() && !etag.contains('"'), "the entity tag is {etag:?}");
            Ok(etag)
        }
        PutOutcome::ConditionFailed => {
            Err(Breach("the condition of a write failed although it held".to_owned()))
        }
    }
}

/// All bytes of an object, or of a range of it.
async fn read<H: StoreHarness>(
    harness: &H,
    bucket: &Bucket,
    key: &str,
    range: Option<(u64, u64)>,
) -> Result<Vec<u8>, Breach> {
    let GetOutcome::Found(_, mut body) = harness.store().get(bucket, key, None, range).await? else {
        return Err(Breach(format!("{key} is not there")));
    };
    let mut bytes = Vec::new();
    while let Some(chunk) = body.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
