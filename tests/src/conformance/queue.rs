//! What a `Queue` promises.

use std::collections::BTreeSet;
use std::future::Future;

use landfall_core::error::{ErrorClass, PortError, PortErrorKind};
use landfall_core::port::{OutgoingMessage, Queue};

use super::{Breach, Case, Verdict, expect_class, expect_kind};

/// A message as a consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The message id.
    pub id: String,
    /// The body.
    pub body: String,
    /// The receipt handle of this receive.
    pub receipt_handle: String,
    /// How often it was received, this time included (`ApproximateReceiveCount`).
    pub receives: u32,
    /// When it was sent, in milliseconds of the Unix time (`SentTimestamp`).
    pub sent_at: i64,
}

/// Queues to be held to their promises, and the scene around them.
pub trait QueueHarness {
    /// The queues.
    type Queue: Queue;

    /// The queues, acting as their owner.
    fn queue(&self) -> &Self::Queue;

    /// The URL of a new, empty queue whose messages stay invisible for 30 s after a receive.
    fn fresh_queue(&self, fifo: bool) -> impl Future<Output = String>;

    /// The URLs of a new standard queue and of its dead-letter queue, where a message goes after `receives` receives.
    fn queue_with_dead_letters(&self, receives: u32) -> impl Future<Output = (String, String)>;

    /// The ARN of a queue.
    fn arn(&self, url: &str) -> impl Future<Output = String>;

    /// Receives up to ten messages that are visible now, past the port.
    fn receive(&self, url: &str) -> impl Future<Output = Vec<Received>>;

    /// Deletes a received message, past the port.
    fn delete(&self, url: &str, receipt_handle: &str) -> impl Future<Output = ()>;
}

/// Every case of the suite.
pub fn cases<H: QueueHarness>() -> Vec<Case<H>> {
    cases![
        a_message_arrives_as_it_was_sent,
        no_messages_are_no_call,
        many_messages_are_sent_in_batches,
        large_messages_are_sent_in_batches,
        a_message_that_is_too_large_fails_alone,
        a_message_with_forbidden_characters_fails_alone,
        a_missing_queue_refuses_every_message,
        a_queue_can_be_named_by_its_arn,
        a_delayed_message_is_not_there_yet,
        a_delay_of_901_seconds_is_refused,
        a_group_keeps_its_order,
        a_group_waits_for_its_messages_in_flight,
        a_standard_queue_takes_messages_of_groups,
        a_quiet_group_is_not_kept_waiting_by_a_busy_one,
        a_repeated_deduplication_id_is_one_message,
        a_repeated_deduplication_id_in_one_send_is_one_message,
        a_deduplication_id_outlives_its_message,
        a_fifo_message_needs_a_group,
        a_fifo_message_takes_no_delay_of_its_own,
        a_received_message_can_be_given_back_at_once,
        a_received_message_can_be_held_longer,
        a_message_is_held_twelve_hours_at_most,
        a_message_given_back_is_the_same_and_counts_its_receives,
        a_receipt_ends_when_its_message_is_visible_again,
        a_receipt_ends_with_its_message,
        an_unknown_receipt_is_refused,
        a_message_goes_to_the_dead_letters_after_its_receives,
    ]
}

fn message(body: impl Into<String>) -> OutgoingMessage {
    OutgoingMessage::plain(body)
}

fn in_group(body: &str, group: &str, deduplication: &str) -> OutgoingMessage {
    OutgoingMessage {
        group: Some(group.to_owned()),
        deduplication: Some(deduplication.to_owned()),
        ..message(body)
    }
}

/// The ids of messages that must all have been sent.
fn sent(results: Vec<Result<String, PortError>>, count: usize) -> Result<Vec<String>, Breach> {
    ensure!(results.len() == count, "{} results for {count} messages", results.len());
    let ids = results.into_iter().collect::<Result<Vec<String>, PortError>>()?;
    ensure!(ids.iter().all(|id| !id.is_empty()), "an empty message id");
    Ok(ids)
}

/// Receives and deletes until nothing comes; the bodies in order.
async fn drain<H: QueueHarness>(harness: &H, url: &str) -> Vec<Received> {
    let mut all = Vec::new();
    loop {
        let received = harness.receive(url).await;
        if received.is_empty() {
            return all;
        }
        for message in &received {
            harness.delete(url, &message.receipt_handle).await;
        }
        all.extend(received);
    }
}

fn bodies(received: &[Received]) -> Vec<&str> {
    received.iter().map(|message| message.body.as_str()).collect()
}

