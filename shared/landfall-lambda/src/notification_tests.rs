use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::batch::Batch;
use crate::fixtures::{arbitrary_json, event};

/// What the messages of a sample event are read as.
fn read(event: Value) -> Vec<Result<Intake, NotificationError>> {
    Batch::decode(event).unwrap().messages.iter().map(|message| read_notification(&message.body)).collect()
}

/// The keys of the objects that the only message of a sample event names.
fn keys(event: Value) -> Vec<String> {
    match read(event).as_slice() {
        [Ok(Intake::Objects(objects)), ..] => objects.iter().map(|object| object.key.clone()).collect(),
        other => panic!("no objects: {other:?}"),
    }
}

/// A record as S3 writes it.
fn record(version: &str, name: &str, key: &str) -> Value {
    json!({
        "eventVersion": version, "eventName": name, "x-new": {"y": [1]},
        "s3": {"bucket": {"name": "staging"}, "object": {"key": key, "size": 1}, "new": null},
    })
}

fn read_records_of(records: &[Value]) -> Result<Intake, NotificationError> {
    read_notification(&json!({ "Records": records }).to_string())
}

#[test]
fn a_put_is_read_with_all_it_says() {
    let expected = ObjectEvent {
        bucket: "landfall-staging-111122223333".to_owned(),
        key: "acme/catalogue/dt=2026-05-19/part-000.jsonl".to_owned(),
        event_name: "ObjectCreated:Put".to_owned(),
        size: Some(5_120),
        etag: Some("40dfdbb7a23ed9d83ed55e6ba2e9f013".to_owned()),
        sequencer: Some("0066E5D1A9B6C0F2A1".to_owned()),
        event_time: Some("2026-05-19T00:00:00.000Z".to_owned()),
    };
    for sample in [event!("compactor/s3-put.json"), event!("compactor/s3-put-sns.json")] {
        assert_eq!(read(sample), [Ok(Intake::Objects(vec![expected.clone()]))]);
    }
}

#[test]
fn eventbridge_keys_are_taken_as_they_are() {
    assert_eq!(
        keys(event!("compactor/s3-put-eventbridge.json")),
        ["acme/catalogue/dt=2026-05-19/a b+c%20d.jsonl"]
    );
}

#[test]
fn keys_are_decoded_as_aws_encodes_them() {
    let prefix = "acme/catalogue/";
    let longest = "k".repeat(1_024 - prefix.len());
    let expected = [
        "a b+c/ü=é.jsonl",
        "100%.jsonl",
        "%2B literal.jsonl",
        "日本/😀.jsonl",
        "//double//slash.",
        "../up/..",
        "nfc-é nfd-e\u{301}.jsonl",
        "user@example.jsonl",
        &longest,
    ];
    assert_eq!(keys(event!("compactor/s3-encoded-keys.json")), expected.map(|key| format!("{prefix}{key}")));
}

#[test]
fn s3s_own_test_schedules_and_other_events_are_told_apart() {
    assert_eq!(read(event!("compactor/s3-test-event.json")), [Ok(Intake::TestEvent)]);
    assert_eq!(read(event!("compactor/schedule.json")), [Ok(Intake::Schedule)]);
    let names = ["ObjectRemoved:DeleteMarkerCreated", "ObjectTagging:Put", "LifecycleExpiration:Delete"];
    assert_eq!(
        read(event!("compactor/s3-delete.json")),
        names.map(|name| Ok(Intake::Ignored(name.to_owned())))
    );
    for ignored in [
        "{}",
        r#"{"Records":[]}"#,
        r#"{"source":"aws.s3","detail-type":"Object Deleted","detail":{}}"#,
        r#"{"Type":"SubscriptionConfirmation","Message":"You have chosen to subscribe"}"#,
    ] {
        assert!(matches!(read_notification(ignored), Ok(Intake::Ignored(_))), "{ignored}");
    }
}

