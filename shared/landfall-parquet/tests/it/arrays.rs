//! A JSON array of records: the same rows as lines give, one document that is sound or refused as a whole.

use landfall_core::contract::{DuplicateKeys, UnknownFields, ViolationPolicy};
use landfall_parquet::{InputVerdict, MergeSpec, Position};
use proptest::prelude::*;
use serde_json::json;

use crate::kit::{Run, column, contract, gzip, merge, merge_slices, spec};

fn numbers() -> MergeSpec {
    spec(contract(vec![column("v", "int64")]))
}

/// Merges one object, whole and in slices of one byte.
fn run(spec: &MergeSpec, bytes: &[u8]) -> Run {
    let whole = merge(spec, &[bytes]);
    let sliced = merge_slices(spec, &[bytes.chunks(1).collect()]).unwrap();
    assert_eq!(whole, sliced, "slicing changes nothing");
    whole
}

/// The reason and place for which an object is refused as a whole.
fn refused(bytes: &[u8]) -> (&'static str, Option<(u64, u64)>) {
    let run = run(&numbers(), bytes);
    assert!(run.files.is_empty() && run.rejected.is_empty());
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[0] else { panic!("{:?}", run.verdicts) };
    let place = quarantine.position.map(|Position { line, byte_offset }| (line, byte_offset));
    (quarantine.reason.as_str(), place)
}

#[test]
fn every_element_is_a_record() {
    for text in [
        "[{\"v\":1},{\"v\":2}]",
        "\u{feff} \r\n\t[ {\"v\":1}\n,\n{ \"v\" : 2 } ]\n\n",
        "[\n  {\n    \"v\": 1\n  },\n  {\n    \"v\": 2\n  }\n]",
        "\u{feff}\n[{\"v\":1},{\"v\":2}]",
    ] {
        let run = run(&numbers(), text.as_bytes());
        assert_eq!(run.verdicts, [InputVerdict::Merged { rows: 2, rejected: 0 }], "{text}");
        assert_eq!(run.rows(), [json!({"v": 1}), json!({"v": 2})]);
    }
    for text in ["[]", " [ \n ] ", "\u{feff}[]"] {
        assert_eq!(run(&numbers(), text.as_bytes()).verdicts, [InputVerdict::Empty], "{text}");
    }
}

#[test]
fn an_array_may_be_compressed() {
    let text = b"[{\"v\":1},\n{\"v\":2}]";
    for bytes in [gzip(text), zstd::bulk::compress(text, 3).unwrap()] {
        assert_eq!(run(&numbers(), &bytes).rows(), [json!({"v": 1}), json!({"v": 2})]);
    }
}

