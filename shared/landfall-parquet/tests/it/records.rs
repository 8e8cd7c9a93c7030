//! One record at a time: what is accepted, what is refused, where and why.

use std::fmt::Write as _;

use landfall_core::contract::{Column, DuplicateKeys, TimeFormat, UnknownFields, ViolationPolicy};
use landfall_parquet::{InputVerdict, Merge, MergeError, Position, QuarantineReason, ViolationCode, limits};
use serde_json::{Value, json};

use crate::kit::{column, contract, merge_text, spec};

/// Reads `{"v":<text>}` into one column. `Ok` is the value in the file, `Err` the code and the offset in the line.
#[allow(clippy::needless_pass_by_value, reason = "expectations are written in place")]
fn check(column: &Column, text: &str, expected: Result<Value, (&str, u64)>) {
    let line = format!("{{\"v\":{text}}}\n");
    let run = merge_text(contract(vec![column.clone()]), &line);
    let found = match run.rejected.as_slice() {
        [] => Ok(run.rows().remove(0).get_mut("v").expect("column v").take()),
        [row] => {
            assert_eq!(&*row.raw, line.trim_end().as_bytes());
            Err((row.code.as_str(), row.byte_offset))
        }
        _ => unreachable!("one line, one rejected row"),
    };
    assert_eq!(found, expected, "{} from {text}", column.data_type);
}

fn v(data_type: &str) -> Column {
    column("v", data_type)
}

