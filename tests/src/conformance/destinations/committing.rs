//! Sessions that commit: temps are read and removed, files published and never removed, one table registered.

use landfall_core::delivery::Access;
use landfall_core::port::{CatalogPartition, DeleteOutcome, GetOutcome};

use super::{
    Breach, Case, Catalog as _, CatalogTable, Client, CopyOutcome, DestinationsHarness, ObjectStore as _,
    PortErrorKind, Purpose, PutOutcome, Verdict, copy, denies_everything, expect_kind, open, put, register,
    send,
};

pub(super) fn cases<H: DestinationsHarness>() -> Vec<Case<H>> {
    cases![
        committing_publishes_and_removes_temps,
        committing_finds_that_a_file_is_absent,
        committing_never_deletes_what_is_published,
        committing_publishes_at_no_other_key,
        committing_publishes_nothing_of_others,
        committing_reaches_no_other_key,
        committing_reaches_no_other_bucket,
        committing_registers_its_table,
        committing_registers_no_other_table,
        committing_registers_in_no_other_database,
        committing_without_a_catalog_registers_nothing,
        committing_has_no_queue,
    ]
}

async fn committing_publishes_and_removes_temps<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let (bucket, temp, out) = (client.bucket(), client.temp("1"), client.out("dt=2026-05-19/1"));
    let etag = harness.place(&bucket, &temp, "rows").await;
    let store = open(harness, &client, Purpose::Commit).await?.store;
    let got = store.get(&bucket, &temp, Some(&etag), None).await?;
    ensure!(matches!(got, GetOutcome::Found(..)), "the temp cannot be read");
    let copied = copy(harness, &store, &bucket, (&temp, &etag), &out).await?;
    ensure!(matches!(copied, CopyOutcome::Copied { .. }), "{copied:?}");
    let again = copy(harness, &store, &bucket, (&temp, &etag), &out).await?;
    ensure!(again == CopyOutcome::DestinationExists, "{again:?}");
    ensure!(store.head(&bucket, &out).await?.is_some(), "HEAD");
    let listed = store.list(&bucket, &client.access.prefix, None, None).await?.objects;
    ensure!(listed.len() == 1, "{listed:?}");
    let deleted = store.delete(&bucket, &temp, &etag).await?;
    ensure!(deleted == DeleteOutcome::Deleted, "{deleted:?}");
    let gone = copy(harness, &store, &bucket, (&temp, &etag), &client.out("2")).await?;
    ensure!(gone == CopyOutcome::SourceChanged, "a temp that is gone: {gone:?}");
    Ok(())
}

async fn committing_finds_that_a_file_is_absent<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let store = open(harness, &client, Purpose::Commit).await?.store;
    for key in [client.temp("none"), client.out("none")] {
        ensure!(store.head(&client.bucket(), &key).await?.is_none(), "HEAD {key} found something");
    }
    Ok(())
}

async fn committing_never_deletes_what_is_published<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let (bucket, key) = (client.bucket(), client.out("1"));
    let store = open(harness, &client, Purpose::Commit).await?.store;
    let PutOutcome::Written { etag, .. } = put(&store, &bucket, &key).await? else {
        return Err(Breach("the key was taken".to_owned()));
    };
    expect_kind(store.delete(&bucket, &key, &etag).await, PortErrorKind::Denied, "a delete")?;
    ensure!(harness.keys(&bucket).await == [key], "it is gone");
    Ok(())
}

async fn committing_publishes_at_no_other_key<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let (bucket, temp) = (client.bucket(), client.temp("1"));
    let etag = harness.place(&bucket, &temp, "rows").await;
    let store = open(harness, &client, Purpose::Commit).await?.store;
    for key in client.foreign_keys() {
        let copied = copy(harness, &store, &bucket, (&temp, &etag), &key).await;
        expect_kind(copied, PortErrorKind::Denied, &format!("a copy to {key}"))?;
    }
    ensure!(harness.keys(&bucket).await == [temp], "a copy was made");
    Ok(())
}

async fn committing_publishes_nothing_of_others<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let (bucket, out) = (client.bucket(), client.out("1"));
    let store = open(harness, &client, Purpose::Commit).await?.store;
    for key in client.foreign_keys() {
        let etag = harness.place(&bucket, &key, "rows").await;
        let copied = copy(harness, &store, &bucket, (&key, &etag), &out).await;
        expect_kind(copied, PortErrorKind::Denied, &format!("a copy of {key}"))?;
    }
    ensure!(!harness.keys(&bucket).await.contains(&out), "a copy was made");
    Ok(())
}

async fn committing_reaches_no_other_key<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let bucket = client.bucket();
    let store = open(harness, &client, Purpose::Commit).await?.store;
    for key in client.foreign_keys() {
        let etag = harness.place(&bucket, &key, "rows").await;
        denies_everything(harness, &store, &bucket, (&key, &etag)).await?;
    }
    Ok(())
}

async fn committing_reaches_no_other_bucket<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let store = open(harness, &client, Purpose::Commit).await?.store;
    for key in [client.temp("1"), client.out("1")] {
        let etag = harness.place(&client.other_bucket, &key, "rows").await;
        denies_everything(harness, &store, &client.other_bucket, (&key, &etag)).await?;
    }
    Ok(())
}

async fn committing_registers_its_table<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let commit = open(harness, &client, Purpose::Commit).await?;
    let table = client.table();
    let partition = CatalogPartition { values: Vec::new(), location: table.location.clone() };
    let change = register(&commit.catalog, &table).await?;
    ensure!((change.database_created, change.table_created) == (true, true), "{change:?}");
    let again = commit.catalog.register(&table, std::slice::from_ref(&partition)).await?;
    ensure!((again.table_created, again.partitions_created) == (false, 1), "{again:?}");
    let known = commit.catalog.register(&table, &[partition]).await?;
    ensure!(known.partitions_created == 0, "{known:?}");
    Ok(())
}

async fn committing_registers_no_other_table<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let commit = open(harness, &client, Purpose::Commit).await?;
    let table = client.table();
    register(&commit.catalog, &table).await?;
    let beside = CatalogTable { table: format!("{}_b", table.table), ..table };
    let registered = register(&commit.catalog, &beside).await;
    expect_kind(registered, PortErrorKind::CatalogRefused, "registering another table")
}

async fn committing_registers_in_no_other_database<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let commit = open(harness, &client, Purpose::Commit).await?;
    let table = client.table();
    let elsewhere = CatalogTable { database: format!("{}_b", table.database), ..table };
    let registered = register(&commit.catalog, &elsewhere).await;
    expect_kind(registered, PortErrorKind::CatalogRefused, "registering in another database")
}

async fn committing_without_a_catalog_registers_nothing<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let bare = Client { access: Access { glue: None, ..client.access.clone() }, ..client.clone() };
    let commit = open(harness, &bare, Purpose::Commit).await?;
    let registered = register(&commit.catalog, &client.table()).await;
    expect_kind(registered, PortErrorKind::CatalogRefused, "registering")
}

async fn committing_has_no_queue<H: DestinationsHarness>(harness: &H) -> Verdict {
    let client = harness.fresh_client().await;
    let commit = open(harness, &client, Purpose::Commit).await?;
    for arn in client.access.queue_arns.iter().chain([&client.other_queue]) {
        expect_kind(send(&commit.queue, arn).await, PortErrorKind::QueueRefused, "sending")?;
    }
    Ok(())
}
