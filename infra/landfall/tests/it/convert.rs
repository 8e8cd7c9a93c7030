//! The merge engine on local files.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use landfall::{ConvertSummary, convert, input_files};
use landfall_core::delivery::Delivery;

use crate::{CUT_GZIP, delivery, line, write};

fn run(delivery: &Delivery, input: &Path, output: &Path) -> ConvertSummary {
    let at: Timestamp = "2026-05-19T10:00:00Z".parse().unwrap();
    convert(delivery, &input_files(input).unwrap(), output, at, &mut |_| {}).unwrap()
}

/// All files below a folder: relative path and bytes.
fn everything(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = input_files(folder).unwrap();
    files.into_iter().map(|file| (file.relative, fs::read(file.path).unwrap())).collect()
}

#[test]
fn rows_go_to_their_partitions_and_bad_ones_aside() {
    let (input, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(input.path(), "1.jsonl", format!("{}{}\n{}", line(1, 18), line(2, 19), line(3, 19)));
    write(input.path(), "2.jsonl", format!("{}not json\n{}", line(4, 18), line(5, 18)));
    write(input.path(), "3.gz", CUT_GZIP);
    write(input.path(), "4.jsonl", "");
    let summary = run(&delivery("sales"), input.path(), output.path());
    assert_eq!((summary.inputs.0, summary.rows, summary.rejected), (4, 5, 1));
    let rows: Vec<(&str, u64)> =
        summary.files.iter().map(|(path, _, rows)| (path.split_once('/').unwrap().0, *rows)).collect();
    assert_eq!(rows, [("dt=2026-05-18", 3), ("dt=2026-05-19", 2)]);
    let [(file, why)] = summary.quarantined.as_slice() else { panic!("{:?}", summary.quarantined) };
    assert_eq!((file.as_str(), why.reason.as_str()), ("3.gz", "gzip_truncated"));

    let rejected = fs::read_to_string(output.path().join("_rejected.jsonl")).unwrap();
    let rejected: serde_json::Value = serde_json::from_str(rejected.trim_end()).unwrap();
    assert_eq!(rejected["key"], "2.jsonl");
    assert_eq!(rejected["line"], 2);
    assert_eq!(rejected["raw"], "not json");
    let left = everything(output.path());
    assert!(left.iter().all(|(path, _)| !path.contains(".part")), "{left:?}");
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let input = tempfile::tempdir().unwrap();
    let body: String = (0..2_000).map(|id| line(id, 1 + u8::try_from(id % 5).unwrap())).collect();
    write(input.path(), "a.jsonl", body);
    let outputs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for output in &outputs {
        run(&delivery("sales"), input.path(), output.path());
    }
    assert_eq!(everything(outputs[0].path()), everything(outputs[1].path()));
}

#[test]
fn every_file_is_converted_however_many_targets_they_fill() {
    let (input, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut unpartitioned = delivery("sales");
    unpartitioned.layout.partitions.clear();
    for file in 0..20 {
        let body: String = (0..2_000).map(|id| line(file * 2_000 + id * 7919 % 100_000, 1)).collect();
        write(input.path(), &format!("{file:02}.jsonl"), body);
    }
    let summary = run(&unpartitioned, input.path(), output.path());
    assert_eq!(summary.rows, 40_000);
    assert!(summary.files.len() > 1, "{:?}", summary.files);
    assert_eq!(everything(output.path()).len(), summary.files.len());
}
