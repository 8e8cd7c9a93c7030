//! The holds of deliveries in the log: who may try, what failed, what works again.

use jiff::Timestamp;

use super::{Breakage, CONFIGURATION, QUEUE, clock, intent_of, is_of_destination};
use crate::due;
use crate::error::PortError;
use crate::keys;
use crate::ledger::{Ledger, LedgerError};
use crate::message::{HoldChange, HoldEvent, MESSAGE_FORM, Message, send_all};
use crate::port::{DeleteOutcome, ObjectStore, OutgoingMessage, Queue};
use crate::record::Hold;

/// How often a hold is written against other writers: a lost race means that it stands.
const ROUNDS: usize = 4;

/// A kind of work that holds gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Merging and committing: what brings rows into the client's bucket.
    Data,
    /// Telling the client's queues.
    Notice,
}

impl Work {
    /// Whether a hold gates this work on intent `n`. `configuration` gates nothing here: it is met before, when the registry
    /// is loaded.
    fn is_gated_by(self, resource: &str, n: u64) -> bool {
        match self {
            Self::Data => is_of_destination(resource) || intent_of(resource) == Some(n),
            Self::Notice => resource == QUEUE,
        }
    }
}

/// Whether work on a held delivery may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Nothing holds it.
    Free,
    /// It is the one try that the holds allow now.
    Probe,
    /// It may not: the hold wakes the planner in its time.
    Gated {
        /// Before this nobody may, UTC.
        until: Timestamp,
    },
}

/// The holds in the log, and the queue that is told of their changes.
#[derive(Debug)]
pub struct Holds<'a, S, Q> {
    ledger: &'a Ledger<S>,
    queue: &'a Q,
    notify_queue: &'a str,
}

impl<'a, S: ObjectStore, Q: Queue> Holds<'a, S, Q> {
    /// The holds in this log, told of on the queue of notices.
    pub fn new(ledger: &'a Ledger<S>, queue: &'a Q, notify_queue: &'a str) -> Self {
        Self { ledger, queue, notify_queue }
    }

