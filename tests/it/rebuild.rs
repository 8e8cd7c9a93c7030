//! Staged files that vanish before they are published: made anew from the same inputs, and every row arrives once.

use jiff::SignedDuration;
use landfall_core::keys::{self, RecordName};
use landfall_core::message::Message;
use landfall_core::operate;
use landfall_core::port::Clock as _;
use landfall_core::record::{Attempt, Outcome, Published, encode};
use landfall_lambda::metrics;
use testkit::fake::Fault;

use crate::scene::{Scene, noise};
use crate::staged::{
    ID, JUDGED_AFTER_SECONDS, LAKE, assert_delivered, assert_sound, by_name, commit, consumed_by_name,
    expire, has, lose_temps, merged, merged_in, one_published,
};

/// Another outcome in the place of the first, as another build of the engine would have put it.
fn replace_outcome(scene: &Scene, outcome: &Outcome) {
    let key = keys::record(ID, 1, RecordName::Outcome(1));
    scene.aws.put_object("state", &key, encode(&key, outcome).expect("a record"));
}

async fn second(scene: &Scene) -> Outcome {
    scene.record(ID, 1, RecordName::Outcome(2)).await
}

#[tokio::test]
async fn files_that_vanish_before_their_commit_are_made_anew() {
    let (mut scene, first) = merged(&by_name()).await;
    assert_eq!(lose_temps(&scene), 3);
    let counted = scene.total(&metrics::ROWS_IN, Some(ID));
    commit(&mut scene).await;
    assert_delivered(&scene);
    let second = second(&scene).await;
    assert!(second.is_cut_like(&first) && second.verdicts == first.verdicts);
    assert_eq!((second.generation, &second.versions), (2, &first.versions));
    for (old, new) in first.files.iter().zip(&second.files) {
        assert_ne!(old.temp_key, new.temp_key);
        assert_eq!(old.crc64nvme, new.crc64nvme, "the same build makes the same bytes");
    }
    let attempt: Attempt = scene.record(ID, 1, RecordName::Attempt { file: 0, k: 1 }).await;
    let published: Published = scene.record(ID, 1, RecordName::Published(0)).await;
    assert_eq!((attempt.generation, published.generation), (2, 2));
    assert_eq!(scene.notices("acme").len(), 1);
    assert_eq!(scene.total(&metrics::ROWS_IN, Some(ID)), counted, "what is made anew is not counted again");
    assert_sound(&scene).await;
}

#[tokio::test]
async fn files_that_vanish_after_others_were_published_are_made_anew_and_the_others_left_as_they_are() {
    let (mut scene, first) = one_published(&by_name()).await;
    // Of the two that are left one vanishes.
    scene.aws.delete_object(LAKE, &first.files[1].temp_key);
    let published = scene.aws.object(LAKE, &first.files[0].key).expect("the file");
    commit(&mut scene).await;
    assert_delivered(&scene);
    assert_eq!(scene.aws.object(LAKE, &first.files[0].key).expect("the file"), published);
    let second = second(&scene).await;
    assert_eq!((&second.files[0], &second.files[2]), (&first.files[0], &first.files[2]));
    assert_ne!(second.files[1].temp_key, first.files[1].temp_key);
    assert_eq!(scene.copies().len(), 4, "three files, and one copy that was refused");
    assert_sound(&scene).await;
}

#[tokio::test]
async fn a_copy_of_unknown_effect_is_judged_before_its_vanished_file_is_made_anew() {
    for (fault, generations) in [(Fault::CrashAfter, 1), (Fault::CrashBefore, 2)] {
        let (mut scene, _) = merged(&crate::scene::document("acme", "")).await;
        scene.aws.faults().on("CopyObject").inject(fault);
        commit(&mut scene).await;
        scene.unblock();
        lose_temps(&scene);
        // A merge asked for meanwhile leaves it alone: it may be out.
        scene.ask(&Message::merge(ID, 1));
        scene.run(JUDGED_AFTER_SECONDS - 60).await;
        assert!(!has(&scene, "outcome-2"), "{fault:?}");
        scene.tick_for(90).await;
        assert_delivered(&scene);
        assert_eq!(has(&scene, "outcome-2"), generations == 2, "{fault:?}");
        assert_sound(&scene).await;
    }
}

