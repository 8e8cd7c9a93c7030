//! Parquet objects among the inputs of a delivery.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use landfall_core::record::Verdict;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::scene::{Scene, document, gzip, rows};

const ID: &str = "acme-rows";
const LAKE: &str = "acme-lake";

/// Rows as `rows` has them, as a Parquet object.
fn parquet(ids: std::ops::Range<i64>, codec: Compression) -> Vec<u8> {
    let names = ids.clone().map(|id| format!("name {id}")).collect::<Vec<_>>();
    let columns: [(&str, ArrayRef); 2] =
        [("id", Arc::new(Int64Array::from_iter_values(ids))), ("name", Arc::new(StringArray::from(names)))];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let properties = WriterProperties::builder().set_compression(codec).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.into_inner().expect("a file")
}

#[tokio::test]
async fn parquet_and_lines_of_one_delivery_become_one_file() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    scene.stage("acme/rows/a.jsonl", rows(0, 2));
    // Told by what it holds, whatever it is called.
    scene.stage("acme/rows/b.jsonl", parquet(2..5, Compression::SNAPPY));
    scene.stage("acme/rows/c.gz", gzip(&rows(5, 1)));
    scene.stage("acme/rows/d.parquet", parquet(6..9, Compression::UNCOMPRESSED));
    scene.stage("acme/rows/e.json", r#"[{"id":9,"name":"nine"},{"id":10,"name":null}]"#);
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered(LAKE).len(), 1);
    assert_eq!(scene.delivered_ids(LAKE), (0..11).collect::<Vec<_>>());
    let names: Vec<_> =
        scene.delivered_rows(LAKE).into_iter().skip(6).take(5).map(|(_, name)| name).collect();
    let expected = [Some("name 6"), Some("name 7"), Some("name 8"), Some("nine"), None];
    assert_eq!(names, expected.map(|name| name.map(str::to_owned)));
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[tokio::test]
async fn a_hostile_parquet_object_is_set_aside_alone() {
    let mut scene = Scene::new(&[&document("acme", "")]);
    let mut hostile = parquet(100..103, Compression::SNAPPY);
    // The header of the first page, which comes first in the object.
    hostile[4..10].fill(0xff);
    scene.stage("acme/rows/a", parquet(0..3, Compression::SNAPPY));
    scene.stage("acme/rows/b", hostile);
    scene.stage("acme/rows/c", rows(3, 2));
    scene.stage("acme/rows/d", &b"PAR1 is no way to begin a line"[..]);
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [0, 1, 2, 3, 4]);
    let outcomes = scene.outcomes(ID).await;
    let reasons: Vec<_> = outcomes
        .iter()
        .flat_map(|outcome| &outcome.verdicts)
        .map(|verdict| match verdict {
            Verdict::Quarantined { reason, .. } => reason.as_str(),
            Verdict::Merged { .. } => "merged",
            _ => "neither",
        })
        .collect();
    assert_eq!(reasons, ["merged", "parquet_data", "merged", "parquet_truncated"]);
    assert_eq!(scene.staged(), Vec::<String>::new());
}

#[tokio::test]
async fn a_row_of_a_parquet_object_that_breaks_the_contract_is_kept_as_text() {
    let text = document("acme", "")
        .replace("type = \"string\"", "type = \"string\"\nmax_length = 6\n")
        .replace("version = 3", "version = 3\non_violation = \"quarantine_row\"");
    let mut scene = Scene::new(&[&text]);
    scene.stage("acme/rows/a", parquet(9..11, Compression::SNAPPY));
    scene.deliver(&[ID]).await;
    assert_eq!(scene.delivered_ids(LAKE), [9]);
    let rejected = scene.rejected(ID);
    assert_eq!(rejected.len(), 1);
    assert_eq!((rejected[0].line, rejected[0].reason.as_str()), (2, "too_long"));
    assert_eq!(rejected[0].raw.as_deref(), Some(r#"{"id":10,"name":"name 10"}"#));
}
