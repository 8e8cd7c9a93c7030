//! Registration against what the catalog holds.

use std::collections::BTreeMap;

use landfall_core::error::{ErrorClass, PortError, PortErrorKind};
use landfall_core::port::{Catalog, CatalogChange, CatalogColumn, CatalogPartition, CatalogTable};

use crate::replay::{Answer, Replay, answer, json_error};

fn column(name: &str, hive_type: &str) -> CatalogColumn {
    CatalogColumn { name: name.into(), hive_type: hive_type.into(), comment: None }
}

fn table() -> CatalogTable {
    CatalogTable {
        database: "lake".into(),
        table: "sales".into(),
        location: "s3://acme-lake/lake/sales/".into(),
        columns: vec![column("id", "bigint"), column("price", "decimal(10,2)")],
        partition_keys: vec![column("dt", "string")],
        parameters: BTreeMap::new(),
    }
}

fn partitions(count: usize) -> Vec<CatalogPartition> {
    (0..count)
        .map(|day| CatalogPartition {
            values: vec![format!("{day:03}")],
            location: format!("s3://acme-lake/lake/sales/dt={day:03}/"),
        })
        .collect()
}

const PARQUET: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";

/// The table as the catalog shows it.
fn found(location: &str, columns: &str) -> Answer {
    altered(location, columns, "string", PARQUET, "")
}

/// The same with another type of its partition key, another SerDe, or parameters.
fn altered(location: &str, columns: &str, key: &str, serde: &str, parameters: &str) -> Answer {
    answer(
        200,
        format!(
            r#"{{"Table":{{"Name":"sales","PartitionKeys":[{{"Name":"dt","Type":"{key}"}}],"Parameters":{{{parameters}}},
            "StorageDescriptor":{{"Location":"{location}","Columns":[{columns}],
            "SerdeInfo":{{"SerializationLibrary":"{serde}"}}}}}}}}"#
        ),
    )
}

const COLUMNS: &str =
    r#"{"Name":"id","Type":"bigint"},{"Name":"price","Type":"decimal(10,2)"},{"Name":"more","Type":"int"}"#;

fn as_wanted() -> Answer {
    found("s3://acme-lake/lake/sales", COLUMNS)
}

fn exists_already(values: &str) -> Answer {
    answer(
        200,
        format!(
            r#"{{"Errors":[{{"PartitionValues":["{values}"],
            "ErrorDetail":{{"ErrorCode":"AlreadyExistsException","ErrorMessage":"there"}}}}]}}"#
        ),
    )
}