#[tokio::test]
async fn a_file_whose_copy_an_operator_refused_is_made_anew_when_it_vanished() {
    let (mut scene, _) = merged(&consumed_by_name()).await;
    scene.aws.faults().on("CopyObject").inject(Fault::CrashBefore);
    commit(&mut scene).await;
    scene.unblock();
    lose_temps(&scene);
    scene.tick_for(120).await;
    // The two of which nothing is out were made anew meanwhile; the first waits for its decision.
    assert_eq!(scene.hold(ID, "intent-1").await.code.as_deref(), Some("possible_duplicate"));
    let now = scene.aws.clock().now();
    let resolution = operate::Resolution::NotDelivered;
    operate::resolve(&scene.ledger(), ID, 1, 0, resolution, now).await.expect("it applies");
    scene.tick_for(60).await;
    assert_delivered(&scene);
    assert_sound(&scene).await;
}

#[tokio::test]
async fn a_file_that_vanishes_after_its_check_is_made_anew() {
    let (mut scene, _) = merged(&crate::scene::document("acme", "")).await;
    let aws = scene.aws.clone();
    aws.faults().on("CopyObject").inject(Fault::Pause);
    scene.ask(&Message::commit(ID, 1));
    let temp = aws.keys(LAKE, "_tmp/").remove(0);
    {
        let mut running = Box::pin(scene.run(30));
        assert!(aws.run_until_paused(&mut running).await.is_none(), "it waits at the copy");
        aws.delete_object(LAKE, &temp);
        aws.resume();
        running.await;
    }
    assert!(has(&scene, "refused-0-1"));
    assert_delivered(&scene);
    assert_sound(&scene).await;
}

#[tokio::test]
async fn a_file_that_is_there_and_not_as_staged_is_held_and_not_made_anew() {
    let (mut scene, first) = merged(&by_name()).await;
    scene.aws.put_object(LAKE, &first.files[1].temp_key, "something else");
    commit(&mut scene).await;
    scene.ask(&Message::merge(ID, 1));
    scene.run(1).await;
    assert_eq!(scene.hold(ID, "intent-1").await.code.as_deref(), Some("not_as_staged"));
    assert!(!has(&scene, "outcome-2"));
}

#[tokio::test]
async fn consumed_inputs_are_read_again_by_their_versions() {
    let (mut scene, _) = merged(&by_name()).await;
    lose_temps(&scene);
    scene.aws.delete_object("staging", "acme/rows/1");
    scene.stage_silently("acme/rows/2", crate::scene::rows(100, 1));
    commit(&mut scene).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2]);
    scene.tick_for(40).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 100], "what overwrote an input is an input of its own");
    assert_sound(&scene).await;
}

#[tokio::test]
async fn a_large_input_is_read_again_by_its_version_too() {
    let mut scene = Scene::new(&[&crate::scene::document("acme", "")]);
    scene.block("commit");
    scene.stage("acme/rows/large", noise(0, 400, 4_096));
    scene.deliver(&[ID]).await;
    scene.unblock();
    lose_temps(&scene);
    scene.aws.delete_object("staging", "acme/rows/large");
    commit(&mut scene).await;
    assert_eq!(scene.delivered_ids(LAKE), (0..400).collect::<Vec<i64>>());
    assert!(!scene.aws.calls_of("GetObjectVersion").is_empty());
}

#[tokio::test]
async fn inputs_that_nobody_can_read_again_hold_their_intent_alone() {
    let (mut scene, mut first) = merged(&by_name()).await;
    first.versions.fill(None);
    replace_outcome(&scene, &first);
    lose_temps(&scene);
    scene.aws.delete_object("staging", "acme/rows/1");
    commit(&mut scene).await;
    assert_eq!(scene.holds(ID), ["intent-1"]);
    assert_eq!(scene.hold(ID, "intent-1").await.code.as_deref(), Some("inputs_gone"));
    assert!(!has(&scene, "outcome-2"));
    assert_eq!(scene.temps(LAKE), Vec::<String>::new(), "what was begun is taken back");
    scene.stage("acme/rows/3", crate::scene::rows(10, 1));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [10], "other intents go on");
}

