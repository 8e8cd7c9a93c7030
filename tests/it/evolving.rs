//! Contracts that take in what is new: columns are added, types are widened, each version is recorded once, and whatever
//! happens meanwhile every row arrives once.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use landfall_core::audit::{read, verify};
use landfall_core::evolution::{Change, Evolution};
use landfall_core::keys;
use landfall_core::message::Message;
use landfall_core::record::{Intent, Outcome};
use landfall_lambda::metrics;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use testkit::fake::Fault;

use crate::scene::{Scene, document, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";
const NOTHING: [String; 0] = [];

/// A delivery that evolves, with a column `score` of 32 bits, in no catalog.
fn evolving(more: &str) -> String {
    let text = document("acme", more);
    let (before, catalog) = text.split_once("[catalog.glue]").expect("a table");
    let after = &catalog[catalog.find("[[notify").expect("a queue")..];
    format!("{before}{after}").replace(
        "version = 3\n",
        "version = 3\non_violation = \"evolve\"\n[[contract.column]]\nname = \"score\"\ntype = \"int32\"\n",
    )
}

/// One record with more members.
fn record(id: i64, more: &str) -> String {
    format!("{{\"id\":{id},\"name\":\"n\"{more}}}\n")
}

/// The columns of a file, with their Arrow types.
fn columns(scene: &Scene, key: &str) -> Vec<(String, String)> {
    let file = scene.aws.object(LAKE, key).expect("the file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.body).expect("a Parquet file");
    let fields = reader.schema().fields().iter();
    fields.map(|field| (field.name().clone(), field.data_type().to_string())).collect()
}

async fn evolution(scene: &Scene) -> Evolution {
    scene.ledger().evolution(ID).await.expect("the log").expect("it evolved")
}

/// The versions of the contract that the intents which came to files were planned with, by number.
async fn versions(scene: &Scene) -> Vec<u32> {
    let mut versions = Vec::new();
    for (intent, outcome) in scene.intents(ID).await.iter().zip(scene.outcomes(ID).await) {
        if !outcome.void {
            versions.push(version(scene, intent).await);
        }
    }
    versions
}

async fn version(scene: &Scene, intent: &Intent) -> u32 {
    scene.ledger().pin(ID, &intent.pin).await.expect("its pin").contract.version
}

async fn assert_sound(scene: &Scene) {
    assert_eq!(verify(&read(&scene.ledger(), ID).await.expect("the log")), []);
}

#[tokio::test]
async fn new_members_become_columns_and_numbers_that_do_not_fit_widen_theirs() {
    let mut scene = Scene::new(&[&evolving("")]);
    scene.stage("acme/rows/1", rows(0, 2));
    scene.deliver(&[ID]).await;
    scene.stage("acme/rows/2", record(2, ",\"Größe\":1.5,\"score\":7,\"gone\":null"));
    scene.stage("acme/rows/3", record(3, ",\"score\":3000000000,\"tags\":[\"a\"]"));
    scene.stage("acme/rows/4", rows(4, 1));
    scene.deliver(&[ID]).await;

    let files = scene.delivered(LAKE);
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 3, 4], "and nothing is rejected");
    assert!(scene.rejected(ID).is_empty());
    let old = [("id", "Int64"), ("name", "Utf8"), ("score", "Int32")];
    let (first, second): (Vec<_>, Vec<_>) =
        files.iter().map(|key| columns(&scene, key)).partition(|columns| columns.len() == 3);
    let sorted = |columns: &[(String, String)]| {
        let mut columns = columns.to_vec();
        columns.sort();
        columns
    };
    assert_eq!(sorted(&first[0]), old.map(|(name, data_type)| (name.to_owned(), data_type.to_owned())));
    let names: Vec<&str> = second[0].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["score", "id", "name", "Gro_e", "tags"], "behind the others, named for every reader");
    assert_eq!(second[0][0].1, "Int64");

    let evolution = evolution(&scene).await;
    assert_eq!(scene.aws.keys("state", &keys::contracts_prefix(ID)), [keys::contract(ID, 4)]);
    let [step] = evolution.steps.as_slice() else { panic!("one version for all inputs: {evolution:?}") };
    assert_eq!((step.contract_version, step.n, step.changes.len()), (4, 2, 3));
    assert!(
        step.changes
            .contains(&Change::Widened { column: "score".into(), to: "int64".parse().expect("a type") })
    );
    let schema_versions: Vec<u32> =
        scene.receipts(ID).await.iter().map(|receipt| receipt.schema_version).collect();
    assert_eq!(schema_versions, [3, 4]);
    let outcomes = scene.outcomes(ID).await;
    let void: Vec<(bool, Option<u32>)> =
        outcomes.iter().map(|outcome| (outcome.void, outcome.evolved)).collect();
    assert_eq!(void, [(false, None), (true, Some(4)), (false, None)], "its inputs in one piece again");
    assert_eq!(scene.total(&metrics::INTENTS_EVOLVED, Some(ID)), 1);
    assert_eq!(scene.total(&metrics::INTENTS_VOIDED, Some(ID)), 0);
    assert_eq!((scene.staged(), scene.temps(LAKE)), (NOTHING.into(), NOTHING.into()));
    assert_sound(&scene).await;
}

