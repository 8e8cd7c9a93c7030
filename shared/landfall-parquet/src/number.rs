//! Numbers from their text, never changed silently.
//!
//! | literal | int64 | float64 | decimal(10,2) |
//! |---|---|---|---|
//! | `12` | 12 | 12 | 12.00 |
//! | `12.0`, `1.2e1` | `wrong_type` | 12 | 12.00 |
//! | `-0` | 0 | -0 | 0.00 |
//! | `1.005` | `wrong_type` | the nearest | `inexact` |
//! | `1.50000` | `wrong_type` | 1.5 | 1.50 |
//! | `9007199254740993` | that | `inexact` | `out_of_range` |
//! | `9007199254740993.0`, `9.007199254740993e15` | `wrong_type` | `inexact` | `out_of_range` |
//! | `1e23` | `wrong_type` | 1e23 | `out_of_range` |
//! | `100000000000000000000000` | `out_of_range` | `inexact` | `out_of_range` |
//! | `1e400` | `wrong_type` | `out_of_range` | `out_of_range` |
//! | `1e-400` | `wrong_type` | `out_of_range` | `inexact` |
//!
//! A whole number enters a float column only as itself. One written with a fraction or an exponent may also be the shortest
//! text of a float, as `1e23` is of 99999999999999991611392: so floats are written by everybody's JSON, and the column
//! reads back as that text. An integer literal may not: nobody says that it was a float.

use crate::fault::{Fault, ViolationCode};

/// Why a number does not fit, without its place.
pub(crate) type Refusal = (ViolationCode, &'static str);

/// The fault of a value that is refused at this place.
#[cold]
pub(crate) fn refused((code, detail): Refusal, at: usize) -> Box<Fault> {
    Fault::new(code, at, detail)
}

pub(crate) const TOO_LARGE: Refusal =
    (ViolationCode::OutOfRange, "the number is outside the range of the type");
const TOO_SMALL: Refusal =
    (ViolationCode::OutOfRange, "the number is too small for the type: it would become zero");
const NOT_EXACT: Refusal =
    (ViolationCode::Inexact, "the whole number has no exact binary floating point value");
const TOO_FINE: Refusal = (ViolationCode::Inexact, "the number has more fraction digits than the column");

/// The magnitude of an integer literal without its sign; `None` beyond 64 bits.
#[inline]
fn magnitude(digits: &[u8]) -> Option<u64> {
    if digits.len() <= 19 {
        return Some(digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit & 15)));
    }
    digits.iter().try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit & 15)))
}

/// Whether an integer has at most `bits` bits.
#[inline]
pub(crate) fn fits(value: i64, bits: u8) -> bool {
    let unused = 64_u32.saturating_sub(u32::from(bits));
    (value << unused) >> unused == value
}

/// An integer literal of at most `bits` bits.
#[inline]
pub(crate) fn signed(literal: &[u8], bits: u8) -> Result<i64, Refusal> {
    let value = match literal.strip_prefix(b"-") {
        Some(digits) => magnitude(digits).and_then(|value| 0_i64.checked_sub_unsigned(value)),
        None => magnitude(literal).and_then(|value| i64::try_from(value).ok()),
    };
    value.filter(|value| fits(*value, bits)).ok_or(TOO_LARGE)
}

/// An unsigned integer literal of at most `bits` bits.
#[inline]
pub(crate) fn unsigned(literal: &[u8], bits: u8) -> Result<u64, Refusal> {
    let value = match literal.strip_prefix(b"-") {
        Some(digits) => magnitude(digits).filter(|value| *value == 0),
        None => magnitude(literal),
    };
    let unused = 64_u32.saturating_sub(u32::from(bits));
    value.filter(|value| (*value << unused) >> unused == *value).ok_or(TOO_LARGE)
}

/// Whether any digit before the exponent is not zero.
fn is_nonzero(literal: &[u8]) -> bool {
    literal.iter().take_while(|byte| !matches!(byte, b'e' | b'E')).any(|byte| matches!(byte, b'1'..=b'9'))
}

/// A number literal as the nearest `f64`; a whole number must be exact.
pub(crate) fn float64(literal: &[u8], integer: bool) -> Result<f64, Refusal> {
    let text = std::str::from_utf8(literal).unwrap_or_default();
    let value: f64 = text.parse().map_err(|_| TOO_LARGE)?;
    if !value.is_finite() {
        return Err(TOO_LARGE);
    }
    if value == 0.0 && is_nonzero(literal) {
        return Err(TOO_SMALL);
    }
    // Every integer of up to 15 digits is exact, and so many digits are the shortest text of every float near them.
    if literal.len() > 15 && !keeps(literal, integer, || format!("{value:.0}"), || format!("{value:e}")) {
        return Err(NOT_EXACT);
    }
    Ok(value)
}