#[tokio::test]
async fn files_cut_otherwise_are_accepted_while_nothing_is_out() {
    let (mut scene, mut first) = merged(&by_name()).await;
    // As if another build had put all rows into two files.
    first.files.pop();
    first.files[1].rows = 2;
    replace_outcome(&scene, &first);
    lose_temps(&scene);
    commit(&mut scene).await;
    assert_delivered(&scene);
    assert_eq!(second(&scene).await.files.len(), 3);
}

#[tokio::test]
async fn files_cut_otherwise_hold_the_intent_when_one_is_out() {
    let (mut scene, mut first) = one_published(&by_name()).await;
    first.files.pop();
    first.files[1].rows = 2;
    replace_outcome(&scene, &first);
    lose_temps(&scene);
    commit(&mut scene).await;
    assert_eq!(scene.hold(ID, "intent-1").await.code.as_deref(), Some("rebuild_differs"));
    assert!(!has(&scene, "outcome-2"));
    assert_eq!(scene.delivered(LAKE), [first.files[0].key.clone()]);
    assert_eq!(scene.temps(LAKE), Vec::<String>::new());
    assert_eq!(scene.staged().len(), 2);
}

#[tokio::test]
async fn a_copy_that_met_a_rebuild_that_cut_otherwise_holds_the_intent() {
    let (mut scene, first) = one_published(&by_name()).await;
    // Put at the same moment as the first file was copied.
    let mut met = Outcome { generation: 2, ..first.clone() };
    met.files.pop();
    met.files[0].rows = 2;
    let key = keys::record(ID, 1, RecordName::Outcome(2));
    scene.ledger().put_once(&key, &met).await.expect("the log takes it");
    commit(&mut scene).await;
    assert_eq!(scene.hold(ID, "intent-1").await.code.as_deref(), Some("rebuild_differs"));
    assert_eq!(scene.delivered(LAKE), [first.files[0].key.clone()], "no row twice");
}

#[tokio::test]
async fn an_intent_whose_files_were_cut_otherwise_ends_when_it_is_given_up() {
    for expires in [true, false] {
        let (mut scene, first) = one_published(&by_name()).await;
        let mut met = Outcome { generation: 2, ..first.clone() };
        met.files.remove(0);
        (met.files[0].index, met.files[0].rows, met.files[1].index) = (0, 2, 1);
        let key = keys::record(ID, 1, RecordName::Outcome(2));
        scene.ledger().put_once(&key, &met).await.expect("the log takes it");
        commit(&mut scene).await;
        assert_eq!(scene.hold(ID, "intent-1").await.code.as_deref(), Some("rebuild_differs"));
        if expires {
            expire(&scene, 1).await;
            commit(&mut scene).await;
            assert_eq!(scene.notices("acme").len(), 1, "what is published is told of");
        }
        let now = scene.aws.clock().now();
        operate::discard(&scene.ledger(), ID, 1, now).await.expect("it applies");
        scene.tick_for(5).await;
        crate::staged::assert_over(&scene);
        assert_eq!(scene.delivered(LAKE), [first.files[0].key.clone()], "no row twice");
        let receipt: landfall_core::record::Receipt = scene.record(ID, 1, RecordName::Receipt(1)).await;
        let named: Vec<(&str, u64)> =
            receipt.files.iter().map(|file| (file.key.as_str(), file.rows)).collect();
        assert_eq!(named, [(first.files[0].key.as_str(), 1)], "as it was published");
        assert_eq!(scene.notices("acme").len(), 1);
        assert_sound(&scene).await;
    }
}

