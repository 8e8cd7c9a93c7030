//! Numbers of few digits, whose value is known as soon as they are read. What is not certain here is for [`crate::number`] to
//! say, refusals too.

use crate::number::fits;

/// A number of at most 64 bits that is written without an exponent: `mantissa` is all of its digits, the last `fraction` of
/// them behind the decimal point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) negative: bool,
    pub(crate) mantissa: u64,
    pub(crate) fraction: usize,
}

/// Digits that every `f64` of their size keeps, and powers of ten that are one: the quotient of two floats that are exact is the
/// nearest to the true one (IEEE 754; Clinger, "How to read floating point numbers accurately").
const DOUBLE_DIGITS: usize = 15;
const DOUBLE_POWERS: [f64; 19] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];
/// The same of `f32`.
const FLOAT_DIGITS: usize = 6;
const FLOAT_POWERS: [f32; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

/// A power of ten, if 64 bits hold it.
#[inline]
fn power(exponent: usize) -> Option<u64> {
    10_u64.checked_pow(u32::try_from(exponent).ok()?)
}

impl Plain {
    /// Whether it has at most so many digits that are not leading zeros.
    fn is_within(self, digits: usize) -> bool {
        power(digits).is_some_and(|bound| self.mantissa < bound)
    }

    /// An integer of at most `bits` bits, from 1 to 64.
    #[inline]
    pub(crate) fn signed(self, bits: u8) -> Option<i64> {
        if self.fraction > 0 {
            return None;
        }
        let value = i64::try_from(self.mantissa).ok()?;
        let value = if self.negative { -value } else { value };
        fits(value, bits).then_some(value)
    }

    /// An unsigned integer of at most `bits` bits, from 1 to 64.
    #[inline]
    pub(crate) fn unsigned(self, bits: u8) -> Option<u64> {
        let unused = 64_u32.saturating_sub(u32::from(bits));
        let fits =
            self.fraction == 0 && !self.negative && (self.mantissa << unused) >> unused == self.mantissa;
        fits.then_some(self.mantissa)
    }

    /// The nearest `f64`, where it keeps the number as it is written.
    #[inline]
    pub(crate) fn float64(self) -> Option<f64> {
        let divisor = DOUBLE_POWERS.get(self.fraction)?;
        if !self.is_within(DOUBLE_DIGITS) {
            return None;
        }
        // So many digits are exact.
        #[expect(clippy::cast_precision_loss, reason = "below ten to the power of 15, which 53 bits hold")]
        let value = self.mantissa as f64 / divisor;
        Some(if self.negative { -value } else { value })
    }

    /// The nearest `f32`, where it keeps the number as it is written.
    #[inline]
    pub(crate) fn float32(self) -> Option<f32> {
        let divisor = FLOAT_POWERS.get(self.fraction)?;
        if !self.is_within(FLOAT_DIGITS) {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "below a million, which 24 bits hold")]
        let value = self.mantissa as f32 / divisor;
        Some(if self.negative { -value } else { value })
    }

    /// The number times ten to the power of `scale`, if it has at most `precision` digits then.
    #[inline]
    pub(crate) fn decimal(self, precision: u8, scale: u8) -> Option<i128> {
        let missing = usize::from(scale).checked_sub(self.fraction)?;
        let value = self.mantissa.checked_mul(power(missing)?)?;
        // More digits than 64 bits can have are never too many.
        if power(usize::from(precision)).is_some_and(|bound| value >= bound) {
            return None;
        }
        let value = i128::from(value);
        Some(if self.negative { -value } else { value })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::Cursor;
    use crate::number;

    fn plain(literal: &str) -> Option<Plain> {
        Cursor::new(literal.as_bytes()).number().unwrap().plain
    }

    #[test]
    fn common_numbers_are_read_at_once() {
        for (literal, expected) in [
            ("0", (false, 0, 0)),
            ("-0", (true, 0, 0)),
            ("517", (false, 517, 0)),
            ("-12.50", (true, 1250, 2)),
            ("0.001", (false, 1, 3)),
            ("1234567890123456789", (false, 1_234_567_890_123_456_789, 0)),
            ("9999999999999999999", (false, 9_999_999_999_999_999_999, 0)),
        ] {
            let (negative, mantissa, fraction) = expected;
            assert_eq!(plain(literal), Some(Plain { negative, mantissa, fraction }), "{literal}");
        }
        for literal in
            ["1e3", "1.5E-2", "12345678901234567890", "-1234567890123456789", "0.000000000000000001"]
        {
            assert_eq!(plain(literal), None, "{literal}");
        }
        let price = plain("-12.50").unwrap();
        assert_eq!((price.signed(64), price.float64(), price.float32()), (None, Some(-12.5), Some(-12.5)));
        assert_eq!((price.decimal(10, 4), price.decimal(10, 1)), (Some(-125_000), None));
        assert_eq!((plain("128").unwrap().signed(8), plain("-128").unwrap().signed(8)), (None, Some(-128)));
        assert_eq!((plain("-1").unwrap().unsigned(8), plain("255").unwrap().unsigned(8)), (None, Some(255)));
        assert!(plain("-0").unwrap().float64().is_some_and(f64::is_sign_negative));
    }

    fn literals() -> impl Strategy<Value = String> {
        prop_oneof![
            "-?(0|[1-9][0-9]{0,19})",
            "-?(0|[1-9][0-9]{0,9})\\.[0-9]{1,12}",
            "-?(0|[1-9][0-9]{0,4})\\.0{0,8}[0-9]{0,5}5",
            "-?(127|128|129|255|256|32767|32768|65535|2147483648|4294967296|9223372036854775807|9223372036854775808)",
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_known_at_once_is_exact(literal in literals(), bits in 1_u8..=64, precision in 1_u8..=38, scale in 0_u8..=38) {
            let Some(plain) = plain(&literal) else { return Ok(()) };
            let (literal, integer) = (literal.as_bytes(), !literal.contains('.'));
            if integer {
                if let Some(value) = plain.signed(bits) {
                    prop_assert_eq!(number::signed(literal, bits), Ok(value));
                }
                if let Some(value) = plain.unsigned(bits) {
                    prop_assert_eq!(number::unsigned(literal, bits), Ok(value));
                }
            }
            if let Some(value) = plain.float64() {
                prop_assert_eq!(number::float64(literal, integer).map(f64::to_bits), Ok(value.to_bits()));
            }
            if let Some(value) = plain.float32() {
                prop_assert_eq!(number::float32(literal, integer).map(f32::to_bits), Ok(value.to_bits()));
            }
            let scale = scale.min(precision);
            if let Some(value) = plain.decimal(precision, scale) {
                prop_assert_eq!(number::decimal(literal, precision, scale), Ok(value));
            }
        }
    }
}
