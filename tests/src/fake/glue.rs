//! Glue's rules for databases, tables and partitions.

use std::collections::BTreeMap;

use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::port::{CatalogPartition, CatalogTable};

use super::calls::Request;
use super::identity::{Principal, glue_arn};
use super::world::World;

/// The most partitions one BatchCreatePartition takes.
pub(crate) const BATCH_LIMIT: usize = 100;

/// What an encrypted catalog asks of the caller (Glue Developer Guide, "Encrypting your Data Catalog"). Reads ask for less;
/// the fake does not tell them apart.
const CATALOG_KEY_ACTIONS: &[&str] = &["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"];

/// A table as the catalog holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTable {
    /// The definition.
    pub table: CatalogTable,
    /// Locations by partition values.
    pub partitions: BTreeMap<Vec<String>, String>,
}

/// The catalog of one account.
#[derive(Debug, Default)]
pub(crate) struct CatalogState {
    /// Tables by name, by database.
    pub(crate) databases: BTreeMap<String, BTreeMap<String, StoredTable>>,
    /// The key its metadata is encrypted with.
    pub(crate) key: Option<String>,
}

/// What a creation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Creation {
    Created,
    AlreadyExists,
    /// `EntityNotFoundException`: the database, or the table, is not there.
    NoParent,
}

impl World {
    /// The caller's account, once the caller may do this to a database, or to a table of it.
    fn demand_glue(
        &self,
        request: &Request,
        action: &str,
        database: &str,
        table: Option<&str>,
    ) -> Result<String, PortError> {
        let account = self.account_of(&request.principal);
        let region = match &request.principal {
            Principal::Landfall(_) => self.region.clone(),
            Principal::Session(session) => session.access.region.clone(),
        };
        // Glue asks for the permission on the catalog and the database as well as on the table.
        let mut entities = vec!["catalog".to_owned(), format!("database/{database}")];
        entities.extend(table.map(|table| format!("table/{database}/{table}")));
        let permitted = entities.iter().all(|rest| {
            self.may(&request.principal, &account, action, &glue_arn(&region, &account, rest), None)
        });
        if !permitted {
            return Err(request.refuse(PortErrorKind::CatalogRefused, "AccessDeniedException"));
        }
        let key = self.catalogs.get(&account).and_then(|catalog| catalog.key.as_deref());
        let uses = CATALOG_KEY_ACTIONS;
        if key.is_some_and(|key| !uses.iter().all(|action| self.may_use_key(&request.principal, key, action)))
        {
            return Err(request.refuse(PortErrorKind::KeyRefused, "GlueEncryptionException"));
        }
        Ok(account)
    }

    pub(crate) fn create_database(
        &mut self,
        request: &Request,
        database: &str,
    ) -> Result<Creation, PortError> {
        let account = self.demand_glue(request, "glue:CreateDatabase", database, None)?;
        check_name(request, database)?;
        let databases = &mut self.catalogs.entry(account).or_default().databases;
        if databases.contains_key(database) {
            return Ok(Creation::AlreadyExists);
        }
        databases.insert(database.to_owned(), BTreeMap::new());
        Ok(Creation::Created)
    }

    pub(crate) fn get_table(
        &self,
        request: &Request,
        database: &str,
        table: &str,
    ) -> Result<Option<CatalogTable>, PortError> {
        let account = self.demand_glue(request, "glue:GetTable", database, Some(table))?;
        Ok(self.stored(&account, database, table).map(|stored| stored.table.clone()))
    }

    pub(crate) fn create_table(
        &mut self,
        request: &Request,
        table: &CatalogTable,
    ) -> Result<Creation, PortError> {
        let (database, name) = (&table.database, &table.table);
        let account = self.demand_glue(request, "glue:CreateTable", database, Some(name))?;
        check_name(request, name)?;
        let mut columns: Vec<String> = table
            .columns
            .iter()
            .chain(&table.partition_keys)
            .map(|column| column.name.to_lowercase())
            .collect();
        columns.sort_unstable();
        if columns.windows(2).any(|pair| matches!(pair, [left, right] if left == right)) {
            // Athena refuses a partition key that is a column as well.
            return Err(request.refuse(PortErrorKind::Invalid, "InvalidInputException"));
        }
        let Some(tables) = self.catalogs.entry(account).or_default().databases.get_mut(database) else {
            return Ok(Creation::NoParent);
        };
        if tables.contains_key(name) {
            return Ok(Creation::AlreadyExists);
        }
        tables.insert(name.clone(), StoredTable { table: table.clone(), partitions: BTreeMap::new() });
        Ok(Creation::Created)
    }

    pub(crate) fn get_partition(
        &self,
        request: &Request,
        table: &CatalogTable,
        values: &[String],
    ) -> Result<Option<String>, PortError> {
        let (database, name) = (&table.database, &table.table);
        let account = self.demand_glue(request, "glue:GetPartition", database, Some(name))?;
        Ok(self.stored(&account, database, name).and_then(|stored| stored.partitions.get(values).cloned()))
    }

    /// Creates partitions; one answer for each, in order. A batch is not atomic.
    pub(crate) fn create_partitions(
        &mut self,
        request: &Request,
        table: &CatalogTable,
        partitions: &[CatalogPartition],
    ) -> Result<Vec<Creation>, PortError> {
        let (database, name) = (&table.database, &table.table);
        let account = self.demand_glue(request, "glue:BatchCreatePartition", database, Some(name))?;
        if partitions.len() > BATCH_LIMIT {
            return Err(request.refuse(PortErrorKind::Invalid, "ValidationException"));
        }
        let stored = self
            .catalogs
            .entry(account)
            .or_default()
            .databases
            .get_mut(database)
            .and_then(|tables| tables.get_mut(name))
            .ok_or_else(|| request.refuse(PortErrorKind::CatalogRefused, "EntityNotFoundException"))?;
        let keys = stored.table.partition_keys.len();
        if partitions.iter().any(|partition| partition.values.len() != keys) {
            return Err(request.refuse(PortErrorKind::Invalid, "InvalidInputException"));
        }
        let create = |partition: &CatalogPartition| match stored.partitions.entry(partition.values.clone()) {
            std::collections::btree_map::Entry::Occupied(_) => Creation::AlreadyExists,
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(partition.location.clone());
                Creation::Created
            }
        };
        Ok(partitions.iter().map(create).collect())
    }

    pub(crate) fn stored(&self, account: &str, database: &str, table: &str) -> Option<&StoredTable> {
        self.catalogs.get(account)?.databases.get(database)?.get(table)
    }
}

/// Names are folded to lower case by Glue: another case would come back as another name.
fn check_name(request: &Request, name: &str) -> Result<(), PortError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if (1..=255).contains(&name.len()) && name.chars().all(plain) {
        Ok(())
    } else {
        Err(request.refuse(PortErrorKind::Invalid, "InvalidInputException"))
    }
}
