//! What only a client can mend: the destination is held, everybody else goes on, the repair is noticed.

mod herd;
mod limit;
mod passing;
mod probes;
mod told;

use landfall_core::error::{ErrorClass, PortErrorKind};
use landfall_core::hold::Breakage;
use landfall_core::message::Message;
use landfall_core::port::Encryption;
use testkit::fake::Fault;

use crate::scene::{Scene, delivery, document, rows};

const ACME_ROLE: &str = "arn:aws:iam::222222222222:role/landfall-delivery";

fn breakage(resource: &str) -> Breakage {
    Breakage {
        resource: resource.to_owned(),
        class: ErrorClass::ClientFixable,
        code: Some("AccessDenied".to_owned()),
        detail: "refused".to_owned(),
    }
}

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
    let hold = scene.hold("acme-rows", resource).await;
    assert_eq!(hold.class.as_str(), "client_fixable");
    assert!(hold.not_before > hold.first_failure && hold.attempts >= 1, "{hold:?}");
    assert!(!hold.detail.contains("external-id-of-acme"), "{}", hold.detail);

    mending(&scene);
    scene.tick_for(60).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1], "served within the hour of the repair");
    assert_eq!(scene.holds("acme-rows"), Vec::<String>::new());
    assert_eq!(scene.notices("acme").len(), 1);
    assert_eq!(scene.staged(), Vec::<String>::new());
    assert_eq!(scene.handed_out_again(), Vec::<String>::new(), "nothing was kept waiting in a queue");
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
async fn a_missing_client_queue_delays_the_notice_and_not_the_rows() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.aws.remove_queue("arn:aws:sqs:eu-central-1:222222222222:acme-etl");
    scene.stage("acme/rows/a", rows(0, 2));
    scene.deliver(&["acme-rows"]).await;
    assert_eq!(scene.holds("acme-rows"), ["queue"]);
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1], "during the outage");
    scene.stage("acme/rows/b", rows(2, 1));
    scene.deliver(&["acme-rows"]).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2], "and what comes later as well");
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

#[tokio::test]
async fn an_outage_of_hours_ends_within_the_hour_of_the_repair() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.aws.remove_role(ACME_ROLE);
    scene.stage("acme/rows/a", rows(0, 2));
    scene.tick_for(6 * 60).await;
    scene.stage("acme/rows/b", rows(2, 2));
    scene.tick_for(6 * 60).await;
    assert_eq!(scene.holds("acme-rows"), ["role"]);
    let hold = scene.hold("acme-rows", "role").await;
    let down = hold.not_before.duration_since(hold.first_failure);
    assert!(down.as_hours() >= 11, "one outage, not many: {hold:?}");
    assert!(hold.attempts < 12 * 6, "a held client is not hammered: {hold:?}");

    scene.aws.admit_client(&delivery(&document("acme", "")).access());
    scene.tick_for(60).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2, 3]);
    assert_eq!(scene.holds("acme-rows"), Vec::<String>::new());
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[tokio::test]
async fn a_document_that_breaks_while_its_intent_is_open_and_is_mended() {
    for queue in ["work", "commit", "notify"] {
        let mut scene = Scene::new(&[&document("acme", "")]);
        scene.block(queue);
        scene.stage("acme/rows/a", rows(0, 2));
        scene.deliver(&["acme-rows"]).await;
        scene.unblock();
        scene.configure(&document("acme", "").replace("type = \"int64\"", "type = \"int65\""));
        for message in
            [Message::merge("acme-rows", 1), Message::commit("acme-rows", 1), Message::notify("acme-rows", 1)]
        {
            scene.ask(&message);
        }
        scene.stage("acme/rows/b", rows(2, 2));
        scene.tick_for(60).await;
        assert_eq!(scene.holds("acme-rows"), ["configuration"], "{queue}");
        assert_eq!(scene.notices("acme"), Vec::<serde_json::Value>::new(), "{queue}");

        scene.configure(&document("acme", ""));
        scene.tick_for(60).await;
        assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2, 3], "{queue}: served within the hour");
        assert_eq!(scene.holds("acme-rows"), Vec::<String>::new(), "{queue}");
        assert_eq!(scene.staged(), Vec::<String>::new(), "{queue}");
        scene.stage("acme/rows/c", rows(4, 1));
        scene.deliver(&["acme-rows"]).await;
        assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2, 3, 4], "{queue}: later objects too");
    }
}

