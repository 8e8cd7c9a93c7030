//! Merges that no execution can finish: the intent is void and its inputs return, an object that cannot be merged even
//! alone is set aside. Whatever the executions do meanwhile, every row arrives once.

use jiff::SignedDuration;
use landfall_core::error::PortErrorKind::{Denied, RoleRefused};
use landfall_core::keys::{self, RecordName};
use landfall_core::message::Message;
use landfall_core::port::Clock as _;
use landfall_core::record::{Expired, FORMAT, Outcome, Verdict};
use landfall_lambda::metrics;
use serde_json::{Value, json};
use testkit::fake::{Fault, HOME_ACCOUNT, HOME_REGION};

use crate::scene::{Scene, document, noise, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const NOTHING: [String; 0] = [];

/// One planned intent of these objects, whose merge was never dispatched: its only message is what a test sends.
async fn planned(objects: &[(&str, String)]) -> Scene {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.block("work");
    for (name, body) in objects {
        scene.stage(&format!("acme/rows/{name}"), body.clone());
    }
    scene.deliver(&[ID]).await;
    scene.unblock();
    assert_eq!(scene.record_names(ID, 1), ["intent"]);
    scene
}

async fn three_objects() -> Scene {
    planned(&[("a", rows(0, 2)), ("b", rows(2, 2)), ("c", rows(4, 2))]).await
}

async fn one_object() -> Scene {
    planned(&[("a", rows(0, 2))]).await
}

async fn outcome(scene: &Scene, n: u64) -> Outcome {
    scene.record(ID, n, RecordName::Outcome(1)).await
}

/// An event with one merge request for intent 1, from the queue of this name.
fn merge_event(queue: &str) -> Value {
    json!({ "Records": [{
        "messageId": format!("message-of-{queue}"),
        "receiptHandle": "",
        "body": Message::merge(ID, 1).to_body(),
        "attributes": { "ApproximateReceiveCount": "1" },
        "eventSourceARN": format!("arn:aws:sqs:{HOME_REGION}:{HOME_ACCOUNT}:{queue}"),
    }]})
}

#[tokio::test]
async fn an_intent_that_no_execution_finishes_is_void_and_its_rows_arrive_all_the_same() {
    for fault in [Fault::Panic, Fault::CrashBefore, Fault::CrashAfter] {
        let mut scene = three_objects().await;
        scene.aws.faults().on("GetObject").key("acme/rows/b").times(3).inject(fault);
        scene.ask(&Message::merge(ID, 1));
        // An execution that dies leaves its message out of sight for an hour and a half.
        scene.run(5 * 3600).await;
        assert_eq!(scene.aws.faults().fired(), 3, "{fault:?}");
        let void = outcome(&scene, 1).await;
        assert!(
            void.void && void.consumed == 0 && void.files.is_empty() && void.verdicts.is_empty(),
            "{void:?}"
        );
        assert_eq!(scene.record_names(ID, 1), ["intent", "outcome"], "{fault:?}");
        assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 3, 4, 5], "{fault:?}");
        assert_eq!(scene.staged(), NOTHING);
        assert_eq!(scene.temps(LAKE), NOTHING);
        assert_eq!(scene.total(&metrics::INTENTS_VOIDED, Some(ID)), 1);
        assert_eq!(scene.work_dead_letters(), NOTHING);
    }
}

