//! The commit of an intent, in the order that makes a crash after any step harmless: validate all files, publish each,
//! catalog, receipt, notice, delete inputs, closed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use landfall_core::delivery::{Access, Delivery, Order, PinnedConfig};
use landfall_core::error::PortError;
use landfall_core::hold::{self, Admission, Holds};
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::{Ledger, LedgerError};
use landfall_core::message::{Message, dispatch};
use landfall_core::partition::Partition;
use landfall_core::port::{
    Bucket, Catalog, CatalogChange, Clock, Destination, DestinationOf, Destinations, ObjectStore, Purpose,
    Queue,
};
use landfall_core::record::{Attempt, Closed, FORMAT, Intent, Outcome, Receipt};
use landfall_core::standing::{Attempts, Standing};
use landfall_lambda::Deadline;

use crate::error::CommitError;
use crate::generations::{self, StagedFile};
use crate::publish::{Publisher, under_way};
use crate::register;

/// Seconds that must be left to begin with a file: a copy cut off by the deadline is of unknown effect.
const FILE_MARGIN_SECONDS: u32 = 30;

/// What a commit needs to know of the stack.
#[derive(Debug, Clone)]
pub struct CommitConfig {
    /// The staging bucket.
    pub staging: Bucket,
    /// Where notices are dispatched to.
    pub notify_queue: String,
    /// Where merges are dispatched to: staged files that vanished are made anew.
    pub work_queue: String,
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
    /// It expired: nothing goes on until an operator lets it. What was published has its receipt.
    Expired(Box<CommitReport>),
    /// A staged file is gone and nothing of it is out: a merge was asked for that makes it anew.
    Rebuilding {
        /// The staged key.
        key: String,
    },
    /// Its delivery is held, and this is not the try that the hold allows.
    Gated {
        /// Before this nobody tries, UTC.
        until: Timestamp,
    },
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

impl CommitReport {
    fn count(&mut self, work: &Work<'_>, receipt: &Receipt) {
        self.files = receipt.files.len() as u64;
        self.bytes = receipt.files.iter().map(|file| file.bytes).sum();
        self.rows = receipt.rows;
        let inputs = work.intent.inputs.iter().take(work.outcome.consumed);
        let oldest = inputs.map(|input| input.last_modified).min();
        self.lag_seconds = oldest.map_or(0.0, |oldest| receipt.at.duration_since(oldest).as_secs_f64());
    }
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
    /// Whether whoever had the message before died over it.
    pub again: bool,
    /// When it ends.
    pub deadline: &'a Deadline,
}

/// An intent with all that was decided about it.
pub(crate) struct Work<'a> {
    /// The delivery as configured now.
    pub delivery: &'a Delivery,
    /// What was planned.
    pub intent: Intent,
    /// What was decided: the outcome of the highest generation.
    pub outcome: Outcome,
    /// Its files, each as the generation says that was copied.
    pub files: Vec<StagedFile>,
    /// The configuration it was planned with.
    pub pin: PinnedConfig,
    /// The records that stood when the commit began.
    pub records: BTreeSet<RecordName>,
    /// What they come to.
    pub standing: Standing,
}

