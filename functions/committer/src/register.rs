//! The catalog side of a commit: the table as the contract describes it, and the partitions of the new files.

use std::collections::{BTreeMap, BTreeSet};

use landfall_core::delivery::{GlueTable, PinnedConfig};
use landfall_core::partition::{self, Partition};
use landfall_core::port::{CatalogColumn, CatalogPartition, CatalogTable};

/// The table a delivery needs.
pub(crate) fn table(glue: &GlueTable, pin: &PinnedConfig) -> CatalogTable {
    CatalogTable {
        database: glue.database.clone(),
        table: glue.table.clone(),
        location: format!("s3://{}/{}", pin.bucket, pin.prefix),
        columns: pin
            .file_columns()
            .into_iter()
            .map(|column| CatalogColumn {
                // Glue folds names to lower case: compare and register them so.
                name: column.name.to_ascii_lowercase(),
                hive_type: column.data_type.hive(),
                comment: column.description,
            })
            .collect(),
        partition_keys: pin
            .layout
            .partitions
            .iter()
            // A layout with a level without a name has no table.
            .filter_map(|level| level.name.as_deref())
            .map(|name| CatalogColumn {
                name: name.to_ascii_lowercase(),
                // Athena prunes at the metastore only by columns of type string.
                hive_type: "string".to_owned(),
                comment: None,
            })
            .collect(),
        parameters: BTreeMap::from([
            ("landfall.delivery".to_owned(), pin.delivery.clone()),
            ("landfall.schema_version".to_owned(), pin.contract.version.to_string()),
        ]),
    }
}

/// The partitions in which the files stand; none for a dataset without partitions.
pub(crate) fn partitions<'p>(
    pin: &PinnedConfig,
    of_files: impl Iterator<Item = &'p Partition>,
) -> Vec<CatalogPartition> {
    if pin.layout.partitions.is_empty() {
        return Vec::new();
    }
    let distinct: BTreeSet<CatalogPartition> = of_files
        .map(|of_file| CatalogPartition {
            values: partition::catalog_values(of_file),
            location: format!("s3://{}/{}{}", pin.bucket, pin.prefix, partition::path(of_file)),
        })
        .collect();
    distinct.into_iter().collect()
}
