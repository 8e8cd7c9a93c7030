//! One run over the inputs of an intent, in order, through the engine into staged files. For a decided intent the verdicts
//! are fixed: what was set aside or gone is not read again, and nothing is set aside a second time.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use landfall_core::delivery::{Delivery, ENGINE_FORMAT, PinnedConfig};
use landfall_core::error::{PortError, PortErrorKind};
use landfall_core::ledger::Ledger;
use landfall_core::port::{Bucket, GetOutcome, ObjectBody as _, ObjectStore};
use landfall_core::record::{FORMAT, Input, Intent, Outcome, Verdict};
use landfall_lambda::Deadline;
use landfall_parquet::{Flow, Inference, InputInfo, InputVerdict, Merge, MergeError, MergeSpec};

use crate::error::WorkError;
use crate::evolve::asks_for_more;
use crate::input::{Fetched, READ_TRIES, fetch, open};
use crate::merge::at_client;
use crate::quarantine::QuarantineWriter;
use crate::staging::{StagedFiles, StagingTarget};

/// How many small objects are fetched ahead.
pub(crate) const PREFETCH: usize = 32;
/// Seconds before the deadline at which no further input is begun.
const MARGIN_SECONDS: u32 = 20;

/// Why a run over the inputs ended early.
enum Stop {
    Restart { input: usize, verdict: Option<InputVerdict> },
    Drift { input: usize },
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
    rescued: u64,
    raw_bytes: u64,
}

/// What an input came to, and the version of it that was read.
type Settled = (Verdict, Option<String>);

/// An intent about to be executed, and the world it is executed in.
pub(crate) struct Run<'a, S> {
    /// The log.
    pub ledger: &'a Ledger<S>,
    /// The staging bucket.
    pub staging: &'a Bucket,
    /// The delivery as configured now.
    pub delivery: &'a Delivery,
    /// What is to be merged.
    pub intent: &'a Intent,
    /// The configuration it was planned with.
    pub pin: &'a PinnedConfig,
    /// When the invocation ends.
    pub deadline: &'a Deadline,
    /// The outcome that decided it: its verdicts are fixed, and only its files are made anew.
    pub decided: Option<&'a Outcome>,
    /// Whether a thread of its own encodes.
    pub encoding_thread: bool,
}

/// What an execution made, before it counts.
pub(crate) struct Made {
    /// The outcome that it would put.
    pub outcome: Outcome,
    /// Where it staged the files.
    pub target: StagingTarget,
}

/// What the inputs of an intent came to.
pub(crate) enum Ran {
    /// Files, and what else there is to record.
    Made(Box<Made>),
    /// Nothing: the contract takes in what is new in them first.
    Evolves(Box<Inference>),
}