/// A client's account as a commit works in it, and the client's bucket.
pub(crate) type Opened<D> = (DestinationOf<D>, Bucket);

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
        let standing = Standing::of(&records);
        if standing.closed {
            if standing.untold.is_some() {
                self.send_notify(delivery, n).await?;
            }
            return Ok(Commit::AlreadyClosed);
        }
        let Some(outcome) = self.ledger.outcome(id, n, standing.generation).await? else {
            return Ok(Commit::NotMerged);
        };
        if outcome.void {
            return Ok(Commit::NothingToDo);
        }
        let publishes = !standing.expired && !standing.discarded;
        if publishes && let Some(before) = self.waits_for(delivery, n, floor).await? {
            return Ok(Commit::Waits { before });
        }
        // What is left after the receipt needs nobody but us; so does the receipt of what expired.
        if publishes
            && !standing.received
            && let Admission::Gated { until } =
                self.holds().admit(id, n, hold::Work::Data, self.again, self.clock.now()).await?
        {
            return Ok(Commit::Gated { until });
        }
        let intent = self.ledger.intent(id, n).await?;
        let pin = self.ledger.pin(id, &intent.pin).await?;
        let files = generations::files(self.ledger, &outcome, &records, publishes).await?;
        let mut work = Work { delivery, intent, outcome, files, pin, records, standing };
        self.end_earlier_parts(&mut work).await?;
        let done = if standing.expired { self.end_part(&work).await } else { self.close(&work).await };
        match done {
            Err(CommitError::Vanished { key, .. }) => {
                // The merge of a decided intent makes anew what is gone, and asks for the commit again. If this commit was the
                // probe of a hold, that merge goes on in its place.
                self.holds().hand_on(id, n, self.clock.now()).await?;
                dispatch(self.queue, &self.config.work_queue, &delivery.tenant, [Message::merge(id, n)])
                    .await?;
                Ok(Commit::Rebuilding { key })
            }
            done => done,
        }
    }

    /// Publishes what is still to be published, unless that was given up, and does all that follows.
    async fn close(&self, work: &Work<'_>) -> Result<Commit, CommitError> {
        let (id, n) = (work.delivery.id.as_str(), work.intent.n);
        let mut report = CommitReport::default();
        let receipt = if work.standing.discarded {
            let records = self.settle(work).await?;
            let receipt = self.receipt_of_rest(work, &records).await?;
            if let Some(receipt) = &receipt {
                self.register_rest(work, receipt).await;
            }
            receipt
        } else {
            if !work.standing.received {
                report.catalog = self.deliver(work).await?;
            }
            Some(self.receipt(work).await?)
        };
        if receipt.is_some() || work.standing.untold.is_some() {
            self.send_notify(work.delivery, n).await?;
        }
        let (deleted, left) = self.delete_inputs(work).await?;
        self.remove_leftovers(work).await;
        // Before `closed`, after which nobody comes back to do it.
        if let Some(receipt) = &receipt {
            report.released = self.release(work, receipt).await?;
        }
        let closed = Closed { version: FORMAT, at: self.clock.now(), deleted, left };
        self.ledger.put_once(&keys::record(id, n, RecordName::Closed), &closed).await?;
        report.deleted = deleted;
        if let Some(receipt) = &receipt {
            report.count(work, receipt);
        }
        Ok(Commit::Closed(Box::new(report)))
    }

    /// Ends the part of an intent that expired: what was published of it gets its receipt and its notice. Nothing is
    /// published, deleted or closed until an operator decides.
    async fn end_part(&self, work: &Work<'_>) -> Result<Commit, CommitError> {
        let (id, n) = (work.delivery.id.as_str(), work.intent.n);
        // A copy that may still be under way would be told of by nobody.
        for file in &work.files {
            for k in Attempts::of(&work.records, file.entry.index).unknown {
                let key = keys::record(id, n, RecordName::Attempt { file: file.entry.index, k });
                let attempt: Attempt = self.ledger.must_read(&key).await?;
                if let Some(seconds) = under_way(&attempt, self.config.timeout_seconds, self.clock.now()) {
                    let reason = format!("{} may still be being copied", file.entry.key);
                    return Err(CommitError::NotYet { delivery: id.to_owned(), n, seconds, reason });
                }
            }
        }
        let mut report = CommitReport::default();
        if !work.standing.received
            && let Some(receipt) = self.receipt_of_rest(work, &work.records).await?
        {
            report.count(work, &receipt);
        }
        if report.files > 0 || work.standing.untold.is_some() {
            self.send_notify(work.delivery, n).await?;
        }
        Ok(Commit::Expired(Box::new(report)))
    }

    /// Finds out what became of the copies of unknown effect of an intent that was given up: what arrived is told of.
    /// The records as they stand then.
    async fn settle(&self, work: &Work<'_>) -> Result<BTreeSet<RecordName>, CommitError> {
        let unknown = |file: &&StagedFile| !Attempts::of(&work.records, file.entry.index).unknown.is_empty();
        let files: Vec<&StagedFile> = work.files.iter().filter(unknown).collect();
        if files.is_empty() {
            return Ok(work.records.clone());
        }
        let (client, bucket) = self.open(work).await?;
        let job_id = work.intent.job_id();
        let publisher = self.publisher(work, &client.store, &bucket, &job_id);
        for file in files {
            publisher.find_out(file, &work.records, self.clock.now()).await?;
        }
        Ok(self.ledger.records(&work.delivery.id, work.intent.n).await?)
    }

    /// With order `delivery`, n is published only after all before it are closed, expired, void or retired: the predecessor
    /// it has still to wait for. What is closed has itself waited.
    async fn waits_for(&self, delivery: &Delivery, n: u64, floor: u64) -> Result<Option<u64>, CommitError> {
        if delivery.order == Order::None {
            return Ok(None);
        }
        let mut before = n.saturating_sub(1);
        while before > floor {
            let records = self.ledger.records(&delivery.id, before).await?;
            if records.contains(&RecordName::Closed) {
                return Ok(None);
            }
            if !is_passed_over(self.ledger, &delivery.id, before, &records).await? {
                return Ok(Some(before));
            }
            before -= 1;
        }
        Ok(None)
    }

    fn holds(&self) -> Holds<'_, S, Q> {
        Holds::new(self.ledger, self.queue, &self.config.notify_queue)
    }

    /// Releases the holds that this commit has got past. Files prove role, bucket and key, a table the catalog.
    async fn release(&self, work: &Work<'_>, receipt: &Receipt) -> Result<usize, CommitError> {
        let own = hold::of_intent(work.intent.n);
        let mut proven = vec![own.as_str(), "configuration"];
        let delivered = !work.outcome.files.is_empty() && !work.standing.discarded;
        if delivered {
            proven.extend(["role", "bucket", "key"]);
        }
        // A catalog that the document no longer names holds nobody either.
        if delivered || work.delivery.catalog.glue.is_none() {
            proven.push("catalog");
        }
        Ok(self.holds().release(&work.delivery.id, work.intent.n, &proven, receipt.at).await?)
    }

    /// Enters the client's account.
    ///
    /// # Errors
    /// When the client's role does not let us in.
    pub(crate) async fn open(&self, work: &Work<'_>) -> Result<Opened<D>, CommitError> {
        let access = Access {
            bucket: work.pin.bucket.clone(),
            prefix: work.pin.prefix.clone(),
            temp_prefix: work.pin.temp_prefix.clone(),
            glue: work.pin.table(work.delivery).map(|glue| (glue.database.clone(), glue.table.clone())),
            ..work.delivery.access()
        };
        let opened = self.destinations.open(&access, Purpose::Commit).await;
        let client = opened.map_err(|error| at_client(work, error))?;
        Ok((client, Bucket { name: work.pin.bucket.clone(), owner: access.account }))
    }

    fn publisher<'a, T: ObjectStore>(
        &'a self,
        work: &'a Work<'_>,
        store: &'a T,
        bucket: &'a Bucket,
        job_id: &'a str,
    ) -> Publisher<'a, S, T> {
        Publisher {
            ledger: self.ledger,
            store,
            bucket,
            delivery: work.delivery,
            n: work.intent.n,
            generation: work.outcome.generation,
            job_id,
            schema_version: work.pin.contract.version,
            media_type: work.pin.layout.media_type(),
            execution: self.execution,
            timeout_seconds: self.config.timeout_seconds,
        }
    }

    /// Validates and publishes all files, and registers them.
    async fn deliver(&self, work: &Work<'_>) -> Result<CatalogChange, CommitError> {
        if work.files.is_empty() {
            return Ok(CatalogChange::default());
        }
        let (client, bucket) = self.open(work).await?;
        self.validate(work, &client.store, &bucket).await?;
        let job_id = work.intent.job_id();
        let publisher = self.publisher(work, &client.store, &bucket, &job_id);
        self.publish(work, &publisher).await?;
        let partitions = work.outcome.files.iter().map(|file| &file.partition);
        register(&client, work, partitions).await.map_err(|error| at_client(work, error))
    }

    /// Registers what was published of an intent that was given up. Best effort: who gave it up knows of the client.
    async fn register_rest(&self, work: &Work<'_>, receipt: &Receipt) {
        let partitions = receipt.files.iter().map(|file| &file.partition);
        let registered = match self.open(work).await {
            Ok((client, _)) => {
                register(&client, work, partitions).await.map_err(|error| at_client(work, error))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = registered {
            tracing::warn!(%error, "files of a discarded intent are not in the catalog");
        }
    }

    /// Whether there is time to begin with a file; what is done until now stands, and the next try goes on from it.
    pub(crate) fn in_time(&self, work: &Work<'_>) -> Result<(), CommitError> {
        if self.deadline.has_time_for(FILE_MARGIN_SECONDS) {
            return Ok(());
        }
        Err(out_of_time(work, "too little time is left for another file"))
    }

    /// Asks for the notices of an intent.
    pub(crate) async fn send_notify(&self, delivery: &Delivery, n: u64) -> Result<(), CommitError> {
        let notify = [Message::notify(&delivery.id, n)];
        Ok(dispatch(self.queue, &self.config.notify_queue, &delivery.tenant, notify).await?)
    }
}

/// Registers the table and these partitions, where the delivery has a catalog.
async fn register<'p, T: Send, C: Catalog, Q: Send>(
    client: &Destination<T, C, Q>,
    work: &Work<'_>,
    partitions: impl Iterator<Item = &'p Partition> + Send,
) -> Result<CatalogChange, PortError> {
    match work.pin.table(work.delivery) {
        Some(glue) => {
            let partitions = register::partitions(&work.pin, partitions);
            client.catalog.register(&register::table(glue, &work.pin), &partitions).await
        }
        None => Ok(CatalogChange::default()),
    }
}

/// What is done stands, and the next try goes on from it.
pub(crate) fn out_of_time(work: &Work<'_>, reason: &str) -> CommitError {
    let (delivery, n) = (work.delivery.id.clone(), work.intent.n);
    CommitError::NotYet { delivery, n, seconds: 1, reason: reason.to_owned() }
}

/// A failed call in the client's account.
pub(crate) fn at_client(work: &Work<'_>, source: PortError) -> CommitError {
    CommitError::Destination {
        delivery: work.delivery.id.clone(),
        n: work.intent.n,
        source: Box::new(source),
    }
}

/// Whether nothing of an intent will be published by itself: it expired, or is void. Its successors do not wait for it.
///
/// # Errors
/// When the log fails.
pub(crate) async fn is_passed_over<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &str,
    n: u64,
    records: &BTreeSet<RecordName>,
) -> Result<bool, LedgerError> {
    let standing = Standing::of(records);
    Ok(standing.expired
        || ledger.outcome(delivery, n, standing.generation).await?.is_some_and(|outcome| outcome.void))
}
