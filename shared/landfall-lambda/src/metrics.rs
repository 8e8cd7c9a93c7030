//! Metrics in CloudWatch's embedded metric format: JSON lines on standard output, one per delivery and invocation.
//!
//! The form is AWS's "Embedded metric format specification": `_aws.Timestamp` in milliseconds, directives with
//! namespace, dimension sets and metric definitions, values as members of the root.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Metric {
    /// The name.
    pub name: &'static str,
    /// CloudWatch's unit.
    pub unit: &'static str,
    /// What it counts.
    pub meaning: &'static str,
}

macro_rules! metrics {
    ($($constant:ident = $name:literal, $unit:literal, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: Metric = Metric { name: $name, unit: $unit, meaning: $meaning };
        )*
        /// All metrics.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    FILES_IN = "FilesIn", "Count", "Staged objects consumed by a merge.";
    BYTES_IN = "BytesIn", "Bytes", "Bytes of the staged objects consumed, as staged.";
    ROWS_IN = "RowsIn", "Count", "Records read: delivered or rejected.";
    FILES_OUT = "FilesOut", "Count", "Files published.";
    BYTES_OUT = "BytesOut", "Bytes", "Bytes of the files published.";
    ROWS_OUT = "RowsOut", "Count", "Rows of the files published.";
    ROWS_REJECTED = "RowsRejected", "Count", "Records set aside because they break the contract.";
    ROWS_RESCUED = "RowsRescued", "Count", "Delivered records with members that no column holds, kept in `_rescued`.";
    OBJECTS_QUARANTINED = "ObjectsQuarantined", "Count", "Staged objects set aside as a whole.";
    FRESHNESS_LAG = "FreshnessLagSeconds", "Seconds", "From the staging of the oldest input to the receipt.";
    DELIVERIES_HELD = "DeliveriesHeld", "Count", "Failures that hold a delivery until its client mends them.";
    HOLDS_OPENED = "HoldsOpened", "Count", "Holds told of as opened: something that a client must mend.";
    HOLDS_CLOSED = "HoldsClosed", "Count", "Holds told of as closed: it works again.";
    DELIVERIES_EXPIRED = "DeliveriesExpired", "Count", "Intents that expired because nobody mended what held them.";
    WORK_RESCHEDULED = "WorkRescheduled", "Count", "Pieces of work that met a passing failure and are tried again later.";
    DELIVERIES_REFUSED = "DeliveriesRefused", "Count", "Delivery documents refused by the registry.";
    INTENTS_PLANNED = "IntentsPlanned", "Count", "Intents put into the log.";
    INTENTS_VOIDED = "IntentsVoided", "Count", "Intents that no execution could finish: planned again in halves.";
    INTENTS_EVOLVED = "IntentsEvolved", "Count", "Intents whose inputs are planned again because the contract takes in what is new in them.";
    UNROUTED_OBJECTS = "UnroutedObjects", "Count", "Staged objects under prefixes that no delivery has.";
    REPEATED_UPLOADS = "RepeatedUploads", "Count", "Objects deleted because the same bytes were delivered before.";
    NOTICES_SENT = "NoticesSent", "Count", "Messages sent to client queues.";
    MESSAGES_RETURNED = "MessagesReturned", "Count", "Messages returned to their queue.";
}

/// The dimension sets of what concerns no single delivery: one alarm over the whole stack, one over each function.
const OF_NO_DELIVERY: &[&[&str]] = &[&[], &["Function"]];
/// The dimension sets of what concerns a delivery: the same, and dashboards look at the delivery.
const DIMENSION_SETS: &[&[&str]] = &[&[], &["Function"], &["Function", "Delivery"]];

/// Counts of one invocation. Cheap to clone; clones share their counts.
#[derive(Debug, Clone, Default)]
pub struct MetricsRecorder(Arc<Mutex<ByDelivery>>);

/// Values by metric, by delivery; `None` is for what concerns no single delivery.
type ByDelivery = BTreeMap<Option<String>, BTreeMap<Metric, Vec<f64>>>;

impl MetricsRecorder {
    /// Counts. Zero leaves no line behind.
    pub fn count(&self, metric: &Metric, delivery: Option<&str>, number: u64) {
        if number > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a metric beyond 2^53 may lose its last digit")]
            self.observe(metric, delivery, number as f64);
        }
    }

    /// Notes a value, such as a lag. What is not a number is no value.
    pub fn observe(&self, metric: &Metric, delivery: Option<&str>, value: f64) {
        if !value.is_finite() {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(delivery.map(dimension)).or_default().entry(*metric).or_default().push(value);
    }

    /// The sum of what was counted.
    pub fn total(&self, metric: &Metric, delivery: Option<&str>) -> f64 {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&delivery.map(dimension))
            .and_then(|metrics| metrics.get(metric))
            .map_or(0.0, |v| v.iter().sum())
    }

    /// Writes what was counted, one line per delivery, and forgets it.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn flush(
        &self,
        namespace: &str,
        function: &str,
        now: Timestamp,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (delivery, metrics) in all {
            let mut line = Map::new();
            line.insert("Function".to_owned(), function.into());
            let sets = if delivery.is_some() { DIMENSION_SETS } else { OF_NO_DELIVERY };
            if let Some(delivery) = delivery {
                line.insert("Delivery".to_owned(), delivery.into());
            }
            let definitions: Vec<Value> =
                metrics.keys().map(|metric| json!({"Name": metric.name, "Unit": metric.unit})).collect();
            line.insert(
                "_aws".to_owned(),
                json!({
                    "Timestamp": now.as_millisecond(),
                    "CloudWatchMetrics": [{"Namespace": namespace, "Dimensions": sets, "Metrics": definitions}],
                }),
            );
            for (metric, values) in metrics {
                let value = match values.as_slice() {
                    [one] => json!(one),
                    // CloudWatch takes at most 100 values a metric and line.
                    many if metric.unit == "Seconds" && many.len() <= 100 => json!(many),
                    many if metric.unit == "Seconds" => json!(many.iter().copied().fold(0.0, f64::max)),
                    many => json!(many.iter().sum::<f64>()),
                };
                line.insert(metric.name.to_owned(), value);
            }
            let mut text = Value::Object(line).to_string();
            text.push('\n');
            out.write_all(text.as_bytes())?;
        }
        out.flush()
    }
}

