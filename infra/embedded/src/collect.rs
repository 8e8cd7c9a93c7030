//! What landed where: the clients' buckets, catalogs and queues, and what the log says about it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use aws_sdk_glue::types::StorageDescriptor;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::list_all;
use landfall_core::port::{Bucket, GetOutcome, ObjectBody as _, ObjectStore};
use landfall_core::record::{Intent, Outcome, Receipt, RejectedRecord};
use landfall_core::standing::Standing;
use serde::{Deserialize, Serialize};

use crate::deployment::Deployment;
use crate::error::EmbeddedError;
use crate::sdk;

/// Everything a run left behind.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// Files of the clients' buckets outside of hidden prefixes.
    pub files: Vec<LakeFile>,
    /// Tables of the clients' catalogs.
    pub tables: Vec<GlueTableSeen>,
    /// Messages of the clients' queues.
    pub notices: Vec<NoticeSeen>,
    /// Intents of all deliveries, in order.
    pub intents: Vec<IntentSeen>,
    /// Rejected rows, by delivery.
    pub rejected: BTreeMap<String, Vec<RejectedRecord>>,
    /// Objects set aside, by delivery.
    pub quarantined: BTreeMap<String, Vec<ObjectReason>>,
}

/// A file of a client's bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LakeFile {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// Bytes.
    pub bytes: u64,
    /// Where it was copied to.
    pub path: PathBuf,
}

/// A table of a client's catalog.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GlueTableSeen {
    /// The client's account.
    pub account: String,
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
    /// Name and Hive type of each column.
    pub columns: Vec<(String, String)>,
    /// Names of the partition columns.
    pub partition_keys: Vec<String>,
    /// Values and location of each partition.
    pub partitions: Vec<(Vec<String>, String)>,
}

/// A message of a client's queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NoticeSeen {
    /// The queue's ARN.
    pub queue: String,
    /// The body; text that is not JSON as a JSON string.
    pub message: serde_json::Value,
    /// The message group, on FIFO queues.
    pub group: Option<String>,
}

/// An intent, and what became of it.
#[derive(Debug, Clone)]
pub struct IntentSeen {
    /// What was planned.
    pub intent: Intent,
    /// The outcome that holds.
    pub outcome: Option<Outcome>,
    /// When that was put, UTC.
    pub outcome_at: Option<jiff::Timestamp>,
    /// The receipt.
    pub receipt: Option<Receipt>,
}

/// Why an object was set aside, as it stands beside the object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ObjectReason {
    /// The staged key.
    pub key: String,
    /// Machine-readable reason.
    pub reason: String,
    /// What exactly.
    pub detail: String,
    /// The line in the decoded object, from 1, where one is at fault.
    pub line: Option<u64>,
    /// The offset of the fault in the decoded object, in bytes.
    pub byte_offset: Option<u64>,
    /// Where the object is kept in the state bucket.
    pub kept: String,
}

impl Deployment {
    /// Copies the clients' buckets to `folder`, one folder for each bucket, takes the messages off the clients' queues,
    /// and reads catalogs and log.
    ///
    /// # Errors
    /// When a service or the disk fails.
    pub async fn collect(&self, folder: &Path) -> Result<Collected, EmbeddedError> {
        let mut collected = Collected::default();
        for client in &self.placement().clients {
            if client.create_bucket {
                let hidden: Vec<&str> = self
                    .placement()
                    .clients
                    .iter()
                    .filter(|other| other.bucket == client.bucket)
                    .map(|other| other.temp_prefix.as_str())
                    .collect();
                let store = self.ports(&client.account)?.store();
                let bucket = Bucket { name: client.bucket.clone(), owner: client.account.clone() };
                copy_bucket(&store, &bucket, &hidden, folder, &mut collected.files).await?;
            }
        }
        let mut accounts: Vec<&str> =
            self.placement().clients.iter().map(|client| client.account.as_str()).collect();
        accounts.dedup();
        for account in accounts {
            self.read_catalog(account, &mut collected.tables).await?;
        }
        let mut queues: Vec<&str> = self
            .placement()
            .clients
            .iter()
            .flat_map(|client| client.queues.iter().map(String::as_str))
            .collect();
        queues.sort_unstable();
        queues.dedup();
        for queue in queues {
            collected.notices.extend(self.receive_all(queue).await?);
        }
        let ids: Vec<String> = self.deliveries().map(|delivery| delivery.id.clone()).collect();
        for id in ids {
            self.read_log(&id, &mut collected).await?;
        }
        Ok(collected)
    }

