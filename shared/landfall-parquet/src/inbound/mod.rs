//! Parquet objects as inputs.
//!
//! An object is gathered whole, up to [`limits::PARQUET_BYTES`], as its footer stands at its end. The `parquet` crate decodes
//! it; what is ours is what the crate does not do:
//!
//! - Whatever the crate would follow without measure is measured first: the shape of the footer ([`crate::footer`]), and from
//!   the headers of pages what decoding takes ([`pages`]). No panic of the crate leaves [`crate::merge`].
//! - A value is kept as it is stored until it is known what the column can hold, and is held to the same rules as one of JSON:
//!   [`convert`] says which; [`text`] says how a rejected row is kept.
//!
//! An object is checked to its last value before a row of it enters a writer. Rows of a small one wait meanwhile; a large
//! one is walked twice.

mod assemble;
mod columns;
mod convert;
mod delta;
mod footer;
mod pages;
mod plan;
mod rescue;
mod rows;
mod scalar;
mod schema;
mod source;
mod survey;
mod text;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use bytes::Bytes;

use crate::column::StructNode;
use crate::fault::{Fault, Position, QuarantineReason};
use crate::given::Given;
use crate::input::Rows;
use crate::limits;
use crate::merge::Stop;
use crate::spec::MergeError;
use crate::stage::Stage;
use assemble::Unread;
use columns::Costs;
use convert::Tools;
use footer::Opened;
use plan::{Plan, Wishes};
use rescue::Rescue;
use rows::Walk;
use source::{Form, Source, contradiction};

pub(crate) use survey::survey;

/// What a Parquet object begins and ends with.
const MAGIC: &[u8] = b"PAR1";

/// An object that is refused as a whole.
#[derive(Debug)]
struct Refused {
    reason: QuarantineReason,
    detail: Cow<'static, str>,
}

impl Refused {
    #[cold]
    fn new(reason: QuarantineReason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// The same, at the row that was being read.
    fn at(self, row: Option<u64>) -> Stop {
        let position = row.map(row_position);
        Stop::Quarantine { reason: self.reason, detail: self.detail, position }
    }
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        refused.at(None)
    }
}

#[cold]
fn footer_error(detail: &'static str) -> Refused {
    Refused::new(QuarantineReason::ParquetFooter, detail)
}

#[cold]
fn data_error(detail: &'static str) -> Refused {
    Refused::new(QuarantineReason::ParquetData, detail)
}

/// A row that was sound is refused when it is read again: it must not be lost.
#[cold]
fn read_otherwise(row: u64) -> Stop {
    let message = format!("row {row} of a Parquet object was sound, and is not when it is read again");
    Stop::Failed(MergeError::Write { seq: 0, message })
}

/// The place of a row: it has no line, and stands at no one byte.
fn row_position(row: u64) -> Position {
    Position { line: row, byte_offset: 0 }
}

/// A step of an object's work ends where its records have taken this many bytes, or rows were passed over in such a number: the
/// caller may look at the clock.
const STEP_BYTES: u64 = 32 * 1024 * 1024;
const STEP_ROWS: u64 = 100_000;

/// Rows are read at once up to this many bytes of what every record takes, and as many of lists and texts.
const AT_ONCE_BYTES: u64 = 8 * 1024 * 1024;
/// What begins and ends with as few rows as these is not worth it.
const FEWEST_AT_ONCE: usize = 64;

/// A Parquet object that has been gathered.
#[derive(Debug)]
pub(crate) struct Inbound {
    opened: Arc<Opened>,
    plan: Plan,
    tools: Tools,
    /// What a record costs before its lists and texts.
    record_bytes: u64,
    /// What the rows so far have cost.
    decoded: u64,
    /// How many rows are next tried at once.
    at_once: usize,
    phase: Phase,
    /// Rows that were rejected: they are not written.
    refused: BTreeMap<u64, Box<Fault>>,
}

/// What is being done with an object.
#[derive(Debug)]
enum Phase {
    /// All rows are read; as long as they are few enough, they wait.
    Reading(Progress),
    /// Once more all rows, for the text of those that were refused, of which so many are left.
    Keeping(Progress, usize),
    /// Once more all rows, as they did not wait.
    Writing(Progress),
    Done,
}

/// How far a walk has come.
#[derive(Debug)]
struct Progress {
    walk: Walk,
    /// Decoded rows, the number of the first, and how many of them are done.
    batch: Option<(u64, RecordBatch, usize)>,
}

impl Progress {
    fn new(opened: &Arc<Opened>, wanted: &[bool]) -> Self {
        Self { walk: Walk::new(opened.clone(), wanted), batch: None }
    }

    /// Rows that are to be done; `None` after the last.
    fn take(&mut self) -> Result<Option<(u64, RecordBatch, usize)>, Refused> {
        match self.batch.take() {
            Some(batch) => Ok(Some(batch)),
            None => Ok(self.walk.next()?.map(|(first, batch)| (first, batch, 0))),
        }
    }

