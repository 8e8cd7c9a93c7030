//! Which values of a Parquet object a column of the contract takes, and how: exactly, or not at all.
//!
//! | column | takes |
//! |---|---|
//! | `bool` | booleans |
//! | integers | integers of any width, decimals of scale 0; within its range |
//! | `float32` `float64` | floats of any width that it holds exactly, not NaN or infinity; integers that it holds exactly; decimals as JSON numbers |
//! | `decimal` | decimals and integers, rescaled exactly |
//! | `string` | text, bytes that are UTF-8, UUIDs |
//! | `binary` | bytes of any length, UUIDs |
//! | `json` | text or bytes that are one JSON value, checked as in a record |
//! | `date` | dates; text in the declared form; integers where an epoch form is declared |
//! | `time` | times of day; text |
//! | `timestamp` | instants in UTC; such without a zone and INT96 only where `iso_utc` declares the zone; text in the declared form; integers where an epoch form is declared |

use std::ops::Range;

use landfall_core::contract::{DuplicateKeys, TimeFormat};

use super::scalar::{Scalar, uuid_text};
use super::schema::Kind;
use crate::column::{Node, Texts};
use crate::fault::{Checked, Fault, ViolationCode};
use crate::json::keys::check;
use crate::json::{Keys, blank_duplicates};
use crate::number::{self, Refusal, TOO_LARGE};
use crate::time;

const NOT_FINITE: Refusal = (ViolationCode::OutOfRange, "the value is no finite number");
const NOT_EXACT: Refusal = (ViolationCode::Inexact, "the column cannot hold the number exactly");
const NOT_UTF8: Refusal = (ViolationCode::InvalidUtf8, "the text is not UTF-8");
const WRONG: Refusal = (ViolationCode::WrongType, "the value is of another type");

/// What reading records takes beside their columns.
#[derive(Debug)]
pub(super) struct Tools {
    /// What the record may still cost.
    pub(super) budget: Keys,
    keys: Keys,
    duplicate_keys: DuplicateKeys,
}

impl Tools {
    pub(super) fn new(duplicate_keys: DuplicateKeys) -> Self {
        Self { budget: Keys::default(), keys: Keys::default(), duplicate_keys }
    }
}

/// Whether a column takes values of a kind at all.
pub(super) fn takes(node: &Node, kind: Kind) -> bool {
    use Kind::{Bytes, Date, Decimal, Double, Float, Half, Instant, Int, Int96, Null, Text, Time, Uuid};
    let timed = |format: TimeFormat| match kind {
        Text => time::epoch_unit(format).is_none(),
        Int { .. } => time::epoch_unit(format).is_some(),
        Instant { utc: false, .. } | Int96 => format == TimeFormat::IsoUtc,
        _ => false,
    };
    match node {
        _ if kind == Null => true,
        Node::Bool(_) => kind == Kind::Bool,
        Node::Int { .. } | Node::UInt { .. } => matches!(kind, Int { .. } | Decimal { scale: 0, .. }),
        Node::Float32(_) | Node::Float64(_) => {
            matches!(kind, Half | Float | Double | Int { .. } | Decimal { .. })
        }
        Node::Decimal { .. } => matches!(kind, Int { .. } | Decimal { .. }),
        Node::Text(_) => matches!(kind, Text | Bytes | Uuid),
        Node::Json(_) => matches!(kind, Text | Bytes),
        Node::Binary(_) => matches!(kind, Bytes | Uuid),
        Node::Date { format, .. } => kind == Date || (matches!(kind, Text | Int { .. }) && timed(*format)),
        Node::Time { .. } => matches!(kind, Time(_) | Text),
        Node::Timestamp { format, .. } => matches!(kind, Instant { utc: true, .. }) || timed(*format),
        Node::List(_) | Node::Struct(_) | Node::Map(_) => false,
    }
}

