//! The Glue Data Catalog as a catalog.
//!
//! | found | done |
//! |---|---|
//! | no database, no table | created; "exists already" is a success, somebody else was faster |
//! | a table at another location, of another format, that lacks columns, or has other types or partition keys | `CatalogRefused`: its owner has to change it |
//! | a table with more columns | left as it is |
//! | a partition at the same location | a success |
//! | a partition at another location | `CatalogRefused` |
//!
//! Every partition carries its own storage descriptor: readers do not fall back to the table's.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_glue::types::{
    Column, DatabaseInput, PartitionInput, SerDeInfo, StorageDescriptor, Table, TableInput,
};
use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::port::{Catalog, CatalogChange, CatalogColumn, CatalogPartition, CatalogTable};

use crate::error::{Attempt, Service, already_exists, is_existing_entity, is_missing_entity};
use crate::sts::Principal;

/// Partitions of one BatchCreatePartition at most.
const BATCH_PARTITIONS: usize = 100;

const SERDE: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";
const INPUT_FORMAT: &str = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat";
const OUTPUT_FORMAT: &str = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat";

/// A Glue Data Catalog, acting as one principal. Cheap to clone.
#[derive(Clone)]
pub struct GlueCatalog {
    client: aws_sdk_glue::Client,
    principal: Principal,
}

/// What became of the creation of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Creation {
    Created,
    /// Somebody else was faster.
    AlreadyThere,
    NoDatabase,
}

impl Catalog for GlueCatalog {
    async fn register(
        &self,
        table: &CatalogTable,
        partitions: &[CatalogPartition],
    ) -> Result<CatalogChange, PortError> {
        let mut change = CatalogChange::default();
        let mut found = self.find_table(table).await?;
        if found.is_none() {
            let mut creation = self.create_table(table).await?;
            if creation == Creation::NoDatabase {
                change.database_created = self.create_database(table).await?;
                creation = self.create_table(table).await?;
            }
            match creation {
                Creation::Created => change.table_created = true,
                Creation::AlreadyThere => found = self.find_table(table).await?,
                Creation::NoDatabase => {
                    // It was created a moment ago: somebody is at work on the database.
                    let attempt = attempt("create table", &name(table));
                    return Err(attempt.refused(PortErrorKind::Conflict, "the database was dropped just now"));
                }
            }
        }
        if let Some(found) = found {
            check_table(table, &found)?;
        }
        for batch in partitions.chunks(BATCH_PARTITIONS) {
            change.partitions_created += self.create_partitions(table, batch).await?;
        }
        Ok(change)
    }
}

impl GlueCatalog {
    pub(crate) fn new(client: aws_sdk_glue::Client, principal: Principal) -> Self {
        Self { client, principal }
    }

    async fn find_table(&self, table: &CatalogTable) -> Result<Option<Table>, PortError> {
        let attempt = attempt("look up table", &name(table));
        self.principal.ready().await?;
        let answer = self.client.get_table().database_name(&table.database).name(&table.table).send().await;
        match answer {
            // An answer without a table says nothing: it is not an absence.
            Ok(found) => found
                .table
                .map(Some)
                .ok_or_else(|| attempt.refused(PortErrorKind::Unavailable, "the answer holds no table")),
            Err(error) if is_missing_entity(&error) => Ok(None),
            Err(error) => Err(self.principal.learn(attempt.failed(&error))),
        }
    }

    /// Creates the database; false when somebody else was faster. It is not looked up first: that a table cannot be
    /// created without it says enough, and an existing database then needs no right on databases at all.
    async fn create_database(&self, table: &CatalogTable) -> Result<bool, PortError> {
        let attempt = attempt("create database", &table.database);
        let input = DatabaseInput::builder()
            .name(&table.database)
            .build()
            .map_err(|error| attempt.refused(PortErrorKind::Invalid, error.to_string()))?;
        self.principal.ready().await?;
        match self.client.create_database().database_input(input).send().await {
            Ok(_) => Ok(true),
            Err(error) if is_existing_entity(&error) => Ok(false),
            Err(error) => Err(self.principal.learn(attempt.failed(&error))),
        }
    }

