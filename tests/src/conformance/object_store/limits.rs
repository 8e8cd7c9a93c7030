//! Limits of S3 that a configuration could reach: keys, tags, metadata.

use landfall_core::error::ErrorClass;

use super::{
    BTreeMap, Bucket, Bytes, Case, Condition, ObjectAttributes, ObjectStore as _, StoreHarness, Verdict,
    attributes, create, expect_class, plain,
};

pub(super) fn cases<H: StoreHarness>() -> Vec<Case<H>> {
    cases![
        a_key_of_1025_bytes_is_refused,
        eleven_tags_are_refused,
        an_object_is_not_written_without_its_tags,
        eleven_tags_are_refused_afterwards_too,
        the_longest_tags_are_taken,
        longer_tags_are_refused,
        metadata_beyond_two_kilobytes_is_refused,
    ]
}

/// Puts an object with something wrong about it: it must be refused.
async fn refused<H: StoreHarness>(
    harness: &H,
    bucket: &Bucket,
    key: &str,
    attributes: &ObjectAttributes,
) -> Verdict {
    let body = Bytes::from_static(b"x");
    let put = harness.store().put(bucket, key, body, &Condition::Absent, None, attributes).await;
    expect_class(put, ErrorClass::Permanent, "the put")
}

async fn a_key_of_1025_bytes_is_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    create(harness, &bucket, &"k".repeat(1024), b"x").await?;
    // Bytes count, not characters.
    refused(harness, &bucket, &format!("é{}", "k".repeat(1023)), &plain()).await
}

fn eleven_tags() -> BTreeMap<String, String> {
    (0..11).map(|n| (format!("tag-{n}"), "x".to_owned())).collect()
}

async fn eleven_tags_are_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    refused(harness, &bucket, "k", &ObjectAttributes { tags: eleven_tags(), ..plain() }).await
}

async fn an_object_is_not_written_without_its_tags<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    refused(harness, &bucket, "k", &ObjectAttributes { tags: eleven_tags(), ..plain() }).await?;
    ensure!(harness.store().head(&bucket, "k").await?.is_none(), "it was written");
    Ok(())
}

async fn eleven_tags_are_refused_afterwards_too<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    create(harness, &bucket, "k", b"x").await?;
    let tagged = harness.store().put_tags(&bucket, "k", &eleven_tags()).await;
    expect_class(tagged, ErrorClass::Permanent, "tagging with eleven tags")?;
    ensure!(harness.tags(&bucket, "k").await.is_empty(), "some of the tags are there");
    Ok(())
}

async fn the_longest_tags_are_taken<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    create(harness, &bucket, "k", b"x").await?;
    // Characters count, not bytes.
    let longest = attributes(&[(&"é".repeat(128), &"é".repeat(256))]).tags;
    harness.store().put_tags(&bucket, "k", &longest).await?;
    let stored = harness.tags(&bucket, "k").await;
    ensure!(stored == longest, "{stored:?}");
    Ok(())
}

async fn longer_tags_are_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    create(harness, &bucket, "k", b"x").await?;
    for (key, value) in [("k".repeat(129), String::new()), ("k".to_owned(), "v".repeat(257))] {
        let tagged = harness.store().put_tags(&bucket, "k", &BTreeMap::from([(key, value)])).await;
        expect_class(tagged, ErrorClass::Permanent, "a tag that is too long")?;
    }
    Ok(())
}

async fn metadata_beyond_two_kilobytes_is_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let metadata = BTreeMap::from([("k".to_owned(), "v".repeat(2048))]);
    let bucket = harness.fresh_bucket(false).await;
    refused(harness, &bucket, "k", &ObjectAttributes { metadata, ..plain() }).await
}