/// The value of the dimension `Delivery`. What no delivery can be called counts under one name: a message from
/// outside must not open a metric of its own, which CloudWatch bills and keeps.
fn dimension(delivery: &str) -> String {
    let is_id = (1..=63).contains(&delivery.len())
        && delivery.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_id { delivery.to_owned() } else { "(none)".to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines a recorder writes, each checked against the specification.
    fn lines_of(recorder: &MetricsRecorder) -> Vec<Value> {
        let mut out = Vec::new();
        recorder.flush("landfall", "compactor", "2026-05-19T00:00:00Z".parse().unwrap(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.iter().for_each(check_form);
        lines
    }

    /// What AWS's specification asks of a document.
    fn check_form(line: &Value) {
        assert!(line["_aws"]["Timestamp"].is_i64());
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            assert!(directive["Namespace"].is_string());
            for name in
                directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap())
            {
                let value = line[name.as_str().unwrap()].as_str().unwrap();
                assert!(value.is_ascii() && (1..=1_024).contains(&value.trim().len()), "{value}");
            }
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!((1..=100).contains(&metrics.len()));
            for metric in metrics {
                assert!(["Count", "Bytes", "Seconds"].contains(&metric["Unit"].as_str().unwrap()));
                match &line[metric["Name"].as_str().unwrap()] {
                    Value::Number(_) => {}
                    Value::Array(values) => assert!((1..=100).contains(&values.len())),
                    other => panic!("{other} is no metric value"),
                }
            }
        }
    }

    #[test]
    fn more_lags_than_a_line_takes_leave_the_greatest() {
        let recorder = MetricsRecorder::default();
        for lag in 0..100 {
            recorder.observe(&FRESHNESS_LAG, Some("acme"), f64::from(lag));
        }
        let first = recorder.clone();
        assert_eq!(lines_of(&first)[0]["FreshnessLagSeconds"].as_array().unwrap().len(), 100);
        for lag in 0..101 {
            recorder.observe(&FRESHNESS_LAG, Some("acme"), f64::from(lag));
        }
        assert_eq!(lines_of(&recorder)[0]["FreshnessLagSeconds"], 100.0);
    }

    #[test]
    fn what_is_no_number_is_not_counted() {
        let recorder = MetricsRecorder::default();
        recorder.observe(&FRESHNESS_LAG, Some("acme"), f64::NAN);
        recorder.observe(&FRESHNESS_LAG, Some("acme"), f64::INFINITY);
        assert!(lines_of(&recorder).is_empty());
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    /// The text of one value in a resource of the template.
    fn value_of<'a>(resource: &'a str, name: &str) -> Option<&'a str> {
        resource.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "))
    }

    #[test]
    fn every_alarm_on_our_own_metrics_can_fire() {
        let template = include_str!("../../../infra/template.yaml");
        // A resource begins with its name, indented by two.
        let mut resources: Vec<String> = Vec::new();
        for line in template.lines() {
            if line.starts_with("  ") && !line.starts_with("   ") {
                resources.push(String::new());
            }
            if let Some(resource) = resources.last_mut() {
                resource.push_str(line);
                resource.push('\n');
            }
        }
        let ours: Vec<&String> = resources
            .iter()
            .filter(|resource| value_of(resource, "Type") == Some("AWS::CloudWatch::Alarm"))
            .filter(|resource| value_of(resource, "Namespace") == Some("landfall"))
            .collect();
        assert!(!ours.is_empty(), "the template has such alarms");
        for alarm in ours {
            let metric = value_of(alarm, "MetricName");
            assert!(ALL.iter().any(|known| Some(known.name) == metric), "{metric:?} is no metric of ours");
            let dimensions: Vec<&str> = alarm
                .lines()
                .filter_map(|line| line.trim().strip_prefix("- { Name: ")?.split(',').next())
                .collect();
            assert_eq!(dimensions.is_empty(), !alarm.contains("Dimensions:"), "{alarm}");
            assert!(DIMENSION_SETS.contains(&dimensions.as_slice()), "{dimensions:?} is never emitted");
        }
        let namespaces = template.lines().filter_map(|line| value_of(line, "LANDFALL_METRICS_NAMESPACE"));
        assert!(namespaces.into_iter().all(|namespace| namespace == "landfall"));
    }

    proptest! {
        #[test]
        fn any_delivery_name_gives_a_valid_line(name in any::<String>(), number in 1_u64..) {
            let recorder = MetricsRecorder::default();
            recorder.count(&ROWS_OUT, Some(&name), number);
            prop_assert_eq!(lines_of(&recorder).len(), 1);
        }
    }

    #[test]
    fn counts_become_one_line_per_delivery_in_cloudwatchs_form() {
        let recorder = MetricsRecorder::default();
        recorder.count(&FILES_IN, Some("acme"), 3);
        recorder.clone().count(&FILES_IN, Some("acme"), 4);
        recorder.observe(&FRESHNESS_LAG, Some("acme"), 1.5);
        recorder.count(&UNROUTED_OBJECTS, None, 1);
        recorder.count(&ROWS_REJECTED, Some("quiet"), 0);
        let mut out = Vec::new();
        let now = "2026-05-19T00:00:00Z".parse().unwrap();
        recorder.flush("landfall", "compactor", now, &mut out).unwrap();
        let lines: Vec<Value> =
            String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["UnroutedObjects"], 1.0);
        assert_eq!(lines[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[], ["Function"]]));
        assert_eq!(lines[1]["FilesIn"], 7.0);
        assert_eq!(lines[1]["FreshnessLagSeconds"], 1.5);
        assert_eq!(lines[1]["_aws"]["Timestamp"], 1_779_148_800_000_i64);
        assert_eq!(
            lines[1]["_aws"]["CloudWatchMetrics"][0],
            json!({
                "Namespace": "landfall",
                "Dimensions": [[], ["Function"], ["Function", "Delivery"]],
                "Metrics": [
                    {"Name": "FilesIn", "Unit": "Count"}, {"Name": "FreshnessLagSeconds", "Unit": "Seconds"}
                ]
            })
        );
        let mut again = Vec::new();
        recorder.flush("landfall", "compactor", now, &mut again).unwrap();
        assert_eq!(again, Vec::<u8>::new(), "counts are written once");
    }
}
