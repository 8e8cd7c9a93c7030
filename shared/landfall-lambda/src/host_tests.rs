use std::collections::BTreeSet;
use std::future::{pending, ready};
use std::sync::Mutex;

use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::port::OutgoingMessage;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::batch::SqsMessage;
use crate::fixtures::{FixedClock, arbitrary_json, event};
use crate::handler::{EachMessage, MessageHandler, one_by_one};
use crate::metrics;

const LIMITS: Limits = Limits {
    start_margin_seconds: 20,
    stop_margin_seconds: 2,
    backoff_base_seconds: 2,
    backoff_cap_seconds: 900,
};

/// A queue that remembers which receipt handles wait for how long.
#[derive(Debug, Default)]
struct Waiting {
    changes: Mutex<Vec<(String, u32)>>,
    answer: Answer,
}

#[derive(Debug, Default, Clone, Copy)]
enum Answer {
    #[default]
    Ok,
    Fails,
    Hangs,
    Panics,
}

impl Queue for &Waiting {
    fn send(
        &self,
        _: &str,
        _: &[OutgoingMessage],
    ) -> impl Future<Output = Vec<Result<String, PortError>>> + Send {
        ready(Vec::new())
    }

    async fn change_visibility(&self, url: &str, handle: &str, seconds: u32) -> Result<(), PortError> {
        assert!(url.starts_with("https://sqs.example/111122223333/"), "{url}");
        self.changes.lock().unwrap().push((handle.to_owned(), seconds));
        match self.answer {
            Answer::Ok => Ok(()),
            Answer::Fails => Err(PortError::new(
                "change visibility",
                url,
                PortErrorKind::Invalid,
                "ReceiptHandleIsInvalid",
            )),
            Answer::Hangs => pending().await,
            Answer::Panics => panic!("the client panicked"),
        }
    }
}

/// What one invocation came to.
struct Outcome {
    returned: Vec<String>,
    waits: Vec<(String, u32)>,
    counted: f64,
}

async fn run(handler: &impl BatchHandler, payload: Value, clock: &FixedClock, seconds: u32) -> Outcome {
    run_over(&Waiting::default(), handler, payload, clock, seconds).await
}

async fn run_over(
    queue: &Waiting,
    handler: &impl BatchHandler,
    payload: Value,
    clock: &FixedClock,
    seconds: u32,
) -> Outcome {
    let urls = ["work", "plan.fifo", "intake"]
        .map(|name| format!("https://sqs.example/111122223333/landfall-{name}"));
    let host = Host::new("compactor", "landfall".to_owned(), queue, QueueUrls::new(urls), LIMITS);
    let invocation = clock.invocation(seconds);
    let response = host.answer(handler, payload, &invocation).await.unwrap();
    let mut waits = queue.changes.lock().unwrap().clone();
    waits.sort();
    Outcome {
        returned: response.returned().map(ToString::to_string).collect(),
        waits,
        counted: invocation.metrics.total(&metrics::MESSAGES_RETURNED, None),
    }
}

fn clock() -> FixedClock {
    FixedClock::at("2026-05-19T00:00:00Z")
}

fn record(queue: &str, id: &str, body: &str, group: Option<&str>) -> Value {
    json!({
        "messageId": id, "receiptHandle": format!("h-{id}"), "body": body,
        "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": group},
        "eventSourceARN": format!("arn:aws:sqs:eu-central-1:111122223333:landfall-{queue}"),
    })
}

/// A batch of the work queue; each body is an order to [`Obedient`].
fn batch(orders: &[(&str, &str)]) -> Value {
    let records: Vec<Value> = orders.iter().map(|(id, order)| record("work", id, order, None)).collect();
    json!({ "Records": records })
}

/// Does what the body of a message says.
struct Obedient {
    clock: FixedClock,
    handled: Mutex<Vec<String>>,
}

impl Obedient {
    fn new(clock: &FixedClock) -> Self {
        Self { clock: clock.clone(), handled: Mutex::default() }
    }

    fn handled(&self) -> Vec<String> {
        self.handled.lock().unwrap().clone()
    }
}

impl MessageHandler for Obedient {
    fn handle(&self, message: &SqsMessage, _: &Invocation) -> impl Future<Output = Verdict> + Send {
        assert_ne!(message.body, "panic at once", "as ordered");
        async move {
            self.handled.lock().unwrap().push(message.id().to_string());
            match message.body.as_str() {
                "panic" => panic!("as ordered"),
                "hang" => pending().await,
                "fail" => Verdict::retry("failed", ErrorClass::Transient, "as ordered", None),
                "wait" => Verdict::retry("held", ErrorClass::ClientFixable, "as ordered", Some(77)),
                "wait forever" => {
                    Verdict::retry("held", ErrorClass::ClientFixable, "as ordered", Some(u32::MAX))
                }
                "take ten seconds" => {
                    self.clock.pass(10);
                    Verdict::done("done")
                }
                _ => Verdict::done("done"),
            }
        }
    }
}