#[tokio::test]
async fn what_no_contract_takes_in_is_set_aside_as_a_row_and_nothing_evolves() {
    let mut scene = Scene::new(&[&evolving("")]);
    let wrong = [
        record(0, ""),
        record(1, ",\"score\":1.5"),
        record(2, ",\"score\":99999999999999999999999"),
        record(3, ",\"more\":null"),
        "{\"id\":\"four\"}\n".to_owned(),
        "{\"id\":5\n".to_owned(),
    ];
    scene.stage("acme/rows/1", wrong.concat());
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 3]);
    let reasons: Vec<String> = scene.rejected(ID).into_iter().map(|row| row.reason).collect();
    assert_eq!(reasons, ["wrong_type", "out_of_range", "wrong_type", "invalid_json"]);
    assert_eq!(scene.ledger().evolution(ID).await.expect("the log"), None);
    assert_eq!(scene.intents(ID).await.len(), 1, "it was merged in the end, and not void");
    assert_sound(&scene).await;
}

#[tokio::test]
async fn what_is_new_in_the_reserve_of_an_intent_evolves_too() {
    // 64 KiB files of objects of 40 KB: two fill one, the others are the reserve.
    let small =
        evolving("").replace("[layout]\n", "[layout]\ntarget_bytes = 65536\nrow_group_bytes = 65536\n");
    let mut scene = Scene::new(&[&small]);
    let pad = |id: i64, more: &str| record(id, more) + &" \n".repeat(20_000);
    for id in 0..40 {
        scene.stage(
            &format!("acme/rows/{id:02}"),
            pad(
                id,
                match id {
                    0 => ",\"score\":99999999999",
                    1 => ",\"score\":1e99",
                    39 => ",\"late\":1",
                    _ => "",
                },
            ),
        );
    }
    scene.deliver(&[ID]).await;
    scene.run(600).await;
    let delivered: Vec<i64> = (0..40).filter(|id| *id != 1).collect();
    assert_eq!(scene.delivered_ids(LAKE), delivered);
    assert_eq!(scene.rejected(ID).len(), 1);
    assert_eq!(evolution(&scene).await.steps.len(), 2, "one for those in front, one for the last");
}

/// A plan of three objects, two of which drift, whose merge was never dispatched.
async fn drifted() -> Scene {
    let mut scene = Scene::new(&[&evolving("")]);
    scene.block("work");
    scene.stage("acme/rows/1", rows(0, 2));
    scene.stage("acme/rows/2", record(2, ",\"a\":1"));
    scene.stage("acme/rows/3", record(3, ",\"b\":true"));
    scene.deliver(&[ID]).await;
    scene.unblock();
    scene
}

#[tokio::test]
async fn whatever_fails_while_a_contract_evolves_every_row_arrives_once() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::Panic, Fault::LostResponse, Fault::Throttle] {
        let mut calls = 0;
        loop {
            let mut scene = drifted().await;
            scene.ask(&Message::merge(ID, 1));
            scene.aws.faults().on_any().after(calls).inject(fault);
            scene.pipe.round().await;
            let reached = scene.aws.faults().fired() > 0;
            // An execution that dies leaves its message out of sight for an hour and a half.
            scene.tick_for(240).await;
            let context = format!("{fault:?} at call {calls}");
            assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 3], "{context}");
            assert_eq!((scene.staged(), scene.temps(LAKE).len()), (NOTHING.into(), 0), "{context}");
            assert_eq!(evolution(&scene).await.contract_version(), 4, "{context}: one version, once");
            assert_eq!(versions(&scene).await, [4], "{context}");
            assert!(scene.rejected(ID).is_empty(), "{context}");
            assert_sound(&scene).await;
            if !reached {
                break;
            }
            calls += 1;
        }
        assert!(calls > 15, "{calls} calls");
    }
}

