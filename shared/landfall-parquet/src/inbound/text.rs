//! A row of a Parquet object as JSON text, as it is kept when it is rejected.
//!
//! One object with every column of the file, those among them that the contract does not name, in the order of the file.
//!
//! | value | text |
//! |---|---|
//! | booleans, integers, null | as JSON has them |
//! | decimals | a number with all digits of its scale |
//! | floats | the shortest number that reads back as it; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | text, UUIDs | a string; text that is not UTF-8 as `{"base64": ...}` |
//! | bytes | base64 as a string |
//! | dates, times of day | `YYYY-MM-DD`, `HH:MM:SS.f`; outside the years 0001 to 9999 or a day the stored number |
//! | instants | the same with `T` between, and `Z` when in UTC; outside these years the stored number |
//! | lists, structs | an array, an object |
//! | maps | an array of `[key, value]`: keys need not be texts, and may stand twice |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Refused;
use super::scalar::{Scalar, uuid_text};
use super::schema::{Branch, Kind, Shape, Unit};
use super::source::{Form, Source, Value, contradiction, span};
use crate::fault::QuarantineReason;
use crate::number;
use crate::time;

const DAY_SECONDS: i128 = 86_400;

/// Writes a row; all leaves must have been read. The text is at most `most` bytes long.
pub(super) fn row(root: &Branch, source: &Source<'_>, row: usize, most: usize) -> Result<Vec<u8>, Refused> {
    let mut writer = Writer { out: Vec::new(), most };
    writer.value(root, source, row)?;
    Ok(writer.out)
}

/// Writes one column of a row as a member of an object.
pub(super) fn member(
    column: &Branch,
    source: &Source<'_>,
    row: usize,
    most: usize,
) -> Result<Vec<u8>, Refused> {
    let mut writer = Writer { out: Vec::new(), most };
    writer.member(column, source, row)?;
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
    most: usize,
}

impl Writer {
    fn put(&mut self, text: &[u8]) -> Result<(), Refused> {
        if text.len() > self.most.saturating_sub(self.out.len()) {
            let detail = "more rows are rejected than can be kept one by one";
            return Err(Refused::new(QuarantineReason::TooManyRejected, detail));
        }
        self.out.extend_from_slice(text);
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result<(), Refused> {
        self.put(b"\"")?;
        let mut rest = text.as_bytes();
        let special = |byte: &u8| *byte < 0x20 || matches!(*byte, b'"' | b'\\');
        while let Some(at) = rest.iter().position(special) {
            let (plain, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            self.put(plain)?;
            match after.first().copied() {
                Some(byte @ (b'"' | b'\\')) => self.put(&[b'\\', byte])?,
                Some(byte) => self.put(format!("\\u{byte:04x}").as_bytes())?,
                None => {}
            }
            rest = after.get(1..).unwrap_or_default();
        }
        self.put(rest)?;
        self.put(b"\"")
    }

    fn member(&mut self, branch: &Branch, source: &Source<'_>, row: usize) -> Result<(), Refused> {
        self.string(&branch.name)?;
        self.put(b":")?;
        self.value(branch, source, row)
    }

    fn value(&mut self, branch: &Branch, source: &Source<'_>, row: usize) -> Result<(), Refused> {
        if source.is_null(row) {
            return self.put(b"null");
        }
        match (&branch.shape, &source.form) {
            (Shape::Leaf(kind), _) => self.leaf(*kind, source, row),
            (Shape::Struct(members), Form::Struct(sources)) if members.len() == sources.len() => {
                for (index, (member, source)) in members.iter().zip(sources).enumerate() {
                    self.put(if index == 0 { b"{" } else { b"," })?;
                    self.member(member, source, row)?;
                }
                self.put(b"}")
            }
            (Shape::List(item), Form::List(offsets, source)) => {
                self.put(b"[")?;
                for (index, element) in span(offsets, row)?.enumerate() {
                    self.put(if index == 0 { b"" } else { b"," })?;
                    self.value(item, source, element)?;
                }
                self.put(b"]")
            }
            (Shape::Map { key, value }, Form::Map(offsets, keys, values)) => {
                self.put(b"[")?;
                for (index, entry) in span(offsets, row)?.enumerate() {
                    self.put(if index == 0 { b"[" } else { b",[" })?;
                    self.value(key, keys, entry)?;
                    self.put(b",")?;
                    self.value(value, values, entry)?;
                    self.put(b"]")?;
                }
                self.put(b"]")
            }
            _ => Err(contradiction()),
        }
    }

    fn leaf(&mut self, kind: Kind, source: &Source<'_>, row: usize) -> Result<(), Refused> {
        let (stored, meaning) = source.scalar(kind, row)?;
        match meaning {
            Scalar::Bool(value) => self.put(if value { b"true" } else { b"false" }),
            Scalar::Whole(value) => self.put(value.to_string().as_bytes()),
            Scalar::Decimal(value, scale) => self.put(number::decimal_text(value, scale).as_bytes()),
            // Wider than what can be shown: its bytes.
            Scalar::Huge => match stored {
                Value::Bytes(bytes) => self.base64(bytes),
                _ => self.put(b"null"),
            },
            Scalar::Float(value) if value.is_nan() => self.put(b"\"NaN\""),
            Scalar::Float(value) if value.is_infinite() => {
                self.put(if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" })
            }
            Scalar::Float(value) => match stored {
                Value::Float(single) => self.put(format!("{single:?}").as_bytes()),
                _ => self.put(format!("{value:?}").as_bytes()),
            },
            Scalar::Text(bytes) => {
                if let Ok(text) = std::str::from_utf8(bytes) {
                    return self.string(text);
                }
                self.put(b"{\"base64\":")?;
                self.base64(bytes)?;
                self.put(b"}")
            }
            Scalar::Bytes(bytes) => self.base64(bytes),
            Scalar::Uuid(bytes) => self.string(&uuid_text(bytes)),
            Scalar::Date(days) => match time::day_in_range(days.into()) {
                Ok(days) => self.string(&time::date_text(days.into())),
                Err(_) => self.put(days.to_string().as_bytes()),
            },
            Scalar::Time(value, unit) => {
                let second = i128::from(value).div_euclid(unit.per_second().into());
                if (0..DAY_SECONDS).contains(&second) {
                    self.string(&clock(value.into(), unit))
                } else {
                    self.put(value.to_string().as_bytes())
                }
            }
            Scalar::Instant { value, unit, utc } => {
                let day = DAY_SECONDS * i128::from(unit.per_second());
                let days = i64::try_from(value.div_euclid(day)).unwrap_or(i64::MAX);
                if time::day_in_range(days).is_err() {
                    return self.put(value.to_string().as_bytes());
                }
                let zone = if utc { "Z" } else { "" };
                let text = format!("{}T{}{zone}", time::date_text(days), clock(value.rem_euclid(day), unit));
                self.string(&text)
            }
        }
    }

    fn base64(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        if bytes.len() > self.most {
            return self.put(bytes);
        }
        self.put(b"\"")?;
        self.put(STANDARD.encode(bytes).as_bytes())?;
        self.put(b"\"")
    }
}

/// A time of day with all digits of its unit.
fn clock(value: i128, unit: Unit) -> String {
    let per_second = i128::from(unit.per_second());
    let (second, fraction) = (value.div_euclid(per_second), value.rem_euclid(per_second));
    let width = match unit {
        Unit::Millis => 3,
        Unit::Micros => 6,
        Unit::Nanos => 9,
    };
    format!("{:02}:{:02}:{:02}.{fraction:0width$}", second / 3600, second / 60 % 60, second % 60)
}
