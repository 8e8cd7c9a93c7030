//! Operators who decide while a commit is under way: it ends, and every published file is in one receipt, whoever was first.

use jiff::SignedDuration;
use landfall_core::audit;
use landfall_core::operate::{self, Resolution};
use landfall_core::port::Clock as _;
use testkit::fake::Fault;

use crate::scene::{Scene, commit_event};
use crate::staged::{
    ID, JUDGED_AFTER_SECONDS, LAKE, ROLE, assert_delivered, assert_sound, by_name, commit, consumed_by_name,
    expire, has, merged, one_published,
};

async fn redeliver(scene: &Scene) {
    let now = scene.aws.clock().now();
    operate::redeliver(&scene.ledger(), ID, 1, now).await.expect("it applies");
}

async fn discard(scene: &Scene) {
    let now = scene.aws.clock().now();
    operate::discard(&scene.ledger(), ID, 1, now).await.expect("it applies");
}

async fn resolve(scene: &Scene, resolution: Resolution) {
    let now = scene.aws.clock().now();
    operate::resolve(&scene.ledger(), ID, 1, 0, resolution, now).await.expect("it applies");
}

/// Every file that is published is in one receipt, and told of in one notice.
async fn assert_told_once(scene: &Scene, case: &str) {
    let log = audit::read(&scene.ledger(), ID).await.expect("the log is read");
    let receipts = log.intents[&1].receipts.values();
    let mut received: Vec<String> =
        receipts.flat_map(|receipt| &receipt.files).map(|file| file.key.clone()).collect();
    received.sort();
    assert_eq!(received, scene.delivered(LAKE), "{case}: {:?}", scene.record_names(ID, 1));
    let notices = scene.notices("acme");
    let told: usize = notices.iter().map(|notice| notice["files"].as_array().expect("files").len()).sum();
    assert_eq!(told, received.len(), "{case}: {notices:?}");
}

#[tokio::test]
async fn a_part_that_is_ended_while_its_intent_is_redelivered_names_its_files_once() {
    let mut number = 0;
    loop {
        let (mut scene, _) = one_published(&by_name()).await;
        expire(&scene, 1).await;
        let aws = scene.aws.clone();
        aws.faults().at_call(aws.call_count() + number, Fault::Pause);
        let mut ending = Box::pin(scene.begin_committer(commit_event(ID, 1)));
        if aws.run_until_paused(&mut ending).await.is_some() {
            assert!(number > 6, "{number} calls");
            break;
        }
        redeliver(&scene).await;
        scene.tick_for(5).await;
        aws.resume();
        ending.await.expect("it answers");
        scene.tick_for(40).await;
        assert_delivered(&scene);
        assert_told_once(&scene, &format!("call {number}")).await;
        assert_sound(&scene).await;
        number += 1;
    }
}

#[tokio::test]
async fn a_part_that_is_ended_beside_the_commit_of_the_next_names_its_files_once() {
    for seed in 0..20 {
        let (mut scene, _) = one_published(&by_name()).await;
        expire(&scene, 1).await;
        let aws = scene.aws.clone();
        aws.faults().on("PutObject").key("/receipt").times(2).inject(Fault::Pause);
        let mut ending = Box::pin(scene.begin_committer(commit_event(ID, 1)));
        assert!(aws.run_until_paused(&mut ending).await.is_none(), "it waits at the receipt");
        redeliver(&scene).await;
        let mut going_on = Box::pin(scene.begin_committer(commit_event(ID, 1)));
        assert!(aws.run_until_paused(&mut going_on).await.is_none(), "it waits at a receipt too");
        aws.interleave(seed);
        aws.resume();
        let (ended, gone_on) = futures::join!(ending, going_on);
        ended.and(gone_on).expect("both answer");
        scene.tick_for(40).await;
        assert_delivered(&scene);
        assert_told_once(&scene, &format!("seed {seed}")).await;
        assert_sound(&scene).await;
    }
}