#[tokio::test]
async fn a_hold_without_open_work_is_probed_by_the_next_object() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    // As a message leaves it behind that came late.
    scene.note("acme-rows", 1, &breakage("role")).await;
    scene.stage("acme/rows/a", rows(0, 2));
    scene.tick_for(5).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1]);
    assert_eq!(scene.holds("acme-rows"), Vec::<String>::new());
}

#[tokio::test]
async fn an_intent_that_waits_for_its_operator_does_not_keep_a_mended_bucket_held() {
    let text = document("acme", "")
        .replace("prefix = \"raw/rows/\"", "prefix = \"raw/rows/\"\nconsumer_deletes = true");
    let mut scene = Scene::new(&[&text]);
    scene.aws.faults().on("CopyObject").inject(Fault::CrashBefore);
    scene.stage("acme/rows/a", rows(0, 2));
    scene.deliver(&["acme-rows"]).await;
    scene.tick_for(20).await;
    assert_eq!(scene.holds("acme-rows"), ["intent-1"]);
    // The bucket refused while only this intent was under way, and does not any more when it is looked at again.
    scene.note("acme-rows", 1, &breakage("bucket")).await;
    assert_eq!(scene.holds("acme-rows"), ["bucket", "intent-1"]);

    scene.stage("acme/rows/b", rows(2, 2));
    scene.tick_for(60).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [2, 3], "what holds one intent holds no other");
    assert_eq!(scene.holds("acme-rows"), ["intent-1"]);
}

#[tokio::test]
async fn a_key_that_is_disabled_between_merge_and_commit() {
    const KEY: &str = "arn:aws:kms:eu-central-1:222222222222:key/11111111-2222-3333-4444-555555555555";
    let text = document("acme", "")
        .replace("prefix = \"raw/rows/\"", &format!("prefix = \"raw/rows/\"\nkms_key_arn = \"{KEY}\""));
    let mut scene = Scene::new(&[&text]);
    scene.block("commit");
    scene.stage("acme/rows/a", rows(0, 2));
    scene.deliver(&["acme-rows"]).await;
    let encrypted = |scene: &Scene, prefix: &str| {
        let files = scene.aws.objects("acme-lake", prefix);
        files.len() == 1
            && files.iter().all(|file| file.attributes.encryption == Encryption::Kms(KEY.to_owned()))
    };
    assert!(encrypted(&scene, "_tmp/"));

    scene.aws.set_kms_key(KEY, false);
    scene.unblock();
    scene.ask(&Message::commit("acme-rows", 1));
    scene.run(60).await;
    assert_eq!(scene.holds("acme-rows"), ["key"]);
    assert_eq!(scene.delivered("acme-lake"), Vec::<String>::new());

    scene.aws.set_kms_key(KEY, true);
    scene.tick_for(60).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1]);
    assert!(encrypted(&scene, "raw/"));
    assert_eq!(scene.holds("acme-rows"), Vec::<String>::new());
}

#[tokio::test]
async fn a_catalog_that_the_document_no_longer_names_holds_nobody() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.aws.deny(ACME_ROLE, "glue:CreateTable");
    scene.stage("acme/rows/a", rows(0, 2));
    scene.deliver(&["acme-rows"]).await;
    assert_eq!(scene.holds("acme-rows"), ["catalog"]);

    let text = document("acme", "");
    let (head, tail) = text.split_once("[catalog.glue]").expect("the document names a catalog");
    let (_, tail) = tail.split_once("[[notify.queue]]").expect("and a queue");
    scene.configure(&format!("{head}[[notify.queue]]{tail}"));
    scene.tick_for(60).await;
    assert_eq!(scene.holds("acme-rows"), Vec::<String>::new());
    assert_eq!(scene.notices("acme").len(), 1);
    scene.stage("acme/rows/b", rows(2, 1));
    scene.deliver(&["acme-rows"]).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2]);
}

#[tokio::test]
async fn a_refusal_no_setting_explains_holds_its_own_intent_and_no_other() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    // Such as a 501 of an endpoint that can do less than its document says.
    let staging = scene.aws.faults().on("PutObject").resource("acme-lake").forever();
    staging.inject(Fault::Fail(PortErrorKind::Invalid));
    scene.stage("acme/rows/a", rows(0, 2));
    scene.deliver(&["acme-rows"]).await;
    assert_eq!(scene.holds("acme-rows"), ["intent-1"]);
    assert_eq!(scene.hold("acme-rows", "intent-1").await.class.as_str(), "permanent");

    scene.aws.faults().clear();
    scene.tick_for(60).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1]);
    assert_eq!(scene.holds("acme-rows"), Vec::<String>::new());
}
