//! The check of a staged file before it is published: from its footer alone, without reading a data page.
//!
//! The bytes come back from a bucket that others can write to, so nothing in them is trusted: their shape is checked before
//! the Parquet reader sees them, and no panic of that reader leaves this module.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use landfall_core::contract::Column;
use parquet::arrow::ArrowSchemaConverter;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::SchemaDescriptor;

use crate::footer::{Misshapen, check_shape};
use crate::schema::arrow_schema;

/// The bytes at the end of a file that say how long its footer is.
pub const TAIL_BYTES: u64 = 8;

/// The longest footer that is read, in bytes.
pub const MAX_FOOTER_BYTES: u64 = 64 * 1024 * 1024;

const MAGIC: &[u8] = b"PAR1";

/// A file that is not what the contract says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidateError {
    /// The end of the file is no Parquet footer.
    #[error("the file does not end with a Parquet footer: {0}")]
    Tail(&'static str),
    /// The footer cannot be read.
    #[error("cannot read the footer: {0}")]
    Footer(String),
    /// The schema is not the contract's.
    #[error("the schema differs from the contract: {0}")]
    Schema(String),
    /// The footer contradicts itself or the file.
    #[error("the footer is inconsistent: {0}")]
    Inconsistent(String),
}

/// What a footer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FooterSummary {
    /// Rows of the file.
    pub rows: u64,
    /// Row groups.
    pub row_groups: usize,
    /// Who wrote it.
    pub created_by: Option<String>,
    /// The key-value metadata.
    pub metadata: BTreeMap<String, String>,
}

/// How many bytes at the end of a file hold its footer, the last eight included, from those eight.
///
/// # Errors
/// [`ValidateError::Tail`].
pub fn footer_bytes(last_eight: &[u8]) -> Result<u64, ValidateError> {
    let Ok([a, b, c, d, magic @ ..]) = <[u8; 8]>::try_from(last_eight) else {
        return Err(ValidateError::Tail("eight bytes are needed"));
    };
    if magic != MAGIC {
        return Err(ValidateError::Tail("the last four bytes are not PAR1"));
    }
    let total = u64::from(u32::from_le_bytes([a, b, c, d])) + TAIL_BYTES;
    if total > MAX_FOOTER_BYTES {
        return Err(ValidateError::Tail("its length is above the limit"));
    }
    Ok(total)
}

/// Checks the footer of a file, the last [`footer_bytes`] bytes of it, against the columns it must have.
///
/// # Errors
/// When the footer cannot be read, its schema is not exactly the contract's, its row groups do not add up, or a column
/// chunk or an index of one lies outside the file. Permanent: the file is never published.
pub fn check_footer(
    footer: &[u8],
    file_bytes: u64,
    columns: &[Column],
) -> Result<FooterSummary, ValidateError> {
    let (metadata, tail) = footer
        .split_at_checked(footer.len().saturating_sub(8))
        .ok_or(ValidateError::Tail("eight bytes are needed"))?;
    let wanted = footer_bytes(tail)?;
    if wanted != footer.len() as u64 {
        return Err(ValidateError::Tail("the given bytes are not the whole footer"));
    }
    // The magic at the beginning stands before the first page.
    if file_bytes < wanted + MAGIC.len() as u64 {
        return Err(ValidateError::Tail("its length is above that of the file"));
    }
    let data_end = file_bytes - wanted;
    let expected = ArrowSchemaConverter::new()
        .convert(&arrow_schema(columns))
        .map_err(|error| ValidateError::Schema(error.to_string()))?;
    check_shape(metadata, expected.root_schema()).map_err(|what| match what {
        Misshapen::Form(what) => ValidateError::Footer(what.to_owned()),
        Misshapen::Schema(what) => ValidateError::Schema(what.to_owned()),
    })?;
    catch_unwind(AssertUnwindSafe(|| {
        let metadata = ParquetMetaDataReader::decode_metadata(metadata)
            .map_err(|error| ValidateError::Footer(error.to_string()))?;
        check_schema(&metadata, &expected)?;
        check_row_groups(&metadata, data_end)?;
        summary(&metadata)
    }))
    .unwrap_or_else(|_| Err(ValidateError::Footer("the Parquet reader gave up".to_owned())))
}

fn check_schema(metadata: &ParquetMetaData, expected: &SchemaDescriptor) -> Result<(), ValidateError> {
    let found = metadata.file_metadata().schema_descr();
    if expected.root_schema() == found.root_schema() {
        return Ok(());
    }
    let (expected, found) = (expected.root_schema().get_fields(), found.root_schema().get_fields());
    let differs = expected.iter().zip(found).find(|(expected, found)| expected != found);
    Err(ValidateError::Schema(match differs {
        Some((expected, _)) => format!("column `{}` is not as the contract has it", expected.name()),
        None => format!("{} columns where the contract has {}", found.len(), expected.len()),
    }))
}

fn check_row_groups(metadata: &ParquetMetaData, data_end: u64) -> Result<(), ValidateError> {
    let inconsistent = |what: &str| ValidateError::Inconsistent(what.to_owned());
    let mut rows = 0_i64;
    for group in metadata.row_groups() {
        if group.num_rows() < 0 {
            return Err(inconsistent("a row group has a negative number of rows"));
        }
        rows = rows.checked_add(group.num_rows()).ok_or_else(|| inconsistent("the rows do not add up"))?;
        for column in group.columns() {
            check_chunk(column, group.num_rows(), data_end).map_err(inconsistent)?;
        }
    }
    if rows != metadata.file_metadata().num_rows() {
        return Err(inconsistent("the row groups do not have the rows of the file"));
    }
    Ok(())
}

fn check_chunk(column: &ColumnChunkMetaData, rows: i64, data_end: u64) -> Result<(), &'static str> {
    if column.file_path().is_some() {
        return Err("a column chunk lies in another file");
    }
    let within = |start: i64, length: i64| {
        let start = u64::try_from(start).ok().filter(|start| *start >= MAGIC.len() as u64);
        let end = start.zip(u64::try_from(length).ok()).and_then(|(start, length)| start.checked_add(length));
        end.is_some_and(|end| end <= data_end)
    };
    let first = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let start = first.min(column.data_page_offset());
    if !within(start, column.compressed_size()) || !within(column.data_page_offset(), 0) {
        return Err("a column chunk lies outside the file");
    }
    let indexes = [
        (column.column_index_offset(), column.column_index_length()),
        (column.offset_index_offset(), column.offset_index_length()),
        (column.bloom_filter_offset(), column.bloom_filter_length()),
    ];
    for index in indexes {
        match index {
            (None, None) => {}
            (Some(start), Some(length)) if within(start, length.into()) => {}
            _ => return Err("an index of a column chunk lies outside the file"),
        }
    }
    // A value of a list or map has a row with others; every other column has one value for each row.
    let values = column.num_values();
    if values < rows || (column.column_descr().max_rep_level() == 0 && values != rows) {
        return Err("a column chunk has not a value for each row");
    }
    Ok(())
}

fn summary(metadata: &ParquetMetaData) -> Result<FooterSummary, ValidateError> {
    let file = metadata.file_metadata();
    let pairs = file.key_value_metadata().into_iter().flatten();
    Ok(FooterSummary {
        rows: u64::try_from(file.num_rows())
            .map_err(|_| ValidateError::Inconsistent("a negative number of rows".to_owned()))?,
        row_groups: metadata.num_row_groups(),
        created_by: file.created_by().map(str::to_owned),
        metadata: pairs.map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default())).collect(),
    })
}