impl<S: ObjectStore> Run<'_, S> {
    /// Runs over the inputs until a run comes to its end. Files that count for nothing are removed.
    ///
    /// # Errors
    /// See [`WorkError`].
    pub(crate) async fn make<T: ObjectStore>(
        &self,
        store: &T,
        mut target: StagingTarget,
    ) -> Result<Ran, WorkError> {
        let (id, n, execution) = (self.delivery.id.as_str(), self.intent.n, target.execution.clone());
        // An input that fails after rows of it entered a file starts the execution again without it.
        let mut excluded: BTreeMap<usize, InputVerdict> = BTreeMap::new();
        // So does a connection that is cut then; with it, but not for ever.
        let mut cuts: BTreeMap<usize, u32> = BTreeMap::new();
        // What was decided once did not evolve.
        let mut drift_from = if self.decided.is_some() { usize::MAX } else { 0 };
        let mut round = 0_u32;
        loop {
            // Each round under keys of its own: what an earlier one left there is never taken for this one's.
            if round > 0 {
                target.execution = format!("{execution}-{round}");
            }
            round += 1;
            let mut files = StagedFiles::new(store, &target);
            let mut quarantine = QuarantineWriter::new(self.ledger, id, n, &target.execution);
            match self.once(&mut files, &mut quarantine, &excluded, drift_from).await {
                Ok(Finished { verdicts, versions, rescued, raw_bytes }) => {
                    let files = files.into_files();
                    let outcome = Outcome {
                        version: FORMAT,
                        delivery: id.to_owned(),
                        n,
                        generation: 1,
                        execution: target.execution.clone(),
                        engine: ENGINE_FORMAT.to_owned(),
                        void: false,
                        consumed: verdicts.len(),
                        files,
                        verdicts,
                        versions,
                        rejected_rows: quarantine.finish().await?,
                        rescued,
                        raw_bytes,
                        evolved: None,
                    };
                    return Ok(Ran::Made(Box::new(Made { outcome, target })));
                }
                Err(Stop::Restart { input, verdict }) => {
                    files.discard().await;
                    match verdict {
                        // It stands in the next round too. Should what it has a unique key in common with be gone by then, it is
                        // kept in quarantine all the same: no row is lost.
                        Some(verdict) => {
                            excluded.insert(input, verdict);
                        }
                        None => self.count_cut(&mut cuts, input)?,
                    }
                }
                Err(Stop::Drift { input }) => {
                    files.discard().await;
                    // All that the file was to be made of: one version, and not one for each input. Further on, if it takes
                    // more than that: twice as many each time.
                    let asked = self.intent.predicted.max(drift_from.saturating_mul(2)).max(input + 1);
                    let inference = self.infer(asked).await?;
                    if asks_for_more(&inference, self.pin) {
                        return Ok(Ran::Evolves(Box::new(inference)));
                    }
                    drift_from = asked;
                }
                Err(Stop::Client(source)) => {
                    files.discard().await;
                    return Err(at_client(self.delivery, n, source));
                }
                Err(Stop::Work(error)) => {
                    files.discard().await;
                    return Err(*error);
                }
            }
            self.out_of_time(0)?;
        }
    }

    /// The verdict of an input that a decided intent does not read again.
    fn unread(&self, index: usize) -> Option<(Verdict, Option<String>)> {
        let decided = self.decided?;
        let verdict = decided.verdicts.get(index)?;
        match verdict {
            Verdict::Merged { .. } | Verdict::Empty => None,
            Verdict::Gone | Verdict::Superseded | Verdict::Discarded | Verdict::Quarantined { .. } => {
                Some((verdict.clone(), self.version(index).map(str::to_owned)))
            }
        }
    }

    /// The version of an input that a decided intent read.
    fn version(&self, index: usize) -> Option<&str> {
        self.decided?.versions.get(index)?.as_deref()
    }

    /// The input to be read at this place.
    fn input(&self, index: usize) -> Option<&Input> {
        if self.unread(index).is_some() { None } else { self.intent.inputs.get(index) }
    }

    /// An input of a decided intent that nobody can read any more.
    fn gone(&self, input: &Input) -> Stop {
        Stop::Work(Box::new(WorkError::InputsGone {
            delivery: self.delivery.id.clone(),
            n: self.intent.n,
            key: input.key.clone(),
        }))
    }

    /// The files of a decided intent cannot be made as they were.
    pub(crate) fn differs(&self, detail: impl Into<String>) -> WorkError {
        WorkError::RebuildDiffers {
            delivery: self.delivery.id.clone(),
            n: self.intent.n,
            detail: detail.into(),
        }
    }

    /// Whether no further input is read: the merge has enough, or a decided intent consumed no more.
    fn has_enough(&self, merge: &Merge, index: usize) -> bool {
        self.decided.map_or_else(|| merge.should_stop(), |outcome| index >= outcome.consumed)
    }

    fn engine(&self, error: MergeError) -> Stop {
        match error {
            MergeError::Restart { input, verdict } => Stop::Restart { input, verdict },
            MergeError::Drift { input } => Stop::Drift { input },
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
        drift_from: usize,
    ) -> Result<Finished, Stop> {
        let spec = MergeSpec { drift_from, ..MergeSpec::for_intent(self.intent, self.pin.clone()) };
        let begun = if self.encoding_thread { Merge::with_encoding_thread(spec) } else { Merge::new(spec) };
        let mut merge = begun.map_err(|error| self.engine(error))?;
        let mut verdicts = Vec::with_capacity(self.intent.inputs.len());
        let mut versions = Vec::with_capacity(self.intent.inputs.len());
        // By index: a closure over references would not be general enough for a `Send` stream.
        let fetches = (0..self.intent.inputs.len())
            .map(|index| fetch(self.ledger.store(), self.staging, self.input(index), self.version(index)));
        let mut fetched = futures::stream::iter(fetches).buffered(PREFETCH);
        for (index, input) in self.intent.inputs.iter().enumerate() {
            if self.has_enough(&merge, index) {
                break;
            }
            self.out_of_time(index)?;
            let ahead = match fetched.next().await {
                Some(ahead) => ahead.map_err(|error| self.unread_input(input, READ_TRIES, error))?,
                None => Fetched::Absent,
            };
            if let Some((verdict, version)) = self.unread(index) {
                verdicts.push(verdict);
                versions.push(version);
                continue;
            }
            let (verdict, version) = match (excluded.get(&index), ahead) {
                (_, Fetched::Absent | Fetched::Changed) if self.decided.is_some() => {
                    return Err(self.gone(input));
                }
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
                    let verdict = self.end(&mut merge, files, index).await?;
                    (self.settle(quarantine, index, input, verdict).await?, version)
                }
                (None, Fetched::Large) => self.stream(&mut merge, files, quarantine, index, input).await?,
            };
            files.take(merge.take_output()).await.map_err(Stop::Client)?;
            self.set_aside(quarantine, &mut merge).await?;
            verdicts.push(verdict);
            versions.push(version);
        }
        while merge.settle_files().map_err(|error| self.engine(error))? == Flow::More {
            self.out_of_time(verdicts.len())?;
            files.take(merge.take_output()).await.map_err(Stop::Client)?;
        }
        merge.finish().map_err(|error| self.engine(error))?;
        files.take(merge.take_output()).await.map_err(Stop::Client)?;
        self.set_aside(quarantine, &mut merge).await?;
        Ok(Finished { verdicts, versions, rescued: merge.rescued(), raw_bytes: merge.decoded_bytes() })
    }

    /// Keeps rejected rows; those of a decided intent are kept already.
    async fn set_aside(
        &self,
        quarantine: &mut QuarantineWriter<'_, S>,
        merge: &mut Merge,
    ) -> Result<(), WorkError> {
        let rejected = merge.take_rejected();
        if self.decided.is_some() {
            return Ok(());
        }
        quarantine.rows(&self.intent.inputs, rejected).await
    }

    fn begin(&self, merge: &mut Merge, index: usize, input: &Input) -> Result<(), Stop> {
        merge
            .begin_input(InputInfo { index, key: input.key.clone(), size: input.size })
            .map_err(|error| self.engine(error))
    }

    /// Ends an input that was pushed to its end. What is read only then, as Parquet is, has its output taken in between.
    async fn end<T: ObjectStore>(
        &self,
        merge: &mut Merge,
        files: &mut StagedFiles<'_, T>,
        index: usize,
    ) -> Result<InputVerdict, Stop> {
        while merge.settle().map_err(|error| self.engine(error))? == Flow::More {
            self.out_of_time(index)?;
            files.take(merge.take_output()).await.map_err(Stop::Client)?;
        }
        merge.end_input().map_err(|error| self.engine(error))
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

    pub(crate) fn out_of_time(&self, inputs: usize) -> Result<(), WorkError> {
        if self.deadline.has_time_for(MARGIN_SECONDS) {
            return Ok(());
        }
        Err(WorkError::OutOfTime { delivery: self.delivery.id.clone(), n: self.intent.n, inputs })
    }

    /// An input that could not be read: refused for good, or for a while.
    pub(crate) fn unread_input(&self, input: &Input, tries: u32, source: PortError) -> WorkError {
        WorkError::of_input(&self.delivery.id, self.intent.n, &input.key, tries, source)
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
            let opened = open(self.ledger.store(), self.staging, input, self.version(index)).await;
            let (head, mut body) = match opened.map_err(|source| self.unread_input(input, tries, source))? {
                GetOutcome::Absent | GetOutcome::Changed if self.decided.is_some() => {
                    return Err(self.gone(input));
                }
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
                        return Err(self.unread_input(input, tries, source).into());
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
            let verdict = self.end(merge, files, index).await?;
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
            InputVerdict::Quarantined(reason) if self.decided.is_some() => {
                return Err(self
                    .differs(format!("{} is set aside now: {}", input.key, reason.detail))
                    .into());
            }
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
