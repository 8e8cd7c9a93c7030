//! Rows that wait to be written, and the rules of when that happens.

use std::collections::{BTreeMap, VecDeque};

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use landfall_core::contract::{DuplicateKeys, UnknownFields};
use landfall_core::layout::FileFormat;

use crate::column::StructNode;
use crate::contract::CompiledContract;
use crate::encode::Encoder;
use crate::fault::{Checked, Fault, Position, QuarantineReason, ViolationCode};
use crate::files::Files;
use crate::given::Given;
use crate::input::{Policy, Rows};
use crate::limits;
use crate::merge::Stop;
use crate::output::OutputEvent;
use crate::read::RecordReader;
use crate::records::{Form, unmarked};
use crate::route::{PartitionId, Router, Unrouted};
use crate::slices::{by_partition, slice_weight};
use crate::spec::{InputInfo, MergeError, MergeSpec};
use crate::unique::UniqueKeys;
use crate::writer::ReadingOver;

/// Rows that wait, and the files they go to.
#[derive(Debug)]
pub(crate) struct Stage {
    contract: CompiledContract,
    reader: RecordReader,
    records: StructNode,
    router: Router,
    unique: UniqueKeys,
    files: Encoder,
    /// The columns of the files, where they are not all.
    kept: Option<Vec<usize>>,
    /// For each row that waits, its weight and partition.
    waiting: Vec<(u64, PartitionId)>,
    waiting_weight: u64,
    /// The weight that waits for each partition, where the record decides.
    partition_weights: BTreeMap<PartitionId, u64>,
    /// The weight of a batch that is worth writing.
    batch_weight: u64,
    /// The weight after which a file's size is looked at.
    slice_weight: u64,
    /// Batches that are being encoded, each with the number of its last command: their memory is used again.
    encoding: VecDeque<(u64, RecordBatch)>,
    target: u64,
    drift_from: usize,
}

impl Stage {
    /// Nothing waits, no file is open. `apart`: a thread of its own encodes.
    pub(crate) fn new(spec: MergeSpec, contract: CompiledContract, apart: bool) -> Result<Self, MergeError> {
        let mut router = Router::new(&spec, &contract).map_err(MergeError::Spec)?;
        let records = contract.empty_records();
        let given = Given::new(&spec.config.contract, spec.planned_at, &spec.job_id)
            .with_text(spec.config.layout.format == FileFormat::Jsonl);
        let unique = UniqueKeys::new(&spec.config.contract).map_err(MergeError::Contract)?;
        let (target, drift_from) = (spec.config.layout.target_bytes, spec.drift_from);
        let kept = kept(&spec, &contract);
        let schema = match &kept {
            Some(kept) => {
                contract.schema().project(kept).map_err(|error| MergeError::Spec(error.to_string()))?.into()
            }
            None => contract.schema(),
        };
        let over = ReadingOver::default();
        let open = |output| {
            let files = Files::new(spec, schema, contract.version, over.clone(), output)?;
            router.leave_room(files.longest_name());
            Ok(files)
        };
        let files = Encoder::new(open, apart.then(|| over.clone()))?;
        let slice_weight = slice_weight(target, records.slot_bytes());
        Ok(Self {
            reader: RecordReader::new(&records, &contract, given),
            records,
            // Rows of many partitions are gathered longer, so that each gets a fair batch.
            batch_weight: if router.by_record() { slice_weight * 8 } else { slice_weight },
            slice_weight,
            router,
            unique,
            files,
            contract,
            kept,
            waiting: Vec::new(),
            waiting_weight: 0,
            partition_weights: BTreeMap::new(),
            encoding: VecDeque::new(),
            target,
            drift_from,
        })
    }

    /// Begins an input: its rows come after those that wait, and after the `before` that the job has so far.
    pub(crate) fn begin(&mut self, input: InputInfo, before: u64) -> Rows {
        self.unique.begin();
        Rows::new(input, self.waiting.len(), self.router.begin(), before)
    }

    /// Whether no further input is wanted. Where the record decides, files of many partitions fill at their own pace: only
    /// the bounds of partitions and of unique keys end the merge. Otherwise it is done when a file is finished and no row waits
    /// for another.
    pub(crate) fn is_complete(&self) -> bool {
        if self.unique.is_full() {
            return true;
        }
        if self.router.by_record() {
            return self.router.is_full();
        }
        self.files.finished() > 0 && self.files.none_open() && self.waiting.is_empty()
    }

