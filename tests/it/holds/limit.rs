//! 72 hours: what is mended before is delivered, what is not expires once, and what comes later flows by itself.

use jiff::{SignedDuration, Timestamp};
use landfall_core::error::PortErrorKind;
use landfall_core::keys::RecordName;
use landfall_core::port::Clock as _;
use landfall_core::record::{Expired, Notified};
use landfall_lambda::metrics;
use testkit::fake::Fault;

use super::{ACME_ROLE, breakage};
use crate::scene::{Scene, delivery, document, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const QUEUE: &str = "arn:aws:sqs:eu-central-1:222222222222:acme-etl";

fn mend(scene: &Scene) {
    scene.aws.admit_client(&delivery(&document("acme", "")).access());
}

fn minutes(from: Timestamp, minutes: i64) -> Timestamp {
    from.checked_add(SignedDuration::from_mins(minutes)).expect("a time")
}

/// A delivery whose role is gone when its first object is delivered; when it failed first.
async fn broken() -> (Scene, Timestamp) {
    broken_after(0).await
}

/// The same, so many seconds past the schedule's minute: where in a minute a limit falls must not matter.
async fn broken_after(seconds: i64) -> (Scene, Timestamp) {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.run(seconds).await;
    scene.aws.remove_role(ACME_ROLE);
    scene.stage("acme/rows/a", rows(0, 2));
    scene.deliver(&[ID]).await;
    let first_failure = scene.hold(ID, "role").await.first_failure;
    (scene, first_failure)
}

fn expired(scene: &Scene) -> usize {
    scene.aws.keys("state", "log/").iter().filter(|key| key.contains("/expired")).count()
}

/// Lets the schedule's events come at full minutes, however the test has moved the clock.
async fn tick_until(scene: &mut Scene, at: Timestamp) {
    let into = 60 - scene.aws.clock().now().as_second().rem_euclid(60);
    scene.run(into).await;
    let whole = at.as_second().div_euclid(60) * 60;
    scene.tick_until(Timestamp::from_second(whole).expect("a time")).await;
    scene.tick();
    scene.run(at.duration_since(scene.aws.clock().now()).as_secs()).await;
}

#[tokio::test]
async fn a_role_that_is_mended_within_72_hours_delivers_everything_once_within_the_hour() {
    for (after, seconds) in [(1, 0), (60, 0), (71 * 60 + 59, 0), (71 * 60 + 59, 17), (71 * 60 + 59, 44)] {
        let (mut scene, first_failure) = broken_after(seconds).await;
        scene.stage("acme/rows/b", rows(2, 2));
        tick_until(&mut scene, minutes(first_failure, after)).await;
        assert_eq!(scene.delivered(LAKE), Vec::<String>::new());
        let hold = scene.hold(ID, "role").await;
        assert_eq!(hold.first_failure, first_failure, "one outage: {hold:?}");

        mend(&scene);
        let mended = scene.aws.clock().now();
        tick_until(&mut scene, minutes(mended, 60)).await;
        assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 3], "after {after} minutes, {seconds} s");
        assert_eq!(expired(&scene), 0, "after {after} minutes, {seconds} s");
        assert_eq!(scene.holds(ID), Vec::<String>::new());
        assert_eq!(scene.staged(), Vec::<String>::new());
        assert_eq!(scene.notices("acme").len(), scene.delivered(LAKE).len());
        assert_eq!(scene.handed_out_again(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_role_that_is_mended_after_72_hours_finds_its_intent_expired_and_the_rest_delivered() {
    for seconds in [0, 17, 44] {
        let (mut scene, first_failure) = broken_after(seconds).await;
        tick_until(&mut scene, minutes(first_failure, 71 * 60)).await;
        scene.stage("acme/rows/b", rows(2, 2));
        tick_until(&mut scene, minutes(first_failure, 72 * 60 + 1)).await;
        mend(&scene);
        let mended = scene.aws.clock().now();
        tick_until(&mut scene, minutes(mended, 60)).await;

        assert_eq!(scene.record_names(ID, 1), ["expired", "intent"], "nothing of it is done any more");
        assert_eq!((expired(&scene), scene.total(&metrics::DELIVERIES_EXPIRED, Some(ID))), (1, 1));
        let record: Expired = scene.record(ID, 1, RecordName::Expired(1)).await;
        assert_eq!((record.resource.as_str(), record.first_failure), ("role", first_failure));
        assert_eq!(scene.delivered_ids(LAKE), [2, 3], "what was not planned when it ended");
        assert_eq!(scene.staged(), ["acme/rows/a"], "its inputs stay, and are in no other intent");
        assert_eq!(scene.holds(ID), Vec::<String>::new());

        scene.stage("acme/rows/c", rows(4, 1));
        scene.deliver(&[ID]).await;
        scene.tick_for(120).await;
        assert_eq!(scene.delivered_ids(LAKE), [2, 3, 4]);
        assert_eq!(expired(&scene), 1);
    }
}

#[tokio::test]
async fn a_client_who_comes_back_after_a_week_gets_the_backlog_by_itself() {
    let (mut scene, first_failure) = broken().await;
    for day in 0..7_u64 {
        scene.stage(&format!("acme/rows/day-{day}"), rows(10 + day, 1));
        scene.tick_for_hours(24).await;
    }
    assert_eq!(expired(&scene), 2, "the first, and the one that was the probe for the next 72 hours");
    assert!(scene.hold(ID, "role").await.first_failure > first_failure);
    mend(&scene);
    scene.tick_for(60).await;
    let expired: Expired = scene.record(ID, 2, RecordName::Expired(1)).await;
    assert!(expired.published.is_empty(), "{expired:?}");
    let taken = scene.ledger().intent(ID, 2).await.expect("the second intent").inputs.len();
    assert_eq!(scene.delivered_ids(LAKE).len(), 7 - taken);
    assert_eq!(scene.staged().len(), 1 + taken);
    assert_eq!(scene.holds(ID), Vec::<String>::new());
}

#[tokio::test]
async fn an_intent_that_expires_names_what_was_published_of_it_and_no_more_follows() {
    let text = document("acme", "").replace(
        "[catalog.glue]",
        "[[layout.partition]]\nname = \"initial\"\nsource = \"column\"\nfield = \"name\"\n[catalog.glue]",
    );
    let mut scene = Scene::new(&[&text]);
    let refusing = scene.aws.faults().on("CopyObject").key("initial=y").forever();
    refusing.inject(Fault::Fail(PortErrorKind::Denied));
    scene.stage("acme/rows/a", "{\"id\":1,\"name\":\"x\"}\n{\"id\":2,\"name\":\"y\"}\n");
    scene.deliver(&[ID]).await;
    assert_eq!(scene.holds(ID), ["bucket"]);
    scene.tick_for_hours(73).await;
    scene.unblock();
    scene.tick_for(60).await;
    let record: Expired = scene.record(ID, 1, RecordName::Expired(1)).await;
    assert_eq!(record.published, scene.delivered(LAKE));
    assert_eq!((record.published.len(), record.unpublished.len()), (1, 1));
    assert_eq!(scene.staged(), ["acme/rows/a"]);

    scene.stage("acme/rows/b", rows(5, 1));
    scene.tick_for(60).await;
    assert_eq!(scene.delivered_ids(LAKE), [1, 5]);
}

#[tokio::test]
async fn an_expired_intent_does_not_keep_its_successors_waiting() {
    let text = document("acme", "").replace("dataset = \"rows\"", "dataset = \"rows\"\norder = \"delivery\"");
    let mut scene = Scene::new(&[&text]);
    let refusing = scene.aws.faults().on("CopyObject").forever();
    refusing.inject(Fault::Fail(PortErrorKind::Invalid));
    scene.stage("acme/rows/a", rows(0, 1));
    scene.deliver(&[ID]).await;
    scene.unblock();
    // What holds the first is its own; the second waits for its turn.
    assert_eq!(scene.holds(ID), ["intent-1"]);
    let name = scene.outcomes(ID).await.remove(0).files.remove(0).key;
    scene.aws.put_object(LAKE, &name, "somebody else's");
    scene.stage("acme/rows/b", rows(1, 1));
    scene.tick_for_hours(71).await;
    assert_eq!(scene.delivered(LAKE), std::slice::from_ref(&name), "the second is not before the first");
    scene.tick_for_hours(3).await;
    assert!(scene.record_names(ID, 1).contains(&"expired".to_owned()));
    assert!(scene.record_names(ID, 2).contains(&"closed".to_owned()), "{:?}", scene.record_names(ID, 2));
    assert_eq!(scene.holds(ID), Vec::<String>::new(), "the hold of an intent ends with it");
    assert_eq!(expired(&scene), 1);
}

#[tokio::test]
async fn a_held_intent_of_an_ordered_delivery_does_not_hide_the_repair_of_its_bucket() {
    let text = document("acme", "").replace("dataset = \"rows\"", "dataset = \"rows\"\norder = \"delivery\"");
    let mut scene = Scene::new(&[&text]);
    scene.block("commit");
    for part in 0..2_u64 {
        scene.stage(&format!("acme/rows/{part}"), rows(part, 1));
        scene.deliver(&[ID]).await;
    }
    scene.unblock();
    scene.note(ID, 1, &breakage("intent-1")).await;
    scene.note(ID, 2, &breakage("bucket")).await;
    scene.tick_for(60).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1], "the first was the probe");
    assert_eq!(scene.holds(ID), Vec::<String>::new());
}

#[tokio::test]
async fn a_queue_that_is_gone_for_72_hours_is_no_longer_told_of_what_was_delivered_meanwhile() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.aws.remove_queue(QUEUE);
    scene.stage("acme/rows/a", rows(0, 1));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.holds(ID), ["queue"]);
    scene.tick_for_hours(73).await;
    let notified: Notified = scene.record(ID, 1, RecordName::Notified(1)).await;
    assert!(notified.given_up.is_some() && notified.messages.is_empty(), "{notified:?}");
    assert_eq!(scene.holds(ID), Vec::<String>::new());
    assert_eq!(scene.total(&metrics::DELIVERIES_EXPIRED, Some(ID)), 1);

    mend(&scene);
    scene.stage("acme/rows/b", rows(1, 1));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1]);
    assert_eq!(scene.notices("acme")[0]["delivery_id"], "acme-rows/2");
}

