//! Inputs that change under the merge: overwritten, deleted, uploaded again, cut off, freed.

use jiff::SignedDuration;
use landfall_core::keys::{self, RecordName};
use landfall_core::message::Message;
use landfall_core::record::{Closed, FlushReason, PlanReason, Verdict};
use landfall_lambda::metrics;
use testkit::fake::Fault;

use crate::scene::{Scene, document, gzip, noise, plan_event, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const A: &str = "acme/rows/a";

fn acme() -> String {
    document("acme", "")
}

/// Row 0 staged as `a` and planned, and its merge not asked for: the faults are the caller's to take back.
async fn planned() -> Scene {
    let mut scene = Scene::new(&[&acme()]);
    scene.block("work");
    scene.stage(A, rows(0, 1));
    scene.flush(ID);
    scene.run(31).await;
    assert_eq!(scene.record_names(ID, 1), ["intent"]);
    scene
}

#[tokio::test]
async fn an_object_overwritten_before_its_merge_is_delivered_in_its_new_form_only() {
    let mut scene = planned().await;
    scene.stage(A, rows(7, 1));
    scene.unblock();
    scene.ask(&Message::merge(ID, 1));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.outcomes(ID).await[0].verdicts, [Verdict::Superseded]);
    assert_eq!(scene.delivered_ids(LAKE), [7]);
    assert_eq!(scene.staged(), Vec::<String>::new());

    // The old bytes were never read: when they come after all they are a new input, not a repeat.
    scene.stage(A, rows(0, 1));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 7]);
    assert_eq!(scene.total(&metrics::REPEATED_UPLOADS, Some(ID)), 0);
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[tokio::test]
async fn an_object_overwritten_after_its_merge_is_delivered_in_both_forms() {
    let mut scene = Scene::new(&[&acme()]);
    scene.block("commit");
    scene.stage(A, rows(0, 1));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.outcomes(ID).await.len(), 1);
    scene.stage(A, rows(7, 1));
    scene.unblock();
    scene.ask(&Message::commit(ID, 1));
    scene.deliver(&[ID]).await;

    let closed: Closed = scene.record(ID, 1, RecordName::Closed).await;
    assert_eq!((closed.deleted, closed.left), (0, 1), "the new object is not the one that was read");
    assert_eq!(scene.delivered_ids(LAKE), [0, 7]);
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[tokio::test]
async fn an_object_that_was_gone_and_comes_back_is_delivered() {
    let mut scene = planned().await;
    scene.aws.delete_object("staging", A);
    scene.unblock();
    scene.ask(&Message::merge(ID, 1));
    scene.run(1).await;
    assert_eq!(scene.outcomes(ID).await[0].verdicts, [Verdict::Gone]);
    scene.stage(A, rows(0, 1));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [0]);
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[tokio::test]
async fn a_retired_input_is_known_for_fourteen_days_and_then_new_again() {
    let mut scene = Scene::new(&[&acme()]);
    scene.stage(A, rows(0, 1));
    scene.deliver(&[ID]).await;
    let mut minutes = 0;
    while scene.ledger().floor(ID).await.expect("a floor").0 < 1 {
        scene.tick_for(1).await;
        minutes += 1;
        assert!(minutes < 60, "the floor never moves");
    }
    let lists = scene.aws.keys("state", &keys::identities_prefix(ID));
    assert_eq!(lists.len(), 1);

    scene.aws.clock().advance(SignedDuration::from_hours(13 * 24));
    scene.stage(A, rows(0, 1));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [0]);
    assert_eq!(scene.total(&metrics::REPEATED_UPLOADS, Some(ID)), 1);
    assert_eq!(scene.staged(), Vec::<String>::new());

    scene.aws.clock().advance(SignedDuration::from_hours(2 * 24));
    scene.stage(A, rows(0, 1));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 0], "as docs/semantics.md says: a new input");
    assert!(!scene.aws.keys("state", &keys::identities_prefix(ID)).contains(&lists[0]));
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[tokio::test]
async fn many_moves_of_the_floor_leave_few_lists_and_forget_nothing() {
    let mut scene = Scene::new(&[&acme()]);
    for row in 0..80 {
        scene.stage(&format!("acme/rows/{row}"), rows(row, 1));
        scene.deliver(&[ID]).await;
    }
    let (floor, _) = scene.ledger().floor(ID).await.expect("a floor");
    assert!(floor > 70, "the floor moved with nearly every delivery: {floor}");
    let lists = scene.aws.keys("state", &keys::identities_prefix(ID));
    assert!(lists.len() <= 33, "{} lists", lists.len());

    for row in 0..80 {
        scene.stage(&format!("acme/rows/{row}"), rows(row, 1));
    }
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), ids(80), "each of them is known");
    assert_eq!(scene.total(&metrics::REPEATED_UPLOADS, Some(ID)), 80);
}

