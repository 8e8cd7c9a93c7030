//! The body of an intake message: S3 events (raw, SNS-wrapped, EventBridge) or the schedule's event.
//!
//! | body | read as |
//! |---|---|
//! | `{"Records":[…]}`, `ObjectCreated:*` | [`Intake::Objects`]; keys form-decoded |
//! | the same, other events only; `{}`; `{"Records":[]}` | [`Intake::Ignored`] |
//! | `{"Service":"Amazon S3","Event":"s3:TestEvent",…}` | [`Intake::TestEvent`] |
//! | `{"Type":"Notification","Message":"…"}` | what the message is |
//! | `{"source":"aws.s3","detail-type":"Object Created",…}` | [`Intake::Objects`]; keys as they are: EventBridge does not encode them |
//! | `{"detail-type":"Scheduled Event",…}` | [`Intake::Schedule`] |
//! | event version 3.x, no or a broken key, anything else | an error: for the dead-letter queue |
//!
//! Members are looked up one by one: unknown ones, and odd ones that nobody reads, do no harm.

use serde_json::Value;

use crate::object_key::{KeyError, check_key, decode_key};
use crate::shown::shown_within;

/// An object that was created in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEvent {
    /// The bucket.
    pub bucket: String,
    /// The key, decoded. Opaque: it may hold `..`, `//` or control characters.
    pub key: String,
    /// Such as `ObjectCreated:Put`; `Object Created` from EventBridge.
    pub event_name: String,
    /// The size in bytes, where the event says it.
    pub size: Option<u64>,
    /// The entity tag without quotes, where the event says it.
    pub etag: Option<String>,
    /// Orders events of one key, where the event says it.
    pub sequencer: Option<String>,
    /// When it happened, as written in the event.
    pub event_time: Option<String>,
}

/// What an intake message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intake {
    /// Objects were created.
    Objects(Vec<ObjectEvent>),
    /// The schedule: time to sweep.
    Schedule,
    /// S3 tests a notification it was configured with.
    TestEvent,
    /// An event that calls for nothing, such as a deletion.
    Ignored(String),
}

/// A body that is none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// Not JSON.
    #[error("cannot read the notification: {0}")]
    NotJson(String),
    /// JSON of another shape.
    #[error("cannot read the notification: {0}")]
    Shape(&'static str),
    /// Some of its records cannot be read. The others can: they are events like any other.
    #[error("cannot read {} of {} records of the notification: {}", refused.len(), refused.len() + objects.len(), list(refused))]
    Records {
        /// The objects of the records that can be read.
        objects: Vec<ObjectEvent>,
        /// What is wrong with the others.
        refused: Vec<RecordError>,
    },
}

/// A record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A member that must be there is not.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A major version of the event structure this build does not know.
    #[error("it has event version {0}, this build reads 2.x")]
    Version(String),
    /// A key that no object can have, or that cannot be decoded.
    #[error("its key `{shown}` is no key: {error}")]
    Key {
        /// The key as it came, cut and escaped.
        shown: String,
        /// What is wrong with it.
        error: KeyError,
    },
}

