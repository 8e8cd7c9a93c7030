//! How S3 writes values in headers and listings.

use std::collections::BTreeMap;

use aws_smithy_types::DateTime;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same in a path.
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// An entity tag as conditions carry it.
pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// An entity tag as landfall holds it.
pub(super) fn unquoted(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}

/// A CRC-64/NVME as headers carry it: base64 of eight bytes, the highest first.
pub(super) fn crc64_text(checksum: u64) -> String {
    STANDARD.encode(checksum.to_be_bytes())
}

/// The CRC-64/NVME of a header; none when it is not one of a whole object (`...-2` is composite).
pub(super) fn crc64_value(text: Option<&str>) -> Option<u64> {
    let bytes: [u8; 8] = STANDARD.decode(text?).ok()?.try_into().ok()?;
    Some(u64::from_be_bytes(bytes))
}

/// A key in the path of a request.
pub(super) fn key_path(key: &str) -> impl std::fmt::Display {
    utf8_percent_encode(key, PATH)
}

/// The source of a copy: `bucket/key`, percent-encoded.
pub(super) fn copy_source(bucket: &str, key: &str) -> String {
    format!("{}/{}", utf8_percent_encode(bucket, VALUE), utf8_percent_encode(key, PATH))
}

/// Tags as the header of a put or copy carries them.
pub(super) fn tagging(tags: &BTreeMap<String, String>) -> String {
    tags.iter()
        .map(|(key, value)| {
            format!("{}={}", utf8_percent_encode(key, VALUE), utf8_percent_encode(value, VALUE))
        })
        .collect::<Vec<_>>()
        .join("&")
}

/// A key of a listing that is form-encoded, so that it can hold what XML cannot. None when it is not UTF-8.
pub(super) fn listed_key(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// A time of S3; none when it is out of range.
pub(super) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

/// The size of the whole object from `bytes 0-9/100`.
pub(super) fn total_size(content_range: &str) -> Option<u64> {
    content_range.rsplit_once('/')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_written_highest_byte_first() {
        assert_eq!(crc64_text(1), "AAAAAAAAAAE=");
        assert_eq!(crc64_value(Some("AAAAAAAAAAE=")), Some(1));
        assert_eq!(crc64_value(Some("AAAAAAAAAAE=-2")), None);
        assert_eq!(crc64_value(None), None);
    }

    #[test]
    fn copy_sources_keep_slashes_and_nothing_else() {
        assert_eq!(copy_source("lake", "a b+c/ü=é?#%"), "lake/a%20b%2Bc/%C3%BC%3D%C3%A9%3F%23%25");
    }

    #[test]
    fn listed_keys_are_form_decoded() {
        assert_eq!(listed_key("a+b%2Bc/%C3%BC%3D%01").as_deref(), Some("a b+c/ü=\u{1}"));
        assert_eq!(listed_key("%FF"), None);
    }

    #[test]
    fn tags_are_a_query() {
        let tags = BTreeMap::from([("k 1".to_owned(), "a&b=c".to_owned()), ("z".to_owned(), String::new())]);
        assert_eq!(tagging(&tags), "k%201=a%26b%3Dc&z=");
    }

    #[test]
    fn ranges_tell_the_whole_size() {
        assert_eq!(total_size("bytes 0-9/100"), Some(100));
        assert_eq!(total_size("bytes 0-9/*"), None);
    }
}
