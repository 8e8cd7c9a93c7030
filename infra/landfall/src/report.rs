//! The report of a run: what was staged, what was delivered, what was set aside and why, and what it took.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use landfall_core::audit::{self, DeliveryLog};
use landfall_core::delivery::{Capabilities, Delivery};
use landfall_core::record::{RejectedRecord, Verdict};
use landfall_embedded::{Collected, FunctionSeen, GlueTableSeen, IntentSeen, NoticeSeen, ObjectReason};
use serde::{Deserialize, Serialize};

use crate::error::CommandError;

/// The report of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Form of the report: 1.
    pub version: u32,
    /// Seconds from the start of the embedded AWS to its end.
    pub elapsed_seconds: f64,
    /// Seconds of each phase, in order.
    pub phases: Vec<(String, f64)>,
    /// Seconds from the first staged object, with all functions cold, to the first outcome in the log.
    pub first_outcome_seconds: Option<f64>,
    /// What the endpoint can do in one call.
    pub capabilities: Capabilities,
    /// What of the documents is otherwise in the embedded AWS, and why.
    pub notes: Vec<String>,
    /// Invocations of each function.
    pub functions: Vec<FunctionReport>,
    /// Messages left in each queue of the stack at the end, dead-letter queues included, by name.
    #[serde(default)]
    pub queues: Vec<(String, u64)>,
    /// Each delivery.
    pub deliveries: Vec<DeliveryReport>,
    /// Every staged object.
    pub objects: Vec<ObjectReport>,
    /// Whether rows add up, as counted by a reader of its own (`verify.py`).
    pub verification: serde_json::Value,
}

/// Invocations of a function.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FunctionReport {
    /// Its name.
    pub name: String,
    /// Invocations that ended.
    pub invocations: u64,
    /// Those that failed as a whole.
    pub errors: u64,
    /// Milliseconds of the first one, with the start of the process in it.
    pub cold_milliseconds: Option<f64>,
}

/// A staged object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ObjectReport {
    /// The staged key.
    pub key: String,
    /// The delivery it belongs to.
    pub delivery: String,
    /// The file, below the input folder.
    pub file: String,
    /// Bytes.
    pub bytes: u64,
    /// Lines that are not blank, as `verify.py` counts them; null where it cannot be decompressed.
    pub records: Option<u64>,
}

/// What became of one delivery.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeliveryReport {
    /// The delivery.
    pub id: String,
    /// The dataset.
    pub dataset: String,
    /// The client's account.
    pub account: String,
    /// The client's bucket.
    pub bucket: String,
    /// The location of the table.
    pub prefix: String,
    /// What was staged.
    pub staged: StagedReport,
    /// Rows delivered, as the outcomes say.
    pub rows: u64,
    /// Number of intents with an outcome.
    pub intents: usize,
    /// The delivered files.
    pub files: Vec<FileReport>,
    /// The rejected rows, without their contents.
    pub rejected_rows: Vec<RejectedReport>,
    /// The objects set aside as a whole.
    pub quarantined_objects: Vec<QuarantinedReport>,
    /// The messages received on the client's queues.
    pub notices: Vec<NoticeSeen>,
    /// The table in the client's catalog.
    pub glue: Option<GlueTableSeen>,
    /// Everything in the delivery's log that cannot be, as `landfall log verify` finds it.
    pub log_findings: Vec<String>,
}

/// What was staged for a delivery.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StagedReport {
    /// Objects.
    pub objects: u64,
    /// Bytes.
    pub bytes: u64,
    /// Records in those that can be decompressed, as `verify.py` counts them.
    pub records: Option<u64>,
}

/// A delivered file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileReport {
    /// The production key.
    pub key: String,
    /// Where it was copied to, below the output folder.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
    /// Rows, as the outcome says.
    pub rows: u64,
    /// CRC-64/NVME, 16 hex digits.
    pub crc64nvme: String,
    /// Partition values by name; null for Hive's null. Levels without a name are not among them.
    pub partition: BTreeMap<String, Option<String>>,
}

/// A rejected row. Its content is kept in the state bucket, not here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RejectedReport {
    /// The staged object.
    pub key: String,
    /// The line in the decoded object, from 1.
    pub line: u64,
    /// The offset of the fault in the decoded object, in bytes.
    pub byte_offset: u64,
    /// Machine-readable reason.
    pub reason: String,
    /// The column, where one is at fault.
    pub column: Option<String>,
    /// What exactly.
    pub detail: String,
}

