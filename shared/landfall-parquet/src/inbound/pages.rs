//! What reading the columns of a row group takes, told by the headers of its pages before any of them is decoded.
//!
//! The `parquet` crate follows a page's header without measure: it reserves what the header claims, and holds what a batch of
//! rows refers to, however little of the object that came from. So every header of a column that will be read is looked at
//! first, and from them follow the rows that are decoded at once:
//!
//! | the column has | a batch of rows holds at most |
//! |---|---|
//! | one value for each row | the pages that any so many consecutive rows touch, one place for each row, its dictionary |
//! | lists or maps around it | all pages of the row group, one place for each value of them, its dictionary: in which page a row begins, no header tells |
//!
//! A place is what a value takes in its array, its levels and offsets counted. Byte strings are views into pages and
//! dictionaries, but for those of the encoding DELTA_BYTE_ARRAY, which are put together from the ones before: what they come
//! to is told by the lengths they begin with ([`prefixes`]), and counts as the size of their page.

use bytes::Bytes;
use parquet::basic::{Encoding, Type as Physical};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::Int32Type;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor, ColumnPath, Type};
use std::sync::Arc;

use super::{Refused, data_error, footer_error};
use crate::fault::QuarantineReason;
use crate::footer::{PageHeader, page_header};
use crate::limits;

/// The most rows that are decoded at once.
const BATCH_ROWS: usize = 4096;

/// Bytes of a view, or of a number; and of levels and offsets around it.
const PLACE_BYTES: u64 = 16 + 8;

const DATA_PAGE: u64 = 0;
const DICTIONARY_PAGE: u64 = 2;
const DATA_PAGE_V2: u64 = 3;
const DELTA_BYTE_ARRAY: u64 = 7;

/// What reading a row group takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    /// How many rows may be decoded at once.
    pub(super) batch_rows: usize,
    /// The bytes of all pages together when they are decompressed.
    pub(super) bytes: u64,
}

/// The pages of one column chunk.
#[derive(Debug)]
struct Chunk {
    /// Values and bytes of each data page.
    pages: Vec<(u64, u64)>,
    dictionary: u64,
    /// What a value takes in its array.
    place: u64,
    repeated: bool,
}

/// Measures a row group: those of its columns that are `wanted`.
pub(super) fn measure(
    object: &Arc<Bytes>,
    data_end: u64,
    group: &RowGroupMetaData,
    wanted: &[bool],
) -> Result<Measure, Refused> {
    let rows = u64::try_from(group.num_rows()).map_err(|_| footer_error("a negative number of rows"))?;
    let mut chunks = Vec::new();
    for (column, _) in group.columns().iter().zip(wanted).filter(|(_, wanted)| **wanted) {
        let chunk = Chunk::walk(object, data_end, column, rows)?;
        let values = chunk.pages.iter().map(|(values, _)| values).sum::<u64>();
        if !chunk.repeated && values != rows {
            return Err(data_error("a column has not as many values as its row group has rows"));
        }
        chunks.push(chunk);
    }
    let bytes = chunks
        .iter()
        .map(|chunk| chunk.dictionary + chunk.pages.iter().map(|(_, bytes)| bytes).sum::<u64>())
        .sum();
    let mut batch_rows = BATCH_ROWS;
    loop {
        let held = chunks.iter().fold(0_u64, |sum, chunk| sum.saturating_add(chunk.held(batch_rows)));
        if held <= limits::PARQUET_OPEN_BYTES {
            return Ok(Measure { batch_rows, bytes });
        }
        if batch_rows == 1 {
            let detail = "its pages take more memory at one row than the limit";
            return Err(Refused::new(QuarantineReason::ParquetPageTooLarge, detail));
        }
        batch_rows /= 2;
    }
}

