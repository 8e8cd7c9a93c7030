//! Parquet files. Their groups are row groups.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use landfall_core::delivery::ENGINE_FORMAT;
use landfall_core::layout::{Compression, SortKey};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::basic::{Compression as Codec, GzipLevel, Type as PhysicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, ColumnPath, SchemaDescriptor, TypePtr};

use super::columns::{Columns, ReadingOver};
use super::dictionary::unrepeated;
use super::sorted::{Sorter, sorting_columns};
use super::{Learnt, Pieces, WriteFailed, Writer};
use crate::limits;
use crate::spec::MergeSpec;

/// A row group ends after so many rows, however small they are.
const ROW_GROUP_ROWS: usize = 1024 * 1024;

/// A page ends at about so many bytes of values, before compression. All columns fill one at the same time: a quarter of the usual
/// MiB stays in the processor's cache until it is compressed, takes less memory that was never used before, and lets readers skip more.
const PAGE_BYTES: usize = 256 * 1024;

/// What all Parquet files of a merge have in common.
pub(crate) struct ParquetFiles {
    schema: SchemaRef,
    root: TypePtr,
    properties: WriterProperties,
    /// The leaf columns, in the order of the file, and whether they are numbers.
    leaves: Vec<(ColumnPath, bool)>,
    row_group_bytes: u64,
    sort_by: Vec<SortKey>,
    over: ReadingOver,
}

impl ParquetFiles {
    pub(super) fn new(
        spec: &MergeSpec,
        schema: SchemaRef,
        version: u32,
        over: ReadingOver,
    ) -> Result<Self, WriteFailed> {
        let written = ArrowSchemaConverter::new().convert(&schema).map_err(WriteFailed::new)?;
        let properties = properties(spec, version, &written)?;
        let leaf = |leaf: &ColumnDescPtr| (leaf.path().clone(), is_number(leaf.physical_type()));
        let leaves = written.columns().iter().map(leaf).collect();
        let layout = &spec.config.layout;
        Ok(Self {
            schema,
            root: written.root_schema_ptr(),
            properties,
            leaves,
            row_group_bytes: layout.row_group_bytes,
            sort_by: layout.sort_by.clone(),
            over,
        })
    }

    /// Begins a file whose first rows are these.
    pub(super) fn open(&self, rows: &RecordBatch, pieces: Pieces) -> Result<ParquetFile, WriteFailed> {
        let mut properties = self.properties.clone().into_builder();
        let mut dictionaries = self.leaves.iter().filter(|(_, number)| *number).count() as u64;
        for (path, number) in unrepeated(rows).into_iter().filter_map(|leaf| self.leaves.get(leaf)) {
            properties = properties.set_column_dictionary_enabled(path.clone(), false);
            dictionaries -= u64::from(*number);
        }
        // The Parquet schema says all there is to say; arrow's own copy would only lengthen every footer.
        let file =
            SerializedFileWriter::new(pieces.reused(), self.root.clone(), Arc::new(properties.build()))
                .map_err(WriteFailed::new)?;
        let groups = ArrowRowGroupWriterFactory::new(&file, self.schema.clone());
        let sorter = match &self.sort_by[..] {
            [] => None,
            keys => Some(Sorter::new(keys, &self.schema)?),
        };
        let groups =
            RowGroups { file, groups, open: None, most_rows: ROW_GROUP_ROWS, over: self.over.clone() };
        Ok(ParquetFile {
            schema: self.schema.clone(),
            groups,
            sorter,
            row_group_bytes: self.row_group_bytes,
            room: dictionaries * limits::NUMBER_DICTIONARY_BYTES,
        })
    }
}

/// The row groups of a file.
struct RowGroups {
    file: SerializedFileWriter<Pieces>,
    groups: ArrowRowGroupWriterFactory,
    open: Option<Columns>,
    most_rows: usize,
    over: ReadingOver,
}

