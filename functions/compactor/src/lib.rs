//! The compactor: S3 events become nudges, nudges become plans, plans become intents, intents become staged files.
//!
//! One function behind four queues: intake (S3 events, the schedule), plan (FIFO, a group per delivery), work (one
//! intent a message) and the merges that failed every time. Generic over the ports; `main.rs` chooses the adapters.

mod config;
mod dead_letters;
mod dispatch;
mod error;
mod evolve;
mod expiry;
mod identities;
mod identity_cache;
mod input;
mod intake;
mod log_state;
mod merge;
mod planner;
mod prune;
mod quarantine;
mod rebuild;
mod run;
mod staging;
mod sweep;

pub use config::CompactorConfig;
pub use error::WorkError;
pub use merge::{Execution, MergeReport};
pub use planner::{PlanReport, PlannerConfig};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use landfall_core::config_source::ConfigSource;
use landfall_core::delivery::Delivery;
use landfall_core::error::{ErrorClass, PortError};
use landfall_core::hold::Holds;
use landfall_core::ledger::Ledger;
use landfall_core::message::{self, Message, Work, dispatch};
use landfall_core::plan::shares;
use landfall_core::port::{Clock, Destinations, ObjectStore, Queue};
use landfall_core::record::PlanReason;
use landfall_core::registry::Registry;
use landfall_lambda::{
    BatchHandler, Failed, Intake, Invocation, MessageId, NotificationError, SqsMessage, Verdict, Verdicts,
    isolate, metrics, one_by_one, read_notification,
};
use tokio::sync::Mutex;