#[tokio::test]
async fn a_commit_that_is_overtaken_by_the_next_part_names_and_closes_nothing_of_it() {
    let mut number = 0;
    loop {
        let (mut scene, _) = merged(&by_name()).await;
        let aws = scene.aws.clone();
        aws.faults().at_call(aws.call_count() + number, Fault::Pause);
        let mut slow = Box::pin(scene.begin_committer(commit_event(ID, 1)));
        assert!(aws.run_until_paused(&mut slow).await.is_none(), "it waits at call {number}");
        if has(&scene, "receipt") {
            // What has its receipt does not expire.
            assert!(number > 25, "{number} calls");
            break;
        }
        expire(&scene, 1).await;
        redeliver(&scene).await;
        scene.tick_for(5).await;
        aws.resume();
        slow.await.expect("it answers");
        scene.tick_for(40).await;
        assert_delivered(&scene);
        assert_told_once(&scene, &format!("call {number}")).await;
        assert_sound(&scene).await;
        number += 1;
    }
}

#[tokio::test]
async fn what_is_found_out_beside_the_end_of_a_part_is_in_a_receipt() {
    for seed in 0..20 {
        let (mut scene, _) = merged(&by_name()).await;
        // The second file is copied and not written down.
        scene.aws.faults().on("CopyObject").after(1).inject(Fault::CrashAfter);
        commit(&mut scene).await;
        scene.unblock();
        expire(&scene, 1).await;
        let aws = scene.aws.clone();
        aws.clock().advance(SignedDuration::from_secs(JUDGED_AFTER_SECONDS + 5));
        aws.faults().on("PutObject").key("/receipt").times(2).inject(Fault::Pause);
        let mut ending = Box::pin(scene.begin_committer(commit_event(ID, 1)));
        assert!(aws.run_until_paused(&mut ending).await.is_none(), "it waits at the receipt");
        discard(&scene).await;
        let mut giving_up = Box::pin(scene.begin_committer(commit_event(ID, 1)));
        assert!(aws.run_until_paused(&mut giving_up).await.is_none(), "it waits at the receipt too");
        aws.interleave(seed);
        aws.resume();
        let (ended, given_up) = futures::join!(ending, giving_up);
        ended.and(given_up).expect("both answer");
        scene.tick_for(40).await;
        assert!(has(&scene, "closed"), "{:?}", scene.record_names(ID, 1));
        assert_eq!(scene.delivered(LAKE).len(), 2);
        assert_told_once(&scene, &format!("seed {seed}")).await;
        assert_sound(&scene).await;
    }
}

#[tokio::test]
async fn what_is_given_up_ends_once_an_operator_resolved_it_though_the_client_is_gone_for_good() {
    for resolution in [Resolution::Delivered, Resolution::NotDelivered] {
        for (expires, discard_first) in [(true, true), (true, false), (false, true), (false, false)] {
            let case = format!("{resolution:?}, expires: {expires}, discarded first: {discard_first}");
            let (mut scene, _) = merged(&consumed_by_name()).await;
            scene.aws.faults().on("CopyObject").inject(Fault::CrashAfter);
            commit(&mut scene).await;
            scene.unblock();
            let key = scene.delivered(LAKE).remove(0);
            scene.aws.delete_object(LAKE, &key);
            scene.tick_for(120).await;
            assert_eq!(scene.hold(ID, "intent-1").await.code.as_deref(), Some("possible_duplicate"));
            scene.aws.remove_role(ROLE);
            if expires {
                expire(&scene, 1).await;
            }
            if discard_first {
                discard(&scene).await;
                scene.tick_for(60).await;
                assert!(!has(&scene, "closed"), "{case}: nobody knows of the copy");
                resolve(&scene, resolution).await;
            } else {
                resolve(&scene, resolution).await;
                scene.tick_for(60).await;
                discard(&scene).await;
            }
            scene.tick_for(60).await;
            assert!(has(&scene, "closed"), "{case}: {:?}", scene.record_names(ID, 1));
            assert_eq!(scene.staged(), Vec::<String>::new(), "{case}");
            assert_sound(&scene).await;
        }
    }
}
