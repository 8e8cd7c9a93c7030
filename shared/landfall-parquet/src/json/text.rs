//! Escapes of a string that the scanner has checked.

/// Appends the meaning of `escaped`, the inside of a checked string.
pub(crate) fn unescape(escaped: &[u8], out: &mut Vec<u8>) {
    let mut rest = escaped;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let (length, meaning) = one_escape(escape);
        let mut utf8 = [0; 4];
        out.extend_from_slice(meaning.encode_utf8(&mut utf8).as_bytes());
        rest = escape.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// The length of the escape that `text` begins with, and the character it stands for.
fn one_escape(text: &[u8]) -> (usize, char) {
    let meaning = match text.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let first = hex4(text, 2);
            if let 0xD800..=0xDBFF = first {
                let code = 0x10000 + ((first - 0xD800) << 10) + (hex4(text, 8).wrapping_sub(0xDC00) & 0x3FF);
                return (12, char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            return (6, char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        Some(other) => char::from(*other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (2, meaning)
}

fn hex4(text: &[u8], at: usize) -> u32 {
    let digits = text.get(at..at + 4).unwrap_or_default();
    digits.iter().fold(0, |value, byte| value * 16 + char::from(*byte).to_digit(16).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_their_characters() {
        for (escaped, meaning) in [
            (r"", ""),
            (r"plain", "plain"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"a\u0041\u00e9\u20ACb", "aAé€b"),
            (r"\uD834\udd1e!", "𝄞!"),
            (r"\u0000", "\0"),
            (r"\uFFFF", "\u{ffff}"),
        ] {
            let mut out = Vec::new();
            unescape(escaped.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), meaning, "{escaped}");
        }
    }
}
