//! Intents that ran out of time: what was published is told of, the rest waits for an operator.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use landfall_core::audit::{self, State};
use landfall_core::keys::RecordName;
use landfall_core::message::Message;
use landfall_core::operate::{self, OperateError, Resolution};
use landfall_core::port::Clock as _;
use landfall_core::record::{Outcome, Published, Receipt, Verdict};
use serde_json::Value;
use testkit::fake::Fault;

use crate::scene::{Scene, document, rows};
use crate::staged::{
    ID, JUDGED_AFTER_SECONDS, LAKE, assert_delivered, assert_over, assert_sound, by_name, commit,
    consumed_by_name, expire, has, merged, one_published,
};

fn told(scene: &Scene) -> Vec<(String, usize)> {
    let of = |notice: &Value| {
        let id = notice["delivery_id"].as_str().expect("an id").to_owned();
        (id, notice["files"].as_array().expect("files").len())
    };
    scene.notices("acme").iter().map(of).collect()
}

async fn redeliver(scene: &Scene) -> Result<u32, OperateError> {
    operate::redeliver(&scene.ledger(), ID, 1, scene.aws.clock().now()).await
}

async fn discard(scene: &Scene) -> Result<(), OperateError> {
    operate::discard(&scene.ledger(), ID, 1, scene.aws.clock().now()).await
}

async fn resolve(scene: &Scene, resolution: Resolution) -> Result<(), OperateError> {
    operate::resolve(&scene.ledger(), ID, 1, 0, resolution, scene.aws.clock().now()).await
}

async fn state(scene: &Scene) -> State {
    let log = audit::read(&scene.ledger(), ID).await.expect("the log is read");
    log.intents[&1].state()
}

#[tokio::test]
async fn an_expired_intent_tells_of_what_was_published_and_publishes_no_more() {
    let (mut scene, outcome) = one_published(&by_name()).await;
    expire(&scene, 1).await;
    for _ in 0..3 {
        commit(&mut scene).await;
        assert_eq!(told(&scene), [("acme-rows/1".to_owned(), 1)]);
        assert_eq!(scene.delivered(LAKE), [outcome.files[0].key.clone()]);
        assert_eq!(scene.staged().len(), 2, "what is not delivered stays staged");
        assert!(has(&scene, "receipt") && has(&scene, "notified") && !has(&scene, "closed"));
        assert_eq!(state(&scene).await, State::Expired);
        assert_sound(&scene).await;
        scene.run(600).await;
    }
}

#[tokio::test]
async fn an_expired_intent_of_which_nothing_was_published_tells_nobody() {
    let (mut scene, _) = merged(&by_name()).await;
    expire(&scene, 1).await;
    commit(&mut scene).await;
    scene.ask(&Message::merge(ID, 1));
    scene.run(60).await;
    assert_eq!(scene.record_names(ID, 1), ["expired", "intent", "outcome"]);
    assert_eq!(told(&scene), []);
    assert_eq!(scene.temps(LAKE).len(), 3);
}

#[tokio::test]
async fn an_intent_that_expired_unmerged_is_not_merged_until_it_is_redelivered() {
    let mut scene = Scene::new(&[&by_name()]);
    scene.block("work");
    scene.stage("acme/rows/1", rows(0, 3));
    scene.deliver(&[ID]).await;
    scene.unblock();
    expire(&scene, 1).await;
    scene.ask(&Message::merge(ID, 1));
    scene.pipe.drive_now(10).await.expect("comes to rest");
    assert_eq!(scene.record_names(ID, 1), ["expired", "intent"]);
    redeliver(&scene).await.expect("it applies");
    scene.tick_for(5).await;
    assert_delivered(&scene);
    assert_eq!(told(&scene), [("acme-rows/1/2".to_owned(), 3)]);
    assert_sound(&scene).await;
}