#[tokio::test]
async fn an_object_that_cannot_be_merged_even_alone_is_set_aside_as_poison_and_read_by_nobody() {
    let mut scene = one_object().await;
    let staged = scene.aws.object("staging", "acme/rows/a").expect("it is staged");
    scene.aws.faults().on("GetObject").key("acme/rows/a").forever().inject(Fault::Panic);
    scene.ask(&Message::merge(ID, 1));
    scene.run(3600).await;
    assert_eq!(scene.aws.faults().fired(), 3, "three executions and nobody else");
    let outcome = outcome(&scene, 1).await;
    let [Verdict::Quarantined { reason, kept, detail, .. }] = outcome.verdicts.as_slice() else {
        panic!("{outcome:?}");
    };
    assert_eq!((reason.as_str(), outcome.void, outcome.consumed), ("poison", false, 1));
    assert!(detail.contains("died, panicked or ran out of time"), "{detail}");
    assert!(outcome.versions[0].is_some(), "the version it can be read by");
    assert_eq!(scene.aws.object("state", kept).expect("the copy").body, staged.body);
    let why = scene.aws.object("state", &format!("{kept}.reason.json")).expect("the reason");
    let why: Value = serde_json::from_slice(&why.body).expect("a document");
    assert_eq!((&why["key"], &why["reason"]), (&json!("acme/rows/a"), &json!("poison")));

    assert_eq!(scene.staged(), NOTHING, "the commit deletes it");
    assert!(scene.record_names(ID, 1).contains(&"closed".to_owned()));
    let receipts = scene.receipts(ID).await;
    assert_eq!((receipts[0].quarantined_objects, receipts[0].rows), (1, 0));
    assert_eq!(scene.total(&metrics::OBJECTS_QUARANTINED, Some(ID)), 1);
    assert_eq!(scene.total(&metrics::INTENTS_VOIDED, Some(ID)), 0);
    assert_eq!(scene.work_dead_letters(), NOTHING);
}

#[tokio::test]
async fn what_kills_the_one_try_of_a_hold_is_set_aside_and_the_hold_ends() {
    for (operation, of, kind) in
        [("AssumeRole", "landfall-delivery", RoleRefused), ("PutObject", LAKE, Denied)]
    {
        let mut scene = one_object().await;
        scene.aws.faults().on(operation).resource(of).inject(Fault::Fail(kind));
        scene.ask(&Message::merge(ID, 1));
        scene.run(1).await;
        assert_eq!(scene.holds(ID).len(), 1, "{kind:?}");
        scene.aws.faults().clear();
        scene.aws.faults().on("GetObject").key("acme/rows/a").forever().inject(Fault::Panic);
        scene.tick_for(90).await;
        assert_eq!(outcome(&scene, 1).await.verdicts.len(), 1, "{kind:?}");
        assert!(scene.record_names(ID, 1).contains(&"closed".to_owned()), "{kind:?}");
        assert_eq!(scene.staged(), NOTHING, "{kind:?}");
        assert_eq!(scene.work_dead_letters(), NOTHING);
    }
}

#[tokio::test]
async fn an_object_that_went_or_changed_meanwhile_is_not_set_aside() {
    let mut gone = one_object().await;
    gone.aws.delete_object("staging", "acme/rows/a");
    gone.give_up(&Message::merge(ID, 1));
    gone.run(60).await;
    assert_eq!(outcome(&gone, 1).await.verdicts, [Verdict::Gone]);
    assert!(gone.record_names(ID, 1).contains(&"closed".to_owned()));

    let mut changed = one_object().await;
    changed.stage("acme/rows/a", rows(10, 1));
    changed.give_up(&Message::merge(ID, 1));
    changed.tick_for(5).await;
    assert_eq!(outcome(&changed, 1).await.verdicts, [Verdict::Superseded]);
    assert_eq!(changed.delivered_ids(LAKE), [10], "what replaced it is delivered");
    for scene in [gone, changed] {
        assert_eq!(scene.aws.keys("state", "quarantine/"), NOTHING);
        assert_eq!(scene.total(&metrics::OBJECTS_QUARANTINED, Some(ID)), 0);
    }
}

