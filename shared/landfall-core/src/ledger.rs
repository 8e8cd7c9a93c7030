//! The log on an object store: records put once, read back, listed from the floor.
//!
//! Generic over the [`ObjectStore`] port: this module decides the protocol, the adapter does the requests.
//! A conditional put of unknown effect is settled by reading: equal bytes are ours.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::delivery::PinnedConfig;
use crate::error::{ErrorClass, PortError, PortErrorKind};
use crate::evolution::Evolution;
use crate::keys::{self, RecordName};
use crate::port::{
    Bucket, Condition, DeleteOutcome, GetOutcome, ListedObject, ObjectAttributes, ObjectBody as _,
    ObjectStore, PutOutcome,
};
use crate::record::{self, Floor, Intent, Outcome, RecordError};

/// A failure to read or write the log.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A body is not a record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A record that must exist does not.
    #[error("record {0} is missing")]
    Missing(String),
}

impl LedgerError {
    /// The treatment. Our own bucket is meant, so what a client could fix is an operator's fault here: it passes
    /// when mended, and the message waits.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Port(error) => match error.class() {
                ErrorClass::Permanent => ErrorClass::Permanent,
                ErrorClass::Transient | ErrorClass::ClientFixable | ErrorClass::Ambiguous => {
                    ErrorClass::Transient
                }
            },
            Self::Record(_) | Self::Missing(_) => ErrorClass::Permanent,
        }
    }
}

/// The answer to a record that is put once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOnce {
    /// It stands now, by this call (or by an earlier one with the same bytes).
    Ours,
    /// Another body stands there; it holds.
    Theirs,
}

/// What a listing of the log shows above the floor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogView {
    /// The highest retired number.
    pub floor: u64,
    /// The records of each intent above it.
    pub intents: BTreeMap<u64, BTreeSet<RecordName>>,
    /// When those were closed that are, by the store's clock, UTC.
    pub closed: BTreeMap<u64, Timestamp>,
}

impl LogView {
    /// The number after the last one.
    pub fn next(&self) -> u64 {
        self.intents.last_key_value().map_or(self.floor, |(n, _)| (*n).max(self.floor)) + 1
    }
}

/// The log of all deliveries, in the state bucket.
#[derive(Debug, Clone)]
pub struct Ledger<S> {
    store: S,
    bucket: Bucket,
}

impl<S: ObjectStore> Ledger<S> {
    /// The log in `bucket`.
    pub fn new(store: S, bucket: Bucket) -> Self {
        Self { store, bucket }
    }

    /// The state bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// The store under the log.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Puts a record that is written once.
    ///
    /// # Errors
    /// When the store fails with a certain answer; an uncertain one is settled by reading.
    pub async fn put_once(&self, key: &str, value: &(impl Serialize + Sync)) -> Result<PutOnce, LedgerError> {
        let body = Bytes::from(record::encode(key, value)?);
        self.put_once_bytes(key, body).await
    }

