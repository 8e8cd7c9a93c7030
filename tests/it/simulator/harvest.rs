//! What became of everything, read back at the end: every file that was ever visible, logs, quarantine, notices, holds.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type};
use bytes::Bytes;
use landfall_core::audit::{self, DeliveryLog};
use landfall_core::keys::{self, RecordName};
use landfall_core::record::{self, Expired, Hold, Notified, RejectedRecord, Verdict};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use super::model::{Identity, Record};
use super::simulation::Simulation;

/// A file that was visible below a client's bucket, outside of the hidden prefix.
#[derive(Debug, Clone)]
pub struct VisibleFile {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// Its rows, or why it cannot be read.
    pub rows: Result<Vec<Record>, String>,
}

/// An object that was set aside as a whole.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The reason.
    pub reason: String,
    /// The bytes that were kept; `None` when there are none.
    pub body: Option<Bytes>,
}

/// What became of one delivery.
#[derive(Debug, Clone, Default)]
pub struct DeliveryHarvest {
    /// The log.
    pub log: DeliveryLog,
    /// The holds that stand.
    pub holds: Vec<Hold>,
    /// Rows that were set aside, as the outcomes name them.
    pub rejected: Vec<RejectedRecord>,
    /// Objects that were set aside.
    pub kept: BTreeMap<Identity, Kept>,
    /// What the client's queue was told.
    pub notices: Vec<Value>,
    /// Parts of intents whose telling was given up after 72 hours.
    pub given_up: BTreeSet<(u64, u32)>,
    /// Intents that an operator gave up.
    pub discarded: BTreeSet<u64>,
    /// Intents that expired, each with how long it had been tried.
    pub expired: BTreeMap<u64, jiff::SignedDuration>,
}

/// What became of everything.
#[derive(Debug, Clone, Default)]
pub struct Harvest {
    /// Every file that was ever visible in a client's bucket, in the order of writing.
    pub files: Vec<VisibleFile>,
    /// Every key that was ever written below a hidden prefix, with its bucket.
    pub temps: Vec<(String, String)>,
    /// By delivery, in the order of the scenario.
    pub deliveries: Vec<DeliveryHarvest>,
    /// Objects that are still staged.
    pub staged: Vec<Identity>,
    /// Messages that still wait on our queues.
    pub waiting: Vec<(String, usize)>,
    /// Whether everything came to its end.
    pub settled: bool,
}

/// Our own queues.
const QUEUES: [&str; 5] = ["intake", "plan.fifo", "work", "commit", "notify"];

/// Reads everything back.
pub async fn harvest(simulation: &Simulation) -> Harvest {
    let aws = &simulation.scene.aws;
    let mut harvest = Harvest { settled: simulation.settled, ..Harvest::default() };
    let buckets: std::collections::BTreeSet<String> =
        simulation.deliveries.iter().map(super::plan::DeliveryPlan::bucket).collect();
    for bucket in buckets {
        for object in aws.written(&bucket) {
            if object.key.starts_with("_tmp/") {
                harvest.temps.push((bucket.clone(), object.key));
            } else {
                let rows = read(&object.body);
                harvest.files.push(VisibleFile { bucket: bucket.clone(), key: object.key, rows });
            }
        }
    }
    for plan in &simulation.deliveries {
        harvest.deliveries.push(delivery(simulation, &plan.id(), &plan.queue_arn()).await);
    }
    for object in aws.objects("staging", "") {
        let size = object.size();
        harvest.staged.push((object.key, object.etag, size));
    }
    for queue in QUEUES {
        let depth = aws.depth(&queue_url(queue));
        if depth > 0 {
            harvest.waiting.push((queue.to_owned(), depth));
        }
    }
    harvest
}

fn queue_url(name: &str) -> String {
    format!("https://sqs.{}.amazonaws.com/{}/{name}", testkit::fake::HOME_REGION, testkit::fake::HOME_ACCOUNT)
}

async fn delivery(simulation: &Simulation, id: &str, queue: &str) -> DeliveryHarvest {
    let aws = &simulation.scene.aws;
    let log = audit::read(&simulation.scene.ledger(), id).await.expect("the log is read");
    let mut harvest = DeliveryHarvest::default();
    for object in aws.objects("state", &keys::holds_prefix(id)) {
        harvest.holds.push(record::decode(&object.key, &object.body).expect("a hold"));
    }
    for (n, entry) in &log.intents {
        for name in &entry.records {
            let Some(object) = aws.object("state", &keys::record(id, *n, *name)) else { continue };
            match name {
                RecordName::Notified(part) => {
                    let notified: Notified = record::decode(&object.key, &object.body).expect("a record");
                    if notified.given_up.is_some() {
                        harvest.given_up.insert((*n, *part));
                    }
                }
                RecordName::Discarded => drop(harvest.discarded.insert(*n)),
                RecordName::Expired(_) => {
                    let expired: Expired = record::decode(&object.key, &object.body).expect("a record");
                    harvest.expired.insert(*n, expired.at.duration_since(expired.first_failure));
                }
                _ => {}
            }
        }
        let (Some(intent), Some(outcome)) = (&entry.intent, &entry.outcome) else { continue };
        for key in &outcome.rejected_rows {
            harvest
                .rejected
                .extend(aws.object("state", key).map(|object| rejected(&object.body)).unwrap_or_default());
        }
        for (input, verdict) in intent.inputs.iter().zip(&outcome.verdicts) {
            if let Verdict::Quarantined { reason, kept, .. } = verdict {
                let body = aws.object("state", kept).map(|object| object.body);
                let identity = (input.key.clone(), input.etag.clone(), input.size);
                harvest.kept.insert(identity, Kept { reason: reason.clone(), body });
            }
        }
    }
    for body in aws.bodies(queue) {
        harvest.notices.push(serde_json::from_str(&body).expect("a notice is JSON"));
    }
    DeliveryHarvest { log, ..harvest }
}

fn rejected(body: &[u8]) -> Vec<RejectedRecord> {
    let text = zstd::decode_all(body).expect("zstd");
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("a rejected record")).collect()
}

/// The rows of a file. All columns but those of every contract are numbers.
pub fn read(file: &Bytes) -> Result<Vec<Record>, String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).map_err(|error| failed(&error))?;
    let reader = reader.build().map_err(|error| failed(&error))?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| failed(&error))?;
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| format!("no column {name}"));
        let ids = column("id")?.as_primitive_opt::<Int64Type>().ok_or("id is no int64")?;
        let names = column("name")?.as_string_opt::<i32>().ok_or("name is no string")?;
        let start = rows.len();
        for row in 0..batch.num_rows() {
            let name = if names.is_valid(row) { names.value(row).to_owned() } else { String::new() };
            rows.push(Record { id: ids.value(row), name, more: BTreeMap::new() });
        }
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            if ["id", "name", "pad"].contains(&field.name().as_str()) {
                continue;
            }
            let narrow = array
                .as_primitive_opt::<Int32Type>()
                .map(|array| array.iter().map(|n| n.map(i64::from)).collect());
            let wide = array.as_primitive_opt::<Int64Type>().map(|array| array.iter().collect());
            let values: Vec<Option<i64>> =
                narrow.or(wide).ok_or_else(|| format!("{} is {}", field.name(), field.data_type()))?;
            for (record, value) in rows[start..].iter_mut().zip(values) {
                record.more.extend(value.map(|value| (field.name().clone(), value)));
            }
        }
    }
    Ok(rows)
}
