//! Merges that failed every time: an intent that cannot be executed gives its inputs back, and an object that cannot be
//! merged even alone is set aside.
//!
//! What comes here was received three times by executions that died, panicked or ran out of time: whatever has a class
//! is answered otherwise and burns no receive. The first outcome put decides, here as in a merge: an execution that was
//! only slow may still win, or finds that it lost.

use landfall_core::delivery::{ENGINE_FORMAT, Order};
use landfall_core::error::ErrorClass;
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::PutOnce;
use landfall_core::message::{Message, dispatch};
use landfall_core::port::{Clock, Destinations, ObjectStore, Queue};
use landfall_core::record::{self, FORMAT, Input, Intent, Outcome, PlanReason};
use landfall_core::standing::Standing;
use landfall_lambda::{Invocation, QueueUrls, SqsMessage, Verdict, metrics};
use landfall_parquet::{Quarantine, QuarantineReason};

use crate::Compactor;
use crate::error::WorkError;
use crate::quarantine::QuarantineWriter;
use crate::rebuild;

/// What the verdict on such a message calls it.
const KIND: &str = "dead_letter";

/// What became of an intent that could not be executed.
enum GivenUp {
    /// Nothing: it is retired, expired or given up by its operator.
    Over,
    /// Somebody decided it after all.
    Decided,
    /// It is void: its inputs are free again.
    Void,
    /// Its only input was set aside, or was not there any more.
    SetAside,
}

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock> Compactor<S, Q, D, C> {
    /// Whether a message comes from the queue of merges that failed every time.
    pub(crate) fn is_dead_letter(&self, message: &SqsMessage) -> bool {
        let failures = QueueUrls::new([self.config.work_failures_queue.clone()]);
        failures.of_arn(&message.receipt.source_arn).is_some()
    }

    /// Takes one of them. What is no merge comes back until it lies in the dead-letter queue.
    pub(crate) async fn take_dead_letter(&self, message: &SqsMessage, invocation: &Invocation) -> Verdict {
        let work = match Message::parse(&message.body) {
            Ok(Message::Merge(work)) => work,
            Ok(_) => {
                let reason = "not a merge".to_owned();
                return Verdict::retry("misdirected", ErrorClass::Permanent, reason, None).kind(KIND);
            }
            Err(error) => {
                return Verdict::retry("malformed", ErrorClass::Permanent, error.to_string(), None)
                    .kind(KIND);
            }
        };
        let (id, n, begun) = (work.delivery.as_str(), work.n, self.clock.now());
        let verdict = match self.give_up(id, n, message, invocation).await {
            Ok(given_up) => Verdict::done(match given_up {
                GivenUp::Over => "retired",
                GivenUp::Decided => "adopted",
                GivenUp::Void => "voided",
                GivenUp::SetAside => "set_aside",
            })
            .kind(KIND),
            Err(error) => {
                let from = self.config.work_failures_queue.as_str();
                self.failed_merge(from, message, &work, begun, &error, invocation).await.kind(KIND)
            }
        };
        verdict.delivery(id).intent(n)
    }

    async fn give_up(
        &self,
        id: &str,
        n: u64,
        message: &SqsMessage,
        invocation: &Invocation,
    ) -> Result<GivenUp, WorkError> {
        let (floor, _) = self.ledger.floor(id).await?;
        if n <= floor {
            return Ok(GivenUp::Over);
        }
        let records = self.ledger.records(id, n).await?;
        let standing = Standing::of(&records);
        // A merge of a decided intent makes vanished files anew; a commit would only ask for it again.
        if rebuild::needed(&self.ledger, id, n, &records).await?.is_some() {
            return Err(WorkError::RebuildDies { delivery: id.to_owned(), n });
        }
        if let Some(outcome) = self.ledger.outcome(id, n, standing.generation).await? {
            self.go_on(id, &outcome).await?;
            return Ok(GivenUp::Decided);
        }
        if standing.expired || standing.discarded {
            return Ok(GivenUp::Over);
        }

        let intent = self.ledger.intent(id, n).await?;
        let execution = invocation.execution_id(message);
        let ours = match intent.inputs.as_slice() {
            [input] => self.set_aside(&intent, input, execution).await?,
            _ => undone(&intent, execution),
        };
        let key = keys::record(id, n, RecordName::Outcome(1));
        match self.ledger.put_once(&key, &ours).await? {
            PutOnce::Theirs => {
                let theirs: Outcome = self.ledger.must_read(&key).await?;
                self.go_on(id, &theirs).await?;
                Ok(GivenUp::Decided)
            }
            PutOnce::Ours if ours.void => {
                tracing::warn!(delivery = id, n, inputs = intent.inputs.len(), "intent voided");
                invocation.metrics.count(&metrics::INTENTS_VOIDED, Some(id), 1);
                self.go_on(id, &ours).await?;
                Ok(GivenUp::Void)
            }
            PutOnce::Ours => {
                let set_aside = ours.verdicts.iter().filter(|verdict| is_quarantined(verdict)).count();
                invocation.metrics.count(&metrics::OBJECTS_QUARANTINED, Some(id), set_aside as u64);
                self.go_on(id, &ours).await?;
                Ok(GivenUp::SetAside)
            }
        }
    }

    /// What follows an outcome: a commit, or a plan of the inputs that are free again.
    pub(crate) async fn go_on(&self, id: &str, outcome: &Outcome) -> Result<(), WorkError> {
        let registry = self.registry().await?;
        let delivery = registry.by_id(id);
        // Without a document nothing is dispatched in a tenant's name; the work is found in the log when there is one.
        let tenant = delivery.map_or(id, |delivery| delivery.tenant.as_str());
        let commit =
            |n| dispatch(&self.queue, &self.config.planner.commit_queue, tenant, [Message::commit(id, n)]);
        if !outcome.void {
            commit(outcome.n).await?;
            return self.let_others_begin(id).await;
        }
        // In an ordered delivery the next one waits for this one to be closed, and it never will be.
        if delivery.is_some_and(|delivery| delivery.order == Order::Delivery) {
            commit(outcome.n.saturating_add(1)).await?;
        }
        // What is free again is as ripe as it was, or as much asked for: any plan takes it.
        self.ask_for_plan(id, PlanReason::Event).await
    }

    /// The outcome that sets the only input of an intent aside: by a copy that reads none of it.
    async fn set_aside(
        &self,
        intent: &Intent,
        input: &Input,
        execution: String,
    ) -> Result<Outcome, WorkError> {
        let staging = &self.config.planner.staging;
        let head = self.ledger.store().head(staging, &input.key).await;
        let (verdict, version) = match head
            .map_err(|error| WorkError::of_input(&intent.delivery, intent.n, &input.key, 1, error))?
        {
            None => (record::Verdict::Gone, None),
            Some(head) if head.etag != input.etag => (record::Verdict::Superseded, None),
            Some(head) => {
                let reason = Quarantine {
                    reason: QuarantineReason::Poison,
                    detail: "every execution that read it died, panicked or ran out of time".to_owned(),
                    position: None,
                    rows: 0,
                };
                let quarantine = QuarantineWriter::new(&self.ledger, &intent.delivery, intent.n, &execution);
                let kept =
                    quarantine.object(staging, 0, input, &reason).await.map_err(|error| match error {
                        WorkError::Own(error) => {
                            WorkError::of_input(&intent.delivery, intent.n, &input.key, 1, error)
                        }
                        error => error,
                    })?;
                match kept {
                    None => (record::Verdict::Superseded, None),
                    Some(kept) => {
                        let (detail, reason) = (reason.detail, reason.reason.as_str().to_owned());
                        (record::Verdict::Quarantined { reason, detail, kept, rows: 0 }, head.version_id)
                    }
                }
            }
        };
        Ok(Outcome {
            void: false,
            consumed: 1,
            verdicts: vec![verdict],
            versions: vec![version],
            ..undone(intent, execution)
        })
    }
}

/// The outcome of an intent that could not be executed at all.
pub(crate) fn undone(intent: &Intent, execution: String) -> Outcome {
    Outcome {
        version: FORMAT,
        delivery: intent.delivery.clone(),
        n: intent.n,
        generation: 1,
        execution,
        engine: ENGINE_FORMAT.to_owned(),
        void: true,
        consumed: 0,
        files: Vec::new(),
        verdicts: Vec::new(),
        versions: Vec::new(),
        rejected_rows: Vec::new(),
        rescued: 0,
        raw_bytes: 0,
        evolved: None,
    }
}

fn is_quarantined(verdict: &record::Verdict) -> bool {
    matches!(verdict, record::Verdict::Quarantined { .. })
}