    /// The bytes of all files, those of open ones estimated.
    pub(crate) fn predicted_bytes(&mut self) -> Result<u64, MergeError> {
        self.files.wait()?;
        Ok(self.files.predicted_bytes())
    }

    /// What was written since the last call.
    pub(crate) fn take_output(&mut self) -> Vec<OutputEvent> {
        self.files.take_events()
    }

    /// Writes what waits and begins to end all files.
    pub(crate) fn finish(&mut self) -> Result<(), MergeError> {
        self.write()?;
        self.encoding.clear();
        self.files.finish()
    }

    /// Waits until more is written or all files have ended; whether there is more to come.
    pub(crate) fn finishing(&mut self) -> Result<bool, MergeError> {
        self.files.finishing()
    }

    /// Takes one record of the current input.
    pub(crate) fn record(
        &mut self,
        rows: &mut Rows,
        form: Form,
        line: &[u8],
        position: Position,
    ) -> Result<(), Stop> {
        let text = unmarked(line, position);
        if text.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            return Ok(());
        }
        if let Some(fault) = self.read_text(rows, text)? {
            let at = place(position, line, line.len() - text.len() + fault.at);
            if form == Form::Element && leaves_json_open(fault.code) {
                return Err(broken_array(&fault, at));
            }
            rows.refuse(&fault, self.policy(), at)?;
            rows.keep(&fault, at, line)?;
        }
        // Where the line ends, not how much is decoded: this must not depend on how the input was sliced.
        let end = position.byte_offset + line.len() as u64;
        rows.large = rows.large || end > limits::ISOLATED_BYTES || rows.weight > limits::ISOLATED_WEIGHT;
        self.write_large(rows)
    }

    fn read_text(&mut self, rows: &mut Rows, text: &[u8]) -> Result<Option<Box<Fault>>, Stop> {
        let before = self.records.len();
        let read = self.reader.read(text, rows.next_number(), &mut self.records);
        self.route(rows, before, read)
    }

    /// Takes one record that `read` appends to the columns, all of them, or refuses with a fault. Answers the fault for which
    /// the record is refused: nothing of it is left then.
    pub(crate) fn row(
        &mut self,
        rows: &mut Rows,
        read: impl FnOnce(&mut StructNode, &Given) -> Result<Checked<u64>, Stop>,
    ) -> Result<Option<Box<Fault>>, Stop> {
        let before = self.records.len();
        match read(&mut self.records, self.reader.given()) {
            Ok(read) => self.route(rows, before, read),
            Err(stop) => {
                self.records.truncate(before);
                Err(stop)
            }
        }
    }

    /// Whether no record decides by itself where it goes, nor whether: then [`Self::batch`] takes many at once.
    pub(crate) fn takes_batches(&self) -> bool {
        !self.router.by_record() && self.unique.is_none()
    }

    /// Takes records that `read` appends to the columns, if it answers the weight of each; all of them, or none. Answers
    /// what they weigh together.
    pub(crate) fn batch(
        &mut self,
        rows: &mut Rows,
        read: impl FnOnce(&mut StructNode) -> Option<Vec<u64>>,
    ) -> Option<u64> {
        let before = self.records.len();
        let read = read(&mut self.records).filter(|_| !rows.check_only && self.takes_batches());
        // Whoever reads them one by one is told why there is no partition.
        let routed = read.and_then(|weights| Some((weights, self.router.route(&self.records).ok()?)));
        let Some((weights, partition)) = routed else {
            self.records.truncate(before);
            return None;
        };
        let weight = weights.iter().sum();
        rows.accepted += weights.len() as u64;
        rows.weight += weight;
        self.waiting.extend(weights.into_iter().map(|weight| (weight, partition)));
        self.waiting_weight += weight;
        Some(weight)
    }

    /// Finds the partition of the last record, claims its unique key, and lets it wait.
    fn route(
        &mut self,
        rows: &mut Rows,
        before: usize,
        read: Checked<u64>,
    ) -> Result<Option<Box<Fault>>, Stop> {
        let routed = match read {
            Ok(weight) => self.admit(weight),
            Err(fault) => Err(Unrouted::Row(fault)),
        };
        match routed {
            Ok((weight, partition)) => {
                rows.accepted += 1;
                rows.rescued += u64::from(self.given().is_rescued(&self.records));
                rows.weight += weight;
                if rows.check_only {
                    self.records.truncate(before);
                    return Ok(None);
                }
                self.waiting.push((weight, partition));
                self.waiting_weight += weight;
                if self.router.by_record() {
                    *self.partition_weights.entry(partition).or_default() += weight;
                }
                Ok(None)
            }
            Err(Unrouted::Row(fault)) => {
                self.records.truncate(before);
                Ok(Some(fault))
            }
            Err(Unrouted::Object(stop)) => {
                self.records.truncate(before);
                Err(stop)
            }
        }
    }

    /// The partition of the last record, whose key is no other's from now on: not before it is known to have a partition.
    fn admit(&mut self, weight: u64) -> Result<(u64, PartitionId), Unrouted> {
        let key = self.unique.free_key(&self.records).map_err(Unrouted::Row)?;
        let partition = self.router.route(&self.records)?;
        self.unique.claim(key).map_err(Unrouted::Object)?;
        Ok((weight, partition))
    }

    /// Writes what waits when the input is large and it is worth it.
    pub(crate) fn write_large(&mut self, rows: &mut Rows) -> Result<(), Stop> {
        if rows.large && self.waiting_weight >= self.batch_weight {
            rows.entered = rows.entered || rows.accepted > 0;
            rows.mark = 0;
            self.write().map_err(Stop::Failed)?;
        }
        Ok(())
    }

    /// From here on the rows of the input are only checked: too many of them would wait. Their keys and partitions stay theirs,
    /// so that neither is counted twice.
    pub(crate) fn check_only(&mut self, rows: &mut Rows) {
        self.cut_off(rows);
        rows.check_only = true;
    }

    /// The input was checked to its end, and is read again: its rows may now enter files.
    pub(crate) fn begin_again(&mut self, rows: &mut Rows) {
        self.router.forget(rows.partitions);
        rows.partitions = self.router.begin();
        self.unique.forget();
        rows.accepted = 0;
        rows.rescued = 0;
        rows.weight = 0;
        rows.check_only = false;
        rows.large = true;
    }

    /// Empty columns, or those that wait: their types.
    pub(crate) fn records(&self) -> &StructNode {
        &self.records
    }

    /// What happens to members that the contract does not name.
    pub(crate) fn unknown_fields(&self) -> UnknownFields {
        self.contract.unknown_fields
    }

    /// What happens to keys that stand twice.
    pub(crate) fn duplicate_keys(&self) -> DuplicateKeys {
        self.contract.duplicate_keys
    }

    /// What happens to records that break the contract.
    pub(crate) fn policy(&self) -> Policy {
        Policy { on_violation: self.contract.on_violation, drift_from: self.drift_from }
    }

    /// What fills the columns that are landfall's own.
    pub(crate) fn given(&self) -> &Given {
        self.reader.given()
    }

    /// How much output waits for the caller.
    pub(crate) fn written(&self) -> usize {
        self.files.waiting()
    }

    /// Forgets the rows of an input none of which has entered a file.
    pub(crate) fn undo(&mut self, rows: &Rows) {
        self.cut_off(rows);
        self.router.forget(rows.partitions);
        self.unique.forget();
    }

    /// Cuts off the rows of an input that wait.
    fn cut_off(&mut self, rows: &Rows) {
        self.records.truncate(rows.mark);
        for (weight, partition) in self.waiting.drain(rows.mark.min(self.waiting.len())..) {
            self.waiting_weight = self.waiting_weight.saturating_sub(weight);
            if let Some(waiting) = self.partition_weights.get_mut(&partition) {
                *waiting = waiting.saturating_sub(weight);
            }
        }
        self.partition_weights.split_off(&rows.partitions);
    }

    /// An input ended well: writes what is worth it, and ends files that are full.
    pub(crate) fn boundary(&mut self) -> Result<(), MergeError> {
        let together = !self.router.by_record();
        if self.files.could_reach(self.target, self.waiting_weight, together) {
            self.files.wait()?;
        }
        if self.waiting_weight >= self.batch_weight || self.could_fill_a_file() {
            self.write()?;
        }
        // Far from the target no file ends here, and reading goes on while rows are encoded.
        if self.files.could_reach(self.target, 0, together) { self.files.boundary() } else { Ok(()) }
    }

    /// Whether the rows that wait could bring a file to its target. They never grow when they are encoded, so that no
    /// boundary at which a file is full is missed.
    fn could_fill_a_file(&self) -> bool {
        if !self.router.by_record() {
            let open = self.files.sizes().map(|(_, size)| size).sum::<u64>();
            return open.saturating_add(self.waiting_weight) >= self.target;
        }
        let waiting = |partition| self.partition_weights.get(&partition).copied().unwrap_or(0);
        self.files.sizes().any(|(partition, size)| {
            let weight = waiting(partition);
            weight > 0 && size.saturating_add(weight) >= self.target
        }) || (self.waiting_weight >= self.target
            && self.partition_weights.values().any(|weight| *weight >= self.target))
    }

    /// Writes all rows that wait.
    fn write(&mut self) -> Result<(), MergeError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        let weight = std::mem::take(&mut self.waiting_weight);
        self.partition_weights.clear();
        let spent = self.spent()?;
        let whole = self
            .records
            .finish_records(&self.contract.schema(), spent)
            .map_err(|error| MergeError::Write { seq: 0, message: error.to_string() })?;
        let batch = match &self.kept {
            Some(kept) => whole
                .project(kept)
                .map_err(|error| MergeError::Write { seq: 0, message: error.to_string() })?,
            None => whole.clone(),
        };
        for (partition, indices) in by_partition(&waiting) {
            let weights: Vec<u64>;
            let rows = match indices {
                None => {
                    weights = waiting.iter().map(|(weight, _)| *weight).collect();
                    batch.clone()
                }
                Some(indices) => {
                    let row = |index: &u32| usize::try_from(*index).ok().and_then(|index| waiting.get(index));
                    weights = indices.iter().filter_map(row).map(|(weight, _)| *weight).collect();
                    take_record_batch(&batch, &UInt32Array::from(indices))
                        .map_err(|error| MergeError::Write { seq: 0, message: error.to_string() })?
                }
            };
            self.write_partition(partition, &rows, &weights)?;
        }
        // What is larger than batches are is better given back; rows of many partitions are copies.
        if !self.router.by_record() && weight <= self.batch_weight.saturating_mul(2) {
            self.encoding.push_back((self.files.commands(), whole));
        }
        Ok(())
    }

    /// A batch that is encoded, if there is one.
    fn spent(&mut self) -> Result<Option<RecordBatch>, MergeError> {
        let done = self.files.done()?;
        let mut spent = None;
        while self.encoding.front().is_some_and(|(last, _)| *last <= done) {
            spent = self.encoding.pop_front().map(|(_, batch)| batch);
        }
        Ok(spent)
    }

    /// Writes rows of one partition, a slice at a time, so that the file's size is looked at often enough.
    fn write_partition(
        &mut self,
        id: PartitionId,
        rows: &RecordBatch,
        weights: &[u64],
    ) -> Result<(), MergeError> {
        let values = self.router.partition(id);
        let (mut start, mut weight) = (0, 0);
        for (index, row) in weights.iter().enumerate() {
            weight += row;
            if weight >= self.slice_weight || index + 1 == weights.len() {
                self.files.write(id, &values, rows.slice(start, index + 1 - start), weight)?;
                (start, weight) = (index + 1, 0);
            }
        }
        Ok(())
    }
}

