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
//! | `1e400` | `wrong_type` | `out_of_range` | `out_of_range` |
//! | `1e-400` | `wrong_type` | `out_of_range` | `inexact` |

use crate::fault::ViolationCode;

/// Why a number does not fit, without its place.
pub(crate) type Refusal = (ViolationCode, &'static str);

const TOO_LARGE: Refusal = (ViolationCode::OutOfRange, "the number is outside the range of the type");
const TOO_SMALL: Refusal =
    (ViolationCode::OutOfRange, "the number is too small for the type: it would become zero");
const NOT_EXACT: Refusal = (ViolationCode::Inexact, "the integer has no exact binary floating point value");
const TOO_FINE: Refusal = (ViolationCode::Inexact, "the number has more fraction digits than the column");

/// The magnitude of an integer literal without its sign; `None` beyond 64 bits.
#[inline]
fn magnitude(digits: &[u8]) -> Option<u64> {
    if digits.len() <= 19 {
        return Some(digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit & 15)));
    }
    digits.iter().try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit & 15)))
}

/// An integer literal of at most `bits` bits.
#[inline]
pub(crate) fn signed(literal: &[u8], bits: u8) -> Result<i64, Refusal> {
    let value = match literal.strip_prefix(b"-") {
        Some(digits) => magnitude(digits).and_then(|value| 0_i64.checked_sub_unsigned(value)),
        None => magnitude(literal).and_then(|value| i64::try_from(value).ok()),
    };
    let unused = 64_u32.saturating_sub(u32::from(bits));
    value.filter(|value| (*value << unused) >> unused == *value).ok_or(TOO_LARGE)
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

/// A number literal as the nearest `f64`; an integer literal must be exact.
pub(crate) fn float64(literal: &[u8], integer: bool) -> Result<f64, Refusal> {
    let text = std::str::from_utf8(literal).unwrap_or_default();
    let value: f64 = text.parse().map_err(|_| TOO_LARGE)?;
    if !value.is_finite() {
        return Err(TOO_LARGE);
    }
    if value == 0.0 && is_nonzero(literal) {
        return Err(TOO_SMALL);
    }
    // Every integer of up to 15 digits is exact.
    if integer && literal.len() > 15 && format!("{value:.0}") != text {
        return Err(NOT_EXACT);
    }
    Ok(value)
}

/// A number literal as the nearest `f32`; an integer literal must be exact.
pub(crate) fn float32(literal: &[u8], integer: bool) -> Result<f32, Refusal> {
    let text = std::str::from_utf8(literal).unwrap_or_default();
    let value: f32 = text.parse().map_err(|_| TOO_LARGE)?;
    if !value.is_finite() {
        return Err(TOO_LARGE);
    }
    if value == 0.0 && is_nonzero(literal) {
        return Err(TOO_SMALL);
    }
    if integer && literal.len() > 7 && format!("{value:.0}") != text {
        return Err(NOT_EXACT);
    }
    Ok(value)
}

/// A number literal times ten to the power of `scale`, exactly.
pub(crate) fn decimal(literal: &[u8], precision: u8, scale: u8) -> Result<i128, Refusal> {
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
    // value = digits * 10^shift, in units of the scale
    let mut shift = exponent.saturating_add(i64::from(scale)).saturating_sub(as_i64(fraction));
    let digits = || mantissa.iter().filter(|byte| **byte != b'.').map(|byte| byte & 15);
    let total = digits().count();
    let Some(first) = digits().position(|digit| digit != 0) else { return Ok(0) };
    let last = total - digits().rev().position(|digit| digit != 0).unwrap_or(0);
    shift = shift.saturating_add(as_i64(total - last));
    let significant = last - first;
    if shift < 0 {
        return Err(TOO_FINE);
    }
    if as_i64(significant).saturating_add(shift) > i64::from(precision) {
        return Err(TOO_LARGE);
    }
    let value =
        digits().skip(first).take(significant).fold(0_i128, |value, digit| value * 10 + i128::from(digit));
    // At most 38 digits, by the check above: this fits.
    let value = 10_i128
        .checked_pow(u32::try_from(shift).unwrap_or(u32::MAX))
        .and_then(|factor| value.checked_mul(factor))
        .ok_or(TOO_LARGE)?;
    Ok(if negative { -value } else { value })
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
