//! The footer of a Parquet object: found, checked in its shape, then read by the `parquet` crate.

use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::Compression;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::schema::types::SchemaDescriptor;

use super::schema::{Branch, bare, tree, with_views};
use super::{MAGIC, Refused, footer_error};
use crate::fault::QuarantineReason;
use crate::footer::check_foreign;
use crate::limits;

const ENCRYPTED: &[u8] = b"PARE";
/// The length of the footer and the magic, behind it.
const TAIL_BYTES: usize = 8;

/// An object whose footer is read.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) object: Arc<Bytes>,
    /// Where the footer begins.
    pub(super) data_end: u64,
    /// What decodes rows, of leaves as they are stored.
    pub(super) reader: ArrowReaderMetadata,
    pub(super) root: Branch,
}

impl Opened {
    /// Reads the footer.
    pub(super) fn new(object: Bytes) -> Result<Self, Refused> {
        let (data_end, footer) = footer(&object)?;
        check_foreign(footer).map_err(footer_error)?;
        let metadata = ParquetMetaDataReader::decode_metadata(footer)
            .map_err(|_| footer_error("the footer cannot be read"))?;
        check(&metadata)?;
        let unread = |_| footer_error("the schema is none that is read");
        let schema = metadata.file_metadata().schema_descr();
        let stored = Arc::new(bare(schema).map_err(unread)?);
        let arrow = parquet_to_arrow_schema(&stored, None).map_err(unread)?;
        let root = tree(&arrow, schema)?;
        let options = ArrowReaderOptions::new().with_schema(Arc::new(with_views(&arrow)));
        let metadata = Arc::new(stored_as(&metadata, stored)?);
        let reader = ArrowReaderMetadata::try_new(metadata, options)
            .map_err(|_| footer_error("the schema is none that is read"))?;
        Ok(Self { object: Arc::new(object), data_end: data_end as u64, reader, root })
    }
}

/// Where the footer begins, and its bytes.
fn footer(object: &[u8]) -> Result<(usize, &[u8]), Refused> {
    let truncated = || {
        Refused::new(QuarantineReason::ParquetTruncated, "the object begins as Parquet and does not end so")
    };
    let length = object.len().checked_sub(TAIL_BYTES).filter(|length| *length >= MAGIC.len());
    let (body, tail) = length.and_then(|length| object.split_at_checked(length)).ok_or_else(truncated)?;
    let (length, magic) = tail.split_at_checked(4).ok_or_else(truncated)?;
    if magic == ENCRYPTED {
        return Err(Refused::new(QuarantineReason::UnsupportedFormat, "the Parquet footer is encrypted"));
    }
    if magic != MAGIC {
        return Err(truncated());
    }
    let length = <[u8; 4]>::try_from(length).map_err(|_| truncated())?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > limits::PARQUET_FOOTER_BYTES {
        return Err(footer_error("the footer is longer than the limit"));
    }
    let data_end = body.len().checked_sub(length).filter(|end| *end >= MAGIC.len());
    let data_end = data_end.ok_or_else(|| footer_error("the footer is longer than the object"))?;
    Ok((data_end, body.get(data_end..).unwrap_or_default()))
}

/// Checks that the parts of a footer fit each other.
fn check(metadata: &ParquetMetaData) -> Result<(), Refused> {
    let leaves = metadata.file_metadata().schema_descr().columns();
    let mut rows = 0_i64;
    for group in metadata.row_groups() {
        let sum = rows.checked_add(group.num_rows()).filter(|_| group.num_rows() >= 0);
        rows = sum.ok_or_else(|| footer_error("the rows of its row groups do not add up"))?;
        if group.num_columns() != leaves.len() {
            return Err(footer_error("a row group has not a column chunk for each column"));
        }
        for (chunk, leaf) in group.columns().iter().zip(leaves) {
            if chunk.column_type() != leaf.physical_type() {
                return Err(footer_error("a column chunk is of another type than its column"));
            }
            if chunk.file_path().is_some_and(|path| !path.is_empty()) {
                return Err(footer_error("a column chunk lies in another file"));
            }
            if chunk.compressed_size() < 0 || chunk.data_page_offset() < 0 {
                return Err(footer_error("a column chunk lies nowhere"));
            }
            if chunk.compression() == Compression::LZO {
                return Err(Refused::new(
                    QuarantineReason::UnsupportedFormat,
                    "a Parquet column is compressed with LZO, which is not read",
                ));
            }
        }
    }
    if rows != metadata.file_metadata().num_rows() {
        return Err(footer_error("the row groups do not have the rows of the file"));
    }
    Ok(())
}

/// The same footer with another schema of the same leaves, and without offsets of dictionaries that are none.
fn stored_as(metadata: &ParquetMetaData, schema: Arc<SchemaDescriptor>) -> Result<ParquetMetaData, Refused> {
    let file = metadata.file_metadata();
    let file = FileMetaData::new(file.version(), file.num_rows(), None, None, schema, None);
    let broken = |_| footer_error("a row group cannot be read");
    let groups = metadata.row_groups().iter().map(|group| {
        if group.columns().iter().all(|chunk| dictionary(chunk) == chunk.dictionary_page_offset()) {
            return Ok(group.clone());
        }
        let chunks = group.columns().iter().map(|chunk| {
            let offset = dictionary(chunk);
            chunk.clone().into_builder().set_dictionary_page_offset(offset).build().map_err(broken)
        });
        let chunks = chunks.collect::<Result<Vec<ColumnChunkMetaData>, _>>()?;
        group.clone().into_builder().set_column_metadata(chunks).build().map_err(broken)
    });
    let groups = groups.collect::<Result<Vec<RowGroupMetaData>, _>>()?;
    Ok(ParquetMetaData::new(file, groups))
}

/// Where the dictionary of a column chunk is. Some writers put a zero where there is none.
fn dictionary(chunk: &ColumnChunkMetaData) -> Option<i64> {
    let first = i64::try_from(MAGIC.len()).unwrap_or(i64::MAX);
    chunk.dictionary_page_offset().filter(|offset| (first..=chunk.data_page_offset()).contains(offset))
}