use crate::dispatch::Schedule;
use crate::identity_cache::IdentityCache;
use crate::intake::Routed;
use crate::planner::Asked;
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
    identities: Mutex<IdentityCache>,
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
            identities: Mutex::new(IdentityCache::default()),
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
    fn holds(&self) -> Holds<'_, S, Q> {
        Holds::new(&self.ledger, &self.queue, &self.config.planner.notify_queue)
    }

    async fn registry(&self) -> Result<Arc<Registry>, WorkError> {
        let mut documents = self.documents.lock().await;
        Ok(documents.load(&self.ledger, &self.config.registry).await?)
    }

    /// The delivery as configured now.
    async fn delivery(&self, id: &str) -> Result<Delivery, WorkError> {
        let registry = self.registry().await?;
        Self::find(&registry, id)
    }

    fn find(registry: &Registry, id: &str) -> Result<Delivery, WorkError> {
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

    /// Asks for a plan of each of these deliveries.
    async fn ask_for_plans(
        &self,
        deliveries: &BTreeSet<String>,
        reason: PlanReason,
    ) -> Result<(), WorkError> {
        let mut failures = self.nudge(deliveries, reason).await;
        failures.pop_first().map_or(Ok(()), |(_, error)| Err(error.into()))
    }

    /// Asks for a plan of one delivery.
    async fn ask_for_plan(&self, id: &str, reason: PlanReason) -> Result<(), WorkError> {
        self.ask_for_plans(&BTreeSet::from([id.to_owned()]), reason).await
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
        self.ask_for_plans(&due, PlanReason::Due).await?;
        Ok(Handled::Swept { due: due.len(), refused })
    }

    async fn plan(
        &self,
        id: &str,
        reason: PlanReason,
        invocation: &Invocation,
    ) -> Result<Handled, WorkError> {
        let registry = self.registry().await?;
        let delivery = Self::find(&registry, id)?;
        let siblings = registry.deliveries().filter(|other| other.tenant == delivery.tenant).count();
        let merges = shares::merges_of_delivery(self.config.tenant_merges, siblings);
        let (queue, config, known) = (&self.queue, &self.config.planner, &self.identities);
        let (holds, now) = (self.holds(), self.clock.now());
        let asked = Asked { delivery: &delivery, reason, merges };
        let report = planner::plan_delivery(&holds, queue, config, known, &asked, now).await?;
        let counts = &invocation.metrics;
        counts.count(&metrics::INTENTS_PLANNED, Some(id), report.intents as u64);
        counts.count(&metrics::REPEATED_UPLOADS, Some(id), report.repeats as u64);
        counts.count(&metrics::DELIVERIES_HELD, Some(id), u64::from(!report.held.is_empty()));
        Ok(Handled::Planned(report))
    }

    /// A merge is decided: if others of its delivery wait for their turn, a plan sends them.
    async fn let_others_begin(&self, id: &str) -> Result<(), WorkError> {
        match Schedule::read(&self.ledger, id).await?.waiting_from {
            Some(_) => self.ask_for_plan(id, PlanReason::Due).await,
            None => Ok(()),
        }
    }

    async fn merge(
        &self,
        id: &str,
        n: u64,
        message: &SqsMessage,
        invocation: &Invocation,
    ) -> Result<Handled, WorkError> {
        let delivery = self.delivery(id).await?;
        let begun = self.clock.now();
        let done = merge::execute(
            &self.holds(),
            &self.destinations,
            &self.config,
            &delivery,
            n,
            message,
            invocation,
        )
        .await?;
        if let Execution::Decided(report) = &done {
            let counts = &invocation.metrics;
            counts.count(&metrics::FILES_IN, Some(id), report.objects);
            counts.count(&metrics::BYTES_IN, Some(id), report.bytes_in);
            counts.count(&metrics::ROWS_IN, Some(id), report.rows_in);
            counts.count(&metrics::ROWS_REJECTED, Some(id), report.rejected);
            counts.count(&metrics::ROWS_RESCUED, Some(id), report.rescued);
            counts.count(&metrics::OBJECTS_QUARANTINED, Some(id), report.quarantined);
            // Before the commit is asked for, which a hold lets through then.
            let released = self.holds().release_merged(id, n, begun, self.clock.now()).await?;
            if released > 0 {
                message::resume(&self.queue, &self.config.plan_queue, id, &invocation.execution_id(message))
                    .await?;
            }
            if report.freed {
                // What was freed is as ripe as it was, or as much asked for: a plan now takes it.
                self.ask_for_plan(id, PlanReason::Event).await?;
            }
        }
        // It may have been the probe of a hold; its commit goes on in its place.
        if matches!(done, Execution::Adopted | Execution::Rebuilt) {
            self.holds().hand_on(id, n, self.clock.now()).await?;
        }
        if let Execution::Evolved { outcome } = &done {
            invocation.metrics.count(&metrics::INTENTS_EVOLVED, Some(id), 1);
            self.go_on(id, outcome).await?;
        }
        if matches!(done, Execution::Decided(_) | Execution::Adopted | Execution::Rebuilt) {
            let commit = [Message::commit(id, n)];
            dispatch(&self.queue, &self.config.planner.commit_queue, &delivery.tenant, commit).await?;
            self.let_others_begin(id).await?;
        }
        Ok(Handled::Executed(done))
    }
}

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock> BatchHandler for Compactor<S, Q, D, C> {
    async fn handle_batch(&self, messages: &[SqsMessage], invocation: &Invocation, verdicts: &Verdicts) {
        // Told by the queue they come from: whatever stands in them, they are no events.
        let (dead, messages): (Vec<_>, Vec<_>) =
            messages.iter().partition(|message| self.is_dead_letter(message));
        one_by_one(dead, invocation, verdicts, START_MARGIN_SECONDS, |message| {
            self.take_dead_letter(message, invocation)
        })
        .await;
        // Events first: a batch of thousands folds into one nudge per delivery.
        let (events, requests): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| Message::parse(&message.body).is_err());
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
        if sweeps.is_empty() {
            return;
        }
        // One for all that piled up: a second would find nothing that the first did not.
        let verdict = match isolate(self.sweep(invocation)).await {
            Ok(Ok(handled)) => handled.verdict("schedule"),
            Ok(Err(error)) => failure("schedule", &error),
            Err(panic) => Verdict::retry("panicked", ErrorClass::Permanent, panic, None).kind("schedule"),
        };
        for message in sweeps {
            verdicts.reach(message.id(), verdict.clone());
        }
    }

    /// Takes one plan or merge request.
    async fn take_request(&self, message: &SqsMessage, invocation: &Invocation) -> Verdict {
        let request = match Message::parse(&message.body) {
            Ok(request) => request,
            Err(error) => return Verdict::retry("malformed", ErrorClass::Permanent, error.to_string(), None),
        };
        let begun = self.clock.now();
        let verdict = match &request {
            Message::Plan { delivery, reason, .. } => match self.plan(delivery, *reason, invocation).await {
                Ok(handled) => handled.verdict("plan"),
                // Nothing is staged or planned without a valid document; the objects wait where they are.
                Err(error @ WorkError::NoConfiguration { .. }) => {
                    Verdict::done("no_configuration").kind("plan").detail(error.to_string())
                }
                // Plans of a delivery are in order: the next waits until this one came back and succeeded.
                Err(error) => failure("plan", &error),
            },
            Message::Merge(work) => {
                let merged = match self.merge(&work.delivery, work.n, message, invocation).await {
                    Ok(handled) => handled.verdict("merge"),
                    Err(error) => {
                        let from = self.config.planner.work_queue.as_str();
                        self.failed_merge(from, message, work, begun, &error, invocation).await.kind("merge")
                    }
                };
                merged.intent(work.n)
            }
            Message::Commit(_) | Message::Notify(_) | Message::Hold(_) => {
                let reason = "a message for another function".to_owned();
                return Verdict::retry("misdirected", ErrorClass::Permanent, reason, None).kind("request");
            }
        };
        verdict.delivery(request.delivery())
    }
}

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock> Compactor<S, Q, D, C> {
    /// What becomes of a merge request that came `from` this queue and failed.
    async fn failed_merge(
        &self,
        from: &str,
        message: &SqsMessage,
        work: &Work,
        begun: Timestamp,
        error: &WorkError,
        invocation: &Invocation,
    ) -> Verdict {
        let failed = Failed {
            holds: self.holds(),
            queue: &self.queue,
            own_queue: from,
            message,
            work,
            kind: Message::Merge,
            begun,
            metrics: &invocation.metrics,
        };
        failed.verdict(error.failure(), self.clock.now()).await
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
                    .count("expired", report.expired as u64)
            }
            Self::Executed(Execution::Decided(report)) => Verdict::done("staged")
                .count("objects", report.objects)
                .count("rows_in", report.rows_in)
                .count("files", report.files)
                .count("rows", report.rows_out)
                .count("bytes", report.bytes_out)
                .count("rejected", report.rejected)
                .count("rescued", report.rescued)
                .count("quarantined", report.quarantined),
            Self::Executed(Execution::Adopted) => Verdict::done("adopted"),
            Self::Executed(Execution::Retired) => Verdict::done("retired"),
            Self::Executed(Execution::Expired) => Verdict::done("expired"),
            Self::Executed(Execution::Gated { until }) => Verdict::done("gated").detail(until.to_string()),
            Self::Executed(Execution::Rebuilt) => Verdict::done("rebuilt"),
            Self::Executed(Execution::Evolved { outcome }) => {
                Verdict::done("evolved").count("contract", outcome.evolved.unwrap_or_default().into())
            }
        };
        verdict.kind(kind)
    }
}
