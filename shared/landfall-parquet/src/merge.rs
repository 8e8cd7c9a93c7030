//! The merge: inputs in, files out.
//!
//! Rows wait in columns until a batch of them is worth writing. An input's rows are undone as long as none of them has
//! entered a file, which holds for every input within [`limits::ISOLATED_BYTES`] and [`limits::ISOLATED_WEIGHT`] until it
//! ends. What is written when depends on the ordered stream of rows alone.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use landfall_core::layout::FileFormat;

use crate::contract::CompiledContract;
use crate::decode::{Decoder, Sink, Unpacked, Whole};
use crate::fault::{InputVerdict, Position, Quarantine, QuarantineReason, RejectedRow};
use crate::inbound::Inbound;
use crate::input::Rows;
use crate::output::OutputEvent;
use crate::records::Records;
use crate::spec::{Flow, InputInfo, MergeError, MergeSpec};
use crate::stage::Stage;

/// Why an input is not read further.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It is set aside.
    Quarantine { reason: QuarantineReason, detail: Cow<'static, str>, position: Option<Position> },
    /// The merge itself failed.
    Failed(MergeError),
}

impl Stop {
    /// A quarantine without a place.
    #[cold]
    pub(crate) fn quarantine(reason: QuarantineReason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Quarantine { reason, detail: detail.into(), position: None }
    }
}

/// One merge of one job. See the crate's documentation for the order of calls.
#[derive(Debug)]
pub struct Merge {
    stage: Stage,
    input: Option<Input>,
    rejected: Vec<RejectedRow>,
    rows: u64,
    rescued: u64,
    decoded_bytes: u64,
    /// What a decoder leaves to the next one.
    whole: Whole,
    /// Set when the merge ended, in whatever way.
    over: bool,
    /// Whether its files are about to end.
    finishing: bool,
}

/// The input that is being read.
#[derive(Debug)]
struct Input {
    decoder: Decoder,
    records: Records,
    rows: Rows,
    /// Whether its last byte has been pushed.
    ended: bool,
    /// The object, when it is Parquet and has ended.
    parquet: Option<Box<Inbound>>,
    /// The verdict, when it fell before the end.
    settled: Option<Quarantine>,
}

impl Merge {
    /// Begins a merge.
    ///
    /// # Errors
    /// [`MergeError::Contract`] and [`MergeError::Spec`]: permanent for the job.
    pub fn new(spec: MergeSpec) -> Result<Self, MergeError> {
        Self::begin(spec, false)
    }

    /// Begins a merge that encodes on a thread of its own, and on all processors when reading is over: for a machine with
    /// more than one. Its files are those of [`Merge::new`], to the byte.
    ///
    /// # Errors
    /// As [`Merge::new`], and [`MergeError::Spec`] when there is no thread.
    pub fn with_encoding_thread(spec: MergeSpec) -> Result<Self, MergeError> {
        Self::begin(spec, true)
    }

    fn begin(spec: MergeSpec, apart: bool) -> Result<Self, MergeError> {
        let contract = CompiledContract::new(&spec.config.contract)?;
        let contract = match spec.config.layout.format {
            FileFormat::Parquet => contract,
            FileFormat::Jsonl => contract.with_text(),
        };
        let stage = Stage::new(spec, contract, apart)?;
        Ok(Self {
            stage,
            input: None,
            rejected: Vec::new(),
            rows: 0,
            rescued: 0,
            decoded_bytes: 0,
            whole: Whole::default(),
            over: false,
            finishing: false,
        })
    }

    /// Begins the next input.
    ///
    /// # Errors
    /// [`MergeError::Order`] inside an input or after the end.
    pub fn begin_input(&mut self, input: InputInfo) -> Result<(), MergeError> {
        if self.over || self.input.is_some() {
            return Err(MergeError::Order("begin an input"));
        }
        self.input = Some(Input {
            decoder: Decoder::new(std::mem::take(&mut self.whole)),
            records: Records::new(),
            rows: self.stage.begin(input, self.rows),
            ended: false,
            parquet: None,
            settled: None,
        });
        Ok(())
    }

    /// Takes the next staged bytes of the input, in slices of any size.
    ///
    /// # Errors
    /// [`MergeError::Restart`] when a large input fails; [`MergeError::Write`]; [`MergeError::Order`].
    pub fn push(&mut self, chunk: &[u8]) -> Result<Flow, MergeError> {
        self.feed(|decoder, sink| decoder.push(chunk, sink))
    }

