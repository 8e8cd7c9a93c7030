//! Columns that landfall fills: what was rescued, and where a row comes from.

use landfall_core::contract::{Contract, DuplicateKeys, Tracking, UnknownFields, ViolationPolicy};
use serde_json::{Value, json};

use crate::kit::{column, contract, gzip, merge, merge_text, spec};

pub(crate) fn rescuing() -> Contract {
    let mut id = column("id", "int64");
    id.nullable = false;
    let mut size = column("size", "int8");
    size.max = Some("100".to_owned());
    let columns = vec![id, size, column("at", "struct<x: int64, y: list<int64>>"), column("tag", "string")];
    Contract { on_violation: ViolationPolicy::Rescue, ..contract(columns) }
}

fn rescued(line: &str) -> Value {
    let run = merge_text(rescuing(), line);
    assert_eq!(run.codes(), [""; 0], "{line}");
    let text = run.rows()[0]["_rescued"].clone();
    text.as_str().map_or(Value::Null, |text| serde_json::from_str(text).expect("JSON"))
}

#[test]
fn what_no_column_holds_is_kept_and_the_rest_of_the_record_delivered() {
    for (line, kept) in [
        (r#"{"id":1,"size":2,"at":{"x":1,"y":[1]},"tag":"a"}"#, Value::Null),
        (r#"{"id":1,"new":{"a":[1,2],"b":null},"tag":"a"}"#, json!({"new":{"a":[1,2],"b":null}})),
        (r#"{"id":1,"size":300}"#, json!({"size":300})),
        (r#"{"id":1,"size":101}"#, json!({"size":101})),
        (r#"{"id":1,"size":1.5,"tag":7}"#, json!({"size":1.5,"tag":7})),
        (r#"{"id":1,"at":{"x":1,"y":[1,"two"]}}"#, json!({"at":{"x":1,"y":[1,"two"]}})),
        (r#"{"id":1,"at":{"x":1,"z":{"q":{}}},"tag":"a"}"#, json!({"at":{"x":1,"z":{"q":{}}}})),
        (r#"{"id":1,"at":[{"x":1}],"s\u0069ze":"\u00e9"}"#, json!({"at":[{"x":1}],"size":"é"})),
    ] {
        assert_eq!(rescued(line), kept, "{line}");
    }
}

#[test]
fn delivered_records_that_were_rescued_are_counted() {
    let mut cut = gzip(b"{\"id\":1,\"new\":1}\n");
    cut.truncate(cut.len() - 4);
    let lines = b"{\"id\":1,\"new\":1}\n{\"id\":2}\n{\"new\":1}\n{\"id\":3,\"size\":300}\n";
    let run = merge(&spec(rescuing()), &[lines, &cut]);
    assert_eq!((run.rows().len(), run.codes(), run.rescued), (3, vec!["missing_value"], 2));
}

#[test]
fn the_columns_of_what_was_rescued_are_null_and_all_others_as_they_were() {
    let lines = [
        r#"{"id":1,"size":1,"tag":"a"}"#,
        r#"{"tag":"b","at":{"y":[1,2,"x"],"x":9},"size":"large","id":2,"more":[{"a":1}]}"#,
        r#"{"id":3,"at":{"x":3,"y":[]},"tag":"c"}"#,
    ];
    let run = merge_text(rescuing(), &lines.join("\n"));
    let rows = run.rows();
    assert_eq!(
        rows[1],
        json!({
            "id": 2, "size": null, "at": null, "tag": "b",
            "_rescued": r#"{"at":{"y":[1,2,"x"],"x":9},"size":"large","more":[{"a":1}]}"#,
        })
    );
    assert_eq!(rows[2], json!({"id":3,"size":null,"at":{"x":3,"y":[]},"tag":"c","_rescued":null}));
}

#[test]
fn what_cannot_be_rescued_is_set_aside_as_a_row() {
    for (line, code) in [
        (r#"{"id":1,"new":[1,}"#, "invalid_json"),
        (r#"{"id":1,"size":300,"tag":tru}"#, "invalid_json"),
        (r#"{"size":300}"#, "missing_value"),
        (r#"{"id":null,"new":1}"#, "missing_value"),
        (r#"{"id":"x"}"#, "wrong_type"),
        (r#"{"id":1,"new":1,"new":2}"#, "duplicate_key"),
        (r#"{"id":1,"new":{"a":1,"a":2}}"#, "duplicate_key"),
        (r#"{"id":1,"size":300,"size":1}"#, "duplicate_key"),
        (r#"{"id":1,"at":{"x":1,"x":"y"}}"#, "duplicate_key"),
        ("[1]", "not_an_object"),
    ] {
        let run = merge_text(rescuing(), line);
        assert_eq!(run.codes(), [code], "{line}");
        assert!(run.rows().is_empty(), "{line}");
    }
}

#[test]
fn members_that_are_to_be_ignored_are_not_rescued() {
    let contract = Contract { unknown_fields: UnknownFields::Ignore, ..rescuing() };
    let run = merge_text(contract, r#"{"id":1,"new":2,"size":300}"#);
    assert_eq!(run.rows()[0]["_rescued"], json!(r#"{"size":300}"#));
}

pub(crate) fn tracked(key: &[&str]) -> Contract {
    let mut columns = vec![column("id", "int64"), column("name", "string"), column("gone", "bool")];
    columns[0].nullable = false;
    columns[1].nullable = false;
    let key = key.iter().map(|name| (*name).to_owned()).collect();
    let tracking = Tracking { prefix: "_x_".to_owned(), key, deleted: Some("gone".to_owned()) };
    Contract { tracking: Some(tracking), ..contract(columns) }
}

#[test]
fn every_row_says_where_it_comes_from() {
    let first =
        b"{\"id\":7,\"name\":\"a\\\"b\",\"gone\":true}\n{\"id\":\"broken\"}\n{\"id\":8,\"name\":\"c\"}\n";
    let second = b"{\"id\":9,\"name\":\"d\",\"gone\":null}\n";
    let run = merge(&spec(tracked(&["id", "name"])), &[first, second]);
    let rows = run.rows();
    let seen: Vec<_> =
        rows.iter().map(|row| (&row["_x_index"], &row["_x_deleted"], &row["_x_job_id"])).collect();
    let job = json!("job1");
    assert_eq!(
        seen,
        [(&json!(1), &json!(true), &job), (&json!(2), &json!(false), &job), (&json!(3), &json!(false), &job),]
    );
    let planned: jiff::Timestamp = "2026-05-19T10:15:00Z".parse().unwrap();
    assert!(rows.iter().all(|row| row["_x_synced"] == json!(planned.as_microsecond())));
    // printf '["7","a\\"b"]' | sha256sum
    assert_eq!(rows[0]["_x_id"], json!(sha256(r#"["7","a\"b"]"#)));
    assert_eq!(rows[2]["_x_id"], json!(sha256(r#"["9","d"]"#)));
}

#[test]
fn without_a_key_the_text_of_a_record_is_its_key() {
    let run = merge_text(tracked(&[]), " {\"id\":7,\"name\":\"a\"}\r\n{\"id\":7, \"name\":\"a\"}");
    let rows = run.rows();
    assert_eq!(rows[0]["_x_id"], json!(sha256(r#"{"id":7,"name":"a"}"#)));
    assert_ne!(rows[0]["_x_id"], rows[1]["_x_id"]);
}

#[test]
fn members_with_the_names_of_given_columns_are_members_like_any_other() {
    let contract = Contract { unknown_fields: UnknownFields::Ignore, ..tracked(&["id"]) };
    let run = merge_text(contract, r#"{"id":7,"name":"a","_x_index":99,"_x_job_id":"forged"}"#);
    assert_eq!((&run.rows()[0]["_x_index"], &run.rows()[0]["_x_job_id"]), (&json!(1), &json!("job1")));
    let refused = merge_text(tracked(&["id"]), r#"{"id":7,"name":"a","_x_index":99}"#);
    assert_eq!(refused.codes(), ["unknown_field"]);
}

#[test]
fn without_a_key_an_id_is_of_the_text_as_it_was_staged_keys_that_do_not_count_included() {
    let last = Contract { duplicate_keys: DuplicateKeys::LastWins, ..tracked(&[]) };
    let line = r#"{"id":1,"name":"a","name":"b"}"#;
    let rows = merge_text(last, line).rows();
    assert_eq!((&rows[0]["name"], &rows[0]["_x_id"]), (&json!("b"), &json!(sha256(line))));
}

pub(crate) fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    let hex: Vec<String> = sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    hex.concat()
}
