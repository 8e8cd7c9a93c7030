//! What comes in by the queues: events of S3 and of the schedule, our own messages, whole batches.

use landfall_core::message::Message;
use landfall_lambda::batch::Batch;
use landfall_lambda::object_key::check_key;
use landfall_lambda::{Intake, NotificationError, ObjectEvent, read_notification};
use serde_json::{Value, json};

/// The bytes are a body, and once more the payload of an invocation.
pub fn event_decoding(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    body(text);
    if let Ok(payload) = serde_json::from_str::<Value>(text) {
        batch(payload);
    }
}

fn body(text: &str) {
    let read = read_notification(text);
    let document: Option<Value> = serde_json::from_str(text).ok();
    match &read {
        Ok(Intake::Objects(objects)) => sound(objects),
        Ok(Intake::Schedule | Intake::TestEvent | Intake::Ignored(_)) | Err(NotificationError::Shape(_)) => {}
        Err(NotificationError::Records { objects, refused }) => {
            assert!(!refused.is_empty(), "an error says what is wrong");
            sound(objects);
        }
        // The message in an envelope is JSON of its own.
        Err(error @ NotificationError::NotJson(_)) => {
            let inner = document.as_ref().and_then(|document| document.get("Message")?.as_str());
            let inner = inner.map(serde_json::from_str::<Value>);
            assert!(document.is_none() || inner.is_some_and(|inner| inner.is_err()), "{error}");
        }
    }
    // In the envelope of SNS it is the same, unless it is in one already.
    if document.is_none_or(|document| document.get("Type").is_none()) {
        let envelope = json!({"Type": "Notification", "Message": text}).to_string();
        assert_eq!(read_notification(&envelope), read, "an envelope changes nothing");
    }
    if let Ok(message) = Message::parse(text) {
        let again = Message::parse(&message.to_body()).expect("our own body");
        assert_eq!(again, message);
    }
}

fn sound(objects: &[ObjectEvent]) {
    for object in objects {
        assert_eq!(check_key(&object.key), Ok(()), "an object has a key");
    }
}

fn batch(payload: Value) {
    let records = match payload.get("Records") {
        Some(Value::Array(records)) => Some(records.len()),
        _ => None,
    };
    match Batch::decode(payload) {
        Ok(batch) => {
            assert_eq!(Some(batch.messages.len() + batch.broken.len()), records, "no record is lost");
            let answered = batch.broken.iter().filter(|broken| broken.receipt.is_some()).count();
            assert_eq!(batch.receipts().len(), batch.messages.len() + answered);
            for message in &batch.messages {
                body(&message.body);
            }
        }
        Err(_) => assert_eq!(records, None),
    }
}