async fn a_message_arrives_as_it_was_sent<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(false).await;
    let body = "{\"key\":\"a b+é=🦀\",\"line\":\"1\\n2\",\"x\":\"<&>\"}\n\t";
    let ids = sent(harness.queue().send(&url, &[message(body)]).await, 1)?;
    let received = drain(harness, &url).await;
    ensure!(bodies(&received) == [body], "{received:?}");
    ensure!(received.iter().map(|message| &message.id).eq(&ids), "another id than the send answered");
    Ok(())
}

async fn no_messages_are_no_call<H: QueueHarness>(harness: &H) -> Verdict {
    let results = harness.queue().send("https://sqs.invalid/000000000000/none", &[]).await;
    ensure!(results.is_empty(), "{results:?}");
    Ok(())
}

async fn many_messages_are_sent_in_batches<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(false).await;
    // One body twice: two messages all the same.
    let messages: Vec<OutgoingMessage> = (0..23).map(|n| message(format!("message {}", n.min(21)))).collect();
    let ids = sent(harness.queue().send(&url, &messages).await, 23)?;
    let received = drain(harness, &url).await;
    for (id, message) in ids.iter().zip(&messages) {
        let found = received.iter().find(|received| received.id == *id);
        ensure!(found.is_some_and(|found| found.body == message.body), "the results are not in order");
    }
    ensure!(received.len() == 23, "{} of 23 messages arrived", received.len());
    ensure!(ids.iter().collect::<BTreeSet<_>>().len() == 23, "an id stands twice");
    Ok(())
}

async fn large_messages_are_sent_in_batches<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(false).await;
    let messages: Vec<OutgoingMessage> =
        ["a", "b", "c"].map(|letter| message(letter.repeat(600_000))).to_vec();
    sent(harness.queue().send(&url, &messages).await, 3)?;
    let arrived = drain(harness, &url).await.len();
    ensure!(arrived == 3, "{arrived} of 3 messages arrived");
    Ok(())
}

/// Sends a bad message between two good ones: it fails alone, in its place.
async fn fails_alone<H: QueueHarness>(harness: &H, bad: String) -> Verdict {
    let url = harness.fresh_queue(false).await;
    let results = harness.queue().send(&url, &[message("one"), message(bad), message("two")]).await;
    let [Ok(_), Err(error), Ok(_)] = results.as_slice() else {
        return Err(Breach(format!("{results:?}")));
    };
    ensure!(error.class() == ErrorClass::Permanent, "{}: {error}", error.class());
    let received = drain(harness, &url).await;
    let arrived: BTreeSet<&str> = bodies(&received).into_iter().collect();
    ensure!(arrived == BTreeSet::from(["one", "two"]), "{arrived:?}");
    Ok(())
}

async fn a_message_that_is_too_large_fails_alone<H: QueueHarness>(harness: &H) -> Verdict {
    fails_alone(harness, "x".repeat(1024 * 1024 + 1)).await
}

async fn a_message_with_forbidden_characters_fails_alone<H: QueueHarness>(harness: &H) -> Verdict {
    fails_alone(harness, "bell \u{7} and \u{ffff}".to_owned()).await
}

async fn a_missing_queue_refuses_every_message<H: QueueHarness>(harness: &H) -> Verdict {
    let gone = format!("{}-gone", harness.fresh_queue(false).await);
    let results = harness.queue().send(&gone, &[message("one"), message("two")]).await;
    ensure!(results.len() == 2, "{} results", results.len());
    for result in results {
        expect_kind(result, PortErrorKind::QueueRefused, "a send to a missing queue")?;
    }
    Ok(())
}

async fn a_queue_can_be_named_by_its_arn<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(false).await;
    let arn = harness.arn(&url).await;
    sent(harness.queue().send(&arn, &[message("one")]).await, 1)?;
    let received = drain(harness, &url).await;
    ensure!(bodies(&received) == ["one"], "{received:?}");
    Ok(())
}

async fn a_delayed_message_is_not_there_yet<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(false).await;
    let delayed = OutgoingMessage { delay_seconds: Some(900), ..message("late") };
    sent(harness.queue().send(&url, &[delayed, message("now")]).await, 2)?;
    let received = drain(harness, &url).await;
    ensure!(bodies(&received) == ["now"], "{received:?}");
    Ok(())
}

async fn a_delay_of_901_seconds_is_refused<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(false).await;
    let delayed = OutgoingMessage { delay_seconds: Some(901), ..message("late") };
    for result in harness.queue().send(&url, &[delayed]).await {
        expect_class(result, ErrorClass::Permanent, "a delay of 901 s")?;
    }
    Ok(())
}

