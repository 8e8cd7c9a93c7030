//! Dead letters that an operator redrives come with new ids, new ages and no receives: nothing is measured by those.

use jiff::SignedDuration;
use landfall_core::message::Message;
use landfall_core::port::Clock as _;
use testkit::fake::Fault;

use crate::scene::{Scene, delivery, document, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const ROLE: &str = "arn:aws:iam::222222222222:role/landfall-delivery";

/// Moves all dead letters of work, commit and notify back to their queues; how many there were.
fn redrive(scene: &Scene) -> usize {
    let dead = scene.dead_letters();
    for body in &dead {
        let message = Message::parse(body).expect("our own message");
        scene.ask(&message);
    }
    dead.len()
}

/// A delivery of which one intent is published and its commit dead, and one waits for the client's role: in the hour before it
/// has been held for 72 hours.
async fn long_held() -> (Scene, jiff::Timestamp) {
    let mut scene = Scene::new(&[&document("acme", "")]);
    // Whoever comes to the receipt dies, until its message is a dead letter.
    scene.aws.faults().on("PutObject").key("/receipt").forever().inject(Fault::CrashBefore);
    scene.stage("acme/rows/a", rows(0, 2));
    scene.deliver(&[ID]).await;
    // Without the schedule, which would send one more message every half hour.
    scene.run(20 * 3600).await;
    assert_eq!(scene.dead_letters().len(), 1);
    // Planned while the role is there; its merge is the first to find it gone.
    scene.block("work");
    scene.stage("acme/rows/b", rows(2, 2));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.record_names(ID, 2), ["intent"]);
    scene.aws.remove_role(ROLE);
    scene.unblock();
    scene.ask(&Message::merge(ID, 2));
    scene.run(1).await;
    let first_failure = scene.hold(ID, "role").await.first_failure;
    scene.tick_until(first_failure.checked_add(SignedDuration::from_hours(71)).expect("a time")).await;
    (scene, first_failure)
}

#[tokio::test]
async fn a_redrive_leaves_the_72_hours_of_a_hold_as_they_are_and_doubles_nothing() {
    for mended in [true, false] {
        let (mut scene, first_failure) = long_held().await;
        // More than once, as operators do, and the work that is held besides.
        for _ in 0..3 {
            let dead = scene.dead_letters().len();
            assert!(dead > 0 && redrive(&scene) == dead);
            scene.ask(&Message::merge(ID, 2));
            scene.ask(&Message::commit(ID, 1));
            scene.run(30).await;
        }
        let hold = scene.hold(ID, "role").await;
        assert_eq!(hold.first_failure, first_failure, "{hold:?}");
        if mended {
            scene.aws.admit_client(&delivery(&document("acme", "")).access());
        }
        let end = first_failure.checked_add(SignedDuration::from_hours(72)).expect("a time");
        scene.tick_until(end.checked_add(SignedDuration::from_mins(2)).expect("a time")).await;
        assert!(scene.aws.clock().now() > end);
        let expired = scene.record_names(ID, 2).contains(&"expired".to_owned());
        assert_eq!(expired, !mended, "neither sooner nor later than without");
        scene.aws.admit_client(&delivery(&document("acme", "")).access());
        redrive(&scene);
        // What comes next finds the repair: an intent that expired finds none.
        scene.stage("acme/rows/c", rows(4, 1));
        scene.tick_for(60).await;
        let expected: &[i64] = if mended { &[0, 1, 2, 3, 4] } else { &[0, 1, 4] };
        assert_eq!(scene.delivered_ids(LAKE), expected, "mended: {mended}");
        assert_eq!(scene.copies().len(), scene.delivered(LAKE).len(), "nothing is published twice");
        assert_eq!(scene.receipts(ID).await.len(), scene.delivered(LAKE).len());
        assert_eq!(scene.notices("acme").len(), scene.delivered(LAKE).len());
        assert_eq!(scene.holds(ID), Vec::<String>::new());
    }
}