/// Appends a value to its column.
pub(super) fn push(node: &mut Node, scalar: Scalar<'_>, tools: &mut Tools) -> Checked<()> {
    match node {
        Node::Bool(values) => match scalar {
            Scalar::Bool(value) => values.push(value),
            _ => return Err(refused(WRONG)),
        },
        Node::Int { bits, values } => {
            let reach = 1_i128 << u32::from(*bits).saturating_sub(1);
            values.push(within(scalar, -reach..reach).map_err(refused)?);
        }
        Node::UInt { bits, values } => {
            values.push(within(scalar, 0..1_i128 << u32::from(*bits)).map_err(refused)?);
        }
        Node::Float64(values) => values.push(double(scalar).map_err(refused)?),
        Node::Float32(values) => values.push(single(scalar).map_err(refused)?),
        Node::Decimal { precision, scale, values } => {
            values.push(decimal(scalar, *precision, *scale).map_err(refused)?);
        }
        Node::Text(texts) => text(texts, scalar, tools)?,
        Node::Binary(texts) => match scalar {
            Scalar::Bytes(bytes) => append(texts, bytes, tools)?,
            Scalar::Uuid(bytes) => append(texts, &bytes, tools)?,
            _ => return Err(refused(WRONG)),
        },
        Node::Json(texts) => json(texts, scalar, tools)?,
        Node::Date { format, values } => {
            let days = match (scalar, time::epoch_unit(*format)) {
                (Scalar::Date(days), _) => time::day_in_range(days.into()),
                (Scalar::Text(text), None) => time::date(text),
                (Scalar::Whole(value), Some(per_second)) => i64::try_from(value)
                    .map_err(|_| TOO_LARGE)
                    .and_then(|v| time::date_from_epoch(v, per_second)),
                _ => Err(WRONG),
            };
            values.push(days.map_err(refused)?);
        }
        Node::Time { unit, values } => {
            let value = match scalar {
                Scalar::Time(value, found) => time::time_from_units(value, found.per_second(), *unit),
                Scalar::Text(text) => time::time_of_day(text, *unit),
                _ => Err(WRONG),
            };
            values.push(value.map_err(refused)?);
        }
        Node::Timestamp { unit, format, values } => {
            let instant = match (scalar, time::epoch_unit(*format)) {
                (Scalar::Instant { value, unit: found, .. }, _) => {
                    time::timestamp_from_units(value, found.per_second(), *unit)
                }
                (Scalar::Text(text), None) => time::timestamp(text, *unit, *format == TimeFormat::Iso),
                (Scalar::Whole(value), Some(per_second)) => {
                    time::timestamp_from_units(value, per_second, *unit)
                }
                _ => Err(WRONG),
            };
            values.push(instant.map_err(refused)?);
        }
        Node::List(_) | Node::Struct(_) | Node::Map(_) => return Err(refused(WRONG)),
    }
    Ok(())
}

/// What a value is refused for stands at no byte of the object.
#[cold]
fn refused(refusal: Refusal) -> Box<Fault> {
    number::refused(refusal, 0)
}

/// A whole number within a range.
fn within<T: TryFrom<i128>>(scalar: Scalar<'_>, range: Range<i128>) -> Result<T, Refusal> {
    let value = whole(scalar)?;
    T::try_from(value).ok().filter(|_| range.contains(&value)).ok_or(TOO_LARGE)
}