/// The places of the columns that stand in the files, unless all do.
fn kept(spec: &MergeSpec, contract: &CompiledContract) -> Option<Vec<usize>> {
    let schema = contract.schema();
    if spec.config.layout.format == FileFormat::Jsonl {
        // The text is the last column.
        return Some(vec![schema.fields().len().saturating_sub(1)]);
    }
    let columns = spec.config.file_columns();
    (columns.len() < schema.fields().len())
        .then(|| columns.iter().filter_map(|column| schema.index_of(&column.name).ok()).collect())
}

/// Where in the object a byte of a record stands. Only a record that is an element can have several lines.
fn place(begin: Position, record: &[u8], at: usize) -> Position {
    let before = record.get(..at).unwrap_or(record);
    let lines = memchr::memchr_iter(b'\n', before).count() as u64;
    Position { line: begin.line + lines, byte_offset: begin.byte_offset + at as u64 }
}

/// Whether a fault ends the check of a record before all of it is known to be JSON. An array with such an element may be no
/// JSON document, and whatever follows may be no element.
fn leaves_json_open(code: ViolationCode) -> bool {
    matches!(
        code,
        ViolationCode::InvalidUtf8
            | ViolationCode::InvalidJson
            | ViolationCode::TooDeep
            | ViolationCode::RowTooLarge
    )
}

#[cold]
fn broken_array(fault: &Fault, at: Position) -> Stop {
    Stop::Quarantine {
        reason: QuarantineReason::Violation(fault.code),
        detail: format!("in an element of the array: {}", fault.detail).into(),
        position: Some(at),
    }
}

#[cfg(test)]
pub(crate) mod tests;
