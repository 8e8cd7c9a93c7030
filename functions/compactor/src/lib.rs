//! The compactor: S3 events become nudges, nudges become plans, plans become intents, intents become staged files.
//!
//! One function behind three queues: intake (S3 events, the schedule), plan (FIFO, a group per delivery) and work (one
//! intent a message). Generic over the ports; `main.rs` chooses the adapters.

mod config;
mod dispatch;
mod error;
mod identities;
mod input;
mod intake;
mod log_state;
mod merge;
mod planner;
mod quarantine;
mod staging;
mod sweep;

pub use config::CompactorConfig;
pub use error::WorkError;
pub use merge::{Execution, MergeReport};
pub use planner::{PlanReport, PlannerConfig};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use landfall_core::config_source::ConfigSource;
use landfall_core::delivery::Delivery;
use landfall_core::error::{ErrorClass, PortError};
use landfall_core::hold;
use landfall_core::ledger::Ledger;
use landfall_core::message::{Message, dispatch};
use landfall_core::port::{Clock, Destinations, ObjectStore, Queue};
use landfall_core::record::PlanReason;
use landfall_core::registry::Registry;
use landfall_lambda::{
    BatchHandler, Intake, Invocation, MessageId, NotificationError, SqsMessage, Verdict, Verdicts, isolate,
    metrics, one_by_one, read_notification,
};
use tokio::sync::Mutex;

use crate::intake::Routed;
use crate::sweep::DueTimes;

/// The compactor over its ports.
#[derive(Debug)]
pub struct Compactor<S, Q, D, C> {
    config: CompactorConfig,
    ledger: Ledger<S>,
    queue: Q,
    destinations: D,
    clock: C,
    documents: Mutex<ConfigSource>,
    due: Mutex<DueTimes>,
}

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock> Compactor<S, Q, D, C> {
    /// A compactor of this stack.
    pub fn new(config: CompactorConfig, store: S, queue: Q, destinations: D, clock: C) -> Self {
        let ledger = Ledger::new(store, config.state.clone());
        Self {
            config,
            ledger,
            queue,
            destinations,
            clock,
            documents: Mutex::new(ConfigSource::default()),
            due: Mutex::new(DueTimes::default()),
        }
    }
}

/// What became of one message, in the compactor's own terms.
#[derive(Debug)]
enum Handled {
    /// The sweep asked for this many plans.
    Swept { due: usize, refused: usize },
    /// A plan was made.
    Planned(PlanReport),
    /// An intent was executed.
    Executed(Execution),
}

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock> Compactor<S, Q, D, C> {
    async fn registry(&self) -> Result<Arc<Registry>, WorkError> {
        let mut documents = self.documents.lock().await;
        Ok(documents.load(&self.ledger, &self.config.registry).await?)
    }

    /// The delivery as configured now.
    async fn delivery(&self, id: &str) -> Result<Delivery, WorkError> {
        let registry = self.registry().await?;
        if let Some(delivery) = registry.by_id(id) {
            return Ok(delivery.clone());
        }
        let refused = registry.refused().iter().find(|refusal| refusal.id.as_deref() == Some(id));
        Err(WorkError::NoConfiguration {
            delivery: id.to_owned(),
            reason: refused.map_or_else(
                || "no document of the registry has this id".to_owned(),
                |refusal| format!("its document is refused: {refusal}"),
            ),
        })
    }

    /// Sends nudges; a failure is the failure of every message that asked for that delivery.
    async fn nudge(&self, deliveries: &BTreeSet<String>, reason: PlanReason) -> BTreeMap<String, PortError> {
        let (queue, slot) = (self.config.plan_queue.as_str(), self.config.slot_seconds);
        intake::nudge(&self.queue, queue, deliveries, reason, self.clock.now(), slot).await
    }

    async fn sweep(&self, invocation: &Invocation) -> Result<Handled, WorkError> {
        let registry = self.registry().await?;
        for refusal in registry.refused() {
            tracing::error!(document = refusal.document, refusal = %refusal, "delivery document refused");
        }
        let refused = registry.refused().len();
        invocation.metrics.count(&metrics::DELIVERIES_REFUSED, None, refused as u64);
        let due = self.due.lock().await.due(&self.ledger, &registry, self.clock.now()).await?;
        let due: BTreeSet<String> = due.into_iter().collect();
        let mut failures = self.nudge(&due, PlanReason::Due).await;
        match failures.pop_first() {
            Some((_, error)) => Err(error.into()),
            None => Ok(Handled::Swept { due: due.len(), refused }),
        }
    }

    async fn plan(
        &self,
        id: &str,
        reason: PlanReason,
        invocation: &Invocation,
    ) -> Result<Handled, WorkError> {
        let delivery = self.delivery(id).await?;
        let now = self.clock.now();
        let report =
            planner::plan_delivery(&self.ledger, &self.queue, &self.config.planner, &delivery, reason, now)
                .await?;
        let counts = &invocation.metrics;
        counts.count(&metrics::INTENTS_PLANNED, Some(id), report.intents as u64);
        counts.count(&metrics::REPEATED_UPLOADS, Some(id), report.repeats as u64);
        counts.count(&metrics::DELIVERIES_HELD, Some(id), u64::from(!report.held.is_empty()));
        Ok(Handled::Planned(report))
    }

    async fn merge(
        &self,
        id: &str,
        n: u64,
        message: &SqsMessage,
        invocation: &Invocation,
    ) -> Result<Handled, WorkError> {
        let delivery = self.delivery(id).await?;
        let execution = invocation.execution_id(message);
        let done = merge::execute(
            &self.ledger,
            &self.destinations,
            &self.config.planner.staging,
            &delivery,
            n,
            &execution,
            &invocation.deadline,
        )
        .await?;
        if done != Execution::Retired {
            dispatch(&self.queue, &self.config.planner.commit_queue, [Message::commit(id, n)]).await?;
        }
        if let Execution::Decided(report) = &done {
            let counts = &invocation.metrics;
            counts.count(&metrics::FILES_IN, Some(id), report.objects);
            counts.count(&metrics::BYTES_IN, Some(id), report.bytes_in);
            counts.count(&metrics::ROWS_IN, Some(id), report.rows_in);
            counts.count(&metrics::ROWS_REJECTED, Some(id), report.rejected);
            counts.count(&metrics::OBJECTS_QUARANTINED, Some(id), report.quarantined);
            // The role let us in. Bucket, key and catalog are proven by the commit that follows.
            let released = hold::release(&self.ledger, id, &["role", "configuration"]).await?;
            if report.freed || released > 0 {
                // What was freed, or waited for the repair, is as ripe as it was, or as much asked for: a plan now takes it.
                let freed = BTreeSet::from([id.to_owned()]);
                let mut failures = self.nudge(&freed, PlanReason::Resume).await;
                if let Some((_, error)) = failures.pop_first() {
                    return Err(error.into());
                }
            }
        }
        Ok(Handled::Executed(done))
    }
}

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock> BatchHandler for Compactor<S, Q, D, C> {
    async fn handle_batch(&self, messages: &[SqsMessage], invocation: &Invocation, verdicts: &Verdicts) {
        // Events first: a batch of thousands folds into one nudge per delivery.
        let (events, requests): (Vec<_>, Vec<_>) =
            messages.iter().partition(|message| Message::parse(&message.body).is_err());
        Box::pin(self.take_events(&events, invocation, verdicts)).await;
        one_by_one(requests, invocation, verdicts, START_MARGIN_SECONDS, |message| {
            self.take_request(message, invocation)
        })
        .await;
    }
}

