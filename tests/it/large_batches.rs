//! The largest batches that Lambda hands over, 6 MB or ten thousand records: answered in part and in time, with few calls.

use jiff::SignedDuration;
use landfall_core::message::Message;
use serde_json::{Value, json};
use testkit::fake::{Call, HOME_ACCOUNT, HOME_REGION, notification_body};

use crate::scene::{Scene, TIMEOUT_SECONDS, document, rows};

const ID: &str = "acme-rows";
/// What an invocation takes at most.
const PAYLOAD_BYTES: usize = 6 * 1024 * 1024;
/// What a batch of a standard queue holds at most.
const RECORDS: usize = 10_000;

fn message_id(index: usize) -> String {
    format!("00000000-0000-0000-0000-{index:012}")
}

/// One record of a batch, as Lambda hands it over.
fn record(queue: &str, index: usize, body: &str) -> Value {
    json!({
        "messageId": message_id(index),
        "receiptHandle": "h",
        "body": body,
        "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1779184800000" },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:{HOME_REGION}:{HOME_ACCOUNT}:{queue}"),
        "awsRegion": HOME_REGION,
    })
}

/// The ids that an answer gives back.
fn returned(answer: &Value) -> Vec<String> {
    let failures = answer["batchItemFailures"].as_array().expect("a list");
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().expect("an id").to_owned()).collect()
}

/// The calls since `before`, but for the waits of what comes back: those the host cuts off after seconds, by a clock that does
/// not run here.
fn work_since(scene: &Scene, before: usize) -> Vec<Call> {
    let mut calls = scene.aws.calls().split_off(before);
    calls.retain(|call| call.operation != "ChangeMessageVisibility");
    calls
}

/// Seconds from the first to the last of them.
fn took(calls: &[Call]) -> i64 {
    let (first, last) = (calls.first().expect("a call"), calls.last().expect("a call"));
    last.at.duration_since(first.at).as_secs()
}

#[tokio::test]
async fn a_payload_of_six_megabytes_of_events_is_one_nudge_and_its_bad_records_alone_come_back() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.stage("acme/rows/a", rows(0, 3));
    let event = scene.aws.s3_events("staging").remove(0);
    let (mut records, mut bytes, mut bad) = (Vec::new(), 20, Vec::new());
    loop {
        let index = records.len();
        let body = if index % 100 == 7 {
            "not a message".to_owned()
        } else {
            notification_body(std::slice::from_ref(&event), HOME_REGION)
        };
        let record = record("intake", index, &body);
        bytes += record.to_string().len() + 1;
        if bytes > PAYLOAD_BYTES || index == RECORDS {
            break;
        }
        if index % 100 == 7 {
            bad.push(message_id(index));
        }
        records.push(record);
    }
    assert!(records.len() > 3_000, "{} records", records.len());
    let before = scene.aws.call_count();
    let answer = scene.invoke_compactor(json!({ "Records": records })).await;
    assert_eq!(returned(&answer), bad);
    let calls = work_since(&scene, before).len();
    assert!(calls <= 10, "{calls} calls for {} records", records.len());
    assert_eq!(scene.plan_requests().len(), 1, "one nudge");
    scene.tick_for(3).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2]);
}

#[tokio::test]
async fn ten_thousand_schedule_events_that_piled_up_are_one_sweep() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.stage_silently("acme/rows/a", rows(0, 3));
    let schedule = include_str!("../fixtures/scheduled-event.json");
    let schedule: Value = serde_json::from_str(schedule).expect("an event");
    let schedule = schedule.to_string();
    let body = |index: usize| if index % 1_000 == 999 { "{" } else { schedule.as_str() };
    let records: Vec<Value> = (0..RECORDS).map(|index| record("intake", index, body(index))).collect();
    scene.aws.set_latency(SignedDuration::from_secs(1));
    let before = scene.aws.call_count();
    let answer = scene.invoke_compactor(json!({ "Records": records })).await;
    let took = took(&work_since(&scene, before));
    scene.aws.set_latency(SignedDuration::ZERO);
    let bad: Vec<String> = (0..RECORDS).filter(|index| index % 1_000 == 999).map(message_id).collect();
    assert_eq!(returned(&answer), bad);
    assert!(took <= 60, "{took} s for one sweep");
    scene.tick_for(3).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2]);
}

#[tokio::test]
async fn what_a_batch_of_ten_thousand_has_no_time_for_comes_back_in_time() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.stage("acme/rows/a", rows(0, 3));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2]);
    let body = Message::merge(ID, 1).to_body();
    let records: Vec<Value> = (0..RECORDS).map(|index| record("work", index, &body)).collect();
    scene.aws.set_latency(SignedDuration::from_secs(3));
    let before = scene.aws.call_count();
    let answer = scene.invoke_compactor(json!({ "Records": records })).await;
    let took = took(&work_since(&scene, before));
    scene.aws.set_latency(SignedDuration::ZERO);
    assert!(took < i64::from(TIMEOUT_SECONDS), "{took} s");
    let back = returned(&answer);
    let done = RECORDS - back.len();
    assert!(done >= 10, "{done} were done");
    assert_eq!(back, (done..RECORDS).map(message_id).collect::<Vec<String>>(), "those that were not begun");
    assert!(answer.to_string().len() < PAYLOAD_BYTES);
    scene.tick_for(40).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2]);
    assert_eq!(scene.copies().len(), 1);
}