/// An object set aside as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuarantinedReport {
    /// Why, and where.
    #[serde(flatten)]
    pub why: ObjectReason,
    /// Rows the engine had seen of it.
    pub rows_seen: u64,
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    /// When the file cannot be read or is not a report.
    pub fn read(path: &Path) -> Result<Self, CommandError> {
        let bytes = fs::read(path).map_err(CommandError::io(format!("read {}", path.display())))?;
        serde_json::from_slice(&bytes).map_err(CommandError::json(format!("read {}", path.display())))
    }

    /// Writes the report.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), CommandError> {
        let attempt = || format!("write {}", path.display());
        let mut text = serde_json::to_string_pretty(self).map_err(CommandError::json(attempt()))?;
        text.push('\n');
        fs::write(path, text).map_err(CommandError::io(attempt()))
    }

    /// Takes over what `verify.py` counted.
    pub(crate) fn take_counts(&mut self, verification: serde_json::Value) {
        for object in &mut self.objects {
            object.records =
                verification.get("objects").and_then(|objects| objects.get(&object.key)?.as_u64());
        }
        for delivery in &mut self.deliveries {
            let counted = verification.get("deliveries").and_then(|all| all.get(&delivery.id));
            delivery.staged.records = counted.and_then(|counted| counted.get("staged_records")?.as_u64());
        }
        self.verification = verification;
        if let Some(all) = self.verification.as_object_mut() {
            // They stand with the objects now.
            all.remove("objects");
        }
    }
}

impl DeliveryReport {
    /// What became of `delivery`, from everything that was collected.
    pub(crate) fn of(
        delivery: &Delivery,
        objects: &[ObjectReport],
        collected: &Collected,
        log: &DeliveryLog,
    ) -> Self {
        let to = &delivery.destination;
        let intents: Vec<&IntentSeen> =
            collected.intents.iter().filter(|seen| seen.intent.delivery == delivery.id).collect();
        let outcomes =
            || intents.iter().filter_map(|seen| seen.outcome.as_ref()).filter(|outcome| !outcome.void);
        let staged = objects.iter().filter(|object| object.delivery == delivery.id);
        let queues: Vec<&str> = delivery.notify.queues.iter().map(|queue| queue.arn.as_str()).collect();
        let of_this = |notice: &&NoticeSeen| {
            queues.contains(&notice.queue.as_str())
                && notice.message.get("delivery").and_then(serde_json::Value::as_str) == Some(&delivery.id)
        };
        let table = |seen: &&GlueTableSeen| {
            delivery.catalog.glue.as_ref().is_some_and(|glue| {
                seen.account == to.account() && seen.database == glue.database && seen.table == glue.table
            })
        };
        Self {
            id: delivery.id.clone(),
            dataset: delivery.dataset.clone(),
            account: to.account().to_owned(),
            bucket: to.bucket.clone(),
            prefix: to.prefix.clone(),
            staged: staged.fold(StagedReport::default(), |sum, object| StagedReport {
                objects: sum.objects + 1,
                bytes: sum.bytes + object.bytes,
                records: None,
            }),
            rows: outcomes().map(landfall_core::record::Outcome::rows).sum(),
            intents: outcomes().count(),
            files: outcomes()
                .flat_map(|outcome| &outcome.files)
                .map(|file| FileReport {
                    key: file.key.clone(),
                    path: format!("{}/{}", to.bucket, file.key),
                    bytes: file.bytes,
                    rows: file.rows,
                    crc64nvme: file.crc64nvme.clone(),
                    partition: file
                        .partition
                        .iter()
                        .filter_map(|level| Some((level.name.clone()?, level.value.clone())))
                        .collect(),
                })
                .collect(),
            rejected_rows: collected.rejected.get(&delivery.id).into_iter().flatten().map(rejected).collect(),
            quarantined_objects: quarantined(&delivery.id, &intents, collected),
            notices: collected.notices.iter().filter(of_this).cloned().collect(),
            glue: collected.tables.iter().find(table).cloned(),
            log_findings: audit::verify(log).iter().map(ToString::to_string).collect(),
        }
    }
}

impl FunctionReport {
    pub(crate) fn of(seen: FunctionSeen) -> Self {
        Self {
            name: seen.name,
            invocations: seen.invocations,
            errors: seen.errors,
            cold_milliseconds: seen.cold_milliseconds,
        }
    }
}

fn rejected(row: &RejectedRecord) -> RejectedReport {
    RejectedReport {
        key: row.key.clone(),
        line: row.line,
        byte_offset: row.byte_offset,
        reason: row.reason.clone(),
        column: row.column.clone(),
        detail: row.detail.clone(),
    }
}

fn quarantined(delivery: &str, intents: &[&IntentSeen], collected: &Collected) -> Vec<QuarantinedReport> {
    let seen: BTreeMap<&str, u64> = intents
        .iter()
        .filter_map(|seen| seen.outcome.as_ref())
        .flat_map(|outcome| &outcome.verdicts)
        .filter_map(|verdict| match verdict {
            Verdict::Quarantined { kept, rows, .. } => Some((kept.as_str(), *rows)),
            Verdict::Merged { .. }
            | Verdict::Empty
            | Verdict::Discarded
            | Verdict::Superseded
            | Verdict::Gone => None,
        })
        .collect();
    collected
        .quarantined
        .get(delivery)
        .into_iter()
        .flatten()
        .map(|why| QuarantinedReport {
            why: why.clone(),
            rows_seen: seen.get(why.kept.as_str()).copied().unwrap_or_default(),
        })
        .collect()
}