/// A number literal as the nearest `f32`; a whole number must be exact.
pub(crate) fn float32(literal: &[u8], integer: bool) -> Result<f32, Refusal> {
    let text = std::str::from_utf8(literal).unwrap_or_default();
    let value: f32 = text.parse().map_err(|_| TOO_LARGE)?;
    if !value.is_finite() {
        return Err(TOO_LARGE);
    }
    if value == 0.0 && is_nonzero(literal) {
        return Err(TOO_SMALL);
    }
    // As for `f64`, with 6 digits.
    if literal.len() > 6 && !keeps(literal, integer, || format!("{value:.0}"), || format!("{value:e}")) {
        return Err(NOT_EXACT);
    }
    Ok(value)
}

/// Whether a float keeps the literal it was read from: `exact` is all of its whole part, `shortest` its shortest text.
fn keeps(literal: &[u8], integer: bool, exact: impl Fn() -> String, shortest: impl Fn() -> String) -> bool {
    if integer {
        return exact().as_bytes() == literal;
    }
    let wanted = Digits::of(literal);
    // Of a number with a fraction the nearest float is all there is.
    wanted.shift < 0
        || wanted.same(&Digits::of(shortest().as_bytes()))
        || wanted.same(&Digits::of(exact().as_bytes()))
}

/// A number literal taken apart: its value is `digits` times ten to the power of `shift`.
struct Digits<'a> {
    negative: bool,
    mantissa: &'a [u8],
    /// Where among the digits of the mantissa its significant ones begin, and how many there are: none of zero.
    first: usize,
    significant: usize,
    shift: i64,
}

impl<'a> Digits<'a> {
    fn of(literal: &'a [u8]) -> Self {
        let (negative, literal) = match literal.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, literal),
        };
        let exponent_at = literal.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, exponent) = match exponent_at.and_then(|at| literal.split_at_checked(at)) {
            Some((mantissa, exponent)) => (mantissa, signed_exponent(exponent.get(1..).unwrap_or_default())),
            None => (literal, 0),
        };
        let fraction = mantissa.iter().position(|byte| *byte == b'.').map_or(0, |at| mantissa.len() - at - 1);
        let digits = || mantissa.iter().filter(|byte| **byte != b'.');
        let total = digits().count();
        let Some(first) = digits().position(|digit| *digit != b'0') else {
            return Self { negative, mantissa, first: 0, significant: 0, shift: 0 };
        };
        let last = total - digits().rev().position(|digit| *digit != b'0').unwrap_or(0);
        let shift = exponent.saturating_sub(as_i64(fraction)).saturating_add(as_i64(total - last));
        Self { negative, mantissa, first, significant: last - first, shift }
    }

    /// The significant digits.
    fn digits(&self) -> impl Iterator<Item = u8> {
        let digits = self.mantissa.iter().filter(|byte| **byte != b'.').map(|byte| byte & 15);
        digits.skip(self.first).take(self.significant)
    }

    fn same(&self, other: &Digits<'_>) -> bool {
        self.negative == other.negative && self.shift == other.shift && self.digits().eq(other.digits())
    }
}

/// How many digits a number has before its decimal point and after it, written without an exponent and without zeros that
/// say nothing.
pub(crate) fn digits(literal: &[u8]) -> (i64, i64) {
    let digits = Digits::of(literal);
    let whole = as_i64(digits.significant).saturating_add(digits.shift);
    (whole.max(0), digits.shift.saturating_neg().max(0))
}

/// A number literal times ten to the power of `scale`, exactly.
pub(crate) fn decimal(literal: &[u8], precision: u8, scale: u8) -> Result<i128, Refusal> {
    let digits = Digits::of(literal);
    if digits.significant == 0 {
        return Ok(0);
    }
    let shift = digits.shift.saturating_add(i64::from(scale));
    if shift < 0 {
        return Err(TOO_FINE);
    }
    if as_i64(digits.significant).saturating_add(shift) > i64::from(precision) {
        return Err(TOO_LARGE);
    }
    let value = digits.digits().fold(0_i128, |value, digit| value * 10 + i128::from(digit));
    // At most 38 digits, by the check above: this fits.
    let value = 10_i128
        .checked_pow(u32::try_from(shift).unwrap_or(u32::MAX))
        .and_then(|factor| value.checked_mul(factor))
        .ok_or(TOO_LARGE)?;
    Ok(if digits.negative { -value } else { value })
}

