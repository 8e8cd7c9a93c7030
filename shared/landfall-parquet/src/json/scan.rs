//! Tokens: white space, literals, numbers, strings. Every byte a token covers is checked.

use crate::fault::{Checked, Fault, ViolationCode};
use crate::limits;
use crate::plain::Plain;

/// A place in a line, and how deep in it.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    pub(crate) at: usize,
    depth: usize,
}

/// The inside of a string token, still escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether any backslash stands in it.
    pub(crate) escaped: bool,
}

/// A number token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Neither fraction nor exponent is written.
    pub(crate) integer: bool,
    /// What it says, if it has no exponent and few digits: most numbers are read in one go.
    pub(crate) plain: Option<Plain>,
}

/// So many bytes of a number without an exponent cannot say more than 64 bits hold.
const PLAIN_BYTES: usize = 19;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES * 0x80;

/// The bytes of a word that equal `byte`, as high bits; exact up to the first one.
fn equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ (ONES * u64::from(byte));
    difference.wrapping_sub(ONES) & !difference & HIGHS
}

/// The control characters of a word, as high bits; exact up to the first one.
fn control(word: u64) -> u64 {
    word.wrapping_sub(ONES * 0x20) & !word & HIGHS
}

/// Whether no byte is a control character. In words, as loops over bytes are not turned into wider ones where binaries are built
/// small.
fn is_printable(bytes: &[u8]) -> bool {
    let (words, tail) = bytes.as_chunks::<8>();
    let found = words.iter().fold(0, |found, word| found | control(u64::from_le_bytes(*word)));
    found == 0 && tail.iter().all(|byte| *byte >= FIRST_PRINTABLE)
}

/// The bytes of a word that end or interrupt a string, as high bits; exact up to the first one.
fn special(word: u64) -> u64 {
    control(word) | equal(word, b'"') | equal(word, b'\\')
}

/// Whether a byte ends or interrupts a string.
#[inline]
fn is_special(byte: u8) -> bool {
    byte < FIRST_PRINTABLE || byte == b'"' || byte == b'\\'
}

/// All bytes below are control characters (RFC 8259, section 7).
const FIRST_PRINTABLE: u8 = 0x20;

/// Texts up to this length, in bytes, are looked at in words.
const SHORT_BYTES: usize = 32;