fn list(refused: &[RecordError]) -> String {
    refused.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Reads the body of an intake message. All records are read, not just the first.
///
/// # Errors
/// See [`NotificationError`]: the message is poison and belongs into the dead-letter queue.
pub fn read_notification(body: &str) -> Result<Intake, NotificationError> {
    let document = parse(body)?;
    match document.get("Type").and_then(Value::as_str) {
        Some("Notification") => {
            let inner = document.get("Message").and_then(Value::as_str);
            let inner = inner.ok_or(NotificationError::Shape("an SNS notification without a message"))?;
            read_document(&parse(inner)?)
        }
        Some(kind @ ("SubscriptionConfirmation" | "UnsubscribeConfirmation")) => {
            Ok(Intake::Ignored(format!("SNS {kind}")))
        }
        _ => read_document(&document),
    }
}

fn parse(text: &str) -> Result<Value, NotificationError> {
    serde_json::from_str(text).map_err(|error| NotificationError::NotJson(error.to_string()))
}

fn read_document(document: &Value) -> Result<Intake, NotificationError> {
    let Some(members) = document.as_object() else {
        return Err(NotificationError::Shape("it is JSON, and not an object"));
    };
    if let Some(records) = members.get("Records") {
        let records = records.as_array().ok_or(NotificationError::Shape("`Records` is not a list"))?;
        return read_records(records);
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("Event") == "s3:TestEvent" {
        return Ok(Intake::TestEvent);
    }
    match (text("source"), text("detail-type")) {
        ("aws.events" | "aws.scheduler", "Scheduled Event") => Ok(Intake::Schedule),
        ("aws.s3", "Object Created") => settle(vec![read_eventbridge(document)], None),
        ("aws.s3", other) => Ok(Intake::Ignored(other.to_owned())),
        _ if members.is_empty() => Ok(Intake::Ignored("an empty event".to_owned())),
        _ => Err(NotificationError::Shape("neither an S3 event nor a schedule")),
    }
}

fn read_records(records: &[Value]) -> Result<Intake, NotificationError> {
    let mut read = Vec::new();
    let mut ignored = records.is_empty().then(|| "an event without records".to_owned());
    for record in records {
        match read_record(record) {
            Ok(Record::Object(object)) => read.push(Ok(object)),
            Ok(Record::Other(name)) => ignored = Some(name),
            Err(error) => read.push(Err(error)),
        }
    }
    settle(read, ignored)
}

fn settle(
    read: Vec<Result<ObjectEvent, RecordError>>,
    ignored: Option<String>,
) -> Result<Intake, NotificationError> {
    let (mut objects, mut refused) = (Vec::new(), Vec::new());
    for record in read {
        match record {
            Ok(object) => objects.push(object),
            Err(error) => refused.push(error),
        }
    }
    match ignored {
        _ if !refused.is_empty() => Err(NotificationError::Records { objects, refused }),
        Some(name) if objects.is_empty() => Ok(Intake::Ignored(name)),
        _ => Ok(Intake::Objects(objects)),
    }
}

enum Record {
    Object(ObjectEvent),
    Other(String),
}

fn read_record(record: &Value) -> Result<Record, RecordError> {
    check_version(record)?;
    let name = text(record, "/eventName").ok_or(RecordError::Missing("eventName"))?;
    // S3 leaves the prefix out; S3-compatible stores do not.
    let name = name.strip_prefix("s3:").unwrap_or(&name);
    if !name.starts_with("ObjectCreated:") {
        return Ok(Record::Other(name.to_owned()));
    }
    let encoded = text(record, "/s3/object/key").ok_or(RecordError::Missing("key"))?;
    let key = decode_key(&encoded).map_err(|error| key_error(&encoded, error))?;
    Ok(Record::Object(ObjectEvent {
        bucket: text(record, "/s3/bucket/name").ok_or(RecordError::Missing("bucket"))?,
        key,
        event_name: name.to_owned(),
        size: record.pointer("/s3/object/size").and_then(Value::as_u64),
        etag: text(record, "/s3/object/eTag"),
        sequencer: text(record, "/s3/object/sequencer"),
        event_time: text(record, "/eventTime"),
    }))
}

/// The structure's major version must be equal; unknown minor versions only add members.
fn check_version(record: &Value) -> Result<(), RecordError> {
    let version = match record.get("eventVersion") {
        None | Some(Value::Null) => return Err(RecordError::Missing("eventVersion")),
        Some(Value::String(version)) => version.clone(),
        Some(other) => other.to_string(),
    };
    if version == "2" || version.starts_with("2.") {
        return Ok(());
    }
    Err(RecordError::Version(shown_within(&version, 16).into_owned()))
}

fn read_eventbridge(document: &Value) -> Result<ObjectEvent, RecordError> {
    let key = text(document, "/detail/object/key").ok_or(RecordError::Missing("key"))?;
    check_key(&key).map_err(|error| key_error(&key, error))?;
    Ok(ObjectEvent {
        bucket: text(document, "/detail/bucket/name").ok_or(RecordError::Missing("bucket"))?,
        key,
        event_name: "Object Created".to_owned(),
        size: document.pointer("/detail/object/size").and_then(Value::as_u64),
        etag: text(document, "/detail/object/etag"),
        sequencer: text(document, "/detail/object/sequencer"),
        event_time: text(document, "/time"),
    })
}

fn key_error(key: &str, error: KeyError) -> RecordError {
    RecordError::Key { shown: shown_within(key, 100).into_owned(), error }
}

fn text(value: &Value, path: &str) -> Option<String> {
    value.pointer(path).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
#[path = "notification_tests.rs"]
mod tests;
