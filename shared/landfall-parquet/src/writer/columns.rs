//! The columns of an open row group, encoded one by one or beside each other.
//!
//! What a column's pages hold depends on its values alone, so a file is the same to the byte however many threads encode it.

use std::cmp::Reverse;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowLeafColumn, compute_leaves};
use parquet::errors::ParquetError;

/// The processors of the largest function of Lambda.
const MOST_THREADS: usize = 6;

/// Whether reading is over: its processor is then free to encode. Until then one thread encodes and stays with its columns,
/// which lie in its processor's cache.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadingOver(Arc<AtomicUsize>);

impl ReadingOver {
    /// From now on all processors may encode.
    pub(crate) fn tell(&self) {
        self.allow(thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS));
    }

    pub(super) fn allow(&self, threads: usize) {
        self.0.store(threads, Ordering::Relaxed);
    }

    /// How many threads may encode.
    pub(super) fn threads(&self) -> usize {
        self.0.load(Ordering::Relaxed).max(1)
    }
}

/// The leaf columns of a row group, in the order of the file.
pub(super) struct Columns {
    writers: Vec<ArrowColumnWriter>,
    rows: usize,
}

impl Columns {
    pub(super) fn new(writers: Vec<ArrowColumnWriter>) -> Self {
        Self { writers, rows: 0 }
    }

    /// The rows so far.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The bytes the columns come to, estimated.
    pub(super) fn bytes(&self) -> usize {
        self.writers.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum()
    }

    /// Appends rows.
    pub(super) fn write(
        &mut self,
        schema: &Schema,
        rows: &RecordBatch,
        threads: usize,
    ) -> Result<(), ParquetError> {
        self.rows += rows.num_rows();
        let columns = schema.fields().iter().zip(rows.columns());
        if threads < 2 {
            let mut writers = self.writers.iter_mut();
            for (field, array) in columns {
                for (leaf, writer) in compute_leaves(field, array)?.iter().zip(&mut writers) {
                    writer.write(leaf)?;
                }
            }
            return Ok(());
        }
        // A column can be a struct of hundreds: what there is to do is only known leaf by leaf.
        let mut leaves: Vec<Vec<ArrowLeafColumn>> = Vec::new();
        leaves.resize_with(columns.len(), Vec::new);
        each(threads, columns.zip(&mut leaves), |((field, array), leaves)| {
            *leaves = compute_leaves(field, array)?;
            Ok(())
        })?;
        let mut tasks: Vec<_> = self.writers.iter_mut().zip(leaves.into_iter().flatten()).collect();
        tasks.sort_by_cached_key(|(writer, _)| heaviest_first(writer));
        each(threads, tasks.into_iter(), |(writer, leaf)| writer.write(&leaf))
    }

    /// Ends the columns: encodes and compresses what is left.
    pub(super) fn close(self, threads: usize) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        let mut chunks: Vec<Option<ArrowColumnChunk>> = Vec::new();
        chunks.resize_with(self.writers.len(), || None);
        let mut tasks: Vec<_> = self.writers.into_iter().zip(&mut chunks).collect();
        tasks.sort_by_cached_key(|(writer, _)| heaviest_first(writer));
        each(threads, tasks.into_iter(), |(writer, chunk)| {
            *chunk = Some(writer.close()?);
            Ok(())
        })?;
        Ok(chunks.into_iter().flatten().collect())
    }
}

/// Puts those columns first that took most so far: one of them that comes last would keep a single thread busy while all
/// others wait.
fn heaviest_first(writer: &ArrowColumnWriter) -> Reverse<usize> {
    Reverse(writer.get_estimated_total_bytes())
}

/// Does all tasks, on this thread and `threads - 1` others. Each takes the next one when it is done with its last.
fn each<T: Send>(
    threads: usize,
    tasks: impl Iterator<Item = T> + Send,
    work: impl Fn(T) -> Result<(), ParquetError> + Sync,
) -> Result<(), ParquetError> {
    let tasks = Mutex::new(tasks);
    let take = || {
        loop {
            let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(task) = next else { return Ok(()) };
            work(task)?;
        }
    };
    thread::scope(|scope| {
        // Where there is no thread to be had, the others do it all.
        let spawn = |_| thread::Builder::new().name("encode".to_owned()).spawn_scoped(scope, take).ok();
        let others: Vec<_> = (1..threads).filter_map(spawn).collect();
        let mine = take();
        let theirs =
            others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        theirs.fold(mine, Result::and)
    })
}
