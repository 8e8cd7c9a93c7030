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
//! to is told by their [`lengths`], and counts as the size of their page.
//!
//! Of the codecs, snappy, zstd and raw LZ4 stop at the size that a header claims. Those that do not are run once without
//! keeping what comes out, where it could be much ([`inflate`]).

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type as Physical};
use parquet::column::page::{Page, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescriptor;

use super::delta::lengths;
use super::{Refused, data_error, footer_error};
use crate::fault::QuarantineReason;
use crate::footer::{PageHeader, page_header};
use crate::limits;

/// The most rows that are decoded at once.
const BATCH_ROWS: usize = 4096;

/// Bytes of the levels and offsets around a value.
const LEVEL_BYTES: u64 = 8;

const DATA_PAGE: u64 = 0;
const DICTIONARY_PAGE: u64 = 2;
const DATA_PAGE_V2: u64 = 3;
const DELTA_LENGTH_BYTE_ARRAY: u64 = 6;
const DELTA_BYTE_ARRAY: u64 = 7;

/// Bytes that a byte comes to, at most: of deflate, and of LZ4.
const DEFLATE_RATIO: u64 = 1032;
const LZ4_RATIO: u64 = 255;

/// How LZ4 frames begin, those of now and of old.
const LZ4_FRAMES: [&[u8]; 2] = [&[0x04, 0x22, 0x4d, 0x18], &[0x02, 0x21, 0x4c, 0x18]];

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
            Physical::BOOLEAN | Physical::INT32 | Physical::FLOAT => 4,
            Physical::INT64 | Physical::DOUBLE => 8,
            // A view, or the twelve bytes themselves.
            Physical::BYTE_ARRAY | Physical::INT96 => 16,
            Physical::FIXED_LEN_BYTE_ARRAY => u64::try_from(leaf.type_length()).unwrap_or(u64::MAX),
        };
        let mut chunk = Self {
            pages: Vec::new(),
            dictionary: 0,
            place: place.saturating_add(LEVEL_BYTES),
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
            let (bytes, after) = next
                .and_then(|next| rest.split_at_checked(next))
                .ok_or_else(|| data_error("a page reaches beyond its column chunk"))?;
            rest = after;
            chunk.page(&page)?;
            let levels = usize::try_from(page.levels).unwrap_or(usize::MAX);
            let bytes = bytes.get(page.length.saturating_add(levels)..).unwrap_or_default();
            if !page.stored {
                inflate(column.compression(), bytes, page.uncompressed)?;
            }
            delta |= page.kind != DICTIONARY_PAGE
                && matches!(page.encoding, DELTA_LENGTH_BYTE_ARRAY | DELTA_BYTE_ARRAY);
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
            DICTIONARY_PAGE => {
                return Err(data_error("a column chunk has its dictionary not at its beginning"));
            }
            DATA_PAGE | DATA_PAGE_V2 => {
                if page.levels > page.uncompressed || page.levels > page.compressed {
                    return Err(data_error("the levels of a page reach beyond it"));
                }
                if page.stored && page.compressed > page.uncompressed {
                    return Err(data_error("a page that is not compressed is longer than it claims"));
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

    /// Lets each page whose byte strings have their lengths apart count as what its values come to.
    fn expand(
        &mut self,
        object: &Arc<Bytes>,
        column: &ColumnChunkMetaData,
        rows: u64,
    ) -> Result<(), Refused> {
        let broken = |_: ParquetError| data_error("its pages cannot be decoded");
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let mut reader = SerializedPageReader::new(object.clone(), column, rows, None).map_err(broken)?;
        let mut index = 0;
        while let Some(page) = reader.get_next_page().map_err(broken)? {
            if !page.is_data_page() {
                continue;
            }
            let (values, size) = self.pages.get_mut(index).ok_or_else(super::source::contradiction)?;
            index += 1;
            let shared = match page.encoding() {
                Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY => {
                    shared(&page, *values, column.column_descr())
                        .ok_or_else(|| data_error("the lengths of byte strings cannot be read"))?
                }
                _ => continue,
            };
            if size.saturating_add(shared) > limits::PARQUET_PAGE_BYTES {
                return Err(too_large());
            }
            // The lengths of both kinds are kept beside the page.
            *size = size.saturating_add(shared).saturating_add(values.saturating_mul(8));
        }
        Ok(())
    }
}

#[cold]
fn too_large() -> Refused {
    let detail = format!("a page comes to more than {} bytes", limits::PARQUET_PAGE_BYTES);
    Refused::new(QuarantineReason::ParquetPageTooLarge, detail)
}

/// The bytes that the values of a page share with the ones before them, its lengths checked.
fn shared(page: &Page, values: u64, leaf: &ColumnDescriptor) -> Option<u64> {
    let mut rest: &[u8] = page.buffer();
    match page {
        Page::DataPageV2 { rep_levels_byte_len, def_levels_byte_len, .. } => {
            let levels = u64::from(*rep_levels_byte_len) + u64::from(*def_levels_byte_len);
            rest = rest.get(usize::try_from(levels).ok()?..)?;
        }
        Page::DataPage { rep_level_encoding, def_level_encoding, .. } => {
            let levels =
                [(leaf.max_rep_level(), rep_level_encoding), (leaf.max_def_level(), def_level_encoding)];
            for (_, encoding) in levels.into_iter().filter(|(level, _)| *level > 0) {
                let (length, after) = rest.split_first_chunk::<4>()?;
                let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
                rest = after.get(length..).filter(|_| *encoding == Encoding::RLE)?;
            }
        }
        Page::DictionaryPage { .. } => return None,
    }
    if rest.is_empty() {
        return Some(0);
    }
    let first = lengths(rest, values)?;
    if page.encoding() == Encoding::DELTA_LENGTH_BYTE_ARRAY {
        return Some(0);
    }
    let suffixes = lengths(rest.get(first.end..)?, values)?;
    (suffixes.count == first.count).then_some(first.sum)
}

/// Refuses a page that comes to more than its header claims, where the crate would only find out when it has all of it.
fn inflate(codec: Compression, bytes: &[u8], claimed: u64) -> Result<(), Refused> {
    let length = bytes.len() as u64;
    let harmless = |ratio| length.saturating_mul(ratio) <= limits::PARQUET_OPEN_BYTES;
    let found = match codec {
        Compression::GZIP(_) if !harmless(DEFLATE_RATIO) => {
            drain(flate2::bufread::MultiGzDecoder::new(bytes), claimed)
        }
        Compression::BROTLI(_) if !bytes.is_empty() => {
            drain(brotli_decompressor::Decompressor::new(bytes, 4096), claimed)
        }
        // Blocks, raw or of Hadoop, stop where they should. Frames, which old writers made, do not.
        Compression::LZ4
            if LZ4_FRAMES.iter().any(|magic| bytes.starts_with(magic)) && !harmless(LZ4_RATIO) =>
        {
            return Err(too_large());
        }
        _ => Ok(()),
    };
    found.map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => data_error("a page comes to more than its header claims"),
        _ => data_error("a page cannot be decompressed"),
    })
}

/// Reads to the end, or one byte further than it should be.
fn drain(reader: impl io::Read, claimed: u64) -> io::Result<()> {
    let most = claimed.saturating_add(1);
    let read = io::copy(&mut io::Read::take(reader, most), &mut io::sink())?;
    if read == most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
}
