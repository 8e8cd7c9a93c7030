//! One probe at a time: a held destination is not hammered, however much waits for it.

use jiff::{SignedDuration, Timestamp};
use landfall_core::keys;
use landfall_core::operate::{self, Resolution};
use landfall_core::port::Clock as _;
use landfall_core::record::{self, Hold};
use testkit::fake::Fault;

use super::{ACME_ROLE, breakage};
use crate::scene::{Scene, delivery, document, rows};

const ID: &str = "acme-rows";

/// A delivery whose objects lie in the folder of their partition: each folder becomes an intent of its own.
fn by_folder() -> String {
    document("acme", "").replace(
        "[catalog.glue]",
        "[[layout.partition]]\nname = \"part\"\nsource = \"key\"\nfield = \"part\"\n[catalog.glue]",
    )
}

/// Calls that reached a client's account since `from`, granted or refused.
fn calls_since(scene: &Scene, from: Timestamp) -> usize {
    scene.aws.calls().iter().filter(|call| call.at >= from && call.operation == "AssumeRole").count()
}

#[tokio::test]
async fn a_hundred_open_intents_send_one_probe_at_a_time() {
    const INTENTS: u64 = 100;
    let mut scene = Scene::racing(&[&by_folder()], 10);
    scene.aws.interleave(7);
    for part in 0..INTENTS {
        scene.stage(&format!("acme/rows/part={part:03}/a"), rows(part, 1));
    }
    scene.aws.remove_role(ACME_ROLE);
    let broken = scene.aws.clock().now();
    scene.deliver(&[ID]).await;
    assert_eq!(scene.holds(ID), ["role"]);
    assert!(scene.record_names(ID, INTENTS).contains(&"intent".to_owned()), "all were planned");
    let at_first = calls_since(&scene, broken);
    assert!(at_first <= 10, "those that ran when it broke and no more: {at_first} calls");

    for hour in 0..24 {
        let from = scene.aws.clock().now();
        scene.tick_for(60).await;
        let calls = calls_since(&scene, from);
        assert!((1..=12).contains(&calls), "{calls} calls in hour {hour}");
    }
    let day = calls_since(&scene, broken);
    assert!(day <= 24 * 6, "{day} calls in a day");
    let hold = scene.hold(ID, "role").await;
    assert!(usize::try_from(hold.attempts).is_ok_and(|attempts| attempts <= day), "{hold:?}, {day} calls");
    assert!(hold.first_failure.duration_since(broken) < SignedDuration::from_mins(2), "{hold:?}");
    assert_eq!(scene.handed_out_again(), Vec::<String>::new());

    scene.aws.admit_client(&delivery(&by_folder()).access());
    scene.tick_for(60).await;
    let all: Vec<i64> = (0..100).collect();
    assert_eq!(scene.delivered_ids("acme-lake"), all, "everything that waited, by one resumption");
    assert_eq!(scene.holds(ID), Vec::<String>::new());
    assert_eq!(scene.dead_letters(), Vec::<String>::new());
}

#[tokio::test]
async fn a_held_delivery_plans_its_backlog_at_once_when_it_works_again() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.aws.remove_role(ACME_ROLE);
    for part in 0..30_u64 {
        scene.stage(&format!("acme/rows/{part:02}"), rows(part, 1));
        scene.tick_for(5).await;
    }
    assert_eq!(
        scene.aws.keys("state", "log/acme-rows/").iter().filter(|key| key.ends_with("/intent")).count(),
        1
    );
    scene.aws.admit_client(&delivery(&document("acme", "")).access());
    scene.tick_for(60).await;
    assert_eq!(scene.delivered_ids("acme-lake"), (0..30).collect::<Vec<i64>>());
    assert_eq!(scene.delivered("acme-lake").len(), 2, "the probe, and the backlog in one file");
}

#[tokio::test]
async fn a_hold_gates_the_work_it_concerns_and_no_other() {
    let of_destination = ["role", "bucket", "key", "catalog"].map(|resource| (resource, 0, 0));
    let others = [("queue", 1, 0), ("intent-2", 1, 1), ("configuration", 1, 1)];
    for (resource, delivered, told) in of_destination.into_iter().chain(others) {
        let mut scene = Scene::new(&[&document("acme", "")]);
        scene.note(ID, 9, &breakage(resource)).await;
        let hold = scene.hold(ID, resource).await;
        assert_eq!((hold.attempts, hold.n), (1, 9), "{hold:?}");
        assert!(hold.not_before > hold.first_failure, "{hold:?}");
        // Its wait as long as waits become, so that nobody tries within this test.
        let long = Hold { not_before: hold.not_before + SignedDuration::from_mins(30), ..hold };
        let key = keys::hold(ID, resource);
        let body = record::encode(&key, &long).expect("a record");
        scene.aws.put_object("state", &key, body);
        scene.stage("acme/rows/a", rows(0, 1));
        scene.deliver(&[ID]).await;
        assert_eq!(scene.delivered("acme-lake").len(), delivered, "{resource}");
        assert_eq!(scene.notices("acme").len(), told, "{resource}");
        assert_eq!(scene.handed_out_again(), Vec::<String>::new(), "{resource}");
    }
}

#[tokio::test]
async fn a_hold_that_nothing_waits_for_ends_by_itself() {
    for resource in ["role", "bucket", "queue", "intent-7", "configuration"] {
        let mut scene = Scene::new(&[&document("acme", "")]);
        scene.stage("acme/rows/a", rows(0, 1));
        scene.deliver(&[ID]).await;
        // As a worker leaves it behind that was slower than the one that closed the intent.
        scene.note(ID, 1, &breakage(resource)).await;
        scene.tick_for(20).await;
        assert_eq!(scene.holds(ID), Vec::<String>::new(), "{resource}");
    }
}

#[tokio::test]
async fn what_only_an_operator_can_decide_is_looked_at_once_an_hour() {
    let text = document("acme", "")
        .replace("prefix = \"raw/rows/\"", "prefix = \"raw/rows/\"\nconsumer_deletes = true");
    let mut scene = Scene::new(&[&text]);
    scene.aws.faults().on("CopyObject").inject(Fault::CrashBefore);
    scene.stage("acme/rows/a", rows(0, 1));
    scene.deliver(&[ID]).await;
    scene.tick_for(60).await;
    assert_eq!(scene.hold(ID, "intent-1").await.code.as_deref(), Some("possible_duplicate"));
    let held = scene.aws.clock().now();
    scene.tick_for_hours(24).await;
    let calls = calls_since(&scene, held);
    assert!((20..=25).contains(&calls), "{calls} looks in a day");
    // The operator does not wait for the next look.
    let (ledger, now) = (scene.ledger(), scene.aws.clock().now());
    operate::resolve(&ledger, ID, 1, 0, Resolution::NotDelivered, now).await.expect("it applies");
    scene.tick_for(3).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0]);
    assert_eq!(scene.holds(ID), Vec::<String>::new());
}