fn whole(scalar: Scalar<'_>) -> Result<i128, Refusal> {
    match scalar {
        Scalar::Whole(value) | Scalar::Decimal(value, 0) => Ok(value),
        Scalar::Huge => Err(TOO_LARGE),
        _ => Err(WRONG),
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    reason = "what comes back must be what went in"
)]
fn double(scalar: Scalar<'_>) -> Result<f64, Refusal> {
    match scalar {
        Scalar::Float(value) if value.is_finite() => Ok(value),
        Scalar::Float(_) => Err(NOT_FINITE),
        Scalar::Whole(value) => Some(value as f64).filter(|float| *float as i128 == value).ok_or(NOT_EXACT),
        Scalar::Decimal(value, scale) => {
            number::float64(number::decimal_text(value, scale).as_bytes(), scale == 0)
        }
        Scalar::Huge => Err(TOO_LARGE),
        _ => Err(WRONG),
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    reason = "what comes back must be what went in"
)]
fn single(scalar: Scalar<'_>) -> Result<f32, Refusal> {
    match scalar {
        Scalar::Float(value) if !value.is_finite() => Err(NOT_FINITE),
        Scalar::Float(value) => {
            let single = value as f32;
            let fits = f64::from(single) == value;
            if fits { Ok(single) } else { Err(if single.is_finite() { NOT_EXACT } else { TOO_LARGE }) }
        }
        Scalar::Whole(value) => Some(value as f32).filter(|float| *float as i128 == value).ok_or(NOT_EXACT),
        Scalar::Decimal(value, scale) => {
            number::float32(number::decimal_text(value, scale).as_bytes(), scale == 0)
        }
        Scalar::Huge => Err(TOO_LARGE),
        _ => Err(WRONG),
    }
}

fn decimal(scalar: Scalar<'_>, precision: u8, scale: u8) -> Result<i128, Refusal> {
    let (value, found) = match scalar {
        Scalar::Whole(value) => (value, 0),
        Scalar::Decimal(value, scale) => (value, scale),
        Scalar::Huge => return Err(TOO_LARGE),
        _ => return Err(WRONG),
    };
    let power = |digits: u8| 10_i128.checked_pow(digits.into());
    let value = if value == 0 {
        0
    } else if scale >= found {
        power(scale - found).and_then(|factor| value.checked_mul(factor)).ok_or(TOO_LARGE)?
    } else {
        match power(found - scale) {
            Some(factor) if value % factor == 0 => value / factor,
            _ => return Err(NOT_EXACT),
        }
    };
    let most = power(precision).ok_or(TOO_LARGE)?;
    if value.unsigned_abs() < most.unsigned_abs() { Ok(value) } else { Err(TOO_LARGE) }
}

fn append(texts: &mut Texts, bytes: &[u8], tools: &mut Tools) -> Checked<()> {
    tools.budget.spend(bytes.len() as u64, 0)?;
    texts.bytes.extend_from_slice(bytes);
    texts.close();
    Ok(())
}

/// Appends a text: a value of a string column, or the key of a map.
pub(super) fn text(texts: &mut Texts, scalar: Scalar<'_>, tools: &mut Tools) -> Checked<()> {
    match scalar {
        Scalar::Text(bytes) | Scalar::Bytes(bytes) => {
            if simdutf8::basic::from_utf8(bytes).is_err() {
                return Err(refused(NOT_UTF8));
            }
            append(texts, bytes, tools)
        }
        Scalar::Uuid(bytes) => append(texts, uuid_text(bytes).as_bytes(), tools),
        _ => Err(refused(WRONG)),
    }
}

/// Appends the text of a JSON value, without the white space around it.
fn json(texts: &mut Texts, scalar: Scalar<'_>, tools: &mut Tools) -> Checked<()> {
    let (Scalar::Text(bytes) | Scalar::Bytes(bytes)) = scalar else {
        return Err(refused(WRONG));
    };
    if simdutf8::basic::from_utf8(bytes).is_err() {
        return Err(refused(NOT_UTF8));
    }
    // Where in the value a fault stands is no place in the object.
    let here = |fault: Box<Fault>| Fault::new(fault.code, 0, fault.detail);
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = bytes.iter().position(|byte| !space(byte)).unwrap_or(0);
    let end = bytes.iter().rposition(|byte| !space(byte)).map_or(0, |at| at + 1);
    let value = bytes.get(start..end).unwrap_or_default();
    match tools.duplicate_keys {
        DuplicateKeys::Refuse => {
            check(value, &mut tools.keys).map_err(here)?;
            append(texts, value, tools)
        }
        DuplicateKeys::LastWins => match blank_duplicates(value).map_err(here)? {
            Some(copy) => append(texts, &copy, tools),
            None => append(texts, value, tools),
        },
    }
}
