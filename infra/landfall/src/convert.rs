//! `landfall convert`: the merge engine alone, on local files, without AWS.
//!
//! What the chain would do with the same objects in one flush: staged under the keys the chain would stage them under,
//! grouped by the partition values known before reading (the time of arrival is the file's modification time), merged in
//! the order of their keys, cut at the target size.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;

use jiff::Timestamp;
use landfall_core::contract::ViolationPolicy;
use landfall_core::delivery::{Delivery, PinnedConfig};
use landfall_core::plan::known_partition;
use landfall_core::port::ListedObject;
use landfall_core::record::{FORMAT, FlushReason, Input, Intent, KnownValue};
use landfall_parquet::{
    Flow, InputInfo, InputVerdict, Merge, MergeError, MergeSpec, OutputEvent, Quarantine, RejectedRow,
};

use crate::Finding;
use crate::arguments;
use crate::documents;
use crate::error::CommandError;
use crate::files::{InputFile, PIECE_BYTES, input_files, require_empty, staged_keys};
use crate::local::SHOWN;
use crate::progress::Progress;
use crate::read_ahead::{Content, reading};
use crate::screen::{Screen, grouped};

/// The rejected rows, beside the folders of the partitions.
const REJECTED: &str = "_rejected.jsonl";

/// What a conversion did.
#[derive(Debug, Clone, Default)]
pub struct ConvertSummary {
    /// Input files, and bytes of them.
    pub inputs: (u64, u64),
    /// Bytes of the inputs, decompressed.
    pub decoded_bytes: u64,
    /// Output files: path below the output folder, bytes, rows.
    pub files: Vec<(String, u64, u64)>,
    /// Rows written.
    pub rows: u64,
    /// Rows rejected; they are in `_rejected.jsonl`.
    pub rejected: u64,
    /// Input files set aside as a whole.
    pub quarantined: Vec<(String, Quarantine)>,
}

