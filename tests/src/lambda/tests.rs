//! The driver applies the event source mapping's rules.

use std::collections::BTreeSet;
use std::convert::Infallible;

use jiff::SignedDuration;
use landfall_core::port::{Clock as _, ObjectAttributes, ObjectStore as _};
use serde_json::{Value, json};

use super::*;
use crate::fake::{FakeAws, Fault};

fn records(event: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    event["Records"].as_array().unwrap().iter().map(|r| (text(&r["messageId"]), text(&r["body"]))).collect()
}

fn failures(ids: impl IntoIterator<Item = String>) -> Value {
    json!({"batchItemFailures": ids.into_iter().map(|id| json!({"itemIdentifier": id})).collect::<Vec<_>>()})
}

fn scene() -> (FakeAws, String, String) {
    let aws = FakeAws::new();
    let (queue, dead) = aws.create_home_queue("work", SignedDuration::from_secs(60), 3);
    (aws, queue, dead)
}

#[tokio::test]
async fn a_poison_message_ends_among_the_dead_and_its_neighbours_are_done() {
    let (aws, queue, dead) = scene();
    for body in ["good", "poison", "fine"] {
        aws.send_body(&queue, body).unwrap();
    }
    let start = aws.clock().now();
    let mut pipeline = Pipeline::new(&aws).on_queue("worker", &queue, 10, |event| async move {
        failures(records(&event).into_iter().filter(|(_, body)| body == "poison").map(|(id, _)| id))
    });
    pipeline.drive_until_idle(20).await.unwrap();
    assert_eq!(aws.bodies(&dead), ["poison"]);
    let sizes: Vec<usize> = pipeline.invocations().iter().map(|run| run.messages.len()).collect();
    assert_eq!(sizes, [3, 1, 1]);
    assert_eq!(aws.clock().now().duration_since(start), SignedDuration::from_secs(180));
}

#[tokio::test]
async fn invocations_that_take_time_hold_their_slots_and_act_at_their_end() {
    let (aws, queue, _) = scene();
    aws.change_queue(&queue, |spec| spec.visibility = SignedDuration::from_secs(600));
    for body in ["a", "b", "c", "d", "e"] {
        aws.send_body(&queue, body).unwrap();
    }
    let start = aws.clock().now();
    let ended = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let (clock, seen) = (aws.clock(), std::rc::Rc::clone(&ended));
    let mut pipeline = Pipeline::new(&aws)
        .on_queue("worker", &queue, 1, move |_| {
            seen.borrow_mut().push(clock.now().duration_since(start).as_secs());
            async { failures([]) }
        })
        .pace(&queue, 2, SignedDuration::from_secs(60));
    pipeline.drive_until_idle(20).await.unwrap();
    assert_eq!(*ended.borrow(), [60, 60, 120, 120, 180]);
    let began = pipeline.invocations().iter().map(|run| run.at.duration_since(start).as_secs());
    assert_eq!(began.collect::<Vec<_>>(), [0, 0, 60, 60, 120]);
}

#[tokio::test]
async fn an_answer_that_breaks_the_contract_fails_the_whole_batch() {
    let (aws, queue, dead) = scene();
    aws.send_body(&queue, "a").unwrap();
    aws.send_body(&queue, "b").unwrap();
    let mut pipeline = Pipeline::new(&aws)
        .on_queue("worker", &queue, 10, |_| async { failures([String::from("no-such-id")]) });
    pipeline.drive_until_idle(20).await.unwrap();
    assert_eq!(aws.bodies(&dead), ["a", "b"]);
    assert!(pipeline.invocations().iter().all(|run| matches!(run.outcome, Outcome::Failed(_))));
}

#[tokio::test]
async fn panics_errors_and_crashes_bring_every_message_back() {
    let (aws, queue, _) = scene();
    let state = aws.create_home_bucket("state", false);
    aws.send_body(&queue, "job").unwrap();
    aws.faults().on("HeadObject").inject(Fault::CrashBefore);
    aws.faults().on("HeadObject").after(1).inject(Fault::Panic);
    let store = aws.store();
    let mut pipeline = Pipeline::new(&aws).on_queue("worker", &queue, 10, move |_| {
        let (store, state) = (store.clone(), state.clone());
        async move {
            store.head(&state, "k").await.unwrap();
            Ok::<_, Infallible>(json!({}))
        }
    });
    pipeline.drive_until_idle(20).await.unwrap();
    let outcomes: Vec<Outcome> = pipeline.invocations().iter().map(|run| run.outcome.clone()).collect();
    assert_eq!(outcomes, [Outcome::Crashed, Outcome::Panicked, Outcome::Answered(BTreeSet::new())]);
}

