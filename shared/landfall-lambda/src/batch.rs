//! The batch as Lambda hands it over, and the answer it reads.
//!
//! Decoding is by field: a record that lacks something fails alone. The answer is Lambda's contract for
//! partial batch failures: `{"batchItemFailures":[{"itemIdentifier":"<messageId>"}]}`. What it names comes back,
//! the rest is deleted; an empty id or one Lambda does not know fails the whole batch, so only ids that came in
//! the event are ever answered.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// The id of a message, not empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct MessageId(String);

impl MessageId {
    /// Takes an id; `None` when it is empty.
    pub fn new(id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        (!id.is_empty()).then_some(Self(id))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqsMessage {
    /// The body.
    pub body: String,
    /// When it was sent; changes with a redrive, so nothing may be measured from it but lag.
    pub sent_at: Option<Timestamp>,
    /// How it is named, received and returned.
    pub receipt: Receipt,
}

impl SqsMessage {
    /// The message's id.
    pub fn id(&self) -> &MessageId {
        &self.receipt.id
    }

    /// How often it was received, this time included: 1 or more.
    pub fn receive_count(&self) -> u32 {
        self.receipt.receive_count
    }

    /// Whether it was received before, and whoever did so never answered for it.
    pub fn is_received_again(&self) -> bool {
        self.receipt.receive_count > 1
    }
}

/// What is needed of a message to answer for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The message's id.
    pub id: MessageId,
    /// The handle of this receive; empty when the record had none.
    pub handle: String,
    /// The queue's ARN; empty when the record had none.
    pub source_arn: String,
    /// `ApproximateReceiveCount`: 1 or more.
    pub receive_count: u32,
    /// `MessageGroupId`, from FIFO queues.
    pub group: Option<String>,
}

impl Receipt {
    /// Whether the message came from a FIFO queue.
    pub fn is_fifo(&self) -> bool {
        self.source_arn.strip_suffix(".fifo").is_some()
    }

    /// The group whose order must hold: queue and group; `None` outside FIFO queues.
    pub(crate) fn ordered_group(&self) -> Option<(String, String)> {
        self.is_fifo().then(|| (self.source_arn.clone(), self.group.clone().unwrap_or_default()))
    }
}

/// A record that is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRecord {
    /// How to return it; `None` when it carries no id and so cannot be named in an answer.
    pub receipt: Option<Receipt>,
    /// What it lacks.
    pub reason: &'static str,
}

/// A decoded batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// The messages, in the order of the event.
    pub messages: Vec<SqsMessage>,
    /// Records that are none.
    pub broken: Vec<BrokenRecord>,
}

/// The payload is not an SQS event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the payload as an SQS event: it has no list of records")]
pub struct NotABatch;

impl Batch {
    /// Decodes an SQS event.
    ///
    /// # Errors
    /// The payload has no list `Records`: there is no message to answer for, so the invocation itself fails.
    pub fn decode(payload: Value) -> Result<Self, NotABatch> {
        let Value::Object(mut event) = payload else { return Err(NotABatch) };
        let Some(Value::Array(records)) = event.remove("Records") else { return Err(NotABatch) };
        let mut batch = Self::default();
        for record in records {
            match decode_record(record) {
                Ok(message) => batch.messages.push(message),
                Err(broken) => batch.broken.push(broken),
            }
        }
        Ok(batch)
    }

    /// The receipts of all that can be answered for, in the order: messages, then broken records.
    pub fn receipts(&self) -> Vec<Receipt> {
        let broken = self.broken.iter().filter_map(|record| record.receipt.clone());
        self.messages.iter().map(|message| message.receipt.clone()).chain(broken).collect()
    }
}

fn decode_record(mut record: Value) -> Result<SqsMessage, BrokenRecord> {
    let body = match record.get_mut("body").map(Value::take) {
        Some(Value::String(body)) => Some(body),
        _ => None,
    };
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let attribute =
        |name: &str| record.get("attributes").and_then(|all| all.get(name)).and_then(Value::as_str);
    let Some(id) = MessageId::new(text("messageId")) else {
        return Err(BrokenRecord { receipt: None, reason: "the record has no messageId" });
    };
    let receipt = Receipt {
        id,
        handle: text("receiptHandle"),
        source_arn: text("eventSourceARN"),
        receive_count: attribute("ApproximateReceiveCount")
            .and_then(|count| count.parse().ok())
            .unwrap_or(1_u32)
            .max(1),
        group: attribute("MessageGroupId").map(str::to_owned),
    };
    let sent_at = attribute("SentTimestamp")
        .and_then(|milliseconds| milliseconds.parse().ok())
        .and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok());
    match body {
        Some(body) => Ok(SqsMessage { body, sent_at, receipt }),
        None => Err(BrokenRecord { receipt: Some(receipt), reason: "the record has no text as its body" }),
    }
}

