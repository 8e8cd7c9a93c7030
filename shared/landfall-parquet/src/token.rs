//! Tokens of the kind a column takes, or the fault that says what was found instead.

use crate::fault::{Checked, Fault, ViolationCode};
use crate::json::{Cursor, Number, Text};

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

#[inline]
pub(crate) fn number_token(cursor: &mut Cursor<'_>) -> Checked<Number> {
    match cursor.peek() {
        Some(b'-' | b'0'..=b'9') => cursor.number(),
        _ => Err(wrong_type(cursor, "a number")),
    }
}

/// An integer literal: a fraction or an exponent is a number of another type, even when its value is whole.
#[inline]
pub(crate) fn integer_token<'a>(cursor: &mut Cursor<'a>, wanted: &'static str) -> Checked<(&'a [u8], usize)> {
    let at = cursor.at;
    if !matches!(cursor.peek(), Some(b'-' | b'0'..=b'9')) {
        return Err(wrong_type(cursor, wanted));
    }
    let number = cursor.number()?;
    if !number.integer {
        let detail = "expected an integer, found a number with a fraction or an exponent";
        return Err(Fault::new(ViolationCode::WrongType, at, detail));
    }
    Ok((cursor.slice(number.start, number.end), at))
}
