//! The rows of a row group that wait to be sorted.

use std::cmp::Ordering;

use arrow_array::RecordBatch;
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{Schema, SortOptions};
use arrow_select::interleave::interleave_record_batch;
use landfall_core::layout::SortKey;
use parquet::file::metadata::SortingColumn;
use parquet::schema::types::SchemaDescriptor;

use super::WriteFailed;

/// Sorted rows are put together so many at a time: only these stand in memory twice.
const BATCH_ROWS: usize = 8 * 1024;

/// Rows of one row group, and how they are to be sorted.
pub(super) struct Sorter {
    /// The columns to sort by.
    places: Vec<usize>,
    /// Brings the values of those columns into a form that is compared byte by byte.
    converter: RowConverter,
    keys: Rows,
    held: Vec<RecordBatch>,
    weight: u64,
}

impl Sorter {
    pub(super) fn new(sort_by: &[SortKey], schema: &Schema) -> Result<Self, WriteFailed> {
        let mut places = Vec::with_capacity(sort_by.len());
        let mut fields = Vec::with_capacity(sort_by.len());
        for key in sort_by {
            let (place, field) = schema
                .column_with_name(&key.column)
                .ok_or_else(|| WriteFailed::new(format!("no column `{}` to sort by", key.column)))?;
            places.push(place);
            fields.push(SortField::new_with_options(field.data_type().clone(), options(key)));
        }
        let converter = RowConverter::new(fields).map_err(WriteFailed::new)?;
        let keys = converter.empty_rows(0, 0);
        Ok(Self { places, converter, keys, held: Vec::new(), weight: 0 })
    }

    /// What the rows weigh that wait.
    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    /// Takes rows.
    pub(super) fn hold(&mut self, rows: &RecordBatch, weight: u64) -> Result<(), WriteFailed> {
        let columns: Vec<_> = self.places.iter().map(|place| rows.column(*place).clone()).collect();
        self.converter.append(&mut self.keys, &columns).map_err(WriteFailed::new)?;
        self.held.push(rows.clone());
        self.weight += weight;
        Ok(())
    }

    /// Hands over all rows in their order; equal ones in that in which they came.
    pub(super) fn hand_over(
        &mut self,
        write: &mut dyn FnMut(&RecordBatch) -> Result<(), WriteFailed>,
    ) -> Result<(), WriteFailed> {
        let keys = std::mem::replace(&mut self.keys, self.converter.empty_rows(0, 0));
        let held = std::mem::take(&mut self.held);
        self.weight = 0;
        let rows = held
            .iter()
            .enumerate()
            .flat_map(|(batch, rows)| (0..rows.num_rows()).map(move |row| (batch, row)));
        let mut order: Vec<(usize, (usize, usize))> = rows.enumerate().collect();
        order.sort_by(|(left, _), (right, _)| compare(&keys, *left, *right));
        let batches: Vec<&RecordBatch> = held.iter().collect();
        for rows in order.chunks(BATCH_ROWS) {
            let places: Vec<(usize, usize)> = rows.iter().map(|(_, place)| *place).collect();
            write(&interleave_record_batch(&batches, &places).map_err(WriteFailed::new)?)?;
        }
        Ok(())
    }
}

fn compare(keys: &Rows, left: usize, right: usize) -> Ordering {
    keys.row(left).cmp(&keys.row(right))
}

/// Null counts as less than any value.
fn options(key: &SortKey) -> SortOptions {
    SortOptions { descending: key.descending, nulls_first: !key.descending }
}

/// What the footer says of the order: leaf columns by number.
pub(super) fn sorting_columns(sort_by: &[SortKey], schema: &SchemaDescriptor) -> Vec<SortingColumn> {
    let leaf = |key: &SortKey| {
        let path = |index: &usize| schema.column(*index).path().parts() == [key.column.as_str()];
        let index = (0..schema.num_columns()).find(path)?;
        let options = options(key);
        Some(SortingColumn {
            column_idx: i32::try_from(index).ok()?,
            descending: options.descending,
            nulls_first: options.nulls_first,
        })
    };
    sort_by.iter().filter_map(leaf).collect()
}
