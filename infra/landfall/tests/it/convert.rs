//! The merge engine on local files.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use landfall::{ConvertSummary, convert, input_files};
use landfall_core::delivery::Delivery;
use landfall_core::layout::{PartitionLevel, PartitionSource, PartitionTransform};

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

/// The rejected rows of a conversion.
fn rejected(output: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(output.join("_rejected.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn rejected_lines_are_kept_to_the_byte() {
    let (input, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(input.path(), "1.jsonl", b"{\"id\":\"\xff\xfe\"}\n");
    write(input.path(), "2.jsonl", "{\"id\":\"\u{e9}\"}\n");
    assert_eq!(run(&delivery("sales"), input.path(), output.path()).rejected, 2);
    let rejected = rejected(output.path());
    assert_eq!(
        (rejected[0]["raw"].as_str(), rejected[0]["raw_base64"].as_str()),
        (None, Some("eyJpZCI6Iv/+In0="))
    );
    assert_eq!(
        (rejected[1]["raw"].as_str(), rejected[1]["raw_base64"].as_str()),
        (Some("{\"id\":\"é\"}"), None)
    );
}

#[test]
fn partitions_of_the_key_are_those_of_the_staged_key() {
    let (input, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut by_key = delivery("sales");
    by_key.source.prefix = "acme/region=eu/".into();
    let level = |name: &str| PartitionLevel {
        name: Some(name.into()),
        source: PartitionSource::Key,
        field: None,
        transform: PartitionTransform::Identity,
    };
    by_key.layout.partitions = vec![level("region"), level("shop")];
    write(input.path(), "shop=1/a.jsonl", line(1, 1));
    write(input.path(), "acme/region=eu/shop=2/a.jsonl", line(2, 1));
    let summary = run(&by_key, input.path(), output.path());
    let folders: Vec<&str> =
        summary.files.iter().map(|(path, _, _)| path.rsplit_once('/').unwrap().0).collect();
    assert_eq!(folders, ["region=eu/shop=1", "region=eu/shop=2"]);
}

#[test]
fn a_value_longer_than_a_name_of_a_file_rejects_its_row_alone() {
    let (input, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut text = delivery("sales");
    text.contract.columns[1].data_type = "string".parse().unwrap();
    text.layout.partitions[0].field = Some("price".into());
    let line = |price: &str| format!("{{\"id\":1,\"price\":\"{price}\",\"day\":\"2026-05-01\"}}\n");
    let most = "x".repeat(255 - "dt=".len());
    write(input.path(), "a.jsonl", line("a") + &line(&"é".repeat(90)) + &line(&most));
    let summary = run(&text, input.path(), output.path());
    assert_eq!((summary.rows, summary.files.len()), (2, 2));
    assert_eq!(rejected(output.path())[0]["reason"], "partition_too_long");
}

#[test]
fn a_conversion_that_starts_again_leaves_nothing_of_its_first_attempt() {
    let (input, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(input.path(), "1.jsonl", format!("{}bad\n", line(1, 1)));
    // Too large to be checked as a whole, with rows in files when it turns out to have too many partitions.
    let mut large = line(2, 2).trim_end().to_owned();
    large.push_str(&" ".repeat(1 << 20));
    let mut body = format!("{large}\n").repeat(70) + "bad\n";
    for n in 0..10_001 {
        let (year, month, day) = (1900 + n / 336, n / 28 % 12 + 1, n % 28 + 1);
        writeln!(body, "{{\"id\":{n},\"day\":\"{year}-{month:02}-{day:02}\"}}").unwrap();
    }
    write(input.path(), "2.jsonl", body);
    write(input.path(), "3.jsonl", format!("{}bad\n", line(3, 1)));
    let summary = run(&delivery("sales"), input.path(), output.path());
    let [(file, why)] = summary.quarantined.as_slice() else { panic!("{:?}", summary.quarantined) };
    assert_eq!((file.as_str(), why.reason.as_str()), ("2.jsonl", "too_many_partitions"));
    assert_eq!((summary.rows, summary.rejected), (2, 2));
    let keys: Vec<serde_json::Value> =
        rejected(output.path()).into_iter().map(|row| row["key"].clone()).collect();
    assert_eq!(keys, ["1.jsonl", "3.jsonl"]);
    let left: Vec<String> = everything(output.path()).into_iter().map(|(path, _)| path).collect();
    assert_eq!(left.len(), summary.files.len() + 1, "{left:?}");
    assert!(left.iter().all(|path| !path.contains(".part")), "{left:?}");
}