    /// Takes all of the input at once; [`Merge::end_input`] is next.
    ///
    /// # Errors
    /// As [`Merge::push`]; [`MergeError::Order`] behind other bytes of it.
    pub fn push_whole(&mut self, object: &Unpacked) -> Result<(), MergeError> {
        self.feed(|decoder, sink| decoder.push_whole(object, sink)).map(|_settled_or_not| ())
    }

    fn feed(
        &mut self,
        push: impl FnOnce(&mut Decoder, &mut Sink<'_>) -> Result<(), Stop>,
    ) -> Result<Flow, MergeError> {
        let Some(input) = self.input.as_mut().filter(|_| !self.over) else {
            return Err(MergeError::Order("push bytes"));
        };
        if input.settled.is_some() {
            return Ok(Flow::Settled);
        }
        let Input { decoder, records, rows, .. } = input;
        let stage = &mut self.stage;
        let outcome = push(decoder, &mut |bytes| {
            records.push(bytes, &mut |form, text, position| stage.record(rows, form, text, position))
        });
        match outcome {
            Ok(()) => Ok(Flow::More),
            Err(stop) => self.stopped(stop).map(|()| Flow::Settled),
        }
    }

    /// The input has been pushed to its end: does the next part of what is left to do. [`Flow::More`] as long as there is more;
    /// output is worth taking in between. [`Merge::end_input`] does whatever is left at once, so that this need not be called.
    ///
    /// # Errors
    /// As [`Merge::push`].
    pub fn settle(&mut self) -> Result<Flow, MergeError> {
        let Some(input) = self.input.as_mut().filter(|_| !self.over) else {
            return Err(MergeError::Order("settle an input"));
        };
        if input.settled.is_some() {
            return Ok(Flow::Settled);
        }
        let stage = &mut self.stage;
        let outcome = match &mut input.parquet {
            Some(parquet) => step(parquet, stage, &mut input.rows),
            None if input.ended => Ok(false),
            None => {
                input.ended = true;
                end(input, stage)
            }
        };
        match outcome {
            Ok(true) => Ok(Flow::More),
            Ok(false) => Ok(Flow::Settled),
            Err(stop) => self.stopped(stop).map(|()| Flow::Settled),
        }
    }

    /// Ends the input; what it came to.
    ///
    /// # Errors
    /// As [`Merge::push`].
    pub fn end_input(&mut self) -> Result<InputVerdict, MergeError> {
        if self.over || self.input.is_none() {
            return Err(MergeError::Order("end an input"));
        }
        while self.settle()? == Flow::More {}
        let Some(mut input) = self.input.take() else { return Err(MergeError::Order("end an input")) };
        let decoded = input.parquet.as_ref().map_or(input.decoder.decoded(), |parquet| parquet.decoded());
        self.decoded_bytes = self.decoded_bytes.saturating_add(decoded);
        self.whole = input.decoder.into_whole();
        if let Some(quarantine) = input.settled {
            return Ok(InputVerdict::Quarantined(quarantine));
        }
        self.rejected.append(&mut input.rows.rejected);
        self.rows += input.rows.accepted;
        self.rescued += input.rows.rescued;
        let (rows, rejected) = (input.rows.accepted, input.rows.rejected_count);
        if let Err(error) = self.stage.boundary() {
            self.over = true;
            return Err(error);
        }
        Ok(if rows == 0 && rejected == 0 {
            InputVerdict::Empty
        } else {
            InputVerdict::Merged { rows, rejected }
        })
    }

    /// Forgets the input that is being read, as if it had never begun: it could not be read to its end.
    ///
    /// # Errors
    /// [`MergeError::Restart`] when rows of it have entered a file.
    pub fn drop_input(&mut self) -> Result<(), MergeError> {
        let Some(input) = self.input.take().filter(|_| !self.over) else {
            return Err(MergeError::Order("drop an input"));
        };
        if input.rows.entered {
            self.over = true;
            return Err(MergeError::Restart { input: input.rows.index, verdict: None });
        }
        self.stage.undo(&input.rows);
        Ok(())
    }

    /// What was written since the last call.
    pub fn take_output(&mut self) -> Vec<OutputEvent> {
        self.stage.take_output()
    }

    /// The rows rejected since the last call, of inputs that ended. Those of a quarantined input are not among them: it is
    /// kept whole.
    pub fn take_rejected(&mut self) -> Vec<RejectedRow> {
        std::mem::take(&mut self.rejected)
    }

    /// Between two inputs: whether the merge must end here, so that the inputs left over are planned again. Without routing
    /// by record that is when a file has been finished and no row waits for another; with it, when one more input could
    /// exceed [`crate::limits::PARTITIONS`]. With a unique key also when one more could exceed [`crate::limits::UNIQUE_KEYS`].
    pub fn should_stop(&self) -> bool {
        self.stage.is_complete()
    }

    /// The bytes of all files so far, those of open ones estimated. Rows that still wait to be written, a few MB of
    /// columns at most between inputs, are not in it.
    ///
    /// # Errors
    /// [`MergeError::Write`].
    pub fn predicted_bytes(&mut self) -> Result<u64, MergeError> {
        self.stage.predicted_bytes()
    }

    /// Decoded bytes of all inputs that ended.
    pub fn decoded_bytes(&self) -> u64 {
        self.decoded_bytes
    }

    /// Rows accepted, of all inputs that ended.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows accepted of which a member is kept in [`landfall_core::contract::RESCUED`], of all inputs that ended.
    pub fn rescued(&self) -> u64 {
        self.rescued
    }

    /// Does the next part of [`Merge::finish`]: [`Flow::More`] as long as there is more, and output is worth taking in between.
    /// Whatever is left is done by that, so that this need not be called.
    ///
    /// # Errors
    /// As [`Merge::finish`].
    pub fn settle_files(&mut self) -> Result<Flow, MergeError> {
        if self.input.is_some() || (self.over && !self.finishing) {
            return Err(MergeError::Order("finish"));
        }
        if !self.over {
            self.over = true;
            self.stage.finish()?;
            self.finishing = true;
        }
        let more = self.stage.finishing().inspect_err(|_| self.finishing = false)?;
        Ok(if more { Flow::More } else { Flow::Settled })
    }

    /// Writes what waits and ends all files.
    ///
    /// # Errors
    /// [`MergeError::Order`] inside an input or a second time; [`MergeError::Write`].
    pub fn finish(&mut self) -> Result<(), MergeError> {
        while self.settle_files()? == Flow::More {}
        self.finishing = false;
        Ok(())
    }

    /// Settles the current input, or ends the merge when rows of it have entered a file.
    fn stopped(&mut self, stop: Stop) -> Result<(), MergeError> {
        let (reason, detail, position) = match stop {
            Stop::Quarantine { reason, detail, position } => (reason, detail.into_owned(), position),
            Stop::Failed(error) => {
                self.over = true;
                return Err(error);
            }
        };
        let Some(input) = self.input.as_mut() else { return Err(MergeError::Order("settle an input")) };
        let rows = input.rows.accepted + input.rows.rejected_count;
        let quarantine = Quarantine { reason, detail, position, rows };
        if input.rows.entered {
            self.over = true;
            let verdict = Some(InputVerdict::Quarantined(quarantine));
            return Err(MergeError::Restart { input: input.rows.index, verdict });
        }
        self.stage.undo(&input.rows);
        input.rows.rejected.clear();
        input.settled = Some(quarantine);
        Ok(())
    }
}

/// Reads what is left of an input after its last byte; true when there is more to do.
fn end(input: &mut Input, stage: &mut Stage) -> Result<bool, Stop> {
    let Input { decoder, records, rows, .. } = input;
    decoder.finish(&mut |bytes| {
        records.push(bytes, &mut |form, text, position| stage.record(rows, form, text, position))
    })?;
    let Some(object) = decoder.take_whole() else {
        records.finish(&mut |form, text, position| stage.record(rows, form, text, position))?;
        return Ok(false);
    };
    let parquet = input.parquet.insert(Box::new(guarded(|| Inbound::open(object, stage, rows))?));
    step(parquet, stage, rows)
}

/// Does the next part of the work on a Parquet object; true when there is more.
fn step(parquet: &mut Inbound, stage: &mut Stage, rows: &mut Rows) -> Result<bool, Stop> {
    if rows.large {
        // It was read before: what goes wrong now is the engine's own fault.
        parquet.step(stage, rows)
    } else {
        guarded(|| parquet.step(stage, rows))
    }
}

/// The reader of Parquet does not panic. Should it do so all the same, an object that others wrote must not end its neighbours.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Stop>) -> Result<T, Stop> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Stop::quarantine(QuarantineReason::ParquetData, "the reader of Parquet gave up"))
    })
}
