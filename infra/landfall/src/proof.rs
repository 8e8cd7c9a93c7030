//! What the demo demands of its run beyond rows that add up: what its data says must be rejected, everything told and
//! registered, nothing dead, nothing failed. Pure: each answer is the list of what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use landfall_core::partition::HIVE_NULL;
use serde::Deserialize;

use crate::report::{DeliveryReport, Report};

/// Differences that are shown of a set.
const SHOWN: usize = 5;

/// The truth about the staged data, as whoever wrote the data knows it: `expected.json`.
pub(crate) type Expected = BTreeMap<String, ExpectedDelivery>;

/// The truth about one delivery.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedDelivery {
    /// Rows that must arrive.
    rows: u64,
    /// Records that must be rejected: key, line, reason, column.
    rejected: BTreeSet<(String, u64, String, Option<String>)>,
    /// Objects that must be set aside as a whole: key, reason.
    set_aside: BTreeSet<(String, String)>,
}

/// Everything that is wrong.
pub(crate) fn problems(report: &Report, expected: &Expected) -> Vec<String> {
    let mut problems = Vec::new();
    let reported: Vec<&str> = report.deliveries.iter().map(|delivery| delivery.id.as_str()).collect();
    for id in expected.keys().filter(|id| !reported.contains(&id.as_str())) {
        problems.push(format!("NOT AS EXPECTED: {id} is not in the report"));
    }
    for delivery in &report.deliveries {
        match expected.get(&delivery.id) {
            Some(truth) => problems.extend(differs(delivery, truth)),
            None => problems.push(format!("NOT AS EXPECTED: {}: nothing is expected of it", delivery.id)),
        }
        problems
            .extend(delivery.log_findings.iter().map(|finding| format!("LOG: {}: {finding}", delivery.id)));
        problems.extend(not_told(delivery));
        problems.extend(not_registered(delivery));
    }
    for (queue, messages) in report.queues.iter().filter(|(queue, messages)| is_dead(queue) && *messages > 0)
    {
        problems.push(format!("DEAD LETTERS: {messages} messages in {queue}"));
    }
    for function in report.functions.iter().filter(|function| function.errors > 0) {
        problems.push(format!("FAILED: {} invocations of {}", function.errors, function.name));
    }
    problems
}

fn is_dead(queue: &str) -> bool {
    queue.strip_suffix(".fifo").unwrap_or(queue).ends_with("-dead")
}

/// What arrived, was rejected and was set aside, against what the data holds.
fn differs(delivery: &DeliveryReport, truth: &ExpectedDelivery) -> Vec<String> {
    let mut problems = Vec::new();
    let id = &delivery.id;
    if delivery.rows != truth.rows {
        problems.push(format!(
            "NOT AS EXPECTED: {id}: {} rows delivered, {} expected",
            delivery.rows, truth.rows
        ));
    }
    let rejected: BTreeSet<_> = delivery
        .rejected_rows
        .iter()
        .map(|row| (row.key.clone(), row.line, row.reason.clone(), row.column.clone()))
        .collect();
    if rejected.len() != delivery.rejected_rows.len() {
        problems.push(format!("NOT AS EXPECTED: {id}: a row was rejected twice"));
    }
    problems.extend(difference(id, "rejected", &rejected, &truth.rejected));
    let set_aside: BTreeSet<_> = delivery
        .quarantined_objects
        .iter()
        .map(|object| (object.why.key.clone(), object.why.reason.clone()))
        .collect();
    problems.extend(difference(id, "set aside", &set_aside, &truth.set_aside));
    problems
}

fn difference<T: Ord + std::fmt::Debug>(
    delivery: &str,
    what: &str,
    found: &BTreeSet<T>,
    expected: &BTreeSet<T>,
) -> Vec<String> {
    let surplus = found.difference(expected).take(SHOWN).map(|item| format!("not expected: {item:?}"));
    let missing = expected.difference(found).take(SHOWN).map(|item| format!("missing: {item:?}"));
    surplus.chain(missing).map(|text| format!("NOT AS EXPECTED: {delivery}: {what}: {text}")).collect()
}

/// Every delivered file is named by a message on the client's queue, and no other.
fn not_told(delivery: &DeliveryReport) -> Option<String> {
    let named: BTreeSet<String> = delivery
        .notices
        .iter()
        .filter_map(|notice| notice.message.get("files")?.as_array())
        .flatten()
        .filter_map(|file| file.get("uri")?.as_str().map(str::to_owned))
        .collect();
    let wanted: BTreeSet<String> =
        delivery.files.iter().map(|file| format!("s3://{}/{}", delivery.bucket, file.key)).collect();
    (named != wanted).then(|| {
        format!(
            "NOT TOLD: {}: {} files delivered, {} named by messages, {} of both",
            delivery.id,
            wanted.len(),
            named.len(),
            named.intersection(&wanted).count()
        )
    })
}

/// The catalog has exactly the partitions in which files stand, each with its values and at its location.
fn not_registered(delivery: &DeliveryReport) -> Vec<String> {
    let Some(table) = &delivery.glue else {
        return vec![format!("NOT REGISTERED: {}: the catalog has no table", delivery.id)];
    };
    let registered: BTreeSet<(Vec<String>, String)> = table.partitions.iter().cloned().collect();
    let mut wanted = BTreeSet::new();
    for file in delivery.files.iter().filter(|file| !file.partition.is_empty()) {
        let values = table.partition_keys.iter().map(|name| {
            let value = file.partition.get(name).cloned().flatten().unwrap_or_default();
            if value.is_empty() { HIVE_NULL.to_owned() } else { value }
        });
        let folder = file.key.rsplit_once('/').map_or("", |(folder, _)| folder);
        wanted.insert((values.collect(), format!("s3://{}/{folder}/", delivery.bucket)));
    }
    let mut problems: Vec<String> = difference(&delivery.id, "registered", &registered, &wanted);
    if registered.len() != table.partitions.len() {
        problems.push(format!("NOT AS EXPECTED: {}: a partition is registered twice", delivery.id));
    }
    problems
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
