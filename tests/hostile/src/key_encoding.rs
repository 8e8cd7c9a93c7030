//! Texts in keys: partition values, keys of events, keys of the state bucket.

use std::fmt::Write as _;

use landfall_core::keys::{self, RecordName};
use landfall_core::partition::{self, PartitionValue};
use landfall_lambda::object_key::{check_key, decode_key};

/// Each line of the bytes is a value, a key, and the name of a record.
pub fn key_encoding(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut levels = Vec::new();
    for (index, line) in text.split('\n').take(8).enumerate() {
        segment(line);
        event_key(line);
        state_key(line);
        let value = (line != "null").then(|| line.to_owned());
        levels.push(PartitionValue { name: Some(format!("level_{index}")), value });
    }
    let path = partition::path(&levels);
    assert_eq!(path.matches('/').count(), levels.len(), "a value adds no level");
    for level in &levels {
        let expected = level.value.clone().filter(|value| !partition::is_null(value));
        let name = level.name.as_deref().expect("each has a name");
        assert_eq!(partition::value_in_key(&format!("{path}file"), name), Some(expected));
    }
    // Of a path that others made, a value is found or not.
    partition::value_in_key(&text, "level_0");
}

fn segment(value: &str) {
    let escaped = partition::escape(value);
    assert!(!escaped.contains(['/', '=', '\\', '*', '?', ' ']) && escaped.is_ascii());
    assert!(![".", ".."].contains(&escaped.as_str()), "no value is a step up");
    assert_eq!(partition::unescape(&escaped).as_deref(), Some(value));
    if let Some(unescaped) = partition::unescape(value) {
        assert_eq!(partition::unescape(&partition::escape(&unescaped)), Some(unescaped));
    }
}

fn event_key(key: &str) {
    if let Ok(decoded) = decode_key(key) {
        assert_eq!(check_key(&decoded), Ok(()));
    }
    // As S3 writes it.
    let mut encoded = String::new();
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            other => write!(encoded, "%{other:02X}").expect("memory"),
        }
    }
    assert_eq!(decode_key(&encoded), check_key(key).map(|()| key.to_owned()), "every key comes back");
}

fn state_key(text: &str) {
    if let Some(name) = RecordName::parse(text) {
        assert_eq!(name.to_string(), text, "only the form that is written is read");
        for n in [0, 1, u64::MAX] {
            assert_eq!(keys::parse_record("a-b", &keys::record("a-b", n, name)), Some((n, name)));
        }
    }
    if let Some((n, name)) = keys::parse_record("a-b", text) {
        assert_eq!(keys::record("a-b", n, name), text);
    }
    if let Some(delivery) = keys::parse_due(text) {
        assert_eq!(keys::due(delivery), text);
    }
    if let Some(day) = keys::parse_identities("a-b", text) {
        assert!(text.starts_with(&format!("{}{day}-", keys::identities_prefix("a-b"))));
    }
}
