//! What crosses a queue: messages between our functions, and the notice to a client.
//!
//! A message names work, never authority: role, bucket, prefix and queue come only from the registry.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::PortError;
use crate::layout::is_default;
use crate::port::{OutgoingMessage, Queue};
use crate::record::{PlanReason, Receipt};

/// A message between landfall's functions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// Look at a delivery and plan what is due.
    Plan {
        /// Form of the message.
        v: u32,
        /// The delivery.
        delivery: String,
        /// Why.
        reason: PlanReason,
    },
    /// Execute an intent, or rebuild staged files of it that vanished.
    Merge(Work),
    /// Publish what an outcome names.
    Commit(Work),
    /// Tell the client's queues.
    Notify(Work),
    /// A hold was opened or closed.
    Hold(HoldEvent),
}

/// A piece of work on one intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Form of the message.
    pub v: u32,
    /// The delivery.
    pub delivery: String,
    /// The intent.
    pub n: u64,
    /// How often this work met a passing failure before: the wait grows with it. Only a matter of schedule.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tries: u64,
}

/// A destination became unusable for a delivery, or usable again, or its deliveries were given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldEvent {
    /// Form of the message.
    pub v: u32,
    /// What happened.
    pub event: HoldChange,
    /// The delivery.
    pub delivery: String,
    /// What is or was broken, as in the hold's key.
    pub resource: String,
    /// The intent that met it, that got past it, or that expired.
    pub n: u64,
    /// When it failed first, UTC. With delivery and resource it names the hold: the same event may come twice.
    pub first_failure: Timestamp,
    /// What the last failure said.
    pub detail: String,
}

/// What happened to a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldChange {
    /// Something is broken that the client must mend.
    Opened,
    /// It works again.
    Closed,
    /// It was not mended in time: an intent expired.
    Expired,
}

/// The form of our messages.
pub const MESSAGE_FORM: u32 = 1;

/// A body that is not a message of this form.
#[derive(Debug, thiserror::Error)]
#[error("cannot read message: {0}")]
pub struct MessageError(pub String);

impl Work {
    /// A first try at intent `n`.
    pub fn on(delivery: &str, n: u64) -> Self {
        Self { v: MESSAGE_FORM, delivery: delivery.to_owned(), n, tries: 0 }
    }

    /// The same after one more passing failure.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { tries: self.tries.saturating_add(1), ..self.clone() }
    }
}

impl Message {
    /// Asks for a plan.
    pub fn plan(delivery: &str, reason: PlanReason) -> Self {
        Self::Plan { v: MESSAGE_FORM, delivery: delivery.to_owned(), reason }
    }

    /// Asks for the execution of intent `n`.
    pub fn merge(delivery: &str, n: u64) -> Self {
        Self::Merge(Work::on(delivery, n))
    }

    /// Asks for the publication of intent `n`.
    pub fn commit(delivery: &str, n: u64) -> Self {
        Self::Commit(Work::on(delivery, n))
    }

    /// Asks for the notices of intent `n`.
    pub fn notify(delivery: &str, n: u64) -> Self {
        Self::Notify(Work::on(delivery, n))
    }