    async fn read_catalog(
        &self,
        account: &str,
        tables: &mut Vec<GlueTableSeen>,
    ) -> Result<(), EmbeddedError> {
        let attempt = || format!("read the catalog of {account}");
        let glue = aws_sdk_glue::Client::new(&sdk::config(&self.endpoint, &self.region, account).await);
        let mut databases = glue.get_databases().into_paginator().send();
        while let Some(page) = databases.next().await {
            for database in page.map_err(EmbeddedError::call(attempt()))?.database_list() {
                let mut pages = glue.get_tables().database_name(database.name()).into_paginator().send();
                while let Some(page) = pages.next().await {
                    for table in page.map_err(EmbeddedError::call(attempt()))?.table_list() {
                        tables.push(self.read_table(&glue, account, database.name(), table).await?);
                    }
                }
            }
        }
        Ok(())
    }

    async fn read_table(
        &self,
        glue: &aws_sdk_glue::Client,
        account: &str,
        database: &str,
        table: &aws_sdk_glue::types::Table,
    ) -> Result<GlueTableSeen, EmbeddedError> {
        let mut partitions = Vec::new();
        let mut pages =
            glue.get_partitions().database_name(database).table_name(table.name()).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(EmbeddedError::call(format!("read partitions of {database}.{}", table.name())))?;
            for partition in page.partitions() {
                let location =
                    partition.storage_descriptor().and_then(|at| at.location()).unwrap_or_default();
                partitions.push((partition.values().to_vec(), location.to_owned()));
            }
        }
        partitions.sort();
        let columns = table.storage_descriptor().map(StorageDescriptor::columns).unwrap_or_default();
        Ok(GlueTableSeen {
            account: account.to_owned(),
            database: database.to_owned(),
            table: table.name().to_owned(),
            columns: columns
                .iter()
                .map(|column| (column.name().to_owned(), column.r#type().unwrap_or_default().to_owned()))
                .collect(),
            partition_keys: table.partition_keys().iter().map(|key| key.name().to_owned()).collect(),
            partitions,
        })
    }

    /// Receives and deletes all messages of a client's queue.
    ///
    /// # Errors
    /// When the queue fails.
    pub async fn receive_all(&self, arn: &str) -> Result<Vec<NoticeSeen>, EmbeddedError> {
        let attempt = || format!("receive from {arn}");
        let mut parts = arn.split(':').skip(4);
        let (account, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let sqs = aws_sdk_sqs::Client::new(&sdk::config(&self.endpoint, &self.region, account).await);
        let url = format!("{}/{account}/{name}", self.endpoint);
        let mut notices = Vec::new();
        loop {
            let answer = sqs
                .receive_message()
                .queue_url(&url)
                .max_number_of_messages(10)
                .wait_time_seconds(0)
                .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
                .send()
                .await
                .map_err(EmbeddedError::call(attempt()))?;
            if answer.messages().is_empty() {
                return Ok(notices);
            }
            for message in answer.messages() {
                notices.push(notice(arn, message));
                sqs.delete_message()
                    .queue_url(&url)
                    .receipt_handle(message.receipt_handle().unwrap_or_default())
                    .send()
                    .await
                    .map_err(EmbeddedError::call(attempt()))?;
            }
        }
    }

    async fn read_log(&self, delivery: &str, collected: &mut Collected) -> Result<(), EmbeddedError> {
        let ledger = self.ledger()?;
        let mut intents: BTreeMap<u64, BTreeMap<RecordName, jiff::Timestamp>> = BTreeMap::new();
        for object in ledger.list_all(&keys::log_prefix(delivery), None).await? {
            if let Some((n, name)) = keys::parse_record(delivery, &object.key) {
                intents.entry(n).or_default().insert(name, object.last_modified);
            }
        }
        for (n, records) in intents {
            let at = |name: RecordName| keys::record(delivery, n, name);
            let generation = Standing::of(&records.keys().copied().collect()).generation;
            let outcome = ledger.outcome(delivery, n, generation).await?;
            let receipt: Option<Receipt> =
                ledger.read(&at(RecordName::Receipt(1))).await?.map(|(receipt, _)| receipt);
            for key in outcome.iter().flat_map(|outcome| &outcome.rejected_rows) {
                let body = ledger.read_bytes(key).await?.map(|(body, _)| body).unwrap_or_default();
                collected.rejected.entry(delivery.to_owned()).or_default().extend(rejected_rows(key, &body)?);
            }
            for verdict in outcome.iter().flat_map(|outcome| &outcome.verdicts) {
                if let landfall_core::record::Verdict::Quarantined { kept, .. } = verdict {
                    let key = format!("{kept}.reason.json");
                    let body = ledger.read_bytes(&key).await?.map(|(body, _)| body).unwrap_or_default();
                    let reason =
                        serde_json::from_slice(&body).map_err(EmbeddedError::call(format!("read {key}")))?;
                    collected.quarantined.entry(delivery.to_owned()).or_default().push(reason);
                }
            }
            collected.intents.push(IntentSeen {
                intent: ledger.must_read(&at(RecordName::Intent)).await?,
                outcome,
                outcome_at: generation
                    .and_then(|generation| records.get(&RecordName::Outcome(generation)).copied()),
                receipt,
            });
        }
        Ok(())
    }
}

fn notice(queue: &str, message: &Message) -> NoticeSeen {
    let body = message.body().unwrap_or_default();
    let group = message
        .attributes()
        .and_then(|attributes| attributes.get(&MessageSystemAttributeName::MessageGroupId))
        .cloned();
    let message = serde_json::from_str(body).unwrap_or_else(|_| serde_json::Value::String(body.to_owned()));
    NoticeSeen { queue: queue.to_owned(), message, group }
}

/// The lines of a `rejected.jsonl.zst`.
fn rejected_rows(key: &str, body: &[u8]) -> Result<Vec<RejectedRecord>, EmbeddedError> {
    let attempt = || format!("read {key}");
    let mut text = String::new();
    zstd::stream::read::Decoder::new(body)
        .and_then(|mut decoder| decoder.read_to_string(&mut text))
        .map_err(EmbeddedError::io(attempt()))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(EmbeddedError::call(attempt()))).collect()
}

async fn copy_bucket<S: ObjectStore>(
    store: &S,
    bucket: &Bucket,
    hidden: &[&str],
    folder: &Path,
    files: &mut Vec<LakeFile>,
) -> Result<(), EmbeddedError> {
    for object in list_all(store, bucket, "", None).await? {
        if hidden.iter().any(|prefix| object.key.starts_with(prefix)) {
            continue;
        }
        let path = folder.join(&bucket.name).join(&object.key);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(EmbeddedError::io(format!("create {}", parent.display())))?;
        }
        let attempt = || format!("write {}", path.display());
        let GetOutcome::Found(_, mut body) = store.get(bucket, &object.key, Some(&object.etag), None).await?
        else {
            return Err(EmbeddedError::Call {
                attempt: format!("read s3://{}/{}", bucket.name, object.key),
                reason: "it changed after it was listed".to_owned(),
            });
        };
        let mut file = File::create(&path).map_err(EmbeddedError::io(attempt()))?;
        while let Some(chunk) = body.chunk().await? {
            file.write_all(&chunk).map_err(EmbeddedError::io(attempt()))?;
        }
        files.push(LakeFile { bucket: bucket.name.clone(), key: object.key, bytes: object.size, path });
    }
    Ok(())
}
