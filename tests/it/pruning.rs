//! Records of retired intents are deleted after a month, and their numbers cannot be made again.

use jiff::SignedDuration;
use landfall_core::audit::{read, verify};
use landfall_core::keys::{self, RecordName};
use landfall_core::message::Message;
use landfall_core::record::{Due, PlanReason};
use testkit::fake::Fault;

use crate::scene::{Scene, document, plan_event, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";

/// Delivers one row each as intents `from` to `to`, and lets the floor follow.
async fn deliver(scene: &mut Scene, from: u64, to: u64) {
    for row in from..=to {
        scene.stage(&format!("acme/rows/{row}"), rows(row, 1));
        scene.deliver(&[ID]).await;
    }
    scene.deliver(&[ID]).await;
    assert_eq!(scene.ledger().floor(ID).await.expect("the floor").0, to);
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

/// The numbers of intents of which anything is left.
fn numbers(scene: &Scene) -> Vec<u64> {
    let keys = scene.aws.keys("state", &keys::log_prefix(ID));
    let mut numbers: Vec<u64> =
        keys.iter().filter_map(|key| keys::parse_record(ID, key)).map(|(n, _)| n).collect();
    numbers.dedup();
    numbers
}

async fn assert_sound(scene: &Scene) {
    assert_eq!(verify(&read(&scene.ledger(), ID).await.expect("the log")), []);
}

#[tokio::test]
async fn records_of_retired_intents_are_deleted_after_a_month_and_the_log_goes_on() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    deliver(&mut scene, 1, 3).await;
    scene.aws.clock().advance(days(20));
    deliver(&mut scene, 4, 5).await;
    assert_eq!(numbers(&scene), [1, 2, 3, 4, 5]);

    scene.aws.clock().advance(days(10));
    scene.deliver(&[ID]).await;
    assert_eq!(numbers(&scene), [4, 5], "those of ten days stay");
    assert_sound(&scene).await;

    // Those of forty days as well; and planning goes on, with nothing left to learn from.
    scene.aws.clock().advance(days(30));
    deliver(&mut scene, 6, 6).await;
    assert_eq!(numbers(&scene), [6]);
    assert_sound(&scene).await;
    scene.aws.clock().advance(days(31));
    scene.deliver(&[ID]).await;
    assert_eq!(numbers(&scene), Vec::<u64>::new());
    assert_sound(&scene).await;
    deliver(&mut scene, 7, 7).await;
    assert_eq!(scene.delivered_ids(LAKE), (1..8).collect::<Vec<i64>>());
    assert_sound(&scene).await;
}

#[tokio::test]
async fn old_records_are_looked_for_once_a_day() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    deliver(&mut scene, 1, 1).await;
    let due = |scene: &Scene| {
        let ledger = scene.ledger();
        async move { ledger.must_read::<Due>(&keys::due(ID)).await.expect("the due record").pruned_at }
    };
    let first = due(&scene).await.expect("looked for");
    for _ in 0..20 {
        scene.aws.clock().advance(SignedDuration::from_hours(1));
        scene.tick_for(1).await;
    }
    assert_eq!(due(&scene).await, Some(first));
    scene.aws.clock().advance(SignedDuration::from_hours(5));
    scene.tick_for(2).await;
    assert!(due(&scene).await > Some(first));
}

#[tokio::test]
async fn what_is_not_retired_is_kept_however_old_it_is() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    deliver(&mut scene, 1, 1).await;
    scene.aws.faults().on("SendMessage").resource("commit").forever().inject(Fault::Throttle);
    scene.stage("acme/rows/2", rows(2, 1));
    scene.deliver(&[ID]).await;
    scene.aws.clock().advance(days(40));
    scene.aws.faults().clear();
    scene.aws.faults().on("SendMessage").resource("work").forever().inject(Fault::Throttle);
    scene.aws.faults().on("SendMessage").resource("commit").forever().inject(Fault::Throttle);
    scene.run(31).await;
    scene.flush(ID);
    scene.run(31).await;
    assert!(numbers(&scene).contains(&2));
    scene.unblock();
    scene.ask(&Message::commit(ID, 2));
    scene.tick_for(5).await;
    assert_eq!(scene.delivered_ids(LAKE), [1, 2]);
    assert_sound(&scene).await;
}

#[tokio::test]
async fn a_number_whose_records_were_deleted_cannot_be_made_again() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    deliver(&mut scene, 1, 2).await;
    // A planner is about to put intent 3, and is not heard of for a month.
    scene.stage("acme/rows/3", rows(3, 1));
    let aws = scene.aws.clone();
    let third = keys::record(ID, 3, RecordName::Intent);
    aws.faults().on("PutObject").key(&third).inject(Fault::Pause);
    let mut stale = scene.begin_compactor(plan_event(ID, PlanReason::Flush));
    assert!(aws.run_until_paused(&mut stale).await.is_none());

    deliver(&mut scene, 3, 3).await;
    scene.aws.clock().advance(days(31));
    deliver(&mut scene, 4, 5).await;
    assert_eq!(numbers(&scene), [4, 5]);
    let outcomes = scene.aws.calls_of("PutObject").len();

    aws.resume();
    stale.await.expect("an answer");
    scene.deliver(&[ID]).await;
    scene.tick_for(30).await;
    assert_eq!(scene.record_names(ID, 3), ["intent"], "it put the number again, and did nothing under it");
    assert_eq!(scene.delivered_ids(LAKE), [1, 2, 3, 4, 5]);
    let executed = scene.aws.calls_of("PutObject").split_off(outcomes);
    let executed =
        executed.iter().filter_map(|call| call.key.as_deref()).filter(|key| key.ends_with("/outcome"));
    assert_eq!(executed.count(), 0);
    assert_sound(&scene).await;

    scene.aws.clock().advance(days(31));
    scene.deliver(&[ID]).await;
    assert_eq!(numbers(&scene), Vec::<u64>::new(), "what it left behind goes with the rest");
}