#[test]
fn texts_may_hold_brackets_quotes_and_newlines() {
    let mut open = contract(vec![column("v", "json")]);
    open.unknown_fields = UnknownFields::Ignore;
    let text = r#"[{"v":"]},{[\"\\"},{"x":"]","v":[[],{"a":"[\\\""}]} , {"v":{}}]"#;
    let run = run(&spec(open), text.as_bytes());
    let rows: Vec<_> = run.rows().iter().map(|row| row["v"].as_str().unwrap().to_owned()).collect();
    assert_eq!(rows, [r#""]},{[\"\\""#, r#"[[],{"a":"[\\\""}]"#, "{}"]);
}

#[test]
fn elements_that_break_the_contract_are_rejected_one_by_one() {
    let text =
        "[{\"v\":1},\n {\"v\":\n  \"x\"},\n7, [], null, \"]\",\n{\"v\":2,\n\"v\":3}, {\"w\":1}, {\"v\":2}]";
    let run = run(&numbers(), text.as_bytes());
    assert_eq!(run.rows(), [json!({"v": 1}), json!({"v": 2})]);
    assert_eq!(
        run.codes(),
        [
            "wrong_type",
            "not_an_object",
            "not_an_object",
            "not_an_object",
            "not_an_object",
            "duplicate_key",
            "unknown_field"
        ]
    );
    let places: Vec<(u64, u64)> = run.rejected.iter().map(|row| (row.line, row.byte_offset)).collect();
    let at = |needle: &str| text.find(needle).unwrap() as u64;
    assert_eq!(places[0], (3, at("\"x\"")), "where the fault stands, not where its element begins");
    assert_eq!(places[1], (4, at("7,")));
    assert_eq!(places[5], (6, at("\"v\":3")));
    assert_eq!(&*run.rejected[0].raw, b"{\"v\":\n  \"x\"}");
    assert_eq!(&*run.rejected[1].raw, b"7");
    assert_eq!(&*run.rejected[4].raw, b"\"]\"");
}

#[test]
fn an_array_that_is_no_json_is_refused_as_a_whole() {
    let json = |line, at| ("invalid_json", Some((line, at)));
    assert_eq!(refused(b"["), json(1, 1));
    assert_eq!(refused(b"[{\"v\":1}"), json(1, 8));
    assert_eq!(refused(b"[{\"v\":1},"), json(1, 9));
    assert_eq!(refused(b"[{\"v\":1},]"), json(1, 9));
    assert_eq!(refused(b"[,{\"v\":1}]"), json(1, 1));
    assert_eq!(refused(b"[{\"v\":1} {\"v\":2}]"), json(1, 9));
    assert_eq!(refused(b"[{\"v\":1}\n{\"v\":2}]"), json(2, 9));
    assert_eq!(refused(b"[{\"v\":1}]\n]"), json(2, 10));
    assert_eq!(refused(b"[{\"v\":1}]\n[{\"v\":2}]"), json(2, 10));
    assert_eq!(refused(b"[{\"v\":1}]\n{\"v\":2}\n"), json(2, 10));
    assert_eq!(refused(b"[{\"v\":1}}"), json(1, 8));
    assert_eq!(refused(b"[{\"v\":1},\n{\"v\":01}]"), json(2, 16));
    assert_eq!(refused(b"[{\"v\":1},\n{\"v\"\n:[}]"), json(3, 17));
    assert_eq!(refused(b"[{\"v\":1},{\"v\":2]]"), json(1, 15));
    assert_eq!(refused(b"[{\"v\":1},NaN]"), json(1, 9));
    assert_eq!(refused(b"[{\"v\":1},nul]"), json(1, 9));
    assert_eq!(refused(b"[1,2 3]"), json(1, 5));
    assert_eq!(refused(b"[{\"v\":\"a"), json(1, 8));
    assert_eq!(refused(b"[{\"v\":1},\x00]"), json(1, 9));
    assert_eq!(refused(b"[{\"v\":1},\n{\"v\":\"\xff\"}]"), ("invalid_utf8", Some((2, 16))));
    let deep = format!("[{{\"v\":1}},{}", "[".repeat(1_000_000));
    assert_eq!(refused(deep.as_bytes()), json(1, deep.len() as u64));
    let deep = format!("[{{\"v\":1}},{}{}]", "[".repeat(200), "]".repeat(200));
    assert_eq!(refused(deep.as_bytes()), ("too_deep", Some((1, 9 + 128))));
    // What was sound before is not delivered either.
    let run = merge(&numbers(), &[b"[{\"v\":1},{\"v\":2},]", b"{\"v\":3}"]);
    assert_eq!(run.rows(), [json!({"v": 3})]);
}

#[test]
fn a_byte_order_mark_that_is_none_begins_no_array() {
    let run = run(&numbers(), b"\xef\xbb[{\"v\":1}]");
    assert_eq!(run.codes(), ["invalid_utf8"]);
    let run = merge(&numbers(), &[" \u{feff}[{\"v\":1}]".as_bytes()]);
    assert_eq!(run.codes(), ["invalid_json"]);
}

#[test]
fn a_strict_contract_refuses_the_array_for_its_first_element() {
    let mut strict = contract(vec![column("v", "int64")]);
    strict.on_violation = ViolationPolicy::Strict;
    let run = run(&spec(strict), b"[{\"v\":1},\n{\"v\":\"x\"},\n{\"v\":}]");
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[0] else { panic!("{:?}", run.verdicts) };
    assert_eq!(quarantine.reason.as_str(), "wrong_type");
    assert_eq!(quarantine.position, Some(Position { line: 2, byte_offset: 15 }));
    assert_eq!(quarantine.rows, 2);
}

#[test]
fn an_element_is_as_long_as_a_line_may_be() {
    let long = vec![b' '; landfall_parquet::limits::LINE_BYTES];
    let run = merge(&numbers(), &[&[b"[{\"v\":1},{", &long[..], b"}]"].concat(), b"{\"v\":2}"]);
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[0] else { panic!("{:?}", run.verdicts) };
    assert_eq!(quarantine.reason.as_str(), "line_too_long");
    assert_eq!(quarantine.position, Some(Position { line: 1, byte_offset: 9 }));
    assert_eq!(run.rows(), [json!({"v": 2})]);
}

#[test]
fn an_array_is_told_however_much_white_space_comes_first() {
    let text = ["\n".repeat(100_000), " ".repeat(100_000), "[{\"v\":1},x]".to_owned()].concat();
    let run = merge(&numbers(), &[text.as_bytes()]);
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[0] else { panic!("{:?}", run.verdicts) };
    assert_eq!(quarantine.position, Some(Position { line: 100_001, byte_offset: 200_009 }));
}

/// JSON values as members of records; some are no object at all.
fn element() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        ".{0,8}".prop_map(|text| serde_json::Value::from(text).to_string()),
        prop::sample::select(vec!["null", "true", "1.50", "[]", "{}", "\"\\\"]\\\\\""])
            .prop_map(str::to_owned),
    ];
    let value = leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(" , "))),
            inner.prop_map(|value| format!("{{\"k\" : {value}}}")),
        ]
    });
    (value, 0..8_u8).prop_map(|(value, kind)| match kind {
        0 => value,
        1 => format!("{{\"w\":{value}}}"),
        _ => format!("{{\"v\":{value}}}"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The same records as lines and as an array give the same rows, the same rejects, and the same bytes of files.
    #[test]
    fn an_array_gives_what_its_lines_give(
        elements in prop::collection::vec(element(), 1..12),
        last_wins: bool,
        spaces in prop::collection::vec("[ \r\n\t]{0,3}", 3),
        cut in 1_usize..40,
    ) {
        let mut contract = contract(vec![column("v", "json")]);
        contract.duplicate_keys = if last_wins { DuplicateKeys::LastWins } else { DuplicateKeys::Refuse };
        let spec = spec(contract);
        let lines = elements.join("\n");
        let separator = format!("{},{}", spaces[0], spaces[1]);
        let array = format!("{}[{}]{}", spaces[2], elements.join(&separator), spaces[0]);
        // A line that begins with a bracket would make an array of the lines.
        let lines = format!("{{\"v\":0}}\n{lines}");
        let array = array.replacen('[', "[{\"v\":0},", 1);
        let by_line = merge(&spec, &[lines.as_bytes()]);
        let by_array = merge_slices(&spec, &[array.as_bytes().chunks(cut).collect()]).unwrap();
        prop_assert_eq!(&by_line.verdicts, &by_array.verdicts);
        prop_assert_eq!(&by_line.files, &by_array.files);
        let kept = |run: &Run| run.rejected.iter().map(|row| (row.code, row.raw.clone())).collect::<Vec<_>>();
        prop_assert_eq!(kept(&by_line), kept(&by_array));
    }
}
