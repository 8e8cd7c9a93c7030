//! Open Parquet files: rows in, bytes out, cut by size.

use std::collections::BTreeMap;
use std::io;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use landfall_core::delivery::ENGINE_FORMAT;
use landfall_core::file_name::{FileNamePattern, FileNameValues};
use landfall_core::layout::Compression;
use landfall_core::partition::{self, Partition};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use sha2::{Digest as _, Sha256};

use crate::dictionary::{leaf_paths, unrepeated};
use crate::limits;
use crate::output::{FileOpened, FinishedFile, OutputEvent};
use crate::route::PartitionId;
use crate::spec::{MergeError, MergeSpec};

/// Output is handed over in pieces of about this size.
const PIECE_BYTES: usize = 1024 * 1024;

/// Where a Parquet writer writes to: pieces that wait for the caller, and the checksum of all of them.
struct Pieces {
    waiting: Vec<u8>,
    done: Vec<Bytes>,
    crc: Digest,
    bytes: u64,
}

impl Pieces {
    fn new() -> Self {
        Self { waiting: Vec::new(), done: Vec::new(), crc: Digest::new(CrcAlgorithm::Crc64Nvme), bytes: 0 }
    }

    fn cut(&mut self) {
        if !self.waiting.is_empty() {
            let piece = std::mem::take(&mut self.waiting);
            self.crc.update(&piece);
            self.bytes += piece.len() as u64;
            self.done.push(Bytes::from(piece));
        }
    }
}

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE_BYTES {
            self.cut();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One open file.
struct OpenFile {
    seq: u32,
    partition: PartitionId,
    values: Partition,
    relative_key: String,
    writer: ArrowWriter<Pieces>,
    rows: u64,
    /// The file's size as it stands, its unfinished row group estimated.
    size: u64,
    /// When it was last written to, in steps of [`Files::clock`].
    used: u64,
}

/// How the estimates of row groups compared with what was then written: the writer counts dictionaries and its newest
/// pages uncompressed. Learnt from the row stream, so that it is the same in every run.
#[derive(Debug, Clone, Copy)]
struct Learnt {
    estimated: u64,
    written: u64,
}

impl Learnt {
    fn apply(self, estimate: u64) -> u64 {
        let exact = u128::from(estimate) * u128::from(self.written) / u128::from(self.estimated.max(1));
        u64::try_from(exact).unwrap_or(u64::MAX)
    }
}

impl OpenFile {
    fn in_progress(&self) -> u64 {
        self.writer.in_progress_size() as u64
    }

    fn measure(&mut self, learnt: Learnt) {
        self.size = self.writer.bytes_written() as u64 + learnt.apply(self.in_progress());
    }

    /// Whether the file has reached `limit`. Only an estimate says so at first: then the row group ends, which makes the
    /// size exact, and the file goes on unless it is there but for a 64th.
    fn reached(&mut self, limit: u64, learnt: &mut Learnt) -> Result<bool, MergeError> {
        if self.size < limit {
            return Ok(false);
        }
        self.flush(learnt)?;
        self.measure(*learnt);
        Ok(self.size.saturating_add(limit / 64) >= limit)
    }

    /// Ends the row group.
    fn flush(&mut self, learnt: &mut Learnt) -> Result<(), MergeError> {
        let (estimate, before) = (self.in_progress(), self.writer.bytes_written());
        self.writer.flush().map_err(|error| failed(self.seq, &error))?;
        learnt.estimated += estimate;
        learnt.written += (self.writer.bytes_written() - before) as u64;
        Ok(())
    }
}

/// All files of a merge.
pub(crate) struct Files {
    schema: SchemaRef,
    properties: WriterProperties,
    /// The leaf columns, in the order of the file.
    leaves: Vec<ColumnPath>,
    names: FileNamePattern,
    compression: Compression,
    job_id: String,
    intent_hash: String,
    planned_at: jiff::Timestamp,
    target: u64,
    row_group_bytes: u64,
    open: BTreeMap<u32, OpenFile>,
    opened: u32,
    finished: u32,
    finished_bytes: u64,
    /// Counts writes: what is least recently used depends on the row stream alone.
    clock: u64,
    learnt: Learnt,
    events: Vec<OutputEvent>,
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
    pub(crate) fn new(spec: MergeSpec, schema: SchemaRef, version: u32) -> Result<Self, MergeError> {
        let properties = properties(&spec, version)?;
        let layout = spec.config.layout;
        let names =
            FileNamePattern::parse(&layout.file_name).map_err(|error| MergeError::Spec(error.to_string()))?;
        if layout.target_bytes == 0 || layout.row_group_bytes == 0 {
            return Err(MergeError::Spec("target size and row group size must be above 0".to_owned()));
        }
        let leaves = leaf_paths(&schema).map_err(|error| MergeError::Spec(error.to_string()))?;
        Ok(Self {
            schema,
            properties,
            leaves,
            names,
            compression: layout.compression,
            job_id: spec.job_id,
            intent_hash: spec.intent_hash,
            planned_at: spec.planned_at,
            target: layout.target_bytes,
            row_group_bytes: layout.row_group_bytes,
            open: BTreeMap::new(),
            opened: 0,
            finished: 0,
            finished_bytes: 0,
            clock: 0,
            learnt: Learnt { estimated: 1, written: 1 },
            events: Vec::new(),
        })
    }

    /// The size at which a file ends even inside an input.
    fn hard_end(&self) -> u64 {
        self.target.saturating_add(self.target / 5)
    }

    /// What waits for the caller.
    pub(crate) fn take_events(&mut self) -> Vec<OutputEvent> {
        std::mem::take(&mut self.events)
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

    /// Appends rows to the file of a partition, opening and ending files as the cutting rule says.
    pub(crate) fn write(
        &mut self,
        id: PartitionId,
        values: &Partition,
        rows: &RecordBatch,
    ) -> Result<(), MergeError> {
        let seq = match self.find(id) {
            Some(seq) => seq,
            None => self.begin(id, values, rows)?,
        };
        self.clock += 1;
        let (clock, row_group_bytes, hard_end) = (self.clock, self.row_group_bytes, self.hard_end());
        let Some(file) = self.open.get_mut(&seq) else {
            return Err(MergeError::Order("write to a closed file"));
        };
        file.used = clock;
        file.writer.write(rows).map_err(|error| failed(seq, &error))?;
        file.rows += rows.num_rows() as u64;
        if file.in_progress() >= row_group_bytes {
            file.flush(&mut self.learnt)?;
        }
        file.measure(self.learnt);
        let full = file.reached(hard_end, &mut self.learnt)?;
        if full { self.end(seq) } else { self.bound_row_groups() }
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
        let writer =
            ArrowWriter::try_new_with_options(Pieces::new(), self.schema.clone(), self.options(rows))
                .map_err(|error| failed(seq, &error))?;
        self.events.push(OutputEvent::Opened(FileOpened {
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
        };
        self.open.insert(seq, file);
        Ok(seq)
    }

    /// How a file that begins with these rows is written.
    fn options(&self, rows: &RecordBatch) -> ArrowWriterOptions {
        let mut properties = self.properties.clone().into_builder();
        for path in unrepeated(rows).into_iter().filter_map(|leaf| self.leaves.get(leaf)) {
            properties = properties.set_column_dictionary_enabled(path.clone(), false);
        }
        ArrowWriterOptions::new()
            .with_properties(properties.build())
            // The Parquet schema says all there is to say; arrow's own copy would only lengthen every footer.
            .with_skip_arrow_metadata(true)
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
        let values = FileNameValues {
            seq,
            uuid: &uuid,
            timestamp: self.planned_at,
            job_id: &self.job_id,
            hash: &hash,
        };
        format!("{}{}", self.names.render(&values), self.compression.file_ending())
    }

    fn end(&mut self, seq: u32) -> Result<(), MergeError> {
        let Some(mut file) = self.open.remove(&seq) else { return Ok(()) };
        file.writer.finish().map_err(|error| failed(seq, &error))?;
        drain(&mut file, &mut self.events);
        let pieces = file.writer.inner();
        let finished = FinishedFile {
            index: self.finished,
            seq: file.seq,
            partition: file.values,
            relative_key: file.relative_key,
            rows: file.rows,
            bytes: pieces.bytes,
            crc64nvme: pieces.crc.finalize(),
        };
        self.finished += 1;
        self.finished_bytes += finished.bytes;
        self.events.push(OutputEvent::Finished(finished));
        Ok(())
    }

    /// Ends row groups until all unfinished ones together are within their bound, and hands over what is written.
    fn bound_row_groups(&mut self) -> Result<(), MergeError> {
        loop {
            let sizes = self.open.iter().map(|(seq, file)| (*seq, file.in_progress()));
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
        for file in self.open.values_mut() {
            drain(file, &mut self.events);
        }
        Ok(())
    }
}

/// Hands over the pieces of a file that are complete; all of them when the writer has ended.
fn drain(file: &mut OpenFile, events: &mut Vec<OutputEvent>) {
    let seq = file.seq;
    let ended = file.writer.in_progress_rows() == 0;
    let pieces = file.writer.inner_mut();
    if ended {
        pieces.cut();
    }
    events.extend(pieces.done.drain(..).map(|bytes| OutputEvent::Bytes { seq, bytes }));
}

fn failed(seq: u32, error: &parquet::errors::ParquetError) -> MergeError {
    MergeError::Write { seq, message: error.to_string() }
}

fn properties(spec: &MergeSpec, version: u32) -> Result<WriterProperties, MergeError> {
    let level = |error: parquet::errors::ParquetError| MergeError::Spec(error.to_string());
    let codec = match spec.config.layout.compression {
        Compression::Snappy => Codec::SNAPPY,
        Compression::Zstd => Codec::ZSTD(ZstdLevel::try_new(3).map_err(level)?),
        Compression::Gzip => Codec::GZIP(GzipLevel::try_new(6).map_err(level)?),
        Compression::Lz4 => Codec::LZ4_RAW,
        Compression::None => Codec::UNCOMPRESSED,
    };
    let note = |key: &str, value: String| KeyValue::new(format!("landfall.{key}"), value);
    Ok(WriterProperties::builder()
        .set_created_by(created_by())
        .set_compression(codec)
        .set_dictionary_enabled(true)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_key_value_metadata(Some(vec![
            note("delivery", spec.config.delivery.clone()),
            note("job_id", spec.job_id.clone()),
            note("intent", spec.intent_hash.clone()),
            note("schema_version", version.to_string()),
        ]))
        .build())
}

/// What every file says it was created by. Readers ask this for defects of known writers, and parquet-java distrusts the
/// statistics of a file whose text has not this form.
pub(crate) fn created_by() -> String {
    format!("landfall version {ENGINE_FORMAT} (build engine-{ENGINE_FORMAT})")
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_writer_is_named_as_parquet_java_reads_it() {
        // `VersionParser.FORMAT` of parquet-java: application, version, build.
        let format = r"\A(.*?)\s+version\s*(?:([^(]*?)\s*(?:\(\s*build\s*([^)]*?)\s*\))?)?\z";
        let created_by = super::created_by();
        let found = regex::Regex::new(format).unwrap().captures(&created_by).expect("it is read");
        let parts: Vec<&str> =
            found.iter().skip(1).map(|part| part.map_or("", |part| part.as_str())).collect();
        assert_eq!(parts, ["landfall", "2", "engine-2"]);
    }
}
