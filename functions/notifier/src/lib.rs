//! The notifier: tells each client queue of what was delivered.
//!
//! Generic over the ports; `main.rs` chooses the adapters. Links neither arrow nor parquet.

mod config;
mod notice;

pub use config::NotifierConfig;
pub use notice::{NoticeError, Told};

use landfall_core::config_source::ConfigSource;
use landfall_core::error::ErrorClass;
use landfall_core::hold;
use landfall_core::ledger::Ledger;
use landfall_core::message::Message;
use landfall_core::port::{Clock, Destinations, ObjectStore};
use landfall_lambda::{Invocation, MessageHandler, SqsMessage, Verdict, metrics};
use tokio::sync::Mutex;

/// The notifier over its ports.
#[derive(Debug)]
pub struct Notifier<S, D, C> {
    config: NotifierConfig,
    ledger: Ledger<S>,
    destinations: D,
    clock: C,
    documents: Mutex<ConfigSource>,
}

impl<S: ObjectStore, D: Destinations, C: Clock> Notifier<S, D, C> {
    /// A notifier of this stack.
    pub fn new(config: NotifierConfig, store: S, destinations: D, clock: C) -> Self {
        let ledger = Ledger::new(store, config.state.clone());
        Self { config, ledger, destinations, clock, documents: Mutex::new(ConfigSource::default()) }
    }

    async fn tell(&self, id: &str, n: u64) -> Result<Told, NoticeError> {
        let registry = self.documents.lock().await.load(&self.ledger, &self.config.registry).await?;
        let delivery = registry.by_id(id).ok_or_else(|| NoticeError::NoConfiguration {
            delivery: id.to_owned(),
            n,
            reason: "the registry has no valid document for it".to_owned(),
        })?;
        notice::tell(&self.ledger, &self.destinations, &self.clock, delivery, n).await
    }

    /// A failure; one that the client must mend is written down as a hold.
    async fn failed(&self, id: &str, n: u64, error: &NoticeError, invocation: &Invocation) -> Verdict {
        let Some(breakage) = error.breakage() else {
            return Verdict::retry("failed", error.class(), error.to_string(), None);
        };
        invocation.metrics.count(&metrics::DELIVERIES_HELD, Some(id), 1);
        let wait = match hold::note(&self.ledger, id, n, &breakage, self.clock.now()).await {
            Ok(seconds) => Some(seconds),
            Err(log) => {
                tracing::error!(error = %log, delivery = id, "hold not written");
                None
            }
        };
        Verdict::retry("held", breakage.class, error.to_string(), wait)
    }
}

impl<S: ObjectStore, D: Destinations, C: Clock> MessageHandler for Notifier<S, D, C> {
    async fn handle(&self, message: &SqsMessage, invocation: &Invocation) -> Verdict {
        let (id, n) = match Message::parse(&message.body) {
            Ok(Message::Notify(work)) => (work.delivery, work.n),
            Ok(_) => {
                let reason = "a message for another function";
                return Verdict::retry("misdirected", ErrorClass::Permanent, reason, None).kind("notify");
            }
            Err(error) => {
                return Verdict::retry("malformed", ErrorClass::Permanent, error.to_string(), None)
                    .kind("notify");
            }
        };
        let verdict = match self.tell(&id, n).await {
            Ok(Told::Now { sent, released }) => {
                invocation.metrics.count(&metrics::NOTICES_SENT, Some(&id), sent as u64);
                Verdict::done("told").count("queues", sent as u64).count("released", released as u64)
            }
            Ok(Told::Before) => Verdict::done("told_before"),
            Err(error) => self.failed(&id, n, &error, invocation).await,
        };
        verdict.kind("notify").delivery(id).intent(n)
    }
}
