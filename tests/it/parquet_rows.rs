//! Reads rows of `id int64, name string` back, with the parquet crate's own reader.

use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// All rows of a file, in order.
pub fn read(file: &Bytes) -> Vec<(i64, Option<String>)> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone())
        .expect("a Parquet file")
        .build()
        .expect("reads");
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.expect("a batch");
        let ids = batch.column_by_name("id").expect("id").as_primitive::<Int64Type>();
        let names = batch.column_by_name("name").expect("name").as_string::<i32>();
        for row in 0..batch.num_rows() {
            rows.push((ids.value(row), names.is_valid(row).then(|| names.value(row).to_owned())));
        }
    }
    rows
}

/// How many columns a file has.
pub fn columns(file: &Bytes) -> usize {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).expect("a Parquet file");
    reader.schema().fields().len()
}