/// Seconds that must be left to begin a plan or a merge.
const START_MARGIN_SECONDS: u32 = 20;

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock> Compactor<S, Q, D, C> {
    /// Takes all S3 and schedule events of a batch.
    async fn take_events(&self, messages: &[&SqsMessage], invocation: &Invocation, verdicts: &Verdicts) {
        if messages.is_empty() {
            return;
        }
        let registry = match isolate(self.registry()).await {
            Ok(Ok(registry)) => registry,
            Ok(Err(error)) => {
                return messages
                    .iter()
                    .for_each(|message| verdicts.reach(message.id(), failure("event", &error)));
            }
            Err(panic) => {
                let verdict = Verdict::retry("panicked", ErrorClass::Permanent, panic, None).kind("event");
                return messages.iter().for_each(|message| verdicts.reach(message.id(), verdict.clone()));
            }
        };
        // What each message asks for, and what of it cannot be read.
        let mut wanted: BTreeMap<MessageId, (Routed, Option<String>)> = BTreeMap::new();
        let mut sweeps = Vec::new();
        let staging = &self.config.planner.staging.name;
        for message in messages {
            // One body that makes a parser panic fails alone.
            match isolate(async { read_notification(&message.body) }).await {
                Ok(Ok(Intake::Objects(objects))) => {
                    wanted.insert(message.id().clone(), (intake::route(&registry, staging, &objects), None));
                }
                Ok(Ok(Intake::Schedule)) => sweeps.push(message),
                Ok(Ok(Intake::TestEvent)) => {
                    verdicts.reach(message.id(), Verdict::done("test_event").kind("event"));
                }
                Ok(Ok(Intake::Ignored(name))) => {
                    verdicts.reach(message.id(), Verdict::done("ignored").kind("event").detail(name));
                }
                Ok(Err(error)) => {
                    // The records that can be read are events like any other; the message comes back all the same.
                    let routed = match &error {
                        NotificationError::Records { objects, .. } => {
                            intake::route(&registry, staging, objects)
                        }
                        NotificationError::NotJson(_) | NotificationError::Shape(_) => Routed::default(),
                    };
                    wanted.insert(message.id().clone(), (routed, Some(error.to_string())));
                }
                Err(panic) => {
                    let verdict = Verdict::retry("panicked", ErrorClass::Permanent, panic, None);
                    verdicts.reach(message.id(), verdict.kind("event"));
                }
            }
        }

        let deliveries: BTreeSet<String> =
            wanted.values().flat_map(|(routed, _)| routed.deliveries.clone()).collect();
        let failures = self.nudge(&deliveries, PlanReason::Event).await;
        for (id, (routed, unreadable)) in wanted {
            invocation.metrics.count(&metrics::UNROUTED_OBJECTS, None, routed.unrouted as u64);
            let failed = routed.deliveries.iter().find_map(|delivery| failures.get(delivery));
            let verdict = match (failed, unreadable) {
                (_, Some(error)) => Verdict::retry("malformed", ErrorClass::Permanent, error, None),
                (Some(error), None) => Verdict::retry("not_nudged", error.class(), error.to_string(), None),
                (None, None) if routed.deliveries.is_empty() => {
                    // The objects stay staged; a delivery configured later finds them by listing.
                    Verdict::done("unrouted").count("objects", routed.unrouted as u64)
                }
                (None, None) => Verdict::done("nudged")
                    .count("deliveries", routed.deliveries.len() as u64)
                    .count("unrouted", routed.unrouted as u64),
            };
            verdicts.reach(&id, verdict.kind("event"));
        }
        for message in sweeps {
            let verdict = match isolate(self.sweep(invocation)).await {
                Ok(Ok(handled)) => handled.verdict("schedule"),
                Ok(Err(error)) => failure("schedule", &error),
                Err(panic) => Verdict::retry("panicked", ErrorClass::Permanent, panic, None).kind("schedule"),
            };
            verdicts.reach(message.id(), verdict);
        }
    }

    /// Takes one plan or merge request.
    async fn take_request(&self, message: &SqsMessage, invocation: &Invocation) -> Verdict {
        let request = match Message::parse(&message.body) {
            Ok(request) => request,
            Err(error) => return Verdict::retry("malformed", ErrorClass::Permanent, error.to_string(), None),
        };
        let (kind, n, handled) = match &request {
            Message::Plan { delivery, reason, .. } => {
                ("plan", 0, self.plan(delivery, *reason, invocation).await)
            }
            Message::Merge(work) => {
                ("merge", work.n, self.merge(&work.delivery, work.n, message, invocation).await)
            }
            Message::Commit(_) | Message::Notify(_) | Message::Hold(_) => {
                let reason = "a message for another function".to_owned();
                return Verdict::retry("misdirected", ErrorClass::Permanent, reason, None).kind("request");
            }
        };
        let verdict = match handled {
            Ok(handled) => handled.verdict(kind),
            // Nothing is staged or planned without a valid document; the objects wait where they are.
            Err(error @ WorkError::NoConfiguration { .. }) if kind == "plan" => {
                Verdict::done("no_configuration").kind(kind).detail(error.to_string())
            }
            Err(error) => self.held(kind, request.delivery(), n, &error, invocation).await,
        };
        let verdict = verdict.delivery(request.delivery());
        if n > 0 { verdict.intent(n) } else { verdict }
    }

    /// A failure; one that the client must mend is written down as a hold.
    async fn held(
        &self,
        kind: &'static str,
        delivery: &str,
        n: u64,
        error: &WorkError,
        invocation: &Invocation,
    ) -> Verdict {
        let Some(breakage) = error.breakage() else { return failure(kind, error) };
        invocation.metrics.count(&metrics::DELIVERIES_HELD, Some(delivery), 1);
        let wait = match hold::note(&self.ledger, delivery, n, &breakage, self.clock.now()).await {
            Ok(seconds) => Some(seconds),
            Err(log) => {
                tracing::error!(error = %log, delivery, "hold not written");
                None
            }
        };
        Verdict::retry("held", breakage.class, error.to_string(), wait).kind(kind)
    }
}

