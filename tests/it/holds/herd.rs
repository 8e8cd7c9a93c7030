//! What waits behind one repair does not come all at once; and an outage is told of once a hold, however much waits behind it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use landfall_lambda::metrics;
use testkit::fake::Call;

use super::ACME_ROLE;
use crate::scene::{Scene, delivery, document, rows};
use crate::template;

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const COMMITS: &str = "arn:aws:sqs:eu-central-1:111111111111:commit";
const INTENTS: u64 = 200;
/// Merges of one tenant that may be under way, as the scene's compactor is configured.
const TENANT_MERGES: usize = 64;
/// How long invocations take, in seconds.
const PACE: [(&str, i64); 5] = [("intake", 1), ("plan", 1), ("work", 20), ("commit", 10), ("notify", 1)];

/// A delivery whose objects lie in the folder of their partition: each folder becomes an intent of its own.
fn by_folder() -> String {
    document("acme", "")
        .replace("[catalog.glue]", "[[layout.partition]]\nname = \"part\"\nsource = \"key\"\n[catalog.glue]")
}

/// Two hundred intents that wait for what `breaking` broke, so many minutes later.
async fn two_hundred_wait(minutes: usize, breaking: impl Fn(&Scene)) -> Scene {
    let mut scene = Scene::paced(&[&by_folder()], &PACE);
    for part in 0..INTENTS {
        scene.stage(&format!("acme/rows/part={part:03}/a"), rows(part, 1));
    }
    breaking(&scene);
    scene.run(1).await;
    scene.flush(ID);
    scene.tick_for(minutes).await;
    assert_eq!(scene.intents(ID).await.len() as u64, INTENTS);
    assert_eq!(scene.delivered(LAKE), Vec::<String>::new());
    scene
}

/// Calls of an operation on a resource since `from`, counted by minute.
fn by_minute(calls: &[Call], operation: &str, key: &str) -> BTreeMap<i64, usize> {
    let mut minutes = BTreeMap::new();
    for call in calls.iter().filter(|call| call.operation == operation) {
        if call.key.as_deref().is_some_and(|of| of.starts_with(key)) {
            *minutes.entry(call.at.as_second().div_euclid(60)).or_default() += 1;
        }
    }
    minutes
}

/// The repair, and what came after it: the calls since then.
async fn repaired(scene: &mut Scene, mending: impl Fn(&Scene)) -> Vec<Call> {
    mending(scene);
    let before = scene.aws.call_count();
    scene.tick_for(60).await;
    let all: Vec<i64> = (0..i64::try_from(INTENTS).expect("small")).collect();
    assert_eq!(scene.delivered_ids(LAKE), all, "every row once, within the hour");
    assert_eq!(scene.copies().len() as u64, INTENTS, "no file is copied twice");
    assert_eq!(scene.notices("acme").len() as u64, INTENTS);
    assert_eq!(scene.outcomes(ID).await.len() as u64, INTENTS);
    assert_eq!(scene.holds(ID), Vec::<String>::new());
    assert_eq!(scene.dead_letters(), Vec::<String>::new());
    assert_eq!(scene.handed_out_again(), Vec::<String>::new());
    scene.aws.calls().split_off(before)
}

/// How many commits a minute the template's concurrency lets through, and one that began in the minute before.
fn most_commits() -> usize {
    template::default_of("CommitMaximumConcurrency") * (60 / 10 + 1)
}

