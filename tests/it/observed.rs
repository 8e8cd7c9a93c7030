//! What can be seen from outside: counts that match what was delivered, and no secret anywhere.

use std::io;
use std::sync::{Arc, Mutex};

use landfall_core::keys::CONFIG_PREFIX;
use landfall_lambda::metrics::{self, Metric};
use landfall_lambda::telemetry::JsonLines;
use serde_json::json;
use testkit::fake::Fault;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::scene::{Scene, delivery, document, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const ROLE: &str = "arn:aws:iam::222222222222:role/landfall-delivery";

/// What is counted of acme's delivery.
#[track_caller]
fn assert_totals(scene: &Scene, expected: &[(&Metric, u64)]) {
    for (metric, value) in expected {
        assert_eq!(scene.total(metric, Some(ID)), *value, "{}", metric.name);
    }
}

#[tokio::test]
async fn counts_say_what_came_in_and_what_went_out() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    let (good, mixed) = (rows(0, 3), format!("{}not json\n{{\"name\":\"no id\"}}\n", rows(3, 2)));
    scene.stage("acme/rows/1", good.clone());
    scene.run(7).await;
    scene.stage("acme/rows/2", mixed.clone());
    scene.stage("acme/rows/3.gz", "not gzip, but plain text that no JSON reader takes: \u{0}");
    scene.deliver(&[ID]).await;

    let file = scene.aws.object(LAKE, &scene.delivered(LAKE)[0]).expect("the file");
    let third = 53;
    let expected = [
        (&metrics::FILES_IN, 3),
        (&metrics::BYTES_IN, (good.len() + mixed.len() + third) as u64),
        (&metrics::ROWS_IN, 8),
        (&metrics::ROWS_REJECTED, 3),
        (&metrics::FILES_OUT, 1),
        (&metrics::BYTES_OUT, file.size()),
        (&metrics::ROWS_OUT, 5),
        (&metrics::INTENTS_PLANNED, 1),
        (&metrics::NOTICES_SENT, 1),
        (&metrics::DELIVERIES_HELD, 0),
        // Staged 38 s before the flush was planned: 7 s, the second of `deliver`, and a slot.
        (&metrics::FRESHNESS_LAG, 38),
    ];
    assert_totals(&scene, &expected);

    // What is only repeated is not counted again.
    for kind in ["merge", "commit", "notify"] {
        scene.repeat(&json!({"v":1,"kind":kind,"delivery":ID,"n":1}).to_string());
    }
    scene.tick_for(30).await;
    assert_totals(&scene, &expected);
}

#[tokio::test]
async fn rescued_and_repeated_records_are_counted() {
    let policies = "version = 3\non_violation = \"rescue\"\nunique_key = [\"id\"]";
    let mut scene = Scene::new(&[&document("acme", "").replace("version = 3", policies)]);
    scene.stage("acme/rows/1", format!("{}{{\"id\":7,\"name\":\"x\",\"new\":1}}\n", rows(0, 3)));
    scene.stage("acme/rows/2", rows(2, 2));
    scene.deliver(&[ID]).await;
    let counted = [(&metrics::ROWS_OUT, 5), (&metrics::ROWS_RESCUED, 1), (&metrics::ROWS_REJECTED, 1)];
    assert_totals(&scene, &counted);
}

#[tokio::test]
async fn work_done_again_after_a_crash_is_counted_once() {
    for (operation, key) in [("PutObject", "/outcome"), ("PutObject", "/closed"), ("CopyObject", "raw/")] {
        let mut scene = Scene::new(&[&document("acme", "")]);
        scene.aws.faults().on(operation).key(key).inject(Fault::CrashBefore);
        scene.stage("acme/rows/1", rows(0, 3));
        scene.deliver(&[ID]).await;
        scene.tick_for(60).await;
        assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2]);
        assert_totals(&scene, &[(&metrics::ROWS_IN, 3), (&metrics::ROWS_OUT, 3), (&metrics::FILES_OUT, 1)]);
    }
}