/// Integers of so many digits are below 64 bits with their sign.
const SHORT_DIGITS: usize = 18;

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0 }
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The bytes of a token.
    #[inline]
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// Where it is, to come back to by [`Cursor::back_to`].
    #[inline]
    pub(crate) fn place(&self) -> (usize, usize) {
        (self.at, self.depth)
    }

    /// Goes back to a place.
    pub(crate) fn back_to(&mut self, (at, depth): (usize, usize)) {
        (self.at, self.depth) = (at, depth);
    }

    /// Takes `wanted` if it is next.
    #[inline]
    pub(crate) fn accept(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    #[cold]
    pub(crate) fn invalid(&self, detail: &'static str) -> Box<Fault> {
        Fault::new(ViolationCode::InvalidJson, self.at, detail)
    }

    /// Takes the byte that must come next.
    #[inline]
    pub(crate) fn expect(&mut self, wanted: u8, detail: &'static str) -> Checked<()> {
        if self.accept(wanted) { Ok(()) } else { Err(self.invalid(detail)) }
    }

    /// Enters an array or object.
    #[inline]
    pub(crate) fn enter(&mut self) -> Checked<()> {
        self.depth += 1;
        if self.depth > limits::DEPTH {
            return Err(Fault::new(ViolationCode::TooDeep, self.at, "arrays and objects nest too deeply"));
        }
        self.at += 1;
        Ok(())
    }

    /// Leaves an array or object whose closing byte is taken already.
    #[inline]
    pub(crate) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// After an element: true when another one follows (its comma is taken), false when `close` is taken.
    #[inline]
    pub(crate) fn another(&mut self, close: u8, detail: &'static str) -> Checked<bool> {
        self.space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.space();
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                self.leave();
                Ok(false)
            }
            _ => Err(self.invalid(detail)),
        }
    }

    /// Takes `true`, `false` or `null`.
    pub(crate) fn literal(&mut self, word: &'static str) -> Checked<()> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end) != Some(word.as_bytes()) {
            return Err(self.invalid("expected a JSON value"));
        }
        self.at = end;
        Ok(())
    }

    /// All bytes that are not taken yet.
    #[inline]
    pub(crate) fn ahead(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Takes a key that is known to be next, `length` bytes with its quotes and its colon.
    #[inline]
    pub(crate) fn key(&mut self, length: usize) -> Text {
        let start = self.at + 1;
        self.at += length;
        Text { start, end: self.at.saturating_sub(2), escaped: false }
    }

    /// Takes a string; its opening quote is next.
    pub(crate) fn string(&mut self) -> Checked<Text> {
        self.expect(b'"', "expected a string")?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.skip_plain();
            match self.peek() {
                Some(b'"') => {
                    let end = self.at;
                    self.at += 1;
                    return Ok(Text { start, end, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.invalid("a control character stands unescaped in a string")),
                None => return Err(self.invalid("a string does not end")),
            }
        }
    }

    /// Skips bytes that stand for themselves in a string.
    #[inline]
    fn skip_plain(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some((head, tail)) = rest.split_at_checked(SHORT_BYTES) else { return self.skip_words(rest) };
        let begin = self.at;
        self.skip_words(head);
        if self.at - begin < SHORT_BYTES {
            return;
        }
        // A long text: many bytes at once cost less than words, even if they are looked at again for control characters.
        let text = tail.get(..memchr::memchr2(b'"', b'\\', tail).unwrap_or(tail.len())).unwrap_or_default();
        if is_printable(text) {
            self.at += text.len();
        } else {
            self.skip_words(text);
        }
    }

    /// The same, a word at a time.
    #[inline]
    fn skip_words(&mut self, rest: &[u8]) {
        let (words, tail) = rest.as_chunks::<8>();
        for word in words {
            let found = special(u64::from_le_bytes(*word));
            if found != 0 {
                self.at += (found.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
        for byte in tail {
            if is_special(*byte) {
                return;
            }
            self.at += 1;
        }
    }

    /// Takes one escape; its backslash is next. A surrogate must have its partner.
    fn escape(&mut self) -> Checked<()> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                self.at += 1;
                let first = self.hex4()?;
                match first {
                    0xD800..=0xDBFF => {
                        let paired = self.accept(b'\\') && self.accept(b'u');
                        if paired && (0xDC00..=0xDFFF).contains(&self.hex4()?) {
                            return Ok(());
                        }
                    }
                    0xDC00..=0xDFFF => {}
                    _ => return Ok(()),
                }
                self.at = start;
                Err(self.invalid("a surrogate stands without its partner"))
            }
            _ => Err(self.invalid("an escape that JSON does not have")),
        }
    }

    fn hex4(&mut self) -> Checked<u32> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { return Err(self.invalid("expected four hexadecimal digits")) };
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }

    /// Takes digits and appends them to `number`, which wraps around; how many there were.
    #[inline]
    fn digits(&mut self, number: &mut u64) -> usize {
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            *number = number.wrapping_mul(10).wrapping_add(u64::from(digit & 15));
            self.at += 1;
        }
        self.at - start
    }

    /// The value and the end of the integer that is next, if it has few digits and the next member or element follows at once, as
    /// is true of most. Nothing is taken; what is anything else is for [`Self::number`] to say.
    #[inline]
    pub(crate) fn short_integer(&self) -> Option<(i64, usize)> {
        let ahead = self.ahead();
        let (negative, digits) = match ahead.split_first()? {
            (b'-', digits) => (true, digits),
            _ => (false, ahead),
        };
        let mut value = 0;
        for (length, byte) in digits.iter().take(SHORT_DIGITS + 1).enumerate() {
            match byte {
                b'0'..=b'9' if length < SHORT_DIGITS => value = value * 10 + i64::from(byte & 15),
                b',' | b'}' | b']' if length == 1 || (length > 1 && digits.first() != Some(&b'0')) => {
                    let end = self.at + usize::from(negative) + length;
                    return Some((if negative { -value } else { value }, end));
                }
                _ => return None,
            }
        }
        None
    }

    /// Takes a number; `-` or a digit is next.
    pub(crate) fn number(&mut self) -> Checked<Number> {
        let start = self.at;
        let negative = self.accept(b'-');
        let (mut mantissa, mut fraction) = (0, 0);
        if !self.accept(b'0') && self.digits(&mut mantissa) == 0 {
            return Err(self.invalid("expected a digit"));
        }
        if self.accept(b'.') {
            fraction = self.digits(&mut mantissa);
            if fraction == 0 {
                return Err(self.invalid("expected a digit after the decimal point"));
            }
        }
        let mut integer = fraction == 0;
        let mut plain = (self.at - start <= PLAIN_BYTES).then_some(Plain { negative, mantissa, fraction });
        if let Some(b'e' | b'E') = self.peek() {
            (integer, plain) = (false, None);
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits(&mut mantissa) == 0 {
                return Err(self.invalid("expected a digit in the exponent"));
            }
        }
        // `01`, `1a`, `-Infinity`: what follows a number is checked here, so that the offset is the number's.
        match self.peek() {
            None | Some(b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n') => {
                Ok(Number { start, end: self.at, integer, plain })
            }
            Some(_) => Err(self.invalid("a number goes on in an unknown way")),
        }
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Checked<()> {
        self.space();
        if self.peek().is_some() { Err(self.invalid("something follows the record")) } else { Ok(()) }
    }

    /// The kind of the value that comes next, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.peek() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            Some(b'-' | b'0'..=b'9') => "a number",
            _ => "no JSON value",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_or_is_interrupted_wherever_it_is() {
        for before in 0..150 {
            for after in [0, 1, 7, 8, 40] {
                let text = |middle: &str| format!("\"{}{middle}{}\" ", "ä".repeat(before), "x".repeat(after));
                let end = 1 + 2 * before + after;
                let found = |text: &str| Cursor::new(text.as_bytes()).string();
                assert_eq!(found(&text("")).unwrap(), Text { start: 1, end, escaped: false });
                assert_eq!(found(&text("\\n")).unwrap(), Text { start: 1, end: end + 2, escaped: true });
                assert_eq!(found(&text("\"")).unwrap(), Text { start: 1, end: end - after, escaped: false });
                for control in ["\u{1f}", "\n", "\0"] {
                    let fault = found(&text(control)).unwrap_err();
                    assert_eq!((fault.code, fault.at), (ViolationCode::InvalidJson, 1 + 2 * before));
                }
                let open = text("");
                let fault = found(open.get(..end).unwrap()).unwrap_err();
                assert_eq!((fault.code, fault.at), (ViolationCode::InvalidJson, end));
            }
        }
    }
}
