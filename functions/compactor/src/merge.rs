//! The execution of an intent: inputs in order through the engine into the client's hidden prefix, then one outcome.
//!
//! Whatever this execution does, only the outcome that was put first counts: a loser removes its own temps and
//! adopts the winner's.

use jiff::Timestamp;
use landfall_core::contract::ViolationPolicy;
use landfall_core::delivery::{Access, Delivery, ENGINE_FORMAT, PinnedConfig};
use landfall_core::error::PortError;
use landfall_core::hold::{Admission, Holds, Work};
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::PutOnce;
use landfall_core::port::{Bucket, Destinations, ObjectStore, Purpose, Queue};
use landfall_core::record::{Intent, Outcome, OutcomeFile, Verdict};
use landfall_core::standing::Standing;
use landfall_lambda::{Invocation, SqsMessage};

use crate::config::CompactorConfig;
use crate::dead_letters::undone;
use crate::error::WorkError;
use crate::run::{Ran, Run};
use crate::staging::{StagingTarget, remove_temps};
use crate::{evolve, rebuild};

/// Parts of files of a delivery that writes one file at a time.
const PART_BYTES: usize = 16 << 20;
/// Parts of files of a delivery that routes rows: up to 64 files are open at once.
const ROUTED_PART_BYTES: usize = 5 << 20;

/// What an execution did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Execution {
    /// Its outcome stands.
    Decided(Box<MergeReport>),
    /// Another outcome stood already, or was first.
    Adopted,
    /// The number is retired.
    Retired,
    /// The intent ran out of time: nothing is made until an operator lets it go on.
    Expired,
    /// Its delivery is held, and this is not the try that the hold allows.
    Gated {
        /// Before this nobody tries, UTC.
        until: Timestamp,
    },
    /// It was decided, and what of its staged files was gone stands again.
    Rebuilt,
    /// It is void, by this or another execution: its inputs are planned again under an evolved contract.
    Evolved {
        /// The outcome that stands.
        outcome: Box<Outcome>,
    },
}

/// Counts of an execution whose outcome stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergeReport {
    /// Objects consumed.
    pub objects: u64,
    /// Bytes of them, as listed.
    pub bytes_in: u64,
    /// Records read: delivered or rejected.
    pub rows_in: u64,
    /// Files staged.
    pub files: u64,
    /// Bytes of them.
    pub bytes_out: u64,
    /// Rows in them.
    pub rows_out: u64,
    /// Rows rejected.
    pub rejected: u64,
    /// Rows delivered that hold what was rescued.
    pub rescued: u64,
    /// Objects quarantined.
    pub quarantined: u64,
    /// Whether inputs were freed, to be planned again.
    pub freed: bool,
}

