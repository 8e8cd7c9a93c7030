//! Single objects: writes under conditions, reads, deletions, tags.

use futures::future::join_all;
use landfall_core::error::{ErrorClass, PortErrorKind};
use landfall_core::port::{DeleteOutcome, ObjectBody as _};

use super::{
    Breach, Bucket, Bytes, Case, Condition, GetOutcome, ObjectStore as _, PutOutcome, StoreHarness, Verdict,
    adds_checksums, attributes, create, expect_class, expect_kind, plain, read, written,
};
use crate::fake::checksum::crc64nvme;

pub(super) fn cases<H: StoreHarness>() -> Vec<Case<H>> {
    cases![
        a_key_is_created_once,
        one_of_many_creations_wins,
        a_replacement_names_what_it_replaces,
        a_replacement_of_nothing_fails_its_condition,
        a_replacement_of_a_deleted_object_fails_its_condition,
        a_deleted_key_can_be_created_again,
        a_wrong_checksum_is_refused,
        an_object_keeps_metadata_and_checksum,
        an_object_gets_a_checksum_when_none_is_sent[adds_checksums],
        absence_is_an_answer,
        a_read_is_pinned_to_its_entity_tag,
        ranges_are_inclusive,
        a_version_is_read_after_its_object_is_replaced_and_deleted,
        an_empty_object_is_an_object,
        a_deletion_names_what_it_deletes,
        a_deleted_or_replaced_version_can_be_read_by_its_id,
        keys_are_opaque,
        tags_are_replaced,
        tags_need_an_object,
        a_missing_bucket_is_not_absence,
        a_head_in_a_missing_bucket_is_not_absence,
    ]
}

async fn a_version_is_read_after_its_object_is_replaced_and_deleted<H: StoreHarness>(harness: &H) -> Verdict {
    let (bucket, store) = (harness.fresh_bucket(true).await, harness.store());
    let first = create(harness, &bucket, "a b", b"one").await?;
    let Some(head) = store.head(&bucket, "a b").await? else {
        return Err(Breach("not there".to_owned()));
    };
    let Some(version) = head.version_id else { return Err(Breach("it has no version".to_owned())) };
    let replaces = Condition::Matches(first.clone());
    let second =
        written(store.put(&bucket, "a b", Bytes::from_static(b"two"), &replaces, None, &plain()).await?)?;
    store.delete(&bucket, "a b", &second).await?;
    let GetOutcome::Found(head, mut body) = store.get_version(&bucket, "a b", &version).await? else {
        return Err(Breach("the version is not there".to_owned()));
    };
    ensure!(head.etag == first, "the entity tag is {}", head.etag);
    let mut bytes = Vec::new();
    while let Some(chunk) = body.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    ensure!(bytes == b"one", "other bytes");
    let other = store.get_version(&bucket, "another key", &version).await?;
    ensure!(matches!(other, GetOutcome::Absent), "a version of another key");
    Ok(())
}

async fn a_key_is_created_once<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    create(harness, &bucket, "k", b"one").await?;
    let again = harness
        .store()
        .put(&bucket, "k", Bytes::from_static(b"two"), &Condition::Absent, None, &plain())
        .await?;
    ensure!(again == PutOutcome::ConditionFailed, "the second creation: {again:?}");
    ensure!(read(harness, &bucket, "k", None).await? == b"one", "the first object was replaced");
    Ok(())
}

async fn one_of_many_creations_wins<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(true).await;
    let attributes = plain();
    let bodies: Vec<Bytes> = (0..8_u8).map(|n| Bytes::from(vec![n])).collect();
    let puts = bodies
        .iter()
        .map(|body| harness.store().put(&bucket, "k", body.clone(), &Condition::Absent, None, &attributes));
    let mut winner = None;
    for (body, put) in bodies.iter().zip(join_all(puts).await) {
        match put {
            Ok(PutOutcome::Written { .. }) => {
                ensure!(winner.is_none(), "two creations of one key succeeded");
                winner = Some(body);
            }
            Ok(PutOutcome::ConditionFailed) => {}
            // A race may end in a 409, which had no effect.
            Err(error) => ensure!(error.kind == PortErrorKind::Conflict, "{error}"),
        }
    }
    let stored = read(harness, &bucket, "k", None).await?;
    ensure!(winner.is_some_and(|body| *body == stored), "the winner's bytes are not what is stored");
    Ok(())
}

