use std::sync::Arc;

use landfall_core::error::ErrorClass;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::batch::MessageId;
use crate::fixtures::FixedClock;

/// What a test's log was written to.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lines_of(work: impl FnOnce()) -> Vec<Value> {
    let sink = Sink::default();
    let layer = JsonLines::new(FixedClock::at("2026-05-19T00:00:00.5Z"), sink.clone());
    tracing::subscriber::with_default(Registry::default().with(layer), work);
    let bytes = sink.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn receipt(id: &str) -> Receipt {
    let id = MessageId::new(id).unwrap();
    Receipt { id, handle: String::new(), source_arn: String::new(), receive_count: 2, group: None }
}

#[test]
fn an_outcome_line_is_flat_and_carries_the_request_id() {
    let verdict =
        Verdict::done("staged").kind("merge").delivery("acme-catalogue").intent(7).count("rows", 1_400);
    let lines = lines_of(|| {
        let _invocation = tracing::info_span!("invocation", request_id = "r-1").entered();
        let _inner = tracing::info_span!("inner", file = 3_u64).entered();
        outcome(&receipt("m-1"), &verdict, Duration::from_millis(12));
    });
    assert_eq!(
        lines,
        [json!({
            "timestamp": "2026-05-19T00:00:00.500Z", "level": "INFO", "target": "landfall_lambda::telemetry",
            "message": "message outcome", "request_id": "r-1", "file": 3,
            "message_id": "m-1", "receive_count": 2, "kind": "merge", "outcome": "staged", "disposition": "done",
            "delivery": "acme-catalogue", "n": 7, "counts": {"rows": 1_400}, "duration_ms": 12,
        })]
    );
}

#[test]
fn a_returned_message_is_a_warning_with_class_and_reason() {
    let verdict =
        Verdict::retry("held", ErrorClass::ClientFixable, "cannot assume role", Some(60)).kind("commit");
    let lines = lines_of(|| outcome(&receipt("m-1"), &verdict, Duration::ZERO));
    assert_eq!(lines[0]["level"], "WARN");
    assert_eq!(lines[0]["disposition"], "returned");
    assert_eq!(lines[0]["class"], "client_fixable");
    assert_eq!(lines[0]["reason"], "cannot assume role");
    assert_eq!(lines[0].get("n"), None);
}

#[test]
fn text_from_outside_neither_breaks_a_line_nor_forges_a_field() {
    let hostile = "a\"}\n{\"level\":\"ERROR\",\"message\":\"forged\"}\r\u{1b}[2J\u{2028}";
    let reason = format!("cannot read {hostile}");
    let verdict = Verdict::retry("failed", ErrorClass::Permanent, reason, None)
        .delivery(hostile)
        .detail(hostile.repeat(9_000));
    let lines = lines_of(|| {
        let _span = tracing::info_span!("invocation", request_id = hostile).entered();
        outcome(&receipt(hostile), &verdict, Duration::ZERO);
        tracing::info!(level = hostile, timestamp = hostile, counts = hostile, key = ?hostile, "{hostile}");
    });
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["level"], "WARN");
    assert_eq!(lines[1]["level"], "INFO");
    assert_eq!(lines[1]["timestamp"], "2026-05-19T00:00:00.500Z");
    assert_eq!(lines[1]["counts"], shown(hostile).into_owned());
    assert!(lines[0]["detail"].as_str().unwrap().chars().count() < 2_048);
}

#[test]
fn an_error_is_logged_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot put intent 7")]
    struct Outer(#[source] io::Error);
    let error = Outer(io::Error::other("connection reset\nby peer"));
    let lines = lines_of(|| tracing::error!(error = &error as &(dyn std::error::Error + 'static), "failed"));
    assert_eq!(lines[0]["error"], "cannot put intent 7: connection reset by peer");
}

#[test]
fn later_fields_of_a_span_are_kept() {
    let lines = lines_of(|| {
        let span = tracing::info_span!("work", delivery = tracing::field::Empty);
        span.record("delivery", "acme");
        span.in_scope(|| tracing::info!(ratio = 0.5, whole = true, change = -1, "done"));
    });
    let [line] = lines.as_slice() else { panic!("one line") };
    assert_eq!((&line["delivery"], &line["ratio"]), (&json!("acme"), &json!(0.5)));
    assert_eq!((&line["whole"], &line["change"]), (&json!(true), &json!(-1)));
}

proptest! {
    #[test]
    fn any_text_makes_exactly_one_bounded_inert_line(text in any::<String>(), detail in "(?s).{0,4000}") {
        let verdict = Verdict::retry("failed", ErrorClass::Transient, text.clone(), None).detail(detail);
        let lines = lines_of(|| outcome(&receipt(&format!("m{text}")), &verdict, Duration::ZERO));
        prop_assert_eq!(lines.len(), 1);
        prop_assert!(lines[0].to_string().len() < 64 * 1_024);
        let reason = lines[0]["reason"].as_str().unwrap();
        prop_assert!(!reason.chars().any(char::is_control));
    }
}
