//! The whole chain in process: what is delivered, how it looks, and what every kind of bad input comes to.

use landfall_core::record::Verdict;
use serde_json::json;
use testkit::fake::Fault;

use crate::scene::{Scene, delivery, document, gzip, rows};

fn acme() -> String {
    document("acme", "")
}

#[tokio::test]
async fn small_objects_become_one_checked_tagged_file_and_a_notice() {
    let mut scene = Scene::new(&[&acme()]);
    for index in 0..20_u64 {
        let key = format!("acme/rows/part {index}+é.jsonl");
        scene.stage(&key, rows(index * 10, 10));
    }
    scene.stage("acme/rows/zipped.jsonl.gz", gzip(&rows(200, 5)));
    scene.stage("acme/rows/zstd.jsonl.zst", zstd::encode_all(rows(205, 5).as_bytes(), 3).expect("zstd"));
    scene.deliver(&["acme-rows"]).await;

    let keys = scene.delivered("acme-lake");
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert_eq!(scene.delivered_ids("acme-lake"), (0..210).collect::<Vec<i64>>());
    assert_eq!(scene.staged(), Vec::<String>::new(), "inputs are deleted after the receipt");
    assert_eq!(scene.aws.keys("acme-lake", "_tmp/"), Vec::<String>::new(), "temps are deleted");
    assert_eq!(scene.aws.uploads("acme-lake"), Vec::<String>::new());

    let file = scene.aws.object("acme-lake", &keys[0]).expect("the file");
    let tag = |name: &str| file.attributes.tags.get(name).cloned().unwrap_or_default();
    assert_eq!(
        (tag("schema_version"), tag("records"), tag("status"), tag("delivery_id")),
        ("3".into(), "210".into(), "validated".into(), "acme-rows/1".into())
    );

    let table = scene.aws.table("222222222222", "acme_raw", "rows").expect("the table");
    assert_eq!(table.table.location, "s3://acme-lake/raw/rows/");
    let notices = scene.notices("acme");
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0]["delivery_id"], "acme-rows/1");
    assert_eq!(notices[0]["rows"], 210);
    assert_eq!(notices[0]["files"][0]["uri"], format!("s3://acme-lake/{}", keys[0]));
    assert_eq!(notices[0]["files"][0]["bytes"], file.size());

    let receipts = scene.receipts("acme-rows").await;
    assert_eq!(
        receipts.iter().map(|receipt| (receipt.rows, receipt.inputs)).collect::<Vec<_>>(),
        [(210, 22)]
    );
}

#[tokio::test]
async fn young_objects_wait_for_company_and_are_flushed_by_age() {
    let mut scene = Scene::new(&[&acme()]);
    scene.stage("acme/rows/1", rows(0, 1));
    scene.run(40).await;
    assert_eq!(scene.delivered("acme-lake"), Vec::<String>::new(), "too young");
    scene.stage("acme/rows/2", rows(1, 1));
    // Max latency is 60 s; the sweep wakes the delivery when its due time has come.
    for _ in 0..3 {
        scene.run(60).await;
        scene.tick();
    }
    scene.run(60).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1]);
}

#[tokio::test]
async fn an_object_whose_event_was_lost_is_found_by_the_sweep() {
    let mut scene = Scene::new(&[&acme()]);
    scene.stage_silently("acme/rows/lost", rows(0, 3));
    for _ in 0..4 {
        scene.tick();
        scene.run(60).await;
    }
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2]);
}

#[tokio::test]
async fn two_clients_in_one_batch_get_their_own_rows_under_their_own_roles() {
    let mut scene = Scene::new(&[&acme(), &document("globex", "")]);
    scene.stage("acme/rows/a", rows(0, 3));
    scene.stage("globex/rows/g", rows(100, 3));
    scene.deliver(&["acme-rows", "globex-rows"]).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2]);
    assert_eq!(scene.delivered_ids("globex-lake"), [100, 101, 102]);
    for call in scene.aws.calls_outside("acme") {
        assert!(!call.resource.contains("acme-lake"), "{call:?}");
    }
    for call in scene.aws.calls() {
        if call.resource.contains("-lake") {
            let owner = if call.resource.contains("acme") { "222222222222" } else { "333333333333" };
            assert_eq!(call.expected_owner.as_deref(), Some(owner), "{call:?}");
        }
    }
}

