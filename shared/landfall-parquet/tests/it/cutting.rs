//! Where files end.

use std::fmt::Write as _;

use landfall_core::contract::Contract;
use landfall_parquet::{Flow, InputInfo, Merge, MergeSpec};
use parquet::file::metadata::{PageIndexPolicy, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use serde_json::json;

use crate::kit::{column, contract, files, merge, spec};

fn texts() -> Contract {
    contract(vec![column("v", "string")])
}

fn with_target(target: u64) -> MergeSpec {
    let mut spec = spec(texts());
    spec.config.layout.target_bytes = target;
    spec
}

/// Lines whose texts do not compress, `bytes` of them together.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    while text.len() < bytes {
        text.push_str("{\"v\":\"");
        for _ in 0..5 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            write!(text, "{state:016x}").unwrap();
        }
        text.push_str("\"}\n");
    }
    text.into_bytes()
}

#[test]
fn a_file_ends_at_the_first_boundary_at_or_past_its_target() {
    let inputs: Vec<Vec<u8>> = (0..40).map(|seed| noise(seed, 20_000)).collect();
    let slices: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let target = 100_000;
    let run = merge(&with_target(target), &slices);
    let sizes: Vec<u64> = run.files.iter().map(|file| file.finished.bytes).collect();
    assert!(sizes.len() >= 4, "{sizes:?}");
    let (last, full) = sizes.split_last().unwrap();
    // One input is about a fifth of the target: a file ends within one input of it.
    assert!(full.iter().all(|size| (95_000..125_000).contains(size)), "{sizes:?}");
    assert!(*last < 125_000);
    // Ends are boundaries of inputs.
    let rows_per_input: Vec<u64> =
        inputs.iter().map(|input| input.split(|byte| *byte == b'\n').count() as u64 - 1).collect();
    let mut boundaries = vec![0];
    for rows in rows_per_input {
        boundaries.push(boundaries.last().unwrap() + rows);
    }
    let mut end = 0;
    for file in &run.files {
        end += file.finished.rows;
        assert!(boundaries.contains(&end), "{end} is no boundary");
    }
}

#[test]
fn an_input_beyond_the_target_goes_on_in_the_next_file() {
    let large = noise(1, 1_000_000);
    let small = noise(2, 10_000);
    let run = merge(&with_target(100_000), &[&large, &small]);
    let sizes: Vec<u64> = run.files.iter().map(|file| file.finished.bytes).collect();
    assert!(sizes.len() >= 8, "{sizes:?}");
    assert!(sizes.iter().take(sizes.len() - 1).all(|size| (110_000..135_000).contains(size)), "{sizes:?}");
    let names: Vec<&str> = run.files.iter().map(|file| file.finished.relative_key.as_str()).take(2).collect();
    assert_eq!(names, ["part-job1-00000.snappy.parquet", "part-job1-00001.snappy.parquet"]);
    // No row is lost or moved.
    let texts: Vec<String> = run.rows().iter().map(|row| row["v"].as_str().unwrap().to_owned()).collect();
    let mut expected = Vec::new();
    for line in [large, small].concat().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let value: serde_json::Value = serde_json::from_slice(line).unwrap();
        expected.push(value["v"].as_str().unwrap().to_owned());
    }
    assert_eq!(texts, expected);
}

#[test]
fn the_caller_may_stop_when_a_file_is_full_and_nothing_waits() {
    let spec = with_target(100_000);
    let mut merge = Merge::new(spec).unwrap();
    let mut consumed = 0;
    for index in 0..20 {
        if merge.should_stop() {
            break;
        }
        let input = noise(index, 20_000);
        merge.begin_input(InputInfo { index: consumed, key: "k".into(), size: 20_000 }).unwrap();
        assert_eq!(merge.push(&input).unwrap(), Flow::More);
        merge.end_input().unwrap();
        consumed += 1;
    }
    assert!((4..=7).contains(&consumed), "{consumed}");
    assert!((95_000..125_000).contains(&merge.predicted_bytes().unwrap()));
    merge.finish().unwrap();
    assert_eq!(files(merge.take_output()).len(), 1);
}