#[tokio::test]
async fn executions_that_drift_at_once_agree_on_a_contract_that_takes_in_all_of_it() {
    let by_key = "[[layout.partition]]\nname = \"part\"\nsource = \"key\"\n";
    let mut scene = Scene::racing(&[&evolving("").replace("[[notify", &format!("{by_key}[[notify"))], 4);
    for part in 0..4 {
        scene.stage(
            &format!("acme/rows/part={part}/1"),
            record(part, &format!(",\"m{part}\":{part},\"all\":1")),
        );
    }
    scene.deliver(&[ID]).await;
    scene.run(600).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 3]);
    let evolution = evolution(&scene).await;
    let added: Vec<&str> = evolution
        .steps
        .iter()
        .flat_map(|step| &step.changes)
        .map(|change| match change {
            Change::Added { column } => column.name.as_str(),
            Change::Widened { .. } => panic!("nothing is widened"),
        })
        .collect();
    let mut distinct = added.clone();
    distinct.sort_unstable();
    assert_eq!(distinct, ["all", "m0", "m1", "m2", "m3"], "each once");
    let numbers: Vec<u32> = evolution.steps.iter().map(|step| step.contract_version).collect();
    assert_eq!(numbers, (4..4 + u32::try_from(numbers.len()).expect("few")).collect::<Vec<_>>());
    assert_eq!((scene.staged(), scene.rejected(ID).len()), (NOTHING.into(), 0));
    assert_sound(&scene).await;
}

#[tokio::test]
async fn a_document_that_is_edited_keeps_what_its_contract_took_in() {
    let mut scene = drifted().await;
    scene.ask(&Message::merge(ID, 1));
    scene.run(600).await;
    assert_eq!(versions(&scene).await, [4]);
    let edited = evolving("")
        .replace("version = 3\n", "version = 9\n")
        .replace("[layout]", "[[contract.column]]\nname = \"own\"\ntype = \"date\"\n[layout]");
    scene.configure(&edited);
    scene.stage("acme/rows/4", record(4, ",\"a\":5,\"own\":\"2026-05-19\""));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 3, 4]);
    assert_eq!(versions(&scene).await, [4, 9]);
    // The next version follows the document's.
    scene.stage("acme/rows/5", record(5, ",\"c\":\"x\""));
    scene.deliver(&[ID]).await;
    assert_eq!(versions(&scene).await, [4, 9, 10]);
    let widest = scene.delivered(LAKE).iter().map(|key| columns(&scene, key).len()).max();
    assert_eq!(widest, Some(7), "score, id, name, own, a, b, c");

    // One that evolves no more decides alone.
    scene.configure(&edited.replace("\"evolve\"", "\"quarantine_row\""));
    scene.stage("acme/rows/6", record(6, ",\"a\":5"));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 3, 4, 5]);
    assert_eq!(scene.rejected(ID).len(), 1);
}

#[tokio::test]
async fn a_parquet_object_with_a_new_column_evolves_the_contract_to_its_type() {
    let mut scene = Scene::new(&[&evolving("")]);
    let columns_of: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int64Array::from(vec![1]))),
        ("name", Arc::new(StringArray::from(vec!["n"]))),
        ("at", Arc::new(arrow_array::Date32Array::from(vec![20_000]))),
    ];
    let batch = RecordBatch::try_from_iter(columns_of).expect("a batch");
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    scene.stage("acme/rows/0", rows(0, 1));
    scene.stage("acme/rows/1", writer.into_inner().expect("a file"));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1]);
    let files = scene.delivered(LAKE);
    assert_eq!(columns(&scene, &files[0]).last(), Some(&("at".to_owned(), "Date32".to_owned())));
}

#[tokio::test]
async fn an_ordered_delivery_goes_on_behind_an_intent_that_evolved() {
    let ordered = evolving("").replace("dataset = \"rows\"\n", "dataset = \"rows\"\norder = \"delivery\"\n");
    let mut scene = Scene::new(&[&ordered]);
    for (name, text) in [("1", record(0, "")), ("2", record(1, ",\"a\":1")), ("3", record(2, ""))] {
        scene.stage(&format!("acme/rows/{name}"), text);
        scene.deliver(&[ID]).await;
    }
    scene.run(600).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2]);
    let outcomes: Vec<Outcome> = scene.outcomes(ID).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.void).count(), 1);
    assert_sound(&scene).await;
}