    /// The log they stand in.
    pub fn ledger(&self) -> &'a Ledger<S> {
        self.ledger
    }

    /// Asks whether work on intent `n` may begin. After the wait of a hold the first who asks takes the try on himself, by
    /// rewriting the hold; the others find its next wait.
    ///
    /// `again` says that the message that asks was received before: whoever received it died without a word. If it had
    /// the try, it has it still: each death uses up a receive, and what kills whoever tries it is given up in the end
    /// instead of waiting behind a hold that it can never disprove.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn admit(
        &self,
        delivery: &str,
        n: u64,
        work: Work,
        again: bool,
        now: Timestamp,
    ) -> Result<Admission, LedgerError> {
        let (mut met, mut claimed_before) = (Vec::new(), false);
        for resource in self.names(delivery).await? {
            if !work.is_gated_by(&resource, n) {
                continue;
            }
            let key = keys::hold(delivery, &resource);
            let Some((hold, etag)) = self.ledger.read::<Hold>(&key).await? else { continue };
            let run_out = clock::has_run_out(&hold, now);
            if again && hold.n == n && hold.not_before > now && !run_out {
                claimed_before = true;
                continue;
            }
            if hold.not_before > now || run_out {
                return Ok(Admission::Gated { until: hold.not_before.max(now) });
            }
            met.push((key, hold, etag));
        }
        if met.is_empty() {
            return Ok(if claimed_before { Admission::Probe } else { Admission::Free });
        }
        // In the order of their names, as all others do: who loses one loses the first.
        for (key, hold, etag) in &met {
            let claimed = clock::claimed(hold, n, now);
            if !self.ledger.replace(key, &claimed, Some(etag)).await? {
                return Ok(Admission::Gated { until: now });
            }
        }
        Ok(Admission::Probe)
    }

    /// Notes a failure that somebody must mend, of work that began at `begun`; answers before when nobody tries again.
    ///
    /// # Errors
    /// When the log or the queue of notices fails. A lost race against another writer of the same hold is no error.
    pub async fn note(
        &self,
        delivery: &str,
        n: u64,
        breakage: &Breakage,
        begun: Timestamp,
        now: Timestamp,
    ) -> Result<Timestamp, LedgerError> {
        let key = keys::hold(delivery, &breakage.resource);
        let mut told = false;
        for _ in 0..ROUNDS {
            let hold = match self.ledger.read::<Hold>(&key).await? {
                None => {
                    let hold = clock::opened(delivery, n, breakage, now);
                    // Before it is written: whoever dies in between has told of a hold that the next failure opens.
                    if !told {
                        self.tell(HoldChange::Opened, &hold, n).await?;
                        told = true;
                    }
                    if !self.ledger.replace(&key, &hold, None).await? {
                        continue;
                    }
                    hold
                }
                Some((hold, etag)) => {
                    let after = clock::failed(&hold, n, breakage, begun, now);
                    if after != hold && !self.ledger.replace(&key, &after, Some(&etag)).await? {
                        continue;
                    }
                    after
                }
            };
            due::pull(self.ledger, delivery, hold.not_before, None, now).await?;
            return Ok(hold.not_before);
        }
        Ok(now)
    }

    /// Releases the holds of these resources after a success of intent `n` that proved them at `proven_at`: what failed first
    /// after it stays. Answers how many were released.
    ///
    /// # Errors
    /// When the log or the queue of notices fails.
    pub async fn release(
        &self,
        delivery: &str,
        n: u64,
        resources: &[&str],
        proven_at: Timestamp,
    ) -> Result<usize, LedgerError> {
        let mut released = 0;
        for resource in self.names(delivery).await? {
            if resources.contains(&resource.as_str()) {
                released += usize::from(self.release_one(delivery, n, &resource, proven_at).await?);
            }
        }
        Ok(released)
    }

    /// After the merge of intent `n`: the role let us in when it began, at `begun`. Bucket, key and catalog are proven by the
    /// commit that follows, which is let through at once where this merge was the probe. Answers how many holds were released.
    ///
    /// # Errors
    /// As [`Holds::release`].
    pub async fn release_merged(
        &self,
        delivery: &str,
        n: u64,
        begun: Timestamp,
        now: Timestamp,
    ) -> Result<usize, LedgerError> {
        let mut released = 0;
        for resource in self.names(delivery).await? {
            if resource == "role" || resource == CONFIGURATION {
                released += usize::from(self.release_one(delivery, n, &resource, begun).await?);
            } else if Work::Data.is_gated_by(&resource, n) {
                self.hand_on_one(delivery, n, &resource, now).await?;
            }
        }
        Ok(released)
    }

    /// Lets the next step of intent `n` through at once, where the step before it was the probe: what is held is proven by
    /// the last of them.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn hand_on(&self, delivery: &str, n: u64, now: Timestamp) -> Result<(), LedgerError> {
        for resource in self.names(delivery).await? {
            if Work::Data.is_gated_by(&resource, n) {
                self.hand_on_one(delivery, n, &resource, now).await?;
            }
        }
        Ok(())
    }

    async fn hand_on_one(
        &self,
        delivery: &str,
        n: u64,
        resource: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let key = keys::hold(delivery, resource);
        let Some((hold, etag)) = self.ledger.read::<Hold>(&key).await? else { return Ok(()) };
        if hold.n == n && hold.not_before > now {
            let handed_on = clock::handed_on(&hold, now);
            // Whoever rewrote it meanwhile is the probe himself.
            self.ledger.replace(&key, &handed_on, Some(&etag)).await?;
        }
        Ok(())
    }

    async fn release_one(
        &self,
        delivery: &str,
        n: u64,
        resource: &str,
        proven_at: Timestamp,
    ) -> Result<bool, LedgerError> {
        let key = keys::hold(delivery, resource);
        let Some((hold, etag)) = self.ledger.read::<Hold>(&key).await? else { return Ok(false) };
        if hold.first_failure > proven_at {
            return Ok(false);
        }
        // Before it is deleted: told at least once, never not at all.
        self.tell(HoldChange::Closed, &hold, n).await?;
        // A hold that was rewritten meanwhile stays: somebody is trying, or has failed again.
        Ok(self.ledger.delete(&key, &etag).await? == DeleteOutcome::Deleted)
    }

    /// All holds of a delivery.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn all(&self, delivery: &str) -> Result<Held, LedgerError> {
        let mut held = Held::default();
        for resource in self.names(delivery).await? {
            if let Some((hold, _)) = self.ledger.read::<Hold>(&keys::hold(delivery, &resource)).await? {
                held.0.push(hold);
            }
        }
        Ok(held)
    }

    /// Tells that intent `n` expired under a hold; before that is written.
    ///
    /// # Errors
    /// When the queue of notices fails.
    pub async fn tell_expired(&self, hold: &Hold, n: u64) -> Result<(), PortError> {
        self.tell(HoldChange::Expired, hold, n).await
    }

    /// Lets the clock of a hold start anew, for the next intent; its waits stay as long as they are.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn restart(&self, hold: &Hold, now: Timestamp) -> Result<(), LedgerError> {
        let key = keys::hold(&hold.delivery, &hold.resource);
        for _ in 0..ROUNDS {
            match self.ledger.read::<Hold>(&key).await? {
                Some((stands, etag)) if stands.first_failure == hold.first_failure => {
                    let anew = Hold { first_failure: now, ..stands };
                    if self.ledger.replace(&key, &anew, Some(&etag)).await? {
                        return Ok(());
                    }
                }
                // Released, or another planner was here.
                Some(_) | None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Deletes a hold whose expiry was told, as it was read.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn end(&self, hold: &Hold) -> Result<(), LedgerError> {
        let key = keys::hold(&hold.delivery, &hold.resource);
        if let Some((stands, etag)) = self.ledger.read::<Hold>(&key).await?
            && stands.first_failure == hold.first_failure
        {
            self.ledger.delete(&key, &etag).await?;
        }
        Ok(())
    }

    async fn names(&self, delivery: &str) -> Result<Vec<String>, LedgerError> {
        let listing = self.ledger.list_all(&keys::holds_prefix(delivery), None).await?;
        let name = |key: &str| key.rsplit('/').next().map(str::to_owned);
        Ok(listing.iter().filter_map(|object| name(&object.key)).collect())
    }

    async fn tell(&self, event: HoldChange, hold: &Hold, n: u64) -> Result<(), PortError> {
        let message = Message::Hold(HoldEvent {
            v: MESSAGE_FORM,
            event,
            delivery: hold.delivery.clone(),
            resource: hold.resource.clone(),
            n,
            first_failure: hold.first_failure,
            detail: hold.detail.clone(),
        });
        send_all(self.queue, self.notify_queue, &[OutgoingMessage::plain(message.to_body())]).await
    }
}

/// Ends the hold of one intent by the decision of an operator, who need not be told of it.
///
/// # Errors
/// When the log fails.
pub async fn dismiss<S: ObjectStore>(ledger: &Ledger<S>, delivery: &str, n: u64) -> Result<(), LedgerError> {
    let key = keys::hold(delivery, &super::of_intent(n));
    if let Some((_, etag)) = ledger.read_bytes(&key).await? {
        ledger.delete(&key, &etag).await?;
    }
    Ok(())
}

/// Lets a held destination be tried at once, with 72 hours of its own for what is tried: an operator has a reason.
///
/// # Errors
/// When the log fails.
pub async fn renew<S: ObjectStore>(
    ledger: &Ledger<S>,
    delivery: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    for object in ledger.list_all(&keys::holds_prefix(delivery), None).await? {
        if !is_of_destination(object.key.rsplit('/').next().unwrap_or_default()) {
            continue;
        }
        if let Some((hold, etag)) = ledger.read::<Hold>(&object.key).await? {
            let renewed = Hold { first_failure: now, not_before: now, ..hold };
            // Whoever rewrote it meanwhile is trying.
            ledger.replace(&object.key, &renewed, Some(&etag)).await?;
        }
    }
    Ok(())
}

/// How a delivery is held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held(pub Vec<Hold>);

impl Held {
    /// The holds of the destination: they gate merges, commits and planning.
    pub fn of_destination(&self) -> impl Iterator<Item = &Hold> {
        self.0.iter().filter(|hold| is_of_destination(&hold.resource))
    }

    /// When the destination may be tried next, UTC: every hold of it must let the probe through. `None` when it is not held.
    pub fn try_at(&self) -> Option<Timestamp> {
        self.of_destination().map(|hold| hold.not_before).max()
    }

    /// The hold of one intent alone.
    pub fn of_intent(&self, n: u64) -> Option<&Hold> {
        self.0.iter().find(|hold| intent_of(&hold.resource) == Some(n))
    }

    /// The hold under a resource.
    pub fn under(&self, resource: &str) -> Option<&Hold> {
        self.0.iter().find(|hold| hold.resource == resource)
    }
}
