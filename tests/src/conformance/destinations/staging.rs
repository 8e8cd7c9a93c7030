//! Sessions that stage: the hidden prefix, and nothing else.

use landfall_core::port::{DeleteOutcome, GetOutcome};

use super::{
    BTreeMap, Breach, Bytes, Case, Condition, DestinationsHarness, ObjectAttributes, ObjectStore as _,
    PortErrorKind, Purpose, PutOutcome, Verdict, denies_everything, expect_kind, open, put, register, send,
};
use crate::fake::checksum::crc64nvme;

pub(super) fn cases<H: DestinationsHarness>() -> Vec<Case<H>> {
    cases![
        staging_writes_reads_lists_and_deletes_temps,
        staging_uploads_temps_in_parts,
        staging_finds_that_a_temp_is_absent,
        staging_tags_nothing,
        staging_writes_nothing_with_tags,
        staging_reaches_no_other_key,
        staging_reaches_no_published_file,
        staging_reaches_no_other_bucket,
        staging_has_no_catalog_and_no_queue,
    ]
}

async fn staging_writes_reads_lists_and_deletes_temps<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let (bucket, key) = (client.bucket(), client.temp("7/a b+é=1"));
    let store = open(harness, &client, Purpose::Stage).await?.store;
    let PutOutcome::Written { etag, .. } = put(&store, &bucket, &key).await? else {
        return Err(Breach("the key was taken".to_owned()));
    };
    ensure!(put(&store, &bucket, &key).await? == PutOutcome::ConditionFailed, "it was written twice");
    ensure!(store.head(&bucket, &key).await?.is_some_and(|head| head.size == 4), "HEAD");
    let got = store.get(&bucket, &key, Some(&etag), None).await?;
    ensure!(matches!(got, GetOutcome::Found(..)), "GET");
    let listed = store.list(&bucket, &client.access.temp_prefix, None, None).await?.objects;
    ensure!(listed.len() == 1, "{listed:?}");
    let deleted = store.delete(&bucket, &key, &etag).await?;
    ensure!(deleted == DeleteOutcome::Deleted, "{deleted:?}");
    Ok(())
}

async fn staging_uploads_temps_in_parts<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let (bucket, key, can) = (client.bucket(), client.temp("1"), harness.capabilities());
    let store = open(harness, &client, Purpose::Stage).await?.store;
    let plain = ObjectAttributes::default();
    let abandoned = store.create_upload(&bucket, &key, &plain, &can).await?;
    store.abort_upload(&bucket, &abandoned).await?;
    let upload = store.create_upload(&bucket, &key, &plain, &can).await?;
    let part = store.upload_part(&bucket, &upload, 1, Bytes::from_static(b"rows"), &can).await?;
    let done = store.complete_upload(&bucket, &upload, &[part], 4, crc64nvme(b"rows"), &can).await?;
    ensure!(matches!(done, PutOutcome::Written { .. }), "{done:?}");
    Ok(())
}

async fn staging_finds_that_a_temp_is_absent<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let (bucket, key) = (client.bucket(), client.temp("none"));
    let store = open(harness, &client, Purpose::Stage).await?.store;
    ensure!(store.head(&bucket, &key).await?.is_none(), "HEAD found something");
    let got = store.get(&bucket, &key, None, None).await?;
    ensure!(matches!(got, GetOutcome::Absent), "GET found something");
    let deleted = store.delete(&bucket, &key, "0123456789abcdef0123456789abcdef").await?;
    ensure!(deleted == DeleteOutcome::Absent, "{deleted:?}");
    Ok(())
}

async fn staging_tags_nothing<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let (bucket, key) = (client.bucket(), client.temp("1"));
    let store = open(harness, &client, Purpose::Stage).await?.store;
    put(&store, &bucket, &key).await?;
    let tags = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
    expect_kind(store.put_tags(&bucket, &key, &tags).await, PortErrorKind::Denied, "tagging")
}

async fn staging_writes_nothing_with_tags<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let (bucket, key) = (client.bucket(), client.temp("1"));
    let store = open(harness, &client, Purpose::Stage).await?.store;
    let tags = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
    let tagged = ObjectAttributes { tags, ..ObjectAttributes::default() };
    let written = store.put(&bucket, &key, Bytes::new(), &Condition::Absent, None, &tagged).await;
    expect_kind(written, PortErrorKind::Denied, "a put with tags")
}

async fn staging_reaches_no_other_key<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let bucket = client.bucket();
    let store = open(harness, &client, Purpose::Stage).await?.store;
    for key in client.foreign_keys() {
        let etag = harness.place(&bucket, &key, "rows").await;
        denies_everything(harness, &store, &bucket, (&key, &etag)).await?;
    }
    Ok(())
}

async fn staging_reaches_no_published_file<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let (bucket, key) = (client.bucket(), client.out("1"));
    let etag = harness.place(&bucket, &key, "rows").await;
    let store = open(harness, &client, Purpose::Stage).await?.store;
    denies_everything(harness, &store, &bucket, (&key, &etag)).await
}

async fn staging_reaches_no_other_bucket<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let key = client.temp("1");
    let etag = harness.place(&client.other_bucket, &key, "rows").await;
    let store = open(harness, &client, Purpose::Stage).await?.store;
    denies_everything(harness, &store, &client.other_bucket, (&key, &etag)).await
}

async fn staging_has_no_catalog_and_no_queue<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let stage = open(harness, &client, Purpose::Stage).await?;
    let registered = register(&stage.catalog, &client.table()).await;
    expect_kind(registered, PortErrorKind::CatalogRefused, "registering")?;
    for arn in client.access.queue_arns.iter().chain([&client.other_queue]) {
        expect_kind(send(&stage.queue, arn).await, PortErrorKind::QueueRefused, "sending")?;
    }
    Ok(())
}
