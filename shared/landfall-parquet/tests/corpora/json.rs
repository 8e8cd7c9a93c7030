//! JSON documents and records written by others.

use std::collections::BTreeMap;

use landfall_core::contract::{Contract, DuplicateKeys, UnknownFields};
use landfall_parquet::{InputVerdict, check_document};

use crate::kit::{Run, column, contract, merge, spec};
use crate::{corpora, read};

/// The files of JSONTestSuite whose names begin with a prefix.
fn suite(prefix: &str, count: usize) -> Vec<(String, Vec<u8>)> {
    let folder = corpora().join("json-test-suite/test_parsing");
    let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, path)| (name, read(&path)))
        .collect();
    found.sort();
    assert_eq!(found.len(), count, "files {prefix}*");
    found
}

/// The documents that hold a key twice, which is refused by default.
const DUPLICATES: [&str; 2] = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];

/// What the standard leaves to the implementation. Numbers of any size are JSON: whether a column can hold them is the
/// contract's matter. Text that is not UTF-8 or not Unicode is refused, as is a byte order mark inside a line.
const UNDEFINED: [(&str, &str); 35] = [
    ("i_number_double_huge_neg_exp.json", "accepted"),
    ("i_number_huge_exp.json", "accepted"),
    ("i_number_neg_int_huge_exp.json", "accepted"),
    ("i_number_pos_double_huge_exp.json", "accepted"),
    ("i_number_real_neg_overflow.json", "accepted"),
    ("i_number_real_pos_overflow.json", "accepted"),
    ("i_number_real_underflow.json", "accepted"),
    ("i_number_too_big_neg_int.json", "accepted"),
    ("i_number_too_big_pos_int.json", "accepted"),
    ("i_number_very_big_negative_int.json", "accepted"),
    ("i_object_key_lone_2nd_surrogate.json", "invalid_json"),
    ("i_string_1st_surrogate_but_2nd_missing.json", "invalid_json"),
    ("i_string_1st_valid_surrogate_2nd_invalid.json", "invalid_json"),
    ("i_string_UTF-16LE_with_BOM.json", "invalid_utf8"),
    ("i_string_UTF-8_invalid_sequence.json", "invalid_utf8"),
    ("i_string_UTF8_surrogate_U+D800.json", "invalid_utf8"),
    ("i_string_incomplete_surrogate_and_escape_valid.json", "invalid_json"),
    ("i_string_incomplete_surrogate_pair.json", "invalid_json"),
    ("i_string_incomplete_surrogates_escape_valid.json", "invalid_json"),
    ("i_string_invalid_lonely_surrogate.json", "invalid_json"),
    ("i_string_invalid_surrogate.json", "invalid_json"),
    ("i_string_invalid_utf-8.json", "invalid_utf8"),
    ("i_string_inverted_surrogates_U+1D11E.json", "invalid_json"),
    ("i_string_iso_latin_1.json", "invalid_utf8"),
    ("i_string_lone_second_surrogate.json", "invalid_json"),
    ("i_string_lone_utf8_continuation_byte.json", "invalid_utf8"),
    ("i_string_not_in_unicode_range.json", "invalid_utf8"),
    ("i_string_overlong_sequence_2_bytes.json", "invalid_utf8"),
    ("i_string_overlong_sequence_6_bytes.json", "invalid_utf8"),
    ("i_string_overlong_sequence_6_bytes_null.json", "invalid_utf8"),
    ("i_string_truncated-utf-8.json", "invalid_utf8"),
    ("i_string_utf16BE_no_BOM.json", "invalid_utf8"),
    ("i_string_utf16LE_no_BOM.json", "invalid_utf8"),
    ("i_structure_500_nested_arrays.json", "too_deep"),
    ("i_structure_UTF-8_BOM_empty_object.json", "invalid_json"),
];

/// The documents that hold a raw newline: as rows they are several lines, each with its own verdict.
const LINES: [(&str, &[&str]); 10] = [
    ("n_array_newlines_unclosed.json", &["invalid_json", "not_an_object", "invalid_json"]),
    ("n_array_unclosed_with_new_lines.json", &["invalid_json", "not_an_object", "invalid_json"]),
    ("n_number_invalid-utf-8-in-int.json", &["invalid_utf8", "invalid_json"]),
    ("n_object_bracket_key.json", &["invalid_json", "invalid_json"]),
    ("n_string_unescaped_newline.json", &["invalid_json", "invalid_json"]),
    ("n_structure_open_array_object.json", &["too_deep", "invalid_json"]),
    ("y_array_with_1_and_newline.json", &["invalid_json", "invalid_json"]),
    ("y_number_double_close_to_zero.json", &["invalid_json", "invalid_json"]),
    ("y_object_with_newlines.json", &["invalid_json", "invalid_json", "invalid_json"]),
    ("y_structure_trailing_newline.json", &["invalid_json", "invalid_json"]),
];

