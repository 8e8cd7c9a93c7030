use jiff::SignedDuration;
use landfall_core::error::PortErrorKind;
use landfall_core::port::{OutgoingMessage, Queue as _};

use super::*;
use crate::fake::{HOME_ACCOUNT, HOME_REGION, QueueSpec};

fn message(body: &str, group: Option<&str>, deduplication: Option<&str>) -> OutgoingMessage {
    OutgoingMessage {
        body: body.to_owned(),
        group: group.map(str::to_owned),
        deduplication: deduplication.map(str::to_owned),
        delay_seconds: None,
    }
}

fn bodies(aws: &FakeAws, queue: &str) -> Vec<String> {
    aws.receive(queue, 10).into_iter().map(|message| message.body).collect()
}

#[test]
fn a_group_waits_for_its_message_in_flight() {
    let aws = FakeAws::new();
    let (queue, _) = aws.create_home_queue("plan.fifo", SignedDuration::from_secs(30), 5);
    for (body, group) in [("a1", "a"), ("a2", "a"), ("b1", "b")] {
        aws.send(&queue, &message(body, Some(group), Some(body))).unwrap();
    }
    let first = aws.receive(&queue, 1);
    assert_eq!(first[0].body, "a1");
    assert_eq!(bodies(&aws, &queue), ["b1"], "a2 must wait for a1");
    assert!(aws.delete_message(&queue, first[0].receipt_handle.as_deref().unwrap()));
    assert_eq!(bodies(&aws, &queue), ["a2"]);
    aws.clock().advance(SignedDuration::from_secs(31));
    assert_eq!(bodies(&aws, &queue), ["a2", "b1"], "what was not deleted comes back in order");
}

#[test]
fn a_standard_queue_serves_the_group_with_the_fewest_in_flight_first() {
    let aws = FakeAws::new();
    let (queue, _) = aws.create_home_queue("work", SignedDuration::from_secs(30), 5);
    for (body, group) in
        [("a1", Some("a")), ("a2", Some("a")), ("a3", Some("a")), ("b1", Some("b")), ("x", None)]
    {
        aws.send(&queue, &message(body, group, None)).unwrap();
    }
    assert_eq!(bodies(&aws, &queue), ["a1", "b1", "x", "a2", "a3"]);
    aws.clock().advance(SignedDuration::from_secs(31));
    let first = aws.receive(&queue, 1);
    assert_eq!(first[0].body, "a1", "what came back is not in flight");
    assert_eq!(aws.receive(&queue, 1)[0].body, "b1");
    assert_eq!(aws.receive(&queue, 1)[0].body, "x");
    assert_eq!(aws.receive(&queue, 1)[0].body, "a2", "groups are served, none is shut out");
    assert!(aws.delete_message(&queue, first[0].receipt_handle.as_deref().unwrap()));
}

#[test]
fn a_deduplication_id_is_remembered_for_five_minutes() {
    let aws = FakeAws::new();
    let (queue, _) = aws.create_home_queue("plan.fifo", SignedDuration::from_secs(30), 5);
    let slot = message("plan", Some("d"), Some("d-slot-1"));
    let first = aws.send(&queue, &slot).unwrap();
    assert_eq!(aws.send(&queue, &slot).unwrap(), first);
    assert_eq!(aws.depth(&queue), 1);
    let received = aws.receive(&queue, 1);
    aws.delete_message(&queue, received[0].receipt_handle.as_deref().unwrap());
    assert_eq!(aws.send(&queue, &slot).unwrap(), first, "also when the message is gone already");
    assert_eq!(aws.depth(&queue), 0);
    aws.clock().advance(SignedDuration::from_mins(5));
    assert_ne!(aws.send(&queue, &slot).unwrap(), first);
}

#[test]
fn a_queue_delays_every_message() {
    let aws = FakeAws::new();
    let (queue, _) = aws.create_home_queue("plan.fifo", SignedDuration::from_secs(30), 5);
    aws.change_queue(&queue, |spec| spec.delay = SignedDuration::from_secs(30));
    aws.send(&queue, &message("one", Some("g"), Some("1"))).unwrap();
    assert!(bodies(&aws, &queue).is_empty());
    aws.clock().advance(SignedDuration::from_secs(30));
    assert_eq!(bodies(&aws, &queue), ["one"]);
}

#[test]
fn a_message_goes_to_the_dead_letters_after_its_receives() {
    let aws = FakeAws::new();
    let (queue, dead) = aws.create_home_queue("work", SignedDuration::from_secs(30), 3);
    aws.send_body(&queue, "poison").unwrap();
    for count in 1..=3 {
        let received = aws.receive(&queue, 10);
        assert_eq!(received[0].receive_count, count);
        aws.clock().advance(SignedDuration::from_secs(30));
    }
    assert!(aws.receive(&queue, 10).is_empty());
    assert_eq!((aws.depth(&queue), aws.bodies(&dead)), (0, vec!["poison".to_owned()]));
    assert!(aws.messages(&dead)[0].dead_letter_source.as_deref().unwrap().ends_with(":work"));
}

