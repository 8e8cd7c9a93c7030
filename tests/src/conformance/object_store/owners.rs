//! Owners: every request names the account that must own the bucket, also the one that is copied from.

use landfall_core::error::PortErrorKind;
use landfall_core::port::CopyRequest;

use super::{
    Bucket, Bytes, Case, Condition, ObjectStore as _, StoreHarness, Verdict, attributes, create, expect_kind,
    plain,
};
use crate::fake::checksum::crc64nvme;

const KIND: PortErrorKind = PortErrorKind::Denied;

pub(super) fn cases<H: StoreHarness>() -> Vec<Case<H>> {
    cases![
        a_bucket_of_another_owner_is_refused,
        an_upload_into_a_bucket_of_another_owner_is_refused,
        a_copy_in_a_bucket_of_another_owner_is_refused,
        a_copy_from_a_bucket_of_another_owner_is_refused,
        a_copy_into_a_bucket_of_another_owner_is_refused,
    ]
}

/// The same bucket, as if somebody else owned it.
fn strange(bucket: &Bucket) -> Bucket {
    Bucket { name: bucket.name.clone(), owner: "999999999999".to_owned() }
}

async fn a_bucket_of_another_owner_is_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let etag = create(harness, &bucket, "k", b"x").await?;
    let (strange, store) = (strange(&bucket), harness.store());
    expect_kind(store.list(&strange, "", None, None).await, KIND, "list")?;
    expect_kind(store.head(&strange, "k").await, KIND, "head")?;
    expect_kind(store.get(&strange, "k", None, None).await.map(|_| ()), KIND, "get")?;
    let body = Bytes::from_static(b"x");
    expect_kind(store.put(&strange, "new", body, &Condition::Absent, None, &plain()).await, KIND, "put")?;
    expect_kind(store.delete(&strange, "k", &etag).await, KIND, "delete")?;
    let created = store.create_upload(&strange, "new", &plain(), &harness.capabilities()).await;
    expect_kind(created, KIND, "create upload")?;
    expect_kind(store.put_tags(&strange, "k", &attributes(&[("a", "1")]).tags).await, KIND, "tag")?;
    ensure!(store.head(&bucket, "k").await?.is_some(), "the object is gone");
    Ok(())
}

async fn an_upload_into_a_bucket_of_another_owner_is_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let (strange, store, can) = (strange(&bucket), harness.store(), harness.capabilities());
    let upload = store.create_upload(&bucket, "k", &plain(), &can).await?;
    let body = Bytes::from_static(b"x");
    let part = store.upload_part(&bucket, &upload, 1, body.clone(), &can).await?;
    expect_kind(store.upload_part(&strange, &upload, 2, body, &can).await, KIND, "upload part")?;
    let done = store.complete_upload(&strange, &upload, &[part], 1, crc64nvme(b"x"), &can).await;
    expect_kind(done, KIND, "complete")?;
    expect_kind(store.abort_upload(&strange, &upload).await, KIND, "abort")?;
    ensure!(harness.uploads(&bucket).await == ["k"], "the upload is gone");
    Ok(())
}

async fn a_copy_in_a_bucket_of_another_owner_is_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let etag = create(harness, &bucket, "tmp", b"new").await?;
    let (attributes, capabilities) = (plain(), harness.capabilities());
    let request = CopyRequest {
        source_key: "tmp",
        source_etag: &etag,
        source_size: 3,
        key: "out",
        attributes: &attributes,
        capabilities: &capabilities,
    };
    expect_kind(harness.store().copy(&strange(&bucket), &request).await, KIND, "copy")?;
    ensure!(harness.store().head(&bucket, "out").await?.is_none(), "it was copied");
    Ok(())
}

async fn a_copy_from_a_bucket_of_another_owner_is_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let (from, to) = (harness.fresh_bucket(false).await, harness.fresh_bucket(false).await);
    let etag = create(harness, &from, "in/x", b"bad").await?;
    let copied = harness.store().copy_across(&strange(&from), "in/x", &etag, &to, "quarantine/x").await;
    expect_kind(copied, KIND, "copy")?;
    ensure!(harness.store().head(&to, "quarantine/x").await?.is_none(), "it was copied");
    Ok(())
}

async fn a_copy_into_a_bucket_of_another_owner_is_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let (from, to) = (harness.fresh_bucket(false).await, harness.fresh_bucket(false).await);
    let etag = create(harness, &from, "in/x", b"bad").await?;
    let copied = harness.store().copy_across(&from, "in/x", &etag, &strange(&to), "quarantine/x").await;
    expect_kind(copied, KIND, "copy")?;
    ensure!(harness.store().head(&to, "quarantine/x").await?.is_none(), "it was copied");
    Ok(())
}
