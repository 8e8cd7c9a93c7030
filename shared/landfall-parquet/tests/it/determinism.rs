//! The same inputs give the same bytes.

use landfall_core::contract::{UnknownFields, ViolationPolicy};
use landfall_core::layout::{Compression, PartitionTransform};
use landfall_parquet::MergeSpec;
use proptest::prelude::*;

use crate::kit::{Run, column, contract, gzip, level, merge, merge_slices, spec};

/// A routed merge that cuts often.
fn routed() -> MergeSpec {
    let mut contract = contract(vec![
        column("id", "int64"),
        column("at", "timestamp(us, UTC)"),
        column("tags", "list<string>"),
        column("extra", "json"),
    ]);
    contract.unknown_fields = UnknownFields::Ignore;
    contract.on_violation = ViolationPolicy::QuarantineRow;
    let mut spec = spec(contract);
    spec.config.layout.target_bytes = 6_000;
    spec.config.layout.row_group_bytes = 2_000;
    spec.config.layout.partitions = vec![level("dt", "at", PartitionTransform::Date)];
    spec.partition = vec![None];
    spec
}

fn lines(count: i64, seed: i64) -> Vec<u8> {
    let line = |n: i64| {
        let n = n * 7 + seed;
        let bad = if n % 31 == 0 { "x" } else { "" };
        format!(
            "{{\"id\":{n}{bad},\"at\":\"2026-05-{:02}T10:00:00Z\",\"tags\":[\"t{}\"],\"extra\":{{\"n\":{}}},\"z\":1}}",
            n % 9 + 1,
            n % 5,
            n * 1_000_003
        )
    };
    crate::kit::lines(0..count, line).into_bytes()
}

#[test]
fn two_runs_give_the_same_bytes() {
    let inputs = [lines(500, 1), gzip(&lines(300, 2)), lines(700, 3)];
    let slices: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    for compression in
        [Compression::Snappy, Compression::Zstd, Compression::Gzip, Compression::Lz4, Compression::None]
    {
        let mut spec = routed();
        spec.config.layout.compression = compression;
        let first = merge(&spec, &slices);
        assert!(first.files.len() >= 9, "{}", first.files.len());
        assert_eq!(first, merge(&spec, &slices));
        let rows: u64 = first.files.iter().map(|file| file.finished.rows).sum();
        assert_eq!(rows + first.rejected.len() as u64, 1500);
    }
}

#[test]
fn files_that_fill_over_many_inputs_are_cut_alike_with_and_without_a_thread() {
    let inputs: Vec<Vec<u8>> = (0..120).map(|n| lines(200 + n % 7 * 40, n)).collect();
    let slices: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let mut spec = routed();
    spec.config.layout.target_bytes = 16_000;
    spec.config.layout.row_group_bytes = 5_000;
    assert!(merge(&spec, &slices).files.len() > 9, "some are cut");
    spec.config.layout.partitions = Vec::new();
    spec.partition = Vec::new();
    assert!(merge(&spec, &slices).files.len() > 1, "some are cut");
}

#[test]
fn a_quarantined_input_leaves_no_trace_in_the_bytes() {
    let (good, bad) = (lines(200, 1), gzip(&lines(200, 2)));
    let with = merge(&routed(), &[&good, &bad[..bad.len() - 1], &good]);
    let without = merge(&routed(), &[&good, &good]);
    assert_eq!(with.files, without.files);
}

#[test]
fn nulls_of_what_was_refused_leave_no_trace_in_the_bytes() {
    let mut contract = contract(vec![column("n", "int64"), column("z", "int8")]);
    contract.on_violation = ViolationPolicy::Strict;
    let config = spec(contract);
    let good: Vec<_> = (0..60_000).map(|number| format!("{{\"n\":{number},\"z\":1}}")).collect();
    let good = good.join("\n");
    // Its first row has the only null, for its second it is set aside.
    let bad = b"{\"z\":1}\n{\"n\":1,\"z\":300}\n";
    let with = merge(&config, &[good.as_bytes(), bad, good.as_bytes()]);
    let without = merge(&config, &[good.as_bytes(), good.as_bytes()]);
    assert!(with.files == without.files);
    assert!(with.files.iter().any(|file| file.bytes.len() > 256 * 1024), "more than a page");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn slices_do_not_matter(cuts in prop::collection::vec(1_usize..400, 1..40), compressed: bool) {
        let text = lines(120, 5);
        let input = if compressed { gzip(&text) } else { text };
        let mut rest = input.as_slice();
        let mut slices = Vec::new();
        for cut in cuts.iter().cycle() {
            let (slice, after) = rest.split_at_checked(*cut).unwrap_or((rest, &[]));
            slices.push(slice);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        let whole: Run = merge(&routed(), &[&input]);
        prop_assert_eq!(whole, merge_slices(&routed(), &[slices]).unwrap());
    }
}
