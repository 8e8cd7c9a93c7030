//! What a broken input may touch: nothing but itself.

use landfall_core::contract::ViolationPolicy;
use landfall_core::error::ErrorClass;
use landfall_parquet::{Flow, InputInfo, InputVerdict, Merge, MergeError, OutputEvent, limits};
use serde_json::json;

use crate::kit::{column, contract, files, gzip, merge, spec};

fn input(index: usize, bytes: &[u8]) -> InputInfo {
    InputInfo { index, key: format!("k{index}"), size: bytes.len() as u64 }
}

/// An object of more than the isolated size whose rows are large, so that it is made quickly.
fn large() -> Vec<u8> {
    let line = format!("{{\"v\":\"{}\"}}\n", "x".repeat(1_000_000));
    line.repeat(usize::try_from(limits::ISOLATED_BYTES).unwrap() / line.len() + 10).into_bytes()
}

#[test]
fn a_large_input_streams_into_files_before_its_end() {
    let mut merge = Merge::new(spec(contract(vec![column("v", "string")]))).unwrap();
    let object = large();
    merge.begin_input(input(0, &object)).unwrap();
    assert_eq!(merge.push(&object).unwrap(), Flow::More);
    assert!(
        matches!(merge.take_output().first(), Some(OutputEvent::Opened(_))),
        "rows are in a file already"
    );
    assert!(matches!(merge.end_input().unwrap(), InputVerdict::Merged { rejected: 0, .. }));
}

#[test]
fn a_large_input_that_fails_late_asks_for_a_restart() {
    let mut strict = contract(vec![column("v", "string")]);
    strict.on_violation = ViolationPolicy::Strict;
    let mut object = large();
    object.extend_from_slice(b"{\"v\":1}\n");
    let mut merge = Merge::new(spec(strict)).unwrap();
    merge.begin_input(input(7, &object)).unwrap();
    let error = merge.push(&object).expect_err("it fails at its end");
    let MergeError::Restart { input: 7, verdict: Some(InputVerdict::Quarantined(quarantine)) } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(quarantine.reason.as_str(), "wrong_type");
    assert_eq!(error.class(), ErrorClass::Transient);
    assert!(matches!(merge.begin_input(input(8, b"")), Err(MergeError::Order(_))), "the merge is over");
    assert!(merge.finish().is_err());
}

#[test]
fn a_large_input_that_cannot_be_read_to_its_end_asks_for_a_restart() {
    let mut merge = Merge::new(spec(contract(vec![column("v", "string")]))).unwrap();
    let object = large();
    merge.begin_input(input(3, &object)).unwrap();
    assert_eq!(merge.push(&object).unwrap(), Flow::More);
    assert!(matches!(merge.drop_input(), Err(MergeError::Restart { input: 3, verdict: None })));
}

#[test]
fn a_small_input_is_undone_without_a_trace() {
    let contract = contract(vec![
        column("v", "string"),
        column("l", "list<struct<a: int8>>"),
        column("m", "map<string, json>"),
    ]);
    let line = b"{\"v\":\"a\",\"l\":[{\"a\":1},null],\"m\":{\"k\":[1]}}\n";
    let mut merge = Merge::new(spec(contract)).unwrap();
    for (index, bytes) in [&line[..], &gzip(line)[..20], line].iter().enumerate() {
        merge.begin_input(input(index, bytes)).unwrap();
        assert_eq!(merge.push(bytes).unwrap(), Flow::More);
        let verdict = merge.end_input().unwrap();
        assert_eq!(matches!(verdict, InputVerdict::Quarantined(_)), index == 1);
    }
    merge.begin_input(input(3, line)).unwrap();
    assert_eq!(merge.push(line).unwrap(), Flow::More);
    merge.drop_input().unwrap();
    merge.finish().unwrap();
    let files = files(merge.take_output());
    assert_eq!(files.len(), 1);
    let row = json!({"v": "a", "l": [{"a": 1}, null], "m": {"k": "[1]"}});
    assert_eq!(crate::kit::rows(&files[0].bytes), [row.clone(), row]);
    assert_eq!(merge.rows(), 2);
}

