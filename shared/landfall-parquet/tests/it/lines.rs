//! JSON lines as output: the text of accepted records, and nothing else.

use landfall_core::contract::{DuplicateKeys, UnknownFields};
use landfall_core::layout::{Compression, FileFormat, PartitionTransform};
use landfall_parquet::recount::{Recount, RecountError};
use landfall_parquet::{InputVerdict, MergeSpec};
use proptest::prelude::*;
use serde_json::Value;

use crate::kit::{File, Run, column, contract, gzip, level, merge, merge_slices, spec};

const ALL: [Compression; 3] = [Compression::Gzip, Compression::Zstd, Compression::None];

fn jsonl(compression: Compression) -> MergeSpec {
    let mut spec = spec(contract(vec![column("id", "int64"), column("name", "string")]));
    spec.config.layout.format = FileFormat::Jsonl;
    spec.config.layout.compression = compression;
    spec.config.layout.file_name = "{timestamp}-{hash}-{worker_id}".into();
    spec
}

fn texts(run: &Run) -> Vec<String> {
    run.files.iter().map(File::text).collect()
}

fn recount(compression: Compression, bytes: &[u8], piece: usize) -> Result<u64, RecountError> {
    let mut recount = Recount::new(compression)?;
    bytes.chunks(piece.max(1)).try_for_each(|piece| recount.push(piece))?;
    recount.finish()
}

#[test]
fn accepted_records_are_delivered_as_they_came() {
    let odd = "{ \"name\" : \"\\u00e9\\n\", \"id\":1 }";
    let input = format!("\u{feff}{odd}\r\n\n  {{\"id\":2}}\t\n{{\"id\":\"x\"}}\n{{\"id\":3,\"name\":null}}");
    for (compression, ending) in ALL.into_iter().zip([".jsonl.gz", ".jsonl.zst", ".jsonl"]) {
        let run = merge(&jsonl(compression), &[input.as_bytes()]);
        assert_eq!(texts(&run), [format!("{odd}\n{{\"id\":2}}\n{{\"id\":3,\"name\":null}}\n")]);
        assert_eq!(run.codes(), ["wrong_type"]);
        let file = &run.files[0];
        assert_eq!(file.finished.rows, 3);
        assert!(
            file.finished.relative_key.starts_with("20260519T101500Z-"),
            "{}",
            file.finished.relative_key
        );
        assert!(file.finished.relative_key.ends_with(ending), "{}", file.finished.relative_key);
        assert_eq!(recount(compression, &file.bytes, 7), Ok(3));
    }
}

#[test]
fn what_the_contract_does_not_name_is_delivered_where_it_is_ignored() {
    let mut spec = jsonl(Compression::None);
    spec.config.contract.unknown_fields = UnknownFields::Ignore;
    let input = "{\"id\":1,\"more\":{\"a\":[1.0,2e5]}}\n";
    assert_eq!(texts(&merge(&spec, &[input.as_bytes()])), [input]);
}

#[test]
fn of_a_key_that_stands_twice_the_one_that_counts_is_left() {
    let mut spec = jsonl(Compression::None);
    spec.config.contract.duplicate_keys = DuplicateKeys::LastWins;
    let run = merge(&spec, &[b"{\"id\":1,\"id\":2}\n"]);
    let line: Value = serde_json::from_str(texts(&run)[0].trim()).unwrap();
    assert_eq!(line, serde_json::json!({"id": 2}));
    assert_eq!(texts(&run)[0].matches("id").count(), 1);
}

#[test]
fn an_element_of_an_array_becomes_one_line() {
    let input = "[\n  {\n    \"id\": 1,\r\n    \"name\": \"a\\nb\"\n  },\n  {\"id\": 2}\n]\n";
    let run = merge(&jsonl(Compression::None), &[input.as_bytes()]);
    assert_eq!(texts(&run), ["{     \"id\": 1,      \"name\": \"a\\nb\"   }\n{\"id\": 2}\n"]);
}

#[test]
fn a_row_of_parquet_becomes_the_text_that_it_would_be_kept_as() {
    let parquet = merge(
        &spec(contract(vec![column("id", "int64"), column("name", "string")])),
        &[b"{\"id\":1,\"name\":\"a\"}\n{\"id\":2}\n"],
    );
    let run = merge(&jsonl(Compression::Gzip), &[&parquet.files[0].bytes, b"{\"id\": 3}"]);
    assert_eq!(texts(&run), ["{\"id\":1,\"name\":\"a\"}\n{\"id\":2,\"name\":null}\n{\"id\": 3}\n"]);
}