    /// The body of the message.
    pub fn to_body(&self) -> String {
        // These types always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When it is not one of our messages, or of a later form.
    pub fn parse(body: &str) -> Result<Self, MessageError> {
        let message: Self = serde_json::from_str(body).map_err(|error| MessageError(error.to_string()))?;
        let v = match &message {
            Self::Plan { v, .. } => *v,
            Self::Merge(work) | Self::Commit(work) | Self::Notify(work) => work.v,
            Self::Hold(event) => event.v,
        };
        if v != MESSAGE_FORM {
            return Err(MessageError(format!("form {v}, this build reads form {MESSAGE_FORM}")));
        }
        Ok(message)
    }

    /// The delivery it concerns.
    pub fn delivery(&self) -> &str {
        match self {
            Self::Plan { delivery, .. } => delivery,
            Self::Merge(work) | Self::Commit(work) | Self::Notify(work) => &work.delivery,
            Self::Hold(event) => &event.delivery,
        }
    }
}

/// Sends messages to one of our queues; the first that fails is the failure of all.
///
/// # Errors
/// When the queue does not take one of them. The others may have been taken: every message may come twice.
pub async fn send_all<Q: Queue>(
    queue: &Q,
    queue_url: &str,
    messages: &[OutgoingMessage],
) -> Result<(), PortError> {
    for answer in queue.send(queue_url, messages).await {
        answer?;
    }
    Ok(())
}

/// Sends messages to one of our standard queues; the first that fails is the failure of all.
///
/// `tenant` is the message group: a standard queue whose messages carry one serves the tenants fairly (SQS "fair queues").
///
/// # Errors
/// When the queue does not take one of them. The others may have been taken: every message may come twice.
pub async fn dispatch<Q: Queue>(
    queue: &Q,
    queue_url: &str,
    tenant: &str,
    messages: impl IntoIterator<Item = Message>,
) -> Result<(), PortError> {
    let outgoing: Vec<OutgoingMessage> =
        messages.into_iter().map(|message| OutgoingMessage::of(tenant, message.to_body())).collect();
    if outgoing.is_empty() {
        return Ok(());
    }
    send_all(queue, queue_url, &outgoing).await
}

/// Asks for the plan that dispatches everything of a delivery that waited for a repair. `execution` names who asks: a plan
/// for each repair, also within one slot.
///
/// # Errors
/// When the plan queue does not take it.
pub async fn resume<Q: Queue>(
    queue: &Q,
    plan_queue: &str,
    delivery: &str,
    execution: &str,
) -> Result<(), PortError> {
    let message = OutgoingMessage {
        body: Message::plan(delivery, PlanReason::Resume).to_body(),
        group: Some(delivery.to_owned()),
        deduplication: Some(format!("{delivery}-resume-{execution}")),
        delay_seconds: None,
    };
    send_all(queue, plan_queue, &[message]).await
}

/// What a client's queue receives: one message per delivery of files. Published as docs/notice.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Form of the message: 1.
    pub version: u32,
    /// `files_delivered`.
    pub event: String,
    /// Stable id of this handing over: `<delivery>/<n>`, and `/<part>` after it for what follows the first part of an
    /// intent that had expired. The same id may arrive more than once.
    pub delivery_id: String,
    /// The delivery.
    pub delivery: String,
    /// The dataset's name.
    pub dataset: String,
    /// The job id, as in file names and tags.
    pub job_id: String,
    /// When the files were complete, UTC.
    pub delivered_at: Timestamp,
    /// The contract's version.
    pub schema_version: u32,
    /// The bucket of all files.
    pub bucket: String,
    /// Rows in all files.
    pub rows: u64,
    /// Records that were set aside.
    pub rejected: u64,
    /// The files; empty when `files_omitted` says how many there are.
    pub files: Vec<NoticeFile>,
    /// Number of files left out because the message would grow past the queue's limit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub files_omitted: u64,
    /// Where the omitted files lie: each folder (a key prefix that ends with `/`) once. Empty as well when even these
    /// are too many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<String>,
}

/// One delivered file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeFile {
    /// `s3://bucket/key`.
    pub uri: String,
    /// Bytes.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// CRC-64/NVME of the whole file, 16 hex digits.
    pub crc64nvme: String,
    /// Partition values by name; null for Hive's null. Levels without a name are not among them: the URI has their values.
    pub partition: serde_json::Map<String, serde_json::Value>,
}

/// The greatest body we send: SQS takes 1,048,576 bytes, a client's queue may be set to less; 240 KiB passes the
/// limit that was SQS's own until 2025.
const MAX_NOTICE_BYTES: usize = 240 * 1024;

