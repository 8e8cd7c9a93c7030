//! `min`, `max` and `one_of`: values written as text, read by the type of their column.

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::Pieces;

use crate::data_type::DataType;

/// A value that a column's values can be compared with. Bounds of one column type are of one variant.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub enum Bound {
    /// Of an integer column: within the range of its type.
    Integer(i128),
    /// Of a decimal column: the unscaled value, at the scale of its type.
    Decimal(i128),
    /// Of a floating point column: finite.
    Float(f64),
    /// Of a date column.
    Date(Date),
    /// Of a time column.
    Time(Time),
    /// Of a timestamp column: nanoseconds since 1970, UTC.
    Timestamp(i128),
}

impl Bound {
    /// Reads a bound of a column of this type.
    ///
    /// # Errors
    /// What was expected, when the type has no order or the text is no value of it.
    pub fn parse(data_type: &DataType, text: &str) -> Result<Self, String> {
        let expected = |what: &str| format!("expected {what}, the type of the column");
        match data_type {
            DataType::Int(_) | DataType::UInt(_) => integer(data_type, text)
                .map(Self::Integer)
                .ok_or_else(|| expected(&format!("a whole number that fits `{data_type}`"))),
            DataType::Decimal(precision, scale) => decimal(text, *precision, *scale)
                .map(Self::Decimal)
                .ok_or_else(|| expected(&format!("a decimal that fits `{data_type}`"))),
            DataType::Float32 | DataType::Float64 => float(data_type, text)
                .map(Self::Float)
                .ok_or_else(|| expected(&format!("a finite number that fits `{data_type}`"))),
            DataType::Date => {
                date(text).map(Self::Date).ok_or_else(|| expected("a date such as `2026-05-19`"))
            }
            DataType::Time(_) => {
                time(text).map(Self::Time).ok_or_else(|| expected("a time such as `10:15:00`"))
            }
            DataType::Timestamp(_) => timestamp(text)
                .map(Self::Timestamp)
                .ok_or_else(|| expected("a timestamp with its offset, such as `2026-05-19T10:15:00Z`")),
            DataType::Bool
            | DataType::String
            | DataType::Binary
            | DataType::Json
            | DataType::List(_)
            | DataType::Struct(_)
            | DataType::Map(_) => {
                Err("only numbers, dates, times and timestamps have a `min` and `max`".to_owned())
            }
        }
    }
}

/// A value of `one_of`.
pub(super) fn allowed_value(data_type: &DataType, text: &str) -> Result<(), String> {
    match data_type {
        DataType::String => Ok(()),
        DataType::Int(_) | DataType::UInt(_) => match integer(data_type, text) {
            Some(_) => Ok(()),
            None => Err(format!("expected whole numbers that fit `{data_type}`, as texts in quotes")),
        },
        _ => Err("only string and integer columns have `one_of`".to_owned()),
    }
}

/// A whole number in its one plain form (no plus sign, no leading zeros), within the range of the type.
fn integer(data_type: &DataType, text: &str) -> Option<i128> {
    let value: i128 = text.parse().ok()?;
    let fits = match data_type {
        DataType::Int(bits) => {
            let limit = 1_i128.checked_shl(u32::from(*bits).checked_sub(1)?)?;
            (-limit..limit).contains(&value)
        }
        DataType::UInt(bits) => (0..1_i128.checked_shl(u32::from(*bits))?).contains(&value),
        _ => false,
    };
    (fits && value.to_string() == text).then_some(value)
}

/// An exact decimal as its unscaled value.
fn decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = usize::from(scale).checked_sub(fraction.len())?;
    let unscaled = format!("{whole}{fraction}{}", "0".repeat(missing));
    let significant = unscaled.trim_start_matches('0');
    if significant.len() > usize::from(precision) {
        return None;
    }
    let value: i128 = if significant.is_empty() { 0 } else { significant.parse().ok()? };
    Some(if negative { -value } else { value })
}

