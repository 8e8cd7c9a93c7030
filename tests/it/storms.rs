//! Faults by chance, while objects keep arriving and invocations race: a small forerunner of the simulation.

use std::collections::BTreeSet;

use landfall_core::delivery::Capabilities;
use landfall_core::error::PortErrorKind;
use landfall_core::keys::RecordName;
use landfall_core::record::Outcome;
use testkit::fake::Fault;

use crate::scene::{Scene, document, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const SEEDS: std::ops::Range<u64> = 0..15;
const FAULTS: [Fault; 14] = [
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::LostResponse,
    Fault::ErrorInside200,
    Fault::Throttle,
    Fault::Unreached,
    Fault::Panic,
    Fault::Fail(PortErrorKind::Denied),
    Fault::Fail(PortErrorKind::RoleRefused),
    Fault::Fail(PortErrorKind::BucketMissing),
    Fault::Fail(PortErrorKind::KeyRefused),
    Fault::Fail(PortErrorKind::CatalogRefused),
    Fault::Fail(PortErrorKind::QueueRefused),
    Fault::Fail(PortErrorKind::Conflict),
];

/// An hour of faults at one call in twenty, and then as many hours of calm as the longest wait takes. At first and
/// after each step the client does as it does.
async fn weathers(seed: u64, text: &str, mut client: impl FnMut(&Scene)) -> Scene {
    let mut scene = Scene::racing(&[text], 3);
    client(&scene);
    scene.aws.interleave(seed);
    scene.duplicate();
    scene.aws.faults().storm(seed, 20, &FAULTS);
    for part in 0..12_u64 {
        scene.stage(&format!("acme/rows/{part:02}"), rows(part * 5, 5));
        if part % 4 == 3 {
            scene.flush(ID);
        }
        for _ in 0..5 {
            scene.tick_for(1).await;
            client(&scene);
        }
    }
    scene.unblock();
    for _ in 0..36 {
        scene.tick();
        scene.run(600).await;
        client(&scene);
    }
    scene
}

fn all() -> Vec<i64> {
    (0..60).collect()
}

/// Every production key was written once, whatever stands there now.
fn assert_written_once(scene: &Scene, seed: u64) {
    let mut keys = BTreeSet::new();
    for event in scene.aws.s3_events(LAKE) {
        if event.key.starts_with("raw/") {
            assert!(keys.insert(event.key.clone()), "seed {seed}: {} was written twice", event.key);
        }
    }
}

async fn delivers_all(text: &str) {
    delivers_all_to(text, Capabilities::default()).await;
}

async fn delivers_all_to(text: &str, capabilities: Capabilities) {
    for seed in SEEDS {
        let client = |scene: &Scene| scene.aws.set_capabilities(LAKE, capabilities);
        let scene = weathers(seed, text, client).await;
        assert_eq!(scene.delivered_ids(LAKE), all(), "seed {seed}");
        assert_written_once(&scene, seed);
        assert_eq!(scene.staged(), Vec::<String>::new(), "seed {seed}");
        assert_eq!(scene.holds(ID), Vec::<String>::new(), "seed {seed}");
        let notices = scene.notices("acme");
        let told: BTreeSet<&str> =
            notices.iter().filter_map(|notice| notice["delivery_id"].as_str()).collect();
        let files = scene.aws.objects(LAKE, "raw/");
        let tag = |name: &str| -> BTreeSet<&str> {
            files.iter().filter_map(|file| file.attributes.tags.get(name).map(String::as_str)).collect()
        };
        assert_eq!(told, tag("delivery_id"), "seed {seed}: one id for each handing over");
    }
}

#[tokio::test]
async fn whatever_fails_and_whenever_every_row_arrives_once() {
    delivers_all(&document("acme", "")).await;
}

#[tokio::test]
async fn whatever_fails_and_whenever_an_ordered_delivery_arrives() {
    delivers_all(
        &document("acme", "").replace("dataset = \"rows\"", "dataset = \"rows\"\norder = \"delivery\""),
    )
    .await;
}

#[tokio::test]
async fn whatever_fails_and_whenever_a_consuming_client_gets_no_row_twice() {
    let text = document("acme", "")
        .replace("prefix = \"raw/rows/\"", "prefix = \"raw/rows/\"\nconsumer_deletes = true");
    for seed in SEEDS {
        let mut consumed = Vec::new();
        let scene = weathers(seed, &text, |scene| {
            consumed.extend(scene.delivered_ids(LAKE));
            for key in scene.delivered(LAKE) {
                scene.aws.delete_object(LAKE, &key);
            }
        })
        .await;
        consumed.sort_unstable();
        let distinct: BTreeSet<i64> = consumed.iter().copied().collect();
        assert_eq!(consumed.len(), distinct.len(), "seed {seed}: {consumed:?}");
        assert_written_once(&scene, seed);

        // What did not arrive is held under its own name, and its objects are still there.
        let mut held = 0;
        for resource in scene.holds(ID) {
            let hold = scene.hold(ID, &resource).await;
            assert_eq!(hold.code.as_deref(), Some("possible_duplicate"), "seed {seed}: {hold:?}");
            let outcome: Outcome = scene.record(ID, hold.n, RecordName::Outcome(1)).await;
            held += outcome.rows();
        }
        assert!(distinct.len() as u64 + held >= 60, "seed {seed}: {distinct:?} and {held} held");
        assert_eq!(held == 0, scene.staged().is_empty(), "seed {seed}");
    }
}

#[tokio::test]
async fn whatever_fails_and_whenever_a_lesser_endpoint_gets_every_row_once() {
    for bits in [0, 11] {
        let (capabilities, declared) = crate::scene::capabilities(bits);
        delivers_all_to(&document("acme", &declared), capabilities).await;
    }
}