fn partition_at(location: &str) -> Answer {
    answer(200, format!(r#"{{"Partition":{{"StorageDescriptor":{{"Location":"{location}"}}}}}}"#))
}

async fn register(answers: Vec<Answer>, count: usize) -> (Result<CatalogChange, PortError>, Replay) {
    let replay = Replay::new(answers);
    let result = replay.clients().catalog().register(&table(), &partitions(count)).await;
    (result, replay)
}

fn operations(replay: &Replay) -> Vec<String> {
    let target = |asked: &crate::replay::Asked| asked.header("x-amz-target").replace("AWSGlue.", "");
    replay.asked().iter().map(target).collect()
}

#[tokio::test]
async fn what_is_missing_is_created() {
    let (change, replay) = register(
        vec![
            json_error(400, "EntityNotFoundException"),
            json_error(400, "EntityNotFoundException"),
            answer(200, "{}"),
            answer(200, "{}"),
            answer(200, r#"{"Errors":[]}"#),
        ],
        1,
    )
    .await;
    let expected = CatalogChange { database_created: true, table_created: true, partitions_created: 1 };
    assert_eq!(change.unwrap(), expected);
    assert_eq!(
        operations(&replay),
        ["GetTable", "CreateTable", "CreateDatabase", "CreateTable", "BatchCreatePartition"]
    );
    let table = &replay.asked()[3].body;
    for part in
        ["EXTERNAL_TABLE", "ParquetHiveSerDe", "MapredParquetInputFormat", r#""classification":"parquet""#]
    {
        assert!(table.contains(part), "{part} is not in {table}");
    }
    let partition = &replay.asked()[4].body;
    assert!(partition.contains("dt=000/") && partition.contains("ParquetHiveSerDe"), "{partition}");
}

#[tokio::test]
async fn somebody_who_was_faster_is_a_success() {
    let (change, _) = register(
        vec![
            json_error(400, "EntityNotFoundException"),
            json_error(400, "EntityNotFoundException"),
            json_error(400, "AlreadyExistsException"),
            json_error(400, "AlreadyExistsException"),
            as_wanted(),
            exists_already("000"),
            partition_at("s3://acme-lake/lake/sales/dt=000"),
        ],
        1,
    )
    .await;
    assert_eq!(change.unwrap(), CatalogChange::default());
}

#[tokio::test]
async fn partitions_are_created_by_the_hundred() {
    let (change, replay) =
        register(vec![as_wanted(), answer(200, "{}"), answer(200, "{}"), answer(200, "{}")], 250).await;
    assert_eq!(change.unwrap().partitions_created, 250);
    let counts: Vec<usize> =
        replay.asked()[1..].iter().map(|asked| asked.body.matches("\"Values\"").count()).collect();
    assert_eq!(counts, [100, 100, 50]);
}

#[tokio::test]
async fn a_partition_elsewhere_is_an_error_that_names_both_places() {
    let (change, _) =
        register(vec![as_wanted(), exists_already("000"), partition_at("s3://other/place/")], 1).await;
    let error = change.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::CatalogRefused);
    assert!(error.message.contains("s3://other/place/") && error.message.contains("dt=000"), "{error}");
}

#[tokio::test]
async fn errors_of_single_partitions_surface() {
    let failed = answer(
        200,
        r#"{"Errors":[{"PartitionValues":["000"],
            "ErrorDetail":{"ErrorCode":"ResourceNumberLimitExceededException","ErrorMessage":"full"}}]}"#,
    );
    let (change, _) = register(vec![as_wanted(), failed], 1).await;
    let error = change.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::CatalogRefused);
    assert!(error.message.contains("partition 000: full"), "{error}");
}

const PLACE: &str = "s3://acme-lake/lake/sales/";

#[tokio::test]
async fn tables_that_cannot_hold_the_delivery_are_named() {
    for (given, kind, text) in [
        (found("s3://other/", COLUMNS), PortErrorKind::CatalogRefused, "s3://other/"),
        (
            found("s3://acme-lake/lake/sales/", r#"{"Name":"id","Type":"int"}"#),
            PortErrorKind::CatalogRefused,
            "id is int, delivered as bigint; price decimal(10,2) is missing",
        ),
        (
            altered(PLACE, COLUMNS, "int", PARQUET, ""),
            PortErrorKind::CatalogRefused,
            "partitioned by (dt int), the delivery by (dt string)",
        ),
        (
            altered(PLACE, COLUMNS, "string", "org.openx.data.jsonserde.JsonSerDe", ""),
            PortErrorKind::CatalogRefused,
            "JsonSerDe",
        ),
        (
            altered(PLACE, COLUMNS, "string", PARQUET, r#""table_type":"ICEBERG""#),
            PortErrorKind::CatalogRefused,
            "ICEBERG",
        ),
    ] {
        let (change, _) = register(vec![given], 1).await;
        let error = change.unwrap_err();
        assert_eq!(error.kind, kind);
        assert!(error.message.contains(text), "{error}");
    }
}

#[tokio::test]
async fn refusals_are_never_taken_for_absence() {
    let (change, replay) = register(vec![json_error(400, "AccessDeniedException")], 1).await;
    let error = change.unwrap_err();
    assert_eq!((error.kind, error.class()), (PortErrorKind::CatalogRefused, ErrorClass::ClientFixable));
    assert_eq!(operations(&replay), ["GetTable"]);
}
