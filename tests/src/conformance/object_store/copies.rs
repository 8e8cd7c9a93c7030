//! Copies: to the production key, and into quarantine.

use futures::future::join_all;
use landfall_core::port::{CopyOutcome, CopyRequest};

use super::{
    Breach, Bucket, Bytes, Capabilities, Case, Condition, ObjectStore as _, PART_BYTES, StoreHarness,
    Verdict, attributes, create, plain, read, written,
};
use crate::fake::checksum::crc64nvme;

pub(super) fn cases<H: StoreHarness>() -> Vec<Case<H>> {
    cases![
        a_copy_carries_bytes_metadata_and_tags,
        a_copy_never_overwrites,
        one_of_many_copies_wins,
        a_copy_is_pinned_to_its_source,
        a_copy_of_nothing_is_an_answer,
        a_copy_of_an_upload_has_its_checksum,
        a_copy_after_the_copy_was_removed_succeeds,
        a_copy_leaves_no_upload_behind,
        a_copy_across_buckets_overwrites,
        a_copy_across_buckets_is_pinned,
        a_copy_across_buckets_carries_no_tags,
        an_empty_object_is_copied_across_buckets,
    ]
}

async fn copy<H: StoreHarness>(
    harness: &H,
    bucket: &Bucket,
    source: (&str, &str, u64),
    tags: &[(&str, &str)],
) -> Result<CopyOutcome, Breach> {
    let (attributes, capabilities) = (attributes(tags), harness.capabilities());
    let request = CopyRequest {
        source_key: source.0,
        source_etag: source.1,
        source_size: source.2,
        key: "lake/out.parquet",
        attributes: &attributes,
        capabilities: &capabilities,
    };
    Ok(harness.store().copy(bucket, &request).await?)
}

/// Whether a copy of this endpoint answers with a checksum.
fn answers_checksum(capabilities: Capabilities) -> bool {
    if capabilities.conditional_copy {
        capabilities.copy_checksum
    } else {
        capabilities.full_object_multipart_checksum
    }
}

async fn a_copy_carries_bytes_metadata_and_tags<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(true).await;
    let store = harness.store();
    let source = attributes(&[("stage", "temp")]);
    let body = Bytes::from_static(b"rows");
    let etag = written(store.put(&bucket, "_tmp/a b+é=1", body, &Condition::Absent, None, &source).await?)?;
    let tags = [("rows", "3"), ("source_job_id", "a b+c/d=e"), ("synced_at", "2026-05-19T10:00:00Z")];
    let copied = copy(harness, &bucket, ("_tmp/a b+é=1", &etag, 4), &tags).await?;
    let CopyOutcome::Copied { etag: copied, crc64nvme: sum } = copied else {
        return Err(Breach(format!("{copied:?}")));
    };
    let expected = answers_checksum(harness.capabilities()).then(|| crc64nvme(b"rows"));
    ensure!(sum == expected, "the answer's checksum is {sum:?}");
    let Some(head) = store.head(&bucket, "lake/out.parquet").await? else {
        return Err(Breach("the copy is not there".to_owned()));
    };
    ensure!(head.etag == copied && head.size == 4, "{head:?}");
    ensure!(head.crc64nvme == expected, "the checksum is {:?}", head.crc64nvme);
    ensure!(head.metadata == attributes(&[]).metadata, "{:?}", head.metadata);
    ensure!(read(harness, &bucket, "lake/out.parquet", None).await? == b"rows", "other bytes");
    let stored = harness.tags(&bucket, "lake/out.parquet").await;
    ensure!(stored == attributes(&tags).tags, "the tags are {stored:?}");
    Ok(())
}

async fn a_copy_never_overwrites<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let etag = create(harness, &bucket, "tmp", b"new").await?;
    create(harness, &bucket, "lake/out.parquet", b"old").await?;
    let copied = copy(harness, &bucket, ("tmp", &etag, 3), &[]).await?;
    ensure!(copied == CopyOutcome::DestinationExists, "{copied:?}");
    ensure!(read(harness, &bucket, "lake/out.parquet", None).await? == b"old", "it was overwritten");
    Ok(())
}

async fn one_of_many_copies_wins<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let mut sources = Vec::new();
    for key in ["tmp/1", "tmp/2", "tmp/3", "tmp/4"] {
        sources.push((key, create(harness, &bucket, key, key.as_bytes()).await?));
    }
    let copies = sources.iter().map(|(key, etag)| copy(harness, &bucket, (key, etag, 5), &[]));
    let mut winner = None;
    for ((key, _), copied) in sources.iter().zip(join_all(copies).await) {
        match copied {
            Ok(CopyOutcome::Copied { .. }) => {
                ensure!(winner.is_none(), "two copies to one key succeeded");
                winner = Some(*key);
            }
            Ok(CopyOutcome::DestinationExists) => {}
            other => return Err(Breach(format!("{key}: {other:?}"))),
        }
    }
    let stored = read(harness, &bucket, "lake/out.parquet", None).await?;
    ensure!(
        winner.map(str::as_bytes) == Some(stored.as_slice()),
        "the winner's bytes are not what is stored"
    );
    Ok(())
}

async fn a_copy_is_pinned_to_its_source<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    create(harness, &bucket, "tmp", b"new").await?;
    let copied = copy(harness, &bucket, ("tmp", "0123456789abcdef0123456789abcdef", 3), &[]).await?;
    ensure!(copied == CopyOutcome::SourceChanged, "{copied:?}");
    ensure!(harness.store().head(&bucket, "lake/out.parquet").await?.is_none(), "it was copied");
    Ok(())
}

