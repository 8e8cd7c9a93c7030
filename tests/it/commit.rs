//! The commit protocol: what every answer of a copy comes to, and that nothing is published twice or unchecked.

use landfall_core::delivery::Capabilities;
use landfall_core::error::PortErrorKind;
use landfall_core::keys::RecordName;
use landfall_core::message::Message;
use landfall_core::record::{Outcome, Published};
use testkit::fake::{Fault, checksum};

use crate::scene::{Scene, document, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const ROLE: &str = "arn:aws:iam::222222222222:role/landfall-delivery";
/// The function timeout and a minute: from then on nobody can still be working on an attempt.
const JUDGED_AFTER_SECONDS: i64 = 960;

fn acme() -> String {
    document("acme", "")
}

fn consumer_deletes() -> String {
    acme().replace("prefix = \"raw/rows/\"", "prefix = \"raw/rows/\"\nconsumer_deletes = true")
}

/// Three rows staged and merged, and no commit asked for: the faults are the caller's to take back.
async fn merged(text: &str) -> (Scene, Outcome) {
    let mut scene = Scene::new(&[text]);
    scene.block("commit");
    scene.stage("acme/rows/1", rows(0, 3));
    scene.deliver(&[ID]).await;
    let outcome = scene.outcomes(ID).await.remove(0);
    assert_eq!(scene.delivered(LAKE), Vec::<String>::new());
    (scene, outcome)
}

/// Three rows staged and merged, and one commit asked for, with `fault` at its copy.
async fn committed_with(text: &str, fault: Fault) -> Scene {
    let (mut scene, _) = merged(text).await;
    scene.unblock();
    scene.aws.faults().on("CopyObject").inject(fault);
    scene.ask(&Message::commit(ID, 1));
    scene.run(1).await;
    assert_eq!(scene.aws.faults().fired(), 1);
    scene
}

fn has(scene: &Scene, name: &str) -> bool {
    scene.record_names(ID, 1).iter().any(|record| record == name)
}

fn assert_delivered_once(scene: &Scene) {
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2]);
    assert_eq!(scene.notices("acme").len(), 1);
    assert_eq!(scene.holds(ID), Vec::<String>::new());
    assert_eq!(scene.staged(), Vec::<String>::new());
    assert!(has(scene, "closed"), "{:?}", scene.record_names(ID, 1));
}

#[tokio::test]
async fn a_file_of_somebody_else_is_never_overwritten() {
    let (mut scene, outcome) = merged(&acme()).await;
    let key = outcome.files[0].key.as_str();
    scene.aws.put_object(LAKE, key, "foreign");
    scene.unblock();
    scene.tick_for(40).await;

    assert_eq!(scene.aws.object(LAKE, key).expect("theirs").body, "foreign");
    assert_eq!(scene.holds(ID), ["intent-1"]);
    assert_eq!(scene.hold(ID, "intent-1").await.code.as_deref(), Some("conflict"));
    assert!(!has(&scene, "receipt"));
    assert_eq!(scene.notices("acme"), Vec::<serde_json::Value>::new());
    assert_eq!(scene.staged(), ["acme/rows/1"], "what is not delivered stays staged");

    // What holds one intent holds no other.
    scene.stage("acme/rows/2", rows(10, 2));
    scene.deliver(&[ID]).await;
    let mut keys = scene.delivered(LAKE);
    keys.retain(|other| other != key);
    assert_eq!(keys.len(), 1);
    assert_eq!(scene.ids_of(LAKE, &keys[0]), [10, 11]);
    assert_eq!(scene.notices("acme").len(), 1);
    assert_eq!(scene.staged(), ["acme/rows/1"]);
}