async fn a_group_waits_for_its_messages_in_flight<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(true).await;
    let queue = harness.queue();
    sent(queue.send(&url, &[in_group("a1", "a", "1"), in_group("a2", "a", "2")]).await, 2)?;
    let received = harness.receive(&url).await;
    sent(queue.send(&url, &[in_group("a3", "a", "3"), in_group("b1", "b", "4")]).await, 2)?;
    let meanwhile = drain(harness, &url).await;
    ensure!(bodies(&meanwhile) == ["b1"], "while a group is in flight: {meanwhile:?}");
    for message in &received {
        harness.delete(&url, &message.receipt_handle).await;
    }
    let rest = drain(harness, &url).await;
    let order: Vec<&str> = bodies(&received).into_iter().chain(bodies(&rest)).collect();
    ensure!(order == ["a1", "a2", "a3"], "{order:?}");
    Ok(())
}

async fn a_repeated_deduplication_id_in_one_send_is_one_message<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(true).await;
    let twice = [in_group("one", "g", "slot-1"), in_group("two", "g", "slot-1")];
    let ids = sent(harness.queue().send(&url, &twice).await, 2)?;
    ensure!(ids.iter().collect::<BTreeSet<_>>().len() == 1, "{ids:?}");
    let received = drain(harness, &url).await;
    ensure!(bodies(&received) == ["one"], "{received:?}");
    Ok(())
}

async fn a_deduplication_id_outlives_its_message<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(true).await;
    let queue = harness.queue();
    sent(queue.send(&url, &[in_group("one", "g", "slot-1")]).await, 1)?;
    ensure!(drain(harness, &url).await.len() == 1, "it did not arrive");
    sent(queue.send(&url, &[in_group("two", "g", "slot-1"), in_group("three", "g", "slot-2")]).await, 2)?;
    let received = drain(harness, &url).await;
    ensure!(bodies(&received) == ["three"], "{received:?}");
    Ok(())
}

async fn a_fifo_message_takes_no_delay_of_its_own<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(true).await;
    let delayed = OutgoingMessage { delay_seconds: Some(60), ..in_group("one", "g", "slot-1") };
    for result in harness.queue().send(&url, &[delayed]).await {
        expect_class(result, ErrorClass::Permanent, "a delay in a FIFO queue")?;
    }
    Ok(())
}

async fn a_group_keeps_its_order<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(true).await;
    let messages: Vec<OutgoingMessage> = (0..12)
        .map(|n| in_group(&format!("{n:02}"), if n % 2 == 0 { "even" } else { "odd" }, &n.to_string()))
        .collect();
    sent(harness.queue().send(&url, &messages).await, 12)?;
    let received = drain(harness, &url).await;
    for rest in [0, 1] {
        let number = |body: &&str| body.parse::<usize>().is_ok_and(|n| n % 2 == rest);
        let group: Vec<&str> = bodies(&received).into_iter().filter(number).collect();
        ensure!(group.len() == 6 && group.is_sorted(), "{group:?}");
    }
    Ok(())
}

async fn a_standard_queue_takes_messages_of_groups<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(false).await;
    let of = |group: &str, n: usize| OutgoingMessage::of(group, format!("{group} {n}"));
    sent(harness.queue().send(&url, &[of("a", 0)]).await, 1)?;
    sent(harness.queue().send(&url, &[of("a", 1), of("a", 2), of("b", 0)]).await, 3)?;
    // No group waits for its messages in flight: all are received before one is deleted.
    let mut received = Vec::new();
    loop {
        let more = harness.receive(&url).await;
        if more.is_empty() {
            break;
        }
        received.extend(more);
    }
    let arrived: BTreeSet<&str> = bodies(&received).into_iter().collect();
    ensure!(arrived == BTreeSet::from(["a 0", "a 1", "a 2", "b 0"]), "{arrived:?}");
    Ok(())
}

/// With a group that has all of what is in flight, more than thirty messages, and a backlog: by SQS's own measure it
/// stands out.
async fn a_quiet_group_is_not_kept_waiting_by_a_busy_one<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(false).await;
    let busy: Vec<OutgoingMessage> = (0..100).map(|n| OutgoingMessage::of("busy", n.to_string())).collect();
    sent(harness.queue().send(&url, &busy).await, 100)?;
    let mut in_flight = 0;
    while in_flight < 50 {
        let received = harness.receive(&url).await.len();
        ensure!(received > 0, "{in_flight} of 100 messages arrived");
        in_flight += received;
    }
    sent(harness.queue().send(&url, &[OutgoingMessage::of("quiet", "quiet")]).await, 1)?;
    let received = harness.receive(&url).await;
    ensure!(bodies(&received).contains(&"quiet"), "the quiet group waited");
    Ok(())
}

async fn a_repeated_deduplication_id_is_one_message<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(true).await;
    let queue = harness.queue();
    let first = sent(queue.send(&url, &[in_group("one", "g", "slot-1")]).await, 1)?;
    let again = sent(queue.send(&url, &[in_group("two", "g", "slot-1")]).await, 1)?;
    ensure!(first == again, "the repeated one has an id of its own");
    let received = drain(harness, &url).await;
    ensure!(bodies(&received) == ["one"], "{received:?}");
    Ok(())
}