fn float(data_type: &DataType, text: &str) -> Option<f64> {
    let finite = match data_type {
        DataType::Float32 => text.parse::<f32>().ok()?.is_finite(),
        _ => true,
    };
    text.parse::<f64>().ok().filter(|value| finite && value.is_finite())
}

/// Dates have one form only: jiff also reads the date of a longer text.
fn date(text: &str) -> Option<Date> {
    text.parse::<Date>().ok().filter(|date| date.to_string() == text)
}

fn time(text: &str) -> Option<Time> {
    let plain =
        text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
    text.parse().ok().filter(|_| plain)
}

/// An instant of the years 1 to 9999 (UTC), as nanoseconds since 1970. jiff's own instants end a day before those of records.
fn timestamp(text: &str) -> Option<i128> {
    let pieces = Pieces::parse(text).ok()?;
    let offset = pieces.to_numeric_offset()?;
    let since = |time: DateTime| time.duration_since(EPOCH).as_nanos();
    let local = since(pieces.date().to_datetime(pieces.time()?));
    let nanos = local - i128::from(offset.seconds()) * 1_000_000_000;
    (since(FIRST)..=since(LAST)).contains(&nanos).then_some(nanos)
}

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
const FIRST: DateTime = DateTime::constant(1, 1, 1, 0, 0, 0, 0);
const LAST: DateTime = DateTime::constant(9999, 12, 31, 23, 59, 59, 999_999_999);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_by_the_type_of_their_column() {
        for (data_type, good, bad) in [
            ("int8", vec!["-128", "127"], vec!["128", "+1", "01", "1.0", "", "-0"]),
            ("uint64", vec!["18446744073709551615"], vec!["-1", "18446744073709551616"]),
            (
                "decimal(4,2)",
                vec!["99.99", "-1.5", "0", "0012.50", "1.500"],
                vec!["100", "1.555", "1.", ".5", "1e2"],
            ),
            (
                "decimal(38,0)",
                vec!["99999999999999999999999999999999999999"],
                vec!["100000000000000000000000000000000000000"],
            ),
            ("float32", vec!["1e38", "0.5"], vec!["1e39", "nan", "inf", "x"]),
            ("date", vec!["2026-05-19"], vec!["2026-02-30", "2026-05-19T00:00:00", "19.05.2026"]),
            ("time(ms)", vec!["10:15:00", "10:15:00.5"], vec!["2026-05-19T10:15:00", "25:00:00"]),
            (
                "timestamp(us)",
                vec![
                    "2026-05-19T10:15:00Z",
                    "2026-05-19T10:15:00+02:00",
                    "0001-01-01T00:00:00Z",
                    "9999-12-31T23:59:59.999999999Z",
                    "9999-12-31T23:59:59.999999999+18:00",
                ],
                vec![
                    "2026-05-19T10:15:00",
                    "2026-05-19",
                    "0000-12-31T23:59:59Z",
                    "0001-01-01T00:00:00+01:00",
                    "9999-12-31T23:59:59-01:00",
                ],
            ),
            ("string", vec![], vec!["a"]),
            ("list<int8>", vec![], vec!["1"]),
        ] {
            let data_type: DataType = data_type.parse().unwrap();
            for text in good {
                assert!(Bound::parse(&data_type, text).is_ok(), "{data_type} {text}");
            }
            for text in bad {
                assert!(Bound::parse(&data_type, text).is_err(), "{data_type} {text} must be refused");
            }
        }
    }

    #[test]
    fn bounds_are_ordered_as_values() {
        for (data_type, small, great) in [
            ("int64", "9", "10"),
            ("decimal(10,2)", "9.5", "10"),
            ("decimal(10,2)", "-10", "-9.5"),
            ("float64", "-1e3", "2"),
            ("timestamp(ms)", "2026-05-19T10:00:00+02:00", "2026-05-19T09:00:00Z"),
            ("timestamp(us)", "9999-12-30T22:00:00Z", "9999-12-31T23:59:59.000000001Z"),
        ] {
            let data_type: DataType = data_type.parse().unwrap();
            assert!(Bound::parse(&data_type, small) < Bound::parse(&data_type, great), "{data_type}");
        }
    }
}