#[tokio::test]
async fn a_warm_planner_reads_each_list_of_identities_once() {
    let mut scene = Scene::new(&[&acme()]);
    for row in 0..6 {
        scene.stage(&format!("acme/rows/{row}"), rows(row, 1));
        scene.deliver(&[ID]).await;
    }
    for _ in 0..3 {
        scene.deliver(&[ID]).await;
    }
    let lists = scene.aws.keys("state", &keys::identities_prefix(ID));
    assert!(lists.len() > 3, "{lists:?}");
    let reads = || {
        let mut reads = scene.aws.calls_of("GetObject");
        reads.retain(|call| call.key.as_ref().is_some_and(|key| lists.contains(key)));
        reads.len()
    };
    assert!(reads() <= lists.len(), "{} reads of {} lists", reads(), lists.len());
    // Whoever starts cold reads them, and finds the same.
    let before = reads();
    let mut warm = scene.begin_compactor(plan_event(ID, PlanReason::Flush));
    scene.aws.faults().on("ListObjectsV2").key("acme/rows/").inject(Fault::Pause);
    assert!(scene.aws.run_until_paused(&mut warm).await.is_none());
    let second = scene.invoke_compactor(plan_event(ID, PlanReason::Flush)).await;
    assert_eq!(second["batchItemFailures"], serde_json::json!([]), "{second}");
    assert_eq!(reads(), before + lists.len());
    scene.aws.resume();
    warm.await.expect("it answers");
    scene.stage("acme/rows/3", rows(3, 1));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), ids(6), "a repeat is known from memory");
    assert_eq!(scene.total(&metrics::REPEATED_UPLOADS, Some(ID)), 1);
}

fn ids(count: i64) -> Vec<i64> {
    (0..count).collect()
}

#[tokio::test]
async fn a_flush_of_more_than_a_file_takes_what_its_merges_free_as_well() {
    // Nothing ripens by age: only the flush moves what a full file leaves over.
    let text = acme().replace(
        "max_latency_seconds = 60",
        "max_latency_seconds = 3600\ntarget_bytes = 1048576\nrow_group_bytes = 1048576",
    );
    let mut scene = Scene::new(&[&text]);
    for index in 0..16_u64 {
        scene.stage(&format!("acme/rows/{index:02}"), noise(index * 100, 100, 4096));
    }
    scene.deliver(&[ID]).await;
    scene.run(600).await;
    assert_eq!(scene.staged(), Vec::<String>::new(), "nothing waits after a flush");
    assert_eq!(scene.delivered_ids(LAKE), ids(1600));
    let outcomes = scene.outcomes(ID).await;
    let freed = outcomes[0].consumed < scene.ledger().intent(ID, 1).await.expect("an intent").inputs.len();
    assert!(freed, "the first merge was to free inputs, or this test shows nothing");
}

#[tokio::test]
async fn a_flush_takes_also_what_was_under_way_when_it_was_asked_for() {
    let text = acme().replace(
        "max_latency_seconds = 60",
        "max_latency_seconds = 3600\ntarget_bytes = 1048576\nrow_group_bytes = 1048576",
    );
    let mut scene = Scene::new(&[&text]);
    // gzip is predicted 1:1, and noise that is base64 text makes it smaller than its rows: a file is full early.
    for index in 0..8_u64 {
        scene.stage(&format!("acme/rows/{index:02}.gz"), gzip(&noise(index * 100, 100, 4096)));
    }
    scene.block("work");
    scene.run(60).await;
    let intent = scene.ledger().intent(ID, 1).await.expect("planned by its events");
    assert_eq!(intent.reason, FlushReason::Size);
    // Asked for while every object is taken: the plan itself finds nothing to do.
    scene.flush(ID);
    scene.run(60).await;
    scene.unblock();
    scene.tick_for(40).await;
    assert_eq!(scene.staged(), Vec::<String>::new(), "nothing waits after a flush");
    assert_eq!(scene.delivered_ids(LAKE), ids(800));
    let outcomes = scene.outcomes(ID).await;
    assert!(
        outcomes[0].consumed < intent.inputs.len(),
        "the merge was to free inputs, or this test shows nothing"
    );
}

/// One object of `count` rows, too large to be fetched ahead, and read in small pieces.
fn large(count: u64, body: impl Into<bytes::Bytes>) -> (Scene, i64) {
    let scene = Scene::new(&[&acme()]);
    scene.aws.set_chunk_bytes(64 * 1024);
    scene.stage("acme/rows/large", body);
    (scene, i64::try_from(count).expect("small"))
}