async fn a_fifo_message_needs_a_group<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(true).await;
    for result in harness.queue().send(&url, &[message("one")]).await {
        expect_class(result, ErrorClass::Permanent, "a FIFO message without a group")?;
    }
    Ok(())
}

/// Sends one message and receives it.
async fn one_in_flight<H: QueueHarness>(harness: &H, url: &str) -> Result<Received, Breach> {
    sent(harness.queue().send(url, &[message("one")]).await, 1)?;
    let received = harness.receive(url).await;
    let [one] = received.as_slice() else { return Err(Breach(format!("received {received:?}"))) };
    let hidden = harness.receive(url).await;
    ensure!(hidden.is_empty(), "received again while in flight");
    Ok(one.clone())
}

async fn a_received_message_can_be_given_back_at_once<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(false).await;
    let one = one_in_flight(harness, &url).await?;
    harness.queue().change_visibility(&url, &one.receipt_handle, 0).await?;
    let again = harness.receive(&url).await;
    ensure!(bodies(&again) == ["one"], "{again:?}");
    Ok(())
}

async fn a_received_message_can_be_held_longer<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(false).await;
    let one = one_in_flight(harness, &url).await?;
    harness.queue().change_visibility(&url, &one.receipt_handle, 3_600).await?;
    ensure!(harness.receive(&url).await.is_empty(), "visible at once");
    Ok(())
}

async fn a_message_is_held_twelve_hours_at_most<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(false).await;
    let one = one_in_flight(harness, &url).await?;
    let too_long = harness.queue().change_visibility(&url, &one.receipt_handle, 43_201).await;
    expect_class(too_long, ErrorClass::Permanent, "more than twelve hours")
}

async fn a_message_given_back_is_the_same_and_counts_its_receives<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(false).await;
    let mut one = one_in_flight(harness, &url).await?;
    for receives in 2..=4 {
        harness.queue().change_visibility(&url, &one.receipt_handle, 0).await?;
        let received = harness.receive(&url).await;
        let [again] = received.as_slice() else { return Err(Breach(format!("received {received:?}"))) };
        ensure!((&again.id, again.sent_at) == (&one.id, one.sent_at), "{again:?} instead of {one:?}");
        ensure!(again.receives == receives, "received {} times, not {receives}", again.receives);
        ensure!(again.receipt_handle != one.receipt_handle, "two receives have one receipt handle");
        one = again.clone();
    }
    Ok(())
}

async fn a_receipt_ends_when_its_message_is_visible_again<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(false).await;
    let one = one_in_flight(harness, &url).await?;
    harness.queue().change_visibility(&url, &one.receipt_handle, 0).await?;
    let late = harness.queue().change_visibility(&url, &one.receipt_handle, 60).await;
    expect_class(late, ErrorClass::Permanent, "a receipt whose message is visible again")
}

async fn a_receipt_ends_with_its_message<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(false).await;
    let one = one_in_flight(harness, &url).await?;
    harness.delete(&url, &one.receipt_handle).await;
    let late = harness.queue().change_visibility(&url, &one.receipt_handle, 0).await;
    expect_class(late, ErrorClass::Permanent, "the receipt of a deleted message")
}

async fn a_message_goes_to_the_dead_letters_after_its_receives<H: QueueHarness>(harness: &H) -> Verdict {
    let (url, dead) = harness.queue_with_dead_letters(2).await;
    let mut one = one_in_flight(harness, &url).await?;
    harness.queue().change_visibility(&url, &one.receipt_handle, 0).await?;
    let received = harness.receive(&url).await;
    let [again] = received.as_slice() else { return Err(Breach(format!("the second: {received:?}"))) };
    one.clone_from(again);
    harness.queue().change_visibility(&url, &one.receipt_handle, 0).await?;
    let third = harness.receive(&url).await;
    ensure!(third.is_empty(), "received a third time: {third:?}");
    let received = harness.receive(&dead).await;
    let [letter] = received.as_slice() else { return Err(Breach(format!("dead letters: {received:?}"))) };
    // Retention counts from the first sending.
    ensure!((&letter.id, letter.sent_at) == (&one.id, one.sent_at), "{letter:?} instead of {one:?}");
    Ok(())
}

async fn an_unknown_receipt_is_refused<H: QueueHarness>(harness: &H) -> Verdict {
    let url = harness.fresh_queue(false).await;
    let changed = harness.queue().change_visibility(&url, "bm8tc3VjaC1yZWNlaXB0", 0).await;
    expect_class(changed, ErrorClass::Permanent, "an unknown receipt handle")
}