#[test]
fn an_old_receipt_deletes_nothing() {
    let aws = FakeAws::new();
    let (queue, _) = aws.create_home_queue("work", SignedDuration::from_secs(30), 3);
    aws.send_body(&queue, "job").unwrap();
    let old = aws.receive(&queue, 1).remove(0).receipt_handle.unwrap();
    aws.clock().advance(SignedDuration::from_secs(30));
    let new = aws.receive(&queue, 1).remove(0).receipt_handle.unwrap();
    assert!(!aws.delete_message(&queue, &old));
    assert!(aws.delete_message(&queue, &new));
}

#[tokio::test]
async fn visibility_is_changed_only_in_flight() {
    let aws = FakeAws::new();
    let (queue, _) = aws.create_home_queue("work", SignedDuration::from_secs(30), 3);
    aws.send_body(&queue, "job").unwrap();
    let handle = aws.receive(&queue, 1).remove(0).receipt_handle.unwrap();
    aws.queue().change_visibility(&queue, &handle, 600).await.unwrap();
    aws.clock().advance(SignedDuration::from_secs(599));
    assert!(aws.receive(&queue, 1).is_empty());
    aws.clock().advance(SignedDuration::from_secs(1));
    let late = aws.queue().change_visibility(&queue, &handle, 0).await.unwrap_err();
    assert_eq!(late.code.as_deref(), Some("MessageNotInflight"));
}

#[tokio::test]
async fn a_message_is_kept_twelve_hours_for_one_receive_all_extensions_together() {
    let aws = FakeAws::new();
    let (queue, _) = aws.create_home_queue("work", SignedDuration::from_hours(1), 3);
    aws.send_body(&queue, "job").unwrap();
    let handle = aws.receive(&queue, 1).remove(0).receipt_handle.unwrap();
    let extend = |hours: u32| {
        let (aws, queue, handle) = (aws.clone(), queue.clone(), handle.clone());
        async move { aws.queue().change_visibility(&queue, &handle, hours * 3_600).await }
    };
    extend(8).await.unwrap();
    aws.clock().advance(SignedDuration::from_hours(7));
    assert_eq!(extend(6).await.unwrap_err().kind, PortErrorKind::Invalid);
    extend(5).await.unwrap();
    aws.clock().advance(SignedDuration::from_hours(5));
    let again = aws.receive(&queue, 1).remove(0).receipt_handle.unwrap();
    aws.queue().change_visibility(&queue, &again, 43_200).await.unwrap();
}

#[test]
fn a_dead_letter_keeps_the_time_of_its_first_sending() {
    let aws = FakeAws::new();
    let (queue, dead) = aws.create_home_queue("work", SignedDuration::from_secs(30), 1);
    aws.send_body(&queue, "poison").unwrap();
    let sent_at = aws.messages(&queue)[0].sent_at;
    aws.receive(&queue, 1);
    aws.clock().advance(SignedDuration::from_hours(1));
    assert!(aws.receive(&queue, 1).is_empty());
    let letter = aws.receive(&dead, 1).remove(0);
    assert_eq!((letter.sent_at, letter.receive_count), (sent_at, 1));
}

#[tokio::test]
async fn what_sqs_refuses_is_refused() {
    let aws = FakeAws::new();
    let standard = aws.create_queue(QueueSpec::new("q", HOME_ACCOUNT, HOME_REGION));
    let fifo = aws.create_queue(QueueSpec::new("q.fifo", HOME_ACCOUNT, HOME_REGION));
    let delayed = OutgoingMessage { delay_seconds: Some(1), ..message("x", Some("g"), Some("1")) };
    let large = "x".repeat(1024 * 1024 + 1);
    for (queue, message) in [
        (&standard, message("", None, None)),
        (&standard, message("\u{1}", None, None)),
        (&standard, message(&large, None, None)),
        (&standard, message("x", None, Some("1"))),
        (&fifo, message("x", None, Some("1"))),
        (&fifo, message("x", Some("g"), None)),
        (&fifo, delayed),
    ] {
        let results = aws.queue().send(queue, &[message]).await;
        assert_eq!(results[0].as_ref().unwrap_err().kind, PortErrorKind::Invalid);
    }
    aws.remove_queue(&standard);
    let results = aws.queue().send(&standard, &[message("x", None, None)]).await;
    assert_eq!(results[0].as_ref().unwrap_err().kind, PortErrorKind::QueueRefused);
}

#[test]
fn creation_events_reach_the_queue_of_their_prefix() {
    let aws = FakeAws::new();
    let (queue, _) = aws.create_home_queue("intake", SignedDuration::from_secs(30), 3);
    aws.create_home_bucket("staging", true);
    aws.notify_queue("staging", "in/", &queue);
    aws.put_object("staging", "in/a b.jsonl", "x");
    aws.put_object("staging", "out/c", "x");
    let bodies = aws.bodies(&queue);
    assert_eq!(bodies.len(), 1);
    let event: serde_json::Value = serde_json::from_str(&bodies[0]).unwrap();
    assert_eq!(event["Records"][0]["s3"]["object"]["key"], "in/a+b.jsonl");
    assert_eq!(aws.s3_events("staging").len(), 2);
}
