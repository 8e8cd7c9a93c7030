//! Intents that are merged and stopped at a chosen step, for the tests of what comes then.

use landfall_core::audit;
use landfall_core::keys::{self, RecordName};
use landfall_core::message::Message;
use landfall_core::port::Clock as _;
use landfall_core::record::{Expired, FORMAT, Outcome};
use testkit::fake::Fault;

use crate::scene::{Scene, document, rows};

/// The delivery of these scenes.
pub const ID: &str = "acme-rows";
/// Its client's bucket.
pub const LAKE: &str = "acme-lake";
/// Its client's role.
pub const ROLE: &str = "arn:aws:iam::222222222222:role/landfall-delivery";
/// The function timeout and a minute: from then on nobody can still be working on an attempt.
pub const JUDGED_AFTER_SECONDS: i64 = 960;

/// A delivery whose rows go to the partition of their name: three rows are three files.
pub fn by_name() -> String {
    document("acme", "").replace(
        "[catalog.glue]",
        "[[layout.partition]]\nname = \"of\"\nsource = \"column\"\nfield = \"name\"\n[catalog.glue]",
    )
}

/// The same for a client that deletes what it consumed.
pub fn consumed_by_name() -> String {
    by_name().replace("prefix = \"raw/rows/\"", "prefix = \"raw/rows/\"\nconsumer_deletes = true")
}

/// Three rows staged and merged, and no commit asked for; no fault is left.
pub async fn merged(text: &str) -> (Scene, Outcome) {
    merged_in(Scene::new(&[text])).await
}

/// The same in a scene of one's own.
pub async fn merged_in(mut scene: Scene) -> (Scene, Outcome) {
    scene.block("commit");
    scene.stage("acme/rows/1", rows(0, 2));
    scene.stage("acme/rows/2", rows(2, 1));
    scene.deliver(&[ID]).await;
    let outcome = scene.outcomes(ID).await.remove(0);
    scene.unblock();
    (scene, outcome)
}

/// Of three files the first is published; then the client refuses.
pub async fn one_published(text: &str) -> (Scene, Outcome) {
    let (mut scene, outcome) = merged(text).await;
    assert_eq!(outcome.files.len(), 3);
    scene
        .aws
        .faults()
        .on("CopyObject")
        .after(1)
        .inject(Fault::Fail(landfall_core::error::PortErrorKind::Denied));
    commit(&mut scene).await;
    assert_eq!(scene.delivered(LAKE), [outcome.files[0].key.clone()]);
    assert!(!has(&scene, "receipt"), "{:?}", scene.record_names(ID, 1));
    scene.unblock();
    wait_out_the_hold(&scene);
    (scene, outcome)
}

/// Lets the first wait of a hold pass, which is a minute at most.
pub fn wait_out_the_hold(scene: &Scene) {
    scene.aws.clock().advance(jiff::SignedDuration::from_secs(61));
}

/// Asks for the commit of the first intent and lets it come to its end.
pub async fn commit(scene: &mut Scene) {
    scene.ask(&Message::commit(ID, 1));
    scene.pipe.drive_now(20).await.expect("comes to rest");
}

/// Lets the first intent expire in this part, as the planner does.
pub async fn expire(scene: &Scene, part: u32) {
    let now = scene.aws.clock().now();
    let expired = Expired {
        version: FORMAT,
        at: now,
        resource: "role".to_owned(),
        first_failure: now,
        detail: "not let in".to_owned(),
        published: Vec::new(),
        unpublished: Vec::new(),
    };
    let key = keys::record(ID, 1, RecordName::Expired(part));
    scene.ledger().put_once(&key, &expired).await.expect("the log takes it");
}

/// Lets all staged files that stand vanish.
pub fn lose_temps(scene: &Scene) -> usize {
    let temps = scene.aws.keys(LAKE, "_tmp/");
    for key in &temps {
        scene.aws.delete_object(LAKE, key);
    }
    temps.len()
}

/// Whether the first intent has this record.
pub fn has(scene: &Scene, name: &str) -> bool {
    scene.record_names(ID, 1).iter().any(|record| record == name)
}

/// The three rows are delivered once, everybody is told, nothing is left, and the log can be true.
#[track_caller]
pub fn assert_delivered(scene: &Scene) {
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2], "{:?}", scene.record_names(ID, 1));
    assert_over(scene);
}

/// Nothing is left to do, and nothing lies about.
#[track_caller]
pub fn assert_over(scene: &Scene) {
    assert!(has(scene, "closed"), "{:?}", scene.record_names(ID, 1));
    assert_eq!(scene.temps(LAKE), Vec::<String>::new());
    assert_eq!(scene.staged(), Vec::<String>::new());
    assert_eq!(scene.holds(ID), Vec::<String>::new());
}

/// The log has no findings.
pub async fn assert_sound(scene: &Scene) {
    let log = audit::read(&scene.ledger(), ID).await.expect("the log is read");
    assert_eq!(audit::verify(&log), Vec::new(), "{:?}", scene.record_names(ID, 1));
}