#[tokio::test]
async fn a_queue_that_is_mended_within_72_hours_is_told_of_everything() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.aws.remove_queue(QUEUE);
    for part in 0..20_u64 {
        scene.stage(&format!("acme/rows/{part}"), rows(part, 1));
        scene.deliver(&[ID]).await;
    }
    let from = scene.aws.clock().now();
    scene.tick_until(minutes(from, 70 * 60)).await;
    let opened =
        scene.aws.calls().iter().filter(|call| call.at >= from && call.operation == "AssumeRole").count();
    assert!(opened <= 70 * 6, "{opened} tries in 70 hours");
    mend(&scene);
    scene.tick_for(60).await;
    assert_eq!(scene.notices("acme").len(), 20);
    assert_eq!(scene.holds(ID), Vec::<String>::new());
    assert_eq!(scene.handed_out_again(), Vec::<String>::new());
}

#[tokio::test]
async fn a_document_that_is_broken_for_a_week_expires_nothing() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.block("commit");
    scene.stage("acme/rows/a", rows(0, 1));
    scene.deliver(&[ID]).await;
    scene.unblock();
    scene.configure(&document("acme", "").replace("type = \"int64\"", "type = \"int65\""));
    scene.tick_for_hours(7 * 24).await;
    assert_eq!(scene.delivered(LAKE), Vec::<String>::new());
    scene.configure(&document("acme", ""));
    scene.tick_for(60).await;
    assert_eq!(scene.delivered_ids(LAKE), [0]);
    assert_eq!(expired(&scene), 0);
    assert_eq!(scene.holds(ID), Vec::<String>::new());
}
