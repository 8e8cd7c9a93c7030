//! What a `Catalog` promises.

use std::collections::BTreeMap;
use std::future::Future;

use futures::future::join_all;
use landfall_core::error::{ErrorClass, PortErrorKind};
use landfall_core::port::{Catalog, CatalogChange, CatalogColumn, CatalogPartition, CatalogTable};

use super::{Breach, Case, Verdict, expect_kind, failure};

/// A catalog to be held to its promises, and the scene around it.
pub trait CatalogHarness {
    /// The catalog.
    type Catalog: Catalog;

    /// The catalog, acting as its owner.
    fn catalog(&self) -> &Self::Catalog;

    /// A database name that is not in use.
    fn fresh_name(&self) -> String;

    /// A table as it is stored, read past the port: its location, its columns, its partition keys. Parameters are
    /// left out: adapters add their own.
    fn table(&self, database: &str, table: &str) -> impl Future<Output = Option<CatalogTable>>;

    /// Locations of a table's partitions by their values, read past the port.
    fn partitions(&self, database: &str, table: &str) -> impl Future<Output = BTreeMap<Vec<String>, String>>;
}

/// Every case of the suite.
pub fn cases<H: CatalogHarness>() -> Vec<Case<H>> {
    cases![
        everything_missing_is_created,
        a_registration_can_be_repeated,
        a_table_is_created_in_a_database_that_is_there,
        more_than_a_hundred_partitions_are_created,
        only_what_is_missing_is_created,
        registrations_that_race_agree,
        a_partition_elsewhere_is_an_error,
        a_partition_elsewhere_does_not_keep_the_others_out,
        a_table_elsewhere_is_an_error,
        a_table_that_lacks_a_column_is_refused,
        a_table_with_other_partition_keys_is_refused,
        a_table_with_more_columns_is_left_as_it_is,
        a_table_without_partitions_is_created,
        partition_values_are_opaque,
    ]
}

fn column(name: &str, hive_type: &str, comment: Option<&str>) -> CatalogColumn {
    CatalogColumn {
        name: name.to_owned(),
        hive_type: hive_type.to_owned(),
        comment: comment.map(str::to_owned),
    }
}

/// A table of sales by day and region.
fn sales(database: &str) -> CatalogTable {
    CatalogTable {
        database: database.to_owned(),
        table: "sales".to_owned(),
        location: format!("s3://{database}-lake/sales/"),
        columns: vec![
            column("id", "bigint", Some("the sale's number")),
            column("price", "decimal(10,2)", None),
            column("at", "timestamp", None),
            column("tags", "array<string>", None),
        ],
        partition_keys: vec![column("dt", "string", None), column("region", "string", None)],
        parameters: BTreeMap::from([("landfall_delivery".to_owned(), "acme-sales".to_owned())]),
    }
}

fn partition(table: &CatalogTable, day: &str, region: &str) -> CatalogPartition {
    CatalogPartition {
        values: vec![day.to_owned(), region.to_owned()],
        location: format!("{}dt={day}/region={region}/", table.location),
    }
}

async fn everything_missing_is_created<H: CatalogHarness>(harness: &H) -> Verdict {
    let table = sales(&harness.fresh_name());
    let first = partition(&table, "2026-05-19", "eu");
    let change = harness.catalog().register(&table, std::slice::from_ref(&first)).await?;
    let expected = CatalogChange { database_created: true, table_created: true, partitions_created: 1 };
    ensure!(change == expected, "{change:?}");
    let Some(stored) = harness.table(&table.database, "sales").await else {
        return Err(Breach("the table is not there".to_owned()));
    };
    ensure!(stored.location == table.location, "at {}", stored.location);
    ensure!(stored.columns == table.columns, "{:?}", stored.columns);
    ensure!(stored.partition_keys == table.partition_keys, "{:?}", stored.partition_keys);
    let partitions = harness.partitions(&table.database, "sales").await;
    ensure!(partitions == BTreeMap::from([(first.values, first.location)]), "{partitions:?}");
    Ok(())
}

async fn a_registration_can_be_repeated<H: CatalogHarness>(harness: &H) -> Verdict {
    let table = sales(&harness.fresh_name());
    let partitions = [partition(&table, "2026-05-19", "eu"), partition(&table, "2026-05-20", "eu")];
    harness.catalog().register(&table, &partitions).await?;
    let again = harness.catalog().register(&table, &partitions).await?;
    ensure!(again == CatalogChange::default(), "{again:?}");
    Ok(())
}

