//! What a stored value means.

use super::schema::{Kind, Unit};
use super::source::Value;

/// The Julian day of 1970-01-01.
const EPOCH_DAY: i128 = 2_440_588;
const DAY_NANOS: i128 = 86_400_000_000_000;

/// A value by its meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar<'a> {
    Bool(bool),
    Whole(i128),
    /// That many units of ten to the power of minus the scale.
    Decimal(i128, u8),
    /// A decimal of more than 128 bits.
    Huge,
    Float(f64),
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    Uuid([u8; 16]),
    /// Days since the epoch.
    Date(i32),
    /// Since midnight.
    Time(i64, Unit),
    /// Since the epoch, in UTC or in no zone that is told.
    Instant {
        value: i128,
        unit: Unit,
        utc: bool,
    },
}

impl Unit {
    /// Units per second.
    pub(super) fn per_second(self) -> i64 {
        match self {
            Self::Millis => 1_000,
            Self::Micros => 1_000_000,
            Self::Nanos => 1_000_000_000,
        }
    }
}

/// The meaning of a value. `None` when it cannot have one, such as a value of a column that has none but null.
#[inline]
pub(super) fn scalar(kind: Kind, value: Value<'_>) -> Option<Scalar<'_>> {
    Some(match (kind, value) {
        (Kind::Bool, Value::Bool(value)) => Scalar::Bool(value),
        (Kind::Int { signed: true }, Value::Int32(value)) => Scalar::Whole(value.into()),
        (Kind::Int { signed: true }, Value::Int64(value)) => Scalar::Whole(value.into()),
        (Kind::Int { signed: false }, Value::Int32(value)) => Scalar::Whole(value.cast_unsigned().into()),
        (Kind::Int { signed: false }, Value::Int64(value)) => Scalar::Whole(value.cast_unsigned().into()),
        (Kind::Float, Value::Float(value)) => Scalar::Float(value.into()),
        (Kind::Double, Value::Double(value)) => Scalar::Float(value),
        (Kind::Half, Value::Bytes(bytes)) => Scalar::Float(half(u16::from_le_bytes(*bytes.first_chunk()?))),
        (Kind::Text, Value::Bytes(bytes)) => Scalar::Text(bytes),
        (Kind::Bytes, Value::Bytes(bytes)) => Scalar::Bytes(bytes),
        (Kind::Uuid, Value::Bytes(bytes)) => Scalar::Uuid(*bytes.first_chunk()?),
        (Kind::Decimal { scale, .. }, Value::Int32(value)) => Scalar::Decimal(value.into(), scale),
        (Kind::Decimal { scale, .. }, Value::Int64(value)) => Scalar::Decimal(value.into(), scale),
        (Kind::Decimal { scale, .. }, Value::Bytes(bytes)) => {
            big_endian(bytes).map_or(Scalar::Huge, |value| Scalar::Decimal(value, scale))
        }
        (Kind::Date, Value::Int32(value)) => Scalar::Date(value),
        (Kind::Time(unit), Value::Int32(value)) => Scalar::Time(value.into(), unit),
        (Kind::Time(unit), Value::Int64(value)) => Scalar::Time(value, unit),
        (Kind::Instant { unit, utc }, Value::Int64(value)) => {
            Scalar::Instant { value: value.into(), unit, utc }
        }
        (Kind::Int96, Value::Bytes(bytes)) => {
            let nanos = u64::from_le_bytes(*bytes.first_chunk()?);
            let day = u32::from_le_bytes(*bytes.last_chunk()?);
            let value = (i128::from(day) - EPOCH_DAY) * DAY_NANOS + i128::from(nanos);
            Scalar::Instant { value, unit: Unit::Nanos, utc: false }
        }
        _ => return None,
    })
}

/// A number of two's complement, the highest byte first; `None` beyond 128 bits.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let sign = if negative { 0xff } else { 0 };
    let (head, tail) = bytes.split_at_checked(bytes.len().saturating_sub(16))?;
    let start = if negative { -1 } else { 0 };
    let value = tail.iter().fold(start, |value: i128, byte| (value << 8) | i128::from(*byte));
    let fits = head.iter().all(|byte| *byte == sign) && (value < 0) == negative;
    fits.then_some(value)
}

/// A float of 16 bits, exactly.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff);
    let magnitude = match i32::from(bits >> 10 & 0x1f) {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (fraction + 1024.0) * 2_f64.powi(exponent - 25),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

/// A UUID as it is written.
pub(super) fn uuid_text(bytes: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(bytes));
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    parts.map(|range| digits.get(range).unwrap_or_default().to_owned()).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_are_what_they_say() {
        for (bytes, expected) in [
            (&[][..], Some(0)),
            (&[0x7f], Some(127)),
            (&[0x80], Some(-128)),
            (&[0xff, 0x7f], Some(-129)),
            (&[0; 20], Some(0)),
            (&[0xff; 20], Some(-1)),
        ] {
            assert_eq!(big_endian(bytes), expected);
        }
        let mut wide = [0; 17];
        wide[1] = 0x80;
        assert_eq!(big_endian(&wide), None, "2 to the power of 127");
        wide[0] = 0xff;
        assert_eq!(big_endian(&wide), Some(i128::MIN));
        wide[0] = 1;
        assert_eq!(big_endian(&wide), None);
    }

    #[test]
    fn halves_are_exact() {
        for (bits, expected) in [
            (0x3c00, 1.0_f64),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x0400, 2_f64.powi(-14)),
            (0x0001, 2_f64.powi(-24)),
            (0x3555, 0.333_251_953_125),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(half(bits).to_bits(), expected.to_bits(), "{bits:04x}");
        }
        assert!(half(0x7e00).is_nan());
        assert!(half(0x8000).is_sign_negative());
    }

    #[test]
    fn a_uuid_is_written_as_everybody_does() {
        let bytes = *b"\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x14\x17\x40\x00";
        assert_eq!(uuid_text(bytes), "123e4567-e89b-12d3-a456-426614174000");
    }
}