#[tokio::test]
async fn a_redelivered_intent_delivers_the_rest_as_a_part_of_its_own() {
    let (mut scene, outcome) = one_published(&by_name()).await;
    expire(&scene, 1).await;
    commit(&mut scene).await;
    assert_eq!(redeliver(&scene).await.expect("it applies"), 2);
    assert!(matches!(redeliver(&scene).await, Err(OperateError::NotExpired { .. })), "once");
    scene.tick_for(5).await;
    assert_delivered(&scene);
    assert_eq!(told(&scene), [("acme-rows/1".to_owned(), 1), ("acme-rows/1/2".to_owned(), 2)]);
    let (first, second): (Receipt, Receipt) = (
        scene.record(ID, 1, RecordName::Receipt(1)).await,
        scene.record(ID, 1, RecordName::Receipt(2)).await,
    );
    let keys = |receipt: &Receipt| -> BTreeSet<String> {
        receipt.files.iter().map(|file| file.key.clone()).collect()
    };
    assert_eq!(keys(&first), BTreeSet::from([outcome.files[0].key.clone()]));
    assert!(keys(&first).is_disjoint(&keys(&second)));
    assert_eq!((first.inputs, second.inputs), (2, 0), "counted once");
    assert_eq!(state(&scene).await, State::Done);
    assert_sound(&scene).await;
}

#[tokio::test]
async fn a_part_in_which_nothing_new_is_published_closes_the_intent_and_wakes_nobody() {
    let (mut scene, _) = merged(&by_name()).await;
    // Everything is published and told; the inputs cannot be deleted.
    scene.aws.faults().on("DeleteObject").resource("staging").forever().inject(Fault::Throttle);
    commit(&mut scene).await;
    expire(&scene, 1).await;
    scene.unblock();
    commit(&mut scene).await;
    assert!(!has(&scene, "closed"));
    redeliver(&scene).await.expect("it applies");
    scene.tick_for(20).await;
    assert_delivered(&scene);
    assert!(has(&scene, "receipt-2") && has(&scene, "notified-2"));
    assert_eq!(told(&scene), [("acme-rows/1".to_owned(), 3)]);
    assert_sound(&scene).await;
}

#[tokio::test]
async fn parts_are_told_to_a_fifo_queue_under_ids_of_their_own() {
    let fifo = "arn:aws:sqs:eu-central-1:222222222222:acme-etl.fifo";
    let text = format!("{}[[notify.queue]]\narn = \"{fifo}\"\n", by_name());
    let (mut scene, _) = one_published(&text).await;
    expire(&scene, 1).await;
    commit(&mut scene).await;
    redeliver(&scene).await.expect("it applies");
    scene.tick_for(5).await;
    let messages = scene.aws.messages(fifo);
    let ids: Vec<&str> = messages.iter().filter_map(|message| message.deduplication.as_deref()).collect();
    assert_eq!(ids, ["acme-rows_1", "acme-rows_1_2"]);
}

#[tokio::test]
async fn an_intent_that_expires_or_is_discarded_after_an_attempt_is_recorded_is_not_copied() {
    for discarded in [false, true] {
        let (mut scene, _) = merged(&document("acme", "")).await;
        let (aws, ledger) = (scene.aws.clone(), scene.ledger());
        aws.faults().on("PutObject").key("attempt-0-1").inject(Fault::Pause);
        scene.ask(&Message::commit(ID, 1));
        expire_later(&mut scene, &aws, &ledger, discarded).await;
        assert_eq!(scene.copies().len(), 0, "discarded: {discarded}");
        assert!(has(&scene, "refused-0-1"), "{:?}", scene.record_names(ID, 1));
        assert_eq!(scene.delivered(LAKE), Vec::<String>::new());
        scene.run(60).await;
        assert_eq!(has(&scene, "closed"), discarded, "{:?}", scene.record_names(ID, 1));
        assert_sound(&scene).await;
    }
}

/// Runs the pipeline until the recording of an attempt, lets the intent expire, and goes on.
async fn expire_later(
    scene: &mut Scene,
    aws: &testkit::fake::FakeAws,
    ledger: &landfall_core::ledger::Ledger<testkit::fake::FakeStore>,
    discarded: bool,
) {
    let now = aws.clock().now();
    let record = |name| landfall_core::keys::record(ID, 1, name);
    let mut running = Box::pin(scene.run(1));
    assert!(aws.run_until_paused(&mut running).await.is_none(), "it waits at the attempt");
    if discarded {
        let discarded = landfall_core::record::Discarded { version: 1, at: now };
        ledger.put_once(&record(RecordName::Discarded), &discarded).await.expect("the log takes it");
    } else {
        let expired = landfall_core::record::Expired {
            version: 1,
            at: now,
            resource: "role".to_owned(),
            first_failure: now,
            detail: String::new(),
            published: Vec::new(),
            unpublished: Vec::new(),
        };
        ledger.put_once(&record(RecordName::Expired(1)), &expired).await.expect("the log takes it");
    }
    aws.resume();
    running.await;
}

