//! One intent, executed again and again by one build, half of the executions killed at a random call: the bytes of every
//! complete staged file are the same each time, and one outcome stands.
//!
//! `EXECUTIONS` says how many. They come in rounds of twenty on one stack: ten are killed one after the other before the
//! outcome, ten race for it.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use landfall_core::hash;
use landfall_core::message::Message;
use landfall_core::port::Clock as _;
use testkit::fake::{Crashed, Fault, HOME_ACCOUNT, HOME_REGION, QueueSpec, QueuedMessage, Version};
use testkit::lambda::sqs_event;

use super::{asked, grouped};
use crate::scene::{Scene, document, gzip, noise, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
/// Executions of a round that are killed, and that race.
const HALF: usize = 10;

/// Files are cut at 64 KiB and routed by a column.
fn text() -> String {
    let layout = "max_latency_seconds = 60\ntarget_bytes = 65536\nrow_group_bytes = 65536\n";
    let more = "[[contract.column]]\nname = \"part\"\ntype = \"string\"\n\
                [[layout.partition]]\nname = \"p\"\nsource = \"column\"\nfield = \"part\"\n";
    document("acme", more).replace("max_latency_seconds = 60\n", layout)
}

/// Rows with a part each, one object plain and one compressed, with rows among them that break the contract.
fn stage(scene: &Scene) {
    let parts = ["a", "b", "c"];
    let mut first = 0;
    for object in 0..6_u64 {
        let mut body = String::new();
        let lines = if object % 2 == 0 { noise(first, 150, 2048) } else { rows(first, 40) };
        for (line, part) in lines.lines().zip(parts.iter().cycle()) {
            body.push_str(&line.replacen('}', &format!(",\"part\":\"{part}\"}}"), 1));
            body.push('\n');
        }
        first += 200;
        body.push_str("{\"id\":\"not a number\"}\nnot json\n");
        let key = format!("acme/rows/{object}");
        if object % 3 == 0 {
            scene.stage(&format!("{key}.jsonl.gz"), gzip(&body));
        } else {
            scene.stage(&format!("{key}.jsonl"), body);
        }
    }
}

/// One execution, as a process that a fault can end.
async fn execute(scene: &Scene, number: usize) -> Result<(), Crashed> {
    let queue = QueueSpec::new("work", HOME_ACCOUNT, HOME_REGION);
    let now = scene.aws.clock().now();
    let message = QueuedMessage {
        id: format!("message-{number}"),
        body: Message::merge(ID, 1).to_body(),
        group: None,
        deduplication: None,
        sequence: 0,
        sent_at: now,
        visible_at: now,
        receive_count: 1,
        first_received_at: Some(now),
        dead_letter_source: None,
        received_at: None,
        receipt_handle: Some(format!("handle-{number}")),
    };
    let event = sqs_event(&queue, &[message]);
    let answer = scene.aws.run_until_crash(scene.invoke_compactor(event)).await?;
    assert_eq!(answer["batchItemFailures"], serde_json::json!([]), "{answer}");
    Ok(())
}

/// A stack with intent 1 planned and nothing of it done.
async fn planned() -> Scene {
    let mut scene = Scene::new(&[&text()]);
    // With versions, so that what a loser removed can still be looked at.
    scene.aws.create_bucket(LAKE, "222222222222", HOME_REGION, true);
    stage(&scene);
    scene.block("work");
    scene.run(1).await;
    scene.flush(ID);
    scene.run(60).await;
    scene.unblock();
    assert_eq!(scene.record_names(ID, 1), ["intent"]);
    scene
}

/// How many calls an execution makes until its outcome is put.
async fn calls_before_the_outcome() -> usize {
    let scene = planned().await;
    let before = scene.aws.call_count();
    execute(&scene, 0).await.expect("nothing goes wrong");
    let outcome = scene.aws.calls().iter().position(|call| {
        call.operation == "PutObject" && call.key.as_deref().is_some_and(|key| key.ends_with("/outcome"))
    });
    outcome.expect("an outcome") - before
}

/// SHA-256 of every complete file that was ever staged, by its number, and how many there were.
fn staged(scene: &Scene, sums: &mut BTreeMap<String, BTreeSet<String>>) -> usize {
    let keys: BTreeSet<String> = scene.aws.s3_events(LAKE).into_iter().map(|event| event.key).collect();
    let mut files = 0;
    for key in keys.iter().filter(|key| key.starts_with("_tmp/")) {
        for version in scene.aws.versions(LAKE, key) {
            if let Version::Object(object) = version {
                let number = key.rsplit('/').next().unwrap_or_default().to_owned();
                sums.entry(number).or_default().insert(hash::hex(&object.body));
                files += 1;
            }
        }
    }
    files
}

#[tokio::test]
async fn an_intent_executed_again_and_again_gives_the_same_bytes_and_one_outcome() {
    let executions: usize = asked("EXECUTIONS", 100);
    let calls = calls_before_the_outcome().await;
    let mut random = 0x5EED_u64;
    let mut draw = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).expect("31 bits") % below
    };
    let (mut done, mut killed, mut files) = (0, 0, 0);
    let mut sums: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut outcomes = BTreeSet::new();
    while done < executions {
        let mut scene = planned().await;
        for _ in 0..HALF {
            let fault = if draw(2) == 0 { Fault::CrashBefore } else { Fault::CrashAfter };
            scene.aws.faults().at_call(scene.aws.call_count() + draw(calls), fault);
            killed += usize::from(execute(&scene, done).await == Err(Crashed));
            done += 1;
        }
        assert!(!scene.record_names(ID, 1).contains(&"outcome".to_owned()), "none of them came so far");
        scene.aws.interleave(draw(1 << 30) as u64);
        let racing = (done..done + HALF).map(|number| execute(&scene, number));
        assert_eq!(join_all(racing).await, [Ok(()); HALF]);
        done += HALF;

        files += staged(&scene, &mut sums);
        let names = scene.record_names(ID, 1);
        assert_eq!(names.iter().filter(|name| name.starts_with("outcome")).count(), 1, "{names:?}");
        let outcome = scene.outcomes(ID).await.remove(0);
        let of_files: Vec<_> = outcome.files.iter().map(|file| (file.crc64nvme.clone(), file.rows)).collect();
        outcomes.insert((of_files, outcome.verdicts.len(), outcome.rejected()));
        // And what is delivered is what that outcome names.
        scene.run(3_600).await;
        assert_eq!(scene.delivered(LAKE).len(), outcome.files.len());
    }
    println!(
        "{} executions of an intent of {} files, {} of them killed; {} complete files staged, {} SHA-256 for each; one \
         outcome on each of {} stacks, and the same on all",
        grouped(done as u64),
        sums.len(),
        grouped(killed as u64),
        grouped(files as u64),
        sums.values().map(BTreeSet::len).max().unwrap_or(0),
        done / (2 * HALF),
    );
    assert_eq!(killed, done / 2);
    assert!(sums.len() > 3, "several files: {sums:?}");
    assert!(files > done / 2 * (sums.len() - 1), "most of the racing ones staged all of theirs: {files}");
    assert!(sums.values().all(|values| values.len() == 1), "{sums:?}");
    assert_eq!(outcomes.len(), 1, "verdicts, rows and files are the same on every stack");
}
