//! Listings: order, prefixes, pages.

use futures::future::join_all;

use super::{Breach, Bucket, Case, ObjectStore as _, StoreHarness, Verdict, create};

pub(super) fn cases<H: StoreHarness>() -> Vec<Case<H>> {
    cases![
        a_listing_is_in_byte_order_below_its_prefix,
        a_listing_goes_on_behind_a_key,
        a_listing_goes_on_page_by_page,
        a_listing_goes_on_although_its_last_key_is_gone,
        a_listing_shows_what_is_there,
    ]
}

/// The keys of all pages.
async fn all_keys<H: StoreHarness>(
    harness: &H,
    bucket: &Bucket,
    prefix: &str,
    after: Option<&str>,
) -> Result<Vec<String>, Breach> {
    let mut keys = Vec::new();
    let mut page = None;
    loop {
        let after = if page.is_none() { after } else { None };
        let answer = harness.store().list(bucket, prefix, after, page.as_deref()).await?;
        keys.extend(answer.objects.into_iter().map(|object| object.key));
        page = answer.next;
        if page.is_none() {
            return Ok(keys);
        }
    }
}

async fn a_listing_is_in_byte_order_below_its_prefix<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let mut inside =
        ["p/B", "p/a", "p/a/b", "p/a-b", "p/a b", "p/é", "p/~", "p/10", "p/9", "p/\u{ffff}", "p/🦀"];
    for key in inside.iter().chain(&["p", "o/x", "q/x", "P/x"]) {
        create(harness, &bucket, key, b"x").await?;
    }
    inside.sort_unstable();
    let listed = all_keys(harness, &bucket, "p/", None).await?;
    ensure!(listed == inside, "{listed:?}");
    ensure!(
        all_keys(harness, &bucket, "none/", None).await?.is_empty(),
        "a prefix without objects lists some"
    );
    Ok(())
}

async fn a_listing_goes_on_behind_a_key<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    for key in ["p/a", "p/b", "p/c"] {
        create(harness, &bucket, key, b"x").await?;
    }
    for (after, expected) in
        [("p/a", &["p/b", "p/c"][..]), ("p/aa", &["p/b", "p/c"]), ("p/c", &[]), ("a", &["p/a", "p/b", "p/c"])]
    {
        let listed = all_keys(harness, &bucket, "p/", Some(after)).await?;
        ensure!(listed == expected, "after {after}: {listed:?}");
    }
    Ok(())
}

async fn a_listing_goes_on_page_by_page<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let keys: Vec<String> = (0..harness.more_than_a_page()).map(|n| format!("p/{n:05}")).collect();
    for group in keys.chunks(16) {
        for created in join_all(group.iter().map(|key| create(harness, &bucket, key, b"x"))).await {
            created?;
        }
    }
    let first = harness.store().list(&bucket, "p/", None, None).await?;
    ensure!(first.next.is_some(), "{} objects came in one page", first.objects.len());
    let listed = all_keys(harness, &bucket, "p/", None).await?;
    ensure!(listed == keys, "{} of {} keys", listed.len(), keys.len());
    let behind = all_keys(harness, &bucket, "p/", Some("p/00001")).await?;
    ensure!(behind.len() == keys.len() - 2, "{} keys behind the second", behind.len());
    Ok(())
}

async fn a_listing_goes_on_although_its_last_key_is_gone<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(false).await;
    let keys: Vec<String> = (0..harness.more_than_a_page()).map(|n| format!("p/{n:05}")).collect();
    for group in keys.chunks(16) {
        for created in join_all(group.iter().map(|key| create(harness, &bucket, key, b"x"))).await {
            created?;
        }
    }
    let first = harness.store().list(&bucket, "p/", None, None).await?;
    let Some(last) = first.objects.last() else { return Err(Breach("the first page is empty".to_owned())) };
    harness.store().delete(&bucket, &last.key, &last.etag).await?;
    let Some(next) = first.next.as_deref() else { return Err(Breach("all came in one page".to_owned())) };
    let second = harness.store().list(&bucket, "p/", None, Some(next)).await?;
    let goes_on = second.objects.first().map(|object| object.key.as_str());
    let expected = keys.get(first.objects.len()).map(String::as_str);
    ensure!(goes_on == expected, "it goes on at {goes_on:?} instead of {expected:?}");
    Ok(())
}

async fn a_listing_shows_what_is_there<H: StoreHarness>(harness: &H) -> Verdict {
    let bucket = harness.fresh_bucket(true).await;
    let gone = create(harness, &bucket, "gone", b"x").await?;
    let etag = create(harness, &bucket, "k", b"four").await?;
    harness.store().delete(&bucket, "gone", &gone).await?;
    let listed = harness.store().list(&bucket, "", None, None).await?.objects;
    let [object] = listed.as_slice() else { return Err(Breach(format!("{listed:?}"))) };
    ensure!((object.key.as_str(), object.size) == ("k", 4), "{object:?}");
    ensure!(object.etag == etag, "the listing says {}, the put {etag}", object.etag);
    Ok(())
}