#[tokio::test]
async fn a_consumed_file_is_not_sent_again() {
    let mut scene = Scene::new(&[&acme()]);
    scene.aws.deny(ROLE, "glue:CreateTable");
    scene.stage("acme/rows/1", rows(0, 3));
    scene.deliver(&[ID]).await;
    assert!(has(&scene, "published-0") && !has(&scene, "receipt"));
    for key in scene.delivered(LAKE) {
        scene.aws.delete_object(LAKE, &key);
    }

    scene.aws.allow_again(ROLE);
    scene.tick_for(60).await;
    assert!(has(&scene, "closed"));
    assert_eq!(scene.notices("acme").len(), 1);
    assert_eq!(scene.delivered(LAKE), Vec::<String>::new());
    assert_eq!(scene.copies().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_looking() {
    let scene = committed_with(&acme(), Fault::LostResponse).await;
    assert_delivered_once(&scene);
    assert_eq!(scene.copies().len(), 1);
    assert!(!has(&scene, "refused-0-1"), "an attempt that had its effect is not called refused");
}

#[tokio::test]
async fn a_copy_whose_committer_died_is_found_when_nobody_can_work_on_it_any_more() {
    let mut scene = committed_with(&acme(), Fault::CrashAfter).await;
    assert_eq!(scene.delivered(LAKE).len(), 1);
    scene.ask(&Message::commit(ID, 1));
    scene.run(JUDGED_AFTER_SECONDS - 10).await;
    assert!(!has(&scene, "published-0"), "an attempt this young may still be under way");
    scene.run(20).await;
    assert_delivered_once(&scene);
    assert_eq!(scene.copies().len(), 1);
    assert!(!has(&scene, "attempt-0-2"));
}

#[tokio::test]
async fn a_copy_that_never_happened_is_made_when_nobody_can_be_making_it_any_more() {
    let mut scene = committed_with(&acme(), Fault::CrashBefore).await;
    scene.ask(&Message::commit(ID, 1));
    scene.run(JUDGED_AFTER_SECONDS - 10).await;
    assert_eq!(scene.copies().len(), 1, "only the copy that died");
    assert_eq!(scene.delivered(LAKE), Vec::<String>::new());
    scene.run(20).await;
    assert_delivered_once(&scene);
    assert_eq!(scene.copies().len(), 2);
}

#[tokio::test]
async fn a_copy_that_may_have_been_consumed_is_held_and_not_repeated() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::ErrorInside200] {
        let mut scene = committed_with(&consumer_deletes(), fault).await;
        // The client consumes what it finds.
        for key in scene.delivered(LAKE) {
            scene.aws.delete_object(LAKE, &key);
        }
        scene.tick_for(120).await;
        assert_eq!(scene.holds(ID), ["intent-1"], "{fault:?}");
        assert_eq!(scene.hold(ID, "intent-1").await.code.as_deref(), Some("possible_duplicate"));
        let records = scene.record_names(ID, 1);
        assert_eq!(records, ["attempt-0-1", "intent", "outcome"], "{fault:?}");
        assert_eq!(scene.copies().len(), 1, "{fault:?}");
        assert_eq!(scene.delivered(LAKE), Vec::<String>::new());
        assert_eq!(scene.staged(), ["acme/rows/1"]);
    }
}

#[tokio::test]
async fn a_refused_copy_is_tried_again_at_once() {
    let refusals = [Fault::Throttle, Fault::Fail(PortErrorKind::Denied), Fault::Unreached];
    for fault in refusals {
        let mut scene = committed_with(&consumer_deletes(), fault).await;
        assert!(has(&scene, "refused-0-1"), "{fault:?}: an answer that surely had no effect is written down");
        // At once, or when the hold that a refusal opens lets its probe through.
        scene.tick_for(3).await;
        assert_delivered_once(&scene);
        assert_eq!(scene.copies().len(), 2, "{fault:?}");
        assert!(has(&scene, "attempt-0-2") && !has(&scene, "refused-0-2"));
    }
}

#[tokio::test]
async fn a_damaged_copy_is_never_called_published_whatever_the_endpoint_can_do() {
    for bits in 0..16_u8 {
        let (capabilities, declared) = crate::scene::capabilities(bits);
        let mut scene = Scene::new(&[&document("acme", &declared)]);
        scene.aws.set_capabilities(LAKE, capabilities);
        let Capabilities { conditional_copy, .. } = capabilities;
        let copying = if conditional_copy { "CopyObject" } else { "UploadPartCopy" };
        scene.aws.faults().on(copying).inject(Fault::Corrupt);
        scene.stage("acme/rows/1", rows(0, 3));
        scene.deliver(&[ID]).await;
        assert_eq!(scene.aws.faults().fired(), 1, "{capabilities:?}");

        let outcome = scene.outcomes(ID).await.remove(0);
        let standing = scene.aws.object(LAKE, &outcome.files[0].key).expect("the damaged copy");
        let sum = format!("{:016x}", checksum::crc64nvme(&standing.body));
        assert_ne!(sum, outcome.files[0].crc64nvme, "the fault hit the copy: {capabilities:?}");
        assert!(!has(&scene, "published-0") && !has(&scene, "receipt"), "{capabilities:?}");
        assert_eq!(scene.holds(ID), ["intent-1"], "{capabilities:?}");
        let code = scene.hold(ID, "intent-1").await.code.unwrap_or_default();
        assert!(["damaged_copy", "conflict"].contains(&code.as_str()), "{capabilities:?}: {code}");
        assert_eq!(scene.notices("acme"), Vec::<serde_json::Value>::new());
        assert_eq!(scene.staged(), ["acme/rows/1"]);
    }
}