#[tokio::test]
async fn a_fifo_message_that_fails_holds_back_its_group() {
    let aws = FakeAws::new();
    let (queue, _) = aws.create_home_queue("plan.fifo", SignedDuration::from_secs(60), 5);
    for body in ["a1", "a2"] {
        let message = landfall_core::port::OutgoingMessage {
            body: body.into(),
            group: Some("a".into()),
            deduplication: Some(body.into()),
            delay_seconds: None,
        };
        aws.send(&queue, &message).unwrap();
    }
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let log = seen.clone();
    let mut pipeline = Pipeline::new(&aws).on_queue("planner", &queue, 1, move |event| {
        let (id, body) = records(&event).remove(0);
        let first = log.borrow().is_empty();
        log.borrow_mut().push(body);
        async move { if first { failures([id]) } else { json!(null) } }
    });
    pipeline.drive_until_idle(20).await.unwrap();
    assert_eq!(*seen.borrow(), ["a1", "a1", "a2"]);
}

#[tokio::test]
async fn schedules_fire_while_time_passes() {
    let (aws, queue, _) = scene();
    let target = queue.clone();
    let sender = aws.clone();
    let start = aws.clock().now();
    let mut pipeline = Pipeline::new(&aws)
        .on_queue("worker", &queue, 10, |_| async { json!({}) })
        .on_schedule("sweeper", SignedDuration::from_mins(1), json!({"sweep": true}), move |event| {
            assert_eq!(event["sweep"], true);
            sender.send_body(&target, "swept").unwrap();
            async { json!(null) }
        });
    pipeline.run_for(SignedDuration::from_mins(5)).await.unwrap();
    let of = |function: &str| pipeline.invocations().iter().filter(|run| run.function == function).count();
    assert_eq!((of("sweeper"), of("worker")), (5, 5));
    assert_eq!(aws.clock().now().duration_since(start), SignedDuration::from_mins(5));
}

#[tokio::test]
async fn work_that_never_rests_is_reported() {
    let (aws, queue, _) = scene();
    aws.send_body(&queue, "again").unwrap();
    let (sender, target) = (aws.clone(), queue.clone());
    let mut pipeline = Pipeline::new(&aws).on_queue("worker", &queue, 10, move |_| {
        sender.send_body(&target, "again").unwrap();
        async { json!({}) }
    });
    assert_eq!(pipeline.drive_until_idle(10).await, Err(Stalled { left: vec![(queue, 1)] }));
}

#[tokio::test]
async fn large_messages_are_split_over_invocations() {
    let (aws, queue, _) = scene();
    for _ in 0..8 {
        aws.send_body(&queue, &"x".repeat(1024 * 1024)).unwrap();
    }
    let mut pipeline = Pipeline::new(&aws).on_queue("worker", &queue, 10, |_| async { json!({}) });
    pipeline.drive_now(10).await.unwrap();
    let sizes: Vec<usize> = pipeline.invocations().iter().map(|run| run.messages.len()).collect();
    assert_eq!(sizes, [5, 3]);
}

#[tokio::test]
async fn concurrent_invocations_race_and_one_wins() {
    let (aws, queue, _) = scene();
    let state = aws.create_home_bucket("state", false);
    aws.interleave(3);
    for _ in 0..4 {
        aws.send_body(&queue, "claim").unwrap();
    }
    let store = aws.store();
    let wins = std::rc::Rc::new(std::cell::Cell::new(0));
    let counter = wins.clone();
    let mut pipeline = Pipeline::new(&aws)
        .on_queue("worker", &queue, 1, move |_| {
            let (store, state, counter) = (store.clone(), state.clone(), counter.clone());
            async move {
                let (absent, plain) = (landfall_core::port::Condition::Absent, ObjectAttributes::default());
                let put = store.put(&state, "k", bytes::Bytes::new(), &absent, None, &plain).await.unwrap();
                if matches!(put, landfall_core::port::PutOutcome::Written { .. }) {
                    counter.set(counter.get() + 1);
                }
                json!({})
            }
        })
        .concurrency(4);
    pipeline.drive_now(10).await.unwrap();
    assert_eq!((wins.get(), pipeline.invocations().len()), (1, 4));
}
