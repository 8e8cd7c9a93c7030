//! Fair shares: a tenant's storm leaves the others' latency alone, and a thousand deliveries are served in time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use landfall_core::port::Clock as _;

use crate::scene::{Scene, document, rows};

/// How long invocations take, in seconds: a merge of a full file takes about a minute.
const BUSY: [(&str, i64); 5] = [("intake", 1), ("plan", 2), ("work", 60), ("commit", 10), ("notify", 1)];
/// Merges of one tenant that may be under way, as the scene's compactor is configured.
const TENANT_MERGES: usize = 64;
/// Objects of the storm, each in a partition and so in an intent of its own.
const STORM: u64 = 200;

/// A delivery whose objects are each merged alone: every key names its own partition.
fn partitioned(tenant: &str) -> String {
    let level = "[[layout.partition]]\nname = \"lot\"\nsource = \"key\"\n[catalog.glue]";
    document(tenant, "").replace("[catalog.glue]", level)
}

fn stage_storm(scene: &Scene, first: u64) {
    for part in first..first + STORM {
        scene.stage(&format!("acme/rows/lot={part:04}/x"), rows(1_000_000 + part, 1));
    }
}

/// Seconds from staging to visibility of each staged row, sorted.
fn lags(scene: &Scene, buckets: &[&str], staged: &BTreeMap<i64, Timestamp>) -> Vec<i64> {
    let mut lags = Vec::new();
    let mut seen = BTreeSet::new();
    for file in buckets.iter().flat_map(|bucket| scene.aws.objects(bucket, "raw/")) {
        for (id, _) in crate::parquet_rows::read(&file.body) {
            if let Some(at) = staged.get(&id) {
                lags.push(file.last_modified.duration_since(*at).as_secs());
                assert!(seen.insert(id), "row {id} arrived twice");
            }
        }
    }
    assert_eq!(seen.len(), staged.len(), "every row arrives");
    lags.sort_unstable();
    lags
}

fn p99(sorted: &[i64]) -> i64 {
    sorted[(sorted.len() * 99).div_ceil(100) - 1]
}

/// The lags of globex, which stages an object every half minute for an hour, with two storms of acme or without.
async fn lags_of_globex(storms: bool) -> Vec<i64> {
    let mut scene = Scene::paced(&[&partitioned("acme"), &document("globex", "")], &BUSY);
    scene.tick_for(3).await;
    let mut staged = BTreeMap::new();
    for half_minute in 0..120 {
        if half_minute % 2 == 0 {
            scene.tick();
        }
        if storms && (half_minute == 10 || half_minute == 60) {
            stage_storm(&scene, half_minute * 100);
        }
        scene.stage(&format!("globex/rows/{half_minute:03}"), rows(half_minute, 1));
        staged.insert(half_minute.cast_signed(), scene.aws.clock().now());
        scene.run(30).await;
    }
    scene.tick_for(30).await;
    if storms {
        let rows = scene.delivered_ids("acme-lake").len() as u64;
        assert_eq!(rows, 2 * STORM, "the storm is delivered as well");
    }
    lags(&scene, &["globex-lake"], &staged)
}

#[tokio::test]
async fn a_storm_of_one_tenant_leaves_the_latency_of_another_alone() {
    let calm = lags_of_globex(false).await;
    let stormy = lags_of_globex(true).await;
    println!(
        "calm p99 {} max {:?}; stormy p99 {} max {:?}",
        p99(&calm),
        calm.last(),
        p99(&stormy),
        stormy.last()
    );
    assert!(p99(&stormy) <= p99(&calm) + 60, "p99 {} s in calm, {} s in the storm", p99(&calm), p99(&stormy));
}

#[tokio::test]
async fn merges_beyond_a_tenants_share_wait_in_the_log_and_follow_as_others_are_decided() {
    let mut scene = Scene::paced(&[&partitioned("acme")], &BUSY);
    stage_storm(&scene, 0);
    scene.run(1).await;
    scene.flush("acme-rows");
    scene.run(100).await;
    let intents =
        scene.aws.keys("state", "log/acme-rows/").iter().filter(|key| key.ends_with("/intent")).count();
    assert_eq!(intents as u64, STORM, "all are planned at once");
    for _ in 0..40 {
        scene.tick();
        scene.run(60).await;
    }
    assert_eq!(scene.delivered_ids("acme-lake").len() as u64, STORM);

    let (mut under_way, mut most) = (BTreeSet::new(), 0);
    for call in scene.aws.calls() {
        let key = call.key.clone().unwrap_or_default();
        if call.operation == "SendMessage" && call.resource.ends_with("/work") {
            assert!(under_way.insert(key.clone()), "sent again before it was decided: {key}");
            most = most.max(under_way.len());
        }
        if call.operation == "PutObject" && key.ends_with("/outcome") {
            let n: u64 = key.split('/').rev().nth(1).and_then(|n| n.parse().ok()).expect("a number");
            let message = landfall_core::message::Message::merge("acme-rows", n).to_body();
            assert!(under_way.remove(&message), "decided and never sent: {n}");
        }
    }
    assert_eq!(most, TENANT_MERGES);
}

/// The document of one of many deliveries, twenty to a tenant.
fn one_of_many(number: usize) -> String {
    let tenant = format!("t{:02}", number / 20);
    let account = format!("{:012}", 400_000_000_000_usize + number / 20);
    document(&tenant, "")
        .replace("333333333333", &account)
        .replace(&format!("id = \"{tenant}-rows\""), &format!("id = \"{tenant}-rows-{number}\""))
        .replace(&format!("\"{tenant}/rows/\""), &format!("\"{tenant}/rows-{number}/\""))
        .replace("\"raw/rows/\"", &format!("\"raw/rows-{number}/\""))
        .replace("table = \"rows\"", &format!("table = \"rows_{number}\""))
        .replace("max_latency_seconds = 60", "max_latency_seconds = 180")
}

#[tokio::test]
async fn a_thousand_deliveries_are_visible_within_five_minutes_of_staging() {
    const DELIVERIES: usize = 1000;
    let documents: Vec<String> = (0..DELIVERIES).map(one_of_many).collect();
    let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
    let pace = [("intake", 1), ("plan", 1), ("work", 2), ("commit", 2), ("notify", 1)];
    let mut scene = Scene::paced(&documents, &pace);
    scene.tick_for(10).await;
    // One object of each, in no order, evenly over ten minutes.
    let mut staged = BTreeMap::new();
    for second in 0..600_usize {
        if second % 60 == 0 {
            scene.tick();
        }
        for slot in 0..DELIVERIES {
            if slot * 600 / DELIVERIES != second {
                continue;
            }
            let number = slot * 7 % DELIVERIES;
            let key = format!("t{:02}/rows-{number}/x", number / 20);
            scene.stage(&key, rows(number as u64, 1));
            staged.insert(i64::try_from(number).expect("small"), scene.aws.clock().now());
        }
        scene.pipe.run_for(SignedDuration::from_secs(1)).await.expect("it runs");
    }
    scene.tick_for(6).await;
    let buckets: Vec<String> = (0..DELIVERIES / 20).map(|tenant| format!("t{tenant:02}-lake")).collect();
    let buckets: Vec<&str> = buckets.iter().map(String::as_str).collect();
    let lags = lags(&scene, &buckets, &staged);
    println!("p50 {} p99 {} max {:?}", lags[lags.len() / 2], p99(&lags), lags.last());
    assert!(p99(&lags) <= 300, "p99 {} s", p99(&lags));
}