#[tokio::test]
async fn rows_go_to_the_partition_of_their_own_value() {
    let partitioned = document("acme", "").replace(
        "[catalog.glue]",
        "[[layout.partition]]\nname = \"initial\"\nsource = \"column\"\nfield = \"name\"\n[catalog.glue]",
    );
    let mut scene = Scene::new(&[&partitioned]);
    scene.stage(
        "acme/rows/1",
        "{\"id\":1,\"name\":\"a/b\"}\n{\"id\":2,\"name\":\"c\"}\n{\"id\":3,\"name\":null}\n",
    );
    scene.stage("acme/rows/2", "{\"id\":4,\"name\":\"c\"}\n");
    scene.deliver(&["acme-rows"]).await;
    let folders: Vec<String> = scene
        .delivered("acme-lake")
        .iter()
        .filter_map(|key| key.rsplit_once('/').map(|(folder, _)| folder.to_owned()))
        .collect();
    assert_eq!(
        folders,
        ["raw/rows/initial=__HIVE_DEFAULT_PARTITION__", "raw/rows/initial=a%2Fb", "raw/rows/initial=c"]
    );
    assert_eq!(scene.delivered_ids("acme-lake"), [1, 2, 3, 4]);
    let table = scene.aws.table("222222222222", "acme_raw", "rows").expect("the table");
    assert_eq!(table.partitions.len(), 3);
    assert!(table.partitions.contains_key(&vec!["a/b".to_owned()]));
}

#[tokio::test]
async fn every_combination_of_endpoint_capabilities_delivers_the_same() {
    for bits in 0..16_u8 {
        let (capabilities, declared) = crate::scene::capabilities(bits);
        let mut scene = Scene::new(&[&document("acme", &declared)]);
        scene.aws.set_capabilities("acme-lake", capabilities);
        scene.stage("acme/rows/1", rows(0, 50));
        scene.deliver(&["acme-rows"]).await;
        assert_eq!(scene.delivered_ids("acme-lake").len(), 50, "{capabilities:?}");
        let keys = scene.delivered("acme-lake");
        let file = scene.aws.object("acme-lake", &keys[0]).expect("the file");
        assert_eq!(
            file.attributes.tags.get("status").map(String::as_str),
            Some("validated"),
            "{capabilities:?}"
        );
        assert_eq!(scene.notices("acme").len(), 1);
    }
}

#[tokio::test]
async fn the_same_upload_again_is_deleted_and_counted_but_never_delivered() {
    let mut scene = Scene::new(&[&acme()]);
    scene.stage("acme/rows/1", rows(0, 3));
    scene.deliver(&["acme-rows"]).await;
    scene.stage("acme/rows/1", rows(0, 3));
    scene.deliver(&["acme-rows"]).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2]);
    assert_eq!(scene.staged(), Vec::<String>::new());
    // Other bytes under the same key are a new input.
    scene.stage("acme/rows/1", rows(7, 1));
    scene.deliver(&["acme-rows"]).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2, 7]);
}

#[tokio::test]
async fn repeated_messages_change_nothing() {
    let mut scene = Scene::new(&[&acme()]);
    scene.stage("acme/rows/1", rows(0, 3));
    scene.deliver(&["acme-rows"]).await;
    for kind in ["merge", "commit", "notify"] {
        scene.repeat(&json!({"v":1,"kind":kind,"delivery":"acme-rows","n":1}).to_string());
    }
    scene.run(60).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1, 2]);
    assert_eq!(scene.notices("acme").len(), 1);
}

#[tokio::test]
async fn a_broken_gzip_is_quarantined_whole_and_its_neighbours_are_delivered() {
    let mut scene = Scene::new(&[&acme()]);
    let mut broken = gzip(&rows(0, 1000));
    broken.truncate(broken.len() - 6);
    scene.stage("acme/rows/a.jsonl.gz", broken.clone());
    scene.stage("acme/rows/b.jsonl", rows(1000, 2));
    scene.deliver(&["acme-rows"]).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [1000, 1001]);
    let outcomes = scene.outcomes("acme-rows").await;
    let Some(Verdict::Quarantined { reason, kept, .. }) = outcomes[0].verdicts.first() else {
        panic!("{:?}", outcomes[0].verdicts)
    };
    assert_eq!(reason, "gzip_truncated");
    assert_eq!(scene.aws.object("state", kept).expect("the raw object").body, broken);
    assert!(scene.aws.object("state", &format!("{kept}.reason.json")).is_some());
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[tokio::test]
async fn lines_that_are_not_json_or_break_the_contract_are_set_aside_with_reason_and_position() {
    let mut scene = Scene::new(&[&acme()]);
    let body = "{\"id\":1,\"name\":\"x\"}\nnot json\n{\"name\":\"no id\"}\n{\"id\":1.5}\n{\"id\":2,\"more\":1}\n{\"id\":3}\n";
    scene.stage("acme/rows/a", body);
    scene.deliver(&["acme-rows"]).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [1, 3]);
    let rejected = scene.rejected("acme-rows");
    let shape: Vec<(u64, &str)> = rejected.iter().map(|row| (row.line, row.reason.as_str())).collect();
    assert_eq!(shape, [(2, "invalid_json"), (3, "missing_value"), (4, "wrong_type"), (5, "unknown_field")]);
    assert_eq!(rejected[0].raw.as_deref(), Some("not json"));
    assert_eq!(scene.notices("acme")[0]["rejected"], 4);
}

