//! What objects that carry types say of a place, held against the values that were seen there.

use landfall_core::data_type::{DataType, MOST_DIGITS, TimeUnit};

use super::propose::{self, Nulls};
use super::shape::{Numbers, Objects, Shape};

/// What objects that carry types say of one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Typed {
    #[default]
    Unseen,
    As(DataType),
    /// None that a column can have.
    Unclear,
    /// Several that no column holds; one of them.
    Apart(DataType),
}

impl Typed {
    pub(super) fn join(&mut self, other: Self) {
        *self = match (std::mem::take(self), other) {
            (Self::Unseen, other) | (other, Self::Unseen) => other,
            (Self::As(one), Self::As(other)) => common(&one, &other).map_or(Self::Apart(one), Self::As),
            (Self::Unclear, Self::Unclear) => Self::Unclear,
            (Self::As(one) | Self::Apart(one), _) | (Self::Unclear, Self::As(one) | Self::Apart(one)) => {
                Self::Apart(one)
            }
        };
    }

    /// The type told, or one of them.
    pub(super) fn told(&self) -> Option<&DataType> {
        match self {
            Self::As(data_type) | Self::Apart(data_type) => Some(data_type),
            Self::Unseen | Self::Unclear => None,
        }
    }
}

/// The narrowest type whose column takes the values of columns of both types, as `inbound::convert` takes them.
fn common(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::{Decimal, Float32, Float64, Int, List, Map, Struct, Time, Timestamp, UInt};
    Some(match (one, other) {
        (one, other) if one == other => one.clone(),
        (Int(bits), Int(more)) => Int(*bits.max(more)),
        (UInt(bits), UInt(more)) => UInt(*bits.max(more)),
        (Int(_) | UInt(_) | Decimal(..), Int(_) | UInt(_) | Decimal(..)) => {
            let ((whole, scale), (more, finer)) = (digits(one)?, digits(other)?);
            let scale = scale.max(finer);
            let precision = whole.max(more) + scale;
            return (precision <= MOST_DIGITS).then_some(Decimal(precision, scale));
        }
        // Whether it holds them all is seen by their values.
        (Float32, Int(_) | UInt(_) | Decimal(..)) | (Int(_) | UInt(_) | Decimal(..), Float32) => Float32,
        (
            Float32 | Float64 | Int(_) | UInt(_) | Decimal(..),
            Float32 | Float64 | Int(_) | UInt(_) | Decimal(..),
        ) => Float64,
        (Timestamp(_), Timestamp(_)) => Timestamp(TimeUnit::Micros),
        (Time(_), Time(_)) => Time(TimeUnit::Micros),
        (List(item), List(other)) => List(Box::new(common(item, other)?)),
        (Map(values), Map(others)) => Map(Box::new(common(values, others)?)),
        (Struct(members), Struct(others)) => {
            let mut all = members.clone();
            for (name, other) in others {
                // Readers fold case: a member that differs in case alone cannot stand beside the other.
                match all.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                    Some((known, data_type)) if known == name => *data_type = common(data_type, other)?,
                    Some(_) => return None,
                    None => all.push((name.clone(), other.clone())),
                }
            }
            Struct(all)
        }
        _ => return None,
    })
}

/// The most digits before and after the decimal point.
fn digits(data_type: &DataType) -> Option<(u8, u8)> {
    match data_type {
        DataType::Int(_) => Some((19, 0)),
        DataType::UInt(_) => Some((20, 0)),
        DataType::Decimal(precision, scale) => Some((precision.checked_sub(*scale)?, *scale)),
        _ => None,
    }
}

