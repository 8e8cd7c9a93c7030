use std::collections::BTreeSet;

use jiff::SignedDuration;
use landfall_core::error::{Effect, ErrorClass, PortErrorKind};
use serde_json::Value;

use super::*;
use crate::fake::EventMishaps;

#[tokio::test]
async fn a_bucket_takes_so_many_requests_in_a_second() {
    let (aws, store, bucket) = fake();
    let other = aws.create_home_bucket("other", false);
    aws.limit_requests("state", 3);
    for second in 0..2 {
        for request in 0..5 {
            let answer = store.head(&bucket, "k").await;
            assert_eq!(answer.is_ok(), request < 3, "second {second}, request {request}");
            if let Err(error) = answer {
                assert_eq!((error.kind, error.effect), (PortErrorKind::Throttled, Effect::None));
                assert_eq!(error.class(), ErrorClass::Transient);
            }
        }
        assert!(store.head(&other, "k").await.is_ok(), "the others have their own budget");
        aws.clock().advance(SignedDuration::from_secs(1));
    }
}

#[tokio::test]
async fn what_is_throttled_has_no_effect() {
    let (aws, store, bucket) = fake();
    aws.limit_requests("state", 0);
    let attributes = ObjectAttributes::default();
    let put = store.put(&bucket, "k", Bytes::from_static(b"x"), &Condition::Absent, None, &attributes).await;
    assert_eq!(put.unwrap_err().code.as_deref(), Some("SlowDown"));
    assert!(aws.object("state", "k").is_none());
}

/// Key and sequencer of each notification that comes, in the order of receiving.
fn received(aws: &FakeAws, queue: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for _ in 0..200 {
        aws.clock().advance(SignedDuration::from_secs(1));
        for message in aws.receive(queue, 10) {
            assert!(aws.delete_message(queue, message.receipt_handle.as_deref().unwrap()));
            let event: Value = serde_json::from_str(&message.body).unwrap();
            let object = &event["Records"][0]["s3"]["object"];
            let text = |field: &str| object[field].as_str().unwrap().to_owned();
            all.push((text("key"), text("sequencer")));
        }
    }
    all
}

fn notified(seed: u64, mishaps: EventMishaps) -> Vec<(String, String)> {
    let aws = FakeAws::new();
    let (queue, _) = aws.create_home_queue("intake", SignedDuration::from_secs(30), 3);
    aws.create_home_bucket("staging", true);
    aws.notify_queue("staging", "in/", &queue);
    aws.mishandle_events("staging", seed, mishaps);
    for n in 0..100 {
        aws.put_object("staging", &format!("in/{n:03}"), "x");
    }
    received(&aws, &queue)
}

#[test]
fn events_arrive_once_and_in_order_unless_told_otherwise() {
    let all = notified(1, EventMishaps::default());
    assert_eq!(all.len(), 100);
    assert!(all.is_sorted());
}

#[test]
fn events_are_lost_doubled_and_overtaken() {
    let lost = notified(1, EventMishaps { lost_one_in: 4, ..EventMishaps::default() });
    assert!((1..100).contains(&lost.len()), "{} of 100", lost.len());
    assert!(lost.is_sorted());
    let doubled = notified(1, EventMishaps { doubled_one_in: 4, ..EventMishaps::default() });
    assert!((101..200).contains(&doubled.len()), "{} of 100", doubled.len());
    let distinct: BTreeSet<&(String, String)> = doubled.iter().collect();
    assert_eq!(distinct.len(), 100, "a repeated event has the same sequencer");
    let late = EventMishaps { late: SignedDuration::from_secs(60), ..EventMishaps::default() };
    let overtaken = notified(1, late);
    assert_eq!(overtaken.iter().collect::<BTreeSet<_>>().len(), 100);
    assert!(!overtaken.is_sorted());
    assert_eq!(overtaken, notified(1, late), "the same seed, the same mishaps");
    assert_ne!(overtaken, notified(2, late));
}

#[test]
fn the_events_of_a_key_are_told_apart_by_their_sequencers() {
    let aws = FakeAws::new();
    aws.create_home_bucket("staging", true);
    for _ in 0..20 {
        aws.put_object("staging", "k", "x");
        aws.delete_object("staging", "k");
    }
    // The shorter one is filled up with zeros at its end.
    let order: Vec<String> =
        aws.s3_events("staging").iter().map(|event| format!("{:0<24}", event.sequencer)).collect();
    assert_eq!(order.len(), 20);
    assert!(order.is_sorted_by(|left, right| left < right), "{order:?}");
}
