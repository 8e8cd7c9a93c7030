//! Partition paths: `name=value/name=value/` as Hive has them, or values alone, escaped so that a value can never leave its
//! segment, and no two values share one.
//!
//! | value | segment | without a name |
//! |---|---|---|
//! | `2026-05-19` | `dt=2026-05-19` | `2026-05-19` |
//! | `US/East` | `region=US%2FEast` | `US%2FEast` |
//! | `a=b` | `k=a%3Db` | `a%3Db` |
//! | `..` | `k=%2E%2E` | `%2E%2E` |
//! | `_x`, `.x` | `k=_x`, `k=.x` | `%5Fx`, `%2Ex`: query engines skip folders that begin so |
//! | empty, null, or `__HIVE_DEFAULT_PARTITION__` | `k=__HIVE_DEFAULT_PARTITION__` | `(null)` |

use serde::{Deserialize, Serialize};

/// How Hive writes a null in a path.
pub const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// How a null stands in a path without a name. Hive's text would be a folder that query engines skip; this one no value has,
/// as its brackets are escaped in values.
pub const PLAIN_NULL: &str = "(null)";

/// Whether a text is null as a partition value: nothing in a path tells it from null. Hive reads both back as null.
pub fn is_null(value: &str) -> bool {
    value.is_empty() || value == HIVE_NULL
}

/// One level of a partition: a name and its value; `None` is null, and so are the texts of [`is_null`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartitionValue {
    /// The partition column's name; none where the value stands alone in the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The value before escaping.
    pub value: Option<String>,
}

/// The values of all levels, in path order. Empty for a dataset without partitions.
pub type Partition = Vec<PartitionValue>;

/// Characters that stand for themselves in a value. Everything else is percent-encoded, byte by byte.
/// A superset of Hive's own escaping list, which leaves `..`, spaces and non-ASCII letters as they are.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+' | b'@' | b',' | b'~')
}

/// Escapes one value for a path segment.
pub fn escape(value: &str) -> String {
    let dots_only = !value.is_empty() && value.bytes().all(|byte| byte == b'.');
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if is_plain(byte) && !dots_only {
            out.push(char::from(byte));
        } else {
            push_encoded(&mut out, byte);
        }
    }
    out
}

fn push_encoded(out: &mut String, byte: u8) {
    out.push('%');
    for nibble in [byte >> 4, byte & 15] {
        out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase());
    }
}

/// Undoes [`escape`]; `None` when the text is not valid percent-encoded UTF-8.
pub fn unescape(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// The path of a partition, with a trailing slash; empty for no partition.
pub fn path(partition: &[PartitionValue]) -> String {
    let mut out = String::new();
    for level in partition {
        out.push_str(&segment(level.name.as_deref(), level.value.as_deref()));
        out.push('/');
    }
    out
}

/// One level as it stands in a path, without a slash.
pub fn segment(name: Option<&str>, value: Option<&str>) -> String {
    let value = value.filter(|value| !is_null(value));
    match name {
        Some(name) => format!("{name}={}", value.map_or_else(|| HIVE_NULL.to_owned(), escape)),
        None => value.map_or_else(|| PLAIN_NULL.to_owned(), plain),
    }
}

/// A value that stands alone: visible to every query engine.
fn plain(value: &str) -> String {
    let escaped = escape(value);
    match escaped.strip_prefix(['_', '.']) {
        Some(rest) => {
            let mut out = String::with_capacity(escaped.len() + 2);
            push_encoded(&mut out, escaped.bytes().next().unwrap_or_default());
            out.push_str(rest);
            out
        }
        None => escaped,
    }
}

/// The values as a catalog holds them: unescaped, with Hive's text for null.
pub fn catalog_values(partition: &[PartitionValue]) -> Vec<String> {
    partition
        .iter()
        .map(|level| level.value.as_deref().filter(|value| !is_null(value)).unwrap_or(HIVE_NULL).to_owned())
        .collect()
}

/// The value of `name` in the `name=value` segments of a key, unescaped; `None` when no segment has that name.
/// The outer option says whether the segment is there, the inner one is null for Hive's null.
pub fn value_in_key(key: &str, name: &str) -> Option<Option<String>> {
    let (directories, _) = key.rsplit_once('/')?;
    directories.split('/').find_map(|segment| {
        let (left, right) = segment.split_once('=')?;
        if left != name {
            return None;
        }
        unescape(right).map(|value| Some(value).filter(|value| !is_null(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_in_their_segment() {
        for (value, expected) in [
            ("2026-05-19", "2026-05-19"),
            ("US/East", "US%2FEast"),
            ("a=b", "a%3Db"),
            ("..", "%2E%2E"),
            ("é", "%C3%A9"),
            ("100%", "100%25"),
        ] {
            assert_eq!(escape(value), expected);
            assert_eq!(unescape(expected).as_deref(), Some(value));
        }
    }

    #[test]
    fn null_and_empty_share_hives_name() {
        let level = |name: Option<&str>, value: Option<&str>| PartitionValue {
            name: name.map(Into::into),
            value: value.map(Into::into),
        };
        for null in [None, Some(""), Some(HIVE_NULL)] {
            assert_eq!(path(&[level(Some("k"), null)]), "k=__HIVE_DEFAULT_PARTITION__/");
            assert_eq!(catalog_values(&[level(Some("k"), null)]), [HIVE_NULL]);
            assert_eq!(path(&[level(None, null), level(None, Some("19"))]), "(null)/19/");
        }
    }

    #[test]
    fn a_value_without_a_name_is_a_folder_that_nobody_skips() {
        for (value, expected) in [
            ("2026", "2026"),
            ("_x", "%5Fx"),
            (".x", "%2Ex"),
            ("..", "%2E%2E"),
            ("(null)", "%28null%29"),
            ("dt=1", "dt%3D1"),
            ("a/b", "a%2Fb"),
            ("a_b.c", "a_b.c"),
        ] {
            assert_eq!(segment(None, Some(value)), expected);
            assert_eq!(unescape(expected).as_deref(), Some(value));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_two_values_share_a_segment(
            left in proptest::option::of("[a_.(/=%é ]{0,4}"),
            right in proptest::option::of("[a_.(/=%é ]{0,4}"),
        ) {
            let of = |value: &Option<String>| value.clone().filter(|value| !is_null(value));
            for name in [None, Some("k")] {
                let same = segment(name, left.as_deref()) == segment(name, right.as_deref());
                proptest::prop_assert_eq!(same, of(&left) == of(&right));
            }
            let alone = segment(None, left.as_deref());
            proptest::prop_assert!(!alone.starts_with(['_', '.']) && !alone.contains(['/', '=']) && !alone.is_empty());
        }
    }

    #[test]
    fn keys_give_their_values() {
        assert_eq!(value_in_key("a/dt=2026-01-02/x.jsonl", "dt"), Some(Some("2026-01-02".into())));
        assert_eq!(value_in_key("a/region=US%2FEast/x", "region"), Some(Some("US/East".into())));
        assert_eq!(value_in_key("a/x", "dt"), None);
        assert_eq!(value_in_key("a/dt=1", "dt"), None);
        for null in ["k=", "k=__HIVE_DEFAULT_PARTITION__", "k=%5F_HIVE_DEFAULT_PARTITION__"] {
            assert_eq!(value_in_key(&format!("a/{null}/x"), "k"), Some(None), "{null}");
        }
    }
}
