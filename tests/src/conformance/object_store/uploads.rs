//! Multipart uploads.

use landfall_core::error::{ErrorClass, PortErrorKind};
use landfall_core::port::{Upload, UploadedPart};

use super::{
    BTreeMap, Breach, Bucket, Bytes, Case, ObjectStore as _, PART_BYTES, PutOutcome, StoreHarness, Verdict,
    attributes, checks_parts, checks_wholes, create, expect_class, expect_kind, plain, read, written,
};
use crate::fake::checksum::{crc32c, crc64nvme};

pub(super) fn cases<H: StoreHarness>() -> Vec<Case<H>> {
    cases![
        an_upload_becomes_one_object,
        an_upload_keeps_its_tags_where_it_can,
        an_upload_creates_only,
        a_completion_after_a_deletion_conflicts,
        a_completion_after_an_earlier_deletion_succeeds,
        a_wrong_checksum_of_the_whole_is_refused[checks_wholes],
        a_wrong_size_of_the_whole_is_refused[checks_wholes],
        a_small_part_in_the_middle_is_refused,
        a_part_that_was_not_uploaded_is_refused,
        a_part_with_another_checksum_is_refused[checks_parts],
        a_part_sent_again_replaces_the_first,
        part_numbers_go_from_one_to_ten_thousand,
        a_completion_needs_parts,
        parts_out_of_order_are_refused,
        an_aborted_upload_is_gone,
        an_aborted_upload_takes_no_part,
        uploads_are_listed_below_a_prefix,
        a_repeated_completion_changes_nothing,
    ]
}

/// Begins an upload of `key` and sends these parts.
async fn upload<H: StoreHarness>(
    harness: &H,
    bucket: &Bucket,
    parts: &[&[u8]],
) -> Result<(Upload, Vec<UploadedPart>), Breach> {
    let (store, capabilities) = (harness.store(), harness.capabilities());
    let upload = store.create_upload(bucket, "k", &attributes(&[]), &capabilities).await?;
    let mut sent = Vec::new();
    for (number, body) in (1..).zip(parts) {
        let body = Bytes::copy_from_slice(body);
        sent.push(store.upload_part(bucket, &upload, number, body, &capabilities).await?);
    }
    Ok((upload, sent))
}

async fn complete<H: StoreHarness>(
    harness: &H,
    bucket: &Bucket,
    (upload, parts): &(Upload, Vec<UploadedPart>),
    whole: &[u8],
) -> Result<PutOutcome, landfall_core::error::PortError> {
    let size = whole.len() as u64;
    let capabilities = harness.capabilities();
    harness.store().complete_upload(bucket, upload, parts, size, crc64nvme(whole), &capabilities).await
}

async fn an_upload_becomes_one_object<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(true).await;
    let first = vec![7; PART_BYTES];
    let whole = [first.as_slice(), b"end"].concat();
    let sent = upload(harness, &bucket, &[&first, b"end"]).await?;
    ensure!(harness.store().head(&bucket, "k").await?.is_none(), "visible before its completion");
    let etag = written(complete(harness, &bucket, &sent, &whole).await?)?;
    ensure!(etag.ends_with("-2"), "the entity tag is {etag}");
    let Some(head) = harness.store().head(&bucket, "k").await? else {
        return Err(Breach("not there after its completion".to_owned()));
    };
    ensure!(head.size == whole.len() as u64 && head.etag == etag, "{head:?}");
    ensure!(head.metadata == attributes(&[]).metadata, "{:?}", head.metadata);
    let expected = harness.capabilities().full_object_multipart_checksum.then(|| crc64nvme(&whole));
    ensure!(head.crc64nvme == expected, "the checksum is {:?}", head.crc64nvme);
    ensure!(read(harness, &bucket, "k", None).await? == whole, "other bytes");
    ensure!(harness.uploads(&bucket).await.is_empty(), "the upload is still listed");
    Ok(())
}