#[tokio::test]
async fn of_two_rebuilds_one_holds_and_the_other_adopts() {
    let mut most = 0;
    for seed in 0..12 {
        let (mut scene, _) = merged_in(Scene::racing(&[&by_name()], 4)).await;
        lose_temps(&scene);
        scene.aws.interleave(seed);
        for _ in 0..3 {
            scene.ask(&Message::merge(ID, 1));
        }
        scene.ask(&Message::commit(ID, 1));
        scene.run(120).await;
        scene.tick_for(40).await;
        assert_delivered(&scene);
        assert_eq!(scene.copies().len(), 3, "seed {seed}");
        let puts = scene.aws.calls_of("PutObject");
        let tried =
            puts.iter().filter(|call| call.key.as_deref().is_some_and(|key| key.contains("outcome-")));
        most = most.max(tried.count());
        assert!(!has(&scene, "outcome-3"), "seed {seed}: {:?}", scene.record_names(ID, 1));
        assert_sound(&scene).await;
    }
    assert!(most > 1, "no seed let two rebuilds meet");
}

#[tokio::test]
async fn a_rebuild_that_fails_at_any_call_is_done_all_the_same() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::LostResponse, Fault::Throttle, Fault::Panic] {
        let mut number = 0;
        loop {
            let (mut scene, _) = merged(&by_name()).await;
            lose_temps(&scene);
            scene.aws.delete_object("staging", "acme/rows/1");
            let at = scene.aws.call_count() + number;
            scene.aws.faults().at_call(at, fault);
            commit(&mut scene).await;
            if scene.aws.faults().fired() == 0 {
                assert!(number > 60, "{number} calls");
                break;
            }
            for minute in 0..180 {
                if minute < 5 || minute % 10 == 0 {
                    scene.tick();
                }
                scene.run(60).await;
                if has(&scene, "closed") && has(&scene, "notified") {
                    break;
                }
            }
            assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2], "{fault:?} at call {number}");
            assert!(has(&scene, "closed"), "{fault:?} at call {number}: {:?}", scene.record_names(ID, 1));
            assert_eq!(scene.holds(ID), Vec::<String>::new(), "{fault:?} at call {number}");
            assert_sound(&scene).await;
            number += 1;
        }
    }
}

#[tokio::test]
async fn what_vanished_while_an_intent_was_expired_is_made_anew_when_it_is_redelivered() {
    let (mut scene, _) = one_published(&by_name()).await;
    expire(&scene, 1).await;
    commit(&mut scene).await;
    // The client's lifecycle takes the temps after eight days.
    scene.aws.clock().advance(SignedDuration::from_hours(8 * 24 + 1));
    lose_temps(&scene);
    commit(&mut scene).await;
    scene.ask(&Message::merge(ID, 1));
    scene.run(1).await;
    assert!(!has(&scene, "outcome-2"), "not before it is redelivered");
    operate::redeliver(&scene.ledger(), ID, 1, scene.aws.clock().now()).await.expect("it applies");
    scene.tick_for(10).await;
    assert_delivered(&scene);
    assert!(has(&scene, "outcome-2") && has(&scene, "receipt-2"));
    let told = scene.notices("acme");
    assert_eq!(
        (&told[0]["delivery_id"], &told[1]["delivery_id"]),
        (&"acme-rows/1".into(), &"acme-rows/1/2".into())
    );
    assert_sound(&scene).await;
}

#[tokio::test]
async fn a_repeated_merge_of_a_commit_under_way_makes_nothing() {
    let (mut scene, _) = merged(&by_name()).await;
    let puts = scene.aws.calls_of("PutObject").len();
    scene.ask(&Message::merge(ID, 1));
    scene.block("commit");
    scene.pipe.drive_now(10).await.expect("comes to rest");
    assert_eq!(scene.aws.calls_of("PutObject").len(), puts);
    scene.unblock();
    commit(&mut scene).await;
    let heads = scene.aws.calls_of("HeadObject").len();
    scene.ask(&Message::merge(ID, 1));
    scene.run(1).await;
    assert_eq!(scene.aws.calls_of("HeadObject").len(), heads, "a closed intent asks the client nothing");
}
