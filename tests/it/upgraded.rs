//! Another build of the engine between two executions of an intent: whoever planned, staged or decided, one outcome holds and
//! every row is delivered once.

use std::io;
use std::sync::{Arc, Mutex};

use landfall_core::delivery::{ENGINE_FORMAT, PinnedConfig};
use landfall_core::keys::{self, RecordName};
use landfall_core::message::Message;
use landfall_core::record::{self, Intent, Outcome};
use landfall_lambda::telemetry::JsonLines;
use serde::Serialize;
use testkit::fake::Fault;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::scene::{Scene, document, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const OLDER: &str = "an-older-build";

/// Puts a record into the log as another build does.
fn put(scene: &Scene, key: &str, value: &impl Serialize) {
    scene.aws.put_object("state", key, record::encode(key, value).expect("a record"));
}

/// Makes the first intent one that another build planned.
async fn planned_by_an_older_build(scene: &Scene) {
    let intent = scene.ledger().intent(ID, 1).await.expect("the intent");
    let pin = scene.ledger().pin(ID, &intent.pin).await.expect("its pin");
    assert_eq!(pin.engine, ENGINE_FORMAT);
    let pin = PinnedConfig { engine: OLDER.to_owned(), ..pin };
    put(scene, &keys::pin(ID, &pin.hash()), &pin);
    let intent = Intent { pin: pin.hash(), ..intent };
    put(scene, &keys::record(ID, 1, RecordName::Intent), &intent);
}

/// A delivery whose first intent, of two objects, is planned and not merged.
async fn planned(text: &str) -> Scene {
    let mut scene = Scene::new(&[text]);
    scene.stage("acme/rows/a", rows(0, 20));
    scene.stage("acme/rows/b", rows(20, 20));
    scene.block("work");
    scene.deliver(&[ID]).await;
    scene.unblock();
    scene
}

/// What holds in the end, whoever did what.
async fn assert_delivered_once(scene: &Scene, by: &str) -> Outcome {
    assert_eq!(scene.delivered_ids(LAKE), (0..40).collect::<Vec<i64>>());
    let mut outcomes = scene.outcomes(ID).await;
    assert_eq!(outcomes.len(), 1, "one outcome");
    assert!(!scene.record_names(ID, 1).contains(&"outcome-2".to_owned()));
    let outcome = outcomes.remove(0);
    assert_eq!(outcome.engine, by);
    assert_eq!(scene.copies().len(), outcome.files.len());
    assert_eq!(scene.temps(LAKE), Vec::<String>::new());
    assert_eq!(scene.staged(), Vec::<String>::new());
    assert_eq!(scene.holds(ID), Vec::<String>::new());
    assert_eq!(scene.notices("acme").len(), 1);
    outcome
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

#[tokio::test]
async fn an_intent_that_another_build_planned_is_merged_and_delivered_once() {
    let mut scene = planned(&document("acme", "")).await;
    planned_by_an_older_build(&scene).await;
    scene.tick_for(40).await;
    assert_delivered_once(&scene, ENGINE_FORMAT).await;
}

#[tokio::test]
async fn what_a_dead_execution_of_another_build_staged_is_replaced_and_removed() {
    let mut scene = planned(&document("acme", "")).await;
    planned_by_an_older_build(&scene).await;
    // The execution dies when all is staged, and what it staged is not what this build would have made.
    scene.aws.faults().on("PutObject").key("/outcome").inject(Fault::CrashBefore);
    scene.ask(&Message::merge(ID, 1));
    scene.run(1).await;
    let [temp] = scene.temps(LAKE).try_into().expect("one staged file");
    scene.aws.put_object(LAKE, &temp, "the bytes of another build");
    scene.aws.put_object(LAKE, &temp.replace(".parquet", "-second.parquet"), "and one file more");
    scene.tick_for_hours(3).await;
    let outcome = assert_delivered_once(&scene, ENGINE_FORMAT).await;
    assert!(outcome.files.iter().all(|file| file.temp_key != temp));
}

/// The same inputs merged by `build`, which makes other bytes of the same rows: what it staged and its outcome.
async fn decided_by(build: &str) -> (Outcome, Vec<(String, bytes::Bytes)>) {
    let otherwise = document("acme", "").replace("[layout]\n", "[layout]\ncompression = \"snappy\"\n");
    let mut scene = planned(&otherwise).await;
    scene.block("commit");
    scene.ask(&Message::merge(ID, 1));
    scene.run(1).await;
    let outcome = scene.outcomes(ID).await.remove(0);
    let staged = scene.aws.objects(LAKE, "_tmp/");
    (
        Outcome { engine: build.to_owned(), ..outcome },
        staged.into_iter().map(|file| (file.key.replace("/1/", "/1/of-another-"), file.body)).collect(),
    )
}

/// An execution that stands still before its outcome, while one of `build` decides: what is delivered, and what the log says of
/// outcomes that differ.
async fn overtaken_by(build: &str, same_bytes: bool) -> usize {
    let sink = Sink::default();
    let mut scene = planned(&document("acme", "")).await;
    planned_by_an_older_build(&scene).await;
    let subscriber = tracing_subscriber::registry().with(JsonLines::new(scene.aws.clock(), sink.clone()));
    let logging = tracing::subscriber::set_default(subscriber);
    let frozen = Fault::Freeze { seconds: 300, dies: false };
    scene.aws.faults().on("PutObject").key("/outcome").inject(frozen);
    scene.ask(&Message::merge(ID, 1));
    scene.run(10).await;
    assert_eq!(scene.pipe.frozen(), 1);
    let [ours] = scene.temps(LAKE).try_into().expect("what this build staged");

    let (mut theirs, mut staged) = decided_by(build).await;
    if same_bytes {
        staged[0].1 = scene.aws.object(LAKE, &ours).expect("what this build staged").body;
    }
    let stored = scene.aws.put_object(LAKE, &staged[0].0, staged[0].1.clone());
    let file = &mut theirs.files[0];
    file.temp_key.clone_from(&stored.key);
    file.etag.clone_from(&stored.etag);
    file.bytes = stored.size();
    file.crc64nvme = format!("{:016x}", stored.crc64nvme.expect("a checksum"));
    put(&scene, &keys::record(ID, 1, RecordName::Outcome(1)), &theirs);
    scene.run(301).await;
    assert_eq!(scene.pipe.frozen(), 0);
    assert!(scene.aws.object(LAKE, &ours).is_none(), "the loser removes its own");
    scene.tick_for(40).await;
    drop(logging);

    let outcome = assert_delivered_once(&scene, build).await;
    assert_eq!(outcome, theirs, "the first outcome holds");
    let file = &scene.aws.objects(LAKE, "raw/")[0];
    assert_eq!(file.body, staged[0].1, "what the winner staged");
    let log = String::from_utf8(sink.0.lock().expect("the log").clone()).expect("text");
    log.matches("outcome_mismatch").count()
}

#[tokio::test]
async fn the_outcome_of_another_build_is_adopted_and_the_losers_files_are_removed() {
    assert_eq!(overtaken_by(OLDER, false).await, 0, "of another build other bytes are expected");
}

#[tokio::test]
async fn two_outcomes_of_one_build_that_differ_are_told_of() {
    assert_eq!(overtaken_by(ENGINE_FORMAT, false).await, 1);
    assert_eq!(overtaken_by(ENGINE_FORMAT, true).await, 0);
}
