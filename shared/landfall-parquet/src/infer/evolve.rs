//! What a contract takes in of the records that were seen: new members become columns, types become wider.
//!
//! It answers to need alone: a column is widened when a number of its kind does not fit it and fits a wider one, and a
//! contract that took a change in asks for nothing more when it meets the same records again.

use landfall_core::column_name::ColumnNames;
use landfall_core::contract::{Contract, UnknownFields};
use landfall_core::data_type::DataType;
use landfall_core::evolution::{Change, MOST_COLUMNS};

use super::propose;
use super::shape::{MOST_DIGITS, Objects, Reach, Shape};

/// The changes, in the order in which the contract's columns stand and new members were first seen.
pub(super) fn changes<'a>(
    records: &Shape,
    contract: &Contract,
    taken: impl IntoIterator<Item = &'a str>,
) -> Vec<Change> {
    let Some(objects) = &records.objects else { return Vec::new() };
    let adds = contract.unknown_fields == UnknownFields::Violation;
    let widened = contract.columns.iter().filter_map(|column| {
        let (_, shape) = objects.members.iter().find(|(key, _)| key == column.source_name())?;
        let to = needed(shape, &column.data_type, adds, 0);
        (to != column.data_type).then(|| Change::Widened { column: column.name.clone(), to })
    });
    let mut changes: Vec<Change> = widened.collect();
    if !adds {
        return changes;
    }
    let mut names = ColumnNames::default();
    contract.file_columns().iter().for_each(|column| names.reserve(&column.name));
    taken.into_iter().for_each(|name| names.reserve(name));
    let known = |key: &str| contract.columns.iter().any(|column| column.source_name() == key);
    let new = objects.members.iter().filter(|(key, shape)| !known(key) && says_something(shape));
    let added = new.filter_map(|(key, shape)| propose::column(&mut names, key, shape));
    let room = MOST_COLUMNS.saturating_sub(contract.columns.len());
    changes.extend(added.take(room).map(|column| Change::Added { column }));
    changes
}

/// Whether a value of it is other than null: null says of a member what its absence says.
fn says_something(shape: &Shape) -> bool {
    shape.values > shape.nulls
}

/// What a type must become to hold the values of its kind; itself when it holds them, or no widening does.
fn needed(shape: &Shape, data_type: &DataType, adds: bool, depth: usize) -> DataType {
    let reach = || shape.numbers.map_or_else(Reach::default, |numbers| numbers.reach);
    match data_type {
        DataType::Int(bits) => DataType::Int(reach().signed.max(*bits)),
        DataType::UInt(bits) => DataType::UInt(reach().unsigned.max(*bits)),
        DataType::Float32 if reach().double => DataType::Float64,
        DataType::Decimal(precision, scale) => {
            let digits = reach().whole + i64::from(*scale);
            let digits = u8::try_from(digits).ok().filter(|digits| i64::from(*digits) <= MOST_DIGITS);
            DataType::Decimal(digits.unwrap_or(0).max(*precision), *scale)
        }
        DataType::List(item) => {
            let wider = shape.lists.as_ref().map(|seen| needed(seen, item, adds, depth + 1));
            DataType::List(wider.map_or_else(|| item.clone(), Box::new))
        }
        DataType::Map(values) => {
            let wider = shape.objects.as_ref().map(|seen| of_map(seen, values, adds, depth + 1));
            DataType::Map(wider.map_or_else(|| values.clone(), Box::new))
        }
        DataType::Struct(members) => {
            let wider = shape.objects.as_ref().map(|seen| of_struct(seen, members, adds, depth + 1));
            DataType::Struct(wider.unwrap_or_else(|| members.clone()))
        }
        other => other.clone(),
    }
}

fn of_map(seen: &Objects, values: &DataType, adds: bool, depth: usize) -> DataType {
    let shapes = seen.members.iter().map(|(_, shape)| shape).chain(&seen.map);
    shapes.fold(values.clone(), |wider, shape| needed(shape, &wider, adds, depth))
}

/// New members are typed as deep as the grammar of types takes them.
fn of_struct(
    seen: &Objects,
    members: &[(String, DataType)],
    adds: bool,
    depth: usize,
) -> Vec<(String, DataType)> {
    let mut wider: Vec<(String, DataType)> = members.to_vec();
    for (key, shape) in &seen.members {
        let room = wider.len() < MOST_COLUMNS;
        // Readers fold case: a member cannot stand beside another that differs in case alone.
        if let Some((known, data_type)) = wider.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(key))
        {
            if known == key {
                *data_type = needed(shape, data_type, adds, depth);
            }
        } else if adds && !key.is_empty() && says_something(shape) && room {
            wider.push((key.clone(), propose::data_type(shape, depth)));
        }
    }
    wider
}