#[tokio::test]
async fn two_hundred_merges_behind_one_repair_come_in_the_shares_of_their_tenant() {
    let mut scene = two_hundred_wait(120, |scene| scene.aws.remove_role(ACME_ROLE)).await;
    let calls = repaired(&mut scene, |scene| {
        scene.aws.admit_client(&delivery(&by_folder()).access());
    })
    .await;

    let (mut under_way, mut most, mut sent) = (BTreeSet::new(), 0, 0);
    for call in &calls {
        let key = call.key.clone().unwrap_or_default();
        if call.operation == "SendMessage" && call.resource.ends_with("/work") {
            sent += 1;
            under_way.insert(key.clone());
            most = most.max(under_way.len());
        }
        if call.operation == "PutObject" && key.ends_with("/outcome") {
            let n: u64 = key.split('/').rev().nth(1).and_then(|n| n.parse().ok()).expect("a number");
            under_way.remove(&landfall_core::message::Message::merge(ID, n).to_body());
        }
    }
    assert!(most <= TENANT_MERGES, "{most} merges under way");
    // One more each for the probe and what was on its way when the hold ended.
    assert!(sent <= usize::try_from(INTENTS).expect("small") + 4, "{sent} merges asked for");
    let copies = by_minute(&calls, "CopyObject", "raw/");
    assert!(copies.values().all(|count| *count <= most_commits()), "{copies:?}");
    assert!(copies.len() >= 3, "spread over minutes: {copies:?}");
}

#[tokio::test]
async fn two_hundred_commits_behind_one_repair_come_as_many_at_once_as_committers_run() {
    // All are merged before the first commit begins, to find that the bucket refuses.
    let delay = |scene: &Scene, minutes: i64| {
        scene.aws.change_queue(COMMITS, |spec| spec.delay = SignedDuration::from_mins(minutes));
    };
    let mut scene = two_hundred_wait(14, |scene| delay(scene, 15)).await;
    assert_eq!(scene.outcomes(ID).await.len() as u64, INTENTS);
    delay(&scene, 0);
    scene.aws.deny(ACME_ROLE, "s3:GetObject");
    scene.tick_for(120).await;
    assert_eq!(scene.holds(ID), ["bucket"]);
    let calls = repaired(&mut scene, |scene| scene.aws.allow_again(ACME_ROLE)).await;
    let copies = by_minute(&calls, "CopyObject", "raw/");
    assert!(copies.values().all(|count| *count <= most_commits()), "{copies:?}");
    assert!(copies.len() >= 3, "spread over minutes: {copies:?}");
    let asked =
        calls.iter().filter(|call| call.operation == "SendMessage" && call.resource.ends_with("/commit"));
    let asked = asked.count() as u64;
    assert!(asked <= INTENTS + 12, "{asked} commits asked for");
}

#[tokio::test]
async fn an_outage_is_told_of_once_for_each_delivery_however_many_intents_wait() {
    const DELIVERIES: u64 = 100;
    let texts: Vec<String> = (0..DELIVERIES)
        .map(|number| {
            by_folder()
                .replace("id = \"acme-rows\"", &format!("id = \"acme-rows-{number}\""))
                .replace("\"acme/rows/\"", &format!("\"acme/rows-{number}/\""))
                .replace("\"raw/rows/\"", &format!("\"raw/rows-{number}/\""))
                .replace("table = \"rows\"", &format!("table = \"rows_{number}\""))
        })
        .collect();
    let documents: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut scene = Scene::new(&documents);
    let role = scene.aws.role(ACME_ROLE).expect("the role");
    scene.aws.remove_role(ACME_ROLE);
    for number in 0..DELIVERIES {
        for part in 0..3 {
            scene.stage(&format!("acme/rows-{number}/part={part}/x"), rows(number * 3 + part, 1));
        }
    }
    scene.tick_for(60).await;
    let told = |scene: &Scene| {
        [&metrics::HOLDS_OPENED, &metrics::HOLDS_CLOSED].map(|metric| {
            let of = |number| scene.total(metric, Some(&format!("acme-rows-{number}")));
            (0..DELIVERIES).map(of).collect::<Vec<u64>>()
        })
    };
    let once = vec![1_u64; 100];
    assert_eq!(told(&scene), [once.clone(), vec![0; 100]], "300 intents under one role, 100 holds");
    scene.aws.put_role(role);
    scene.tick_for(60).await;
    assert_eq!(told(&scene), [once.clone(), once]);
    assert_eq!(scene.delivered_ids(LAKE), (0..300).collect::<Vec<i64>>());
    assert_eq!(scene.notices("acme").len(), 300);
}
