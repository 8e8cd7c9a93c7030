//! A delivery of generated objects, and a producer that stages them.

use std::sync::Arc;

use landfall_core::port::Clock as _;
use sample_records::{READINGS, Records, Subject};
use testkit::fake::{FunctionHandles, HOME_REGION, S3Event, notification_body};
use testkit::generated::{Chunks, Generated, GeneratedDestinations, GeneratedStore, Watch};

use crate::architecture;
use crate::scene::Scene;

/// The delivery's id.
pub const ID: &str = "acme-rows";
/// The client's bucket.
pub const LAKE: &str = "acme-lake";
const PREFIX: &str = "acme/rows/";
/// Events of a notification message: S3 sends one.
const STAGING: &str = "staging";

/// A stack that delivers generated objects, and what they are like.
pub struct Production {
    /// The stack.
    pub scene: Scene,
    /// The staging bucket and the lake.
    pub buckets: Generated,
    object_bytes: u64,
    staged: u64,
}

/// The delivery of a subject, without partitions.
fn document(subject: Subject, target_bytes: u64) -> String {
    let example = |path: &str| {
        let text = architecture::read(path);
        let contract = text.split_once("\n[contract]").expect("a contract").1;
        contract.split_once("\n[layout]").expect("a layout").0.to_owned()
    };
    let contract = match subject {
        Subject::Catalogue => example("docs/examples/product-catalogue.toml"),
        Subject::Clicks => example("docs/examples/click-events.toml"),
        Subject::Readings => READINGS.to_owned(),
    };
    let row_group = target_bytes.min(32 << 20);
    format!(
        r#"
version = 1
id = "{ID}"
tenant = "acme"
dataset = "rows"
[source]
prefix = "{PREFIX}"
[destination]
role_arn = "arn:aws:iam::222222222222:role/landfall-delivery"
external_id = "external-id-of-acme"
region = "{HOME_REGION}"
bucket = "{LAKE}"
prefix = "raw/rows/"
[contract]{contract}
[layout]
target_bytes = {target_bytes}
row_group_bytes = {row_group}
max_latency_seconds = 86400
[catalog.glue]
database = "acme_raw"
table = "rows"
[[notify.queue]]
arn = "arn:aws:sqs:{HOME_REGION}:222222222222:acme-etl"
"#
    )
}

impl Production {
    /// Objects of `object_bytes` each.
    pub fn new(subject: Subject, object_bytes: u64, target_bytes: u64, watch: Option<Watch>) -> Self {
        let make = Arc::new(move |key: &str, size: u64| -> Chunks {
            let number = key.trim_start_matches(PREFIX).trim_end_matches(".jsonl").parse();
            Box::new(Records::new(subject, number.expect("our own key"), size))
        });
        let buckets = Generated::new(STAGING, &[LAKE], make);
        let buckets = match watch {
            Some(watch) => buckets.watched(watch),
            None => buckets,
        };
        let scene = Scene::over(
            &[&document(subject, target_bytes)],
            |FunctionHandles { store, queue, destinations }| {
                let store = GeneratedStore::new(&buckets, store);
                (store, queue, GeneratedDestinations::new(&buckets, destinations))
            },
        );
        Self { scene, buckets, object_bytes, staged: 0 }
    }

    /// Objects staged so far.
    pub fn staged(&self) -> u64 {
        self.staged
    }

    /// Stages objects; what S3 tells of each.
    pub fn stage(&mut self, objects: u64) -> Vec<S3Event> {
        let now = self.scene.aws.clock().now();
        let numbers = self.staged..self.staged + objects;
        self.staged = numbers.end;
        let event = |number: u64| {
            let key = format!("{PREFIX}{number:08}.jsonl");
            self.buckets.stage(&key, self.object_bytes, now);
            S3Event {
                name: "ObjectCreated:Put",
                bucket: STAGING.to_owned(),
                key,
                etag: "0".repeat(32),
                size: self.object_bytes,
                version_id: Some("v1".to_owned()),
                sequencer: format!("{number:018X}"),
                time: now,
            }
        };
        numbers.map(event).collect()
    }

    /// Tells of an event, as S3 does.
    pub fn announce(&self, event: &S3Event) {
        self.scene.intake(&notification_body(std::slice::from_ref(event), HOME_REGION));
    }
}
