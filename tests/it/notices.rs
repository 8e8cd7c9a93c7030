//! What a client's queues are told: by docs/notice.md, at least once, always under the same id.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use testkit::fake::checksum;

use crate::scene::{Scene, delivery, document, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const STANDARD: &str = "arn:aws:sqs:eu-central-1:222222222222:acme-etl";
const FIFO: &str = "arn:aws:sqs:eu-central-1:222222222222:acme-etl.fifo";

/// A delivery that tells a standard queue and a FIFO queue.
fn two_queues() -> String {
    document("acme", &format!("[[notify.queue]]\narn = \"{FIFO}\"\n"))
}

/// A delivery whose rows go to the partition of their name.
fn by_name() -> String {
    document("acme", "").replace(
        "[catalog.glue]",
        "[[layout.partition]]\nname = \"initial\"\nsource = \"column\"\nfield = \"name\"\n[catalog.glue]",
    )
}

fn ids_told(scene: &Scene, queue: &str) -> BTreeSet<String> {
    let bodies = scene.aws.bodies(queue);
    let id = |body: &String| {
        let notice: Value = serde_json::from_str(body).expect("a notice");
        notice["delivery_id"].as_str().expect("an id").to_owned()
    };
    bodies.iter().map(id).collect()
}

#[tokio::test]
async fn a_queue_that_is_missing_does_not_silence_the_other() {
    for (missing, other) in [(STANDARD, FIFO), (FIFO, STANDARD)] {
        let mut scene = Scene::new(&[&two_queues()]);
        scene.aws.remove_queue(missing);
        scene.stage("acme/rows/1", rows(0, 3));
        scene.deliver(&[ID]).await;
        assert_eq!(ids_told(&scene, other), BTreeSet::from(["acme-rows/1".to_owned()]));
        assert_eq!(scene.holds(ID), ["queue"]);
        assert!(!scene.record_names(ID, 1).contains(&"notified".to_owned()), "not before all are told");

        scene.aws.admit_client(&delivery(&two_queues()).access());
        scene.tick_for(60).await;
        for queue in [STANDARD, FIFO] {
            assert_eq!(ids_told(&scene, queue), BTreeSet::from(["acme-rows/1".to_owned()]), "{queue}");
        }
        assert_eq!(scene.aws.bodies(missing).len(), 1);
        assert_eq!(scene.holds(ID), Vec::<String>::new());
        assert!(scene.record_names(ID, 1).contains(&"notified".to_owned()));
    }
}

#[tokio::test]
async fn a_fifo_queue_is_told_in_the_order_of_a_delivery_and_drops_repeats() {
    let mut scene = Scene::new(&[&two_queues()]);
    for n in 1..3_u64 {
        scene.stage(&format!("acme/rows/{n}"), rows(n * 10, 3));
        scene.deliver(&[ID]).await;
    }
    let messages = scene.aws.messages(FIFO);
    let told: Vec<_> = messages
        .iter()
        .map(|message| {
            (message.group.as_deref().unwrap_or(""), message.deduplication.as_deref().unwrap_or(""))
        })
        .collect();
    assert_eq!(told, [(ID, "acme-rows_1"), (ID, "acme-rows_2")]);
    let plain = scene.aws.messages(STANDARD);
    assert!(plain.iter().all(|message| message.group.is_none() && message.deduplication.is_none()));
    assert_eq!(plain.len(), 2);
}

/// The example of docs/notice.md.
fn example() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/notice.md");
    let text = std::fs::read_to_string(path).expect("docs/notice.md");
    let json = text.split("```json").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    serde_json::from_str(json).expect("JSON")
}

fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_notice_says_what_is_documented_and_what_was_delivered() {
    let mut scene = Scene::new(&[&by_name()]);
    scene.stage("acme/rows/1", "{\"id\":1,\"name\":\"é\"}\n{\"id\":2,\"name\":null}\nnot json\n");
    scene.deliver(&[ID]).await;
    let bodies = scene.aws.bodies(STANDARD);
    assert!(bodies[0].is_ascii(), "{}", bodies[0]);
    let notice = scene.notices("acme").remove(0);
    let example = example();
    assert_eq!(fields(&notice), fields(&example));

    let outcome = scene.outcomes(ID).await.remove(0);
    let receipt = scene.receipts(ID).await.remove(0);
    assert_eq!(notice["version"], 1);
    assert_eq!(notice["event"], "files_delivered");
    assert_eq!(notice["delivery_id"], "acme-rows/1");
    assert_eq!((&notice["delivery"], &notice["dataset"]), (&json!(ID), &json!("rows")));
    assert_eq!(notice["schema_version"], 3);
    assert_eq!(notice["bucket"], LAKE);
    assert_eq!((&notice["rows"], &notice["rejected"]), (&json!(2), &json!(1)));
    assert_eq!(notice["delivered_at"], receipt.at.to_string());
    let job_id = notice["job_id"].as_str().expect("a job id");
    assert_eq!(job_id, scene.ledger().intent(ID, 1).await.expect("an intent").job_id());

    let files = notice["files"].as_array().expect("files");
    assert_eq!(files.len(), 2);
    let mut partitions = Vec::new();
    for (file, named) in files.iter().zip(&outcome.files) {
        assert_eq!(fields(file), fields(&example["files"][0]));
        let key = file["uri"].as_str().and_then(|uri| uri.strip_prefix("s3://acme-lake/")).expect("a uri");
        assert!(key.contains(job_id), "the job id is part of the file's name: {key}");
        let standing = scene.aws.object(LAKE, key).expect("the file that the notice names");
        assert_eq!(file["bytes"], standing.size());
        assert_eq!(file["rows"], scene.ids_of(LAKE, key).len());
        assert_eq!(file["crc64nvme"], format!("{:016x}", checksum::crc64nvme(&standing.body)));
        assert_eq!(file["crc64nvme"], named.crc64nvme);
        partitions.push(file["partition"].clone());
    }
    partitions.sort_by_key(ToString::to_string);
    assert_eq!(partitions, [json!({"initial": "é"}), json!({"initial": null})]);
}

#[tokio::test]
async fn a_notice_too_large_for_a_queue_says_how_many_files_it_leaves_out() {
    let mut scene = Scene::new(&[&by_name()]);
    // Each slash is three characters in a key: seven hundred files name more than a message may hold.
    let files = 700;
    let lines: Vec<String> =
        (0..files).map(|id| format!("{{\"id\":{id},\"name\":\"{}{id}\"}}\n", "/".repeat(75))).collect();
    scene.stage("acme/rows/1", lines.concat());
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered(LAKE).len(), files);
    let notice = scene.notices("acme").remove(0);
    assert_eq!(notice["files"], json!([]));
    assert_eq!(notice["files_omitted"], files);
    assert_eq!(notice["rows"], files);
    let keys = scene.delivered(LAKE);
    let folders: BTreeSet<&str> =
        keys.iter().filter_map(|key| key.rfind('/').and_then(|at| key.get(..=at))).collect();
    assert_eq!(notice["folders"], json!(folders), "where they lie");
    assert!(scene.aws.bodies(STANDARD)[0].len() <= 240 * 1024);
}

#[tokio::test]
async fn whatever_is_done_again_is_told_under_the_same_id() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    // The notifier dies after it told the queue and before it wrote that down.
    scene.aws.faults().on("PutObject").key("notified").inject(testkit::fake::Fault::CrashBefore);
    scene.stage("acme/rows/1", rows(0, 3));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.notices("acme").len(), 1);
    scene.tick_for(60).await;
    assert_eq!(scene.notices("acme").len(), 2, "told again: it may have been lost");
    assert_eq!(ids_told(&scene, STANDARD), BTreeSet::from(["acme-rows/1".to_owned()]));
    assert!(scene.record_names(ID, 1).contains(&"notified".to_owned()));
}