#[tokio::test]
async fn what_is_published_has_the_checksum_that_the_outcome_names() {
    for bits in 0..16_u8 {
        let (capabilities, declared) = crate::scene::capabilities(bits);
        let mut scene = Scene::new(&[&document("acme", &declared)]);
        scene.aws.set_capabilities(LAKE, capabilities);
        scene.stage("acme/rows/1", rows(0, 3));
        scene.deliver(&[ID]).await;
        let outcome = scene.outcomes(ID).await.remove(0);
        let published: Published = scene.record(ID, 1, RecordName::Published(0)).await;
        let standing = scene.aws.object(LAKE, &published.key).expect("the file");
        let sum = format!("{:016x}", checksum::crc64nvme(&standing.body));
        assert_eq!((sum, standing.etag), (outcome.files[0].crc64nvme.clone(), published.etag));
    }
}

#[tokio::test]
async fn a_staged_file_that_was_tampered_with_is_not_published() {
    let (mut scene, outcome) = merged(&acme()).await;
    let temp = outcome.files[0].temp_key.as_str();
    let mut bytes = scene.aws.object(LAKE, temp).expect("the temp").body.to_vec();
    bytes[20] ^= 1;
    scene.aws.put_object(LAKE, temp, bytes);
    scene.unblock();
    scene.tick_for(20).await;
    assert_eq!(scene.delivered(LAKE), Vec::<String>::new());
    assert_eq!(scene.holds(ID), ["intent-1"]);
    assert_eq!(scene.hold(ID, "intent-1").await.code.as_deref(), Some("not_as_staged"));
    assert_eq!(scene.copies().len(), 0);
    assert_eq!(scene.staged(), ["acme/rows/1"]);
}

#[tokio::test]
async fn a_staged_file_that_changes_after_its_check_is_not_copied() {
    let (mut scene, outcome) = merged(&acme()).await;
    scene.unblock();
    // The copy of the first attempt is refused; meanwhile the file changes. It was checked before the attempt.
    scene.aws.faults().on("CopyObject").inject(Fault::Throttle);
    scene.ask(&Message::commit(ID, 1));
    scene.pipe.drive_now(10).await.expect("comes to rest");
    assert!(has(&scene, "refused-0-1"));
    scene.aws.put_object(LAKE, &outcome.files[0].temp_key, "something else");
    scene.run(60).await;
    assert_eq!(scene.delivered(LAKE), Vec::<String>::new());
    assert_eq!(scene.hold(ID, "intent-1").await.code.as_deref(), Some("not_as_staged"));
}

#[tokio::test]
async fn a_bucket_removed_between_merge_and_commit_holds_the_delivery() {
    let (mut scene, _) = merged(&acme()).await;
    scene.aws.remove_bucket(LAKE);
    scene.unblock();
    scene.tick_for(20).await;
    assert_eq!(scene.holds(ID), ["bucket"]);
    assert_eq!(scene.hold(ID, "bucket").await.code.as_deref(), Some("NoSuchBucket"));
    assert_eq!(scene.staged(), ["acme/rows/1"]);
}

#[tokio::test]
async fn a_temp_that_cannot_be_deleted_stops_nothing() {
    let (mut scene, outcome) = merged(&acme()).await;
    scene.aws.deny(ROLE, "s3:DeleteObject");
    scene.unblock();
    scene.ask(&Message::commit(ID, 1));
    scene.run(10).await;
    assert_delivered_once(&scene);
    assert_eq!(scene.temps(LAKE), [outcome.files[0].temp_key.clone()], "left to the lifecycle rule");
}
