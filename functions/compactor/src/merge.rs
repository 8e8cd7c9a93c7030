//! The execution of an intent: inputs in order through the engine into the client's hidden prefix, then one outcome.
//!
//! Whatever this execution does, only the outcome that was put first counts: a loser removes its own temps and
//! adopts the winner's.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use jiff::Timestamp;
use landfall_core::delivery::{Access, Delivery, ENGINE_FORMAT, PinnedConfig};
use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::hold::{Admission, Holds, Work};
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::{Ledger, PutOnce};
use landfall_core::port::{Bucket, Destinations, GetOutcome, ObjectBody as _, ObjectStore, Purpose, Queue};
use landfall_core::record::{FORMAT, Input, Intent, Outcome, OutcomeFile, Verdict};
use landfall_core::standing::Standing;
use landfall_lambda::Deadline;
use landfall_parquet::{Flow, InputInfo, InputVerdict, Merge, MergeError, MergeSpec};

use crate::error::WorkError;
use crate::input::{Fetched, READ_TRIES, fetch};
use crate::quarantine::QuarantineWriter;
use crate::staging::{StagedFiles, StagingTarget, remove_temps};

/// How many small objects are fetched ahead.
const PREFETCH: usize = 32;
/// Seconds before the deadline at which no further input is begun.
const MARGIN_SECONDS: u32 = 20;
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
    /// It ran out of time: nothing of it goes on until it is resumed.
    Expired,
    /// Its delivery is held, and this is not the try that the hold allows.
    Gated {
        /// Before this nobody tries, UTC.
        until: Timestamp,
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
    /// Objects quarantined.
    pub quarantined: u64,
    /// Whether inputs were freed, to be planned again.
    pub freed: bool,
}

/// Executes intent `n`.
///
/// # Errors
/// See [`WorkError`]; nothing is left behind but what a lifecycle rule removes.
pub(crate) async fn execute<S: ObjectStore, Q: Queue, D: Destinations>(
    holds: &Holds<'_, S, Q>,
    destinations: &D,
    staging: &Bucket,
    delivery: &Delivery,
    n: u64,
    execution: &str,
    deadline: &Deadline,
) -> Result<Execution, WorkError> {
    let ledger = holds.ledger();
    let (floor, _) = ledger.floor(&delivery.id).await?;
    if n <= floor {
        return Ok(Execution::Retired);
    }
    let standing = Standing::of(&ledger.records(&delivery.id, n).await?);
    if standing.expired {
        return Ok(Execution::Expired);
    }
    if standing.generation.is_some() {
        return Ok(Execution::Adopted);
    }
    if let Admission::Gated { until } =
        holds.admit(&delivery.id, n, Work::Data, deadline.clock().now()).await?
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

    let at_client = |source: PortError| WorkError::Destination {
        delivery: delivery.id.clone(),
        n,
        source: Box::new(source),
    };
    let access = pinned_access(delivery, &pin);
    let client = destinations.open(&access, Purpose::Stage).await.map_err(at_client)?;
    let mut target = StagingTarget {
        bucket: Bucket { name: pin.bucket.clone(), owner: access.account.clone() },
        temp_prefix: pin.temp_prefix.clone(),
        prefix: pin.prefix.clone(),
        n,
        execution: execution.to_owned(),
        capabilities: delivery.destination.capabilities,
        kms_key_arn: access.kms_key_arn.clone(),
        part_bytes: if pin.layout.routes_by_record() { ROUTED_PART_BYTES } else { PART_BYTES },
    };
    let run = Run { ledger, staging, delivery, intent: &intent, pin: &pin, deadline };

    // An input that fails after rows of it entered a file starts the execution again without it.
    let mut excluded: BTreeMap<usize, InputVerdict> = BTreeMap::new();
    // So does a connection that is cut then; with it, but not for ever.
    let mut cuts: BTreeMap<usize, u32> = BTreeMap::new();
    let mut round = 0_u32;
    loop {
        // Each round under keys of its own: what an earlier one left there is never taken for this one's.
        let execution = if round == 0 { execution.to_owned() } else { format!("{execution}-{round}") };
        target.execution.clone_from(&execution);
        round += 1;
        let mut files = StagedFiles::new(&client.store, &target);
        let mut quarantine = QuarantineWriter::new(ledger, &delivery.id, n, &execution);
        match run.once(&mut files, &mut quarantine, &excluded).await {
            Ok(Finished { verdicts, versions, raw_bytes }) => {
                let files = files.into_files();
                let rejected_rows = quarantine.finish().await?;
                let outcome = Outcome {
                    version: FORMAT,
                    delivery: delivery.id.clone(),
                    n,
                    generation: 1,
                    execution,
                    engine: ENGINE_FORMAT.to_owned(),
                    void: false,
                    consumed: verdicts.len(),
                    files,
                    verdicts,
                    versions,
                    rejected_rows,
                    raw_bytes,
                };
                let key = keys::record(&delivery.id, n, RecordName::Outcome(1));
                return Ok(match ledger.put_once(&key, &outcome).await? {
                    PutOnce::Ours => Execution::Decided(Box::new(report(&intent, &outcome))),
                    PutOnce::Theirs => {
                        let theirs: Outcome = ledger.must_read(&key).await?;
                        note_mismatch(&outcome.files, &theirs);
                        remove_temps(&client.store, &target.bucket, &outcome.files).await;
                        Execution::Adopted
                    }
                });
            }
            Err(Stop::Restart { input, verdict }) => {
                files.discard().await;
                match verdict {
                    Some(verdict) => {
                        excluded.insert(input, verdict);
                    }
                    None => run.count_cut(&mut cuts, input)?,
                }
            }
            Err(Stop::Client(source)) => {
                files.discard().await;
                return Err(at_client(source));
            }
            Err(Stop::Work(error)) => {
                files.discard().await;
                return Err(*error);
            }
        }
        if !deadline.has_time_for(MARGIN_SECONDS) {
            return Err(WorkError::OutOfTime { delivery: delivery.id.clone(), n, inputs: 0 });
        }
    }
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

/// Why a run over the inputs ended early.
enum Stop {
    Restart { input: usize, verdict: Option<InputVerdict> },
    Client(PortError),
    Work(Box<WorkError>),
}

impl<E: Into<WorkError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Work(Box::new(error.into()))
    }
}

