//! S3 event notifications, as S3 writes them.

use jiff::Timestamp;
use serde_json::{Value, json};

/// One creation event of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Event {
    /// Without the `s3:` prefix: `ObjectCreated:Put`, `:Copy`, `:CompleteMultipartUpload`.
    pub name: &'static str,
    /// The bucket.
    pub bucket: String,
    /// The key, as it is (not encoded).
    pub key: String,
    /// The entity tag.
    pub etag: String,
    /// The size in bytes.
    pub size: u64,
    /// The version id, where the bucket is versioned.
    pub version_id: Option<String>,
    /// Greater hexadecimal is later, for the same key.
    pub sequencer: String,
    /// When.
    pub time: Timestamp,
}

impl S3Event {
    /// The record of this event in a notification.
    pub fn record(&self, region: &str) -> Value {
        let mut object = json!({
            "key": encode_key(&self.key), "size": self.size, "eTag": self.etag, "sequencer": self.sequencer,
        });
        if let (Some(version), Some(object)) = (&self.version_id, object.as_object_mut()) {
            object.insert("versionId".to_owned(), json!(version));
        }
        json!({
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": region, "eventTime": self.time.to_string(),
            "eventName": self.name, "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
            "requestParameters": {"sourceIPAddress": "192.0.2.1"},
            "responseElements": {"x-amz-request-id": self.sequencer, "x-amz-id-2": self.sequencer},
            "s3": {
                "s3SchemaVersion": "1.0", "configurationId": "intake",
                "bucket": {
                    "name": self.bucket, "ownerIdentity": {"principalId": "AEXAMPLE"},
                    "arn": format!("arn:aws:s3:::{}", self.bucket),
                },
                "object": object,
            },
        })
    }
}

/// The sequencer of a change: greater is later, once the shorter of two is filled up with zeros at its end. Their
/// lengths differ.
pub(crate) fn sequencer(sequence: u64) -> String {
    let more = ["", "3F", "A"].get(usize::try_from(sequence % 3).unwrap_or_default()).copied();
    format!("{sequence:016X}{}", more.unwrap_or_default())
}

/// The message body S3 sends for these events.
pub fn notification_body(events: &[S3Event], region: &str) -> String {
    json!({ "Records": events.iter().map(|event| event.record(region)).collect::<Vec<_>>() }).to_string()
}

/// The message S3 sends when a notification is configured: it has no `Records`.
pub fn test_event_body(bucket: &str) -> String {
    json!({
        "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-05-19T10:00:00.000Z", "Bucket": bucket,
        "RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR",
    })
    .to_string()
}

/// A key as it stands in an event: form-urlencoded, a space as `+`, a slash as it is.
pub fn encode_key(key: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b'/' | b'-' | b'_' | b'.' | b'*' => encoded.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequencers_grow_although_their_lengths_differ() {
        let padded = |sequence| format!("{:0<20}", sequencer(sequence));
        let all: Vec<String> = (0..600).map(padded).collect();
        assert!(all.is_sorted_by(|left, right| left < right));
        let lengths: std::collections::BTreeSet<usize> = (0..600).map(|n| sequencer(n).len()).collect();
        assert!(lengths.len() > 1, "{lengths:?}");
    }

    #[test]
    fn keys_are_encoded_as_s3_does() {
        for (key, expected) in [
            ("a b+c/ü=é", "a+b%2Bc/%C3%BC%3D%C3%A9"),
            ("dt=2026-05-19/x@y.jsonl", "dt%3D2026-05-19/x%40y.jsonl"),
            ("100%", "100%25"),
        ] {
            assert_eq!(encode_key(key), expected);
        }
    }
}