    /// Puts bytes that are written once.
    ///
    /// # Errors
    /// As [`Ledger::put_once`].
    pub async fn put_once_bytes(&self, key: &str, body: Bytes) -> Result<PutOnce, LedgerError> {
        let attributes = ObjectAttributes::default();
        let answer =
            self.store.put(&self.bucket, key, body.clone(), &Condition::Absent, None, &attributes).await;
        match answer {
            Ok(PutOutcome::Written { .. }) => Ok(PutOnce::Ours),
            Ok(PutOutcome::ConditionFailed) => self.compare(key, &body, None).await,
            Err(error) if error.class() == ErrorClass::Ambiguous => {
                self.compare(key, &body, Some(error)).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the body under `key` is ours; the error stands when nothing is there.
    async fn compare(
        &self,
        key: &str,
        ours: &Bytes,
        error: Option<PortError>,
    ) -> Result<PutOnce, LedgerError> {
        match self.read_bytes(key).await? {
            Some((body, _)) if body == *ours => Ok(PutOnce::Ours),
            Some(_) => Ok(PutOnce::Theirs),
            None => Err(error.map_or_else(|| LedgerError::Missing(key.to_owned()), LedgerError::Port)),
        }
    }

    /// Reads a record with its entity tag; `None` when it does not exist.
    ///
    /// # Errors
    /// When the store fails or the body is not a record.
    pub async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<(T, String)>, LedgerError> {
        match self.read_bytes(key).await? {
            Some((body, etag)) => Ok(Some((record::decode(key, &body)?, etag))),
            None => Ok(None),
        }
    }

    /// Reads a record that must exist.
    ///
    /// # Errors
    /// As [`Ledger::read`], and when it does not exist.
    pub async fn must_read<T: DeserializeOwned>(&self, key: &str) -> Result<T, LedgerError> {
        self.read(key).await?.map(|(value, _)| value).ok_or_else(|| LedgerError::Missing(key.to_owned()))
    }

    /// Reads a whole object of the state bucket with its entity tag.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn read_bytes(&self, key: &str) -> Result<Option<(Bytes, String)>, LedgerError> {
        match self.store.get(&self.bucket, key, None, None).await? {
            GetOutcome::Found(head, mut body) => {
                let mut bytes = Vec::with_capacity(usize::try_from(head.size).unwrap_or(0).min(1 << 20));
                while let Some(chunk) = body.chunk().await? {
                    bytes.extend_from_slice(&chunk);
                }
                Ok(Some((bytes.into(), head.etag)))
            }
            GetOutcome::Absent => Ok(None),
            GetOutcome::Changed => Err(PortError::new(
                "read object",
                format!("s3://{}/{key}", self.bucket.name),
                PortErrorKind::Conflict,
                "changed while it was read",
            )
            .into()),
        }
    }

    /// Rewrites a record that still has `etag` (or does not exist, for `None`). False when another writer won.
    ///
    /// # Errors
    /// When the store fails; an unknown effect counts as a lost race, the caller reads again.
    pub async fn replace(
        &self,
        key: &str,
        value: &(impl Serialize + Sync),
        etag: Option<&str>,
    ) -> Result<bool, LedgerError> {
        let body = Bytes::from(record::encode(key, value)?);
        let condition = etag.map_or(Condition::Absent, |etag| Condition::Matches(etag.to_owned()));
        match self.store.put(&self.bucket, key, body, &condition, None, &ObjectAttributes::default()).await {
            Ok(PutOutcome::Written { .. }) => Ok(true),
            Ok(PutOutcome::ConditionFailed) => Ok(false),
            Err(error) if error.class() == ErrorClass::Ambiguous => Ok(false),
            Err(error) if error.kind == PortErrorKind::Conflict => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a rewritten record that still has `etag`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete(&self, key: &str, etag: &str) -> Result<DeleteOutcome, LedgerError> {
        Ok(self.store.delete(&self.bucket, key, etag).await?)
    }

    /// Everything below `prefix`, after `after`, page by page, in key order.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_all(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<ListedObject>, LedgerError> {
        Ok(list_all(&self.store, &self.bucket, prefix, after).await?)
    }

    /// The floor of a delivery; 0 when nothing is retired.
    ///
    /// # Errors
    /// When the store fails or the body is not a floor.
    pub async fn floor(&self, delivery: &str) -> Result<(u64, Option<String>), LedgerError> {
        Ok(self
            .read::<Floor>(&keys::floor(delivery))
            .await?
            .map_or((0, None), |(floor, etag)| (floor.n, Some(etag))))
    }

    /// One listing from the floor: every record of every intent above it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn view(&self, delivery: &str) -> Result<LogView, LedgerError> {
        let (floor, _) = self.floor(delivery).await?;
        let mut view = LogView { floor, ..LogView::default() };
        let prefix = keys::log_prefix(delivery);
        let mut after = Some(keys::after_floor(delivery, floor));
        let mut page: Option<String> = None;
        loop {
            let listing = self.store.list(&self.bucket, &prefix, after.as_deref(), page.as_deref()).await?;
            let mut beyond = false;
            for object in &listing.objects {
                if let Some((n, name)) = keys::parse_record(delivery, &object.key) {
                    if name == RecordName::Closed {
                        view.closed.insert(n, object.last_modified);
                    }
                    view.intents.entry(n).or_default().insert(name);
                } else {
                    // Names that begin with a letter sort after all numbers.
                    let rest = object.key.strip_prefix(&prefix).unwrap_or_default();
                    beyond |= rest.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
                }
            }
            page = listing.next;
            after = None;
            if beyond || page.is_none() {
                return Ok(view);
            }
        }
    }

    /// The records that exist of intent `n`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn records(&self, delivery: &str, n: u64) -> Result<BTreeSet<RecordName>, LedgerError> {
        let listing = self.list_all(&keys::intent_prefix(delivery, n), None).await?;
        Ok(listing
            .iter()
            .filter_map(|object| keys::parse_record(delivery, &object.key).map(|(_, name)| name))
            .collect())
    }

    /// An intent.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub async fn intent(&self, delivery: &str, n: u64) -> Result<Intent, LedgerError> {
        self.must_read(&keys::record(delivery, n, RecordName::Intent)).await
    }

    /// The outcome of an intent in this generation, as its [`Standing`](crate::standing::Standing) says; `None` while there
    /// is none.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub async fn outcome(
        &self,
        delivery: &str,
        n: u64,
        generation: Option<u32>,
    ) -> Result<Option<Outcome>, LedgerError> {
        match generation {
            Some(generation) => {
                let key = keys::record(delivery, n, RecordName::Outcome(generation));
                Ok(Some(self.must_read(&key).await?))
            }
            None => Ok(None),
        }
    }

    /// A pinned configuration.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub async fn pin(&self, delivery: &str, hash: &str) -> Result<PinnedConfig, LedgerError> {
        self.must_read(&keys::pin(delivery, hash)).await
    }

    /// How the contract of a delivery has evolved so far; `None` when it never did.
    ///
    /// # Errors
    /// When the store fails or the newest record cannot be read.
    pub async fn evolution(&self, delivery: &str) -> Result<Option<Evolution>, LedgerError> {
        match self.list_all(&keys::contracts_prefix(delivery), None).await?.pop() {
            Some(newest) => Ok(Some(self.must_read(&newest.key).await?)),
            None => Ok(None),
        }
    }
}

/// Everything below `prefix` of a bucket, after `after`, in key order.
///
/// # Errors
/// When the store fails.
pub async fn list_all<S: ObjectStore>(
    store: &S,
    bucket: &Bucket,
    prefix: &str,
    after: Option<&str>,
) -> Result<Vec<ListedObject>, PortError> {
    let mut objects = Vec::new();
    let mut page: Option<String> = None;
    loop {
        let start = if page.is_none() { after } else { None };
        let listing = store.list(bucket, prefix, start, page.as_deref()).await?;
        objects.extend(listing.objects);
        page = listing.next;
        if page.is_none() {
            return Ok(objects);
        }
    }
}