#[tokio::test]
async fn an_object_we_may_not_read_holds_its_intent_alone() {
    let mut scene = one_object().await;
    scene.aws.deny_home("s3:GetObject", "arn:aws:s3:::staging/acme/rows/a");
    scene.give_up(&Message::merge(ID, 1));
    scene.run(1).await;
    assert_eq!(scene.holds(ID), ["intent-1"]);
    let hold = scene.hold(ID, "intent-1").await;
    assert_eq!((hold.code.as_deref(), hold.class.as_str()), (Some("unreadable_input"), "client_fixable"));
    assert!(hold.detail.contains("acme/rows/a"), "{}", hold.detail);
    assert_eq!(scene.record_names(ID, 1), ["intent"], "it stays open, and its input staged");
    assert_eq!(scene.staged(), ["acme/rows/a"]);
}

#[tokio::test]
async fn an_execution_that_was_only_slow_finds_the_void_and_adopts_it() {
    let mut scene = three_objects().await;
    let aws = scene.aws.clone();
    aws.faults().on("PutObject").key("/outcome").inject(Fault::Pause);
    let mut zombie = Box::pin(scene.begin_compactor(merge_event("work")));
    assert!(aws.run_until_paused(&mut zombie).await.is_none());
    assert_eq!(scene.temps(LAKE).len(), 1, "it has staged its file");
    scene.give_up(&Message::merge(ID, 1));
    scene.run(120).await;
    assert!(outcome(&scene, 1).await.void);
    aws.resume();
    assert_eq!(zombie.await.expect("it answers"), json!({ "batchItemFailures": [] }));
    scene.tick_for(5).await;
    assert_eq!(scene.temps(LAKE), NOTHING, "the loser removes what it staged");
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 3, 4, 5]);
    assert_eq!(scene.record_names(ID, 1), ["intent", "outcome"], "nothing of a void intent goes on");
}

#[tokio::test]
async fn a_void_that_comes_too_late_adopts_what_an_execution_staged() {
    for objects in [1, 3] {
        let mut scene = if objects == 1 { one_object().await } else { three_objects().await };
        let aws = scene.aws.clone();
        aws.faults().on("PutObject").key("/outcome").inject(Fault::Pause);
        let mut giving_up = Box::pin(scene.begin_compactor(merge_event("work-failures")));
        assert!(aws.run_until_paused(&mut giving_up).await.is_none());
        scene.block("commit");
        scene.ask(&Message::merge(ID, 1));
        scene.run(1).await;
        assert!(!outcome(&scene, 1).await.files.is_empty());
        scene.unblock();
        aws.resume();
        assert_eq!(giving_up.await.expect("it answers"), json!({ "batchItemFailures": [] }));
        scene.run(60).await;
        let ids: Vec<i64> = (0..2 * objects).collect();
        assert_eq!(scene.delivered_ids(LAKE), ids, "it also sends the commit");
        assert_eq!(scene.total(&metrics::INTENTS_VOIDED, Some(ID)), 0);
        assert_eq!(scene.total(&metrics::OBJECTS_QUARANTINED, Some(ID)), 0);
    }
}

#[tokio::test]
async fn whatever_fails_while_an_intent_is_given_up_it_is_decided_once() {
    for objects in [1, 3] {
        for fault in
            [Fault::CrashBefore, Fault::CrashAfter, Fault::Panic, Fault::LostResponse, Fault::Throttle]
        {
            let mut calls = 0;
            loop {
                let mut scene = if objects == 1 { one_object().await } else { three_objects().await };
                scene.give_up(&Message::merge(ID, 1));
                scene.aws.faults().on_any().after(calls).inject(fault);
                scene.pipe.round().await;
                let reached = scene.aws.faults().fired() > 0;
                scene.unblock();
                scene.run(4 * 3600).await;
                let context = format!("{objects} objects, {fault:?} at call {calls}");
                assert_eq!(outcome(&scene, 1).await.void, objects > 1, "{context}");
                let delivered: Vec<i64> = if objects == 1 { Vec::new() } else { (0..6).collect() };
                assert_eq!(scene.delivered_ids(LAKE), delivered, "{context}");
                assert_eq!(scene.staged(), NOTHING, "{context}");
                assert_eq!(scene.work_dead_letters(), NOTHING, "{context}");
                if !reached {
                    break;
                }
                calls += 1;
            }
            assert!(calls > 5, "{calls} calls");
        }
    }
}

