//! Batches, and one result per message.

use landfall_core::error::{Effect, ErrorClass, PortErrorKind};
use landfall_core::port::{OutgoingMessage, Queue};

use super::{BATCH_BYTES, SqsQueue, batch_length};
use crate::replay::{Answer, Replay, answer, json_error};
use crate::sts::Principal;

fn message(body: &str) -> OutgoingMessage {
    OutgoingMessage::plain(body)
}

fn sent(ids: std::ops::Range<usize>) -> Answer {
    let entries: Vec<String> =
        ids.map(|id| format!(r#"{{"Id":"{id}","MessageId":"m{id}","MD5OfMessageBody":"x"}}"#)).collect();
    answer(200, format!(r#"{{"Successful":[{}],"Failed":[]}}"#, entries.join(",")))
}

/// The answer to a message sent alone.
fn sent_alone() -> Answer {
    answer(200, r#"{"MessageId":"m0","MD5OfMessageBody":"x"}"#)
}

#[tokio::test]
async fn batches_hold_ten_messages_under_positional_ids() {
    let replay = Replay::new([sent(0..10), sent(0..3)]);
    // The same message thirteen times: ids from content would clash.
    let results = replay.clients().queue().send("https://q", &vec![message("same"); 13]).await;
    assert_eq!(results.len(), 13);
    assert_eq!(results[12].as_ref().unwrap(), "m2");
    assert!(replay.asked()[1].body.contains(r#""Id":"2""#));
    assert!(!replay.asked()[1].body.contains(r#""Id":"3""#));
}

#[test]
fn batches_stay_within_the_bytes_of_the_service() {
    let third = message(&"x".repeat(BATCH_BYTES / 3));
    assert_eq!(batch_length(&vec![third.clone(); 5]), 3);
    assert_eq!(batch_length(&[message(&"x".repeat(BATCH_BYTES)), third]), 1);
}

#[tokio::test]
async fn each_message_has_its_own_result() {
    let replay = Replay::new([answer(
        200,
        r#"{"Successful":[{"Id":"2","MessageId":"m2","MD5OfMessageBody":"x"}],
            "Failed":[{"Id":"0","SenderFault":true,"Code":"InvalidMessageContents","Message":"bad"}]}"#,
    )]);
    let huge = message(&"x".repeat(BATCH_BYTES + 1));
    let messages = [huge, message("a"), message("b"), message("c")];
    let results = replay.clients().queue().send("https://q", &messages).await;
    assert_eq!(results[0].as_ref().unwrap_err().kind, PortErrorKind::Invalid);
    assert_eq!(results[1].as_ref().unwrap_err().kind, PortErrorKind::Invalid);
    let unmentioned = results[2].as_ref().unwrap_err();
    assert_eq!((unmentioned.kind, unmentioned.effect), (PortErrorKind::Unavailable, Effect::Unknown));
    assert_eq!(results[3].as_ref().unwrap(), "m2");
}

#[tokio::test]
async fn a_failed_request_fails_each_of_its_messages_only() {
    let replay = Replay::new([json_error(400, "QueueDoesNotExist"), sent_alone()]);
    let results = replay.clients().queue().send("https://q", &vec![message("x"); 11]).await;
    for result in &results[..10] {
        let error = result.as_ref().unwrap_err();
        assert_eq!(error.class(), ErrorClass::ClientFixable);
        assert_eq!(error.kind, PortErrorKind::QueueRefused);
    }
    results[10].as_ref().unwrap();
}

#[tokio::test]
async fn fifo_messages_carry_group_and_deduplication() {
    let replay = Replay::new([sent_alone()]);
    let message = OutgoingMessage {
        body: "x".into(),
        group: Some("g".into()),
        deduplication: Some("d".into()),
        delay_seconds: None,
    };
    replay.clients().queue().send("https://q.fifo", &[message]).await.remove(0).unwrap();
    let body = replay.only().body;
    assert!(body.contains(r#""MessageGroupId":"g""#) && body.contains(r#""MessageDeduplicationId":"d""#));
}

#[tokio::test]
async fn messages_of_a_standard_queue_carry_their_group_and_nothing_else() {
    let replay = Replay::new([sent_alone(), sent(0..2)]);
    let queue = replay.clients().queue();
    let of_acme = OutgoingMessage::of("acme", "x");
    queue.send("https://q", std::slice::from_ref(&of_acme)).await.remove(0).unwrap();
    queue.send("https://q", &[of_acme.clone(), of_acme]).await.remove(1).unwrap();
    let asked = replay.asked();
    for (request, times) in [(&asked[0], 1), (&asked[1], 2)] {
        assert_eq!(request.body.matches(r#""MessageGroupId":"acme""#).count(), times);
        assert!(!request.body.contains("MessageDeduplicationId"));
    }
}

#[tokio::test]
async fn arns_are_resolved_without_a_request() {
    let replay = Replay::new([sent_alone()]);
    let arn = "arn:aws:sqs:eu-west-1:222222222222:etl";
    replay.clients().queue().send(arn, &[message("x")]).await.remove(0).unwrap();
    assert!(
        replay.only().body.contains(r#""QueueUrl":"https://sqs.eu-west-1.amazonaws.com/222222222222/etl""#)
    );
    let wrong = replay.clients().queue().send("arn:aws:sns:eu-west-1:2:x", &[message("x")]).await.remove(0);
    assert_eq!(wrong.unwrap_err().kind, PortErrorKind::Invalid);
}

#[test]
fn arns_of_a_custom_endpoint_lie_below_it() {
    let client = aws_sdk_sqs::Client::from_conf(
        aws_sdk_sqs::Config::builder()
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .build(),
    );
    let queue = SqsQueue::new(client, Principal::Own, Some("http://127.0.0.1:4566/".into()));
    let url = |queue_name: &str| queue.url(queue_name);
    assert_eq!(
        url("arn:aws:sqs:eu-west-1:222222222222:etl.fifo").as_deref(),
        Some("http://127.0.0.1:4566/222222222222/etl.fifo")
    );
    assert_eq!(url("http://x/1/q").as_deref(), Some("http://x/1/q"));
    assert_eq!(url("arn:aws:sqs:eu-west-1::etl"), None);
    assert_eq!(url("arn:aws:sqs:eu-west-1:2:a:b"), None);
}