impl Chunk {
    /// Looks at all pages of a chunk.
    fn walk(
        object: &Arc<Bytes>,
        data_end: u64,
        column: &ColumnChunkMetaData,
        rows: u64,
    ) -> Result<Self, Refused> {
        let leaf = column.column_descr();
        let place = match leaf.physical_type() {
            Physical::FIXED_LEN_BYTE_ARRAY => u64::try_from(leaf.type_length()).unwrap_or(u64::MAX),
            _ => 0,
        };
        let mut chunk = Self {
            pages: Vec::new(),
            dictionary: 0,
            place: place.saturating_add(PLACE_BYTES),
            repeated: leaf.max_rep_level() > 0,
        };
        let mut delta = false;
        let (start, length) = column.byte_range();
        let end = start.checked_add(length).filter(|end| *end <= data_end);
        let mut rest = match (usize::try_from(start), end.map(usize::try_from)) {
            // Nothing is read of it: it may lie anywhere.
            _ if length == 0 => Some(&[][..]),
            (Ok(start), Some(Ok(end))) if start >= super::MAGIC.len() => object.get(start..end),
            _ => None,
        }
        .ok_or_else(|| data_error("a column chunk lies outside the object"))?;
        while !rest.is_empty() {
            let page = page_header(rest).map_err(data_error)?;
            let next = usize::try_from(page.compressed).ok().and_then(|size| size.checked_add(page.length));
            rest = next
                .and_then(|next| rest.get(next..))
                .ok_or_else(|| data_error("a page reaches beyond its column chunk"))?;
            chunk.page(&page)?;
            delta |= page.kind != DICTIONARY_PAGE && page.encoding == DELTA_BYTE_ARRAY;
        }
        if delta {
            chunk.expand(object, column, rows)?;
        }
        Ok(chunk)
    }

    fn page(&mut self, page: &PageHeader) -> Result<(), Refused> {
        if page.uncompressed > limits::PARQUET_PAGE_BYTES {
            return Err(too_large());
        }
        if page.values > limits::PARQUET_PAGE_VALUES {
            return Err(data_error("a page has more values than the limit"));
        }
        match page.kind {
            DICTIONARY_PAGE if self.dictionary == 0 && self.pages.is_empty() => {
                // No entry takes less than a byte, and each of them a place.
                if page.values > page.uncompressed {
                    return Err(data_error("a dictionary has more entries than bytes"));
                }
                let places = page.values.saturating_mul(self.place);
                self.dictionary = page.uncompressed.saturating_add(places);
            }
            DICTIONARY_PAGE => return Err(data_error("a column chunk has its dictionary not at its beginning")),
            DATA_PAGE | DATA_PAGE_V2 => {
                if page.levels > page.uncompressed || page.levels > page.compressed {
                    return Err(data_error("the levels of a page reach beyond it"));
                }
                self.pages.push((page.values, page.uncompressed));
            }
            // An index of old: nobody reads it.
            _ => {}
        }
        Ok(())
    }

    /// The most that any so many rows hold.
    fn held(&self, rows: usize) -> u64 {
        let rows = rows as u64;
        if self.repeated {
            let values = self.pages.iter().map(|(values, _)| values).sum::<u64>();
            let bytes = self.pages.iter().map(|(_, bytes)| bytes).sum::<u64>();
            return values.saturating_mul(self.place).saturating_add(bytes).saturating_add(self.dictionary);
        }
        // The pages from the one of a batch's first row to the one of its last: a batch may begin anywhere, so what the
        // pages between them hold is less than a batch.
        let (mut most, mut bytes, mut inner, mut first) = (0, 0, 0, 0);
        for (index, (values, size)) in self.pages.iter().enumerate() {
            bytes += size;
            inner += values;
            // `inner` is of all pages from `first` on; the first and the last give at least one row each.
            while let Some((gone, less)) = self.pages.get(first).filter(|_| first < index) {
                if inner.saturating_sub(*gone).saturating_sub(*values) + 2 <= rows {
                    break;
                }
                inner -= gone;
                bytes -= less;
                first += 1;
            }
            most = most.max(bytes);
        }
        rows.saturating_mul(self.place).saturating_add(most).saturating_add(self.dictionary)
    }

    /// Lets each page of the encoding DELTA_BYTE_ARRAY count as what its values come to.
    fn expand(
        &mut self,
        object: &Arc<Bytes>,
        column: &ColumnChunkMetaData,
        rows: u64,
    ) -> Result<(), Refused> {
        let broken = |_: ParquetError| data_error("the lengths of byte strings cannot be read");
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let mut reader = SerializedPageReader::new(object.clone(), column, rows, None).map_err(broken)?;
        let leaf = column.column_descr();
        let mut index = 0;
        while let Some(page) = reader.get_next_page().map_err(broken)? {
            if !page.is_data_page() {
                continue;
            }
            let (_, size) = self.pages.get_mut(index).ok_or_else(super::source::contradiction)?;
            index += 1;
            if page.encoding() != Encoding::DELTA_BYTE_ARRAY {
                continue;
            }
            *size = size.saturating_add(prefixes(&page, leaf).map_err(broken)?);
            if *size > limits::PARQUET_PAGE_BYTES {
                return Err(too_large());
            }
        }
        Ok(())
    }
}