#[test]
fn documents_of_the_suite_are_judged_as_the_standard_says() {
    for (name, text) in suite("y_", 95) {
        assert_eq!(check_document(&text, DuplicateKeys::LastWins), Ok(()), "{name}");
        let strict = check_document(&text, DuplicateKeys::Refuse).map_err(|fault| fault.code.as_str());
        let expected = if DUPLICATES.contains(&name.as_str()) { Err("duplicate_key") } else { Ok(()) };
        assert_eq!(strict, expected, "{name}");
    }
    for (name, text) in suite("n_", 188) {
        for policy in [DuplicateKeys::LastWins, DuplicateKeys::Refuse] {
            let fault = check_document(&text, policy).expect_err(&name);
            assert!(fault.byte_offset <= text.len(), "{name}: {fault}");
        }
    }
    let expected: BTreeMap<&str, &str> = UNDEFINED.into();
    for (name, text) in suite("i_", 35) {
        let found = check_document(&text, DuplicateKeys::Refuse).map_err(|fault| fault.code.as_str());
        assert_eq!(found.err().unwrap_or("accepted"), expected[name.as_str()], "{name}");
    }
}

/// A contract that reads `v`, and one that does not.
fn with_and_without() -> [Contract; 2] {
    let mut without = contract(vec![column("other", "int8")]);
    without.unknown_fields = UnknownFields::Ignore;
    [contract(vec![column("v", "json")]), without]
}

fn as_row(document: &[u8], contract: &Contract) -> Run {
    let row = [b"{\"v\":", document, b"}"].concat();
    let run = merge(&spec(contract.clone()), &[&row]);
    for rejected in &run.rejected {
        assert!(rejected.byte_offset <= row.len() as u64);
    }
    run
}

/// The codes of a row's lines, `accepted` for each row that was merged.
fn codes(run: &Run) -> Vec<&'static str> {
    let accepted = run.rows().len();
    std::iter::repeat_n("accepted", accepted).chain(run.codes()).collect()
}

#[test]
fn documents_of_the_suite_get_one_verdict_in_a_column_and_outside() {
    let lines: BTreeMap<&str, &[&str]> = LINES.into();
    let undefined: BTreeMap<&str, &str> = UNDEFINED.into();
    let all = [suite("y_", 95), suite("n_", 188), suite("i_", 35)].concat();
    for (name, document) in &all {
        let name = name.as_str();
        let [with, without] = with_and_without().map(|contract| as_row(document, &contract));
        assert_eq!(codes(&with), codes(&without), "{name}");
        let places = |run: &Run| run.rejected.iter().map(|row| row.byte_offset).collect::<Vec<_>>();
        assert_eq!(places(&with), places(&without), "{name}");
        let found = codes(&with);
        if let Some(expected) = lines.get(name) {
            assert_eq!(found, *expected, "{name}");
        } else if DUPLICATES.contains(&name) {
            assert_eq!(found, ["duplicate_key"], "{name}");
        } else if let Some(expected) = undefined.get(name) {
            assert_eq!(found, [*expected], "{name}");
        } else if name.starts_with("y_") {
            assert_eq!(found, ["accepted"], "{name}");
            // The column holds the document as it was written, but for the white space around it.
            let text = std::str::from_utf8(document).unwrap().trim_matches([' ', '\t', '\r']);
            let kept = &with.rows()[0]["v"];
            assert!(kept.as_str() == Some(text) || (text == "null" && kept.is_null()), "{name}");
        } else {
            assert!(
                matches!(found.as_slice(), ["invalid_json" | "invalid_utf8" | "too_deep"]),
                "{name}: {found:?}"
            );
        }
    }
    assert!(lines.keys().all(|name| all.iter().any(|(other, _)| other == name)));
}