    /// Creates the table.
    async fn create_table(&self, table: &CatalogTable) -> Result<Creation, PortError> {
        let attempt = attempt("create table", &name(table));
        let input = TableInput::builder()
            .name(&table.table)
            .table_type("EXTERNAL_TABLE")
            .set_partition_keys(Some(columns(&table.partition_keys, &attempt)?))
            .storage_descriptor(descriptor(table, &table.location, &attempt)?)
            .set_parameters(Some(parameters(table)))
            .build()
            .map_err(|error| attempt.refused(PortErrorKind::Invalid, error.to_string()))?;
        self.principal.ready().await?;
        let answer =
            self.client.create_table().database_name(&table.database).table_input(input).send().await;
        match answer {
            Ok(_) => Ok(Creation::Created),
            Err(error) if is_existing_entity(&error) => Ok(Creation::AlreadyThere),
            Err(error) if is_missing_entity(&error) => Ok(Creation::NoDatabase),
            Err(error) => Err(self.principal.learn(attempt.failed(&error))),
        }
    }

    /// Creates what is missing of one batch of partitions; the number created.
    async fn create_partitions(
        &self,
        table: &CatalogTable,
        batch: &[CatalogPartition],
    ) -> Result<usize, PortError> {
        let attempt = attempt("create partitions of", &name(table));
        let mut inputs = Vec::with_capacity(batch.len());
        for partition in batch {
            inputs.push(
                PartitionInput::builder()
                    .set_values(Some(partition.values.clone()))
                    .storage_descriptor(descriptor(table, &partition.location, &attempt)?)
                    .build(),
            );
        }
        self.principal.ready().await?;
        let answer = self
            .client
            .batch_create_partition()
            .database_name(&table.database)
            .table_name(&table.table)
            .set_partition_input_list(Some(inputs))
            .send()
            .await
            .map_err(|error| self.principal.learn(attempt.failed(&error)))?;
        let mut created = batch.len();
        for failed in answer.errors() {
            created = created.saturating_sub(1);
            let detail = failed.error_detail();
            let code = detail.and_then(|detail| detail.error_code()).unwrap_or_default();
            if !already_exists(code) {
                let message = detail.and_then(|detail| detail.error_message()).unwrap_or_default();
                let values = failed.partition_values().join("/");
                return Err(self
                    .principal
                    .learn(attempt.entry_failed(code, &format!("partition {values}: {message}"))));
            }
            let wanted = batch.iter().find(|partition| partition.values == failed.partition_values());
            let wanted = wanted.ok_or_else(|| {
                attempt.refused(PortErrorKind::Corrupt, "the answer names a partition not asked for")
            })?;
            self.check_partition(table, wanted).await?;
        }
        Ok(created)
    }

    /// Whether a partition that exists already stands where it should.
    async fn check_partition(
        &self,
        table: &CatalogTable,
        wanted: &CatalogPartition,
    ) -> Result<(), PortError> {
        let subject = format!("{} ({})", name(table), wanted.values.join("/"));
        let attempt = attempt("look up partition of", &subject);
        self.principal.ready().await?;
        let answer = self
            .client
            .get_partition()
            .database_name(&table.database)
            .table_name(&table.table)
            .set_partition_values(Some(wanted.values.clone()))
            .send()
            .await;
        let found = match answer {
            Ok(found) => found,
            Err(error) if is_missing_entity(&error) => {
                // It was there a moment ago: somebody is at work on the table.
                return Err(attempt.refused(PortErrorKind::Conflict, "the partition was dropped just now"));
            }
            Err(error) => return Err(self.principal.learn(attempt.failed(&error))),
        };
        let location = found
            .partition()
            .and_then(|partition| partition.storage_descriptor())
            .and_then(|descriptor| descriptor.location());
        check_location(&attempt, &wanted.location, location)
    }
}

/// Catalog calls are idempotent: an unknown effect is settled by doing them again.
fn attempt(operation: &'static str, subject: &str) -> Attempt {
    Attempt::read(Service::Glue, operation, subject)
}

fn name(table: &CatalogTable) -> String {
    format!("{}.{}", table.database, table.table)
}

