//! What a contract asks of a column's values beside their type, compiled once.

use std::collections::BTreeSet;

use landfall_core::contract::Column;
use landfall_core::data_type::DataType;
use landfall_core::document::Bound;
use regex::Regex;

use crate::column::Node;
use crate::fault::ViolationCode;
use crate::number::Refusal;
use crate::time;

/// The compiled rules of one column.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    bounds: Bounds,
    /// The fewest and the most characters.
    length: Option<(usize, usize)>,
    pattern: Option<Regex>,
    texts: Option<BTreeSet<Vec<u8>>>,
    integers: Option<BTreeSet<i128>>,
}

/// A range, in the unit in which the column keeps its values.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bounds {
    None,
    Whole { min: i128, max: i128 },
    Float { min: f64, max: f64 },
}

const BELOW: Refusal = (ViolationCode::OutOfRange, "below the contract's minimum");
const ABOVE: Refusal = (ViolationCode::OutOfRange, "above the contract's maximum");
const TOO_SHORT: Refusal = (ViolationCode::TooShort, "fewer characters than the contract asks for");
const TOO_LONG: Refusal = (ViolationCode::TooLong, "more characters than the contract allows");
const NO_MATCH: Refusal =
    (ViolationCode::PatternMismatch, "the contract's pattern does not match the whole text");
const NOT_ALLOWED: Refusal = (ViolationCode::NotInEnum, "not among the values the contract allows");

impl Rules {
    /// The rules of a column; `None` when it has none.
    pub(crate) fn compile(column: &Column) -> Result<Option<Self>, String> {
        let text = column.data_type == DataType::String;
        let whole_numbers = matches!(column.data_type, DataType::Int(_) | DataType::UInt(_));
        if !text && (column.min_length.is_some() || column.max_length.is_some() || column.pattern.is_some()) {
            return Err("only a string column can have lengths or a pattern".to_owned());
        }
        if !text && !whole_numbers && column.one_of.is_some() {
            return Err("only a string or integer column can have a list of allowed values".to_owned());
        }
        let length = match (column.min_length, column.max_length) {
            (None, None) => None,
            (min, max) => Some((characters(min.unwrap_or(0)), max.map_or(usize::MAX, characters))),
        };
        if length.is_some_and(|(min, max)| min > max) {
            return Err("the least length is above the greatest".to_owned());
        }
        let allowed = column.one_of.as_deref();
        let rules = Self {
            bounds: bounds(column)?,
            length,
            pattern: column.pattern.as_deref().map(pattern).transpose()?,
            texts: allowed
                .filter(|_| text)
                .map(|all| all.iter().map(|one| one.clone().into_bytes()).collect()),
            integers: match allowed.filter(|_| whole_numbers) {
                Some(all) => Some(all.iter().map(|one| integer(one)).collect::<Result<_, _>>()?),
                None => None,
            },
        };
        let asks = rules.bounds != Bounds::None
            || rules.length.is_some()
            || rules.pattern.is_some()
            || rules.texts.is_some()
            || rules.integers.is_some();
        Ok(asks.then_some(rules))
    }

    /// Checks the last value of the column. Null satisfies every rule: nullability is another matter.
    pub(crate) fn check_last(&self, node: &Node) -> Result<(), Refusal> {
        match node {
            Node::Text(texts) => texts.last().map_or(Ok(()), |text| self.check_text(text)),
            Node::Int { values, .. } => {
                values.last().map_or(Ok(()), |value| self.check_whole(i128::from(value)))
            }
            Node::UInt { values, .. } => {
                values.last().map_or(Ok(()), |value| self.check_whole(i128::from(value)))
            }
            Node::Decimal { values, .. } => values.last().map_or(Ok(()), |value| self.check_whole(value)),
            Node::Date { values, .. } => {
                values.last().map_or(Ok(()), |value| self.check_whole(i128::from(value)))
            }
            Node::Time { values, .. } | Node::Timestamp { values, .. } => {
                values.last().map_or(Ok(()), |value| self.check_whole(i128::from(value)))
            }
            Node::Float32(values) => values.last().map_or(Ok(()), |value| self.check_float(f64::from(value))),
            Node::Float64(values) => values.last().map_or(Ok(()), |value| self.check_float(value)),
            Node::Bool(_)
            | Node::Binary(_)
            | Node::Json(_)
            | Node::List(_)
            | Node::Struct(_)
            | Node::Map(_) => Ok(()),
        }
    }