#[test]
fn every_poison_sample_is_an_error_that_names_its_fault() {
    let faults = [
        "expected ident",
        "no eventVersion|no key",
        "event version 3.0",
        "invalid percent escape at byte 18",
        "not UTF-8",
        "not an object",
        "neither an S3 event nor a schedule",
        "neither an S3 event nor a schedule",
    ];
    let read = read(event!("compactor/poison.json"));
    assert_eq!(read.len(), faults.len());
    for (read, fault) in read.into_iter().zip(faults) {
        let error = read.unwrap_err().to_string();
        assert!(fault.split('|').any(|part| error.contains(part)), "{fault}: {error}");
    }
}

#[test]
fn only_the_second_major_version_is_read() {
    for version in ["2.0", "2.1", "2.6", "2.999", "2"] {
        assert!(read_records_of(&[record(version, "ObjectCreated:Put", "k")]).is_ok(), "{version}");
    }
    for version in ["3.0", "1.9", "20.0", "", "2a", "x".repeat(100_000).as_str()] {
        let error = read_records_of(&[record(version, "ObjectRemoved:Delete", "k")]).unwrap_err();
        assert!(error.to_string().len() < 300, "{version}");
    }
}

#[test]
fn one_unreadable_record_leaves_the_others_readable() {
    let records = [
        record("2.1", "ObjectCreated:Put", "a+b"),
        record("2.1", "ObjectCreated:Put", "bad%2"),
        record("2.1", "ObjectRemoved:Delete", "gone%"),
        json!(null),
        record("2.1", "ObjectCreated:Copy", "c"),
        record("2.1", "ObjectCreated:Put", ""),
        record("2.1", "ObjectCreated:Put", &"k".repeat(1_025)),
    ];
    let Err(NotificationError::Records { objects, refused }) = read_records_of(&records) else {
        panic!("some are refused")
    };
    assert_eq!(objects.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), ["a b", "c"]);
    let key = |shown: &str, error| RecordError::Key { shown: shown.to_owned(), error };
    assert_eq!(
        refused,
        [
            key("bad%2", KeyError::Escape(3)),
            RecordError::Missing("eventVersion"),
            key("", KeyError::Empty),
            key(&format!("{}…(+925 bytes)", "k".repeat(100)), KeyError::TooLong(1_025)),
        ]
    );
}

#[test]
fn all_records_are_read() {
    let records: Vec<Value> =
        (0..10).map(|index| record("2.1", "ObjectCreated:Put", &format!("k{index}"))).collect();
    let Ok(Intake::Objects(objects)) = read_records_of(&records) else { panic!("objects") };
    assert_eq!(objects.len(), 10);
}

#[test]
fn deep_nesting_is_refused_without_a_stack_overflow() {
    for body in ["[".repeat(1_000_000), "{\"Records\":".repeat(100_000)] {
        assert!(matches!(read_notification(&body), Err(NotificationError::NotJson(_))));
    }
}

#[test]
fn a_notification_is_unwrapped_once() {
    let inner = json!({"Type": "Notification", "Message": "{}"}).to_string();
    let nested = json!({"Type": "Notification", "Message": inner}).to_string();
    assert!(read_notification(&nested).is_err());
    assert!(read_notification(r#"{"Type":"Notification"}"#).is_err());
    assert!(read_notification(r#"{"Type":"Notification","Message":"x"}"#).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_read_or_refused(body in any::<String>()) {
        drop(read_notification(&body));
    }

    #[test]
    fn any_json_is_read_or_refused(document in arbitrary_json()) {
        drop(read_notification(&document.to_string()));
        drop(read_notification(&json!({ "Records": [document.clone()] }).to_string()));
        drop(read_notification(&json!({"Type": "Notification", "Message": document.to_string()}).to_string()));
        drop(read_notification(
            &json!({"source": "aws.s3", "detail-type": "Object Created", "detail": document}).to_string(),
        ));
    }
}