/// A decimal as plain text with all digits of its scale.
pub(crate) fn decimal_text(unscaled: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at_checked(digits.len() - scale).unwrap_or((&digits, ""));
    let sign = if unscaled < 0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

fn as_i64(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// An exponent, which may be longer than any integer type: far beyond all limits it saturates.
fn signed_exponent(text: &[u8]) -> i64 {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let value = digits
        .iter()
        .fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit & 15)))
        .min(i64::MAX / 4);
    if negative { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_or_refused() {
        assert_eq!(signed(b"-9223372036854775808", 64), Ok(i64::MIN));
        assert_eq!(signed(b"9223372036854775807", 64), Ok(i64::MAX));
        assert_eq!(signed(b"9223372036854775808", 64), Err(TOO_LARGE));
        assert_eq!(signed(b"-9223372036854775809", 64), Err(TOO_LARGE));
        assert_eq!(signed(b"123456789012345678901234567890", 64), Err(TOO_LARGE));
        assert_eq!(signed(b"-0", 8), Ok(0));
        assert_eq!(signed(b"-128", 8), Ok(-128));
        assert_eq!(signed(b"128", 8), Err(TOO_LARGE));
        assert_eq!(signed(b"-129", 8), Err(TOO_LARGE));
        assert_eq!(unsigned(b"18446744073709551615", 64), Ok(u64::MAX));
        assert_eq!(unsigned(b"18446744073709551616", 64), Err(TOO_LARGE));
        assert_eq!(unsigned(b"255", 8), Ok(255));
        assert_eq!(unsigned(b"256", 8), Err(TOO_LARGE));
        assert_eq!(unsigned(b"-0", 8), Ok(0));
        assert_eq!(unsigned(b"-1", 64), Err(TOO_LARGE));
    }

    #[test]
    fn floats_are_the_nearest_or_refused() {
        assert_eq!(float64(b"0.1", false), Ok(0.1));
        assert_eq!(float64(b"9007199254740992", true), Ok(9_007_199_254_740_992.0));
        assert_eq!(float64(b"9007199254740993", true), Err(NOT_EXACT));
        assert_eq!(float64(b"-9007199254740993", true), Err(NOT_EXACT));
        assert_eq!(float64(b"10000000000000000000000", true), Ok(1e22));
        assert_eq!(float64(b"100000000000000000000000", true), Err(NOT_EXACT));
        assert_eq!(float64(b"1e400", false), Err(TOO_LARGE));
        assert_eq!(float64(b"1e-400", false), Err(TOO_SMALL));
        assert_eq!(float64(b"0e-400", false), Ok(0.0));
        assert_eq!(float64(b"5e-324", false), Ok(5e-324));
        assert!(float64(b"-0", true).is_ok_and(|value| value == 0.0 && value.is_sign_negative()));
        assert_eq!(float32(b"0.1", false), Ok(0.1_f32));
        assert_eq!(float32(b"16777217", true), Err(NOT_EXACT));
        assert_eq!(float32(b"16777216", true), Ok(16_777_216.0));
        assert_eq!(float32(b"1e39", false), Err(TOO_LARGE));
        assert_eq!(float32(b"1e-50", false), Err(TOO_SMALL));
    }

    #[test]
    fn whole_numbers_are_exact_however_they_are_written() {
        for literal in
            ["9007199254740993.0", "-9007199254740993.000", "9.007199254740993e15", "90071992547409930e-1"]
        {
            assert_eq!(float64(literal.as_bytes(), false), Err(NOT_EXACT), "{literal}");
        }
        for (literal, expected) in [
            ("9007199254740992.0", 9_007_199_254_740_992.0),
            ("-9.007199254740994e15", -9_007_199_254_740_994.0),
            ("99999999999999991611392.0", 1e23),
            ("1e23", 1e23),
            ("1.7976931348623157e308", f64::MAX),
            ("0.000000000000000000000e5", 0.0),
            ("9007199254740992.5", 9_007_199_254_740_992.0),
            ("12345678901234567.0e-10", 1_234_567.890_123_456_7),
        ] {
            assert_eq!(float64(literal.as_bytes(), false), Ok(expected), "{literal}");
        }
        assert_eq!(float64(b"100000000000000000000001e0", false), Err(NOT_EXACT));
        assert_eq!(float32(b"16777217.0", false), Err(NOT_EXACT));
        assert_eq!(float32(b"1.6777217e7", false), Err(NOT_EXACT));
        assert_eq!(float32(b"16777216.0", false), Ok(16_777_216.0));
        assert_eq!(float32(b"3.4028235e38", false), Ok(f32::MAX));
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        for (literal, expected) in [
            ("12", Ok(1200)),
            ("12.3", Ok(1230)),
            ("-12.34", Ok(-1234)),
            ("12.340000", Ok(1234)),
            ("1.005", Err(TOO_FINE)),
            ("1.5e2", Ok(15000)),
            ("15000e-2", Ok(15000)),
            ("1e-2", Ok(1)),
            ("1e-3", Err(TOO_FINE)),
            ("99999999.99", Ok(9_999_999_999)),
            ("100000000", Err(TOO_LARGE)),
            ("1e99999999999999999999", Err(TOO_LARGE)),
            ("1e-99999999999999999999", Err(TOO_FINE)),
            ("0e99999999999999999999", Ok(0)),
            ("-0.000", Ok(0)),
            ("0.10", Ok(10)),
        ] {
            assert_eq!(decimal(literal.as_bytes(), 10, 2), expected, "{literal}");
        }
        let largest = "9".repeat(38);
        assert_eq!(decimal(largest.as_bytes(), 38, 0), Ok(10_i128.pow(38) - 1));
        assert_eq!(decimal(b"0.00000000000000000000000000000000000001", 38, 38), Ok(1));
    }
}