/// Converts, and prints the summary.
pub(crate) fn command(screen: &Screen, arguments: &arguments::Convert) -> Result<Finding, CommandError> {
    let delivery = documents::read_delivery(&arguments.delivery)?;
    let files = input_files(&arguments.input)?;
    require_empty(&arguments.output)?;
    let begun = std::time::Instant::now();
    let mut progress = Progress::new(screen, "convert", files.iter().map(|file| file.bytes).sum(), true);
    let at = arguments.file_time.unwrap_or_else(Timestamp::now);
    let summary = convert(&delivery, &files, &arguments.output, at, &mut |bytes| progress.add(bytes))?;
    drop(progress);
    let seconds = begun.elapsed().as_secs_f64();

    let mut table = vec![vec!["file".to_owned(), "bytes".to_owned(), "rows".to_owned()]];
    for (path, bytes, rows) in summary.files.iter().take(SHOWN) {
        table.push(vec![path.clone(), grouped(*bytes), grouped(*rows)]);
    }
    screen.table(&table);
    for (file, why) in &summary.quarantined {
        let line = why.position.as_ref().map(|position| format!(":{}", position.line)).unwrap_or_default();
        screen.line(format_args!("  set aside: {file}{line}: {}: {}", why.reason.as_str(), why.detail));
    }
    if summary.rejected > 0 {
        if delivery.contract.on_violation == ViolationPolicy::Evolve {
            screen.line(format_args!("  a contract evolves where it is delivered: here it stays as it is"));
        }
        let path = arguments.output.join(REJECTED);
        screen.line(format_args!("  {} rejected rows in {}", grouped(summary.rejected), path.display()));
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for the eye")]
    let rate = summary.decoded_bytes as f64 / 1e6 / seconds;
    screen.line(format_args!(
        "{} files of {} bytes ({} decoded) -> {} files, {} rows; {seconds:.2} s, {rate:.0} MB/s decoded",
        grouped(summary.inputs.0),
        grouped(summary.inputs.1),
        grouped(summary.decoded_bytes),
        grouped(summary.files.len() as u64),
        grouped(summary.rows)
    ));
    Ok(Finding::Sound)
}

/// Converts files; `read` sees the bytes of each chunk that was read. `at` is the time in names and metadata.
///
/// # Errors
/// When the contract cannot be compiled, or a file cannot be read or written.
pub fn convert(
    delivery: &Delivery,
    files: &[InputFile],
    output: &Path,
    at: Timestamp,
    read: &mut dyn FnMut(u64),
) -> Result<ConvertSummary, CommandError> {
    let config = delivery.pinned();
    let pin = config.hash();
    let keys = staged_keys(files, &[delivery])?;
    let mut staged: Vec<Staged<'_>> =
        files.iter().zip(keys).map(|(file, (key, _))| Staged { file, key }).collect();
    staged.sort_by(|left, right| left.key.cmp(&right.key));
    let mut groups: BTreeMap<Vec<Option<KnownValue>>, Vec<Staged<'_>>> = BTreeMap::new();
    for staged in staged {
        groups.entry(known_partition(&delivery.layout, &staged.listed())).or_default().push(staged);
    }
    let bytes = files.iter().map(|file| file.bytes).sum();
    let mut summary = ConvertSummary { inputs: (files.len() as u64, bytes), ..ConvertSummary::default() };
    let mut n = 0;
    for (partition, files) in groups {
        let mut rest = files.as_slice();
        while !rest.is_empty() {
            n += 1;
            let intent = Intent {
                version: FORMAT,
                delivery: delivery.id.clone(),
                n,
                planned_at: at,
                pin: pin.clone(),
                reason: FlushReason::Request,
                partition: partition.clone(),
                predicted: rest.len(),
                inputs: rest.iter().map(Staged::input).collect(),
            };
            let consumed = execute(&intent, &config, rest, output, &mut summary, read)?;
            rest = rest.split_at_checked(consumed.max(1)).map(|(_, rest)| rest).unwrap_or_default();
        }
    }
    Ok(summary)
}

/// Merges the first files of `files` until the target is reached; answers how many it took.
fn execute(
    intent: &Intent,
    config: &PinnedConfig,
    files: &[Staged<'_>],
    output: &Path,
    summary: &mut ConvertSummary,
    read: &mut dyn FnMut(u64),
) -> Result<usize, CommandError> {
    // An input that fails after rows of it entered a file starts the execution again without it.
    let mut excluded: BTreeMap<usize, InputVerdict> = BTreeMap::new();
    loop {
        let mut execution = Execution::new(output);
        match execution.once(intent, config, files, &excluded, read) {
            Ok(done) => {
                execution.publish_rejected()?;
                summary.decoded_bytes += done.decoded_bytes;
                summary.rows += execution.finished.iter().map(|(_, _, rows)| rows).sum::<u64>();
                summary.files.append(&mut execution.finished);
                summary.rejected += execution.rejected_rows;
                for (staged, verdict) in files.iter().zip(&done.verdicts) {
                    if let InputVerdict::Quarantined(why) = verdict {
                        summary.quarantined.push((staged.file.relative.clone(), why.clone()));
                    }
                }
                return Ok(done.verdicts.len());
            }
            Err(CommandError::Merge(MergeError::Restart { input, verdict: Some(verdict) })) => {
                execution.discard()?;
                excluded.insert(input, verdict);
            }
            Err(error) => {
                execution.discard()?;
                return Err(error);
            }
        }
    }
}

struct Done {
    verdicts: Vec<InputVerdict>,
    decoded_bytes: u64,
}

/// One execution and the files it has written so far.
struct Execution<'a> {
    output: &'a Path,
    open: BTreeMap<u32, (PathBuf, BufWriter<File>)>,
    finished: Vec<(String, u64, u64)>,
    /// Rejected rows go to a file of their own as they come: there can be more of them than memory.
    rejected: Option<(PathBuf, BufWriter<File>)>,
    rejected_rows: u64,
    /// What was read last.
    piece: Vec<u8>,
}

impl<'a> Execution<'a> {
    fn new(output: &'a Path) -> Self {
        Self {
            output,
            open: BTreeMap::new(),
            finished: Vec::new(),
            rejected: None,
            rejected_rows: 0,
            piece: vec![0; PIECE_BYTES],
        }
    }

    fn once(
        &mut self,
        intent: &Intent,
        config: &PinnedConfig,
        files: &[Staged<'_>],
        excluded: &BTreeMap<usize, InputVerdict>,
        read: &mut dyn FnMut(u64),
    ) -> Result<Done, CommandError> {
        // The contract of a file that is given stays as it is.
        let spec = MergeSpec { drift_from: usize::MAX, ..MergeSpec::for_intent(intent, config.clone()) };
        let several = thread::available_parallelism().is_ok_and(|processors| processors.get() > 1);
        let mut merge = if several { Merge::with_encoding_thread(spec)? } else { Merge::new(spec)? };
        let mut verdicts = Vec::with_capacity(files.len());
        let wanted: Vec<&InputFile> = files
            .iter()
            .enumerate()
            .filter(|(index, _)| !excluded.contains_key(index))
            .map(|(_, staged)| staged.file)
            .collect();
        reading(&wanted, several, |contents| -> Result<(), CommandError> {
            for (index, staged) in files.iter().enumerate() {
                if merge.should_stop() {
                    break;
                }
                let verdict = if let Some(verdict) = excluded.get(&index) {
                    verdict.clone()
                } else {
                    let content = contents.next().unwrap_or(Ok(&Content::Large))?;
                    self.feed(&mut merge, index, staged.file, content, read)?
                };
                self.take(merge.take_output())?;
                self.keep_rejected(intent, merge.take_rejected())?;
                verdicts.push(verdict);
            }
            Ok(())
        })?;
        while merge.settle_files()? == Flow::More {
            self.take(merge.take_output())?;
        }
        merge.finish()?;
        self.take(merge.take_output())?;
        self.keep_rejected(intent, merge.take_rejected())?;
        Ok(Done { verdicts, decoded_bytes: merge.decoded_bytes() })
    }

    fn feed(
        &mut self,
        merge: &mut Merge,
        index: usize,
        file: &InputFile,
        content: &Content,
        read: &mut dyn FnMut(u64),
    ) -> Result<InputVerdict, CommandError> {
        merge.begin_input(InputInfo { index, key: file.relative.clone(), size: file.bytes })?;
        match content {
            Content::Whole(object) => {
                read(object.staged_bytes());
                merge.push_whole(object)?;
            }
            Content::Large => {
                let mut piece = std::mem::take(&mut self.piece);
                file.read(&mut piece, |bytes| {
                    read(bytes.len() as u64);
                    let flow = merge.push(bytes)?;
                    self.take(merge.take_output())?;
                    Ok(match flow {
                        Flow::More => ControlFlow::Continue(()),
                        Flow::Settled => ControlFlow::Break(()),
                    })
                })?;
                self.piece = piece;
            }
        }
        while merge.settle()? == Flow::More {
            self.take(merge.take_output())?;
        }
        Ok(merge.end_input()?)
    }

    fn take(&mut self, events: Vec<OutputEvent>) -> Result<(), CommandError> {
        for event in events {
            match event {
                OutputEvent::Opened(file) => {
                    let path = self.output.join(format!("{}.part", file.relative_key));
                    let attempt = || format!("create {}", path.display());
                    if let Some(folder) = path.parent() {
                        fs::create_dir_all(folder).map_err(CommandError::io(attempt()))?;
                    }
                    let writer =
                        BufWriter::new(File::create_new(&path).map_err(CommandError::io(attempt()))?);
                    self.open.insert(file.seq, (path, writer));
                }
                OutputEvent::Bytes { seq, bytes } => {
                    if let Some((path, writer)) = self.open.get_mut(&seq) {
                        let attempt = || format!("write {}", path.display());
                        writer.write_all(&bytes).map_err(CommandError::io(attempt()))?;
                    }
                }
                OutputEvent::Finished(file) => {
                    if let Some((path, mut writer)) = self.open.remove(&file.seq) {
                        let attempt = || format!("finish {}", path.display());
                        writer.flush().map_err(CommandError::io(attempt()))?;
                        let target = self.output.join(&file.relative_key);
                        fs::rename(&path, target).map_err(CommandError::io(attempt()))?;
                        self.finished.push((file.relative_key, file.bytes, file.rows));
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes what this execution wrote.
    fn discard(self) -> Result<(), CommandError> {
        let parts = self.open.into_values().chain(self.rejected).map(|(path, _)| path);
        let files = self.finished.iter().map(|(relative, _, _)| self.output.join(relative));
        for path in parts.chain(files) {
            fs::remove_file(&path).map_err(CommandError::io(format!("remove {}", path.display())))?;
        }
        Ok(())
    }

    /// Writes rejected rows down beside those of earlier inputs.
    fn keep_rejected(&mut self, intent: &Intent, rows: Vec<RejectedRow>) -> Result<(), CommandError> {
        if rows.is_empty() {
            return Ok(());
        }
        let (path, writer) = if let Some(open) = self.rejected.as_mut() {
            open
        } else {
            let path = self.output.join(format!("{REJECTED}.part"));
            let attempt = format!("create {}", path.display());
            let file = File::create_new(&path).map_err(CommandError::io(attempt))?;
            self.rejected.insert((path, BufWriter::new(file)))
        };
        let attempt = || format!("write {}", path.display());
        for row in rows {
            let etag = intent.inputs.get(row.input).map(|input| input.etag.clone()).unwrap_or_default();
            serde_json::to_writer(&mut *writer, &row.into_record(etag))
                .map_err(CommandError::json(attempt()))?;
            writer.write_all(b"\n").map_err(CommandError::io(attempt()))?;
            self.rejected_rows += 1;
        }
        Ok(())
    }

    /// The execution stands: its rejected rows follow those of earlier ones.
    fn publish_rejected(&mut self) -> Result<(), CommandError> {
        let Some((part, mut writer)) = self.rejected.take() else { return Ok(()) };
        let path = self.output.join(REJECTED);
        let attempt = || format!("write {}", path.display());
        writer.flush().map_err(CommandError::io(attempt()))?;
        drop(writer);
        let mut rows = File::open(&part).map_err(CommandError::io(attempt()))?;
        let mut all =
            File::options().create(true).append(true).open(&path).map_err(CommandError::io(attempt()))?;
        io::copy(&mut rows, &mut all).map_err(CommandError::io(attempt()))?;
        fs::remove_file(&part).map_err(CommandError::io(format!("remove {}", part.display())))
    }
}

/// A file, and the key the chain would stage it under.
struct Staged<'a> {
    file: &'a InputFile,
    key: String,
}

impl Staged<'_> {
    /// A local file has no entity tag; its size and time tell it from what it was before.
    fn etag(&self) -> String {
        format!("{:x}-{:x}", self.file.bytes, self.file.modified.as_nanosecond())
    }

    fn listed(&self) -> ListedObject {
        ListedObject {
            key: self.key.clone(),
            etag: self.etag(),
            size: self.file.bytes,
            last_modified: self.file.modified,
        }
    }

    fn input(&self) -> Input {
        Input {
            key: self.key.clone(),
            etag: self.etag(),
            size: self.file.bytes,
            last_modified: self.file.modified,
        }
    }
}
