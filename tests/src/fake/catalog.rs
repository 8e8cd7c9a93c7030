//! The `Catalog` port over the fake.

use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::port::{Catalog, CatalogChange, CatalogColumn, CatalogPartition, CatalogTable};

use super::FakeAws;
use super::calls::Request;
use super::glue::{BATCH_LIMIT, Creation};
use super::identity::Principal;

/// The catalog of one account, used by one principal.
#[derive(Debug, Clone)]
pub struct FakeCatalog {
    fake: FakeAws,
    principal: Principal,
}

impl FakeCatalog {
    pub(crate) fn new(fake: &FakeAws, principal: Principal) -> Self {
        Self { fake: fake.clone(), principal }
    }

    /// Catalog calls are idempotent: an unknown effect is settled by doing them again.
    fn read(&self, operation: &'static str, resource: &str) -> Request {
        Request::read(operation, &self.principal, resource)
    }

    async fn create_database(&self, database: &str) -> Result<bool, PortError> {
        let request = self.read("CreateDatabase", database);
        let created =
            self.fake.call(request, |world, request| world.create_database(request, database)).await?;
        Ok(created == Creation::Created)
    }

    async fn create_table(&self, table: &CatalogTable, resource: &str) -> Result<Creation, PortError> {
        let request = self.read("CreateTable", resource);
        self.fake.call(request, |world, request| world.create_table(request, table)).await
    }

    async fn find_table(
        &self,
        table: &CatalogTable,
        resource: &str,
    ) -> Result<Option<CatalogTable>, PortError> {
        let request = self.read("GetTable", resource);
        let (database, name) = (&table.database, &table.table);
        self.fake.call(request, |world, request| world.get_table(request, database, name)).await
    }
}

impl Catalog for FakeCatalog {
    async fn register(
        &self,
        table: &CatalogTable,
        partitions: &[CatalogPartition],
    ) -> Result<CatalogChange, PortError> {
        let resource = format!("{}.{}", table.database, table.table);
        let mut change = CatalogChange::default();
        let mut found = self.find_table(table, &resource).await?;
        if found.is_none() {
            let mut creation = self.create_table(table, &resource).await?;
            if creation == Creation::NoParent {
                change.database_created = self.create_database(&table.database).await?;
                creation = self.create_table(table, &resource).await?;
            }
            match creation {
                Creation::Created => change.table_created = true,
                Creation::AlreadyExists => found = self.find_table(table, &resource).await?,
                Creation::NoParent => {
                    let message = "the database was dropped just now";
                    return Err(PortError::new("CreateTable", resource, PortErrorKind::Conflict, message));
                }
            }
        }
        if let Some(found) = found {
            check_table(table, &found, &resource)?;
        }
        for chunk in partitions.chunks(BATCH_LIMIT) {
            let names: Vec<String> = chunk.iter().map(|partition| partition.values.join("/")).collect();
            let request = self.read("BatchCreatePartition", &resource).key(&names.join(" "));
            let answers = self
                .fake
                .call(request, |world, request| world.create_partitions(request, table, chunk))
                .await?;
            for (partition, answer) in chunk.iter().zip(answers) {
                if answer == Creation::Created {
                    change.partitions_created += 1;
                    continue;
                }
                let request = self.read("GetPartition", &resource).key(&partition.values.join("/"));
                let values = &partition.values;
                let location = self
                    .fake
                    .call(request, |world, request| world.get_partition(request, table, values))
                    .await?;
                let location = location.unwrap_or_default();
                if !same_place(&location, &partition.location) {
                    return Err(elsewhere("BatchCreatePartition", &resource, &location));
                }
            }
        }
        Ok(change)
    }
}

/// Whether the table that is there can hold what is delivered.
fn check_table(wanted: &CatalogTable, found: &CatalogTable, resource: &str) -> Result<(), PortError> {
    if !same_place(&wanted.location, &found.location) {
        return Err(elsewhere("GetTable", resource, &found.location));
    }
    let keys = |columns: &[CatalogColumn]| {
        columns.iter().map(|column| (column.name.clone(), column.hive_type.clone())).collect::<Vec<_>>()
    };
    let holds = |wanted: &CatalogColumn| {
        let there = found.columns.iter().find(|column| column.name == wanted.name);
        there.is_some_and(|there| there.hive_type.eq_ignore_ascii_case(&wanted.hive_type))
    };
    if keys(&wanted.partition_keys) == keys(&found.partition_keys) && wanted.columns.iter().all(holds) {
        return Ok(());
    }
    let message = "the table's columns do not hold the delivery";
    Err(PortError::new("GetTable", resource, PortErrorKind::CatalogRefused, message))
}

/// Locations are the same with and without the slash at the end.
fn same_place(left: &str, right: &str) -> bool {
    left.trim_end_matches('/') == right.trim_end_matches('/')
}

/// Nothing is registered at a place we do not fill.
fn elsewhere(operation: &'static str, resource: &str, location: &str) -> PortError {
    PortError::new(
        operation,
        resource,
        PortErrorKind::CatalogRefused,
        format!("stands at {location} already"),
    )
}