#[cold]
fn too_large() -> Refused {
    let detail = format!("a page comes to more than {} bytes", limits::PARQUET_PAGE_BYTES);
    Refused::new(QuarantineReason::ParquetPageTooLarge, detail)
}

/// One page, and none after it.
struct OnePage(Option<Page>);

impl Iterator for OnePage {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageReader for OnePage {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        Ok(self.0.take())
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        let Some(page) = &self.0 else { return Ok(None) };
        let num_levels = usize::try_from(page.num_values()).ok();
        Ok(Some(PageMetadata { num_rows: num_levels, num_levels, is_dict: false }))
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.0 = None;
        Ok(())
    }
}

/// The bytes that the values of a DELTA_BYTE_ARRAY page share with the ones before them. The page begins, after its levels,
/// with the lengths of what is shared, as a page of numbers would: as such the crate reads them.
fn prefixes(page: &Page, leaf: &ColumnDescriptor) -> Result<u64, ParquetError> {
    let broken = || ParquetError::General("the page ends early".to_owned());
    let mut buffer = page.buffer().clone();
    match page {
        Page::DataPageV2 { rep_levels_byte_len, def_levels_byte_len, .. } => {
            let levels = u64::from(*rep_levels_byte_len) + u64::from(*def_levels_byte_len);
            let levels = usize::try_from(levels).ok().filter(|levels| *levels <= buffer.len());
            buffer = buffer.slice(levels.ok_or_else(broken)?..);
        }
        Page::DataPage { rep_level_encoding, def_level_encoding, .. } => {
            let levels =
                [(leaf.max_rep_level(), rep_level_encoding), (leaf.max_def_level(), def_level_encoding)];
            for (_, encoding) in levels.into_iter().filter(|(level, _)| *level > 0) {
                if *encoding != Encoding::RLE {
                    return Err(broken());
                }
                let length = buffer.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes));
                let end = length.and_then(|length| usize::try_from(length).ok()?.checked_add(4));
                let end = end.filter(|end| *end <= buffer.len());
                buffer = buffer.slice(end.ok_or_else(broken)?..);
            }
        }
        Page::DictionaryPage { .. } => return Err(broken()),
    }
    if buffer.is_empty() {
        return Ok(0);
    }
    // Block size, blocks, and then how many numbers there are.
    let count = buffer.iter().scan(0, |ended, byte| {
        let number = *ended;
        *ended += u8::from(byte & 0x80 == 0);
        Some((number, *byte))
    });
    let count = count.skip_while(|(number, _)| *number < 2).take_while(|(number, _)| *number == 2);
    let count = count.take(9).enumerate().fold(0_u64, |value, (place, (_, byte))| {
        value | (u64::from(byte & 0x7f) << (7 * place))
    });
    let count = u32::try_from(count).ok().filter(|count| *count <= page.num_values());
    let count = count.ok_or_else(broken)?;
    let numbers = Page::DataPageV2 {
        buf: buffer,
        num_values: count,
        encoding: Encoding::DELTA_BINARY_PACKED,
        num_nulls: 0,
        num_rows: count,
        def_levels_byte_len: 0,
        rep_levels_byte_len: 0,
        is_compressed: false,
        statistics: None,
    };
    let element = Type::primitive_type_builder("length", Physical::INT32).build()?;
    let leaf: ColumnDescPtr =
        Arc::new(ColumnDescriptor::new(Arc::new(element), 0, 0, ColumnPath::new(Vec::new())));
    let mut reader = ColumnReaderImpl::<Int32Type>::new(leaf, Box::new(OnePage(Some(numbers))));
    let (mut total, mut left, mut lengths) = (0_u64, count as usize, Vec::new());
    while left > 0 {
        lengths.clear();
        let (_, read, _) = reader.read_records(left.min(BATCH_ROWS), None, None, &mut lengths)?;
        if read == 0 {
            return Err(broken());
        }
        left = left.saturating_sub(read);
        for length in &lengths {
            total = total.saturating_add(u64::try_from(*length).map_err(|_| broken())?);
        }
    }
    Ok(total)
}
