//! What executions that lost or died left below the hidden prefix is gone when an intent is closed.

use landfall_core::delivery::Capabilities;
use landfall_core::error::PortErrorKind;
use landfall_core::port::{Bucket, Destinations as _, ObjectAttributes, ObjectStore as _, Purpose};
use testkit::fake::Fault;

use crate::scene::{Scene, delivery, document, rows};
use crate::staged::{ID, LAKE, ROLE, assert_delivered, by_name, commit, merged};

/// A staged file and an unfinished upload of an execution that died.
async fn leave(scene: &Scene, prefix: &str) -> (String, String) {
    leave_of(scene, &format!("{prefix}dead")).await
}

async fn leave_of(scene: &Scene, execution: &str) -> (String, String) {
    let (temp, upload) = (format!("{execution}/00000.parquet"), format!("{execution}/00001.parquet"));
    scene.aws.put_object(LAKE, &temp, "half");
    let access = delivery(&by_name()).access();
    let bucket = Bucket { name: LAKE.to_owned(), owner: access.account.clone() };
    let client = scene.aws.destinations().open(&access, Purpose::Stage).await.expect("let in");
    let (attributes, capabilities) = (ObjectAttributes::default(), Capabilities::default());
    client.store.create_upload(&bucket, &upload, &attributes, &capabilities).await.expect("begins");
    (temp, upload)
}

fn prefix(n: u64) -> String {
    format!("_tmp/acme-rows/{n:020}/")
}

#[tokio::test]
async fn what_dead_executions_left_is_gone_when_the_intent_is_closed() {
    let (mut scene, _) = merged(&by_name()).await;
    leave(&scene, &prefix(1)).await;
    let (temp, upload) = leave(&scene, &prefix(2)).await;
    commit(&mut scene).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2]);
    assert_eq!(scene.temps(LAKE), [temp, upload], "what is another intent's is left to it");
}

#[tokio::test]
async fn leftovers_are_removed_however_many_pages_they_fill() {
    let (mut scene, _) = merged(&by_name()).await;
    for execution in 0..5 {
        leave_of(&scene, &format!("{}dead-{execution}", prefix(1))).await;
    }
    scene.aws.set_page_size(2);
    commit(&mut scene).await;
    assert_delivered(&scene);
}

#[tokio::test]
async fn uploads_that_cannot_be_aborted_are_not_listed_for_ever() {
    let (mut scene, _) = merged(&by_name()).await;
    for execution in 0..5 {
        leave_of(&scene, &format!("{}dead-{execution}", prefix(1))).await;
    }
    scene.aws.set_page_size(2);
    scene.aws.deny(ROLE, "s3:AbortMultipartUpload");
    commit(&mut scene).await;
    assert!(crate::staged::has(&scene, "closed"));
    assert_eq!(scene.aws.uploads(LAKE).len(), 5);
    assert_eq!(scene.aws.calls_of("ListMultipartUploads").len(), 1);
}

#[tokio::test]
async fn leftovers_that_cannot_be_found_or_removed_do_not_keep_an_intent_open() {
    let denials: [fn(&Scene); 4] = [
        |scene| scene.aws.deny(ROLE, "s3:ListBucketMultipartUploads"),
        |scene| scene.aws.deny(ROLE, "s3:AbortMultipartUpload"),
        |scene| {
            let denied = Fault::Fail(PortErrorKind::Denied);
            scene.aws.faults().on("ListObjectsV2").key(&prefix(1)).forever().inject(denied);
        },
        |scene| scene.aws.faults().on("ListMultipartUploads").inject(Fault::LostResponse),
    ];
    for deny in denials {
        let (mut scene, _) = merged(&by_name()).await;
        let (temp, upload) = leave(&scene, &prefix(1)).await;
        deny(&scene);
        commit(&mut scene).await;
        assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2]);
        assert!(crate::staged::has(&scene, "closed"));
        assert_eq!(scene.holds(ID), Vec::<String>::new());
        let left = scene.temps(LAKE);
        assert!(
            left == [upload.clone()] || left == [temp.clone()],
            "the other is gone all the same: {left:?}"
        );
    }
}

#[tokio::test]
async fn a_crash_before_leftovers_are_removed_leaves_them_to_the_next_commit() {
    let (mut scene, _) = merged(&by_name()).await;
    leave(&scene, &prefix(1)).await;
    scene.aws.faults().on("ListMultipartUploads").inject(Fault::CrashBefore);
    commit(&mut scene).await;
    scene.tick_for(120).await;
    assert_delivered(&scene);
}

#[tokio::test]
async fn an_intent_without_files_is_closed_without_a_look_at_the_client() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.stage("acme/rows/empty", "\n");
    scene.deliver(&[ID]).await;
    assert!(crate::staged::has(&scene, "closed"));
    assert_eq!(scene.aws.calls_of("ListMultipartUploads").len(), 0);
    scene.stage("acme/rows/1", rows(0, 3));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.aws.calls_of("ListMultipartUploads").len(), 1);
}