#[tokio::test]
async fn only_failures_come_back() {
    let clock = clock();
    let orders =
        [("a", "ok"), ("b", "fail"), ("c", "ok"), ("d", "panic"), ("e", "panic at once"), ("f", "ok")];
    let handler = EachMessage(Obedient::new(&clock));
    let outcome = run(&handler, batch(&orders), &clock, 300).await;
    assert_eq!(outcome.returned, ["b", "d", "e"]);
    assert_eq!(handler.0.handled(), ["a", "b", "c", "d", "f"]);
    assert!((outcome.counted - 3.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_record_that_does_not_decode_comes_back_alone() {
    let clock = clock();
    let mut payload = batch(&[("a", "ok"), ("b", "ok"), ("c", "ok")]);
    payload["Records"][1]["body"] = json!({"not": "text"});
    payload["Records"][2]["messageId"] = json!(null);
    let handler = EachMessage(Obedient::new(&clock));
    let outcome = run(&handler, payload, &clock, 300).await;
    assert_eq!(outcome.returned, ["b"]);
    assert_eq!(outcome.waits.len(), 1);
    assert_eq!(handler.0.handled(), ["a"]);
}

#[tokio::test]
async fn returned_messages_wait_as_long_as_their_verdict_says() {
    let clock = clock();
    let orders = [("a", "wait"), ("b", "fail"), ("c", "wait forever"), ("d", "ok")];
    let outcome = run(&EachMessage(Obedient::new(&clock)), batch(&orders), &clock, 300).await;
    let [(a, a_waits), (b, b_waits), (c, c_waits)] = outcome.waits.as_slice() else { panic!("three wait") };
    assert_eq!((a.as_str(), *a_waits), ("h-a", 77));
    assert!(b == "h-b" && (1..=2).contains(b_waits), "the first backoff is within its base");
    assert_eq!((c.as_str(), *c_waits), ("h-c", MAX_VISIBILITY_SECONDS), "no longer than SQS allows");
}

#[tokio::test]
async fn a_fifo_group_ends_with_its_first_failure_and_its_rest_comes_back_with_it() {
    let clock = clock();
    let orders = [
        ("a1", "ok", "a"),
        ("b1", "wait", "b"),
        ("a2", "fail", "a"),
        ("b2", "ok", "b"),
        ("a3", "ok", "a"),
        ("c1", "ok", "c"),
    ];
    let records: Vec<Value> =
        orders.iter().map(|(id, order, group)| record("plan.fifo", id, order, Some(group))).collect();
    let handler = EachMessage(Obedient::new(&clock));
    let outcome = run(&handler, json!({ "Records": records }), &clock, 300).await;
    assert_eq!(handler.0.handled(), ["a1", "b1", "a2", "c1"]);
    assert_eq!(outcome.returned, ["b1", "a2", "b2", "a3"]);
    let waits: BTreeMap<_, _> = outcome.waits.into_iter().collect();
    assert_eq!((waits["h-b1"], waits["h-b2"]), (77, 77), "a group waits as one");
    assert_eq!(waits["h-a2"], waits["h-a3"]);
}

#[tokio::test]
async fn a_standard_queue_has_no_groups() {
    let clock = clock();
    let records = [record("work", "a1", "fail", Some("a")), record("work", "a2", "ok", Some("a"))];
    let outcome = run(&EachMessage(Obedient::new(&clock)), json!({ "Records": records }), &clock, 300).await;
    assert_eq!(outcome.returned, ["a1"]);
}

#[tokio::test]
async fn a_message_received_twice_in_one_batch_is_answered_once() {
    let clock = clock();
    let twice = batch(&[("a", "fail"), ("b", "ok"), ("a", "fail"), ("b", "ok")]);
    let outcome = run(&EachMessage(Obedient::new(&clock)), twice, &clock, 300).await;
    assert_eq!(outcome.returned, ["a"]);
}

#[tokio::test]
async fn no_message_is_started_within_the_margin_whatever_the_deadline() {
    let orders: Vec<(String, &str)> =
        (0..100).map(|index| (format!("m{index:02}"), "take ten seconds")).collect();
    let orders: Vec<(&str, &str)> = orders.iter().map(|(id, order)| (id.as_str(), *order)).collect();
    for seconds in 0..=900_u32 {
        let clock = clock();
        let handler = EachMessage(Obedient::new(&clock));
        let outcome = run(&handler, batch(&orders), &clock, seconds).await;
        let startable = if seconds < 20 { 0 } else { ((seconds - 20) / 10 + 1).min(100) as usize };
        assert_eq!(handler.0.handled().len(), startable, "{seconds} s");
        let rest: Vec<&str> = orders.iter().skip(startable).map(|(id, _)| *id).collect();
        assert_eq!(outcome.returned, rest, "{seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_stopped_and_what_was_done_stays_done() {
    let clock = clock();
    let orders = [("a", "ok"), ("b", "hang"), ("c", "ok")];
    let started = tokio::time::Instant::now();
    let outcome = run(&EachMessage(Obedient::new(&clock)), batch(&orders), &clock, 300).await;
    assert_eq!(started.elapsed().as_secs(), 298);
    assert_eq!(outcome.returned, ["b", "c"]);
}

/// Reaches verdicts for its first messages, then fails in its own way.
struct Folding {
    reaches: usize,
    panics: bool,
}

impl BatchHandler for Folding {
    async fn handle_batch(&self, messages: &[SqsMessage], _: &Invocation, verdicts: &Verdicts) {
        for message in messages.iter().take(self.reaches) {
            verdicts.reach(message.id(), Verdict::done("folded"));
            verdicts
                .reach(message.id(), Verdict::retry("later", ErrorClass::Transient, "the first holds", None));
        }
        assert!(!self.panics, "as ordered");
    }
}

#[tokio::test]
async fn verdicts_reached_before_a_panic_of_the_batch_hold() {
    for panics in [true, false] {
        let orders = [("a", ""), ("b", ""), ("c", "")];
        let outcome = run(&Folding { reaches: 2, panics }, batch(&orders), &clock(), 300).await;
        assert_eq!(outcome.returned, ["c"], "a message without a verdict comes back");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_depend_on_visibility_changes() {
    for answer in [Answer::Fails, Answer::Hangs, Answer::Panics] {
        let queue = Waiting { answer, ..Waiting::default() };
        let clock = clock();
        let started = tokio::time::Instant::now();
        let orders = [("a", "fail"), ("b", "ok")];
        let outcome =
            run_over(&queue, &EachMessage(Obedient::new(&clock)), batch(&orders), &clock, 300).await;
        assert_eq!(outcome.returned, ["a"], "{answer:?}");
        assert!(started.elapsed() <= POSTPONE_AT_MOST, "{answer:?}");
    }
}

#[tokio::test]
async fn messages_of_an_unknown_queue_are_answered_without_a_visibility_change() {
    let payload =
        json!({ "Records": [record("other", "a", "fail", None), {"messageId": "b", "body": "fail"}] });
    let clock = clock();
    let outcome = run(&EachMessage(Obedient::new(&clock)), payload, &clock, 300).await;
    assert_eq!(outcome.returned, ["a", "b"]);
    assert!(outcome.waits.is_empty());
}

#[tokio::test]
async fn one_bad_message_among_3390_is_the_only_one_named() {
    let ids: Vec<String> = (0..3_390).map(|index| format!("id-{index}")).collect();
    let orders: Vec<(&str, &str)> = ids
        .iter()
        .enumerate()
        .map(|(index, id)| (id.as_str(), if index == 1_717 { "panic" } else { "ok" }))
        .collect();
    let clock = clock();
    let outcome = run(&EachMessage(Obedient::new(&clock)), batch(&orders), &clock, 300).await;
    assert_eq!(outcome.returned, ["id-1717"]);
}

/// Reads intake messages as the compactor does.
struct Reading;

impl BatchHandler for Reading {
    async fn handle_batch(&self, messages: &[SqsMessage], invocation: &Invocation, verdicts: &Verdicts) {
        one_by_one(messages, invocation, verdicts, 0, |message| async {
            match crate::notification::read_notification(&message.body) {
                Ok(_) => Verdict::done("read"),
                Err(error) => Verdict::retry("malformed", ErrorClass::Permanent, error.to_string(), None),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn of_the_mixed_sample_only_the_poison_comes_back() {
    let payload = event!("compactor/mixed-batch.json");
    let expected: Vec<&str> =
        [2, 4].iter().map(|index| payload["Records"][index]["messageId"].as_str().unwrap()).collect();
    let outcome = run(&Reading, payload.clone(), &clock(), 300).await;
    assert_eq!(outcome.returned, expected);
    assert_eq!(outcome.waits.len(), 2);
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn exactly_the_failed_messages_are_named(fates in prop::collection::vec(0_usize..5, 0..40)) {
        let names = ["ok", "ok", "fail", "panic", "wait"];
        let ids: Vec<String> = (0..fates.len()).map(|index| format!("m{index}")).collect();
        let orders: Vec<(&str, &str)> =
            ids.iter().zip(&fates).map(|(id, fate)| (id.as_str(), names[*fate])).collect();
        let clock = clock();
        let outcome = block_on(run(&EachMessage(Obedient::new(&clock)), batch(&orders), &clock, 300));
        let failed: BTreeSet<&str> = orders.iter().filter(|(_, order)| *order != "ok").map(|(id, _)| *id).collect();
        prop_assert_eq!(outcome.returned.iter().map(String::as_str).collect::<BTreeSet<_>>(), failed);
        prop_assert_eq!(outcome.returned.len(), outcome.waits.len());
    }

    #[test]
    fn any_payload_is_answered_or_refused(payload in arbitrary_json()) {
        let (queue, clock) = (Waiting::default(), clock());
        let host = Host::new("compactor", "landfall".to_owned(), &queue, QueueUrls::default(), LIMITS);
        let records = json!({ "Records": [payload.clone(), payload.clone()] });
        let invocation = clock.invocation(300);
        drop(block_on(host.answer(&Reading, payload, &invocation)));
        prop_assert!(block_on(host.answer(&Reading, records, &invocation)).is_ok());
    }
}