#[test]
fn a_settled_input_needs_no_further_bytes() {
    let mut merge = Merge::new(spec(contract(vec![column("v", "int8")]))).unwrap();
    merge.begin_input(input(0, b"")).unwrap();
    assert_eq!(merge.push(b"PARE\0\0\0\0\0\0\0").unwrap(), Flow::Settled);
    assert_eq!(merge.push(b"{\"v\":1}\n").unwrap(), Flow::Settled);
    assert!(matches!(merge.end_input().unwrap(), InputVerdict::Quarantined(_)));
    merge.finish().unwrap();
    assert!(merge.take_output().is_empty());
}

#[test]
fn an_object_of_rejects_is_set_aside_as_a_whole() {
    let bad = "1\n".repeat(usize::try_from(limits::REJECTED_ROWS).unwrap());
    let spec = spec(contract(vec![column("v", "int8")]));
    let run = merge(&spec, &[bad.as_bytes(), b"{\"v\":1}\n"]);
    assert_eq!(run.verdicts[0], InputVerdict::Merged { rows: 0, rejected: limits::REJECTED_ROWS });
    assert_eq!(run.rejected.len() as u64, limits::REJECTED_ROWS);
    let run = merge(&spec, &[(bad + "1\n").as_bytes(), b"{\"v\":1}\n"]);
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[0] else { panic!("{:?}", run.verdicts[0]) };
    assert_eq!((quarantine.reason.as_str(), quarantine.rows), ("too_many_rejected", limits::REJECTED_ROWS));
    assert!(run.rejected.is_empty());
    assert_eq!(run.rows(), [json!({"v": 1})]);
}

#[test]
fn files_end_at_once_or_part_by_part_whether_or_not_their_output_is_taken() {
    let object = large();
    let ended = |end: &dyn Fn(&mut Merge) -> Vec<OutputEvent>| {
        let mut merge = Merge::with_encoding_thread(spec(contract(vec![column("v", "string")]))).unwrap();
        merge.begin_input(input(0, &object)).unwrap();
        assert_eq!(merge.push(&object).unwrap(), Flow::More);
        assert!(matches!(merge.settle_files(), Err(MergeError::Order(_))), "inside an input");
        merge.end_input().unwrap();
        let mut events = merge.take_output();
        events.append(&mut end(&mut merge));
        assert!(matches!(merge.settle_files(), Err(MergeError::Order(_))), "after the end");
        assert!(matches!(merge.finish(), Err(MergeError::Order(_))), "a second time");
        events.append(&mut merge.take_output());
        files(events)
    };
    let at_once = ended(&|merge| {
        merge.finish().unwrap();
        Vec::new()
    });
    assert!(!at_once.is_empty());
    let taken = ended(&|merge| {
        let mut events = Vec::new();
        while merge.settle_files().unwrap() == Flow::More {
            events.append(&mut merge.take_output());
        }
        assert_eq!(merge.settle_files().unwrap(), Flow::Settled);
        merge.finish().unwrap();
        events
    });
    let left = ended(&|merge| {
        while merge.settle_files().unwrap() == Flow::More {}
        merge.finish().unwrap();
        Vec::new()
    });
    let begun = ended(&|merge| {
        let _more_or_not = merge.settle_files().unwrap();
        merge.finish().unwrap();
        Vec::new()
    });
    for others in [taken, left, begun] {
        assert_eq!(others, at_once);
    }
}

#[test]
fn calls_out_of_order_are_errors() {
    let mut merge = Merge::new(spec(contract(vec![column("v", "int8")]))).unwrap();
    assert!(matches!(merge.push(b""), Err(MergeError::Order(_))));
    assert!(matches!(merge.end_input(), Err(MergeError::Order(_))));
    assert!(matches!(merge.drop_input(), Err(MergeError::Order(_))));
    merge.begin_input(input(0, b"")).unwrap();
    assert!(matches!(merge.begin_input(input(1, b"")), Err(MergeError::Order(_))));
    assert!(matches!(merge.finish(), Err(MergeError::Order(_))));
}