async fn a_copy_of_nothing_is_an_answer<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let copied = copy(harness, &bucket, ("tmp", "0123456789abcdef0123456789abcdef", 3), &[]).await?;
    ensure!(copied == CopyOutcome::SourceChanged, "{copied:?}");
    Ok(())
}

async fn a_copy_of_an_upload_has_its_checksum<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let (store, capabilities) = (harness.store(), harness.capabilities());
    let first = vec![7; PART_BYTES];
    let whole = [first.as_slice(), b"end"].concat();
    let upload = store.create_upload(&bucket, "tmp", &plain(), &capabilities).await?;
    let mut parts = Vec::new();
    for (number, body) in [(1, Bytes::from(first)), (2, Bytes::from_static(b"end"))] {
        parts.push(store.upload_part(&bucket, &upload, number, body, &capabilities).await?);
    }
    let (size, sum) = (whole.len() as u64, crc64nvme(&whole));
    let put = store.complete_upload(&bucket, &upload, &parts, size, sum, &capabilities).await?;
    let etag = written(put)?;
    let copied = copy(harness, &bucket, ("tmp", &etag, size), &[]).await?;
    let CopyOutcome::Copied { crc64nvme: answered, .. } = copied else {
        return Err(Breach(format!("{copied:?}")));
    };
    ensure!(
        answered == answers_checksum(capabilities).then_some(sum),
        "the answer's checksum is {answered:?}"
    );
    ensure!(read(harness, &bucket, "lake/out.parquet", None).await? == whole, "other bytes");
    Ok(())
}

async fn a_copy_after_the_copy_was_removed_succeeds<H: StoreHarness>(harness: &H) -> Verdict {
    for versioned in [false, true] {
        let bucket = harness.fresh_bucket(versioned).await;
        let etag = create(harness, &bucket, "tmp", b"new").await?;
        for _ in 0..2 {
            let copied = copy(harness, &bucket, ("tmp", &etag, 3), &[]).await?;
            let CopyOutcome::Copied { etag: copied, .. } = copied else {
                return Err(Breach(format!("versioned {versioned}: {copied:?}")));
            };
            harness.store().delete(&bucket, "lake/out.parquet", &copied).await?;
        }
    }
    Ok(())
}

async fn a_copy_leaves_no_upload_behind<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let etag = create(harness, &bucket, "tmp", b"new").await?;
    copy(harness, &bucket, ("tmp", "0123456789abcdef0123456789abcdef", 3), &[]).await?;
    copy(harness, &bucket, ("tmp", &etag, 3), &[]).await?;
    copy(harness, &bucket, ("tmp", &etag, 3), &[]).await?;
    let uploads = harness.uploads(&bucket).await;
    ensure!(uploads.is_empty(), "{uploads:?}");
    Ok(())
}

async fn a_copy_across_buckets_overwrites<H: StoreHarness>(harness: &H) -> Verdict {
    let (from, to) = (harness.fresh_bucket(true).await, harness.fresh_bucket(false).await);
    let body = Bytes::from_static(b"bad");
    let put = harness.store().put(&from, "in/x", body, &Condition::Absent, None, &attributes(&[])).await?;
    let etag = written(put)?;
    for _ in 0..2 {
        let copied = harness.store().copy_across(&from, "in/x", &etag, &to, "quarantine/x").await?;
        ensure!(matches!(copied, CopyOutcome::Copied { .. }), "{copied:?}");
    }
    ensure!(read(harness, &to, "quarantine/x", None).await? == b"bad", "other bytes");
    let head = harness.store().head(&to, "quarantine/x").await?;
    ensure!(head.is_some_and(|head| head.metadata == attributes(&[]).metadata), "the metadata is lost");
    Ok(())
}

async fn a_copy_across_buckets_is_pinned<H: StoreHarness>(harness: &H) -> Verdict {
    let (from, to) = (harness.fresh_bucket(false).await, harness.fresh_bucket(false).await);
    create(harness, &from, "in/x", b"bad").await?;
    for key in ["in/x", "in/none"] {
        let other = "0123456789abcdef0123456789abcdef";
        let copied = harness.store().copy_across(&from, key, other, &to, "quarantine/x").await?;
        ensure!(copied == CopyOutcome::SourceChanged, "{key}: {copied:?}");
    }
    ensure!(harness.store().head(&to, "quarantine/x").await?.is_none(), "it was copied");
    Ok(())
}

async fn a_copy_across_buckets_carries_no_tags<H: StoreHarness>(harness: &H) -> Verdict {
    let (from, to) = (harness.fresh_bucket(false).await, harness.fresh_bucket(false).await);
    let (body, tagged) = (Bytes::from_static(b"bad"), attributes(&[("producer", "1")]));
    let put = harness.store().put(&from, "in/x", body, &Condition::Absent, None, &tagged).await?;
    harness.store().copy_across(&from, "in/x", &written(put)?, &to, "quarantine/x").await?;
    let tags = harness.tags(&to, "quarantine/x").await;
    ensure!(tags.is_empty(), "{tags:?}");
    Ok(())
}

async fn an_empty_object_is_copied_across_buckets<H: StoreHarness>(harness: &H) -> Verdict {
    let (from, to) = (harness.fresh_bucket(false).await, harness.fresh_bucket(false).await);
    let etag = create(harness, &from, "in/x", b"").await?;
    let copied = harness.store().copy_across(&from, "in/x", &etag, &to, "quarantine/x").await?;
    ensure!(matches!(copied, CopyOutcome::Copied { .. }), "{copied:?}");
    ensure!(read(harness, &to, "quarantine/x", None).await?.is_empty(), "it has bytes");
    Ok(())
}