async fn a_replacement_names_what_it_replaces<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(true).await;
    let first = create(harness, &bucket, "k", b"one").await?;
    let replace = |body: &'static [u8], etag: &str| {
        let condition = Condition::Matches(etag.to_owned());
        let bucket = bucket.clone();
        async move {
            harness.store().put(&bucket, "k", Bytes::from_static(body), &condition, None, &plain()).await
        }
    };
    let second = written(replace(b"two", &first).await?)?;
    ensure!(second != first, "the entity tag did not change with the content");
    let stale = replace(b"three", &first).await?;
    ensure!(stale == PutOutcome::ConditionFailed, "a stale entity tag: {stale:?}");
    ensure!(read(harness, &bucket, "k", None).await? == b"two", "the refused write took effect");
    Ok(())
}

async fn a_replacement_of_nothing_fails_its_condition<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let condition = Condition::Matches("0123456789abcdef0123456789abcdef".to_owned());
    let put = harness.store().put(&bucket, "k", Bytes::from_static(b"x"), &condition, None, &plain()).await?;
    ensure!(put == PutOutcome::ConditionFailed, "{put:?}");
    Ok(())
}

async fn a_replacement_of_a_deleted_object_fails_its_condition<H: StoreHarness>(harness: &H) -> Verdict {
    for versioned in [false, true] {
        let bucket = harness.fresh_bucket(versioned).await;
        let store = harness.store();
        let etag = create(harness, &bucket, "k", b"one").await?;
        store.delete(&bucket, "k", &etag).await?;
        let (body, condition) = (Bytes::from_static(b"two"), Condition::Matches(etag));
        let put = store.put(&bucket, "k", body, &condition, None, &plain()).await?;
        ensure!(put == PutOutcome::ConditionFailed, "versioned {versioned}: {put:?}");
        ensure!(store.head(&bucket, "k").await?.is_none(), "versioned {versioned}: it was written");
    }
    Ok(())
}

async fn a_deleted_key_can_be_created_again<H: StoreHarness>(harness: &H) -> Verdict {
    for versioned in [false, true] {
        let bucket = harness.fresh_bucket(versioned).await;
        let etag = create(harness, &bucket, "k", b"one").await?;
        let deleted = harness.store().delete(&bucket, "k", &etag).await?;
        ensure!(deleted == DeleteOutcome::Deleted, "versioned {versioned}: {deleted:?}");
        create(harness, &bucket, "k", b"two").await?;
        ensure!(read(harness, &bucket, "k", None).await? == b"two", "versioned {versioned}: the old bytes");
    }
    Ok(())
}

async fn a_wrong_checksum_is_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let wrong = Some(crc64nvme(b"one") ^ 1);
    let put = harness
        .store()
        .put(&bucket, "k", Bytes::from_static(b"one"), &Condition::Absent, wrong, &plain())
        .await;
    expect_class(put, ErrorClass::Permanent, "a put with a wrong checksum")?;
    ensure!(harness.store().head(&bucket, "k").await?.is_none(), "the refused object is there");
    Ok(())
}

async fn an_object_keeps_metadata_and_checksum<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(true).await;
    let sum = crc64nvme(b"rows");
    let attributes = attributes(&[("rows", "3"), ("schema_version", "1")]);
    let body = Bytes::from_static(b"rows");
    let put = harness.store().put(&bucket, "k", body, &Condition::Absent, Some(sum), &attributes).await?;
    let etag = written(put)?;
    let Some(head) = harness.store().head(&bucket, "k").await? else {
        return Err(Breach("the object is not there".to_owned()));
    };
    ensure!((head.size, head.crc64nvme) == (4, Some(sum)), "{head:?}");
    ensure!(head.etag == etag, "HEAD says {}, the put {etag}", head.etag);
    ensure!(head.metadata == attributes.metadata, "{:?}", head.metadata);
    ensure!(head.version_id.is_some(), "no version id in a versioned bucket");
    let tags = harness.tags(&bucket, "k").await;
    ensure!(tags == attributes.tags, "{tags:?}");
    Ok(())
}

