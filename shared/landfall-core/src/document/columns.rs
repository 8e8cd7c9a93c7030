//! The columns that the layout names: those with a Bloom filter, and those that rows are sorted by.

use super::contract::KnownColumn;
use super::rules;
use super::section::Field;
use super::suggest::closest;
use crate::data_type::DataType;
use crate::layout::SortKey;

/// The type of the column that `field` names as `wanted`; a name that no column has is refused.
pub(super) fn column_type<'c, T>(
    field: &Field<'_, T>,
    wanted: &str,
    columns: Option<&'c [KnownColumn]>,
) -> Option<&'c DataType> {
    let columns = columns?;
    if let Some(found) = columns.iter().find(|column| column.name.as_deref() == Some(wanted)) {
        return found.data_type.as_ref();
    }
    // A column whose name is wrong itself may be the one that is meant.
    if columns.iter().all(|column| column.name.is_some()) {
        let names: Vec<&str> = columns.iter().filter_map(|column| column.name.as_deref()).collect();
        field.refuse(match closest(wanted, &names) {
            Some(close) => format!("the contract has no such column; did you mean `{close}`?"),
            None => "the contract has no such column".to_owned(),
        });
    }
    None
}

/// Holds the columns with a Bloom filter to the contract.
pub(super) fn check_bloom_filters(
    field: &Field<'_, Vec<String>>,
    columns: Option<&[KnownColumn]>,
    dropped: &[&str],
) {
    let Some(wanted) = field.get() else { return };
    if wanted.len() > rules::BLOOM_FILTERS {
        field.refuse(format!("at most {} columns have a Bloom filter", rules::BLOOM_FILTERS));
    }
    check_names(field, &wanted.iter().map(String::as_str).collect::<Vec<&str>>(), dropped);
    for name in wanted {
        let refused = match column_type(field, name, columns) {
            Some(data_type) if !is_single(data_type) => "a column of single values has a Bloom filter",
            Some(DataType::Bool) => "a Bloom filter of a boolean tells nothing",
            Some(DataType::Float32 | DataType::Float64) => {
                "floats that are equal can be written in two ways, which a Bloom filter does not know"
            }
            _ => continue,
        };
        field.refuse(refused);
    }
}

/// Holds the columns to sort by to the contract.
pub(super) fn check_sort_by(
    field: &Field<'_, Vec<SortKey>>,
    columns: Option<&[KnownColumn]>,
    dropped: &[&str],
) {
    let Some(keys) = field.get() else { return };
    check_names(field, &keys.iter().map(|key| key.column.as_str()).collect::<Vec<&str>>(), dropped);
    for key in keys {
        if column_type(field, &key.column, columns).is_some_and(|data_type| !is_single(data_type)) {
            field.refuse("rows are sorted by columns of single values");
        }
    }
}

/// Names stand once, and their columns in the files.
fn check_names<T>(field: &Field<'_, T>, names: &[&str], dropped: &[&str]) {
    let twice = |(index, name): (usize, &&str)| names.iter().take(index).any(|earlier| earlier == name);
    if names.iter().enumerate().any(twice) {
        field.refuse("a column stands twice");
    }
    if names.iter().any(|name| dropped.contains(name)) {
        field.refuse("a column that `partition_columns` drops is not in the files");
    }
}

/// Whether values of this type are neither nested nor text of their own grammar.
fn is_single(data_type: &DataType) -> bool {
    !matches!(data_type, DataType::Json | DataType::List(_) | DataType::Struct(_) | DataType::Map(_))
}
