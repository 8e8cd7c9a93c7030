//! From shapes to column types.

use landfall_core::column_name::ColumnNames;
use landfall_core::contract::Column;
use landfall_core::data_type::{DataType, MOST_DIGITS, TimeUnit};

use super::doubt::Doubt;
use super::shape::{Fineness, LONGEST_KEY, MOST_MEMBERS, Numbers, Objects, Places, Shape, Texts};
use super::typed::{Typed, held};

/// How deep types nest at most; what is deeper is `json`. One less than the grammar of types takes.
const DEEPEST: usize = 15;
/// An object with fewer different keys than this has members, whatever they look like.
const FEW_KEYS: usize = 100;
/// Keys are data when an object has, on average, less than one in so many of all that were seen.
const SPARSE: u64 = 20;

/// What becomes of members of structs that are null wherever they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    /// They are `json`: a contract must name what it reads.
    Kept,
    /// They are left out, until a value shows their type.
    LeftOut,
}

/// A column for each member of the records.
pub(super) fn columns(records: &Shape, required: bool) -> Vec<Column> {
    let Some(objects) = &records.objects else { return Vec::new() };
    let mut names = ColumnNames::default();
    let column = |(key, shape): &(String, Shape)| {
        let everywhere = shape.values == objects.count && shape.nulls == 0;
        Some(Column { nullable: !(required && everywhere), ..column(&mut names, key, shape, Nulls::Kept)? })
    };
    objects.members.iter().filter_map(column).collect()
}

/// A nullable column for a member. `None` where its type is to be declared, and for a member without a name: no document can
/// name it.
pub(super) fn column(names: &mut ColumnNames, key: &str, shape: &Shape, nulls: Nulls) -> Option<Column> {
    let data_type = match &shape.typed {
        Typed::Unseen => data_type(shape, 0, nulls),
        Typed::As(told) => {
            held(told, shape, nulls).filter(DataType::is_written).unwrap_or_else(|| told.clone())
        }
        Typed::Apart(told) => told.clone(),
        Typed::Unclear => return None,
    };
    if key.is_empty() {
        return None;
    }
    let name = names.give(key);
    Some(Column { from: (name != key).then(|| key.to_owned()), ..Column::new(name, data_type) })
}

/// What of the records the columns do not hold, or may not.
pub(super) fn doubts(records: &Shape) -> Vec<Doubt> {
    let Some(objects) = &records.objects else { return Vec::new() };
    let of = |key: &str, detail: &str| Doubt { member: Some(key.to_owned()), detail: detail.to_owned() };
    let doubt = |(key, shape): &(String, Shape)| match &shape.typed {
        _ if key.is_empty() => Some(of(key, "a member without a name can be in no column")),
        Typed::Unclear => Some(of(
            key,
            "its type is to be declared: it is of no time zone, or of no type that a column has",
        )),
        Typed::Apart(told) => {
            Some(of(key, &format!("objects differ in its type, and `{told}` holds only some of them")))
        }
        Typed::As(told) if !held(told, shape, Nulls::Kept).is_some_and(|held| held.is_written()) => {
            Some(of(key, &format!("`{told}`, the type that an object gives it, cannot hold all values seen")))
        }
        Typed::As(_) | Typed::Unseen => None,
    };
    let mut doubts: Vec<Doubt> = objects.members.iter().filter_map(doubt).collect();
    for (times, what) in [
        (objects.too_long, format!("with a name of more than {LONGEST_KEY} bytes")),
        (objects.too_many, format!("beyond the first {MOST_MEMBERS}")),
    ] {
        if times > 0 {
            doubts.push(Doubt {
                member: None,
                detail: format!("members {what} (met {times} times): they are in no column"),
            });
        }
    }
    doubts
}

/// The narrowest type that holds every value seen; `json` when no other does.
pub(super) fn data_type(shape: &Shape, depth: usize, nulls: Nulls) -> DataType {
    let Shape { bools, numbers, texts, lists, objects, .. } = shape;
    if depth >= DEEPEST {
        return DataType::Json;
    }
    match (bools, numbers, texts, lists, objects) {
        (true, None, None, None, None) => DataType::Bool,
        (false, Some(numbers), None, None, None) => number(*numbers),
        (false, None, Some(texts), None, None) => text(*texts),
        (false, None, None, Some(item), None) => DataType::List(Box::new(data_type(item, depth + 1, nulls))),
        (false, None, None, None, Some(objects)) => object(objects, depth, nulls),
        _ => DataType::Json,
    }
}

pub(super) fn number(numbers: Numbers) -> DataType {
    let Numbers { int64, uint64, float64, whole, fraction, .. } = numbers;
    if int64 {
        return DataType::Int(64);
    }
    if uint64 {
        return DataType::UInt(64);
    }
    if float64 {
        return DataType::Float64;
    }
    let precision = (whole + fraction).max(1);
    match (u8::try_from(precision), u8::try_from(fraction)) {
        (Ok(precision), Ok(scale)) if precision <= MOST_DIGITS => DataType::Decimal(precision, scale),
        _ => DataType::Json,
    }
}

fn text(texts: Texts) -> DataType {
    match texts {
        Texts { instants: Fineness::Millis | Fineness::Micros, .. } => DataType::Timestamp(TimeUnit::Micros),
        Texts { dates: true, .. } => DataType::Date,
        Texts { .. } => DataType::String,
    }
}

fn object(objects: &Objects, depth: usize, nulls: Nulls) -> DataType {
    if let Some(values) = &objects.map {
        return DataType::Map(Box::new(data_type(values, depth + 1, nulls)));
    }
    let members = &objects.members;
    let written: u64 = members.iter().map(|(_, shape)| shape.values).sum();
    let sparse = written.saturating_mul(SPARSE) < objects.count.saturating_mul(members.len() as u64);
    if members.len() >= FEW_KEYS && sparse {
        let mut values = Shape::default();
        for (_, shape) in members {
            values.join(shape.clone(), &mut Places::default());
        }
        return DataType::Map(Box::new(data_type(&values, depth + 1, nulls)));
    }
    let kept = |shape: &Shape| nulls == Nulls::Kept || shape.says_something();
    let members: Vec<&(String, Shape)> = members.iter().filter(|(_, shape)| kept(shape)).collect();
    let mut names = std::collections::BTreeSet::new();
    // Readers fold case, and a struct without members cannot be written.
    if members.is_empty()
        || !members.iter().all(|(key, _)| !key.is_empty() && names.insert(key.to_lowercase()))
    {
        return DataType::Json;
    }
    let typed = members.iter().map(|(key, shape)| (key.clone(), data_type(shape, depth + 1, nulls)));
    DataType::Struct(typed.collect())
}