    /// Of these rows so many are done.
    fn leave(&mut self, first: u64, batch: RecordBatch, done: usize) {
        if done < batch.num_rows() {
            self.batch = Some((first, batch, done));
        }
    }
}

impl Inbound {
    /// Reads the footer, and finds the columns of the contract.
    pub(crate) fn open(object: Vec<u8>, stage: &Stage, rows: &Rows) -> Result<Self, Stop> {
        let opened = Arc::new(Opened::new(Bytes::from(object))?);
        let policy = stage.policy();
        let plan = Plan::new(
            stage.records(),
            &opened.root,
            Wishes {
                unknown: stage.unknown_fields(),
                policy: policy.on_violation,
                text: stage.given().wants_text(),
            },
        );
        if let Err(Refused { reason: QuarantineReason::Violation(code), .. }) = &plan {
            rows.drift(*code, policy)?;
        }
        let plan = plan?;
        let progress = Progress::new(&opened, &plan.wanted);
        Ok(Self {
            opened,
            plan,
            tools: Tools::new(stage.duplicate_keys()),
            record_bytes: stage.records().slot_bytes(),
            decoded: 0,
            at_once: usize::MAX,
            phase: Phase::Reading(progress),
            refused: BTreeMap::new(),
        })
    }

    /// About what its rows take when they are decoded, in bytes.
    pub(crate) fn decoded(&self) -> u64 {
        self.decoded
    }

    /// Does the next part of the work; false when nothing is left.
    pub(crate) fn step(&mut self, stage: &mut Stage, rows: &mut Rows) -> Result<bool, Stop> {
        match std::mem::replace(&mut self.phase, Phase::Done) {
            Phase::Reading(progress) => self.read(progress, stage, rows)?,
            Phase::Keeping(progress, left) => self.keep(progress, left, stage, rows)?,
            Phase::Writing(progress) => self.write(progress, stage, rows)?,
            Phase::Done => {}
        }
        Ok(!matches!(self.phase, Phase::Done))
    }

    /// Reads rows.
    fn read(&mut self, mut progress: Progress, stage: &mut Stage, rows: &mut Rows) -> Result<(), Stop> {
        let enough = self.decoded.saturating_add(STEP_BYTES);
        while self.decoded < enough {
            let Some((first, batch, mut done)) = progress.take()? else {
                if self.refused.is_empty() {
                    self.read_whole(stage, rows);
                } else {
                    let progress = Progress::new(&self.opened, &vec![true; self.opened.root.leaves.end]);
                    self.phase = Phase::Keeping(progress, self.refused.len());
                }
                return Ok(());
            };
            let source = Source::of(&batch)?;
            let mut at_once = self.takes_many(stage, rows);
            while done < batch.num_rows() && self.decoded < enough {
                if at_once {
                    let count = self.rows(stage, rows, &source, done..batch.num_rows());
                    done += count;
                    at_once = count > 0 || self.fewer();
                    continue;
                }
                let number = first + done as u64;
                if let Some(fault) = self.record(stage, rows, &source, done, number)? {
                    rows.refuse(&fault, stage.policy(), row_position(number))?;
                    self.refused.insert(number, fault);
                }
                let cost = self.record_bytes.saturating_add(self.tools.budget.spent());
                self.decoded = self.decoded.saturating_add(cost);
                self.bound().map_err(|refused| refused.at(Some(number)))?;
                if rows.weigh_too_much() {
                    stage.check_only(rows);
                }
                done += 1;
            }
            progress.leave(first, batch.clone(), done);
        }
        self.phase = Phase::Reading(progress);
        Ok(())
    }

    /// Whether rows can be taken many at a time: nothing of landfall's own stands beside their columns, nothing is decided by
    /// what a record holds.
    fn takes_many(&self, stage: &Stage, rows: &Rows) -> bool {
        !rows.check_only
            && self.plan.rescued.is_none()
            && stage.takes_batches()
            && !stage.given().wants_text()
            && stage.records().fields.iter().all(|field| !field.given)
    }

    /// Reads the first ones of the rows at once; how many, none if one of them must be looked at alone.
    fn rows(&mut self, stage: &mut Stage, rows: &mut Rows, source: &Source<'_>, left: Range<usize>) -> usize {
        let Form::Struct(sources) = &source.form else { return 0 };
        let room = self.most_decoded().saturating_sub(self.decoded).min(rows.room());
        let Self { plan, tools, record_bytes, decoded, at_once, .. } = self;
        let most = usize::try_from(AT_ONCE_BYTES / (*record_bytes).max(1)).unwrap_or(usize::MAX).max(1);
        let taken = left.start..left.end.min(left.start.saturating_add(most.min(*at_once)));
        let count = taken.len();
        let weight = stage.batch(rows, |records| {
            let mut costs = Costs::new(count, AT_ONCE_BYTES);
            columns::records(records, &plan.members, sources, taken, tools, &mut costs).ok()?;
            costs.weights(*record_bytes, room)
        });
        let Some(weight) = weight else {
            *at_once = count / 4;
            return 0;
        };
        *decoded = decoded.saturating_add(weight);
        *at_once = at_once.saturating_mul(2);
        count
    }