async fn an_object_gets_a_checksum_when_none_is_sent<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    create(harness, &bucket, "k", b"rows").await?;
    let head = harness.store().head(&bucket, "k").await?;
    let sum = head.and_then(|head| head.crc64nvme);
    ensure!(sum == Some(crc64nvme(b"rows")), "{sum:?}");
    Ok(())
}

async fn absence_is_an_answer<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let store = harness.store();
    ensure!(store.head(&bucket, "k").await?.is_none(), "HEAD found something");
    for if_match in [None, Some("0123456789abcdef0123456789abcdef")] {
        let got = store.get(&bucket, "k", if_match, None).await?;
        ensure!(matches!(got, GetOutcome::Absent), "GET with {if_match:?} found something");
    }
    let deleted = store.delete(&bucket, "k", "0123456789abcdef0123456789abcdef").await?;
    ensure!(deleted == DeleteOutcome::Absent, "{deleted:?}");
    Ok(())
}

async fn a_read_is_pinned_to_its_entity_tag<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(true).await;
    let store = harness.store();
    let old = create(harness, &bucket, "k", b"one").await?;
    let condition = Condition::Matches(old.clone());
    let new =
        written(store.put(&bucket, "k", Bytes::from_static(b"two"), &condition, None, &plain()).await?)?;
    let got = store.get(&bucket, "k", Some(&old), None).await?;
    ensure!(matches!(got, GetOutcome::Changed), "the old entity tag was served");
    let got = store.get(&bucket, "k", Some(&new), Some((0, 0))).await?;
    let GetOutcome::Found(head, _) = got else { return Err(Breach("the new one was not".to_owned())) };
    ensure!((head.size, &head.etag) == (3, &new), "the head of a range is the object's: {head:?}");
    Ok(())
}

async fn ranges_are_inclusive<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    create(harness, &bucket, "k", b"0123456789").await?;
    for (range, expected) in
        [((0, 0), "0"), ((2, 4), "234"), ((7, 100), "789"), ((9, 9), "9"), ((0, 9), "0123456789")]
    {
        let bytes = read(harness, &bucket, "k", Some(range)).await?;
        ensure!(bytes == expected.as_bytes(), "{range:?} gave {bytes:?}");
    }
    let behind = harness.store().get(&bucket, "k", None, Some((10, 12))).await.map(|_| ());
    expect_kind(behind, PortErrorKind::Invalid, "a range behind the end")
}

async fn an_empty_object_is_an_object<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    create(harness, &bucket, "k", b"").await?;
    ensure!(read(harness, &bucket, "k", None).await?.is_empty(), "it has bytes");
    let size = harness.store().head(&bucket, "k").await?.map(|head| head.size);
    ensure!(size == Some(0), "{size:?}");
    Ok(())
}

async fn a_deletion_names_what_it_deletes<H: StoreHarness>(harness: &H) -> Verdict {
    for versioned in [false, true] {
        let bucket = harness.fresh_bucket(versioned).await;
        let store = harness.store();
        let etag = create(harness, &bucket, "k", b"one").await?;
        let other = store.delete(&bucket, "k", "0123456789abcdef0123456789abcdef").await?;
        ensure!(other == DeleteOutcome::Changed, "versioned {versioned}: {other:?}");
        ensure!(store.head(&bucket, "k").await?.is_some(), "versioned {versioned}: it is gone");
        let deleted = store.delete(&bucket, "k", &etag).await?;
        ensure!(deleted == DeleteOutcome::Deleted, "versioned {versioned}: {deleted:?}");
        ensure!(store.head(&bucket, "k").await?.is_none(), "versioned {versioned}: it is still there");
        let listed = store.list(&bucket, "", None, None).await?.objects;
        ensure!(listed.is_empty(), "versioned {versioned}: listed {listed:?}");
        let again = store.delete(&bucket, "k", &etag).await?;
        ensure!(again == DeleteOutcome::Absent, "versioned {versioned}, again: {again:?}");
    }
    Ok(())
}

