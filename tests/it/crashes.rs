//! One fault at each call of one small delivery: whatever fails where, every row arrives once and its client is told.

use std::collections::BTreeSet;

use testkit::fake::Fault;

use crate::scene::{Scene, capabilities, document, rows};

const ID: &str = "acme-rows";
/// The endpoint capabilities of AWS: all of them.
const AWS: u8 = 15;
/// Longer than a message of a function that died stays out of sight, twice.
const MINUTES: usize = 180;

fn is_settled(scene: &Scene) -> bool {
    let records = scene.record_names(ID, 1);
    scene.staged().is_empty() && ["closed", "notified"].iter().all(|name| records.iter().any(|r| r == name))
}

/// A delivery to an endpoint that can do all that S3 can, or nothing of it.
fn text(bits: u8) -> String {
    document("acme", &capabilities(bits).1)
}

/// Delivers two rows with a fault at call number `number`; how many calls there were, without the fault.
async fn delivers(bits: u8, fault: Option<(usize, Fault)>) -> usize {
    let mut scene = Scene::new(&[&text(bits)]);
    scene.aws.set_capabilities("acme-lake", capabilities(bits).0);
    if let Some((number, fault)) = fault {
        scene.aws.faults().at_call(number, fault);
    }
    scene.stage("acme/rows/1", rows(0, 2));
    let mut settled = 0;
    for minute in 0..MINUTES {
        // The schedule's event every minute at first and every tenth then: what waits, waits for hours.
        if minute < 5 || minute % 10 == 0 {
            scene.tick();
        }
        scene.run(60).await;
        settled += usize::from(is_settled(&scene));
        // Once everything is done, another half hour may change nothing.
        if settled > 30 {
            break;
        }
    }
    let context =
        || format!("{fault:?}: {:?}", fault.and_then(|(number, _)| scene.aws.calls().get(number).cloned()));
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1], "{}", context());
    assert!(is_settled(&scene), "{}: {:?}", context(), scene.record_names(ID, 1));
    assert_eq!(scene.holds(ID), Vec::<String>::new(), "{}", context());
    let notices = scene.notices("acme");
    let ids: BTreeSet<String> = notices.iter().map(|notice| notice["delivery_id"].to_string()).collect();
    assert_eq!(ids, BTreeSet::from(["\"acme-rows/1\"".to_owned()]), "{}", context());
    if fault.is_some() {
        assert_eq!(scene.aws.faults().fired(), 1, "{}", context());
    }
    let closed = scene.aws.calls().iter().position(|call| {
        call.operation == "PutObject" && call.key.as_deref().is_some_and(|key| key.ends_with("/notified"))
    });
    closed.map_or(0, |number| number + 1)
}

async fn at_every_call(bits: u8, fault: Fault) {
    let calls = delivers(bits, None).await;
    assert!(calls > 40, "{calls}");
    for number in 0..calls {
        delivers(bits, Some((number, fault))).await;
    }
}

#[tokio::test]
async fn a_function_that_dies_before_any_call() {
    at_every_call(AWS, Fault::CrashBefore).await;
}

#[tokio::test]
async fn a_function_that_dies_after_any_call() {
    at_every_call(AWS, Fault::CrashAfter).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_at_any_call() {
    at_every_call(AWS, Fault::LostResponse).await;
}

#[tokio::test]
async fn a_service_that_asks_for_less_at_any_call() {
    at_every_call(AWS, Fault::Throttle).await;
}

#[tokio::test]
async fn a_panic_at_any_call() {
    at_every_call(AWS, Fault::Panic).await;
}

#[tokio::test]
async fn a_function_that_dies_after_any_call_to_a_lesser_endpoint() {
    at_every_call(0, Fault::CrashAfter).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_at_any_call_to_a_lesser_endpoint() {
    at_every_call(0, Fault::LostResponse).await;
}
