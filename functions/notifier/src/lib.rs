//! The notifier: tells each client queue of what was delivered.
//!
//! Generic over the ports; `main.rs` chooses the adapters. Links neither arrow nor parquet.

mod config;
mod notice;

pub use config::NotifierConfig;
pub use notice::{NoticeError, Told};

use landfall_core::config_source::ConfigSource;
use landfall_core::error::ErrorClass;
use landfall_core::hold::Holds;
use landfall_core::ledger::Ledger;
use landfall_core::message::{self, HoldChange, HoldEvent, Message};
use landfall_core::port::{Clock, Destinations, ObjectStore, Queue};
use landfall_lambda::{Failed, Invocation, MessageHandler, MetricsRecorder, SqsMessage, Verdict, metrics};
use tokio::sync::Mutex;

/// The notifier over its ports.
#[derive(Debug)]
pub struct Notifier<S, Q, D, C> {
    config: NotifierConfig,
    ledger: Ledger<S>,
    queue: Q,
    destinations: D,
    clock: C,
    documents: Mutex<ConfigSource>,
}

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock> Notifier<S, Q, D, C> {
    /// A notifier of this stack.
    pub fn new(config: NotifierConfig, store: S, queue: Q, destinations: D, clock: C) -> Self {
        let ledger = Ledger::new(store, config.state.clone());
        Self { config, ledger, queue, destinations, clock, documents: Mutex::new(ConfigSource::default()) }
    }

    fn holds(&self) -> Holds<'_, S, Q> {
        Holds::new(&self.ledger, &self.queue, &self.config.notify_queue)
    }

    async fn tell(
        &self,
        id: &str,
        n: u64,
        message: &SqsMessage,
        invocation: &Invocation,
    ) -> Result<Told, NoticeError> {
        let registry = self.documents.lock().await.load(&self.ledger, &self.config.registry).await?;
        let delivery = registry.by_id(id).ok_or_else(|| NoticeError::NoConfiguration {
            delivery: id.to_owned(),
            n,
            reason: "the registry has no valid document for it".to_owned(),
        })?;
        let again = message.is_received_again();
        let told = notice::tell(&self.holds(), &self.destinations, &self.clock, delivery, n, again).await?;
        if matches!(told, Told::Now { released, .. } if released > 0) {
            // The notices that waited are dispatched now, not at the next look.
            let execution = invocation.execution_id(message);
            message::resume(&self.queue, &self.config.plan_queue, id, &execution).await?;
        }
        Ok(told)
    }
}

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock> MessageHandler for Notifier<S, Q, D, C> {
    async fn handle(&self, message: &SqsMessage, invocation: &Invocation) -> Verdict {
        let work = match Message::parse(&message.body) {
            Ok(Message::Notify(work)) => work,
            Ok(Message::Hold(event)) => return note(&event, &invocation.metrics),
            Ok(_) => {
                let reason = "a message for another function";
                return Verdict::retry("misdirected", ErrorClass::Permanent, reason, None).kind("notify");
            }
            Err(error) => {
                return Verdict::retry("malformed", ErrorClass::Permanent, error.to_string(), None)
                    .kind("notify");
            }
        };
        let (id, n, begun) = (work.delivery.as_str(), work.n, self.clock.now());
        let verdict = match self.tell(id, n, message, invocation).await {
            Ok(Told::Now { sent, released }) => {
                invocation.metrics.count(&metrics::NOTICES_SENT, Some(id), sent as u64);
                Verdict::done("told").count("queues", sent as u64).count("released", released as u64)
            }
            Ok(Told::Before) => Verdict::done("told_before"),
            Ok(Told::Gated { until }) => Verdict::done("gated").detail(until.to_string()),
            Err(error) => {
                let failed = Failed {
                    holds: self.holds(),
                    queue: &self.queue,
                    own_queue: &self.config.notify_queue,
                    message,
                    work: &work,
                    kind: Message::Notify,
                    begun,
                    metrics: &invocation.metrics,
                };
                failed.verdict(error.failure(), self.clock.now()).await
            }
        };
        verdict.kind("notify").delivery(id).intent(n)
    }
}

/// What is told of a hold goes into the log and the metrics.
fn note(event: &HoldEvent, counts: &MetricsRecorder) -> Verdict {
    let HoldEvent { delivery, resource, n, first_failure, detail, .. } = event;
    let since = first_failure.to_string();
    let (metric, outcome) = match event.event {
        HoldChange::Opened => {
            tracing::warn!(delivery, resource, n, since, detail, "hold opened: the client must mend it");
            (&metrics::HOLDS_OPENED, "hold_opened")
        }
        HoldChange::Closed => {
            tracing::info!(delivery, resource, n, since, "hold closed: it works again");
            (&metrics::HOLDS_CLOSED, "hold_closed")
        }
        HoldChange::Expired => {
            tracing::warn!(delivery, resource, n, since, detail, "expired: nobody mended it in time");
            (&metrics::DELIVERIES_EXPIRED, "hold_expired")
        }
    };
    counts.count(metric, Some(delivery), 1);
    Verdict::done(outcome).kind("hold").delivery(delivery.as_str()).intent(*n)
}
