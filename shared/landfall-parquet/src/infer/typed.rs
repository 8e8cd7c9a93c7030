//! What objects that carry types say of a place, held against the values that were seen there.

use landfall_core::data_type::{DataType, MOST_DIGITS, TimeUnit};

use super::propose::{self, Nulls};
use super::shape::{Kind, Numbers, Objects, Shape};

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
    one.merged(other, &|one, other| one.widened(other).or_else(|| converted(one, other)))
}

/// The same of single values that no widening joins.
fn converted(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::{Decimal, Float32, Float64, Int, Time, Timestamp, UInt};
    Some(match (one, other) {
        (Int(_) | UInt(_) | Decimal(..), Int(_) | UInt(_) | Decimal(..)) => {
            let ((whole, scale), (more, finer)) = (digits(one)?, digits(other)?);
            let scale = scale.max(finer);
            let precision = whole.max(more) + scale;
            return (precision <= MOST_DIGITS).then_some(Decimal(precision, scale));
        }
        // Whether it holds them all is seen by their values.
        (float @ (Float32 | Float64), Int(_) | UInt(_) | Decimal(..))
        | (Int(_) | UInt(_) | Decimal(..), float @ (Float32 | Float64)) => float.clone(),
        (Timestamp(_), Timestamp(_)) => Timestamp(TimeUnit::Micros),
        (Time(_), Time(_)) => Time(TimeUnit::Micros),
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
    let Shape { numbers, texts, lists, objects, .. } = shape;
    if !shape.kinds().all(|kind| is_of(kind, told)) {
        return None;
    }
    Some(match told {
        DataType::Int(_)
        | DataType::UInt(_)
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal(..) => match numbers {
            Some(numbers) => held_numbers(told, numbers)?,
            None => told.clone(),
        },
        DataType::Date if texts.is_some_and(|texts| !texts.dates) => return None,
        DataType::Timestamp(unit) => DataType::Timestamp(match texts {
            Some(texts) => texts.instants.unit(*unit)?,
            None => *unit,
        }),
        DataType::Time(unit) => DataType::Time(match texts {
            Some(texts) => texts.times.unit(*unit)?,
            None => *unit,
        }),
        DataType::Bool | DataType::Date | DataType::String | DataType::Binary | DataType::Json => {
            told.clone()
        }
        DataType::List(item) => match lists {
            Some(seen) => DataType::List(Box::new(held(item, seen)?)),
            None => told.clone(),
        },
        DataType::Map(values) => {
            let seen =
                objects.iter().flat_map(|seen| seen.members.iter().map(|(_, shape)| shape).chain(&seen.map));
            let values = seen.into_iter().try_fold((**values).clone(), |told, seen| held(&told, seen))?;
            DataType::Map(Box::new(values))
        }
        DataType::Struct(members) => match objects {
            Some(seen) => DataType::Struct(held_members(members, seen, nulls)?),
            None => told.clone(),
        },
    })
}

/// Whether a type has values that JSON writes so, or that are read so from Parquet: its maps are lists of pairs.
fn is_of(kind: Kind, data_type: &DataType) -> bool {
    use DataType::{Binary, Bool, Date, Json, List, Map, String, Struct, Time, Timestamp};
    match data_type {
        Json => true,
        Bool => kind == Kind::Bool,
        Date | Time(_) | Timestamp(_) | String | Binary => kind == Kind::Text,
        List(_) => kind == Kind::List,
        Map(_) => matches!(kind, Kind::List | Kind::Object),
        Struct(_) => kind == Kind::Object,
        _ => kind == Kind::Number,
    }
}

fn held_numbers(told: &DataType, numbers: &Numbers) -> Option<DataType> {
    if fits(told, numbers) {
        return Some(told.clone());
    }
    // Whoever has decimals is not given floats, as long as decimals hold it.
    let exact = if matches!(told, DataType::Decimal(..)) { decimal(numbers) } else { None };
    [exact, Some(propose::number(*numbers)), Some(DataType::Float64)]
        .into_iter()
        .flatten()
        .filter_map(|seen| common(told, &seen))
        .find(|wider| fits(wider, numbers))
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