async fn a_deleted_or_replaced_version_can_be_read_by_its_id<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(true).await;
    let store = harness.store();
    let mut ids = Vec::new();
    let mut condition = Condition::Absent;
    let mut last = String::new();
    for body in ["one", "two"] {
        let put = store.put(&bucket, "k", Bytes::from(body), &condition, None, &plain()).await?;
        let PutOutcome::Written { etag, version_id: Some(id) } = put else {
            return Err(Breach(format!("{body}: {put:?}")));
        };
        let head = store.head(&bucket, "k").await?;
        ensure!(head.is_some_and(|head| head.version_id.as_ref() == Some(&id)), "HEAD names another version");
        ids.push((id, body));
        last.clone_from(&etag);
        condition = Condition::Matches(etag);
    }
    store.delete(&bucket, "k", &last).await?;
    for (id, body) in ids {
        let kept = harness.version(&bucket, "k", &id).await;
        ensure!(kept.as_deref() == Some(body.as_bytes()), "version {id}: {kept:?}");
    }
    Ok(())
}

async fn keys_are_opaque<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let keys = [
        "a b+c/ü=é",
        "dt=2026-05-19/x@y.jsonl",
        "100%/%2F%20",
        "two//slashes",
        "quote\"and'&<>",
        "semi;colon:comma,dollar$",
        "emoji-🦀",
        "question?hash#",
        "nfd-e\u{301}",
        "nfc-\u{e9}",
        "trailing.",
    ];
    for key in keys {
        let etag = create(harness, &bucket, key, key.as_bytes()).await?;
        ensure!(read(harness, &bucket, key, None).await? == key.as_bytes(), "{key:?} holds something else");
        let listed = harness.store().list(&bucket, key, None, None).await?.objects;
        ensure!(listed.iter().any(|object| object.key == key), "{key:?} is listed as {listed:?}");
        let deleted = harness.store().delete(&bucket, key, &etag).await?;
        ensure!(deleted == DeleteOutcome::Deleted, "{key:?}: {deleted:?}");
    }
    Ok(())
}

async fn tags_are_replaced<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    create(harness, &bucket, "k", b"x").await?;
    for tags in [vec![("a", "1"), ("b", "x y+z")], vec![("c", "3")], vec![]] {
        let tags = attributes(&tags).tags;
        harness.store().put_tags(&bucket, "k", &tags).await?;
        let stored = harness.tags(&bucket, "k").await;
        ensure!(stored == tags, "{stored:?} instead of {tags:?}");
    }
    Ok(())
}

async fn tags_need_an_object<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let tagged = harness.store().put_tags(&bucket, "k", &attributes(&[("a", "1")]).tags).await;
    expect_kind(tagged, PortErrorKind::NotFound, "tagging a missing key")
}

/// A bucket that does not exist.
fn nowhere(bucket: &Bucket) -> Bucket {
    Bucket { name: format!("{}-gone", bucket.name), owner: bucket.owner.clone() }
}

async fn a_missing_bucket_is_not_absence<H: StoreHarness>(harness: &H) -> Verdict {
    let gone = nowhere(&harness.fresh_bucket(false).await);
    let (store, kind) = (harness.store(), PortErrorKind::BucketMissing);
    expect_kind(store.list(&gone, "", None, None).await, kind, "list")?;
    expect_kind(store.get(&gone, "k", None, None).await.map(|_| ()), kind, "get")?;
    let body = Bytes::from_static(b"x");
    expect_kind(store.put(&gone, "k", body, &Condition::Absent, None, &plain()).await, kind, "put")?;
    expect_kind(store.delete(&gone, "k", "0123456789abcdef0123456789abcdef").await, kind, "delete")?;
    expect_kind(
        store.create_upload(&gone, "k", &plain(), &harness.capabilities()).await,
        kind,
        "create upload",
    )
}

async fn a_head_in_a_missing_bucket_is_not_absence<H: StoreHarness>(harness: &H) -> Verdict {
    let gone = nowhere(&harness.fresh_bucket(false).await);
    expect_kind(harness.store().head(&gone, "k").await, PortErrorKind::BucketMissing, "head")
}