#[test]
fn values_arrive_unchanged_or_not_at_all() {
    check(&v("int64"), "9223372036854775807", Ok(json!(i64::MAX)));
    check(&v("int64"), "9223372036854775808", Err(("out_of_range", 5)));
    check(&v("int64"), " 1.0", Err(("wrong_type", 6)));
    check(&v("int64"), "1e2", Err(("wrong_type", 5)));
    check(&v("int64"), "\"1\"", Err(("wrong_type", 5)));
    check(&v("int64"), "true", Err(("wrong_type", 5)));
    check(&v("int8"), "-128", Ok(json!(-128)));
    check(&v("int8"), "128", Err(("out_of_range", 5)));
    check(&v("int16"), "-32768", Ok(json!(-32768)));
    check(&v("int32"), "2147483648", Err(("out_of_range", 5)));
    check(&v("uint8"), "255", Ok(json!(255)));
    check(&v("uint16"), "65536", Err(("out_of_range", 5)));
    check(&v("uint32"), "4294967295", Ok(json!(4_294_967_295_u32)));
    check(&v("uint64"), "18446744073709551615", Ok(json!(u64::MAX)));
    check(&v("uint64"), "-1", Err(("out_of_range", 5)));
    check(&v("float64"), "0.1", Ok(json!(0.1)));
    check(&v("float64"), "9007199254740993", Err(("inexact", 5)));
    check(&v("float64"), "9007199254740993.0", Err(("inexact", 5)));
    check(&v("float64"), "1e400", Err(("out_of_range", 5)));
    check(&v("float64"), "NaN", Err(("invalid_json", 5)));
    check(&v("float64"), "-Infinity", Err(("invalid_json", 6)));
    check(&v("float32"), "1.5", Ok(json!(1.5)));
    check(&v("decimal(10,2)"), "1.50", Ok(json!("150e-2")));
    check(&v("decimal(10,2)"), "1.005", Err(("inexact", 5)));
    check(
        &v("decimal(38,0)"),
        "12345678901234567890123456789012345678",
        Ok(json!("12345678901234567890123456789012345678e-0")),
    );
    check(&v("decimal(4,2)"), "100", Err(("out_of_range", 5)));
    check(&v("bool"), "false", Ok(json!(false)));
    check(&v("bool"), "0", Err(("wrong_type", 5)));
    check(&v("string"), r#""a\u00e9\n\ud834\udd1e\/""#, Ok(json!("aé\n𝄞/")));
    check(&v("string"), r#""\u0000""#, Ok(json!("\0")));
    check(&v("string"), "1", Err(("wrong_type", 5)));
    check(&v("binary"), r#""AP8Q""#, Ok(json!("00ff10")));
    check(&v("binary"), r#""AP\u0038\u003d""#, Ok(json!("00ff")));
    check(&v("binary"), r#""AP8""#, Err(("invalid_format", 5)));
    check(&v("binary"), r#""A-8=""#, Err(("invalid_format", 5)));
    check(&v("date"), r#""1970-01-02""#, Ok(json!(1)));
    check(&v("date"), r#""1970-02-30""#, Err(("invalid_format", 5)));
    check(&v("time(us)"), r#""00:00:01.5""#, Ok(json!(1_500_000)));
    check(&v("time(ms)"), r#""00:00:01.5""#, Ok(json!(1_500)));
    check(&v("timestamp(us, UTC)"), r#""1970-01-01T01:00:00.000001+01:00""#, Ok(json!(1)));
    check(&v("timestamp(ms, UTC)"), r#""1970-01-01T00:00:00.0010000Z""#, Ok(json!(1)));
    check(&v("timestamp(ms, UTC)"), r#""1970-01-01T00:00:00.0001Z""#, Err(("inexact", 5)));
    check(&v("timestamp(us, UTC)"), r#""1970-01-01T00:00:00""#, Err(("invalid_format", 5)));
    check(&v("timestamp(us, UTC)"), "0", Err(("wrong_type", 5)));
}

#[test]
fn times_are_read_in_the_declared_form_only() {
    let with = |format| Column { format: Some(format), ..v("timestamp(us, UTC)") };
    check(&with(TimeFormat::IsoUtc), r#""1970-01-01 00:00:01""#, Ok(json!(1_000_000)));
    check(&with(TimeFormat::IsoUtc), r#""1970-01-01T00:00:01Z""#, Err(("invalid_format", 5)));
    check(&with(TimeFormat::EpochSeconds), "1", Ok(json!(1_000_000)));
    check(&with(TimeFormat::EpochMillis), "-1", Ok(json!(-1_000)));
    check(&with(TimeFormat::EpochMicros), "7", Ok(json!(7)));
    check(&with(TimeFormat::EpochSeconds), "1.5", Err(("wrong_type", 5)));
    check(&with(TimeFormat::EpochSeconds), "\"1\"", Err(("wrong_type", 5)));
    let nested =
        Column { format: Some(TimeFormat::EpochSeconds), ..v("list<struct<t: timestamp(ms, UTC)>>") };
    check(&nested, r#"[{"t":2}]"#, Ok(json!([{"t": 2000}])));
    let day = Column { format: Some(TimeFormat::EpochMillis), ..v("date") };
    check(&day, "86400000", Ok(json!(1)));
    check(&day, "86400001", Err(("inexact", 5)));
}

#[test]
fn json_columns_keep_the_text_of_any_value() {
    for text in [
        "1.10e+05",
        "123456789012345678901234567890",
        "[1, {\"a\" : null}]",
        r#""\ud834\udd1e""#,
        "false",
        "{}",
    ] {
        check(&v("json"), text, Ok(json!(text)));
    }
    check(&v("json"), "null", Ok(Value::Null));
    check(&v("json"), r#"{"a":[{"b":1,"b":1}]}"#, Err(("duplicate_key", 18)));
    check(&v("json"), "[1,]", Err(("invalid_json", 8)));
}

#[test]
fn nested_values_keep_their_nulls() {
    let list = v("list<list<int64>>");
    check(&list, "[[1,2],[],null,[null]]", Ok(json!([[1, 2], [], null, [null]])));
    check(&list, "[]", Ok(json!([])));
    check(&list, "null", Ok(Value::Null));
    check(&list, "[[1],2]", Err(("wrong_type", 10)));
    let members = v("struct<a: int64, \"b c\": struct<d: string>>");
    check(&members, r#"{"b c":{"d":"x"}}"#, Ok(json!({"a": null, "b c": {"d": "x"}})));
    check(&members, r#"{"a":1,"b c":null}"#, Ok(json!({"a": 1, "b c": null})));
    check(&members, r#"{"a":1,"e":2}"#, Err(("unknown_field", 12)));
    check(&members, r#"{"a":1,"b c":{"d":"x","d":"y"}}"#, Err(("duplicate_key", 27)));
    check(&members, "[]", Err(("wrong_type", 5)));
    let map = v("map<string, list<decimal(5,1)>>");
    check(&map, r#"{"":[1.5],"k\n":null,"z":[]}"#, Ok(json!({"": ["15e-1"], "k\n": null, "z": []})));
    check(&map, r#"{"k":[],"\u006b":[]}"#, Err(("duplicate_key", 13)));
    check(&map, "{}", Ok(json!({})));
}

#[test]
fn faults_name_the_column_and_keep_the_record_out_of_the_message() {
    let columns = vec![column("a", "struct<b: list<struct<c: int8>>>"), column("m", "map<string, int8>")];
    let text = "{\"a\":{\"b\":[{\"c\":1},{\"c\":\"secret\"}]}}\n{\"m\":{\"secret\":300}}\n{\"secret\\u0021\":1}\n{\"secret_name\":1}\n{\"a\":{\"secret_name\":1}}\n";
    let mut strict = contract(columns);
    let run = merge_text(strict.clone(), text);
    let columns: Vec<Option<&str>> = run.rejected.iter().map(|row| row.column.as_deref()).collect();
    assert_eq!(columns, [Some("a.b.[].c"), Some("m.{}"), None, Some("secret_name"), Some("a.secret_name")]);
    for row in &run.rejected {
        assert!(!row.detail.contains("secret"), "{row}");
        assert!(!format!("{row:?}").contains("secret"), "{row:?}");
    }
    // Nor may the reason of a whole object.
    for (member, detail) in [
        ("{\"secret_name\":1}", "the contract has no such member"),
        ("{\"a\":{\"secret_name\":1}}", "the contract has no such member"),
        ("{\"m\":{\"secret\":300}}", "column m.{}: the number is outside the range of the type"),
    ] {
        strict.on_violation = ViolationPolicy::Strict;
        let run = merge_text(strict.clone(), member);
        let InputVerdict::Quarantined(quarantine) = &run.verdicts[0] else { panic!("{:?}", run.verdicts) };
        assert_eq!(quarantine.detail, detail);
    }
}

#[test]
fn rules_hold_for_every_value_but_null() {
    let range = Column { min: Some("-1.5".into()), max: Some("2".into()), ..v("decimal(10,2)") };
    check(&range, "-1.5", Ok(json!("-150e-2")));
    check(&range, "-1.51", Err(("out_of_range", 5)));
    check(&range, "2.01", Err(("out_of_range", 5)));
    check(&range, "null", Ok(Value::Null));
    let float = Column { min: Some("0".into()), ..v("float64") };
    check(&float, "-0.1", Err(("out_of_range", 5)));
    let date = Column { min: Some("2026-01-01".into()), ..v("date") };
    check(&date, "\"2025-12-31\"", Err(("out_of_range", 5)));
    let stamp = Column { max: Some("2026-01-01T00:00:00Z".into()), ..v("timestamp(ms, UTC)") };
    check(&stamp, "\"2026-01-01T00:00:00+01:00\"", Ok(json!(1_767_222_000_000_i64)));
    check(&stamp, "\"2026-01-01T00:00:00.001Z\"", Err(("out_of_range", 5)));
    let fine = Column {
        min: Some("2026-01-01T00:00:00.0001Z".into()),
        max: Some("2026-01-01T00:00:00.0019Z".into()),
        ..v("timestamp(ms, UTC)")
    };
    check(&fine, "\"2026-01-01T00:00:00Z\"", Err(("out_of_range", 5)));
    check(&fine, "\"2026-01-01T00:00:00.001Z\"", Ok(json!(1_767_225_600_001_i64)));
    check(&fine, "\"2026-01-01T00:00:00.002Z\"", Err(("out_of_range", 5)));
    let clock = Column { max: Some("10:15:00".into()), ..v("time(ms)") };
    check(&clock, "\"10:15:00\"", Ok(json!(36_900_000)));
    check(&clock, "\"10:15:00.001\"", Err(("out_of_range", 5)));
    let single = Column { min: Some("0.1".into()), max: Some("0.1".into()), ..v("float32") };
    check(&single, "0.1", Ok(json!(0.1_f32)));
    let length = Column { min_length: Some(2), max_length: Some(3), ..v("string") };
    check(&length, "\"é\"", Err(("too_short", 5)));
    check(&length, "\"ééé\"", Ok(json!("ééé")));
    check(&length, "\"𝄞𝄞𝄞𝄞\"", Err(("too_long", 5)));
    let pattern = Column { pattern: Some("a|ab".into()), ..v("string") };
    check(&pattern, "\"ab\"", Ok(json!("ab")));
    check(&pattern, "\"abc\"", Err(("pattern_mismatch", 5)));
    check(&pattern, "\"ab\\n\"", Err(("pattern_mismatch", 5)));
    let few = Column { one_of: Some(vec!["x".into(), "é".into()]), ..v("string") };
    check(&few, "\"\\u00e9\"", Ok(json!("é")));
    check(&few, "\"X\"", Err(("not_in_enum", 5)));
    let codes = Column { one_of: Some(vec!["1".into(), "2".into()]), ..v("uint8") };
    check(&codes, "2", Ok(json!(2)));
    check(&codes, "3", Err(("not_in_enum", 5)));
    let wanted = Column { nullable: false, ..v("string") };
    check(&wanted, "null", Err(("missing_value", 5)));
    check(&wanted, "\"\"", Ok(json!("")));
}

#[test]
fn contracts_that_make_no_sense_are_refused() {
    for (column, message) in [
        (Column { pattern: Some("a)(b".into()), ..v("string") }, "cannot compile the pattern"),
        (Column { pattern: Some("a".into()), ..v("int8") }, "only a string column"),
        (Column { min: Some("x".into()), ..v("int8") }, "expected a whole number that fits `int8`"),
        (
            Column { min: Some("0.001".into()), ..v("decimal(5,2)") },
            "expected a decimal that fits `decimal(5,2)`",
        ),
        (
            Column { min: Some("2".into()), max: Some("1".into()), ..v("int8") },
            "the minimum is above the maximum",
        ),
        (Column { min: Some("a".into()), ..v("string") }, "only numbers, dates, times and timestamps"),
        (Column { one_of: Some(vec!["x".into()]), ..v("int8") }, "`x` is not an integer"),
        (Column { one_of: Some(vec!["1".into()]), ..v("float64") }, "list of allowed values"),
        (Column { format: Some(TimeFormat::EpochSeconds), ..v("string") }, "a format applies to"),
    ] {
        let error = Merge::new(spec(contract(vec![column]))).map(drop).expect_err(message);
        assert!(matches!(error, MergeError::Contract(_)));
        assert!(error.to_string().contains(message), "{error}");
    }
    assert!(Merge::new(spec(contract(vec![]))).is_err());
    assert!(Merge::new(spec(contract(vec![v("int8"), v("int8")]))).is_err());
}

#[test]
fn members_are_found_by_their_unescaped_key() {
    let columns = vec![Column { from: Some("a b".into()), ..v("int8") }, column("w", "int8")];
    let text = "{\"a\\u0020b\":1}\n{\"w\":1,\"a b\":2}\n{\"v\":1}\n{\"W\":1}\n";
    let run = merge_text(contract(columns), text);
    assert_eq!(run.rows(), [json!({"v": 1, "w": null}), json!({"v": 2, "w": 1})]);
    assert_eq!(run.codes(), ["unknown_field", "unknown_field"]);
}

#[test]
fn members_are_found_however_their_key_is_written_and_in_whatever_order() {
    let columns = || {
        vec![column("a", "int8"), column("a_key_of_more_than_sixteen_bytes", "int8"), column("c:", "int8")]
    };
    let long = "\"a_key_of_more_than_sixteen_bytes\"";
    for line in [
        format!(r#"{{"a":1,{long}:2,"c:":3}}"#),
        format!(r#"{{ "a" : 1 , {long}  :2 ,"c:": 3 }}"#),
        format!(r#"{{"c:":3,{long}:2,"a":1}}"#),
        format!(r#"{{"\u0061":1,{long}:2,"c\u003a":3}}"#),
    ] {
        let run = merge_text(contract(columns()), &line);
        let expected = json!({"a": 1, "a_key_of_more_than_sixteen_bytes": 2, "c:": 3});
        assert_eq!(run.rows(), vec![expected], "{line}");
    }
    let cut =
        [r#"{"a":"#.to_owned(), r#"{"a""#.to_owned(), r#"{"a":1,"#.to_owned(), format!(r#"{{"a":1,{long}"#)];
    for line in cut {
        let run = merge_text(contract(columns()), &line);
        assert_eq!(run.codes(), ["invalid_json"], "{line}");
    }
    let twice = merge_text(contract(columns()), &format!(r#"{{"a":1,{long}:2,"a":1}}"#));
    assert_eq!(twice.codes(), ["duplicate_key"]);
    // A key that is the beginning of the one expected, and one that it is the beginning of.
    for key in ["a_key_of_more_than_sixteen_byte", "a_key_of_more_than_sixteen_bytess"] {
        let run = merge_text(contract(columns()), &format!(r#"{{"a":1,"{key}":2}}"#));
        assert_eq!(run.codes(), ["unknown_field"], "{key}");
    }
}

#[test]
fn members_without_a_column_are_checked_all_the_same() {
    let mut ignoring = contract(vec![v("int8")]);
    ignoring.unknown_fields = UnknownFields::Ignore;
    let text = "{\"x\":[{\"y\":1}],\"v\":1,\"z\":1e999}\n{\"x\":[1,],\"v\":1}\n{\"x\":{\"a\":1,\"a\":2},\"v\":1}\n{\"x\":1,\"x\":1}\n{\"x\":\"\\ud800\"}\n";
    let run = merge_text(ignoring, text);
    assert_eq!(run.rows(), [json!({"v": 1})]);
    assert_eq!(run.codes(), ["invalid_json", "duplicate_key", "duplicate_key", "invalid_json"]);
}

#[test]
fn the_last_of_equal_keys_counts_when_the_contract_says_so() {
    let mut last = contract(vec![v("int8"), column("j", "json"), column("m", "map<string, int8>")]);
    last.duplicate_keys = DuplicateKeys::LastWins;
    let text = "{\"v\":\"x\",\"v\":1,\"\\u0076\":2}\n{\"j\":{\"a\":1,\"b\":2,\"a\":3}}\n{\"m\":{\"k\":300,\"k\":4}}\n{\"v\":1,\"v\":\"x\"}\n{\"v\":1,\"v\":2,}\n";
    let run = merge_text(last, text);
    let rows = run.rows();
    assert_eq!(rows[0]["v"], 2);
    let kept: Value = serde_json::from_str(rows[1]["j"].as_str().unwrap()).unwrap();
    assert_eq!(kept, json!({"a": 3, "b": 2}));
    assert!(!rows[1]["j"].as_str().unwrap().contains('1'), "the earlier member is gone from the text");
    assert_eq!(rows[2]["m"], json!({"k": 4}));
    assert_eq!(run.codes(), ["wrong_type", "invalid_json"]);
}

#[test]
fn a_line_that_is_not_json_is_that_whatever_else_is_wrong() {
    let text = "{\"w\":1,\"v\":\"x\"\n{\"v\":1,\"v\":1]\n";
    let run = merge_text(contract(vec![v("int8")]), text);
    assert_eq!(run.codes(), ["invalid_json", "invalid_json"]);
    assert_eq!(run.rejected[0].byte_offset, 14);
    assert_eq!((run.rejected[1].line, run.rejected[1].byte_offset), (2, 15 + 12));
}

#[test]
fn lines_are_told_apart_as_documented() {
    let contract = || contract(vec![v("int64")]);
    // BOM, CRLF, blank lines, white space around, no newline at the end.
    let run = merge_text(contract(), "\u{feff}{\"v\":1}\r\n\n \t\r\n  {\"v\":2}  \n{\"v\":3}");
    assert_eq!(run.rows(), [json!({"v": 1}), json!({"v": 2}), json!({"v": 3})]);
    // A BOM elsewhere is no white space; CR alone ends no line; two records on one line are not JSON.
    let run =
        merge_text(contract(), "{\"v\":1}\n\u{feff}{\"v\":2}\n{\"v\":3}\r{\"v\":4}\n{\"v\":5} {\"v\":6}\n");
    assert_eq!(run.rows(), [json!({"v": 1})]);
    assert_eq!(run.codes(), ["invalid_json"; 3]);
    assert_eq!(run.rejected.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 3, 4]);
    // Values that are no objects.
    let run = merge_text(contract(), "1\n[{\"v\":1}]\nnull\n\"{}\"\n\u{1e}{\"v\":1}\n[1\n");
    assert_eq!(
        run.codes(),
        ["not_an_object", "not_an_object", "not_an_object", "not_an_object", "invalid_json", "invalid_json"]
    );
}

#[test]
fn offsets_count_from_the_beginning_of_the_object() {
    let text = b"\xef\xbb\xbf{\"v\":1x}\n\n{\"v\":\"a\xff\"}\n{\"v\":1}";
    let run = crate::kit::merge(&spec(contract(vec![v("int64")])), &[text]);
    assert_eq!(run.codes(), ["invalid_json", "invalid_utf8"]);
    let places: Vec<(u64, u64)> = run.rejected.iter().map(|row| (row.line, row.byte_offset)).collect();
    assert_eq!(places, [(1, 9), (3, 20)]);
    assert_eq!(&*run.rejected[0].raw, b"\xef\xbb\xbf{\"v\":1x}", "the raw line is kept as it was");
    assert_eq!(&*run.rejected[1].raw, b"{\"v\":\"a\xff\"}");
    assert_eq!(run.verdicts, [InputVerdict::Merged { rows: 1, rejected: 2 }]);
}

#[test]
fn nothing_and_blank_lines_are_empty() {
    for text in ["", "\n", " \r\n\t\n", "\u{feff}", "\u{feff}\n"] {
        let run = merge_text(contract(vec![v("int64")]), text);
        assert_eq!(run.verdicts, [InputVerdict::Empty], "{text:?}");
        assert!(run.files.is_empty());
    }
}

#[test]
fn a_strict_contract_refuses_the_whole_object() {
    let mut strict = contract(vec![v("int8")]);
    strict.on_violation = ViolationPolicy::Strict;
    let inputs: [&[u8]; 3] = [b"{\"v\":1}\n", b"{\"v\":2}\n{\"v\":300}\n{\"v\":3}\n", b"{\"v\":4}\n"];
    let run = crate::kit::merge(&spec(strict), &inputs);
    assert_eq!(run.rows(), [json!({"v": 1}), json!({"v": 4})]);
    assert!(run.rejected.is_empty());
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[1] else { panic!("{:?}", run.verdicts) };
    assert_eq!(quarantine.reason, QuarantineReason::Violation(ViolationCode::OutOfRange));
    assert_eq!(quarantine.reason.as_str(), "out_of_range");
    assert_eq!(quarantine.position, Some(Position { line: 2, byte_offset: 13 }));
    assert_eq!(quarantine.rows, 2);
    assert!(quarantine.detail.starts_with("column v: "));
}

#[test]
fn depth_counts_the_record_itself() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    check(&v("json"), &nested(127), Ok(json!(nested(127))));
    check(&v("json"), &nested(128), Err(("too_deep", 5 + 127)));
    let line = format!("{{\"v\":{}\n", "[".repeat(1_000_000));
    assert_eq!(merge_text(contract(vec![v("json")]), &line).codes(), ["too_deep"]);
}

#[test]
fn a_record_cannot_fill_memory_through_its_columns() {
    let members: Vec<String> = (0..1000).map(|n| format!("m{n}: decimal(38,0)")).collect();
    let wide = column("v", &format!("list<struct<{}>>", members.join(", ")));
    let line = format!("{{\"v\":[{}{{}}]}}\n{{\"v\":[{{}}]}}\n", "{},".repeat(20_000));
    let run = merge_text(contract(vec![wide]), &line);
    assert_eq!(run.codes(), ["row_too_large"]);
    assert_eq!(run.rows().len(), 1);
}

#[test]
fn a_record_cannot_fill_memory_through_keys_that_no_column_reads() {
    let mut keys = String::new();
    for n in 0..=limits::ROW_WEIGHT / 48 {
        write!(keys, ",\"{n:x}\":0").unwrap();
    }
    for policy in [DuplicateKeys::Refuse, DuplicateKeys::LastWins] {
        let mut ignoring = contract(vec![v("json"), column("w", "map<string, int8>")]);
        ignoring.unknown_fields = UnknownFields::Ignore;
        ignoring.duplicate_keys = policy;
        let keys = keys.get(1..).unwrap();
        let text = format!("{{{keys}}}\n{{\"v\":{{{keys}}}}}\n{{\"w\":{{{keys}}}}}\n{{\"v\":{{\"a\":1}}}}\n");
        let run = merge_text(ignoring, &text);
        assert_eq!(run.codes(), ["row_too_large"; 3]);
        assert_eq!(run.rows(), [json!({"v": "{\"a\":1}", "w": null})]);
    }
}
