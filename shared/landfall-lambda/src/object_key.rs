//! Keys in S3 event notifications are form-encoded: a space is `+`, other bytes are `%XX`.
//!
//! | in the event | the key |
//! |---|---|
//! | `a+b%2Bc/%C3%BC%3D%C3%A9` | `a b+c/ü=é` |
//! | `a%20b` | `a b` (hand-written events and emulators) |
//! | `..%2F%2F` | `..//` (a key is no path: nothing is normalised) |
//! | `a%2`, `%zz`, `%FF`, nothing, more than 1,024 bytes | refused |

/// A key that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A `%` is not followed by two hexadecimal digits.
    #[error("invalid percent escape at byte {0} of the key")]
    Escape(usize),
    /// The decoded bytes are not UTF-8.
    #[error("the decoded key is not UTF-8")]
    NotUtf8,
    /// No object has this key.
    #[error("the key is empty")]
    Empty,
    /// No object has so long a key.
    #[error("the key has {0} bytes, S3 takes 1024")]
    TooLong(usize),
}

/// The longest key of S3, in bytes.
pub const MAX_KEY_BYTES: usize = 1_024;

/// Checks that S3 can hold an object of this key.
///
/// # Errors
/// The key is empty or too long.
pub fn check_key(key: &str) -> Result<(), KeyError> {
    match key.len() {
        0 => Err(KeyError::Empty),
        1..=MAX_KEY_BYTES => Ok(()),
        bytes => Err(KeyError::TooLong(bytes)),
    }
}

/// Decodes a key of an S3 event notification.
///
/// # Errors
/// See [`KeyError`].
pub fn decode_key(encoded: &str) -> Result<String, KeyError> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes().enumerate();
    while let Some((at, byte)) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut digit = || rest.next().and_then(|(_, digit)| char::from(digit).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else { return Err(KeyError::Escape(at)) };
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
            }
            other => bytes.push(other),
        }
    }
    let key = String::from_utf8(bytes).map_err(|_| KeyError::NotUtf8)?;
    check_key(&key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Encodes as S3 does: unreserved characters and `/` stay, a space is `+`, the rest is `%XX`.
    fn encode(key: &str) -> String {
        key.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                    char::from(byte).to_string()
                }
                b' ' => "+".to_owned(),
                other => format!("%{other:02X}"),
            })
            .collect()
    }

    #[test]
    fn keys_decode_as_aws_encodes_them() {
        for (encoded, key) in [
            ("a+b%2Bc/%C3%BC%3D%C3%A9", "a b+c/ü=é"),
            ("a%20b", "a b"),
            ("x%40y", "x@y"),
            ("plain/key.jsonl", "plain/key.jsonl"),
            ("..%2f%2F../", "..//../"),
            ("%00%0A", "\0\n"),
        ] {
            assert_eq!(decode_key(encoded).as_deref(), Ok(key));
        }
        assert_eq!(decode_key("a%2"), Err(KeyError::Escape(1)));
        assert_eq!(decode_key("%zz"), Err(KeyError::Escape(0)));
        assert_eq!(decode_key("a%+1"), Err(KeyError::Escape(1)));
        assert_eq!(decode_key("%FF"), Err(KeyError::NotUtf8));
        assert_eq!(decode_key("%ED%A0%80"), Err(KeyError::NotUtf8), "a lone surrogate");
        assert_eq!(decode_key(""), Err(KeyError::Empty));
    }

    #[test]
    fn the_limit_counts_decoded_bytes() {
        assert!(decode_key(&"%C3%BC".repeat(512)).is_ok());
        assert_eq!(decode_key(&"%C3%BC".repeat(513)), Err(KeyError::TooLong(1_026)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn every_key_comes_back(key in "(?s)([ +%=/.é\u{301}😀]|.){1,80}") {
            prop_assert_eq!(decode_key(&encode(&key)), Ok(key));
        }

        #[test]
        fn lower_case_escapes_and_percent_20_are_taken_too(key in "(?s).{1,80}") {
            let encoded = encode(&key).to_lowercase().replace('+', "%20");
            let plain = key.bytes().all(|byte| !byte.is_ascii_uppercase());
            prop_assert!(!plain || decode_key(&encoded).as_deref() == Ok(&key));
        }

        #[test]
        fn any_text_decodes_or_is_refused(text in any::<String>()) {
            drop(decode_key(&text));
        }
    }
}
