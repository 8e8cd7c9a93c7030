//! Telling a client: one message per queue and delivery of files, at least once, always with the same id.

use std::collections::BTreeMap;

use jiff::Timestamp;
use landfall_core::delivery::Delivery;
use landfall_core::error::{ErrorClass, PortError};
use landfall_core::hold::{self, Admission, Breakage, Holds, Work};
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::LedgerError;
use landfall_core::message::Notice;
use landfall_core::port::{Clock, Destinations, ObjectStore, OutgoingMessage, Purpose, Queue};
use landfall_core::record::{FORMAT, Notified, Receipt};
use landfall_core::standing::Standing;
use landfall_lambda::Failure;

/// A notice that could not be given.
#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// The log failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// One of our own queues failed.
    #[error(transparent)]
    Own(#[from] PortError),
    /// A client's queue, or the role before it, failed.
    #[error("delivery {delivery}, intent {n}: {source}")]
    Destination {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// The failure.
        source: PortError,
    },
    /// There is no receipt yet.
    #[error("delivery {delivery}, intent {n}: there is no receipt yet")]
    NoReceipt {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
    },
    /// The registry has no valid document for the delivery.
    #[error("delivery {delivery}, intent {n}: {reason}")]
    NoConfiguration {
        /// The delivery.
        delivery: String,
        /// The intent.
        n: u64,
        /// Why.
        reason: String,
    },
}

impl NoticeError {
    /// The treatment.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Ledger(error) => error.class(),
            Self::Destination { source, .. } => source.class(),
            Self::Own(_) | Self::NoReceipt { .. } => ErrorClass::Transient,
            Self::NoConfiguration { .. } => ErrorClass::ClientFixable,
        }
    }

    /// What becomes of the message.
    pub fn failure(&self) -> Failure {
        let class = self.class();
        Failure {
            class,
            reason: self.to_string(),
            breakage: self.breakage(),
            passes: matches!(class, ErrorClass::Transient | ErrorClass::Ambiguous),
            wait_seconds: None,
        }
    }

    /// What must be mended before this can go on; `None` when waiting is enough. A broken role or queue breaks the
    /// telling, not the data: both are noted under `queue`.
    pub fn breakage(&self) -> Option<Breakage> {
        match self {
            Self::Destination { source, .. } => match source.class() {
                ErrorClass::ClientFixable | ErrorClass::Permanent => Some(Breakage {
                    resource: hold::QUEUE.to_owned(),
                    class: source.class(),
                    code: source.code.clone(),
                    detail: source.to_string(),
                }),
                ErrorClass::Transient | ErrorClass::Ambiguous => None,
            },
            Self::NoConfiguration { .. } => Some(Breakage {
                resource: hold::CONFIGURATION.to_owned(),
                class: self.class(),
                code: Some("no_configuration".to_owned()),
                detail: self.to_string(),
            }),
            Self::Ledger(_) | Self::Own(_) | Self::NoReceipt { .. } => None,
        }
    }
}

/// What was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// This many queues, now.
    Now {
        /// Messages sent.
        sent: usize,
        /// Holds released by this success.
        released: usize,
    },
    /// All of them, before; or the number is retired.
    Before,
    /// The client's queues are held, and this is not the try that the hold allows.
    Gated {
        /// Before this nobody tries, UTC.
        until: Timestamp,
    },
}

/// Tells the client's queues of every part of intent `n` that they were not told of.
///
/// # Errors
/// When one queue fails, the others are told all the same; the next try tells all again, with the same ids. A later part
/// waits for the one before it.
pub(crate) async fn tell<S: ObjectStore, Q: Queue, D: Destinations, C: Clock + ?Sized>(
    holds: &Holds<'_, S, Q>,
    destinations: &D,
    clock: &C,
    delivery: &Delivery,
    n: u64,
    again: bool,
) -> Result<Told, NoticeError> {
    let (id, ledger) = (delivery.id.as_str(), holds.ledger());
    let (floor, _) = ledger.floor(id).await?;
    if n <= floor {
        return Ok(Told::Before);
    }
    let records = ledger.records(id, n).await?;
    let untold = Standing::untold_parts(&records);
    if untold.is_empty() {
        // Told, or given up.
        if records.iter().any(|name| matches!(name, RecordName::Notified(_))) {
            return Ok(Told::Before);
        }
        return Err(NoticeError::NoReceipt { delivery: id.to_owned(), n });
    }
    let (mut sent, mut released) = (0, 0);
    for part in untold {
        let receipt: Receipt = ledger.must_read(&keys::record(id, n, RecordName::Receipt(part))).await?;
        // A receipt without files (every input empty or quarantined) is nothing to wake an ETL for.
        let messages = if receipt.files.is_empty() || delivery.notify.queues.is_empty() {
            BTreeMap::new()
        } else {
            // The first part that is told proves the queues for the others.
            if sent == 0
                && let Admission::Gated { until } =
                    holds.admit(id, n, Work::Notice, again, clock.now()).await?
            {
                return Ok(Told::Gated { until });
            }
            send(destinations, delivery, n, &receipt).await?
        };
        sent += messages.len();
        // A receipt that tells nobody proves no queue; a document that names none needs none.
        let proven: &[&str] = if !messages.is_empty() || delivery.notify.queues.is_empty() {
            &[hold::QUEUE, hold::CONFIGURATION]
        } else {
            &[hold::CONFIGURATION]
        };
        released += holds.release(id, n, proven, clock.now()).await?;
        // Last: after it nobody comes back.
        let notified = Notified { version: FORMAT, at: clock.now(), messages, given_up: None };
        ledger.put_once(&keys::record(id, n, RecordName::Notified(part)), &notified).await?;
    }
    Ok(Told::Now { sent, released })
}

async fn send<D: Destinations>(
    destinations: &D,
    delivery: &Delivery,
    n: u64,
    receipt: &Receipt,
) -> Result<BTreeMap<String, String>, NoticeError> {
    let at_client = |source: PortError| NoticeError::Destination { delivery: delivery.id.clone(), n, source };
    let client = destinations.open(&delivery.access(), Purpose::Notify).await.map_err(at_client)?;
    let notice = Notice::of(receipt);
    let mut messages = BTreeMap::new();
    let mut failure = None;
    for queue in &delivery.notify.queues {
        let message = message(&queue.arn, &notice);
        for answer in client.queue.send(&queue.arn, std::slice::from_ref(&message)).await {
            match answer {
                Ok(message_id) => {
                    messages.insert(queue.arn.clone(), message_id);
                }
                // The other queues are told all the same.
                Err(error) => {
                    tracing::warn!(%error, queue = queue.arn, n, "client queue not told");
                    failure.get_or_insert(error);
                }
            }
        }
    }
    match failure {
        Some(source) => Err(at_client(source)),
        None => Ok(messages),
    }
}

/// The message for one queue: a FIFO queue orders by delivery and drops repeats of the same handing over.
fn message(arn: &str, notice: &Notice) -> OutgoingMessage {
    let fifo = arn.strip_suffix(".fifo").is_some();
    OutgoingMessage {
        body: notice.to_body(),
        group: fifo.then(|| notice.delivery.clone()),
        deduplication: fifo.then(|| notice.delivery_id.replace('/', "_")),
        delay_seconds: None,
    }
}
