//! Tokens of the kind a column takes, and the values of numbers; or the fault that says what was found instead.

use crate::fault::{Checked, Fault, ViolationCode};
use crate::json::{Cursor, Number, Text};
use crate::number::{self, Refusal, refused};
use crate::plain::Plain;

/// What a column takes but did not find.
#[cold]
pub(crate) fn wrong_type(cursor: &Cursor<'_>, wanted: &'static str) -> Box<Fault> {
    let found = cursor.kind();
    Fault::new(ViolationCode::WrongType, cursor.at, format!("expected {wanted}, found {found}"))
}

#[inline]
pub(crate) fn text_token(cursor: &mut Cursor<'_>, wanted: &'static str) -> Checked<Text> {
    if cursor.peek() == Some(b'"') { cursor.string() } else { Err(wrong_type(cursor, wanted)) }
}

/// An integer of at most `bits` bits.
#[inline]
pub(crate) fn signed(cursor: &mut Cursor<'_>, bits: u8, wanted: &'static str) -> Checked<i64> {
    // Most integers are read in one go.
    if let Some((value, end)) = cursor.short_integer()
        && number::fits(value, bits)
    {
        cursor.at = end;
        return Ok(value);
    }
    let number = integer_token(cursor, wanted)?;
    value(cursor, number, |plain| plain.signed(bits), |literal| number::signed(literal, bits))
}

/// An unsigned integer of at most `bits` bits.
pub(crate) fn unsigned(cursor: &mut Cursor<'_>, bits: u8, wanted: &'static str) -> Checked<u64> {
    let number = integer_token(cursor, wanted)?;
    value(cursor, number, |plain| plain.unsigned(bits), |literal| number::unsigned(literal, bits))
}

/// The nearest `f64`.
pub(crate) fn float64(cursor: &mut Cursor<'_>) -> Checked<f64> {
    let number = number_token(cursor)?;
    value(cursor, number, Plain::float64, |literal| number::float64(literal, number.integer))
}

/// The nearest `f32`.
pub(crate) fn float32(cursor: &mut Cursor<'_>) -> Checked<f32> {
    let number = number_token(cursor)?;
    value(cursor, number, Plain::float32, |literal| number::float32(literal, number.integer))
}

/// A decimal, as so many units of ten to the power of minus `scale`.
pub(crate) fn decimal(cursor: &mut Cursor<'_>, precision: u8, scale: u8) -> Checked<i128> {
    let number = number_token(cursor)?;
    let exact = |literal: &[u8]| number::decimal(literal, precision, scale);
    value(cursor, number, |plain| plain.decimal(precision, scale), exact)
}

#[inline]
fn number_token(cursor: &mut Cursor<'_>) -> Checked<Number> {
    match cursor.peek() {
        Some(b'-' | b'0'..=b'9') => cursor.number(),
        _ => Err(wrong_type(cursor, "a number")),
    }
}

/// An integer literal: a fraction or an exponent is a number of another type, even when its value is whole.
#[inline]
fn integer_token(cursor: &mut Cursor<'_>, wanted: &'static str) -> Checked<Number> {
    if !matches!(cursor.peek(), Some(b'-' | b'0'..=b'9')) {
        return Err(wrong_type(cursor, wanted));
    }
    let number = cursor.number()?;
    if !number.integer {
        let detail = "expected an integer, found a number with a fraction or an exponent";
        return Err(Fault::new(ViolationCode::WrongType, number.start, detail));
    }
    Ok(number)
}

/// The value of a number: `plain` of what was read with the token, where that holds; otherwise `exact` of the literal, which
/// alone refuses.
#[inline]
fn value<T>(
    cursor: &Cursor<'_>,
    number: Number,
    plain: impl FnOnce(Plain) -> Option<T>,
    exact: impl FnOnce(&[u8]) -> Result<T, Refusal>,
) -> Checked<T> {
    match number.plain.and_then(plain) {
        Some(value) => Ok(value),
        None => {
            exact(cursor.slice(number.start, number.end)).map_err(|refusal| refused(refusal, number.start))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An integer by its literal alone, and where it ends.
    fn by_literal(text: &str, bits: u8) -> Result<(i64, usize), ViolationCode> {
        let mut cursor = Cursor::new(text.as_bytes());
        let number = integer_token(&mut cursor, "an integer").map_err(|fault| fault.code)?;
        let value = number::signed(cursor.slice(number.start, number.end), bits);
        value.map(|value| (value, cursor.at)).map_err(|(code, _)| code)
    }

    proptest! {
        #[test]
        fn integers_are_what_their_literals_say(
            literal in "-?(0|00|01|[1-9][0-9]{0,4}|[1-9][0-9]{16,19}|128|129|)",
            ending in prop_oneof!["", ",", "}", "]", " ,", "\n", "\\.5", "e1", "x", ",1"],
            bits in prop_oneof![Just(8_u8), Just(16), Just(32), Just(64)],
        ) {
            let text = format!("{literal}{ending}");
            let mut cursor = Cursor::new(text.as_bytes());
            let found = signed(&mut cursor, bits, "an integer").map_err(|fault| fault.code);
            prop_assert_eq!(found.map(|value| (value, cursor.at)), by_literal(&text, bits), "{}", text);
        }
    }
}
