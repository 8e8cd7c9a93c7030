//! The commit of an intent, in the order that makes a crash after any step harmless: validate all files, publish each,
//! catalog, receipt, notice, delete inputs, closed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt as _, TryStreamExt as _};
use landfall_core::delivery::{Access, Delivery, Order, PinnedConfig};
use landfall_core::error::PortError;
use landfall_core::hold;
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::{Ledger, generation};
use landfall_core::message::{Message, dispatch};
use landfall_core::port::{
    Bucket, Catalog as _, CatalogChange, Clock, DeleteOutcome, Destination, Destinations, ObjectStore,
    Purpose, Queue,
};
use landfall_core::record::{Closed, FORMAT, Intent, Outcome, Published, Receipt, ReceiptFile, Verdict};
use landfall_core::standing::Standing;
use landfall_lambda::Deadline;

use crate::error::CommitError;
use crate::publish::Publisher;
use crate::register;
use crate::validate::{Invalid, validate_file};

/// How many inputs are deleted at once.
const DELETES_IN_FLIGHT: usize = 32;
/// How many files are validated, or published, at once.
const FILES_IN_FLIGHT: usize = 8;
/// Seconds that must be left to begin with a file: a copy cut off by the deadline is of unknown effect.
const FILE_MARGIN_SECONDS: u32 = 30;
/// Seconds that must be left to delete another input.
const DELETE_MARGIN_SECONDS: u32 = 10;

/// What a commit needs to know of the stack.
#[derive(Debug, Clone)]
pub struct CommitConfig {
    /// The staging bucket.
    pub staging: Bucket,
    /// Where notices are dispatched to.
    pub notify_queue: String,
    /// The committer's timeout, in seconds.
    pub timeout_seconds: u32,
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq)]
pub enum Commit {
    /// Everything up to `closed` is done.
    Closed(Box<CommitReport>),
    /// It was closed before; the notice was sent on again if nobody recorded it.
    AlreadyClosed,
    /// The number is retired, or its outcome is void.
    NothingToDo,
    /// There is no outcome yet: somebody has still to merge.
    NotMerged,
    /// Deliveries are ordered and this intent's predecessor comes first: its closing wakes this one.
    Waits {
        /// The predecessor.
        before: u64,
    },
}

/// Counts of a commit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommitReport {
    /// Files published (now or by an earlier try).
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Rows in them.
    pub rows: u64,
    /// Seconds from the staging of the oldest input to now.
    pub lag_seconds: f64,
    /// What the catalog needed.
    pub catalog: CatalogChange,
    /// Inputs deleted.
    pub deleted: u64,
    /// Holds released by this success.
    pub released: usize,
}

/// The world a commit works in.
#[derive(Debug)]
pub(crate) struct Committing<'a, S, Q, D, C: ?Sized> {
    /// The log, over our own store.
    pub ledger: &'a Ledger<S>,
    /// Our own queues.
    pub queue: &'a Q,
    /// Ways into client accounts.
    pub destinations: &'a D,
    /// The time.
    pub clock: &'a C,
    /// The stack.
    pub config: &'a CommitConfig,
    /// This invocation.
    pub execution: &'a str,
    /// When it ends.
    pub deadline: &'a Deadline,
}

