//! The fake's own rules, where they are subtle.

mod budget;
mod faults;
mod identity;
mod objects;
mod policy;
mod queues;

use std::collections::BTreeMap;

use bytes::Bytes;
use landfall_core::delivery::{Access, Capabilities, Secret};
use landfall_core::port::{Bucket, Condition, CopyRequest, ObjectAttributes, ObjectStore as _, PutOutcome};

use super::{FakeAws, FakeStore};

const ROLE: &str = "arn:aws:iam::222222222222:role/landfall";
const QUEUE: &str = "arn:aws:sqs:eu-central-1:222222222222:etl";

/// Access to a client's account, as a delivery gives it.
fn access() -> Access {
    Access {
        tenant: "acme".into(),
        delivery: "acme-sales".into(),
        role_arn: ROLE.into(),
        external_id: Secret::new("agreed"),
        region: "eu-central-1".into(),
        account: "222222222222".into(),
        bucket: "acme-lake".into(),
        prefix: "lake/sales/".into(),
        temp_prefix: "_tmp/acme-sales/".into(),
        kms_key_arn: None,
        glue: Some(("lake".into(), "sales".into())),
        queue_arns: vec![QUEUE.into()],
    }
}

async fn put(
    store: &FakeStore,
    bucket: &Bucket,
    key: &str,
    body: &'static str,
    condition: &Condition,
) -> PutOutcome {
    let attributes = ObjectAttributes::default();
    store.put(bucket, key, Bytes::from_static(body.as_bytes()), condition, None, &attributes).await.unwrap()
}

/// A copy of `source` to `key` with the given tags.
async fn copy(
    store: &FakeStore,
    bucket: &Bucket,
    (source, etag, size): (&str, &str, u64),
    key: &str,
    capabilities: &Capabilities,
) -> Result<landfall_core::port::CopyOutcome, landfall_core::error::PortError> {
    let attributes = ObjectAttributes {
        tags: BTreeMap::from([("rows".to_owned(), "3".to_owned())]),
        metadata: BTreeMap::from([("delivery".to_owned(), "acme-sales".to_owned())]),
        ..ObjectAttributes::default()
    };
    let request = CopyRequest {
        source_key: source,
        source_etag: etag,
        source_size: size,
        key,
        attributes: &attributes,
        capabilities,
    };
    store.copy(bucket, &request).await
}

/// All sixteen combinations of what an endpoint can do.
fn all_capabilities() -> Vec<Capabilities> {
    let on = |bits: u8, bit: u8| bits & (1 << bit) != 0;
    (0..16_u8)
        .map(|bits| Capabilities {
            full_object_multipart_checksum: on(bits, 0),
            copy_checksum: on(bits, 1),
            conditional_copy: on(bits, 2),
            multipart_tags: on(bits, 3),
        })
        .collect()
}

fn fake() -> (FakeAws, FakeStore, Bucket) {
    let aws = FakeAws::new();
    let bucket = aws.create_home_bucket("state", false);
    (aws.clone(), aws.store(), bucket)
}