impl RowGroups {
    fn write(&mut self, schema: &Schema, rows: &RecordBatch) -> Result<(), ParquetError> {
        let mut start = 0;
        while start < rows.num_rows() {
            let open = match &mut self.open {
                Some(open) => open,
                none => {
                    let index = self.file.flushed_row_groups().len();
                    none.insert(Columns::new(self.groups.create_column_writers(index)?))
                }
            };
            let count = (rows.num_rows() - start).min(self.most_rows.saturating_sub(open.rows()));
            open.write(schema, &rows.slice(start, count), self.over.threads())?;
            start += count;
            if open.rows() >= self.most_rows {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Ends the open group.
    fn flush(&mut self) -> Result<(), ParquetError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let chunks = open.close(self.over.threads())?;
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        self.file.inner_mut().cut();
        Ok(())
    }

    /// The size of the open group, estimated.
    fn in_progress(&self) -> usize {
        self.open.as_ref().map_or(0, Columns::bytes)
    }
}

/// One open Parquet file.
pub(super) struct ParquetFile {
    schema: SchemaRef,
    groups: RowGroups,
    /// Where rows are sorted: those of the open row group, none of which is written yet.
    sorter: Option<Sorter>,
    row_group_bytes: u64,
    /// What the dictionaries of an open row group take before they hold anything.
    room: u64,
}

impl ParquetFile {
    /// Writes the rows that wait to be sorted.
    fn write_sorted(&mut self) -> Result<(), WriteFailed> {
        let Self { groups, sorter, schema, .. } = self;
        match sorter {
            Some(sorter) => {
                sorter.hand_over(&mut |rows| groups.write(schema, rows).map_err(WriteFailed::new))
            }
            None => Ok(()),
        }
    }
}

impl Writer for ParquetFile {
    fn write(&mut self, rows: &RecordBatch, weight: u64) -> Result<(), WriteFailed> {
        match &mut self.sorter {
            Some(sorter) => sorter.hold(rows, weight),
            None => self.groups.write(&self.schema, rows).map_err(WriteFailed::new),
        }
    }

    fn in_progress(&self) -> u64 {
        self.sorter.as_ref().map_or_else(|| self.groups.in_progress() as u64, Sorter::weight)
    }

    fn room(&self) -> u64 {
        if self.groups.open.is_some() { self.room } else { 0 }
    }

    fn group_is_full(&self, learnt: Learnt) -> bool {
        let so_far = self.in_progress();
        match self.sorter {
            // Rows that wait are far larger than what they come to.
            Some(_) => so_far >= limits::SORTED_BYTES || learnt.apply(so_far) >= self.row_group_bytes,
            None => so_far >= self.row_group_bytes,
        }
    }

    fn written(&self) -> u64 {
        self.groups.file.bytes_written() as u64
    }

    fn flush(&mut self) -> Result<(), WriteFailed> {
        self.write_sorted()?;
        self.groups.flush().map_err(WriteFailed::new)
    }

    fn finish(&mut self) -> Result<(), WriteFailed> {
        self.flush()?;
        self.groups.file.finish().map_err(WriteFailed::new)?;
        self.groups.file.inner_mut().cut();
        Ok(())
    }

    fn sum(&self) -> (u64, u64) {
        self.groups.file.inner().sum()
    }
}

/// Whether the dictionary of a column is that of numbers. Booleans and long decimals have none, and that of texts grows with them.
fn is_number(stored: PhysicalType) -> bool {
    use PhysicalType::{BOOLEAN, BYTE_ARRAY, DOUBLE, FIXED_LEN_BYTE_ARRAY, FLOAT, INT32, INT64, INT96};
    match stored {
        INT32 | INT64 | INT96 | FLOAT | DOUBLE => true,
        BOOLEAN | BYTE_ARRAY | FIXED_LEN_BYTE_ARRAY => false,
    }
}

fn properties(
    spec: &MergeSpec,
    version: u32,
    schema: &SchemaDescriptor,
) -> Result<WriterProperties, WriteFailed> {
    let codec = match spec.config.layout.compression {
        Compression::Snappy => Codec::SNAPPY,
        Compression::Zstd => Codec::ZSTD(ZstdLevel::try_new(3).map_err(WriteFailed::new)?),
        Compression::Gzip => Codec::GZIP(GzipLevel::try_new(6).map_err(WriteFailed::new)?),
        Compression::Lz4 => Codec::LZ4_RAW,
        Compression::None => Codec::UNCOMPRESSED,
    };
    let note = |key: &str, value: String| KeyValue::new(format!("landfall.{key}"), value);
    let layout = &spec.config.layout;
    let sorting = sorting_columns(&layout.sort_by, schema);
    let mut builder = WriterProperties::builder()
        .set_created_by(created_by())
        .set_compression(codec)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_enabled(true)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_key_value_metadata(Some(vec![
            note("delivery", spec.config.delivery.clone()),
            note("job_id", spec.job_id.clone()),
            note("intent", spec.intent_hash.clone()),
            note("schema_version", version.to_string()),
        ]))
        .set_sorting_columns(Some(sorting).filter(|columns| !columns.is_empty()));
    let distinct = if layout.routes_by_record() { limits::ROUTED_DISTINCT } else { limits::DISTINCT };
    for column in &layout.bloom_filters {
        let path = ColumnPath::from(vec![column.clone()]);
        builder = builder
            .set_column_bloom_filter_fpp(path.clone(), limits::BLOOM_FPP)
            .set_column_bloom_filter_max_ndv(path, distinct);
    }
    Ok(builder.build())
}

/// What every file says it was created by. Readers ask this for defects of known writers, and parquet-java distrusts the
/// statistics of a file whose text has not this form.
fn created_by() -> String {
    format!("landfall version {ENGINE_FORMAT} (build engine-{ENGINE_FORMAT})")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use arrow_array::cast::AsArray as _;
    use arrow_array::types::Int32Type;
    use arrow_array::{Int32Array, StringArray, StructArray};
    use arrow_schema::{DataType, Field};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::metadata::{ParquetMetaDataReader, RowGroupMetaData};

    use super::*;

    fn batch(rows: std::ops::Range<i32>) -> RecordBatch {
        let numbers = || Arc::new(Int32Array::from_iter_values(rows.clone()));
        let texts =
            Arc::new(StringArray::from_iter_values(rows.clone().map(|row| format!("text {}", row % 7))));
        let fields = [Field::new("n", DataType::Int32, true), Field::new("t", DataType::Utf8, true)];
        let nested = StructArray::from(
            fields.map(Arc::new).into_iter().zip([numbers() as _, texts as _]).collect::<Vec<_>>(),
        );
        RecordBatch::try_from_iter([("n", numbers() as _), ("s", Arc::new(nested) as _)]).unwrap()
    }

    /// A file of batches of so many rows, its row groups of at most 10, encoded by so many threads.
    fn file(batches: &[i32], threads: usize) -> Vec<u8> {
        let written = Arc::new(Mutex::new(Vec::new()));
        let taken = written.clone();
        let pieces = Pieces::new(Box::new(move |bytes| taken.lock().unwrap().extend_from_slice(&bytes)));
        let schema = batch(0..1).schema();
        let root = ArrowSchemaConverter::new().convert(&schema).unwrap().root_schema_ptr();
        let file = SerializedFileWriter::new(pieces, root, Arc::default()).unwrap();
        let groups = ArrowRowGroupWriterFactory::new(&file, schema.clone());
        let over = ReadingOver::default();
        over.allow(threads);
        let mut groups = RowGroups { file, groups, open: None, most_rows: 10, over };
        let mut start = 0;
        for rows in batches {
            groups.write(&schema, &batch(start..start + rows)).unwrap();
            start += rows;
        }
        groups.flush().unwrap();
        groups.file.finish().unwrap();
        groups.file.inner_mut().cut();
        drop(groups);
        Arc::try_unwrap(written).unwrap().into_inner().unwrap()
    }

    #[test]
    fn a_row_group_ends_at_its_most_rows() {
        for (batches, expected) in [
            (&[7, 13, 10][..], vec![10, 10, 10]),
            (&[10], vec![10]),
            (&[25, 1], vec![10, 10, 6]),
            (&[9, 1, 1], vec![10, 1]),
        ] {
            let bytes = bytes::Bytes::from(file(batches, 1));
            let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
            let groups: Vec<i64> = metadata.row_groups().iter().map(RowGroupMetaData::num_rows).collect();
            assert_eq!(groups, expected);
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
            let read: Vec<i32> = reader
                .flat_map(|rows| rows.unwrap().column(0).as_primitive::<Int32Type>().values().to_vec())
                .collect();
            assert_eq!(read, (0..batches.iter().sum()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn threads_change_no_byte() {
        let alone = file(&[7, 13, 10], 1);
        for threads in [2, 3, 6] {
            assert!(file(&[7, 13, 10], threads) == alone, "{threads} threads");
        }
    }

    #[test]
    fn the_writer_is_named_as_parquet_java_reads_it() {
        // `VersionParser.FORMAT` of parquet-java: application, version, build.
        let format = r"\A(.*?)\s+version\s*(?:([^(]*?)\s*(?:\(\s*build\s*([^)]*?)\s*\))?)?\z";
        let created_by = super::created_by();
        let found = regex::Regex::new(format).unwrap().captures(&created_by).expect("it is read");
        let parts: Vec<&str> =
            found.iter().skip(1).map(|part| part.map_or("", |part| part.as_str())).collect();
        assert_eq!(parts, ["landfall", "6", "engine-6"]);
    }
}