#[tokio::test]
async fn a_copy_that_may_be_under_way_is_waited_for_before_an_expired_intent_is_told_of() {
    let (mut scene, _) = merged(&by_name()).await;
    // The committer dies with the second file copied and not written down.
    scene.aws.faults().on("CopyObject").after(1).inject(Fault::CrashAfter);
    commit(&mut scene).await;
    scene.unblock();
    expire(&scene, 1).await;
    commit(&mut scene).await;
    assert!(!has(&scene, "receipt"), "not while it may be under way");
    scene.aws.clock().advance(SignedDuration::from_secs(JUDGED_AFTER_SECONDS + 5));
    commit(&mut scene).await;
    let first: Receipt = scene.record(ID, 1, RecordName::Receipt(1)).await;
    assert_eq!(first.files.len(), 1, "what the log knows of");
    redeliver(&scene).await.expect("it applies");
    scene.tick_for(5).await;
    assert_delivered(&scene);
    assert_eq!(scene.copies().len(), 3, "what arrived is found, not copied again");
    assert_sound(&scene).await;
}

#[tokio::test]
async fn what_is_discarded_is_never_published_and_its_inputs_are_deleted() {
    let (mut scene, outcome) = one_published(&by_name()).await;
    expire(&scene, 1).await;
    discard(&scene).await.expect("it applies");
    assert_eq!(state(&scene).await, State::Discarding);
    scene.tick_for(5).await;
    assert_eq!(scene.delivered(LAKE), [outcome.files[0].key.clone()]);
    assert_eq!(told(&scene), [("acme-rows/1".to_owned(), 1)]);
    assert!(has(&scene, "closed"));
    assert_eq!((scene.temps(LAKE).len(), scene.staged().len()), (0, 0));
    // Giving up proves nothing about the client; but nothing waits for it any more.
    assert_eq!(scene.holds(ID), Vec::<String>::new());
    assert_eq!(state(&scene).await, State::Discarded);
    assert_sound(&scene).await;
    // The partition of what was published is in the catalog.
    let table = scene.aws.table("222222222222", "acme_raw", "rows").expect("the table");
    assert_eq!(table.partitions.len(), 1);
    let again = redeliver(&scene).await;
    assert!(matches!(again, Err(OperateError::Over { .. } | OperateError::NoIntent { .. })), "{again:?}");
}

#[tokio::test]
async fn what_is_discarded_before_it_was_merged_is_deleted_and_tells_nobody() {
    let mut scene = Scene::new(&[&by_name()]);
    scene.block("work");
    scene.stage("acme/rows/1", rows(0, 3));
    scene.deliver(&[ID]).await;
    scene.unblock();
    expire(&scene, 1).await;
    discard(&scene).await.expect("it applies");
    discard(&scene).await.expect("once more changes nothing");
    scene.tick_for(5).await;
    let outcome: Outcome = scene.record(ID, 1, RecordName::Outcome(1)).await;
    assert_eq!(outcome.verdicts, [Verdict::Discarded]);
    assert_eq!(scene.delivered(LAKE), Vec::<String>::new());
    assert_eq!(told(&scene), []);
    assert_over(&scene);
    assert_sound(&scene).await;
    // Later objects are delivered as ever.
    scene.stage("acme/rows/2", rows(10, 1));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [10]);
}

