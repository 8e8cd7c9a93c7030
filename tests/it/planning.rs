//! Planning at length: many objects, many events, a log that is long because one intent waits, several planners.

use std::collections::BTreeSet;

use landfall_core::audit::{read, verify};
use landfall_core::keys::{self, RecordName};
use landfall_core::message::Message;
use landfall_core::record::{Expired, FORMAT, FlushReason, Intent, Outcome, PlanReason};
use landfall_lambda::metrics;
use testkit::fake::{Call, Fault};

use crate::scene::{Scene, delivery, document, plan_event, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";

/// A delivery of small files.
fn small_files() -> String {
    document("acme", "").replace("[layout]\n", "[layout]\ntarget_bytes = 65536\nrow_group_bytes = 65536\n")
}

/// A record of about 320 bytes.
fn record(id: usize) -> String {
    format!("{{\"id\":{id},\"name\":\"{id:0>300}\"}}\n")
}

/// A stack that finds `count` objects, of which no event tells.
fn unannounced(text: &str, count: usize) -> Scene {
    let mut scene = Scene::new(&[]);
    for id in 0..count {
        scene.stage(&format!("acme/rows/{id:05}"), record(id));
    }
    scene.configure(text);
    scene.aws.admit_client(&delivery(text).access());
    scene
}

fn of<'a>(calls: &'a [Call], operation: &'a str, bucket: &'a str) -> impl Iterator<Item = &'a Call> {
    calls.iter().filter(move |call| call.operation == operation && call.resource == bucket)
}

#[tokio::test]
async fn twenty_thousand_objects_are_planned_in_one_pass_and_cost_few_requests_each() {
    const COUNT: usize = 20_000;
    let mut scene = unannounced(&small_files(), COUNT);
    scene.tick();
    scene.run(40).await;
    let calls = scene.aws.calls();
    let merged = of(&calls, "GetObject", "staging").next().expect("merges begin").number;
    let planning = &calls[..merged];
    assert_eq!(of(planning, "ListObjectsV2", "staging").count(), 20, "each page of the listing once");
    let intents = planning.iter().filter(|call| {
        call.operation == "PutObject" && call.key.as_deref().is_some_and(|key| key.ends_with("/intent"))
    });
    let intents = intents.count();
    // Before anything is learned an intent lists eight times what it is guessed to need.
    assert!(intents >= 2, "{intents} intents");
    let most = 20 + 4 * intents + 40;
    assert!(planning.len() <= most, "{} calls to plan {COUNT} objects", planning.len());

    scene.tick_for(20).await;
    assert_eq!(scene.staged(), Vec::<String>::new());
    let rows: u64 = scene.outcomes(ID).await.iter().map(Outcome::rows).sum();
    assert_eq!(rows, COUNT as u64);
    let calls = scene.aws.call_count();
    assert!(calls < 3 * COUNT, "{calls} calls for {COUNT} objects: each is read once and deleted once");
    assert_eq!(verify(&read(&scene.ledger(), ID).await.expect("the log")), []);
}

#[tokio::test]
async fn a_flood_of_events_costs_few_listings() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    for id in 0..2_000 {
        scene.stage(&format!("acme/rows/{id:05}"), record(id));
    }
    scene.run(90).await;
    let calls = scene.aws.calls();
    let listings = of(&calls, "ListObjectsV2", "staging").count();
    assert!((1..=6).contains(&listings), "{listings} pages for two thousand events");
    scene.tick_for(10).await;
    assert_eq!(scene.staged(), Vec::<String>::new());
}

/// A log whose first intent waits for its commit, and ten behind it that are over.
async fn behind_a_waiting_intent() -> Scene {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.aws.faults().on("SendMessage").resource("commit").key("\"n\":1}").forever().inject(Fault::Throttle);
    for part in 0..11 {
        scene.stage(&format!("acme/rows/{part:02}"), rows(part, 1));
        scene.deliver(&[ID]).await;
    }
    // What closed last is noted by the plan after it.
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), (1..11).collect::<Vec<i64>>());
    assert_eq!(scene.ledger().floor(ID).await.expect("the floor").0, 0);
    scene
}

#[tokio::test]
async fn what_is_closed_behind_a_waiting_intent_is_not_read_again() {
    let mut scene = behind_a_waiting_intent().await;
    let before = scene.aws.call_count();
    // Known although the floor never moved.
    scene.stage("acme/rows/04", rows(4, 1));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.total(&metrics::REPEATED_UPLOADS, Some(ID)), 1);
    assert_eq!(scene.staged(), ["acme/rows/00"]);
    let calls = scene.aws.calls();
    let read: BTreeSet<u64> = of(&calls[before..], "GetObject", "state")
        .filter_map(|call| keys::parse_record(ID, call.key.as_deref()?))
        .map(|(n, _)| n)
        .collect();
    // The last six teach sizes.
    assert_eq!(read, BTreeSet::from([1, 6, 7, 8, 9, 10, 11]));

    scene.unblock();
    scene.ask(&Message::commit(ID, 1));
    scene.deliver(&[ID]).await;
    scene.deliver(&[ID]).await;
    assert_eq!(scene.ledger().floor(ID).await.expect("the floor").0, 11);
    assert_eq!(scene.delivered_ids(LAKE), (0..11).collect::<Vec<i64>>());
    assert_eq!(verify(&read_log(&scene).await), []);
}

