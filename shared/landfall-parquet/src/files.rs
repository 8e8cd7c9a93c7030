//! Open files: rows in, bytes out, cut by size.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use landfall_core::file_name::{FileNamePattern, FileNameValues};
use landfall_core::partition::{self, Partition};
use sha2::{Digest as _, Sha256};

use crate::limits;
use crate::output::{FileOpened, FinishedFile, Outbox, OutputEvent};
use crate::route::PartitionId;
use crate::spec::{MergeError, MergeSpec};
use crate::writer::{Format, Learnt, ReadingOver, WriteFailed, Writer};

/// One open file.
struct OpenFile {
    seq: u32,
    partition: PartitionId,
    values: Partition,
    relative_key: String,
    writer: Box<dyn Writer>,
    rows: u64,
    /// The file's size as it stands, its unfinished row group estimated.
    size: u64,
    /// When it was last written to, in steps of [`Files::clock`].
    used: u64,
    /// Row groups that ended for want of memory.
    short_groups: u32,
}

impl OpenFile {
    fn measure(&mut self, learnt: Learnt) {
        self.size = self.writer.written() + learnt.apply(self.writer.in_progress());
    }

    /// Whether the file has reached `limit`. Only an estimate says so at first: then the group ends, which makes the
    /// size exact, and the file goes on unless it is there but for a 64th.
    fn reached(&mut self, limit: u64, learnt: &mut Learnt) -> Result<bool, MergeError> {
        if self.size < limit {
            return Ok(false);
        }
        self.flush(learnt)?;
        self.measure(*learnt);
        Ok(self.size.saturating_add(limit / 64) >= limit)
    }

    /// Ends the group.
    fn flush(&mut self, learnt: &mut Learnt) -> Result<(), MergeError> {
        let (estimate, before) = (self.writer.in_progress(), self.writer.written());
        self.writer.flush().map_err(|error| failed(self.seq, &error))?;
        learnt.add(estimate, self.writer.written().saturating_sub(before));
        Ok(())
    }
}

/// All files of a merge.
pub(crate) struct Files {
    format: Format,
    names: FileNamePattern,
    ending: &'static str,
    job_id: String,
    intent_hash: String,
    planned_at: jiff::Timestamp,
    target: u64,
    open: BTreeMap<u32, OpenFile>,
    opened: u32,
    finished: u32,
    finished_bytes: u64,
    /// Counts writes: what is least recently used depends on the row stream alone.
    clock: u64,
    learnt: Learnt,
    output: Outbox,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files")
            .field("open", &self.open.len())
            .field("finished", &self.finished)
            .finish_non_exhaustive()
    }
}

impl Files {
    /// No file is open. What is written goes to `output` at once.
    pub(crate) fn new(
        spec: MergeSpec,
        schema: SchemaRef,
        version: u32,
        over: ReadingOver,
        output: Outbox,
    ) -> Result<Self, MergeError> {
        let format =
            Format::new(&spec, schema, version, over).map_err(|error| MergeError::Spec(error.to_string()))?;
        let layout = spec.config.layout;
        let names =
            FileNamePattern::parse(&layout.file_name).map_err(|error| MergeError::Spec(error.to_string()))?;
        if layout.target_bytes == 0 || layout.row_group_bytes == 0 {
            return Err(MergeError::Spec("target size and row group size must be above 0".to_owned()));
        }
        Ok(Self {
            format,
            names,
            ending: layout.file_ending(),
            job_id: spec.job_id,
            intent_hash: spec.intent_hash,
            planned_at: spec.planned_at,
            target: layout.target_bytes,
            open: BTreeMap::new(),
            opened: 0,
            finished: 0,
            finished_bytes: 0,
            clock: 0,
            learnt: Learnt::new(),
            output,
        })
    }

    /// The size at which a file ends even inside an input.
    fn hard_end(&self) -> u64 {
        self.target.saturating_add(self.target / 5)
    }

    /// How many files are finished.
    pub(crate) fn finished(&self) -> u32 {
        self.finished
    }

    /// The size of all files, the open ones estimated.
    pub(crate) fn predicted_bytes(&self) -> u64 {
        self.finished_bytes + self.open.values().map(|file| file.size).sum::<u64>()
    }