#[test]
fn documents_of_the_suite_get_the_same_verdict_in_an_array() {
    let undefined: BTreeMap<&str, &str> = UNDEFINED.into();
    for (name, document) in [suite("y_", 95), suite("n_", 188), suite("i_", 35)].concat() {
        let name = name.as_str();
        let array = [b"[{\"v\":", &document[..], b"}]"].concat();
        let found = with_and_without().map(|contract| {
            let run = merge(&spec(contract), &[&array]);
            match &run.verdicts[0] {
                InputVerdict::Merged { rows: 1, rejected: 0 } => ("accepted", None),
                InputVerdict::Merged { rows: 0, rejected: 1 } => (run.codes()[0], None),
                InputVerdict::Quarantined(quarantine) => {
                    let position = quarantine.position.expect("a place");
                    assert!(position.byte_offset <= array.len() as u64, "{name}");
                    (quarantine.reason.as_str(), Some(position))
                }
                other => panic!("{name}: {other:?}"),
            }
        });
        assert_eq!(found[0], found[1], "{name}: in the column and outside");
        let code = found[0].0;
        if DUPLICATES.contains(&name) {
            assert_eq!(code, "duplicate_key", "{name}");
        } else if let Some(expected) = undefined.get(name) {
            assert_eq!(code, *expected, "{name}");
        } else if name.starts_with("y_") {
            assert_eq!(code, "accepted", "{name}");
        } else {
            assert!(matches!(code, "invalid_json" | "invalid_utf8" | "too_deep"), "{name}: {code}");
            assert!(found[0].1.is_some(), "{name}: refused as a whole");
        }
    }
}

/// The members of a record that is known to be JSON: each key with the text of its value, to the byte. Parsed values would
/// hide a number that was rounded.
fn members(record: &str) -> Vec<(String, &str)> {
    let inside = record.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).expect("an object");
    let (mut depth, mut in_text, mut escaped) = (0, false, false);
    // Where members end, and where the keys of the outermost level do.
    let (mut commas, mut colons) = (Vec::new(), Vec::new());
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => commas.push(at),
            b':' if depth == 0 => colons.push(at),
            _ => {}
        }
    }
    commas.push(inside.len());
    let mut start = 0;
    let pairs = commas.iter().zip(colons).map(|(comma, colon)| {
        let part = |range: std::ops::Range<usize>| inside.get(range).expect("signs are whole characters");
        let (key, value) = (part(start..colon), part(colon + 1..*comma));
        start = comma + 1;
        (serde_json::from_str(key.trim()).expect("a key"), value.trim())
    });
    pairs.collect()
}

#[test]
fn members_are_taken_apart_to_the_byte() {
    let found = members(r#" {"a\u0062" : 1.10e+05 ,"c":{"d":[1,"}"],"e\\":"\""},"":null} "#);
    let expected = [("ab", "1.10e+05"), ("c", r#"{"d":[1,"}"],"e\\":"\""}"#), ("", "null")];
    assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value)));
}

/// Rows that real data sets are known to have, each read under a contract of `json` columns: their texts are kept.
#[test]
fn real_records_arrive_as_they_were() {
    for (path, count) in
        [("world-cities/meili_world_cities.jsonl", 4_449), ("clickstream-aws/clickstream_aws.jsonl", 216)]
    {
        let bytes = read(&corpora().join(path));
        let text = std::str::from_utf8(&bytes).unwrap();
        let records: Vec<BTreeMap<String, &str>> = text
            .split('\n')
            .filter(|line| !line.is_empty())
            .map(|line| members(line).into_iter().collect())
            .collect();
        assert_eq!(records.len(), count);
        let names: std::collections::BTreeSet<&String> = records.iter().flat_map(BTreeMap::keys).collect();
        let columns = names
            .iter()
            .enumerate()
            .map(|(n, name)| landfall_core::contract::Column {
                from: Some((*name).clone()),
                ..column(&format!("c{n}"), "json")
            })
            .collect();
        let run = merge(&spec(contract(columns)), &[&bytes]);
        assert_eq!(run.verdicts, [InputVerdict::Merged { rows: count as u64, rejected: 0 }], "{path}");
        for (row, record) in run.rows().iter().zip(&records) {
            for (n, name) in names.iter().enumerate() {
                let staged = record.get(name.as_str()).copied().filter(|text| *text != "null");
                assert_eq!(row[&format!("c{n}")].as_str(), staged, "{path}");
            }
        }
    }
}