impl Notice {
    /// The notice of a receipt.
    pub fn of(receipt: &Receipt) -> Self {
        let files: Vec<NoticeFile> = receipt
            .files
            .iter()
            .map(|file| NoticeFile {
                uri: format!("s3://{}/{}", receipt.bucket, file.key),
                bytes: file.bytes,
                rows: file.rows,
                crc64nvme: file.crc64nvme.clone(),
                partition: file
                    .partition
                    .iter()
                    .filter_map(|level| Some((level.name.clone()?, level.value.clone().into())))
                    .collect(),
            })
            .collect();
        let mut notice = Self {
            version: 1,
            event: "files_delivered".to_owned(),
            delivery_id: match receipt.part {
                1 => format!("{}/{}", receipt.delivery, receipt.n),
                part => format!("{}/{}/{part}", receipt.delivery, receipt.n),
            },
            delivery: receipt.delivery.clone(),
            dataset: receipt.dataset.clone(),
            job_id: receipt.job_id.clone(),
            delivered_at: receipt.at,
            schema_version: receipt.schema_version,
            bucket: receipt.bucket.clone(),
            rows: receipt.rows,
            rejected: receipt.rejected,
            files,
            files_omitted: 0,
            folders: Vec::new(),
        };
        if notice.to_body().len() > MAX_NOTICE_BYTES {
            notice.files_omitted = notice.files.len() as u64;
            notice.files.clear();
            let folder = |key: &String| key.rsplit_once('/').map(|(folder, _)| format!("{folder}/"));
            let folders: BTreeSet<String> =
                receipt.files.iter().filter_map(|file| folder(&file.key)).collect();
            notice.folders = folders.into_iter().collect();
            if notice.to_body().len() > MAX_NOTICE_BYTES {
                notice.folders.clear();
            }
        }
        notice
    }

    /// The body of the message. Non-ASCII and control characters are escaped: SQS refuses some.
    pub fn to_body(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        let mut body = String::with_capacity(json.len());
        for character in json.chars() {
            if character.is_ascii() {
                body.push(character);
            } else {
                let mut units = [0_u16; 2];
                for unit in character.encode_utf16(&mut units) {
                    body.push_str("\\u");
                    body.extend(
                        [12, 8, 4, 0]
                            .iter()
                            .filter_map(|shift| char::from_digit(u32::from(*unit >> shift) & 15, 16)),
                    );
                }
            }
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(files: usize, folders: usize) -> Receipt {
        let file = |index: usize| crate::record::ReceiptFile {
            key: format!("lake/sales/p={:04}-{}/part-{index}.parquet", index % folders, "é".repeat(20)),
            bytes: 10,
            rows: 1,
            crc64nvme: "00".repeat(8),
            partition: Vec::new(),
        };
        Receipt {
            version: 1,
            delivery: "acme".into(),
            n: 7,
            part: 1,
            at: Timestamp::UNIX_EPOCH,
            dataset: "sales".into(),
            job_id: "job".into(),
            schema_version: 3,
            bucket: "acme-lake".into(),
            files: (0..files).map(file).collect(),
            rows: files as u64,
            rejected: 0,
            quarantined_objects: 0,
            inputs: 1,
        }
    }

    #[test]
    fn a_notice_always_fits_and_says_where_the_files_are_as_far_as_it_can() {
        let small = Notice::of(&receipt(10, 5));
        assert_eq!((small.files.len(), small.files_omitted, small.folders.len()), (10, 0, 0));
        let many = Notice::of(&receipt(3_000, 5));
        assert_eq!((many.files.len(), many.files_omitted, many.folders.len()), (0, 3_000, 5));
        assert!(many.folders[0].starts_with("lake/sales/p=0000-") && many.folders[0].ends_with('/'));
        let scattered = Notice::of(&receipt(20_000, 20_000));
        assert_eq!((scattered.files_omitted, scattered.folders.len()), (20_000, 0));
        for notice in [small, many, scattered] {
            let body = notice.to_body();
            assert!(body.len() <= MAX_NOTICE_BYTES && body.is_ascii());
            assert_eq!(serde_json::from_str::<Notice>(&body).expect("reads back"), notice);
        }
    }

    #[test]
    fn messages_are_read_as_written() {
        for message in [
            Message::plan("a", PlanReason::Flush),
            Message::merge("a", 1),
            Message::commit("a", 2),
            Message::notify("a", 3),
        ] {
            assert_eq!(Message::parse(&message.to_body()).expect("parses"), message);
        }
        assert_eq!(Message::merge("acme", 1).to_body(), r#"{"kind":"merge","v":1,"delivery":"acme","n":1}"#);
        assert!(Message::parse(r#"{"kind":"merge","v":2,"delivery":"a","n":1}"#).is_err());
        assert!(Message::parse("x").is_err());
    }
}
