//! One message's misfortune is its own: panics, deadlines and odd events beside good ones.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use landfall_core::message::Message;
use landfall_core::record::PlanReason;
use serde_json::{Value, json};
use testkit::fake::Fault;
use testkit::lambda::Outcome;

use crate::scene::{Scene, document, noise, rows};

const LAKE: &str = "acme-lake";

/// How many messages of how many came back, of the invocations since `from` in which any did. Nothing but an answer
/// is allowed: a panic that leaves a function takes its neighbours with it.
fn returned_since(scene: &Scene, from: usize) -> Vec<(String, usize, usize)> {
    let since = scene.pipe.invocations().get(from..).unwrap_or_default();
    let of = |outcome: &Outcome| match outcome {
        Outcome::Answered(failed) => failed.len(),
        other => panic!("{other:?}"),
    };
    let all = since.iter().map(|run| (run.function.clone(), of(&run.outcome), run.messages.len()));
    all.filter(|(_, failed, _)| *failed > 0).collect()
}

fn acme_and_globex() -> Scene {
    Scene::new(&[&document("acme", ""), &document("globex", "")])
}

/// Both clients' rows are where they belong, once, and each was told.
fn assert_both_delivered(scene: &Scene) {
    assert_eq!(scene.delivered_ids(LAKE), [0, 1]);
    assert_eq!(scene.delivered_ids("globex-lake"), [10, 11]);
    assert_eq!((scene.notices("acme").len(), scene.notices("globex").len()), (1, 1));
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[tokio::test]
async fn a_panic_at_any_step_returns_its_own_message_only() {
    for (operation, key) in [
        ("GetObject", "acme/rows/a"),
        ("CopyObject", "raw/rows/"),
        ("SendMessage", "\"kind\":\"notify\""),
        ("SendMessage", "\"kind\":\"commit\""),
        ("ListObjectsV2", "config/"),
        ("AssumeRole", "acme-rows"),
        ("GetTable", ""),
    ] {
        let mut scene = acme_and_globex();
        scene.stage("acme/rows/a", rows(0, 2));
        scene.stage("globex/rows/g", rows(10, 2));
        scene.run(1).await;
        scene.aws.faults().on(operation).key(key).inject(Fault::Panic);
        scene.deliver(&["acme-rows", "globex-rows"]).await;
        assert_eq!(scene.aws.faults().fired(), 1, "{operation} {key}");
        let returned = returned_since(&scene, 0);
        assert!(returned.iter().all(|(_, failed, _)| *failed == 1), "{operation} {key}: {returned:?}");
        assert!(!returned.is_empty(), "{operation} {key}");
        scene.tick_for(30).await;
        assert_both_delivered(&scene);
    }
}

/// Three notices that wait, to be handed over in one batch.
async fn three_notices_wait() -> Scene {
    let mut scene = acme_and_globex();
    scene.block("notify");
    scene.stage("acme/rows/a", rows(0, 2));
    scene.stage("globex/rows/g", rows(10, 2));
    scene.deliver(&["acme-rows", "globex-rows"]).await;
    scene.stage("acme/rows/b", rows(2, 1));
    scene.deliver(&["acme-rows"]).await;
    scene.unblock();
    for (delivery, n) in [("acme-rows", 1), ("globex-rows", 1), ("acme-rows", 2)] {
        scene.ask(&Message::notify(delivery, n));
    }
    scene
}

#[tokio::test]
async fn a_panic_in_a_batch_of_notices_returns_one_of_them() {
    for (operation, key) in
        [("GetObject", "globex-rows"), ("ListObjectsV2", "config/"), ("SendMessage", "globex-rows/1")]
    {
        let mut scene = three_notices_wait().await;
        let before = scene.pipe.invocations().len();
        scene.aws.faults().on(operation).key(key).inject(Fault::Panic);
        scene.pipe.round().await;
        assert_eq!(scene.aws.faults().fired(), 1, "{operation} {key}");
        let returned: Vec<_> = returned_since(&scene, before)
            .into_iter()
            .filter(|(function, ..)| function == "notifier")
            .collect();
        assert_eq!(returned, [("notifier".to_owned(), 1, 3)], "{operation} {key}");
        scene.tick_for(30).await;
        let told = |tenant| {
            let notices = scene.notices(tenant);
            notices.iter().map(|notice| notice["delivery_id"].to_string()).collect::<BTreeSet<_>>().len()
        };
        assert_eq!((told("acme"), told("globex")), (2, 1), "{operation} {key}");
    }
}

#[tokio::test]
async fn a_panic_at_the_registry_returns_the_events_and_loses_none() {
    let mut scene = acme_and_globex();
    scene.aws.faults().on("ListObjectsV2").key("config/").inject(Fault::Panic);
    scene.stage("acme/rows/a", rows(0, 2));
    scene.stage("globex/rows/g", rows(10, 2));
    scene.deliver(&["acme-rows", "globex-rows"]).await;
    assert_eq!(returned_since(&scene, 0), [("compactor".to_owned(), 2, 2)], "all wait for the same registry");
    assert_both_delivered(&scene);
}

#[tokio::test]
async fn a_merge_that_runs_out_of_time_leaves_nothing_behind_and_comes_back() {
    let text = document("acme", "").replace(
        "[catalog.glue]",
        "[[layout.partition]]\nname = \"of\"\nsource = \"column\"\nfield = \"lot\"\n[catalog.glue]",
    );
    let text = text.replace(
        "name = \"name\"\ntype = \"string\"\n",
        "name = \"name\"\ntype = \"string\"\n[[contract.column]]\nname = \"lot\"\ntype = \"string\"\n",
    );
    // Small files of small row groups: bytes flow while its inputs are read.
    let text = text.replace(
        "max_latency_seconds = 60",
        "max_latency_seconds = 60\ntarget_bytes = 16777216\nrow_group_bytes = 1048576",
    );
    let mut scene = Scene::new(&[&text]);
    scene.block("work");
    for index in 0..12_u64 {
        let body = noise(index * 1000, 1000, 4096).replace("{\"id\"", "{\"lot\":\"x\",\"id\"");
        scene.stage(&format!("acme/rows/{index}"), body);
    }
    scene.flush("acme-rows");
    scene.run(31).await;
    scene.unblock();
    let parts = |scene: &Scene| scene.aws.calls_of("UploadPart").len();

    // Each call takes its minute: the time is up when some inputs are read and a part is uploaded.
    let before = scene.pipe.invocations().len();
    scene.aws.set_latency(SignedDuration::from_secs(60));
    scene.ask(&Message::merge("acme-rows", 1));
    scene.pipe.round().await;
    scene.aws.set_latency(SignedDuration::ZERO);
    assert!(parts(&scene) > 0, "an upload was under way");
    assert_eq!(scene.temps(LAKE), Vec::<String>::new(), "it was aborted");
    assert_eq!(scene.record_names("acme-rows", 1), ["intent"]);
    let returned = returned_since(&scene, before);
    assert!(returned.contains(&("compactor".to_owned(), 1, 1)), "{returned:?}");

    scene.tick_for(30).await;
    assert_eq!(scene.delivered_ids(LAKE), (0..12_000).collect::<Vec<i64>>());
    assert_eq!(scene.temps(LAKE), Vec::<String>::new());
}

#[tokio::test]
async fn a_commit_that_runs_out_of_time_goes_on_where_it_stopped() {
    let text = document("acme", "").replace(
        "[catalog.glue]",
        "[[layout.partition]]\nname = \"of\"\nsource = \"column\"\nfield = \"name\"\n[catalog.glue]",
    );
    let mut scene = Scene::new(&[&text]);
    scene.block("commit");
    scene.stage("acme/rows/a", rows(0, 60));
    scene.deliver(&["acme-rows"]).await;
    scene.unblock();
    scene.aws.set_latency(SignedDuration::from_secs(3));
    scene.ask(&Message::commit("acme-rows", 1));
    scene.pipe.round().await;
    scene.aws.set_latency(SignedDuration::ZERO);
    let published = scene.delivered(LAKE).len();
    assert!((1..60).contains(&published), "there was time for some of them: {published}");
    scene.tick_for(30).await;
    assert_eq!(scene.delivered_ids(LAKE), (0..60).collect::<Vec<i64>>());
    assert_eq!(scene.copies().len(), 60, "each once");
    assert_eq!(scene.notices("acme").len(), 1);
}

/// A sample invocation, its bucket named as the scene's.
macro_rules! sample {
    ($name:literal) => {{
        let text = include_str!(concat!("../../events/compactor/", $name));
        let text = text.replace("landfall-staging-111122223333", "staging");
        serde_json::from_str::<Value>(&text).expect("a sample")
    }};
}

/// A stack with the delivery that the samples are about.
fn catalogue() -> Scene {
    let text =
        document("acme", "").replace("acme-rows", "acme-catalogue").replace("acme/rows/", "acme/catalogue/");
    Scene::new(&[&text])
}

#[tokio::test]
async fn every_form_of_an_event_asks_for_a_plan_of_its_delivery() {
    let samples = [
        sample!("s3-put.json"),
        sample!("s3-put-sns.json"),
        sample!("s3-put-eventbridge.json"),
        sample!("s3-encoded-keys.json"),
        sample!("schedule.json"),
    ];
    for (index, event) in samples.into_iter().enumerate() {
        let scene = catalogue();
        let answer = scene.invoke_compactor(event).await;
        assert_eq!(answer, json!({"batchItemFailures": []}), "sample {index}");
        let reason = if index == 4 { PlanReason::Due } else { PlanReason::Event };
        assert_eq!(scene.plan_requests(), [Message::plan("acme-catalogue", reason)], "sample {index}");
    }
    for event in [sample!("s3-test-event.json"), sample!("s3-delete.json")] {
        let scene = catalogue();
        assert_eq!(scene.invoke_compactor(event).await, json!({"batchItemFailures": []}));
        assert_eq!(scene.plan_requests(), []);
    }
}

#[tokio::test]
async fn a_mixed_batch_returns_what_cannot_be_read_and_heeds_the_rest() {
    let scene = catalogue();
    let event = sample!("mixed-batch.json");
    let id = |index: usize| event["Records"][index]["messageId"].as_str().expect("an id").to_owned();
    let bad = BTreeSet::from([id(2), id(4)]);
    let answer = scene.invoke_compactor(event.clone()).await;
    let failures = answer["batchItemFailures"].as_array().expect("a list");
    let failed: BTreeSet<String> =
        failures.iter().filter_map(|failure| failure["itemIdentifier"].as_str().map(str::to_owned)).collect();
    assert_eq!((failed, failures.len()), (bad, 2));
    // One for the events, the sweep's fell into the same slot.
    assert_eq!(scene.plan_requests(), [Message::plan("acme-catalogue", PlanReason::Event)]);
}

#[tokio::test]
async fn poison_comes_back_whole_and_asks_for_nothing() {
    let scene = catalogue();
    let event = sample!("poison.json");
    let count = event["Records"].as_array().expect("records").len();
    let answer = scene.invoke_compactor(event).await;
    assert_eq!(answer["batchItemFailures"].as_array().map(Vec::len), Some(count));
    assert_eq!(scene.plan_requests(), []);
}

#[tokio::test]
async fn a_commit_that_is_taken_up_again_asks_only_for_the_inputs_that_are_left() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    for part in 0..30 {
        scene.stage(&format!("acme/rows/{part:02}"), rows(part, 1));
    }
    scene.aws.faults().on("DeleteObject").resource("staging").after(10).inject(Fault::CrashBefore);
    scene.deliver(&["acme-rows"]).await;
    let left = scene.staged();
    assert_eq!(left.len(), 20, "the first try came that far");

    let before = scene.aws.call_count();
    scene.tick_for(120).await;
    assert_eq!(scene.staged(), Vec::<String>::new());
    let mut asked: Vec<String> = scene
        .aws
        .calls_of("DeleteObject")
        .into_iter()
        .filter(|call| call.number >= before && call.resource == "staging")
        .filter_map(|call| call.key)
        .collect();
    asked.sort();
    assert_eq!(asked, left);
}
