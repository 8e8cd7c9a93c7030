//! Limits of S3 that a configuration could reach: keys, tags, metadata.

use landfall_core::error::ErrorClass;

use super::{
    BTreeMap, Bytes, Case, Condition, ObjectAttributes, ObjectStore as _, StoreHarness, Verdict, attributes,
    create, expect_class, plain,
};

pub(super) fn cases<H: StoreHarness>() -> Vec<Case<H>> {
    cases![
        a_key_of_1025_bytes_is_refused,
        eleven_tags_are_refused,
        eleven_tags_are_refused_afterwards_too,
        the_longest_tags_are_taken_and_longer_ones_refused,
        metadata_beyond_two_kilobytes_is_refused,
    ]
}

async fn put<H: StoreHarness>(harness: &H, key: &str, attributes: &ObjectAttributes, what: &str) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let body = Bytes::from_static(b"x");
    let put = harness.store().put(&bucket, key, body, &Condition::Absent, None, attributes).await;
    expect_class(put, ErrorClass::Permanent, what)?;
    let listed = harness.store().list(&bucket, "", None, None).await?.objects;
    ensure!(listed.is_empty(), "what was refused is there: {listed:?}");
    Ok(())
}

async fn a_key_of_1025_bytes_is_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    create(harness, &bucket, &"k".repeat(1024), b"x").await?;
    // Bytes count, not characters.
    put(harness, &format!("é{}", "k".repeat(1023)), &plain(), "a key of 1,025 bytes").await
}

fn eleven_tags() -> BTreeMap<String, String> {
    (0..11).map(|n| (format!("tag-{n}"), "x".to_owned())).collect()
}

async fn eleven_tags_are_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let attributes = ObjectAttributes { tags: eleven_tags(), ..plain() };
    put(harness, "k", &attributes, "a put with eleven tags").await
}

async fn eleven_tags_are_refused_afterwards_too<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    create(harness, &bucket, "k", b"x").await?;
    let tagged = harness.store().put_tags(&bucket, "k", &eleven_tags()).await;
    expect_class(tagged, ErrorClass::Permanent, "tagging with eleven tags")?;
    ensure!(harness.tags(&bucket, "k").await.is_empty(), "some of the tags are there");
    Ok(())
}

async fn the_longest_tags_are_taken_and_longer_ones_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    create(harness, &bucket, "k", b"x").await?;
    let (key, value) = ("k".repeat(128), "v".repeat(256));
    let longest = attributes(&[(&key, &value)]).tags;
    harness.store().put_tags(&bucket, "k", &longest).await?;
    for (key, value) in [("k".repeat(129), String::new()), ("k".to_owned(), "v".repeat(257))] {
        let tagged = harness.store().put_tags(&bucket, "k", &BTreeMap::from([(key, value)])).await;
        expect_class(tagged, ErrorClass::Permanent, "a tag that is too long")?;
    }
    ensure!(harness.tags(&bucket, "k").await == longest, "the refused tags took effect");
    Ok(())
}

async fn metadata_beyond_two_kilobytes_is_refused<H: StoreHarness>(harness: &H) -> Verdict {
    let metadata = BTreeMap::from([("k".to_owned(), "v".repeat(2048))]);
    put(harness, "k", &ObjectAttributes { metadata, ..plain() }, "metadata of 2,049 bytes").await
}