    /// Partition and size of each open file.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (PartitionId, u64)> {
        self.open.values().map(|file| (file.partition, file.size))
    }

    fn find(&self, partition: PartitionId) -> Option<u32> {
        self.open.iter().find(|(_, file)| file.partition == partition).map(|(seq, _)| *seq)
    }

    /// Appends rows of a weight to the file of a partition, opening and ending files as the cutting rule says.
    pub(crate) fn write(
        &mut self,
        id: PartitionId,
        values: &Partition,
        rows: &RecordBatch,
        weight: u64,
    ) -> Result<(), MergeError> {
        let seq = match self.find(id) {
            Some(seq) => seq,
            None => self.begin(id, values, rows)?,
        };
        self.clock += 1;
        let (clock, hard_end) = (self.clock, self.hard_end());
        let Some(file) = self.open.get_mut(&seq) else {
            return Err(MergeError::Order("write to a closed file"));
        };
        file.used = clock;
        file.writer.write(rows, weight).map_err(|error| failed(seq, &error))?;
        file.rows += rows.num_rows() as u64;
        if file.writer.group_is_full(self.learnt) {
            file.flush(&mut self.learnt)?;
        }
        file.measure(self.learnt);
        let full = file.reached(hard_end, &mut self.learnt)?;
        if full {
            return self.end(seq);
        }
        self.bound_groups()?;
        self.bound_dictionaries()
    }

    /// An input ends here: files at or past the target end.
    pub(crate) fn boundary(&mut self) -> Result<(), MergeError> {
        let mut full = Vec::new();
        for (seq, file) in &mut self.open {
            if file.reached(self.target, &mut self.learnt)? {
                full.push(*seq);
            }
        }
        full.into_iter().try_for_each(|seq| self.end(seq))
    }

    /// Ends all files.
    pub(crate) fn finish(&mut self) -> Result<(), MergeError> {
        let all: Vec<u32> = self.open.keys().copied().collect();
        all.into_iter().try_for_each(|seq| self.end(seq))
    }

    /// Opens a file that begins with these rows.
    fn begin(&mut self, id: PartitionId, values: &Partition, rows: &RecordBatch) -> Result<u32, MergeError> {
        if self.open.len() >= limits::OPEN_FILES {
            let oldest = self.open.iter().min_by_key(|(_, file)| file.used).map(|(seq, _)| *seq);
            if let Some(seq) = oldest {
                self.end(seq)?;
            }
        }
        let seq = self.opened;
        self.opened += 1;
        let relative_key = format!("{}{}", partition::path(values), self.name(seq));
        let output = self.output.clone();
        let ready = Box::new(move |bytes| output(OutputEvent::Bytes { seq, bytes }));
        let writer = self.format.open(rows, ready).map_err(|error| failed(seq, &error))?;
        (self.output)(OutputEvent::Opened(FileOpened {
            seq,
            partition: values.clone(),
            relative_key: relative_key.clone(),
        }));
        let file = OpenFile {
            seq,
            partition: id,
            values: values.clone(),
            relative_key,
            writer,
            rows: 0,
            size: 0,
            used: 0,
            short_groups: 0,
        };
        self.open.insert(seq, file);
        Ok(seq)
    }

    /// The length of the longest name a file can have: all variables but the number have one length within a job.
    pub(crate) fn longest_name(&self) -> usize {
        self.name(u32::MAX).len()
    }

    /// The name of a file, with its ending.
    fn name(&self, seq: u32) -> String {
        let digest = |purpose: &str| Sha256::digest(format!("{}/{purpose}/{seq}", self.intent_hash));
        let uuid = uuid(&digest("uuid"));
        let hash = hex(&digest("hash"), 10);
        // One merge writes all files of a job: what Permutive calls a worker.
        let worker_id = hex(&Sha256::digest(format!("{}/worker", self.intent_hash)), 4);
        let values = FileNameValues {
            seq,
            uuid: &uuid,
            timestamp: self.planned_at,
            job_id: &self.job_id,
            worker_id: &worker_id,
            hash: &hash,
        };
        format!("{}{}", self.names.render(&values), self.ending)
    }

    fn end(&mut self, seq: u32) -> Result<(), MergeError> {
        let Some(mut file) = self.open.remove(&seq) else { return Ok(()) };
        file.writer.finish().map_err(|error| failed(seq, &error))?;
        let (bytes, crc64nvme) = file.writer.sum();
        let finished = FinishedFile {
            index: self.finished,
            seq: file.seq,
            partition: file.values,
            relative_key: file.relative_key,
            rows: file.rows,
            bytes,
            crc64nvme,
        };
        self.finished += 1;
        self.finished_bytes += finished.bytes;
        (self.output)(OutputEvent::Finished(finished));
        Ok(())
    }

    /// Ends groups until all unfinished ones together are within their bound.
    fn bound_groups(&mut self) -> Result<(), MergeError> {
        loop {
            let sizes = self.open.iter().map(|(seq, file)| (*seq, file.writer.in_progress()));
            if self.open.len() < 2
                || sizes.clone().map(|(_, size)| size).sum::<u64>() <= limits::OPEN_ROW_GROUP_BYTES
            {
                break;
            }
            let largest =
                sizes.max_by_key(|(seq, size)| (*size, std::cmp::Reverse(*seq))).map(|(seq, _)| seq);
            let Some(file) = largest.and_then(|seq| self.open.get_mut(&seq)) else { break };
            file.flush(&mut self.learnt)?;
            file.measure(self.learnt);
        }
        Ok(())
    }

    /// Ends groups until what the dictionaries of all unfinished ones take is within its bound, but for the newest: the
    /// partition of the last rows.
    fn bound_dictionaries(&mut self) -> Result<(), MergeError> {
        let mut room: u64 = self.open.values().map(|file| file.writer.room()).sum();
        while room > limits::OPEN_DICTIONARY_BYTES {
            let held = self.open.values_mut().filter(|file| file.writer.room() > 0 && file.used < self.clock);
            let Some(file) = held.min_by_key(|file| file.used) else { break };
            room = room.saturating_sub(file.writer.room());
            file.short_groups += 1;
            if file.short_groups >= limits::SHORT_GROUPS {
                let seq = file.seq;
                self.end(seq)?;
                continue;
            }
            file.flush(&mut self.learnt)?;
            file.measure(self.learnt);
        }
        Ok(())
    }
}

fn failed(seq: u32, error: &WriteFailed) -> MergeError {
    MergeError::Write { seq, message: error.to_string() }
}

fn hex(bytes: &[u8], count: usize) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().take(count).flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A UUID of version 8 (RFC 9562): the bytes of a hash, with version and variant set.
fn uuid(digest: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in digest.iter().take(16).enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let byte = match index {
            6 => (byte & 0x0f) | 0x80,
            8 => (byte & 0x3f) | 0x80,
            _ => *byte,
        };
        text.push_str(&hex(&[byte], 1));
    }
    text
}
