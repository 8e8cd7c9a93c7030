//! What the scenes are made of: documents and staged records.

use std::fmt::Write as _;
use std::io::Write as _;

use landfall_core::delivery::{Capabilities, Delivery};
use landfall_core::document;
use landfall_core::message::Message;
use landfall_core::record::PlanReason;
use serde_json::{Value, json};
use testkit::fake::HOME_REGION;

/// A delivery of `tenant` with columns `id int64` (required) and `name string`, without partitions.
pub fn document(tenant: &str, more: &str) -> String {
    let account = if tenant == "acme" { "222222222222" } else { "333333333333" };
    format!(
        r#"
version = 1
id = "{tenant}-rows"
tenant = "{tenant}"
dataset = "rows"
[source]
prefix = "{tenant}/rows/"
[destination]
role_arn = "arn:aws:iam::{account}:role/landfall-delivery"
external_id = "external-id-of-{tenant}"
region = "{HOME_REGION}"
bucket = "{tenant}-lake"
prefix = "raw/rows/"
[contract]
version = 3
[[contract.column]]
name = "id"
type = "int64"
nullable = false
[[contract.column]]
name = "name"
type = "string"
[layout]
max_latency_seconds = 60
[catalog.glue]
database = "{tenant}_raw"
table = "rows"
[[notify.queue]]
arn = "arn:aws:sqs:{HOME_REGION}:{account}:{tenant}-etl"
{more}"#
    )
}

/// One of the sixteen combinations of endpoint capabilities, and how a document declares it.
pub fn capabilities(bits: u8) -> (Capabilities, String) {
    let capabilities = Capabilities {
        full_object_multipart_checksum: bits & 1 != 0,
        copy_checksum: bits & 2 != 0,
        conditional_copy: bits & 4 != 0,
        multipart_tags: bits & 8 != 0,
    };
    let declared = toml::to_string(&capabilities).expect("capabilities are TOML");
    (capabilities, format!("[destination.capabilities]\n{declared}"))
}

/// `count` records as JSON lines, ids from `first`.
pub fn rows(first: u64, count: u64) -> String {
    let lines: Vec<String> =
        (first..first + count).map(|id| format!("{{\"id\":{id},\"name\":\"name {id}\"}}\n")).collect();
    lines.concat()
}

/// The text as one gzip member.
pub fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("writes to memory");
    encoder.finish().expect("writes to memory")
}

/// The delivery of a document.
pub fn delivery(text: &str) -> Delivery {
    document::parse("test.toml", text).expect("a valid document")
}

/// `count` rows of `bytes` bytes each that no codec of Parquet pages makes much smaller.
pub fn noise(first: u64, count: u64, bytes: usize) -> String {
    let mut state = first.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = String::new();
    for id in first..first + count {
        write!(text, "{{\"id\":{id},\"name\":\"").expect("writes to memory");
        for _ in 0..bytes / 16 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            write!(text, "{state:016x}").expect("writes to memory");
        }
        text.push_str("\"}\n");
    }
    text
}

/// The event with which Lambda hands a request for a plan to the compactor.
pub fn plan_event(delivery: &str, reason: PlanReason) -> Value {
    event("plan.fifo", "a-plan", &Message::plan(delivery, reason), delivery)
}

/// The event with which Lambda hands a commit to the committer.
pub fn commit_event(delivery: &str, n: u64) -> Value {
    event("commit", "a-commit", &Message::commit(delivery, n), delivery)
}

fn event(queue: &str, id: &str, message: &Message, group: &str) -> Value {
    json!({ "Records": [{
        "messageId": id,
        "receiptHandle": "a-handle",
        "body": message.to_body(),
        "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1779184800000", "MessageGroupId": group },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:eu-central-1:111111111111:{queue}"),
        "awsRegion": "eu-central-1",
    }] })
}