struct Finished {
    verdicts: Vec<Verdict>,
    versions: Vec<Option<String>>,
    raw_bytes: u64,
}

/// What an input came to, and the version of it that was read.
type Settled = (Verdict, Option<String>);

struct Run<'a, S> {
    ledger: &'a Ledger<S>,
    staging: &'a Bucket,
    delivery: &'a Delivery,
    intent: &'a Intent,
    pin: &'a PinnedConfig,
    deadline: &'a Deadline,
}

impl<S: ObjectStore> Run<'_, S> {
    fn engine(&self, error: MergeError) -> Stop {
        match error {
            MergeError::Restart { input, verdict } => Stop::Restart { input, verdict },
            source => Stop::Work(Box::new(WorkError::Merge {
                delivery: self.delivery.id.clone(),
                n: self.intent.n,
                source,
            })),
        }
    }

    /// Feeds the inputs in order until the intent is done, or the first file of it is full.
    async fn once<T: ObjectStore>(
        &self,
        files: &mut StagedFiles<'_, T>,
        quarantine: &mut QuarantineWriter<'_, S>,
        excluded: &BTreeMap<usize, InputVerdict>,
    ) -> Result<Finished, Stop> {
        let spec = MergeSpec::for_intent(self.intent, self.pin.clone());
        let mut merge = Merge::new(spec).map_err(|error| self.engine(error))?;
        let mut verdicts = Vec::with_capacity(self.intent.inputs.len());
        let mut versions = Vec::with_capacity(self.intent.inputs.len());
        // By index: a closure over references would not be general enough for a `Send` stream.
        let fetches = (0..self.intent.inputs.len())
            .map(|index| fetch(self.ledger.store(), self.staging, self.intent.inputs.get(index)));
        let mut fetched = futures::stream::iter(fetches).buffered(PREFETCH);
        for (index, input) in self.intent.inputs.iter().enumerate() {
            if merge.should_stop() {
                break;
            }
            self.out_of_time(index)?;
            let ahead = match fetched.next().await {
                Some(ahead) => ahead?,
                None => Fetched::Absent,
            };
            let (verdict, version) = match (excluded.get(&index), ahead) {
                (Some(verdict), ahead) => {
                    (self.settle(quarantine, index, input, verdict.clone()).await?, ahead.version())
                }
                (None, Fetched::Absent) => (Verdict::Gone, None),
                (None, Fetched::Changed) => (Verdict::Superseded, None),
                (None, Fetched::Whole { chunks, version }) => {
                    self.begin(&mut merge, index, input)?;
                    for chunk in chunks {
                        let flow = merge.push(&chunk).map_err(|error| self.engine(error))?;
                        files.take(merge.take_output()).await.map_err(Stop::Client)?;
                        if flow == Flow::Settled {
                            break;
                        }
                    }
                    let verdict = merge.end_input().map_err(|error| self.engine(error))?;
                    (self.settle(quarantine, index, input, verdict).await?, version)
                }
                (None, Fetched::Large) => self.stream(&mut merge, files, quarantine, index, input).await?,
            };
            files.take(merge.take_output()).await.map_err(Stop::Client)?;
            quarantine.rows(&self.intent.inputs, merge.take_rejected()).await?;
            verdicts.push(verdict);
            versions.push(version);
        }
        merge.finish().map_err(|error| self.engine(error))?;
        files.take(merge.take_output()).await.map_err(Stop::Client)?;
        quarantine.rows(&self.intent.inputs, merge.take_rejected()).await?;
        Ok(Finished { verdicts, versions, raw_bytes: merge.decoded_bytes() })
    }

    fn begin(&self, merge: &mut Merge, index: usize, input: &Input) -> Result<(), Stop> {
        merge
            .begin_input(InputInfo { index, key: input.key.clone(), size: input.size })
            .map_err(|error| self.engine(error))
    }

    /// Counts a connection cut after rows of its object entered a file.
    fn count_cut(&self, cuts: &mut BTreeMap<usize, u32>, index: usize) -> Result<(), WorkError> {
        let tries = cuts.entry(index).or_default();
        *tries += 1;
        if *tries < READ_TRIES {
            return Ok(());
        }
        let key = self.intent.inputs.get(index).map(|input| input.key.clone()).unwrap_or_default();
        let subject = format!("s3://{}/{key}", self.staging.name);
        let source = PortError::new("read object", subject, PortErrorKind::Unavailable, "cut every time");
        Err(WorkError::Input { key, tries: *tries, source: Box::new(source) })
    }

    fn out_of_time(&self, inputs: usize) -> Result<(), WorkError> {
        if self.deadline.has_time_for(MARGIN_SECONDS) {
            return Ok(());
        }
        Err(WorkError::OutOfTime { delivery: self.delivery.id.clone(), n: self.intent.n, inputs })
    }

    /// Streams a large object; a cut connection starts it again.
    async fn stream<T: ObjectStore>(
        &self,
        merge: &mut Merge,
        files: &mut StagedFiles<'_, T>,
        quarantine: &mut QuarantineWriter<'_, S>,
        index: usize,
        input: &Input,
    ) -> Result<Settled, Stop> {
        let mut tries = 0;
        'again: loop {
            tries += 1;
            let (head, mut body) =
                match self.ledger.store().get(self.staging, &input.key, Some(&input.etag), None).await? {
                    GetOutcome::Absent => return Ok((Verdict::Gone, None)),
                    GetOutcome::Changed => return Ok((Verdict::Superseded, None)),
                    GetOutcome::Found(head, body) => (head, body),
                };
            self.begin(merge, index, input)?;
            loop {
                // A large object takes its time: ending in order aborts the uploads, being cut off does not.
                self.out_of_time(index)?;
                let chunk = match body.chunk().await {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) => break,
                    Err(source) if tries >= READ_TRIES => {
                        return Err(WorkError::Input {
                            key: input.key.clone(),
                            tries,
                            source: Box::new(source),
                        }
                        .into());
                    }
                    Err(error) => {
                        tracing::warn!(%error, key = input.key, tries, "read again");
                        // Rows that already entered a file cannot be taken back: that ends in a restart.
                        merge.drop_input().map_err(|error| self.engine(error))?;
                        continue 'again;
                    }
                };
                let flow = merge.push(&chunk).map_err(|error| self.engine(error))?;
                files.take(merge.take_output()).await.map_err(Stop::Client)?;
                if flow == Flow::Settled {
                    break;
                }
            }
            let verdict = merge.end_input().map_err(|error| self.engine(error))?;
            return Ok((self.settle(quarantine, index, input, verdict).await?, head.version_id));
        }
    }

    /// The verdict as the outcome records it; a quarantined object is kept first.
    async fn settle(
        &self,
        quarantine: &QuarantineWriter<'_, S>,
        index: usize,
        input: &Input,
        verdict: InputVerdict,
    ) -> Result<Verdict, Stop> {
        Ok(match verdict {
            InputVerdict::Merged { rows, rejected } => Verdict::Merged { rows, rejected },
            InputVerdict::Empty => Verdict::Empty,
            InputVerdict::Quarantined(reason) => {
                match quarantine.object(self.staging, index, input, &reason).await? {
                    Some(kept) => Verdict::Quarantined {
                        reason: reason.reason.as_str().to_owned(),
                        detail: reason.detail,
                        kept,
                        rows: reason.rows,
                    },
                    None => Verdict::Superseded,
                }
            }
        })
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