/// The type told, or a wider one that holds the values seen as well, be they of such objects or of JSON. `None` when none does.
pub(super) fn held(told: &DataType, shape: &Shape, nulls: Nulls) -> Option<DataType> {
    let held = |told: &DataType, shape: &Shape| held(told, shape, nulls);
    let Shape { bools, numbers, texts, lists, objects, .. } = shape;
    let kinds = (*bools, numbers.is_some(), texts.is_some(), lists.is_some(), objects.is_some());
    let only =
        |kind: (bool, bool, bool, bool, bool)| kinds == kind || kinds == (false, false, false, false, false);
    let same = |holds: bool| holds.then(|| told.clone());
    match told {
        DataType::Bool => same(only((true, false, false, false, false))),
        DataType::Int(_)
        | DataType::UInt(_)
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal(..) => {
            let Some(numbers) = numbers else { return same(only((false, true, false, false, false))) };
            if !only((false, true, false, false, false)) {
                return None;
            }
            if fits(told, numbers) {
                return Some(told.clone());
            }
            // Whoever has decimals is not given floats, as long as decimals hold it.
            let exact = match told {
                DataType::Decimal(..) => decimal(numbers),
                _ => None,
            };
            [exact, Some(propose::number(*numbers)), Some(DataType::Float64)]
                .into_iter()
                .flatten()
                .filter_map(|seen| common(told, &seen))
                .find(|wider| fits(wider, numbers))
        }
        DataType::Date => {
            same(texts.is_none_or(|texts| texts.dates) && only((false, false, true, false, false)))
        }
        DataType::Timestamp(unit) if only((false, false, true, false, false)) => {
            texts.map_or(Some(*unit), |texts| texts.instants.unit(*unit)).map(DataType::Timestamp)
        }
        DataType::Time(unit) if only((false, false, true, false, false)) => {
            texts.map_or(Some(*unit), |texts| texts.times.unit(*unit)).map(DataType::Time)
        }
        DataType::Timestamp(_) | DataType::Time(_) => None,
        DataType::String | DataType::Binary => same(only((false, false, true, false, false))),
        DataType::Json => Some(DataType::Json),
        DataType::List(item) => match lists {
            _ if !only((false, false, false, true, false)) => None,
            Some(seen) => Some(DataType::List(Box::new(held(item, seen)?))),
            None => Some(told.clone()),
        },
        // Those of Parquet are read as lists of pairs.
        DataType::Map(values) => match objects {
            _ if *bools || numbers.is_some() || texts.is_some() => None,
            Some(seen) => {
                let shapes = seen.members.iter().map(|(_, shape)| shape).chain(&seen.map);
                let held = shapes.into_iter().try_fold((**values).clone(), |told, seen| held(&told, seen))?;
                Some(DataType::Map(Box::new(held)))
            }
            None => Some(told.clone()),
        },
        DataType::Struct(members) => match objects {
            _ if !only((false, false, false, false, true)) => None,
            Some(seen) => held_members(members, seen, nulls).map(DataType::Struct),
            None => Some(told.clone()),
        },
    }
}

fn held_members(
    members: &[(String, DataType)],
    seen: &Objects,
    nulls: Nulls,
) -> Option<Vec<(String, DataType)>> {
    // Keys that are data fill no members.
    if seen.map.is_some() {
        return None;
    }
    let mut all = members.to_vec();
    for (key, shape) in &seen.members {
        match all.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(key)) {
            Some((known, data_type)) if known == key => *data_type = held(data_type, shape, nulls)?,
            Some(_) => return None,
            None if nulls == Nulls::LeftOut && !shape.says_something() => {}
            None if key.is_empty() => return None,
            None => all.push((key.clone(), propose::data_type(shape, 1, nulls))),
        }
    }
    Some(all)
}

/// The decimals that hold all numbers seen.
fn decimal(numbers: &Numbers) -> Option<DataType> {
    let scale = u8::try_from(numbers.fraction).ok()?;
    let precision = u8::try_from(numbers.whole).ok()?.checked_add(scale)?.max(1);
    (precision <= MOST_DIGITS).then_some(DataType::Decimal(precision, scale))
}

fn fits(data_type: &DataType, numbers: &Numbers) -> bool {
    match data_type {
        DataType::Int(_) => numbers.int64,
        DataType::UInt(_) => numbers.uint64,
        DataType::Float32 => numbers.float64 && !numbers.reach.double,
        DataType::Float64 => numbers.float64,
        DataType::Decimal(precision, scale) => {
            let (scale, precision) = (i64::from(*scale), i64::from(*precision));
            numbers.fraction <= scale && numbers.whole <= precision - scale
        }
        _ => false,
    }
}