async fn read_log(scene: &Scene) -> landfall_core::audit::DeliveryLog {
    read(&scene.ledger(), ID).await.expect("the log")
}

/// Delivers row 0, and lets the plan that notes its fingerprint and moves the floor meet a fault at its call number `k`. Whether
/// there was such a call.
async fn is_known_after(k: usize, fault: Fault) -> bool {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.stage("acme/rows/0", rows(0, 1));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.aws.keys("state", &keys::identities_prefix(ID)), Vec::<String>::new());
    scene.aws.faults().at_call(scene.aws.call_count() + k, fault);
    scene.deliver(&[ID]).await;
    let fired = scene.aws.faults().fired() > 0;
    scene.unblock();

    scene.stage("acme/rows/0", rows(0, 1));
    for _ in 0..10 {
        scene.tick();
        scene.run(1_000).await;
    }
    assert_eq!(scene.delivered_ids(LAKE), [0], "{fault:?} at call {k}");
    assert_eq!(scene.staged(), Vec::<String>::new(), "{fault:?} at call {k}");
    assert_eq!(scene.ledger().floor(ID).await.expect("the floor").0, 1, "{fault:?} at call {k}");
    assert_eq!(scene.aws.keys("state", &keys::identities_prefix(ID)).len(), 1, "{fault:?} at call {k}");
    fired
}

#[tokio::test]
async fn a_plan_that_dies_at_any_call_forgets_nothing_that_was_delivered() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::LostResponse] {
        let mut calls = 0;
        while is_known_after(calls, fault).await {
            calls += 1;
        }
        assert!(calls > 10, "{calls} calls");
    }
}

#[tokio::test]
async fn an_expired_intent_keeps_its_inputs_and_stays_above_the_floor() {
    let mut scene = behind_a_waiting_intent().await;
    let expired = Expired {
        version: FORMAT,
        at: "2026-05-22T10:00:00Z".parse().expect("a time"),
        resource: "bucket".to_owned(),
        first_failure: "2026-05-19T10:00:00Z".parse().expect("a time"),
        detail: "no such bucket".to_owned(),
        published: Vec::new(),
        unpublished: Vec::new(),
    };
    let key = keys::record(ID, 1, RecordName::Expired(1));
    scene.ledger().put_once(&key, &expired).await.expect("put");
    scene.deliver(&[ID]).await;
    assert_eq!(scene.ledger().floor(ID).await.expect("the floor").0, 0);
    assert_eq!(scene.staged(), ["acme/rows/00"], "neither planned again nor deleted");
    assert_eq!(scene.aws.keys("state", &keys::intent_prefix(ID, 12)), Vec::<String>::new());
}

#[tokio::test]
async fn planners_that_race_over_many_pages_put_every_object_into_one_intent() {
    for seed in 0..10 {
        let text = small_files();
        let mut scene = unannounced(&text, 0);
        scene.aws.set_page_size(7);
        for id in 0..120 {
            scene.stage(&format!("acme/rows/{id:05}"), record(id).repeat(60));
        }
        scene.aws.interleave(seed);
        let event = plan_event(ID, PlanReason::Flush);
        let plans = (0..4).map(|_| scene.begin_compactor(event.clone()));
        for answer in futures::future::join_all(plans).await {
            answer.expect("an answer");
        }
        let mut inputs = Vec::new();
        for key in scene.aws.keys("state", &keys::log_prefix(ID)) {
            if let Some((n, RecordName::Intent)) = keys::parse_record(ID, &key) {
                let Intent { inputs: of_one, reason, .. } =
                    scene.ledger().intent(ID, n).await.expect("an intent");
                assert_eq!(reason, FlushReason::Request);
                assert!(of_one.is_sorted_by(|left, right| left.key < right.key));
                inputs.extend(of_one.into_iter().map(|input| input.key));
            }
        }
        inputs.sort();
        assert_eq!(inputs, scene.staged(), "seed {seed}");
        scene.tick_for(40).await;
        assert_eq!(scene.staged(), Vec::<String>::new(), "seed {seed}");
        let rows: u64 = scene.outcomes(ID).await.iter().map(Outcome::rows).sum();
        assert_eq!(rows, 120 * 60, "seed {seed}");
        assert_eq!(verify(&read_log(&scene).await), [], "seed {seed}");
    }
}

#[tokio::test]
async fn a_partition_that_is_over_is_delivered_long_before_its_latency() {
    let level =
        "[[layout.partition]]\nname = \"hour\"\nsource = \"arrival\"\ntransform = \"hour\"\n[catalog.glue]";
    let text = document("acme", "")
        .replace("max_latency_seconds = 60", "max_latency_seconds = 86400")
        .replace("[catalog.glue]", level);
    let mut scene = Scene::new(&[&text]);
    scene.stage("acme/rows/1", rows(0, 2));
    // Ten o'clock; the hour is over at eleven, and closes five minutes later.
    scene.tick_for(64).await;
    assert_eq!(scene.delivered_ids(LAKE), Vec::<i64>::new());
    scene.tick_for(5).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1]);
    let intent = scene.ledger().intent(ID, 1).await.expect("the intent");
    assert_eq!(intent.reason, FlushReason::Closed);
}
