//! The event an SQS event source mapping hands to a function.

use serde_json::{Map, Value, json};

use crate::fake::{QueueSpec, QueuedMessage};

/// A batch of received messages as Lambda passes it on.
pub fn sqs_event(queue: &QueueSpec, messages: &[QueuedMessage]) -> Value {
    json!({ "Records": messages.iter().map(|message| record(queue, message)).collect::<Vec<_>>() })
}

fn record(queue: &QueueSpec, message: &QueuedMessage) -> Value {
    let mut attributes = Map::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            attributes.insert(name.to_owned(), Value::String(value));
        }
    };
    set("ApproximateReceiveCount", Some(message.receive_count.to_string()));
    set("SentTimestamp", Some(message.sent_at.as_millisecond().to_string()));
    set("SenderId", Some("AROAEXAMPLE:landfall".to_owned()));
    set(
        "ApproximateFirstReceiveTimestamp",
        message.first_received_at.map(|at| at.as_millisecond().to_string()),
    );
    set("MessageGroupId", message.group.clone());
    set("MessageDeduplicationId", message.deduplication.clone());
    set("SequenceNumber", queue.fifo().then(|| format!("{:020}", message.sequence)));
    set("DeadLetterQueueSourceArn", message.dead_letter_source.clone());
    // The fake computes no MD5: 32 hex digits that derive from the body.
    let digest: String = landfall_core::hash::hex(message.body.as_bytes()).chars().take(32).collect();
    json!({
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": {},
        "md5OfBody": digest,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn(),
        "awsRegion": queue.region,
    })
}
