//! Waiting until everything staged is delivered, and a full account when nothing moves any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use landfall_core::delivery::Delivery;
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::Ledger;
use landfall_core::port::ObjectStore;
use landfall_core::record::Hold;
use landfall_core::standing::Standing;

use crate::deployment::Deployment;
use crate::error::EmbeddedError;

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How far a delivery is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryProgress {
    /// The delivery.
    pub delivery: String,
    /// Staged objects that still stand in the staging bucket; the first page of a listing, so up to 1,000.
    pub waiting: usize,
    /// Intents under way.
    pub open: usize,
    /// Intents closed and announced.
    pub done: usize,
    /// What is on hold.
    pub holds: Vec<String>,
    /// All that stands in the log above the floor: a change of it is progress.
    records: BTreeMap<u64, BTreeSet<RecordName>>,
    floor: u64,
}

impl DeliveryProgress {
    /// Whether everything staged is delivered and announced.
    pub fn is_complete(&self) -> bool {
        self.waiting == 0 && self.open == 0
    }
}

impl fmt::Display for DeliveryProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { delivery, waiting, open, done, holds, .. } = self;
        write!(f, "{delivery}: {waiting} staged objects left, {open} intents open, {done} done")?;
        if !holds.is_empty() {
            write!(f, ", on hold: {}", holds.join(", "))?;
        }
        Ok(())
    }
}

/// The account of a stand-still.
#[derive(Debug, Clone)]
pub struct Standstill {
    /// For how long nothing changed.
    pub idle: Duration,
    /// How far each delivery is.
    pub progress: Vec<DeliveryProgress>,
    /// Holds, with what the client must mend.
    pub holds: Vec<Hold>,
    /// Messages in queues and dead-letter queues: name and number, without the empty ones.
    pub queues: Vec<(String, u64)>,
    /// The last lines of each function's log.
    pub logs: Vec<(String, Vec<String>)>,
}

impl fmt::Display for Standstill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "nothing changed for {} s, and not everything is delivered:", self.idle.as_secs())?;
        for progress in &self.progress {
            for (n, records) in &progress.records {
                if !records.contains(&RecordName::Notified(1)) {
                    let names: Vec<String> = records.iter().map(ToString::to_string).collect();
                    writeln!(f, "  {} intent {n}: {}", progress.delivery, names.join(" "))?;
                }
            }
            writeln!(f, "  {progress}")?;
        }
        for hold in &self.holds {
            writeln!(
                f,
                "  hold {}/{} since {}: {}",
                hold.delivery, hold.resource, hold.first_failure, hold.detail
            )?;
        }
        for (queue, messages) in &self.queues {
            writeln!(f, "  queue {queue}: {messages} messages")?;
        }
        for (function, lines) in &self.logs {
            writeln!(f, "  last lines of {function}:")?;
            for line in lines {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}

impl Deployment {
    /// Waits until everything staged for these deliveries is delivered and announced; `report` sees each change.
    ///
    /// # Errors
    /// When nothing changed for `patience`: with holds, queues and the last lines of the functions.
    pub async fn wait_until_delivered(
        &self,
        deliveries: &[&str],
        patience: Duration,
        mut report: impl FnMut(&[DeliveryProgress]),
    ) -> Result<(), EmbeddedError> {
        let mut last = Vec::new();
        let mut changed = Instant::now();
        loop {
            let now = self.progress(deliveries).await?;
            if now != last {
                report(&now);
                changed = Instant::now();
                last = now;
            }
            if last.iter().all(DeliveryProgress::is_complete) {
                return Ok(());
            }
            if changed.elapsed() > patience {
                let standstill = self.standstill(changed.elapsed(), last).await?;
                return Err(EmbeddedError::Standstill(Box::new(standstill)));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// How far these deliveries are.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn progress(&self, deliveries: &[&str]) -> Result<Vec<DeliveryProgress>, EmbeddedError> {
        let ledger = self.ledger()?;
        let mut progress = Vec::new();
        for delivery in self.deliveries().filter(|delivery| deliveries.contains(&delivery.id.as_str())) {
            progress.push(self.progress_of(&ledger, delivery).await?);
        }
        Ok(progress)
    }

    async fn progress_of<S: ObjectStore>(
        &self,
        ledger: &Ledger<S>,
        delivery: &Delivery,
    ) -> Result<DeliveryProgress, EmbeddedError> {
        let id = delivery.id.as_str();
        // The listing first: an object that is gone from it has its intent in the log that is read after.
        let staged = ledger.store().list(&self.staging()?, &delivery.source.prefix, None, None).await?;
        let view = ledger.view(id).await?;
        let holds = ledger.list_all(&keys::holds_prefix(id), None).await?;
        let mut open = 0;
        for (n, records) in &view.intents {
            if !is_done(ledger, id, *n, records).await? {
                open += 1;
            }
        }
        Ok(DeliveryProgress {
            delivery: id.to_owned(),
            waiting: staged.objects.len(),
            open,
            done: usize::try_from(view.floor).unwrap_or(usize::MAX).saturating_add(view.intents.len() - open),
            holds: holds.iter().filter_map(|hold| hold.key.rsplit('/').next().map(str::to_owned)).collect(),
            records: view.intents,
            floor: view.floor,
        })
    }

    async fn standstill(
        &self,
        idle: Duration,
        progress: Vec<DeliveryProgress>,
    ) -> Result<Standstill, EmbeddedError> {
        let ledger = self.ledger()?;
        let mut holds = Vec::new();
        for object in ledger.list_all(keys::HOLDS_PREFIX, None).await? {
            holds.extend(ledger.read::<Hold>(&object.key).await?.map(|(hold, _)| hold));
        }
        let observed = self.observe().await?;
        let queues = observed.queues.into_iter().filter(|(_, messages)| *messages > 0).collect();
        let logs =
            observed.functions.into_iter().map(|function| (function.name, function.last_lines)).collect();
        Ok(Standstill { idle, progress, holds, queues, logs })
    }
}

/// An intent is done when it is closed and announced, or when it is void and its inputs have returned.
async fn is_done<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &str,
    n: u64,
    records: &BTreeSet<RecordName>,
) -> Result<bool, EmbeddedError> {
    let standing = Standing::of(records);
    Ok(standing.is_over()
        || ledger.outcome(delivery, n, standing.generation).await?.is_some_and(|outcome| outcome.void))
}
