//! The `[contract]` section: columns, their types and their rules.

use std::collections::BTreeMap;

use super::bound::{Bound, allowed_value};
use super::rules;
use super::section::{Field, Section};
use super::tracking;
use crate::contract::{Column, Contract};
use crate::data_type::{DataType, DataTypeError};

/// What the layout must know of a column, also of one that is wrong elsewhere.
#[derive(Debug)]
pub(super) struct KnownColumn {
    pub(super) name: Option<String>,
    pub(super) data_type: Option<DataType>,
}

/// Reads the section. The known columns are `None` when there is no list of columns to rely on.
pub(super) fn read(mut section: Section<'_>) -> (Option<Contract>, Option<Vec<KnownColumn>>) {
    let version = section.number("version", &rules::CONTRACT_VERSION).required();
    let on_violation = section.parsed("on_violation");
    let unknown_fields = section.parsed("unknown_fields");
    let duplicate_keys = section.parsed("duplicate_keys");
    let unique_key = section.texts("unique_key");
    let list = section
        .sections("column")
        .required()
        .check(|columns| if columns.is_empty() { Err("a contract has at least one column") } else { Ok(()) });
    let tracking = section.section("tracking");
    section.finish();

    let mut known = None;
    let mut columns = None;
    if let Some(list) = list.value() {
        let (names, read): (Vec<_>, Vec<_>) = list.into_iter().map(column).unzip();
        names_are_unique(&names);
        let of =
            |(name, _, data_type): (Field<'_, String>, _, _)| KnownColumn { name: name.value(), data_type };
        known = Some(names.into_iter().map(of).collect());
        columns = read.into_iter().collect::<Option<Vec<Column>>>();
    }
    let tracking = match tracking.optional() {
        Some(None) => Some(None),
        Some(Some(section)) => tracking::read(section, columns.as_deref()).map(Some),
        None => None,
    };
    if let Some(columns) = &columns {
        tracking::rescue_is_free(&on_violation, columns);
        if unique_key.get().is_some_and(Vec::is_empty) {
            unique_key.refuse("a key has at least one column");
        }
        tracking::check_key(&unique_key, columns);
    }
    let contract = || {
        Some(Contract {
            version: version.value()?,
            on_violation: on_violation.or_default()?,
            unknown_fields: unknown_fields.or_default()?,
            duplicate_keys: duplicate_keys.or_default()?,
            unique_key: unique_key.or_default()?,
            columns: columns?,
            tracking: tracking?,
        })
    };
    (contract(), known)
}

/// A column's name, member and type, for the rules over all columns.
type Named<'a> = (Field<'a, String>, Field<'a, String>, Option<DataType>);

fn column(mut section: Section<'_>) -> (Named<'_>, Option<Column>) {
    let name = section.text("name").required().check(|text| rules::COLUMN_NAME.check(text));
    let from = section.text("from").check(|text| rules::member(text));
    let data_type = section.text("type").required().and_then(|text| {
        let located = |error: DataTypeError| format!("{} at character {}", error.message, error.position);
        text.parse::<DataType>().map_err(located)
    });
    let nullable = section.flag("nullable");
    let description = section.text("description").check(|text| rules::description(text));
    let format = section.parsed("format");
    let min = section.text("min");
    let max = section.text("max");
    let min_length = section.number("min_length", &rules::LENGTH);
    let max_length = section.number("max_length", &rules::LENGTH);
    let pattern = section.text("pattern").check(|text| rules::regular_expression(text));
    let one_of = section.texts("one_of");
    section.finish();

    if let Some(data_type) = data_type.get() {
        if format.is_present() && !matches!(data_type, DataType::Date | DataType::Timestamp(_)) {
            format.refuse("only date and timestamp columns have a `format`");
        }
        bounds(data_type, &min, &max);
        if !matches!(data_type, DataType::String) {
            let only_strings = "only string columns have lengths and a `pattern`";
            for field in [&min_length, &max_length] {
                if field.is_present() {
                    field.refuse(only_strings);
                }
            }
            if pattern.is_present() {
                pattern.refuse(only_strings);
            }
        }
        allowed_values(data_type, &one_of);
    }
    if let (Some(least), Some(most)) = (min_length.get(), max_length.get())
        && least > most
    {
        max_length.refuse("`max_length` is less than `min_length`");
    }

    let named_type = data_type.get().cloned();
    let named_name = name.get().cloned();
    let named_from = from.get().cloned();
    let read = || {
        Some(Column {
            name: named_name?,
            from: if from.is_absent() { None } else { Some(named_from?) },
            data_type: data_type.value()?,
            nullable: nullable.or_else(|| true)?,
            description: description.optional()?,
            format: format.optional()?,
            min: min.optional()?,
            max: max.optional()?,
            min_length: min_length.optional()?,
            max_length: max_length.optional()?,
            pattern: pattern.optional()?,
            one_of: one_of.optional()?,
        })
    };
    let column = read();
    ((name, from, named_type), column)
}

fn bounds(data_type: &DataType, min: &Field<'_, String>, max: &Field<'_, String>) {
    let read = |field: &Field<'_, String>| match Bound::parse(data_type, field.get()?) {
        Ok(bound) => Some(bound),
        Err(message) => {
            field.refuse(message);
            None
        }
    };
    if let (Some(least), Some(most)) = (read(min), read(max))
        && least > most
    {
        max.refuse("`max` is less than `min`");
    }
}

fn allowed_values(data_type: &DataType, one_of: &Field<'_, Vec<String>>) {
    let Some(values) = one_of.get() else { return };
    if let Some(message) = values.iter().find_map(|value| allowed_value(data_type, value).err()) {
        one_of.refuse(message);
        return;
    }
    let mut sorted: Vec<&String> = values.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    if values.is_empty() {
        one_of.refuse("a list of allowed values has at least one");
    } else if sorted.len() < values.len() {
        one_of.refuse("an allowed value stands twice");
    }
}

/// Names are unique regardless of case (Glue and Hive fold it); members are unique as they are written.
fn names_are_unique(columns: &[Named<'_>]) {
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    let mut members: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, from, _) in columns {
        let mut is_repeated = false;
        if let Some(text) = name.get()
            && let Some(first) = names.insert(text.to_lowercase(), &name.place().path)
        {
            name.refuse(format!("this name is taken by `{first}`: names differ by more than case"));
            is_repeated = from.is_absent();
        }
        let source = if from.is_absent() { name } else { from };
        if let Some(text) = source.get()
            && let Some(first) = members.insert(text, &source.place().path)
            && !is_repeated
        {
            source.refuse(format!("this member of the record is read already by `{first}`"));
        }
    }
}