#[test]
fn lines_go_to_the_partition_of_their_record() {
    let mut spec = jsonl(Compression::Zstd);
    spec.config.layout.partitions = vec![level("p", "name", PartitionTransform::Identity)];
    spec.partition = vec![None];
    let run =
        merge(&spec, &[b"{\"id\":1,\"name\":\"a\"}\n{\"id\":2,\"name\":\"b\"}\n{\"name\":\"a\",\"id\":3}\n"]);
    let found: Vec<(String, String)> = run
        .files
        .iter()
        .map(|file| (file.finished.relative_key.split('/').next().unwrap().to_owned(), file.text()))
        .collect();
    assert_eq!(
        found,
        [
            ("p=a".to_owned(), "{\"id\":1,\"name\":\"a\"}\n{\"name\":\"a\",\"id\":3}\n".to_owned()),
            ("p=b".to_owned(), "{\"id\":2,\"name\":\"b\"}\n".to_owned()),
        ]
    );
}

#[test]
fn files_of_lines_are_cut_at_their_target_and_have_names_of_their_own() {
    for compression in ALL {
        let mut spec = jsonl(compression);
        spec.config.layout.target_bytes = 100_000;
        let input = |first: i64| {
            let line = |n: i64| {
                format!(
                    "{{\"id\":{n},\"name\":\"{:016x}\"}}",
                    n.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed())
                )
            };
            crate::kit::lines(first..first + 3_000, line)
        };
        let inputs: Vec<String> = (0..12).map(|index| input(index * 3_000)).collect();
        let slices: Vec<&[u8]> = inputs.iter().map(String::as_bytes).collect();
        let run = merge(&spec, &slices);
        let (last, whole) = run.files.split_last().unwrap();
        assert!(whole.len() > 2, "{compression:?}: {}", run.files.len());
        for file in whole {
            assert!(
                (95_000..=240_000).contains(&file.finished.bytes),
                "{compression:?}: {}",
                file.finished.bytes
            );
        }
        assert!(last.finished.bytes <= 240_000);
        assert_eq!(texts(&run).concat(), inputs.concat(), "{compression:?}: every line once, in order");
        let names: std::collections::BTreeSet<&str> =
            run.files.iter().map(|file| file.finished.relative_key.as_str()).collect();
        assert_eq!(names.len(), run.files.len());
        let workers: std::collections::BTreeSet<&str> =
            names.iter().filter_map(|name| name.split('.').next()?.rsplit('-').next()).collect();
        assert_eq!(workers.len(), 1, "all files of a job have one worker: {workers:?}");
    }
}

#[test]
fn a_quarantined_input_leaves_no_line() {
    let run = merge(&jsonl(Compression::Gzip), &[b"{\"id\":1}\n", b"[{\"id\":2},{\"id\":", b"{\"id\":3}\n"]);
    assert!(matches!(run.verdicts[1], InputVerdict::Quarantined(_)), "{:?}", run.verdicts);
    assert_eq!(texts(&run), ["{\"id\":1}\n{\"id\":3}\n"]);
}

#[test]
fn a_recount_finds_what_is_no_file_of_lines() {
    for compression in ALL {
        let file = merge(&jsonl(compression), &[b"{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n"]).files.remove(0);
        assert_eq!(recount(compression, &file.bytes, 1), Ok(3));
        let short = &file.bytes[..file.bytes.len() - 6];
        assert_ne!(recount(compression, short, 64), Ok(3), "{compression:?}: cut off");
    }
    for (text, expected) in [
        ("", Ok(0)),
        ("{}\n", Ok(1)),
        ("{}", Err(RecountError::Open)),
        ("{}\n\n", Err(RecountError::Line(2))),
        ("{}\nx}\n", Err(RecountError::Line(2))),
        ("{\n{}\n", Err(RecountError::Line(1))),
    ] {
        for piece in [1, 2, 64] {
            assert_eq!(recount(Compression::None, text.as_bytes(), piece), expected, "{text:?}");
        }
    }
    let other = gzip(b"{}\n");
    assert!(matches!(recount(Compression::Zstd, &other, 64), Err(RecountError::Compressed(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_same_lines_give_the_same_bytes_however_they_are_sliced(
        cuts in proptest::collection::vec(0_usize..100_000, 0..6),
        which in 0_usize..3,
    ) {
        let mut spec = jsonl(ALL[which]);
        spec.config.layout.target_bytes = 4_000;
        let text = crate::kit::lines(0..1_500, |n| format!("{{\"id\":{n},\"name\":\"{:x}\"}}", n * 7919));
        let slices = crate::kit::cut(&text, cuts);
        let sliced = merge_slices(&spec, &[slices]).unwrap();
        prop_assert_eq!(texts(&sliced).concat(), text.clone());
        prop_assert_eq!(sliced, merge(&spec, &[text.as_bytes()]));
    }
}