#[tokio::test]
async fn held_and_refused_deliveries_are_counted_under_their_own_name() {
    let broken = document("globex", "").replace("type = \"int64\"", "type = \"int65\"");
    let mut scene = Scene::new(&[&document("acme", ""), &broken]);
    scene.aws.remove_role(ROLE);
    scene.stage("acme/rows/1", rows(0, 3));
    scene.deliver(&[ID]).await;
    assert!(scene.total(&metrics::DELIVERIES_HELD, Some(ID)) >= 1);
    assert_eq!(scene.total(&metrics::DELIVERIES_HELD, Some("globex-rows")), 0);
    assert_eq!(scene.total(&metrics::DELIVERIES_REFUSED, None), 0);
    scene.tick();
    scene.run(1).await;
    assert_eq!(scene.total(&metrics::DELIVERIES_REFUSED, None), 1, "once a sweep");
    assert_totals(&scene, &[(&metrics::FILES_IN, 0), (&metrics::ROWS_OUT, 0)]);
}

/// Where the functions of a test write their log to.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics in it").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything of the state bucket as text, but for the documents themselves.
fn state_as_text(scene: &Scene) -> Vec<(String, String)> {
    let objects = scene.aws.objects("state", "");
    let kept = objects.into_iter().filter(|object| !object.key.starts_with(CONFIG_PREFIX));
    kept.map(|object| {
        let bytes = zstd::decode_all(object.body.as_ref()).unwrap_or_else(|_| object.body.to_vec());
        (object.key, String::from_utf8_lossy(&bytes).into_owned())
    })
    .collect()
}

#[tokio::test]
async fn no_external_id_is_ever_written_anywhere() {
    let sink = Sink::default();
    let refused =
        document("globex", "").replace("external-id-of-globex", "external-id-of-globex with spaces");
    let mut scene = Scene::new(&[&document("acme", ""), &refused]);
    let subscriber = tracing_subscriber::registry().with(JsonLines::new(scene.aws.clock(), sink.clone()));
    let logging = tracing::subscriber::set_default(subscriber);
    // A role that refuses, a catalog, a queue, a bucket; then a document that is wrong while work is open.
    scene.stage("acme/rows/1", format!("{}not json\n", rows(0, 2)));
    scene.aws.remove_role(ROLE);
    scene.deliver(&[ID]).await;
    scene.aws.admit_client(&delivery(&document("acme", "")).access());
    for denied in ["glue:CreateTable", "sqs:SendMessage", "s3:PutObject"] {
        scene.aws.deny(ROLE, denied);
        scene.tick_for(20).await;
        scene.aws.allow_again(ROLE);
        scene.stage(&format!("acme/rows/{denied}"), rows(10, 2));
    }
    scene.configure(&document("acme", "").replace("external-id-of-acme", "external-id-of-acme with spaces"));
    scene.tick_for(20).await;
    scene.configure(&document("acme", ""));
    scene.tick_for(60).await;
    drop(logging);

    assert_eq!(scene.holds(ID), Vec::<String>::new());
    assert_eq!(scene.delivered_ids(LAKE).len(), 8);
    let secret = "external-id-of";
    let log = String::from_utf8(sink.0.lock().expect("the log").clone()).expect("text");
    assert!(log.contains("refused") && log.contains("AccessDenied"), "the log saw the failures");
    let mut shown = vec![("the log".to_owned(), log)];
    shown.extend(state_as_text(&scene));
    shown.extend(scene.aws.calls().into_iter().map(|call| (call.operation.to_owned(), format!("{call:?}"))));
    shown.extend(scene.notices("acme").into_iter().map(|notice| ("a notice".to_owned(), notice.to_string())));
    shown.extend(scene.aws.objects(LAKE, "").into_iter().map(|file| (file.key.clone(), format!("{file:?}"))));
    for (place, text) in shown {
        assert!(!text.contains(secret), "{place}: {text}");
    }
}
