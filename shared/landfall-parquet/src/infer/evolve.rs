//! What a contract takes in of the records that were seen: new members become columns, types become wider.
//!
//! It answers to need alone: a column is widened when a number of its kind does not fit it and fits a wider one, and a
//! contract that took a change in asks for nothing more when it meets the same records again.

use std::collections::{HashMap, HashSet};

use landfall_core::column_name::ColumnNames;
use landfall_core::contract::{Column, Contract, UnknownFields};
use landfall_core::data_type::{DataType, MOST_DIGITS};
use landfall_core::evolution::{Change, MOST_COLUMNS};

use super::propose::{self, Nulls};
use super::shape::{Objects, Reach, Shape};
use super::typed::Typed;

/// The changes, in the order in which the contract's columns stand and new members were first seen.
pub(super) fn changes<'a>(
    records: &Shape,
    contract: &Contract,
    taken: impl IntoIterator<Item = &'a str>,
) -> Vec<Change> {
    let Some(objects) = &records.objects else { return Vec::new() };
    let mut room =
        MOST_COLUMNS.saturating_sub(contract.columns.iter().map(|column| column.data_type.leaves()).sum());
    let mut take = |more: usize| {
        let fits = more <= room;
        room = if fits { room - more } else { room };
        fits
    };
    let adds = contract.unknown_fields == UnknownFields::Violation;
    let seen: HashMap<&str, &Shape> =
        objects.members.iter().map(|(key, shape)| (key.as_str(), shape)).collect();
    let mut changes = Vec::new();
    for column in &contract.columns {
        let Some(shape) = seen.get(column.source_name()) else { continue };
        let typed = shape.typed.told();
        // Of members whose type is to be declared none can be told from their text.
        let adds = adds && shape.typed != Typed::Unclear;
        let mut to = Need { adds }.of(shape, &column.data_type, typed, 0);
        let more = to.leaves().saturating_sub(column.data_type.leaves());
        if !to.is_written() || !take(more) {
            to = Need { adds: false }.of(shape, &column.data_type, typed, 0);
        }
        if to != column.data_type && to.is_written() {
            changes.push(Change::Widened { column: column.name.clone(), to });
        }
    }
    if !adds {
        return changes;
    }
    let mut names = ColumnNames::default();
    contract.file_columns().iter().for_each(|column| names.reserve(&column.name));
    taken.into_iter().for_each(|name| names.reserve(name));
    let known: HashSet<&str> = contract.columns.iter().map(Column::source_name).collect();
    for (key, shape) in &objects.members {
        if known.contains(key.as_str()) || !shape.says_something() {
            continue;
        }
        let Some(mut column) = propose::column(&mut names, key, shape, Nulls::LeftOut) else { continue };
        if !column.data_type.is_written() || !take(column.data_type.leaves()) {
            // As text it is one column; a column of Parquet has no such text.
            if shape.typed != Typed::Unseen || !take(1) {
                continue;
            }
            column.data_type = DataType::Json;
        }
        changes.push(Change::Added { column });
    }
    changes
}

/// What types must become to hold the values of their kind: themselves when they hold them, or no widening does.
#[derive(Debug, Clone, Copy)]
struct Need {
    /// Whether structs gain members.
    adds: bool,
}

impl Need {
    /// `typed` is what Parquet says of the place: it tells the types of new members, and of a float that it is double.
    fn of(self, shape: &Shape, data_type: &DataType, typed: Option<&DataType>, depth: usize) -> DataType {
        let reach = || shape.numbers.map_or_else(Reach::default, |numbers| numbers.reach);
        match data_type {
            DataType::Int(bits) => DataType::Int(reach().signed.max(*bits)),
            DataType::UInt(bits) => DataType::UInt(reach().unsigned.max(*bits)),
            DataType::Float32 if reach().double || typed == Some(&DataType::Float64) => DataType::Float64,
            DataType::Decimal(precision, scale) => {
                let digits = reach().whole + i64::from(*scale);
                let digits = u8::try_from(digits).ok().filter(|digits| *digits <= MOST_DIGITS);
                DataType::Decimal(digits.unwrap_or(0).max(*precision), *scale)
            }
            DataType::List(item) => {
                let typed = if let Some(DataType::List(typed)) = typed { Some(&**typed) } else { None };
                let nothing = Shape::default();
                let seen = shape.lists.as_deref().unwrap_or(&nothing);
                DataType::List(Box::new(self.of(seen, item, typed, depth + 1)))
            }
            DataType::Map(values) => {
                let typed = if let Some(DataType::Map(typed)) = typed { Some(&**typed) } else { None };
                DataType::Map(Box::new(self.of_map(shape, values, typed, depth + 1)))
            }
            DataType::Struct(members) => {
                let typed = if let Some(DataType::Struct(typed)) = typed { typed } else { &Vec::new() };
                DataType::Struct(self.of_struct(shape.objects.as_deref(), members, typed, depth + 1))
            }
            other => other.clone(),
        }
    }

    fn of_map(self, shape: &Shape, values: &DataType, typed: Option<&DataType>, depth: usize) -> DataType {
        let nothing = Shape::default();
        let typed_alone = self.of(&nothing, values, typed, depth);
        let Some(seen) = &shape.objects else { return typed_alone };
        let shapes = seen.members.iter().map(|(_, shape)| shape).chain(&seen.map);
        shapes.fold(typed_alone, |wider, shape| self.of(shape, &wider, typed, depth))
    }

    /// New members are typed as deep as the grammar of types takes them. Readers fold case: a member cannot stand beside
    /// another that differs in case alone.
    fn of_struct(
        self,
        seen: Option<&Objects>,
        members: &[(String, DataType)],
        typed: &[(String, DataType)],
        depth: usize,
    ) -> Vec<(String, DataType)> {
        let mut wider: Vec<(String, DataType)> = members.to_vec();
        let type_of = |key: &str| typed.iter().find(|(name, _)| name == key).map(|(_, data_type)| data_type);
        let nothing = Shape::default();
        let values = seen.iter().flat_map(|seen| &seen.members).map(|(key, shape)| (key, shape));
        for (key, shape) in values.chain(typed.iter().map(|(key, _)| (key, &nothing))) {
            let known = wider.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(key));
            if let Some((known, data_type)) = known {
                if known == key {
                    *data_type = self.of(shape, data_type, type_of(key), depth);
                }
            } else if self.adds && !key.is_empty() && (shape.says_something() || type_of(key).is_some()) {
                let proposed = || propose::data_type(shape, depth, Nulls::LeftOut);
                wider.push((key.clone(), type_of(key).cloned().unwrap_or_else(proposed)));
            }
        }
        wider
    }
}
