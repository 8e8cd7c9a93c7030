//! Text from outside, made fit for a log line: bounded, and without characters that act on a terminal or
//! start a new line.
//!
//! | text | shown |
//! |---|---|
//! | `a` newline `b` | `a\nb` (visible backslash) |
//! | ESC `[31m` | `\u{1b}[31m` |
//! | right-to-left override | `\u{202e}` |
//! | 1 MB of `x` | 1,024 of them and `…(+1047552 bytes)` |

use std::borrow::Cow;

/// The longest value shown whole, in characters. An S3 key has at most as many bytes.
pub const SHOWN_CHARACTERS: usize = 1_024;

/// The text, cut to [`SHOWN_CHARACTERS`], with control and direction characters written as visible escapes.
pub fn shown(text: &str) -> Cow<'_, str> {
    shown_within(text, SHOWN_CHARACTERS)
}

/// [`shown`], with another bound in characters of the original.
pub fn shown_within(text: &str, characters: usize) -> Cow<'_, str> {
    let cut = text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at);
    let head = text.get(..cut).unwrap_or_default();
    if cut == text.len() && !head.chars().any(is_active) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(head.len() + 32);
    for character in head.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if is_active(other) => out.extend(other.escape_unicode()),
            other => out.push(other),
        }
    }
    let left_out = text.len() - cut;
    if left_out > 0 {
        out.extend(["…(+", &left_out.to_string(), " bytes)"]);
    }
    Cow::Owned(out)
}

/// Control characters, line separators, and marks that reorder or hide what follows.
fn is_active(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_is_shown_as_it_is() {
        assert!(matches!(shown("lands/ü 日本/a b.json"), Cow::Borrowed("lands/ü 日本/a b.json")));
    }

    #[test]
    fn characters_that_act_are_shown_as_escapes() {
        let cases = [
            ("a\nb\r\n\tc", "a\\nb\\r\\n\\tc"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\u{202e}b\u{2028}c\0", "a\\u{202e}b\\u{2028}c\\u{0}"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn a_megabyte_is_cut() {
        let text = "x".repeat(1_048_576);
        assert_eq!(shown(&text), format!("{}…(+1047552 bytes)", "x".repeat(1_024)));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_bounded_and_inert(text in any::<String>(), bound in 0_usize..64) {
            let out = shown_within(&text, bound);
            prop_assert!(!out.chars().any(is_active));
            prop_assert!(out.chars().count() <= bound * 10 + 40);
        }
    }
}