#[test]
fn row_groups_are_bounded_in_bytes() {
    let mut spec = spec(texts());
    spec.config.layout.row_group_bytes = 100_000;
    spec.config.layout.target_bytes = 1_000_000;
    let run = merge(&spec, &[&noise(3, 900_000)]);
    assert_eq!(run.files.len(), 1);
    let reader = parquet::file::metadata::ParquetMetaDataReader::new();
    let metadata = reader.parse_and_finish(&run.files[0].bytes).unwrap();
    let groups: Vec<i64> = metadata.row_groups().iter().map(RowGroupMetaData::compressed_size).collect();
    assert!(groups.len() >= 5, "{groups:?}");
    assert!(groups.iter().all(|bytes| *bytes < 140_000), "{groups:?}");
}

#[test]
fn pages_are_bounded_in_bytes() {
    let run = merge(&spec(texts()), &[&noise(3, 2_000_000)]);
    let reader = parquet::file::metadata::ParquetMetaDataReader::new();
    let metadata = reader.with_page_index_policy(PageIndexPolicy::Required);
    let metadata = metadata.parse_and_finish(&run.files[0].bytes).unwrap();
    let index = metadata.offset_index().expect("an offset index");
    let pages: Vec<i32> = index[0][0].page_locations().iter().map(|page| page.compressed_page_size).collect();
    assert!(pages.len() >= 6 && pages.iter().all(|bytes| *bytes < 320_000), "{pages:?}");
}

#[test]
fn every_column_has_statistics_and_a_page_index_whatever_its_compression() {
    use landfall_core::layout::Compression;
    for compression in
        [Compression::Snappy, Compression::Zstd, Compression::Gzip, Compression::Lz4, Compression::None]
    {
        let mut spec =
            spec(contract(vec![column("v", "int64"), column("w", "string"), column("l", "list<int8>")]));
        spec.config.layout.compression = compression;
        let run = merge(&spec, &[b"{\"v\":1,\"w\":\"a\",\"l\":[3]}\n{\"v\":2,\"w\":\"b\",\"l\":[]}\n"]);
        let reader = parquet::file::metadata::ParquetMetaDataReader::new();
        let metadata = reader.with_page_index_policy(PageIndexPolicy::Required);
        let metadata = metadata.parse_and_finish(&run.files[0].bytes).unwrap();
        for chunk in metadata.row_groups().iter().flat_map(RowGroupMetaData::columns) {
            let statistics = chunk.statistics().expect("statistics");
            assert!(statistics.min_bytes_opt().is_some() && statistics.max_bytes_opt().is_some());
            assert!(chunk.column_index_offset().is_some() && chunk.offset_index_offset().is_some());
        }
        let index = metadata.column_index().expect("a column index");
        assert!(index.iter().flatten().all(|column| !matches!(column, ColumnIndexMetaData::NONE)));
    }
}

#[test]
fn names_are_made_of_the_job_and_the_number_of_the_file() {
    let mut spec = with_target(1);
    spec.config.layout.file_name = "{date}-{timestamp}-{uuid}-{hash}-{seq}".into();
    spec.config.layout.compression = landfall_core::layout::Compression::None;
    let run = merge(&spec, &[b"{\"v\":\"a\"}", b"{\"v\":\"b\"}"]);
    let names: Vec<&str> = run.files.iter().map(|file| file.finished.relative_key.as_str()).collect();
    assert_eq!(names.len(), 2);
    for (seq, name) in names.iter().enumerate() {
        let rest = name.strip_prefix("2026-05-19-20260519T101500Z-").expect(name);
        let (uuid, rest) = rest.split_at_checked(36).unwrap();
        let at = |index: usize| char::from(uuid.as_bytes()[index]);
        assert_eq!((at(8), at(14)), ('-', '8'), "{uuid}");
        assert!("89ab".contains(at(19)), "{uuid}");
        assert_eq!(rest.len(), 1 + 20 + "-00000.parquet".len());
        assert!(rest.ends_with(&format!("-{seq:05}.parquet")));
    }
    assert_ne!(names[0].get(28..64), names[1].get(28..64));
    assert_eq!(run.rows(), [json!({"v": "a"}), json!({"v": "b"})]);
}