/// An intent with all that was decided about it.
struct Work<'a> {
    delivery: &'a Delivery,
    intent: Intent,
    outcome: Outcome,
    pin: PinnedConfig,
    records: BTreeSet<RecordName>,
}

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock + ?Sized> Committing<'_, S, Q, D, C> {
    /// Commits intent `n`.
    ///
    /// # Errors
    /// See [`CommitError`]. Everything done until then stands, and the next try goes on from it.
    pub(crate) async fn commit(&self, delivery: &Delivery, n: u64) -> Result<Commit, CommitError> {
        let id = delivery.id.as_str();
        let (floor, _) = self.ledger.floor(id).await?;
        if n <= floor {
            return Ok(Commit::NothingToDo);
        }
        let records = self.ledger.records(id, n).await?;
        if records.contains(&RecordName::Closed) {
            if !records.contains(&RecordName::Notified(1)) {
                self.send_notify(delivery, n).await?;
            }
            return Ok(Commit::AlreadyClosed);
        }
        let Some(generation) = generation(&records) else { return Ok(Commit::NotMerged) };
        let outcome: Outcome =
            self.ledger.must_read(&keys::record(id, n, RecordName::Outcome(generation))).await?;
        if outcome.void {
            return Ok(Commit::NothingToDo);
        }
        if let Some(before) = self.waits_for(delivery, n, floor).await? {
            return Ok(Commit::Waits { before });
        }
        let intent = self.ledger.intent(id, n).await?;
        let pin = self.ledger.pin(id, &intent.pin).await?;
        let work = Work { delivery, intent, outcome, pin, records };

        let mut report = CommitReport::default();
        if !work.records.contains(&RecordName::Receipt(1)) {
            report.catalog = self.deliver(&work).await?;
        }
        let receipt = self.receipt(&work).await?;
        self.send_notify(delivery, n).await?;
        let (deleted, left) = self.delete_inputs(&work).await?;
        // Before `closed`, after which nobody comes back to do it.
        report.released = self.release(&work).await?;
        let closed = Closed { version: FORMAT, at: self.clock.now(), deleted, left };
        self.ledger.put_once(&keys::record(id, n, RecordName::Closed), &closed).await?;

        report.files = receipt.files.len() as u64;
        report.bytes = receipt.files.iter().map(|file| file.bytes).sum();
        report.rows = receipt.rows;
        report.deleted = deleted;
        let oldest =
            work.intent.inputs.iter().take(work.outcome.consumed).map(|input| input.last_modified).min();
        report.lag_seconds = oldest.map_or(0.0, |oldest| receipt.at.duration_since(oldest).as_secs_f64());
        Ok(Commit::Closed(Box::new(report)))
    }

    /// With order `delivery`, n is published only after n-1 is closed, expired, void or retired: the predecessor it has
    /// still to wait for.
    async fn waits_for(&self, delivery: &Delivery, n: u64, floor: u64) -> Result<Option<u64>, CommitError> {
        let before = n.saturating_sub(1);
        if delivery.order == Order::None || before <= floor {
            return Ok(None);
        }
        let records = self.ledger.records(&delivery.id, before).await?;
        if records.contains(&RecordName::Closed) || Standing::of(&records).expired {
            return Ok(None);
        }
        if let Some(generation) = generation(&records) {
            let key = keys::record(&delivery.id, before, RecordName::Outcome(generation));
            if self.ledger.must_read::<Outcome>(&key).await?.void {
                return Ok(None);
            }
        }
        Ok(Some(before))
    }

    /// Releases the holds that this commit has got past. Files prove role, bucket and key, a table the catalog.
    async fn release(&self, work: &Work<'_>) -> Result<usize, CommitError> {
        let own = hold::of_intent(work.intent.n);
        let mut proven = vec![own.as_str(), "configuration"];
        if !work.outcome.files.is_empty() {
            proven.extend(["role", "bucket", "key"]);
        }
        // A catalog that the document no longer names holds nobody either.
        if !work.outcome.files.is_empty() || work.delivery.catalog.glue.is_none() {
            proven.push("catalog");
        }
        Ok(hold::release(self.ledger, &work.delivery.id, &proven).await?)
    }

    /// Validates and publishes all files, and registers them.
    async fn deliver(&self, work: &Work<'_>) -> Result<CatalogChange, CommitError> {
        if work.outcome.files.is_empty() {
            return Ok(CatalogChange::default());
        }
        let at_client = |source: PortError| CommitError::Destination {
            delivery: work.delivery.id.clone(),
            n: work.intent.n,
            source: Box::new(source),
        };
        let access = Access {
            bucket: work.pin.bucket.clone(),
            prefix: work.pin.prefix.clone(),
            temp_prefix: work.pin.temp_prefix.clone(),
            ..work.delivery.access()
        };
        let client = self.destinations.open(&access, Purpose::Commit).await.map_err(at_client)?;
        let bucket = Bucket { name: work.pin.bucket.clone(), owner: access.account.clone() };
        self.validate(work, &client, &bucket).await?;

        let job_id = work.intent.job_id();
        let publisher = Publisher {
            ledger: self.ledger,
            store: &client.store,
            bucket: &bucket,
            delivery: work.delivery,
            n: work.intent.n,
            job_id: &job_id,
            schema_version: work.pin.contract.version,
            execution: self.execution,
            timeout_seconds: self.config.timeout_seconds,
        };
        self.publish(work, &publisher, &client.store, &bucket).await?;
        match &work.delivery.catalog.glue {
            Some(glue) => client
                .catalog
                .register(
                    &register::table(glue, &work.pin),
                    &register::partitions(&work.pin, &work.outcome.files),
                )
                .await
                .map_err(at_client),
            None => Ok(CatalogChange::default()),
        }
    }

    /// Checks every file that is not yet published, before the first one is.
    async fn validate(
        &self,
        work: &Work<'_>,
        client: &Destination<D::Store, D::Catalog, D::Queue>,
        bucket: &Bucket,
    ) -> Result<(), CommitError> {
        let checks =
            (0..work.outcome.files.len()).map(|index| self.validate_one(work, &client.store, bucket, index));
        futures::stream::iter(checks).buffer_unordered(FILES_IN_FLIGHT).try_collect().await
    }

    async fn validate_one<T: ObjectStore>(
        &self,
        work: &Work<'_>,
        store: &T,
        bucket: &Bucket,
        index: usize,
    ) -> Result<(), CommitError> {
        let Some(file) = work.outcome.files.get(index) else { return Ok(()) };
        // A file that was attempted had been validated, and its temp may rightly be gone.
        if attempted(&work.records, file.index) {
            return Ok(());
        }
        self.in_time(work)?;
        let (delivery, n) = (work.delivery.id.clone(), work.intent.n);
        match validate_file(store, bucket, file, &work.pin.contract).await {
            Ok(()) => Ok(()),
            Err(Invalid::Port(source)) => {
                Err(CommitError::Destination { delivery, n, source: Box::new(source) })
            }
            Err(Invalid::Differs(problem)) => {
                // Messages come twice: another worker may have published the file meanwhile, and removed its temp.
                if attempted(&self.ledger.records(&delivery, n).await?, file.index) {
                    let reason = format!("another worker is at {}", file.key);
                    return Err(CommitError::NotYet { delivery, n, seconds: 5, reason });
                }
                Err(CommitError::NotAsStaged { delivery, n, key: file.temp_key.clone(), problem })
            }
        }
    }

    /// Publishes all files, several at once. After a failure no further one is begun, and those under way come to their
    /// end: a copy that is dropped would be of unknown effect.
    async fn publish<T: ObjectStore>(
        &self,
        work: &Work<'_>,
        publisher: &Publisher<'_, S, T>,
        store: &T,
        bucket: &Bucket,
    ) -> Result<(), CommitError> {
        let failed = AtomicBool::new(false);
        let files = (0..work.outcome.files.len())
            .map(|index| self.publish_one(work, publisher, store, bucket, index, &failed));
        let ended: Vec<Result<(), CommitError>> =
            futures::stream::iter(files).buffer_unordered(FILES_IN_FLIGHT).collect().await;
        ended.into_iter().collect()
    }

    async fn publish_one<T: ObjectStore>(
        &self,
        work: &Work<'_>,
        publisher: &Publisher<'_, S, T>,
        store: &T,
        bucket: &Bucket,
        index: usize,
        failed: &AtomicBool,
    ) -> Result<(), CommitError> {
        let Some(file) = work.outcome.files.get(index) else { return Ok(()) };
        if failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let begun = self.in_time(work);
        let published = match begun {
            Ok(()) => publisher.publish(file, &work.records, self.clock.now()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = published {
            failed.store(true, Ordering::Relaxed);
            return Err(error);
        }
        // The file is where it belongs; a temp that stays is the lifecycle rule's.
        if let Err(error) = store.delete(bucket, &file.temp_key, &file.etag).await {
            tracing::warn!(%error, key = file.temp_key, "temp not deleted, the lifecycle rule will");
        }
        Ok(())
    }

    /// Whether there is time to begin with a file; what is done until now stands, and the next try goes on from it.
    fn in_time(&self, work: &Work<'_>) -> Result<(), CommitError> {
        if self.deadline.has_time_for(FILE_MARGIN_SECONDS) {
            return Ok(());
        }
        Err(out_of_time(work, "too little time is left for another file"))
    }

    /// The receipt, written now or before.
    async fn receipt(&self, work: &Work<'_>) -> Result<Receipt, CommitError> {
        let key = keys::record(&work.delivery.id, work.intent.n, RecordName::Receipt(1));
        if work.records.contains(&RecordName::Receipt(1)) {
            return Ok(self.ledger.must_read(&key).await?);
        }
        let mut at = self.clock.now();
        for file in &work.outcome.files {
            let key = keys::record(&work.delivery.id, work.intent.n, RecordName::Published(file.index));
            let published: Published = self.ledger.must_read(&key).await?;
            at = at.max(published.at);
        }
        let quarantined = work
            .outcome
            .verdicts
            .iter()
            .filter(|verdict| matches!(verdict, Verdict::Quarantined { .. }))
            .count();
        let receipt = Receipt {
            version: FORMAT,
            delivery: work.delivery.id.clone(),
            n: work.intent.n,
            part: 1,
            at,
            dataset: work.pin.dataset.clone(),
            job_id: work.intent.job_id(),
            schema_version: work.pin.contract.version,
            bucket: work.pin.bucket.clone(),
            files: work
                .outcome
                .files
                .iter()
                .map(|file| ReceiptFile {
                    key: file.key.clone(),
                    bytes: file.bytes,
                    rows: file.rows,
                    crc64nvme: file.crc64nvme.clone(),
                    partition: file.partition.clone(),
                })
                .collect(),
            rows: work.outcome.rows(),
            rejected: work.outcome.rejected(),
            quarantined_objects: quarantined as u64,
            inputs: work.outcome.consumed as u64,
        };
        self.ledger.put_once(&key, &receipt).await?;
        // Whoever was first holds: two receipts of one intent differ at most in their time.
        Ok(self.ledger.must_read(&key).await?)
    }

    async fn send_notify(&self, delivery: &Delivery, n: u64) -> Result<(), CommitError> {
        let notify = [Message::notify(&delivery.id, n)];
        Ok(dispatch(self.queue, &self.config.notify_queue, &delivery.tenant, notify).await?)
    }

    /// Deletes the consumed inputs, each only if it is still the one that was read.
    async fn delete_inputs(&self, work: &Work<'_>) -> Result<(u64, u64), CommitError> {
        let used = work.outcome.used(&work.intent);
        let mut read: Vec<(String, String)> =
            used.map(|input| (input.key.clone(), input.etag.clone())).collect();
        if work.records.contains(&RecordName::Receipt(1)) {
            // An earlier try came this far: what it deleted is not asked for again, or a large intent never ends.
            let listed = self.still_listed(work, &read).await?;
            read.retain(|(key, _)| listed.contains(key));
        }
        let deletes = read.into_iter().map(|(key, etag)| self.delete_input(key, etag));
        let outcomes: Vec<Option<DeleteOutcome>> =
            futures::stream::iter(deletes).buffer_unordered(DELETES_IN_FLIGHT).try_collect().await?;
        if outcomes.contains(&None) {
            return Err(out_of_time(work, "too little time is left to delete the rest of the inputs"));
        }
        let count = |wanted: DeleteOutcome| {
            outcomes.iter().filter(|outcome| **outcome == Some(wanted)).count() as u64
        };
        Ok((count(DeleteOutcome::Deleted), count(DeleteOutcome::Changed)))
    }

    /// Deletes one input; `None` when there is no time for it.
    async fn delete_input(&self, key: String, etag: String) -> Result<Option<DeleteOutcome>, PortError> {
        if !self.deadline.has_time_for(DELETE_MARGIN_SECONDS) {
            return Ok(None);
        }
        self.ledger.store().delete(&self.config.staging, &key, &etag).await.map(Some)
    }

    /// The keys among these that are still listed.
    async fn still_listed(
        &self,
        work: &Work<'_>,
        inputs: &[(String, String)],
    ) -> Result<BTreeSet<String>, PortError> {
        let wanted: BTreeSet<&str> = inputs.iter().map(|(key, _)| key.as_str()).collect();
        let mut listed = BTreeSet::new();
        let mut page: Option<String> = None;
        loop {
            let prefix = &work.delivery.source.prefix;
            let found = self.ledger.store().list(&self.config.staging, prefix, None, page.as_deref()).await?;
            let keys = found.objects.into_iter().map(|object| object.key);
            listed.extend(keys.filter(|key| wanted.contains(key.as_str())));
            page = found.next;
            if page.is_none() {
                return Ok(listed);
            }
        }
    }
}

fn out_of_time(work: &Work<'_>, reason: &str) -> CommitError {
    let (delivery, n) = (work.delivery.id.clone(), work.intent.n);
    CommitError::NotYet { delivery, n, seconds: 1, reason: reason.to_owned() }
}

/// Whether a copy of a file was attempted, or made.
fn attempted(records: &BTreeSet<RecordName>, index: u32) -> bool {
    records.iter().any(
        |name| matches!(name, RecordName::Published(i) | RecordName::Attempt { file: i, .. } if *i == index),
    )
}