async fn an_upload_keeps_its_tags_where_it_can<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let (store, capabilities) = (harness.store(), harness.capabilities());
    let tagged = attributes(&[("rows", "3")]);
    let started = store.create_upload(&bucket, "k", &tagged, &capabilities).await?;
    let part = store.upload_part(&bucket, &started, 1, Bytes::from_static(b"x"), &capabilities).await?;
    written(complete(harness, &bucket, &(started, vec![part]), b"x").await?)?;
    let stored = harness.tags(&bucket, "k").await;
    let expected = if capabilities.multipart_tags { tagged.tags } else { BTreeMap::new() };
    ensure!(stored == expected, "{stored:?}");
    Ok(())
}

async fn an_upload_creates_only<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let sent = upload(harness, &bucket, &[b"new"]).await?;
    create(harness, &bucket, "k", b"old").await?;
    let done = complete(harness, &bucket, &sent, b"new").await?;
    ensure!(done == PutOutcome::ConditionFailed, "{done:?}");
    ensure!(read(harness, &bucket, "k", None).await? == b"old", "the object was replaced");
    Ok(())
}

async fn a_completion_after_a_deletion_conflicts<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let etag = create(harness, &bucket, "k", b"old").await?;
    let sent = upload(harness, &bucket, &[b"new"]).await?;
    harness.store().delete(&bucket, "k", &etag).await?;
    let done = complete(harness, &bucket, &sent, b"new").await;
    expect_kind(done, PortErrorKind::Conflict, "completing after a deletion")
}

async fn a_completion_after_an_earlier_deletion_succeeds<H: StoreHarness>(harness: &H) -> Verdict {
    for versioned in [false, true] {
        let bucket = harness.fresh_bucket(versioned).await;
        let etag = create(harness, &bucket, "k", b"old").await?;
        harness.store().delete(&bucket, "k", &etag).await?;
        let sent = upload(harness, &bucket, &[b"new"]).await?;
        written(complete(harness, &bucket, &sent, b"new").await?)?;
        ensure!(read(harness, &bucket, "k", None).await? == b"new", "versioned {versioned}: other bytes");
    }
    Ok(())
}

async fn a_wrong_checksum_of_the_whole_is_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let sent = upload(harness, &bucket, &[b"new"]).await?;
    let done = complete(harness, &bucket, &sent, b"NEW").await;
    expect_class(done, ErrorClass::Permanent, "a wrong checksum")?;
    ensure!(harness.store().head(&bucket, "k").await?.is_none(), "the refused object is there");
    Ok(())
}

async fn a_wrong_size_of_the_whole_is_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let (upload, parts) = upload(harness, &bucket, &[b"new"]).await?;
    let (store, capabilities) = (harness.store(), harness.capabilities());
    let done = store.complete_upload(&bucket, &upload, &parts, 4, crc64nvme(b"new"), &capabilities).await;
    expect_class(done, ErrorClass::Permanent, "a wrong size")
}

async fn a_small_part_in_the_middle_is_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let sent = upload(harness, &bucket, &[b"small", b"end"]).await?;
    let done = complete(harness, &bucket, &sent, b"smallend").await;
    expect_kind(done, PortErrorKind::Invalid, "a part below 5 MiB that is not the last")
}

async fn a_part_that_was_not_uploaded_is_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let (started, mut parts) = upload(harness, &bucket, &[b"new"]).await?;
    if let Some(part) = parts.first_mut() {
        "0123456789abcdef0123456789abcdef".clone_into(&mut part.etag);
    }
    let done = complete(harness, &bucket, &(started, parts), b"new").await;
    expect_class(done, ErrorClass::Permanent, "a part with another entity tag")
}

async fn a_part_with_another_checksum_is_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let (started, mut parts) = upload(harness, &bucket, &[b"new"]).await?;
    if let Some(part) = parts.first_mut() {
        part.crc32c = Some(crc32c(b"old"));
    }
    let done = complete(harness, &bucket, &(started, parts), b"new").await;
    expect_class(done, ErrorClass::Permanent, "a part with another checksum")?;
    ensure!(harness.store().head(&bucket, "k").await?.is_none(), "the refused object is there");
    Ok(())
}

async fn a_part_sent_again_replaces_the_first<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let (store, capabilities) = (harness.store(), harness.capabilities());
    let (started, first) = upload(harness, &bucket, &[b"old"]).await?;
    let again = store.upload_part(&bucket, &started, 1, Bytes::from_static(b"new"), &capabilities).await?;
    let stale = complete(harness, &bucket, &(started.clone(), first), b"old").await;
    expect_class(stale, ErrorClass::Permanent, "the part that was replaced")?;
    written(complete(harness, &bucket, &(started, vec![again]), b"new").await?)?;
    ensure!(read(harness, &bucket, "k", None).await? == b"new", "other bytes");
    Ok(())
}