    /// After rows that were not taken at once: whether fewer may be. If not, the rest of the batch is read row by row.
    fn fewer(&mut self) -> bool {
        let enough = self.at_once >= FEWEST_AT_ONCE;
        self.at_once = self.at_once.max(FEWEST_AT_ONCE);
        enough
    }

    /// Everything was read, and may be delivered.
    fn read_whole(&mut self, stage: &mut Stage, rows: &mut Rows) {
        if rows.check_only {
            stage.begin_again(rows);
            self.phase = Phase::Writing(Progress::new(&self.opened, &self.plan.wanted));
        }
    }

    /// Keeps the text of rows that were refused.
    fn keep(
        &mut self,
        mut progress: Progress,
        mut left: usize,
        stage: &mut Stage,
        rows: &mut Rows,
    ) -> Result<(), Stop> {
        let mut passed = 0;
        while passed < STEP_ROWS {
            let next = if left == 0 { None } else { progress.take()? };
            let Some((first, batch, _)) = next else {
                self.read_whole(stage, rows);
                return Ok(());
            };
            let source = Source::of(&batch)?;
            let count = batch.num_rows() as u64;
            for (number, fault) in self.refused.range(first..first + count) {
                let row = usize::try_from(number - first).unwrap_or(usize::MAX);
                let text = text::row(&self.opened.root, &source, row, rows.room_for_rejected());
                let text = text.map_err(|refused| refused.at(Some(*number)))?;
                rows.keep(fault, row_position(*number), &text)?;
                left -= 1;
            }
            passed += count;
        }
        self.phase = Phase::Keeping(progress, left);
        Ok(())
    }

    /// Writes rows, until there is output to be taken.
    fn write(&mut self, mut progress: Progress, stage: &mut Stage, rows: &mut Rows) -> Result<(), Stop> {
        let written = stage.written();
        let mut passed = 0;
        while passed < STEP_ROWS && stage.written() <= written {
            let Some((first, batch, mut done)) = progress.take()? else { return Ok(()) };
            let source = Source::of(&batch)?;
            while done < batch.num_rows() && stage.written() <= written {
                let number = first + done as u64;
                if !self.refused.contains_key(&number) {
                    if self.record(stage, rows, &source, done, number)?.is_some() {
                        return Err(read_otherwise(number));
                    }
                    stage.write_large(rows)?;
                }
                done += 1;
                passed += 1;
            }
            progress.leave(first, batch.clone(), done);
        }
        self.phase = Phase::Writing(progress);
        Ok(())
    }

    /// Reads one row of a batch; its fault, when it is refused.
    fn record(
        &mut self,
        stage: &mut Stage,
        rows: &mut Rows,
        source: &Source<'_>,
        row: usize,
        number: u64,
    ) -> Result<Option<Box<Fault>>, Stop> {
        let Self { opened, plan, tools, record_bytes, .. } = self;
        let Form::Struct(sources) = &source.form else { return Err(contradiction().at(Some(number))) };
        let of_job = rows.next_number();
        stage.row(rows, |records: &mut StructNode, given: &Given| {
            tools.budget.clear();
            let mut read = || -> Result<u64, Unread> {
                let mut rescue = plan.rescued.as_ref().map(|_| Rescue::new(&opened.root)).transpose()?;
                assemble::members(records, &plan.members, sources, row, tools, rescue.as_mut())?;
                if let (Some(rescue), Some(places)) = (&mut rescue, &plan.rescued) {
                    places.iter().try_for_each(|place| rescue.keep(*place, sources, row, tools))?;
                }
                let wanted = given.wants_text().then(|| text::row(&opened.root, source, row, usize::MAX));
                let text = wanted.transpose()?.unwrap_or_default();
                given.fill(records, rescue.as_ref().map_or(&[], Rescue::kept), &text, &text, of_job);
                Ok(given.text_bytes(&text))
            };
            match read() {
                Ok(text) => Ok(Ok(record_bytes.saturating_add(tools.budget.spent()).saturating_add(text))),
                Err(Unread::Row(fault)) => Ok(Err(fault)),
                Err(Unread::Object(refused)) => Err(refused.at(Some(number))),
            }
        })
    }

    /// What the rows of an object of its length may come to.
    fn most_decoded(&self) -> u64 {
        let allowed = (self.opened.object.len() as u64).saturating_mul(limits::EXPANSION_RATIO);
        allowed.clamp(limits::PARQUET_EXPANSION_FLOOR, limits::OBJECT_BYTES)
    }

    /// The rows must not come to more than the object can be worth.
    fn bound(&self) -> Result<(), Refused> {
        if self.decoded > limits::OBJECT_BYTES {
            return Err(Refused::new(QuarantineReason::ObjectTooLarge, "more decoded bytes than the limit"));
        }
        if self.decoded > self.most_decoded() {
            return Err(Refused::new(
                QuarantineReason::ExpansionRatio,
                "more decoded bytes per byte of the object than the limit",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