async fn a_table_is_created_in_a_database_that_is_there<H: CatalogHarness>(harness: &H) -> Verdict {
    let table = sales(&harness.fresh_name());
    harness.catalog().register(&table, &[]).await?;
    let other = CatalogTable { table: "returns".to_owned(), ..table };
    let change = harness.catalog().register(&other, &[]).await?;
    ensure!((change.database_created, change.table_created) == (false, true), "{change:?}");
    Ok(())
}

async fn more_than_a_hundred_partitions_are_created<H: CatalogHarness>(harness: &H) -> Verdict {
    let table = sales(&harness.fresh_name());
    let many: Vec<CatalogPartition> =
        (0..230).map(|n| partition(&table, "2026-05-19", &format!("r{n}"))).collect();
    let change = harness.catalog().register(&table, &many).await?;
    ensure!(change.partitions_created == 230, "{change:?}");
    let stored = harness.partitions(&table.database, "sales").await;
    ensure!(stored.len() == 230, "{} of 230 are there", stored.len());
    Ok(())
}

async fn only_what_is_missing_is_created<H: CatalogHarness>(harness: &H) -> Verdict {
    let table = sales(&harness.fresh_name());
    let all: Vec<CatalogPartition> =
        (0..4).map(|n| partition(&table, "2026-05-19", &format!("r{n}"))).collect();
    harness.catalog().register(&table, all.get(1..3).unwrap_or_default()).await?;
    let change = harness.catalog().register(&table, &all).await?;
    ensure!(change.partitions_created == 2, "{change:?}");
    let stored = harness.partitions(&table.database, "sales").await;
    ensure!(stored.len() == 4, "{stored:?}");
    Ok(())
}

/// Holds a failure to being one that somebody has to look at: neither transient nor of unknown effect.
fn expect_settled(result: Result<CatalogChange, landfall_core::error::PortError>, what: &str) -> Verdict {
    let error = failure(result, what)?;
    let settled = matches!(error.class(), ErrorClass::Permanent | ErrorClass::ClientFixable);
    ensure!(settled, "{what}: {}: {error}", error.class());
    Ok(())
}

async fn a_partition_elsewhere_is_an_error<H: CatalogHarness>(harness: &H) -> Verdict {
    let table = sales(&harness.fresh_name());
    let first = partition(&table, "2026-05-19", "eu");
    harness.catalog().register(&table, std::slice::from_ref(&first)).await?;
    let moved = CatalogPartition { location: "s3://elsewhere/".to_owned(), ..first.clone() };
    expect_settled(harness.catalog().register(&table, &[moved]).await, "a partition elsewhere")?;
    let stored = harness.partitions(&table.database, "sales").await;
    ensure!(stored.get(&first.values) == Some(&first.location), "{stored:?}");
    Ok(())
}

async fn a_partition_elsewhere_does_not_keep_the_others_out<H: CatalogHarness>(harness: &H) -> Verdict {
    let table = sales(&harness.fresh_name());
    let all: Vec<CatalogPartition> =
        ["a", "b", "c"].map(|region| partition(&table, "2026-05-19", region)).to_vec();
    harness.catalog().register(&table, all.get(1..2).unwrap_or_default()).await?;
    let moved = |mut partition: CatalogPartition| {
        if partition.values.iter().any(|value| value == "b") {
            "s3://elsewhere/".clone_into(&mut partition.location);
        }
        partition
    };
    let wanted: Vec<CatalogPartition> = all.iter().cloned().map(moved).collect();
    expect_settled(harness.catalog().register(&table, &wanted).await, "a partition elsewhere")?;
    let stored = harness.partitions(&table.database, "sales").await;
    let expected: BTreeMap<Vec<String>, String> =
        all.into_iter().map(|partition| (partition.values, partition.location)).collect();
    ensure!(stored == expected, "{stored:?}");
    Ok(())
}