    fn check_whole(&self, value: i128) -> Result<(), Refusal> {
        if let Bounds::Whole { min, max } = self.bounds {
            if value < min {
                return Err(BELOW);
            }
            if value > max {
                return Err(ABOVE);
            }
        }
        match &self.integers {
            Some(allowed) if !allowed.contains(&value) => Err(NOT_ALLOWED),
            _ => Ok(()),
        }
    }

    fn check_float(&self, value: f64) -> Result<(), Refusal> {
        match self.bounds {
            Bounds::Float { min, .. } if value < min => Err(BELOW),
            Bounds::Float { max, .. } if value > max => Err(ABOVE),
            _ => Ok(()),
        }
    }

    fn check_text(&self, bytes: &[u8]) -> Result<(), Refusal> {
        if let Some((min, max)) = self.length {
            // Every byte but a continuation begins a character.
            let length = bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
            if length < min {
                return Err(TOO_SHORT);
            }
            if length > max {
                return Err(TOO_LONG);
            }
        }
        if self.texts.as_ref().is_some_and(|allowed| !allowed.contains(bytes)) {
            return Err(NOT_ALLOWED);
        }
        match &self.pattern {
            Some(pattern) if !std::str::from_utf8(bytes).is_ok_and(|text| pattern.is_match(text)) => {
                Err(NO_MATCH)
            }
            _ => Ok(()),
        }
    }
}

fn integer(text: &str) -> Result<i128, String> {
    text.parse().map_err(|_| format!("`{text}` is not an integer"))
}

fn characters(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// A pattern that must match the whole text.
fn pattern(text: &str) -> Result<Regex, String> {
    // On its own first: `a)(b` would become valid inside the group.
    Regex::new(text).map_err(|error| format!("cannot compile the pattern: {error}"))?;
    Regex::new(&format!(r"\A(?:{text})\z")).map_err(|error| format!("cannot compile the pattern: {error}"))
}

fn bounds(column: &Column) -> Result<Bounds, String> {
    let read =
        |text: &Option<String>| text.as_deref().map(|text| Bound::parse(&column.data_type, text)).transpose();
    let (min, max) = (read(&column.min)?, read(&column.max)?);
    if min.is_none() && max.is_none() {
        return Ok(Bounds::None);
    }
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        return Err("the minimum is above the maximum".to_owned());
    }
    // Bounds of one column are of one variant: a float on one side is a float on both.
    if matches!(column.data_type, DataType::Float32 | DataType::Float64) {
        let float = |bound: Option<Bound>, text: &Option<String>, default: f64| match (
            bound,
            text,
            &column.data_type,
        ) {
            // As near to the bound as the column's values are to their texts.
            (Some(_), Some(text), DataType::Float32) => text.parse::<f32>().map_or(default, f64::from),
            (Some(Bound::Float(value)), _, _) => value,
            _ => default,
        };
        return Ok(Bounds::Float {
            min: float(min, &column.min, f64::NEG_INFINITY),
            max: float(max, &column.max, f64::INFINITY),
        });
    }
    Ok(Bounds::Whole {
        min: min.map_or(i128::MIN, |bound| whole(bound, &column.data_type, true)),
        max: max.map_or(i128::MAX, |bound| whole(bound, &column.data_type, false)),
    })
}

/// A bound in the unit in which its column keeps its values. One between two of them is moved inwards.
fn whole(bound: Bound, data_type: &DataType, up: bool) -> i128 {
    let nanos = match bound {
        Bound::Integer(value) | Bound::Decimal(value) => return value,
        Bound::Date(date) => {
            let (year, month, day) = (date.year(), date.month(), date.day());
            return i128::from(time::days_from_civil(year.into(), month.into(), day.into()));
        }
        Bound::Time(clock) => {
            let seconds = i128::from(clock.hour()) * 3600
                + i128::from(clock.minute()) * 60
                + i128::from(clock.second());
            seconds * NANOS + i128::from(clock.subsec_nanosecond())
        }
        Bound::Timestamp(instant) => instant,
        // A column of whole values has no such bound.
        Bound::Float(_) => return 0,
    };
    let per_second = match data_type {
        DataType::Time(unit) | DataType::Timestamp(unit) => i128::from(time::per_second(*unit)),
        _ => NANOS,
    };
    let unit = NANOS / per_second;
    if up { -(-nanos).div_euclid(unit) } else { nanos.div_euclid(unit) }
}

/// Nanoseconds of a second.
const NANOS: i128 = 1_000_000_000;