#[tokio::test]
async fn what_is_over_is_not_given_up() {
    // Expired: its inputs stay subtracted until an operator says otherwise.
    let mut scene = three_objects().await;
    let now = scene.aws.clock().now();
    let expired = Expired {
        version: FORMAT,
        at: now,
        resource: "role".to_owned(),
        first_failure: now,
        detail: "refused".to_owned(),
        published: Vec::new(),
        unpublished: Vec::new(),
    };
    let key = keys::record(ID, 1, RecordName::Expired(1));
    scene.ledger().put_once(&key, &expired).await.expect("it is put");
    scene.give_up(&Message::merge(ID, 1));
    scene.pipe.round().await;
    assert_eq!(scene.record_names(ID, 1), ["expired", "intent"]);
    assert_eq!(scene.work_failures(), 0);

    // Delivered, and retired later.
    let mut scene = three_objects().await;
    scene.ask(&Message::merge(ID, 1));
    scene.run(60).await;
    scene.give_up(&Message::merge(ID, 1));
    scene.aws.clock().advance(SignedDuration::from_hours(15 * 24));
    scene.tick_for(5).await;
    scene.give_up(&Message::merge(ID, 1));
    scene.run(60).await;
    assert!(!outcome(&scene, 1).await.void);
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 3, 4, 5]);
    assert_eq!(scene.total(&metrics::INTENTS_VOIDED, Some(ID)), 0);
    assert_eq!((scene.work_failures(), scene.work_dead_letters()), (0, NOTHING.to_vec()));
}

#[tokio::test]
async fn whatever_else_lies_among_the_failures_ends_in_the_dead_letter_queue() {
    let mut scene = three_objects().await;
    let schedule = include_str!("../fixtures/scheduled-event.json");
    let bodies =
        ["{not json", "{}", schedule, &Message::commit(ID, 1).to_body(), r#"{"kind":"merge","v":9}"#];
    for body in bodies {
        scene.give_up_body(body);
    }
    let swept = scene.aws.calls_of("ListObjectsV2").len();
    scene.run(12 * 3600).await;
    let mut dead = scene.work_dead_letters();
    dead.sort_unstable();
    let mut sent = bodies.to_vec();
    sent.sort_unstable();
    assert_eq!(dead, sent);
    assert_eq!(scene.aws.calls_of("ListObjectsV2").len(), swept, "none of them is taken for an event");
    assert_eq!(scene.record_names(ID, 1), ["intent"]);
}

#[tokio::test]
async fn an_execution_that_always_runs_out_of_time_is_void_after_three_receives() {
    let bodies: Vec<(String, String)> =
        (0..12_u64).map(|index| (index.to_string(), noise(index * 10, 10, 1024))).collect();
    let objects: Vec<(&str, String)> =
        bodies.iter().map(|(name, body)| (name.as_str(), body.clone())).collect();
    let mut scene = planned(&objects).await;
    scene.ask(&Message::merge(ID, 1));
    for _ in 0..3 {
        // Each call takes its minute and a half: the time is up when some inputs are read.
        scene.aws.set_latency(SignedDuration::from_secs(90));
        scene.pipe.round().await;
        scene.aws.set_latency(SignedDuration::ZERO);
        assert_eq!(scene.record_names(ID, 1), ["intent"]);
        scene.aws.clock().advance(SignedDuration::from_mins(15));
    }
    scene.run(300).await;
    assert!(outcome(&scene, 1).await.void);
    let ids: Vec<i64> = (0..120).collect();
    assert_eq!(scene.delivered_ids(LAKE), ids);
    assert_eq!(scene.temps(LAKE), NOTHING);
}