#[tokio::test]
async fn under_the_strict_policy_one_bad_row_quarantines_its_object_alone() {
    let strict = acme().replace("version = 3", "version = 3\non_violation = \"strict\"");
    let mut scene = Scene::new(&[&strict]);
    scene.stage("acme/rows/a", "{\"id\":1}\n{\"id\":\"x\"}\n");
    scene.stage("acme/rows/b", rows(10, 2));
    scene.deliver(&["acme-rows"]).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [10, 11]);
}

#[tokio::test]
async fn objects_without_records_and_deleted_objects_end_their_intent_quietly() {
    let mut scene = Scene::new(&[&acme()]);
    scene.stage("acme/rows/empty", "");
    scene.stage("acme/rows/blank", "\n  \n");
    scene.stage("acme/rows/gone", rows(0, 1));
    scene.run(1).await;
    scene.aws.delete_object("staging", "acme/rows/gone");
    scene.deliver(&["acme-rows"]).await;
    assert_eq!(scene.delivered("acme-lake"), Vec::<String>::new());
    assert_eq!(scene.notices("acme"), Vec::<serde_json::Value>::new());
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[tokio::test]
async fn an_object_deleted_between_plan_and_merge_is_gone_and_the_rest_is_delivered() {
    let mut scene = Scene::new(&[&acme()]);
    scene.stage("acme/rows/a", rows(0, 1));
    scene.stage("acme/rows/b", rows(1, 1));
    // The plan's message to the work queue is lost on the way: the merge comes only when stalled work is looked for.
    scene.aws.faults().on("SendMessage").resource("work").inject(Fault::Throttle);
    scene.flush("acme-rows");
    scene.run(31).await;
    assert_eq!(scene.ledger().intent("acme-rows", 1).await.expect("planned").inputs.len(), 2);
    scene.aws.delete_object("staging", "acme/rows/a");
    for _ in 0..30 {
        scene.tick();
        scene.run(60).await;
    }
    assert_eq!(scene.delivered_ids("acme-lake"), [1]);
    let outcomes = scene.outcomes("acme-rows").await;
    assert_eq!(outcomes[0].verdicts, [Verdict::Gone, Verdict::Merged { rows: 1, rejected: 0 }]);
}

#[tokio::test]
async fn events_for_unknown_prefixes_and_test_events_are_acknowledged() {
    let mut scene = Scene::new(&[&acme()]);
    scene.notify_of("");
    scene.stage("nobody/x", rows(0, 1));
    scene.intake(&testkit::fake::test_event_body("staging"));
    scene.run(60).await;
    assert_eq!(scene.staged(), ["nobody/x"], "an object nobody delivers stays where it is");
    assert_eq!(scene.intake_rest(), (0, Vec::new()));
}

#[tokio::test]
async fn a_poison_message_goes_to_the_dead_letter_queue_and_its_neighbours_do_not() {
    let mut scene = Scene::new(&[&acme()]);
    scene.intake("{not json");
    scene.stage("acme/rows/a", rows(0, 2));
    scene.deliver(&["acme-rows"]).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0, 1]);
    scene.run(15 * 6 * 900).await;
    assert_eq!(scene.intake_rest(), (0, vec!["{not json".to_owned()]));
}

#[tokio::test]
async fn a_malformed_document_refuses_its_own_delivery_only() {
    let broken = document("globex", "").replace("type = \"int64\"", "type = \"int65\"");
    let mut scene = Scene::new(&[&acme(), &broken]);
    scene.notify_of("globex/");
    scene.stage("acme/rows/a", rows(0, 1));
    scene.stage("globex/rows/a", rows(5, 1));
    scene.deliver(&["acme-rows", "globex-rows"]).await;
    assert_eq!(scene.delivered_ids("acme-lake"), [0]);
    assert_eq!(scene.staged(), ["globex/rows/a"], "nothing is lost");

    let fixed = document("globex", "");
    scene.aws.admit_client(&delivery(&fixed).access());
    scene.configure(&fixed);
    scene.deliver(&["globex-rows"]).await;
    assert_eq!(scene.delivered_ids("globex-lake"), [5]);
}

#[tokio::test]
async fn overlapping_source_prefixes_refuse_both_deliveries_and_leave_the_objects() {
    let overlapping = acme()
        .replace("acme-rows", "acme-more")
        .replace("acme/rows/", "acme/")
        .replace("raw/rows/", "raw/more/");
    let mut scene = Scene::new(&[&acme(), &overlapping]);
    scene.stage("acme/rows/a", rows(0, 1));
    scene.deliver(&["acme-rows"]).await;
    assert_eq!(scene.delivered("acme-lake"), Vec::<String>::new());
    assert_eq!(scene.staged(), ["acme/rows/a"]);
}