/// Executes intent `n`; of one that is decided, makes anew what of its staged files is needed and gone.
///
/// # Errors
/// See [`WorkError`]; nothing is left behind but what a lifecycle rule removes.
pub(crate) async fn execute<S: ObjectStore, Q: Queue, D: Destinations>(
    holds: &Holds<'_, S, Q>,
    destinations: &D,
    config: &CompactorConfig,
    delivery: &Delivery,
    n: u64,
    message: &SqsMessage,
    invocation: &Invocation,
) -> Result<Execution, WorkError> {
    let (deadline, execution) = (&invocation.deadline, invocation.execution_id(message));
    let ledger = holds.ledger();
    let (floor, _) = ledger.floor(&delivery.id).await?;
    if n <= floor {
        return Ok(Execution::Retired);
    }
    let records = ledger.records(&delivery.id, n).await?;
    let standing = Standing::of(&records);
    if standing.expired && !standing.closed {
        return Ok(Execution::Expired);
    }
    let decided = rebuild::needed(ledger, &delivery.id, n, &records).await?;
    if decided.is_none() && standing.generation.is_some() {
        let outcome = match delivery.contract.on_violation {
            ViolationPolicy::Evolve => ledger.outcome(&delivery.id, n, standing.generation).await?,
            ViolationPolicy::Strict | ViolationPolicy::QuarantineRow | ViolationPolicy::Rescue => None,
        };
        return Ok(outcome.map_or(Execution::Adopted, adopted));
    }
    if let Admission::Gated { until } =
        holds.admit(&delivery.id, n, Work::Data, message.is_received_again(), deadline.clock().now()).await?
    {
        return Ok(Execution::Gated { until });
    }
    let intent = ledger.intent(&delivery.id, n).await?;
    let pin = ledger.pin(&delivery.id, &intent.pin).await?;
    if pin.engine != ENGINE_FORMAT {
        tracing::warn!(
            planned = pin.engine,
            running = ENGINE_FORMAT,
            n,
            "another engine build than the planner's"
        );
    }
    let access = pinned_access(delivery, &pin);
    let opened = destinations.open(&access, Purpose::Stage).await;
    let client = opened.map_err(|source| at_client(delivery, n, source))?;
    let target = StagingTarget {
        bucket: Bucket { name: pin.bucket.clone(), owner: access.account.clone() },
        temp_prefix: pin.temp_prefix.clone(),
        prefix: pin.prefix.clone(),
        n,
        execution,
        capabilities: delivery.destination.capabilities,
        kms_key_arn: access.kms_key_arn.clone(),
        media_type: pin.layout.media_type(),
        part_bytes: if pin.layout.routes_by_record() { ROUTED_PART_BYTES } else { PART_BYTES },
    };
    let run = Run {
        ledger,
        staging: &config.planner.staging,
        delivery,
        intent: &intent,
        pin: &pin,
        deadline,
        decided: decided.as_ref(),
        encoding_thread: config.encoding_thread,
    };
    if let Some(outcome) = &decided {
        return rebuild::rebuild(&run, &client.store, target, outcome, &records).await;
    }
    let (execution, bucket) = (target.execution.clone(), target.bucket.clone());
    let outcome = match run.make(&client.store, target).await? {
        Ran::Made(made) => made.outcome,
        Ran::Evolves(inference) => {
            let version = evolve::record(ledger, delivery, &intent, &inference).await?;
            Outcome { evolved: Some(version), ..undone(&intent, execution) }
        }
    };
    let key = keys::record(&delivery.id, n, RecordName::Outcome(1));
    Ok(match ledger.put_once(&key, &outcome).await? {
        PutOnce::Ours if outcome.void => adopted(outcome),
        PutOnce::Ours => Execution::Decided(Box::new(report(&intent, &outcome))),
        PutOnce::Theirs => {
            let theirs: Outcome = ledger.must_read(&key).await?;
            note_mismatch(&outcome.files, &theirs);
            remove_temps(&client.store, &bucket, &outcome.files).await;
            adopted(theirs)
        }
    })
}

/// What follows an outcome that stands already.
fn adopted(outcome: Outcome) -> Execution {
    if outcome.evolved.is_some() {
        Execution::Evolved { outcome: Box::new(outcome) }
    } else {
        Execution::Adopted
    }
}

/// A failed call in the client's account.
pub(crate) fn at_client(delivery: &Delivery, n: u64, source: PortError) -> WorkError {
    WorkError::Destination { delivery: delivery.id.clone(), n, source: Box::new(source) }
}

/// Access as configured now, to the bucket and prefixes the intent pinned.
fn pinned_access(delivery: &Delivery, pin: &PinnedConfig) -> Access {
    Access {
        bucket: pin.bucket.clone(),
        prefix: pin.prefix.clone(),
        temp_prefix: pin.temp_prefix.clone(),
        ..delivery.access()
    }
}

fn report(intent: &Intent, outcome: &Outcome) -> MergeReport {
    let rejected = outcome.rejected();
    let quarantined = outcome.verdicts.iter().filter(|v| matches!(v, Verdict::Quarantined { .. })).count();
    MergeReport {
        objects: outcome.consumed as u64,
        bytes_in: intent.inputs.iter().take(outcome.consumed).map(|input| input.size).sum(),
        rows_in: outcome.rows() + rejected,
        files: outcome.files.len() as u64,
        bytes_out: outcome.files.iter().map(|file| file.bytes).sum(),
        rows_out: outcome.rows(),
        rejected,
        rescued: outcome.rescued,
        quarantined: quarantined as u64,
        freed: outcome.consumed < intent.inputs.len(),
    }
}

/// The same engine build on the same inputs gives the same bytes; when it does not, somebody must know.
fn note_mismatch(ours: &[OutcomeFile], theirs: &Outcome) {
    let sums = |files: &[OutcomeFile]| files.iter().map(|file| file.crc64nvme.clone()).collect::<Vec<_>>();
    if theirs.engine == ENGINE_FORMAT && sums(ours) != sums(&theirs.files) {
        tracing::warn!(
            n = theirs.n,
            outcome_mismatch = 1,
            "two executions of one intent made different bytes"
        );
    }
}
