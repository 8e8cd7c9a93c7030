//! The committer: checks staged files, publishes them into the client's lake, registers them, closes the intent.
//!
//! Generic over the ports; `main.rs` chooses the adapters.

mod commit;
mod config;
mod error;
mod files;
mod generations;
mod publish;
mod receipt;
mod register;
mod tidy;
mod validate;

pub use commit::{Commit, CommitConfig, CommitReport};
pub use config::CommitterConfig;
pub use error::CommitError;
pub use publish::{CHECKSUM, DELIVERY_ID};

use landfall_core::config_source::ConfigSource;
use landfall_core::delivery::{Delivery, Order};
use landfall_core::error::ErrorClass;
use landfall_core::hold::Holds;
use landfall_core::keys::RecordName;
use landfall_core::ledger::Ledger;
use landfall_core::message::{self, Message, dispatch};
use landfall_core::port::{Clock, Destinations, ObjectStore, Queue};
use landfall_core::standing::Standing;
use landfall_lambda::{Failed, Invocation, MessageHandler, SqsMessage, Verdict, metrics};
use tokio::sync::Mutex;

use crate::commit::Committing;

/// The committer over its ports.
#[derive(Debug)]
pub struct Committer<S, Q, D, C> {
    config: CommitterConfig,
    ledger: Ledger<S>,
    queue: Q,
    destinations: D,
    clock: C,
    documents: Mutex<ConfigSource>,
}

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock> Committer<S, Q, D, C> {
    /// A committer of this stack.
    pub fn new(config: CommitterConfig, store: S, queue: Q, destinations: D, clock: C) -> Self {
        let ledger = Ledger::new(store, config.state.clone());
        Self { config, ledger, queue, destinations, clock, documents: Mutex::new(ConfigSource::default()) }
    }

    async fn delivery(&self, id: &str, n: u64) -> Result<Delivery, CommitError> {
        let registry = self.documents.lock().await.load(&self.ledger, &self.config.registry).await?;
        registry.by_id(id).cloned().ok_or_else(|| CommitError::NoConfiguration {
            delivery: id.to_owned(),
            n,
            reason: "the registry has no valid document for it".to_owned(),
        })
    }

    async fn commit(
        &self,
        id: &str,
        n: u64,
        message: &SqsMessage,
        invocation: &Invocation,
    ) -> Result<Commit, CommitError> {
        let execution = &invocation.execution_id(message);
        let delivery = self.delivery(id, n).await?;
        let committing = Committing {
            ledger: &self.ledger,
            queue: &self.queue,
            destinations: &self.destinations,
            clock: &self.clock,
            config: &self.config.commit,
            execution,
            again: message.is_received_again(),
            deadline: &invocation.deadline,
        };
        let done = committing.commit(&delivery, n).await?;
        if let Commit::Closed(report) = &done
            && report.released > 0
        {
            // What waited while the delivery was held is planned now, not at the next look.
            message::resume(&self.queue, &self.config.plan_queue, id, execution).await?;
        }
        let over = matches!(done, Commit::Closed(_) | Commit::AlreadyClosed | Commit::Expired(_));
        if delivery.order == Order::Delivery && over {
            self.wake(&delivery, n + 1).await?;
        }
        Ok(done)
    }

    /// The next intent of an ordered delivery, if it is merged and waits for its turn; what expired or is void is passed over.
    async fn wake(&self, delivery: &Delivery, mut n: u64) -> Result<(), CommitError> {
        loop {
            let records = self.ledger.records(&delivery.id, n).await?;
            if records.contains(&RecordName::Closed) {
                return Ok(());
            }
            if !commit::is_passed_over(&self.ledger, &delivery.id, n, &records).await? {
                if Standing::of(&records).generation.is_none() {
                    return Ok(());
                }
                let commit = [Message::commit(&delivery.id, n)];
                return Ok(dispatch(&self.queue, &self.config.commit_queue, &delivery.tenant, commit).await?);
            }
            n += 1;
        }
    }
}

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock> MessageHandler for Committer<S, Q, D, C> {
    async fn handle(&self, message: &SqsMessage, invocation: &Invocation) -> Verdict {
        let work = match Message::parse(&message.body) {
            Ok(Message::Commit(work)) => work,
            Ok(_) => {
                let reason = "a message for another function";
                return Verdict::retry("misdirected", ErrorClass::Permanent, reason, None).kind("commit");
            }
            Err(error) => {
                return Verdict::retry("malformed", ErrorClass::Permanent, error.to_string(), None)
                    .kind("commit");
            }
        };
        let (id, n, begun) = (work.delivery.as_str(), work.n, self.clock.now());
        let verdict = match self.commit(id, n, message, invocation).await {
            Ok(done) => report(id, done, invocation),
            Err(error) => {
                let failed = Failed {
                    holds: Holds::new(&self.ledger, &self.queue, &self.config.commit.notify_queue),
                    queue: &self.queue,
                    own_queue: &self.config.commit_queue,
                    message,
                    work: &work,
                    kind: Message::Commit,
                    begun,
                    metrics: &invocation.metrics,
                };
                failed.verdict(error.failure(), self.clock.now()).await
            }
        };
        verdict.kind("commit").delivery(id).intent(n)
    }
}

fn report(id: &str, done: Commit, invocation: &Invocation) -> Verdict {
    match done {
        Commit::Closed(report) => {
            count(id, &report, invocation);
            Verdict::done("published")
                .count("files", report.files)
                .count("rows", report.rows)
                .count("bytes", report.bytes)
                .count("partitions_created", report.catalog.partitions_created as u64)
                .count("inputs_deleted", report.deleted)
        }
        Commit::Expired(report) => {
            count(id, &report, invocation);
            Verdict::done("expired").count("files", report.files).count("rows", report.rows)
        }
        Commit::Rebuilding { key } => Verdict::done("rebuilding").detail(key),
        Commit::AlreadyClosed => Verdict::done("already_closed"),
        Commit::NothingToDo => Verdict::done("nothing_to_do"),
        Commit::Gated { until } => Verdict::done("gated").detail(until.to_string()),
        Commit::NotMerged => Verdict::done("not_merged"),
        Commit::Waits { before } => Verdict::done("waits_for_its_turn").count("before", before),
    }
}

/// What a receipt newly names.
fn count(id: &str, report: &CommitReport, invocation: &Invocation) {
    let counts = &invocation.metrics;
    counts.count(&metrics::FILES_OUT, Some(id), report.files);
    counts.count(&metrics::BYTES_OUT, Some(id), report.bytes);
    counts.count(&metrics::ROWS_OUT, Some(id), report.rows);
    // Where nothing was published nothing was late.
    if report.lag_seconds > 0.0 {
        counts.observe(&metrics::FRESHNESS_LAG, Some(id), report.lag_seconds);
    }
}