#[tokio::test]
async fn what_became_of_a_copy_is_found_out_before_its_intent_is_given_up() {
    for (fault, arrived) in [(Fault::CrashAfter, 1), (Fault::CrashBefore, 0)] {
        let (mut scene, _) = merged(&document("acme", "")).await;
        scene.aws.faults().on("CopyObject").inject(fault);
        commit(&mut scene).await;
        scene.unblock();
        expire(&scene, 1).await;
        discard(&scene).await.expect("it applies");
        scene.tick_for(10).await;
        assert!(!has(&scene, "closed"), "{fault:?}: it may be under way");
        scene.tick_for(90).await;
        assert_over(&scene);
        assert_eq!(scene.delivered(LAKE).len(), arrived, "{fault:?}");
        assert_eq!(told(&scene).len(), arrived, "{fault:?}");
        assert_eq!(scene.copies().len(), 1, "{fault:?}: never again");
        assert_sound(&scene).await;
    }
}

#[tokio::test]
async fn an_operator_decides_a_copy_that_may_have_been_consumed() {
    for (resolution, copies) in [(Resolution::Delivered, 3), (Resolution::NotDelivered, 4)] {
        let (mut scene, _) = merged(&consumed_by_name()).await;
        scene.aws.faults().on("CopyObject").inject(Fault::CrashAfter);
        commit(&mut scene).await;
        scene.unblock();
        let young = resolve(&scene, resolution).await;
        assert!(matches!(young, Err(OperateError::StillUnderWay { .. })), "{young:?}");
        for key in scene.delivered(LAKE) {
            scene.aws.delete_object(LAKE, &key);
        }
        scene.tick_for(120).await;
        assert_eq!(scene.hold(ID, "intent-1").await.code.as_deref(), Some("possible_duplicate"));
        resolve(&scene, resolution).await.expect("it applies");
        assert_eq!(scene.holds(ID), Vec::<String>::new());
        scene.tick_for(40).await;
        assert_over(&scene);
        assert_eq!(scene.copies().len(), copies, "{resolution:?}");
        assert_eq!(told(&scene), [("acme-rows/1".to_owned(), 3)], "{resolution:?}");
        let published: Published = scene.record(ID, 1, RecordName::Published(0)).await;
        assert_eq!(published.etag.is_empty(), resolution == Resolution::Delivered);
        assert_sound(&scene).await;
        let over = resolve(&scene, resolution).await;
        let refused = matches!(over, Err(OperateError::Over { .. } | OperateError::NoIntent { .. }));
        assert!(refused, "{over:?}");
    }
}

#[tokio::test]
async fn an_action_that_does_not_apply_is_refused_and_changes_nothing() {
    let (mut scene, _) = merged(&by_name()).await;
    let before = scene.record_names(ID, 1);
    let now = scene.aws.clock().now();
    assert!(matches!(redeliver(&scene).await, Err(OperateError::NotExpired { n: 1, .. })));
    assert!(matches!(discard(&scene).await, Err(OperateError::NotStuck { n: 1, .. })));
    let resolved = resolve(&scene, Resolution::Delivered).await;
    assert!(matches!(resolved, Err(OperateError::NothingUnknown { file: 0, .. })));
    let none = operate::redeliver(&scene.ledger(), ID, 7, now).await;
    assert!(matches!(none, Err(OperateError::NoIntent { n: 7, .. })));
    assert_eq!(scene.record_names(ID, 1), before);
    commit(&mut scene).await;
    assert_delivered(&scene);
    assert!(matches!(discard(&scene).await, Err(OperateError::Over { state: "closed", .. })));
}

#[tokio::test]
async fn in_an_ordered_delivery_what_follows_an_expired_intent_goes_on() {
    let ordered = by_name().replace("dataset = \"rows\"", "dataset = \"rows\"\norder = \"delivery\"");
    let (mut scene, _) = merged(&ordered).await;
    scene.aws.faults().on("CopyObject").forever().inject(Fault::Throttle);
    scene.stage("acme/rows/3", rows(10, 1));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.record_names(ID, 2), ["intent", "outcome"], "it waits for its predecessor");
    scene.unblock();
    expire(&scene, 1).await;
    commit(&mut scene).await;
    assert_eq!(scene.delivered_ids(LAKE), [10], "woken by the commit of the expired one");
    redeliver(&scene).await.expect("it applies");
    scene.tick_for(40).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 10]);
    assert_sound(&scene).await;
}
