//! What only a client can mend: the destination is held, everybody else goes on, the repair is noticed.

use landfall_core::keys;
use landfall_core::record::Hold;

use crate::scene::{Scene, delivery, document, rows};

const ACME_ROLE: &str = "arn:aws:iam::222222222222:role/landfall-delivery";

/// Breaks acme's account, delivers for two clients, mends it, and looks on.
async fn breaks_and_mends(breaking: impl Fn(&Scene), resource: &str, mending: impl Fn(&Scene)) {
    let mut scene = Scene::new(&[&document("acme", ""), &document("globex", "")]);
    breaking(&scene);
    scene.stage("acme/rows/a", rows(0, 2));
    scene.stage("globex/rows/g", rows(10, 2));
    scene.deliver(&["acme-rows", "globex-rows"]).await;

    assert_eq!(scene.delivered_ids("globex-lake"), [10, 11], "the other client is served");
    assert_eq!(scene.holds("acme-rows"), [resource]);
    assert_eq!(scene.notices("acme"), Vec::<serde_json::Value>::new());
    let key = keys::hold("acme-rows", resource);
    let hold: Hold = scene.ledger().must_read(&key).await.expect("the hold");
    assert_eq!(hold.class.as_str(), "client_fixable");
    assert!(hold.not_before > hold.first_failure && hold.attempts >= 1, "{hold:?}");
    assert!(!hold.detail.contains("external-id-of-acme"), "{}", hold.detail);

    mending(&scene);
    scene.tick_for(60).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1], "served within the hour of the repair");
    assert_eq!(scene.holds("acme-rows"), Vec::<String>::new());
    assert_eq!(scene.notices("acme").len(), 1);
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed() {
    breaks_and_mends(
        |scene| scene.aws.remove_role(ACME_ROLE),
        "role",
        |scene| {
            scene.aws.admit_client(&delivery(&document("acme", "")).access());
        },
    )
    .await;
}

#[tokio::test]
async fn a_missing_glue_permission() {
    breaks_and_mends(
        |scene| scene.aws.deny(ACME_ROLE, "glue:CreateTable"),
        "catalog",
        |scene| scene.aws.allow_again(ACME_ROLE),
    )
    .await;
}

#[tokio::test]
async fn a_missing_client_queue() {
    breaks_and_mends(
        |scene| scene.aws.remove_queue("arn:aws:sqs:eu-central-1:222222222222:acme-etl"),
        "queue",
        |scene| {
            scene.aws.admit_client(&delivery(&document("acme", "")).access());
        },
    )
    .await;
}

#[tokio::test]
async fn a_bucket_that_refuses_to_be_written() {
    breaks_and_mends(
        |scene| scene.aws.deny(ACME_ROLE, "s3:PutObject"),
        "bucket",
        |scene| scene.aws.allow_again(ACME_ROLE),
    )
    .await;
}