/// The answer to a batch: the messages that come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchResponse {
    #[serde(rename = "batchItemFailures")]
    failures: Vec<ItemFailure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ItemFailure {
    #[serde(rename = "itemIdentifier")]
    id: MessageId,
}

impl BatchResponse {
    /// The answer that returns these messages, each named once.
    pub fn returning(ids: impl IntoIterator<Item = MessageId>) -> Self {
        let mut seen = BTreeSet::new();
        let failures =
            ids.into_iter().filter(|id| seen.insert(id.clone())).map(|id| ItemFailure { id }).collect();
        Self { failures }
    }

    /// The messages that come back.
    pub fn returned(&self) -> impl Iterator<Item = &MessageId> {
        self.failures.iter().map(|failure| &failure.id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::fixtures::{arbitrary_json, event};

    #[test]
    fn a_real_event_decodes_with_its_attributes() {
        let batch = Batch::decode(event!("compactor/plan-request.json")).unwrap();
        let [message, second, third] = batch.messages.as_slice() else { panic!("three messages") };
        assert_eq!(message.id().as_str().len(), 36);
        assert_eq!(message.receipt.group.as_deref(), Some("acme-catalogue"));
        assert_eq!(message.receipt.ordered_group(), third.receipt.ordered_group());
        assert_ne!(message.receipt.ordered_group(), second.receipt.ordered_group());
        assert!(message.receipt.is_fifo());
        assert_eq!(message.receive_count(), 1);
        assert_eq!(message.sent_at.unwrap().to_string(), "2026-05-19T00:00:00Z");
        assert_eq!(message.body, r#"{"v":1,"kind":"plan","delivery":"acme-catalogue","reason":"event"}"#);
    }

    #[test]
    fn samples_of_our_own_messages_are_what_our_functions_send() {
        use landfall_core::message::Message;
        for (sample, sent) in [
            (event!("compactor/merge-request.json"), Message::merge("acme-catalogue", 1)),
            (event!("committer/commit-request.json"), Message::commit("acme-catalogue", 1)),
            (event!("notifier/notify-request.json"), Message::notify("acme-catalogue", 1)),
        ] {
            let batch = Batch::decode(sample).unwrap();
            let [message] = batch.messages.as_slice() else { panic!("one message") };
            assert_eq!(Message::parse(&message.body).unwrap(), sent);
            assert_eq!(message.receipt.ordered_group(), None);
        }
    }

    #[test]
    fn a_broken_record_fails_alone_and_keeps_its_name() {
        let batch = Batch::decode(json!({"Records": [
            {"messageId": "a", "body": "x"},
            {"messageId": "b", "body": 7, "receiptHandle": "h"},
            {"body": "no id"},
            {"messageId": "", "body": "empty id"},
            {"messageId": "c", "body": "y", "attributes": {"ApproximateReceiveCount": "many"}},
            null, 3, [],
        ]}))
        .unwrap();
        let ids: Vec<_> = batch.messages.iter().map(|message| message.id().as_str()).collect();
        assert_eq!(ids, ["a", "c"]);
        assert_eq!(batch.broken.len(), 6);
        let receipts: Vec<_> = batch.receipts().into_iter().map(|receipt| receipt.id.to_string()).collect();
        assert_eq!(receipts, ["a", "c", "b"]);
    }

    #[test]
    fn a_payload_without_records_is_no_batch() {
        for payload in [json!({}), json!(null), json!([1]), json!({"Records": {}}), json!("x")] {
            assert_eq!(Batch::decode(payload), Err(NotABatch));
        }
        assert_eq!(Batch::decode(json!({"Records": []})), Ok(Batch::default()));
    }

    #[test]
    fn the_answer_is_lambdas_contract() {
        let id = |text: &str| MessageId::new(text).unwrap();
        let text = |ids: &[&str]| {
            serde_json::to_string(&BatchResponse::returning(ids.iter().map(|one| id(one)))).unwrap()
        };
        assert_eq!(text(&[]), r#"{"batchItemFailures":[]}"#);
        assert_eq!(
            text(&["b", "a", "b"]),
            r#"{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"a"}]}"#
        );
    }

    proptest! {
        #[test]
        fn any_payload_decodes_or_is_refused(payload in arbitrary_json()) {
            // Whatever comes, it is not a panic.
            drop(Batch::decode(payload));
        }

        #[test]
        fn any_record_is_a_message_or_a_broken_record(records in proptest::collection::vec(arbitrary_json(), 0..8)) {
            let count = records.len();
            let batch = Batch::decode(json!({ "Records": records })).unwrap();
            prop_assert_eq!(batch.messages.len() + batch.broken.len(), count);
        }
    }
}