#[tokio::test]
async fn a_large_object_cut_off_once_is_read_again() {
    let (mut scene, count) = large(600, noise(0, 600, 4096));
    scene.aws.faults().on("ReadBody").key("large").after(20).inject(Fault::LostResponse);
    scene.deliver(&[ID]).await;
    assert_eq!(scene.aws.faults().fired(), 1);
    assert_eq!(scene.delivered_ids(LAKE), ids(count));
    assert_eq!(scene.temps(LAKE), Vec::<String>::new());
}

#[tokio::test]
async fn a_large_object_cut_off_every_time_comes_back_until_it_can_be_read() {
    let (mut scene, count) = large(600, noise(0, 600, 4096));
    scene.aws.faults().on("ReadBody").key("large").after(20).forever().inject(Fault::LostResponse);
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered(LAKE), Vec::<String>::new());
    assert_eq!(scene.temps(LAKE), Vec::<String>::new(), "every try removes what it staged");
    assert_eq!(scene.holds(ID), Vec::<String>::new(), "nothing of it is the client's to mend");
    scene.unblock();
    scene.tick_for(40).await;
    assert_eq!(scene.delivered_ids(LAKE), ids(count));
}

/// More decoded bytes than are checked as a whole: rows of it enter a file before its end is seen.
fn too_large_to_isolate() -> (u64, Vec<u8>) {
    let (count, name) = (18_000, "n".repeat(4096));
    let lines: Vec<String> = (0..count).map(|id| format!("{{\"id\":{id},\"name\":\"{name}\"}}\n")).collect();
    let text = lines.concat();
    // The fastest form: what matters is the size of what comes out.
    let packed = zstd::encode_all(text.as_bytes(), 1).expect("zstd");
    // Frames may follow each other, and skippable ones say nothing: one makes it too large to be fetched ahead.
    let mut body = vec![0x50, 0x2A, 0x4D, 0x18];
    let padding = 2_u32 << 20;
    body.extend(padding.to_le_bytes());
    body.resize(body.len() + usize::try_from(padding).expect("fits"), 0);
    (count, [body, packed].concat())
}

#[tokio::test]
async fn a_cut_after_rows_entered_a_file_starts_the_execution_again() {
    let (count, body) = too_large_to_isolate();
    let (mut scene, count) = large(count, body);
    scene.aws.set_chunk_bytes(1024);
    let pieces = pieces_of(&scene, 1024);
    scene.aws.faults().on("ReadBody").key("large").after(pieces - 1).inject(Fault::LostResponse);
    scene.deliver(&[ID]).await;
    assert_eq!(scene.aws.faults().fired(), 1);
    assert_eq!(scene.delivered_ids(LAKE), ids(count));
    assert_eq!(scene.temps(LAKE), Vec::<String>::new());
}

#[tokio::test]
async fn cuts_after_rows_entered_a_file_do_not_start_the_execution_again_for_ever() {
    let (count, body) = too_large_to_isolate();
    let (mut scene, _) = large(count, body);
    scene.aws.set_chunk_bytes(1024);
    let last = pieces_of(&scene, 1024) - 1;
    // The last piece of every read is cut.
    for read in 0..3 {
        scene
            .aws
            .faults()
            .on("ReadBody")
            .key("large")
            .after(last + read * (last + 1))
            .inject(Fault::LostResponse);
    }
    scene.flush(ID);
    scene.run(30).await;
    assert_eq!(scene.aws.faults().fired(), 3);
    let reads = scene
        .aws
        .calls_of("GetObject")
        .iter()
        .filter(|call| call.key.as_deref() == Some("acme/rows/large"))
        .count();
    assert_eq!(reads, 3, "the message comes back instead");
    assert_eq!(scene.record_names(ID, 1), ["intent"]);
    assert_eq!(scene.temps(LAKE), Vec::<String>::new());
}

/// In how many pieces the staged object is read.
fn pieces_of(scene: &Scene, piece: u64) -> usize {
    let size = scene.aws.object("staging", "acme/rows/large").expect("staged").size();
    usize::try_from(size.div_ceil(piece)).expect("small")
}

#[tokio::test]
async fn objects_staged_before_the_start_are_left_alone() {
    let text = acme()
        .replace("prefix = \"acme/rows/\"", "prefix = \"acme/rows/\"\nstart = \"2026-05-19T10:01:00Z\"");
    let mut scene = Scene::new(&[&text]);
    scene.stage("acme/rows/early", rows(0, 1));
    scene.run(60).await;
    scene.stage("acme/rows/late", rows(1, 1));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [1]);
    assert_eq!(scene.staged(), ["acme/rows/early"]);
}
