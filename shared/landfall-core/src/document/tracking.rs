//! The `[contract.tracking]` section, and the names that landfall gives to columns of its own.

use super::rules;
use super::section::{Field, Section};
use crate::contract::{Column, RESCUED, Tracking, ViolationPolicy};
use crate::data_type::DataType;

/// Reads the section; its columns are held against the contract's where those are known.
pub(super) fn read(mut section: Section<'_>, columns: Option<&[Column]>) -> Option<Tracking> {
    let prefix = section.text("prefix").check(|text| rules::COLUMN_PREFIX.check(text));
    let key = section.texts("key");
    let deleted = section.text("deleted");
    section.finish();
    if let Some(columns) = columns {
        check_key(&key, columns);
    }
    if let (Some(columns), Some(name)) = (columns, deleted.get()) {
        match column(columns, name) {
            None => deleted.refuse("no column has this name"),
            Some(column) if column.data_type != DataType::Bool => {
                deleted.refuse("only a boolean column says whether the source deleted the record");
            }
            Some(_) => {}
        }
    }
    let default = prefix.is_absent().then(Tracking::default_prefix);
    if let (Some(columns), Some(text)) = (columns, prefix.get().or(default.as_ref())) {
        let ours = Tracking { prefix: text.clone(), key: Vec::new(), deleted: None };
        if let Some(taken) = ours.columns().iter().find_map(|given| column(columns, &given.name)) {
            let name = &taken.name;
            prefix.refuse(format!(
                "with `{text}` a tracking column would have the name of the column `{name}`"
            ));
        }
    }
    Some(Tracking {
        prefix: prefix.or_else(Tracking::default_prefix)?,
        key: key.or_default()?,
        deleted: deleted.optional()?,
    })
}

/// A contract that rescues needs the name of the column it rescues into.
pub(super) fn rescue_is_free(on_violation: &Field<'_, ViolationPolicy>, columns: &[Column]) {
    if on_violation.get() == Some(&ViolationPolicy::Rescue) && column(columns, RESCUED).is_some() {
        on_violation
            .refuse(format!("the column `{RESCUED}` is what this policy rescues into: name yours otherwise"));
    }
}

/// The columns of a key, each once, by the rules of [`key_column`].
pub(super) fn check_key(key: &Field<'_, Vec<String>>, columns: &[Column]) {
    let Some(names) = key.get() else { return };
    let message = names.iter().enumerate().find_map(|(at, name)| {
        if names.iter().take(at).any(|other| other == name) {
            return Some("a column stands twice".to_owned());
        }
        key_column(columns, name).err()
    });
    if let Some(message) = message {
        key.refuse(message);
    }
}

fn column<'c>(columns: &'c [Column], name: &str) -> Option<&'c Column> {
    columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
}

/// A key is of single values that are equal exactly when their texts are.
fn key_column(columns: &[Column], name: &str) -> Result<(), String> {
    let Some(column) = columns.iter().find(|column| column.name == name) else {
        return Err("no column has this name".to_owned());
    };
    if column.nullable {
        return Err("a column of a key has `nullable = false`".to_owned());
    }
    match column.data_type {
        DataType::Float32 | DataType::Float64 | DataType::Json => {
            Err(format!("a key is no {}: its values can be equal and written unlike", column.data_type))
        }
        DataType::List(_) | DataType::Struct(_) | DataType::Map(_) => {
            Err("a column of a key holds a single value".to_owned())
        }
        _ => Ok(()),
    }
}
