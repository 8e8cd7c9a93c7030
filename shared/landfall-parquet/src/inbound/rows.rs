//! The rows of a Parquet object, decoded in batches that take no more memory than they may.

use std::sync::Arc;

use arrow_array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::footer::Opened;
use super::pages::measure;
use super::{Refused, data_error};
use crate::fault::QuarantineReason;
use crate::limits;

/// A walk over the rows.
pub(super) struct Walk {
    opened: Arc<Opened>,
    wanted: Vec<bool>,
    /// The row group that comes next.
    group: usize,
    reader: Option<ParquetRecordBatchReader>,
    /// Rows that the current row group still has.
    left: u64,
    /// Rows that were handed over.
    passed: u64,
    /// Bytes of all pages so far, decompressed.
    bytes: u64,
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk")
            .field("group", &self.group)
            .field("passed", &self.passed)
            .finish_non_exhaustive()
    }
}

impl Walk {
    /// Before the first row.
    pub(super) fn new(opened: Arc<Opened>, wanted: &[bool]) -> Self {
        Self { opened, wanted: wanted.to_vec(), group: 0, reader: None, left: 0, passed: 0, bytes: 0 }
    }

    /// Decodes the next rows; the number of the first of them, from 1. `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<(u64, RecordBatch)>, Refused> {
        loop {
            let Some(reader) = &mut self.reader else {
                if !self.next_group()? {
                    return Ok(None);
                }
                continue;
            };
            match reader.next() {
                None if self.left > 0 => return Err(data_error("a row group has less rows than it claims")),
                None => self.reader = None,
                Some(Err(error)) => return Err(refused(&error)),
                Some(Ok(batch)) => {
                    let rows = batch.num_rows() as u64;
                    self.left = self
                        .left
                        .checked_sub(rows)
                        .ok_or_else(|| data_error("a row group has more rows than it claims"))?;
                    let first = self.passed + 1;
                    self.passed += rows;
                    return Ok(Some((first, batch)));
                }
            }
        }
    }

    /// Measures the next row group, and begins it.
    fn next_group(&mut self) -> Result<bool, Refused> {
        let Opened { object, data_end, reader, .. } = self.opened.as_ref();
        let Some(group) = reader.metadata().row_groups().get(self.group) else { return Ok(false) };
        if group.num_rows() == 0 {
            // Nothing is read of it: what its columns claim to be may lie anywhere.
            if group.columns().iter().any(|column| column.num_values() != 0) {
                return Err(data_error("a row group has more rows than it claims"));
            }
            self.group += 1;
            return Ok(true);
        }
        let measured = measure(object, *data_end, group, &self.wanted)?;
        self.bytes = self.bytes.saturating_add(measured.bytes);
        let allowed = (object.len() as u64).saturating_mul(limits::EXPANSION_RATIO);
        if self.bytes > allowed.max(limits::PARQUET_EXPANSION_FLOOR) {
            return Err(Refused::new(
                QuarantineReason::ExpansionRatio,
                "more decompressed bytes per byte of the object than the limit",
            ));
        }
        self.left = u64::try_from(group.num_rows()).unwrap_or_default();
        let leaves = self.wanted.iter().enumerate().filter(|(_, wanted)| **wanted).map(|(leaf, _)| leaf);
        let mask = ProjectionMask::leaves(reader.parquet_schema(), leaves);
        let built =
            ParquetRecordBatchReaderBuilder::new_with_metadata(object.as_ref().clone(), reader.clone())
                .with_row_groups(vec![self.group])
                .with_batch_size(measured.batch_rows)
                .with_projection(mask)
                .build();
        self.group += 1;
        self.reader = Some(built.map_err(|error| refused(&error))?);
        Ok(true)
    }
}

/// Why rows could not be decoded. What else the crate says of it may hold data, and is left out.
#[cold]
fn refused(error: &impl std::fmt::Display) -> Refused {
    if error.to_string().contains("CRC checksum mismatch") {
        return Refused::new(
            QuarantineReason::ParquetChecksum,
            "the checksum of a page does not match its bytes",
        );
    }
    data_error("its pages cannot be decoded")
}