async fn part_numbers_go_from_one_to_ten_thousand<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let (store, capabilities) = (harness.store(), harness.capabilities());
    let started = store.create_upload(&bucket, "k", &plain(), &capabilities).await?;
    let body = Bytes::from_static(b"x");
    store.upload_part(&bucket, &started, 10_000, body.clone(), &capabilities).await?;
    for number in [0, 10_001] {
        let sent = store.upload_part(&bucket, &started, number, body.clone(), &capabilities).await;
        expect_class(sent, ErrorClass::Permanent, &format!("part {number}"))?;
    }
    Ok(())
}

async fn a_completion_needs_parts<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let sent = upload(harness, &bucket, &[]).await?;
    let done = complete(harness, &bucket, &sent, b"").await;
    expect_class(done, ErrorClass::Permanent, "an upload without parts")?;
    ensure!(harness.store().head(&bucket, "k").await?.is_none(), "the refused object is there");
    Ok(())
}

async fn parts_out_of_order_are_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let first = vec![7; PART_BYTES];
    let (started, mut parts) = upload(harness, &bucket, &[&first, b"end"]).await?;
    parts.reverse();
    let done = complete(harness, &bucket, &(started, parts), &[first.as_slice(), b"end"].concat()).await;
    expect_class(done, ErrorClass::Permanent, "parts in descending order")
}

async fn an_aborted_upload_is_gone<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let sent = upload(harness, &bucket, &[b"new"]).await?;
    ensure!(harness.uploads(&bucket).await == ["k"], "the upload is not listed");
    harness.store().abort_upload(&bucket, &sent.0).await?;
    harness.store().abort_upload(&bucket, &sent.0).await?;
    ensure!(harness.uploads(&bucket).await.is_empty(), "the upload is still listed");
    expect_kind(
        complete(harness, &bucket, &sent, b"new").await,
        PortErrorKind::Conflict,
        "completing an aborted upload",
    )
}

async fn an_aborted_upload_takes_no_part<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let (store, capabilities) = (harness.store(), harness.capabilities());
    let started = store.create_upload(&bucket, "k", &plain(), &capabilities).await?;
    store.abort_upload(&bucket, &started).await?;
    let sent = store.upload_part(&bucket, &started, 1, Bytes::from_static(b"x"), &capabilities).await;
    expect_kind(sent, PortErrorKind::Conflict, "a part of an aborted upload")
}

async fn uploads_are_listed_below_a_prefix<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let (store, capabilities) = (harness.store(), harness.capabilities());
    let mut begun = Vec::new();
    for key in ["_tmp/a/1 é+", "_tmp/a/2", "_tmp/b/1"] {
        begun.push(store.create_upload(&bucket, key, &attributes(&[]), &capabilities).await?);
    }
    begun.pop();
    let mut listed = store.list_uploads(&bucket, "_tmp/a/").await?;
    listed.sort_by(|left, right| left.key.cmp(&right.key));
    ensure!(listed == begun, "listed {listed:?}, begun were {begun:?}");
    for upload in &listed {
        store.abort_upload(&bucket, upload).await?;
    }
    let rest = store.list_uploads(&bucket, "_tmp/").await?;
    ensure!(rest.len() == 1, "{rest:?} instead of the one below another prefix");
    Ok(())
}

async fn a_repeated_completion_changes_nothing<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let sent = upload(harness, &bucket, &[b"new"]).await?;
    let etag = written(complete(harness, &bucket, &sent, b"new").await?)?;
    match complete(harness, &bucket, &sent, b"new").await {
        Ok(PutOutcome::ConditionFailed) => {}
        Ok(PutOutcome::Written { etag: again, .. }) => ensure!(again == etag, "written again as {again}"),
        Err(error) => ensure!(error.kind == PortErrorKind::Conflict, "{error}"),
    }
    let head = harness.store().head(&bucket, "k").await?;
    ensure!(head.is_some_and(|head| head.etag == etag), "another object is there");
    Ok(())
}
