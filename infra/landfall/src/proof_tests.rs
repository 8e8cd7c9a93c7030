use serde_json::{Value, json};

use super::*;

/// A report of one delivery with a file, a rejected row, an object set aside, its notice and its partition.
fn report() -> Value {
    json!({
        "version": 1, "elapsed_seconds": 1.0, "phases": [], "first_outcome_seconds": null,
        "capabilities": {
            "full_object_multipart_checksum": false, "copy_checksum": false, "conditional_copy": false,
            "multipart_tags": false
        },
        "notes": [], "objects": [], "verification": null,
        "functions": [{"name": "compactor", "invocations": 2, "errors": 0, "cold_milliseconds": null}],
        "queues": [["landfall-work", 1], ["landfall-work-dead", 0], ["landfall-plan-dead.fifo", 0]],
        "deliveries": [{
            "id": "acme", "dataset": "d", "account": "222222222222", "bucket": "lake", "prefix": "raw/",
            "staged": {"objects": 2, "bytes": 1, "records": 3},
            "rows": 2, "intents": 1,
            "files": [{
                "key": "raw/dt=1/shop=__HIVE_DEFAULT_PARTITION__/a.parquet", "path": "", "bytes": 1, "rows": 2,
                "crc64nvme": "", "partition": {"shop": null, "dt": "1"}
            }],
            "rejected_rows": [
                {"key": "a", "line": 3, "byte_offset": 0, "reason": "wrong_type", "column": "price", "detail": ""}
            ],
            "quarantined_objects": [{
                "key": "b", "reason": "gzip_truncated", "detail": "", "line": null, "byte_offset": null,
                "kept": "", "rows_seen": 0
            }],
            "notices": [{
                "queue": "q", "group": null,
                "message": {
                    "files": [{"uri": "s3://lake/raw/dt=1/shop=__HIVE_DEFAULT_PARTITION__/a.parquet"}]
                }
            }],
            "glue": {
                "account": "222222222222", "database": "d", "table": "t", "columns": [],
                "partition_keys": ["dt", "shop"],
                "partitions": [[
                    ["1", "__HIVE_DEFAULT_PARTITION__"],
                    "s3://lake/raw/dt=1/shop=__HIVE_DEFAULT_PARTITION__/"
                ]]
            },
            "log_findings": []
        }]
    })
}

fn found(report: Value) -> Vec<String> {
    let expected = json!({
        "acme": {"rows": 2, "rejected": [["a", 3, "wrong_type", "price"]], "set_aside": [["b", "gzip_truncated"]]}
    });
    problems(&serde_json::from_value(report).unwrap(), &serde_json::from_value(expected).unwrap())
}

#[test]
fn a_run_that_did_what_its_data_asks_for_is_sound() {
    assert_eq!(found(report()), Vec::<String>::new());
}

#[test]
fn whatever_differs_is_found() {
    let delivery = |path: &str| format!("/deliveries/0/{path}");
    for (path, value, problem) in [
        (delivery("rows"), json!(1), "1 rows delivered, 2 expected"),
        (delivery("rejected_rows"), json!([]), "rejected: missing"),
        (delivery("rejected_rows/0/reason"), json!("too_long"), "rejected: not expected"),
        (delivery("quarantined_objects"), json!([]), "set aside: missing"),
        (delivery("notices"), json!([]), "NOT TOLD: acme: 1 files delivered, 0 named"),
        (delivery("glue"), json!(null), "no table"),
        (delivery("glue/partitions/0/0/0"), json!("2"), "registered: not expected"),
        (delivery("glue/partitions/0/1"), json!("s3://lake/elsewhere/"), "registered: missing"),
        (delivery("log_findings"), json!(["intent 1: x"]), "LOG: acme: intent 1: x"),
        (delivery("id"), json!("globex"), "acme is not in the report"),
        ("/queues/2/1".to_owned(), json!(1), "DEAD LETTERS: 1 messages in landfall-plan-dead.fifo"),
        ("/functions/0/errors".to_owned(), json!(3), "FAILED: 3 invocations of compactor"),
    ] {
        let mut wrong = report();
        *wrong.pointer_mut(&path).unwrap() = value;
        let problems = found(wrong).join("\n");
        assert!(problems.contains(problem), "{path}: {problems}");
    }
}