async fn registrations_that_race_agree<H: CatalogHarness>(harness: &H) -> Verdict {
    let table = sales(&harness.fresh_name());
    let partitions: Vec<CatalogPartition> =
        (0..5).map(|n| partition(&table, "2026-05-19", &format!("r{n}"))).collect();
    let racers = (0..4).map(|_| harness.catalog().register(&table, &partitions));
    let mut total = CatalogChange::default();
    for change in join_all(racers).await {
        let change = change?;
        ensure!(!(total.database_created && change.database_created), "two created the database");
        ensure!(!(total.table_created && change.table_created), "two created the table");
        total.database_created |= change.database_created;
        total.table_created |= change.table_created;
        total.partitions_created += change.partitions_created;
    }
    let expected = CatalogChange { database_created: true, table_created: true, partitions_created: 5 };
    ensure!(total == expected, "{total:?} together");
    Ok(())
}

async fn a_table_elsewhere_is_an_error<H: CatalogHarness>(harness: &H) -> Verdict {
    let table = sales(&harness.fresh_name());
    harness.catalog().register(&table, &[]).await?;
    let moved = CatalogTable { location: "s3://elsewhere/".to_owned(), ..table.clone() };
    expect_settled(harness.catalog().register(&moved, &[]).await, "a table elsewhere")?;
    let stored = harness.table(&table.database, "sales").await;
    ensure!(stored.is_some_and(|stored| stored.location == table.location), "it was moved");
    Ok(())
}

async fn a_table_that_lacks_a_column_is_refused<H: CatalogHarness>(harness: &H) -> Verdict {
    let table = sales(&harness.fresh_name());
    harness.catalog().register(&table, &[]).await?;
    let mut wider = table.clone();
    wider.columns.push(column("new", "string", None));
    let registered = harness.catalog().register(&wider, &[]).await;
    expect_kind(registered, PortErrorKind::CatalogRefused, "a column the table lacks")?;
    let mut other = table;
    other.columns.truncate(1);
    other.columns.extend([column("price", "double", None)]);
    let registered = harness.catalog().register(&other, &[]).await;
    expect_kind(registered, PortErrorKind::CatalogRefused, "a column of another type")
}

async fn a_table_with_other_partition_keys_is_refused<H: CatalogHarness>(harness: &H) -> Verdict {
    let table = sales(&harness.fresh_name());
    harness.catalog().register(&table, &[]).await?;
    let mut swapped = table;
    swapped.partition_keys.reverse();
    let registered = harness.catalog().register(&swapped, &[]).await;
    expect_kind(registered, PortErrorKind::CatalogRefused, "partition keys in another order")
}

async fn a_table_with_more_columns_is_left_as_it_is<H: CatalogHarness>(harness: &H) -> Verdict {
    let table = sales(&harness.fresh_name());
    harness.catalog().register(&table, &[]).await?;
    let mut narrower = table.clone();
    narrower.columns.pop();
    let change = harness.catalog().register(&narrower, &[]).await?;
    ensure!(change == CatalogChange::default(), "{change:?}");
    let stored = harness.table(&table.database, "sales").await;
    ensure!(stored.is_some_and(|stored| stored.columns == table.columns), "the table was changed");
    Ok(())
}

async fn a_table_without_partitions_is_created<H: CatalogHarness>(harness: &H) -> Verdict {
    let mut table = sales(&harness.fresh_name());
    table.partition_keys.clear();
    let change = harness.catalog().register(&table, &[]).await?;
    ensure!((change.table_created, change.partitions_created) == (true, 0), "{change:?}");
    let stored = harness.table(&table.database, "sales").await;
    ensure!(stored.is_some_and(|stored| stored.partition_keys.is_empty()), "it has partition keys");
    Ok(())
}

async fn partition_values_are_opaque<H: CatalogHarness>(harness: &H) -> Verdict {
    let table = sales(&harness.fresh_name());
    let odd: Vec<CatalogPartition> = ["US/East", "a=b", "é 🦀", "..", "__HIVE_DEFAULT_PARTITION__", "100%"]
        .iter()
        .map(|region| partition(&table, "2026-05-19", region))
        .collect();
    harness.catalog().register(&table, &odd).await?;
    let again = harness.catalog().register(&table, &odd).await?;
    ensure!(again.partitions_created == 0, "{again:?}");
    let stored = harness.partitions(&table.database, "sales").await;
    let expected: BTreeMap<Vec<String>, String> =
        odd.into_iter().map(|partition| (partition.values, partition.location)).collect();
    ensure!(stored == expected, "{stored:?}");
    Ok(())
}
