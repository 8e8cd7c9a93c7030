//! Deliveries in order: what comes later is never seen before what came earlier.

use landfall_core::message::Message;
use testkit::fake::Fault;

use crate::scene::{Scene, document, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";

/// A top-level key of a document stands before its first section.
fn ordered() -> String {
    document("acme", "").replace("dataset = \"rows\"", "dataset = \"rows\"\norder = \"delivery\"")
}

/// Where in the order of all calls a record of an intent was put.
fn put_at(scene: &Scene, n: u64, record: &str) -> Option<usize> {
    let ending = format!("/{n:020}/{record}");
    let puts = scene.aws.calls_of("PutObject");
    puts.iter()
        .find(|call| call.key.as_deref().is_some_and(|key| key.ends_with(&ending)))
        .map(|put| put.number)
}

/// Two intents merged, the first of which nobody asked to commit: the faults are the caller's to take back.
async fn first_waits_for_its_commit() -> Scene {
    let mut scene = Scene::new(&[&ordered()]);
    scene.aws.faults().on("SendMessage").resource("commit").key("\"n\":1").forever().inject(Fault::Throttle);
    scene.stage("acme/rows/1", rows(0, 3));
    scene.deliver(&[ID]).await;
    scene.stage("acme/rows/2", rows(10, 2));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.outcomes(ID).await.len(), 2, "the second is merged meanwhile");
    scene
}

#[tokio::test]
async fn an_intent_is_published_only_after_its_predecessor_is_closed() {
    let mut scene = first_waits_for_its_commit().await;
    assert_eq!(scene.record_names(ID, 2), ["intent", "outcome"], "not even attempted");
    assert_eq!(scene.delivered(LAKE), Vec::<String>::new());

    scene.unblock();
    scene.ask(&Message::commit(ID, 1));
    // The predecessor's closing wakes it: nothing waits for the schedule.
    scene.run(5).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 10, 11]);
    let (closed, published) = (put_at(&scene, 1, "closed"), put_at(&scene, 2, "published-0"));
    assert!(closed.is_some() && closed < published, "{closed:?} {published:?}");
    let told: Vec<_> = scene.notices("acme").iter().map(|notice| notice["delivery_id"].clone()).collect();
    assert_eq!(told, ["acme-rows/1", "acme-rows/2"]);
}

#[tokio::test]
async fn a_wake_that_is_lost_is_made_up_for_by_the_schedule() {
    let mut scene = first_waits_for_its_commit().await;
    scene.unblock();
    scene.aws.faults().on("SendMessage").resource("commit").key("\"n\":2").inject(Fault::CrashBefore);
    scene.ask(&Message::commit(ID, 1));
    scene.run(5).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2]);
    scene.tick_for(60).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 10, 11]);
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[tokio::test]
async fn without_order_a_later_intent_overtakes() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.aws.faults().on("SendMessage").resource("commit").key("\"n\":1").forever().inject(Fault::Throttle);
    scene.stage("acme/rows/1", rows(0, 3));
    scene.deliver(&[ID]).await;
    scene.stage("acme/rows/2", rows(10, 2));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [10, 11]);
}