fn failure(kind: &'static str, error: &WorkError) -> Verdict {
    Verdict::retry("failed", error.class(), error.to_string(), None).kind(kind)
}

impl Handled {
    fn verdict(self, kind: &'static str) -> Verdict {
        let verdict = match self {
            Self::Swept { due, refused } => {
                Verdict::done("swept").count("due", due as u64).count("refused", refused as u64)
            }
            Self::Planned(report) => {
                let outcome = if report.held.is_empty() { "planned" } else { "held" };
                Verdict::done(outcome)
                    .count("intents", report.intents as u64)
                    .count("objects", report.objects as u64)
                    .count("waiting", report.waiting as u64)
                    .count("repeats", report.repeats as u64)
                    .count("redispatched", report.redispatched as u64)
            }
            Self::Executed(Execution::Decided(report)) => Verdict::done("staged")
                .count("objects", report.objects)
                .count("rows_in", report.rows_in)
                .count("files", report.files)
                .count("rows", report.rows_out)
                .count("bytes", report.bytes_out)
                .count("rejected", report.rejected)
                .count("quarantined", report.quarantined),
            Self::Executed(Execution::Adopted) => Verdict::done("adopted"),
            Self::Executed(Execution::Retired) => Verdict::done("retired"),
        };
        verdict.kind(kind)
    }
}