/// Whether the table that is there can hold what is delivered.
fn check_table(wanted: &CatalogTable, found: &Table) -> Result<(), PortError> {
    let attempt = attempt("register in table", &name(wanted));
    let descriptor = found.storage_descriptor();
    check_location(&attempt, &wanted.location, descriptor.and_then(StorageDescriptor::location))?;
    // Readers of a table format take their files from its own metadata: a partition here would never be read.
    let format = found.parameters().and_then(|parameters| parameters.get("table_type"));
    let serde = descriptor
        .and_then(StorageDescriptor::serde_info)
        .and_then(SerDeInfo::serialization_library)
        .unwrap_or_default();
    if format.is_some() || serde != SERDE {
        let what = format.map_or(serde, String::as_str);
        let message = format!("the table is not one of Parquet files: {what:?}");
        return Err(attempt.refused(PortErrorKind::CatalogRefused, message));
    }
    let keys: Vec<String> = found.partition_keys().iter().map(key_text).collect();
    let keys_wanted: Vec<String> =
        wanted.partition_keys.iter().map(|key| format!("{} {}", key.name, key.hive_type)).collect();
    if keys != keys_wanted {
        let message = format!(
            "the table is partitioned by ({}), the delivery by ({})",
            keys.join(", "),
            keys_wanted.join(", ")
        );
        return Err(attempt.refused(PortErrorKind::CatalogRefused, message));
    }
    let columns: HashMap<&str, &str> = descriptor
        .map(StorageDescriptor::columns)
        .unwrap_or_default()
        .iter()
        .map(|column| (column.name(), column.r#type().unwrap_or_default()))
        .collect();
    let differing: Vec<String> = wanted
        .columns
        .iter()
        .filter_map(|column| match columns.get(column.name.as_str()) {
            None => Some(format!("{} {} is missing", column.name, column.hive_type)),
            Some(there) if !there.eq_ignore_ascii_case(&column.hive_type) => {
                Some(format!("{} is {there}, delivered as {}", column.name, column.hive_type))
            }
            Some(_) => None,
        })
        .collect();
    if differing.is_empty() {
        return Ok(());
    }
    let message = format!("the table's columns do not hold the delivery: {}", differing.join("; "));
    Err(attempt.refused(PortErrorKind::CatalogRefused, message))
}

/// A partition key as errors show it.
fn key_text(key: &Column) -> String {
    format!("{} {}", key.name(), key.r#type().unwrap_or_default())
}

/// Locations are the same with and without the slash at the end.
fn check_location(attempt: &Attempt, wanted: &str, found: Option<&str>) -> Result<(), PortError> {
    let found = found.unwrap_or_default();
    if found.trim_end_matches('/') == wanted.trim_end_matches('/') {
        return Ok(());
    }
    let message = format!("it stands at {found:?} already, the delivery fills {wanted:?}");
    Err(attempt.refused(PortErrorKind::CatalogRefused, message))
}

fn columns(columns: &[CatalogColumn], attempt: &Attempt) -> Result<Vec<Column>, PortError> {
    columns
        .iter()
        .map(|column| {
            Column::builder()
                .name(&column.name)
                .r#type(&column.hive_type)
                .set_comment(column.comment.clone())
                .build()
                .map_err(|error| attempt.refused(PortErrorKind::Invalid, error.to_string()))
        })
        .collect()
}

/// How Parquet files at a location are read.
fn descriptor(
    table: &CatalogTable,
    location: &str,
    attempt: &Attempt,
) -> Result<StorageDescriptor, PortError> {
    let serde =
        SerDeInfo::builder().serialization_library(SERDE).parameters("serialization.format", "1").build();
    Ok(StorageDescriptor::builder()
        .set_columns(Some(columns(&table.columns, attempt)?))
        .location(location)
        .input_format(INPUT_FORMAT)
        .output_format(OUTPUT_FORMAT)
        .serde_info(serde)
        .build())
}

fn parameters(table: &CatalogTable) -> HashMap<String, String> {
    let mut parameters = HashMap::from([
        ("EXTERNAL".to_owned(), "TRUE".to_owned()),
        ("classification".to_owned(), "parquet".to_owned()),
    ]);
    parameters.extend(table.parameters.clone());
    parameters
}

// The SDK's own text is a page long, and holds what nobody should log.
impl fmt::Debug for GlueCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlueCatalog").field("principal", &self.principal).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
