//! The shape of a footer, checked before the Parquet reader sees it: that reader reserves memory by the counts a footer
//! claims and follows its schema by recursion, and neither an allocation that fails nor a full stack can be caught.
//!
//! Every field must have the type that the Thrift definition of Parquet gives it, in ascending order, and none may be
//! unknown: a reader that skips what this one reads, or reads what this one skips, would see other counts. Files of others
//! ([`check_foreign`], [`page_header`]) may hold fields that were defined later: those are skipped by their type, as the
//! Parquet reader skips them.

use parquet::schema::types::Type;

use crate::limits;

/// The most row groups: their ordinal is a 16-bit number.
pub(crate) const MAX_ROW_GROUPS: u64 = 32_767;

/// The most key-value pairs, encodings, statistics of pages or levels, parts of a path.
const MAX_SMALL: u64 = 1_024;

/// The type of a field or element.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Bool,
    I8,
    I16,
    I32,
    I64,
    Double,
    Binary,
    /// Fields by id.
    Struct(&'static [(i16, Shape)]),
    /// Elements, and how many there may be.
    List(&'static Shape, Most),
}

/// A bound of a list.
#[derive(Debug, Clone, Copy)]
enum Most {
    Small,
    RowGroups,
    /// As many as the schema has leaves.
    Columns,
    /// As many as the schema has elements; the children of each are those of the schema.
    Schema,
}

use Shape::{Binary, Bool, Double, I8, I16, I32, I64, List, Struct};

const EMPTY: Shape = Struct(&[]);
const UNIT: Shape = Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]);
const TIME: Shape = Struct(&[(1, Bool), (2, UNIT)]);
const LOGICAL_TYPE: Shape = Struct(&[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Struct(&[(1, I32), (2, I32)])),
    (6, EMPTY),
    (7, TIME),
    (8, TIME),
    (10, Struct(&[(1, I8), (2, Bool)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
]);
const SCHEMA_ELEMENT: Shape = Struct(&[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, Binary),
    (CHILDREN, I32),
    (6, I32),
    (7, I32),
    (8, I32),
    (9, I32),
    (10, LOGICAL_TYPE),
]);
const CHILDREN: i16 = 5;
const KEY_VALUE: Shape = Struct(&[(1, Binary), (2, Binary)]);
const STATISTICS: Shape =
    Struct(&[(1, Binary), (2, Binary), (3, I64), (4, I64), (5, Binary), (6, Binary), (7, Bool), (8, Bool)]);
const BOX: Shape = Struct(&[
    (1, Double),
    (2, Double),
    (3, Double),
    (4, Double),
    (5, Double),
    (6, Double),
    (7, Double),
    (8, Double),
]);
const COLUMN_META_DATA: Shape = Struct(&[
    (1, I32),
    (2, List(&I32, Most::Small)),
    (3, List(&Binary, Most::Small)),
    (4, I32),
    (5, I64),
    (6, I64),
    (7, I64),
    (8, List(&KEY_VALUE, Most::Small)),
    (9, I64),
    (10, I64),
    (11, I64),
    (12, STATISTICS),
    (13, List(&Struct(&[(1, I32), (2, I32), (3, I32)]), Most::Small)),
    (14, I64),
    (15, I32),
    (16, Struct(&[(1, I64), (2, List(&I64, Most::Small)), (3, List(&I64, Most::Small))])),
    (17, Struct(&[(1, BOX), (2, List(&I32, Most::Small))])),
]);
const COLUMN_CHUNK: Shape =
    Struct(&[(1, Binary), (2, I64), (3, COLUMN_META_DATA), (4, I64), (5, I32), (6, I64), (7, I32)]);
const ROW_GROUP: Shape = Struct(&[
    (1, List(&COLUMN_CHUNK, Most::Columns)),
    (2, I64),
    (3, I64),
    (4, List(&Struct(&[(1, I32), (2, Bool), (3, Bool)]), Most::Columns)),
    (5, I64),
    (6, I64),
    (7, I16),
]);
const FILE_META_DATA: Shape = Struct(&[
    (1, I32),
    (2, List(&SCHEMA_ELEMENT, Most::Schema)),
    (3, I64),
    (4, List(&ROW_GROUP, Most::RowGroups)),
    (5, List(&KEY_VALUE, Most::Small)),
    (6, Binary),
    (7, List(&Struct(&[(1, EMPTY), (2, EMPTY)]), Most::Columns)),
]);

const PAGE_HEADER: Shape = Struct(&[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, I32),
    (5, Struct(&[(1, I32), (2, I32), (3, I32), (4, I32), (5, STATISTICS)])),
    (6, EMPTY),
    (7, Struct(&[(1, I32), (2, I32), (3, Bool)])),
    (8, Struct(&[(1, I32), (2, I32), (3, I32), (4, I32), (5, I32), (6, I32), (7, Bool), (8, STATISTICS)])),
]);

/// How deep fields that are not known may nest.
const UNKNOWN_DEPTH: usize = 16;

/// What is wrong with the shape of a footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misshapen {
    /// It is no Thrift structure as Parquet has it, or claims more than it may.
    Form(&'static str),
    /// Its schema has other elements, or other children of one, than the expected one.
    Schema(&'static str),
}

/// Checks the shape of a footer against the schema it must have.
pub(crate) fn check_shape(footer: &[u8], schema: &Type) -> Result<(), Misshapen> {
    let mut children = Vec::new();
    gather(schema, &mut children);
    let leaves = children.iter().filter(|count| **count == 0).count() as u64;
    let mut walk = Walk { rest: footer, children: &children, leaves, ..Walk::default() };
    walk.value(FILE_META_DATA)?;
    if walk.rest.is_empty() { Ok(()) } else { Err(Misshapen::Form("something follows its last field")) }
}

/// Checks the shape of a footer that others wrote, with a schema of their own, within [`limits`].
pub(crate) fn check_foreign(footer: &[u8]) -> Result<(), &'static str> {
    let mut walk = Walk { rest: footer, foreign: true, ..Walk::default() };
    walk.value(FILE_META_DATA).map_err(Misshapen::text)?;
    if walk.rest.is_empty() { Ok(()) } else { Err("something follows its last field") }
}

/// What the header of a page says, as far as it bounds what reading the page takes. Sizes and counts are never negative.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PageHeader {
    /// The bytes of the header itself.
    pub(crate) length: usize,
    /// 0 a data page, 1 an index, 2 a dictionary, 3 a data page of version 2.
    pub(crate) kind: u64,
    /// The bytes of the page after decompression.
    pub(crate) uncompressed: u64,
    /// The bytes of the page as they stand.
    pub(crate) compressed: u64,
    /// Its values, those that are null counted; of a dictionary its entries.
    pub(crate) values: u64,
    /// How its values are encoded.
    pub(crate) encoding: u64,
    /// Of a page of version 2 the bytes of its levels.
    pub(crate) levels: u64,
    /// Whether it is a page of version 2 whose values are not compressed, whatever the codec of its column is.
    pub(crate) stored: bool,
}

/// Reads the header of the page at which `bytes` begin. The `parquet` crate keeps its own for itself: what it tells of a page
/// without decompressing it has no size.
pub(crate) fn page_header(bytes: &[u8]) -> Result<PageHeader, &'static str> {
    let mut walk = Walk { rest: bytes, foreign: true, noted: Some(Vec::new()), ..Walk::default() };
    walk.value(PAGE_HEADER).map_err(Misshapen::text)?;
    let length = bytes.len() - walk.rest.len();
    let mut header = PageHeader { length, kind: u64::MAX, ..PageHeader::default() };
    for (outer, id, value) in walk.noted.unwrap_or_default() {
        let Ok(value) = u64::try_from(value) else {
            // A checksum has all bits.
            if (outer, id) == (0, 4) {
                continue;
            }
            return Err("the header of a page has a negative number");
        };
        match (outer, id) {
            (0, 1) => header.kind = value,
            (0, 2) => header.uncompressed = value,
            (0, 3) => header.compressed = value,
            (5 | 7 | 8, 1) if section(header.kind) == outer => header.values = value,
            (5 | 7, 2) | (8, 4) if section(header.kind) == outer => header.encoding = value,
            (8, COMPRESSED) if header.kind == 3 => header.stored = value == 0,
            (8, 5 | 6) if header.kind == 3 => header.levels = header.levels.saturating_add(value),
            _ => {}
        }
    }
    Ok(header)
}

/// The field of a page of version 2 that says whether its values are compressed.
const COMPRESSED: i16 = 7;

/// The field of a page's header that describes a page of a kind.
fn section(kind: u64) -> i16 {
    match kind {
        0 => 5,
        2 => 7,
        3 => 8,
        _ => -1,
    }
}

impl Misshapen {
    fn text(self) -> &'static str {
        match self {
            Self::Form(what) | Self::Schema(what) => what,
        }
    }
}

/// The number of children of each element of a schema, depth first. As deep as the contract's types, which are bounded.
fn gather(element: &Type, children: &mut Vec<i64>) {
    let fields = if element.is_group() { element.get_fields() } else { &[] };
    children.push(i64::try_from(fields.len()).unwrap_or(i64::MAX));
    for field in fields {
        gather(field, children);
    }
}

/// A place in a footer: Thrift's compact protocol.
#[derive(Default)]
struct Walk<'a> {
    rest: &'a [u8],
    /// The children of each element that the schema must have.
    children: &'a [i64],
    leaves: u64,
    /// Whether the schema is the file's own, and fields may stand there that are not known.
    foreign: bool,
    /// The column chunks so far.
    chunks: u64,
    /// Where they are wanted, all 32-bit numbers and truth values of structures within at most one other: the field that the
    /// structure is, their own, and the number, 0 or 1.
    noted: Option<Vec<(i16, i16, i64)>>,
    /// The field that is the structure being read.
    within: i16,
    /// How many structures are around it.
    depth: usize,
}

impl Shape {
    /// The code of the type in a field's or list's header. A field's truth value is its type: 1 or 2.
    fn code(self) -> u8 {
        match self {
            Bool => 2,
            I8 => 3,
            I16 => 4,
            I32 => 5,
            I64 => 6,
            Double => 7,
            Binary => 8,
            List(..) => 9,
            Struct(_) => 12,
        }
    }
}

impl Walk<'_> {
    fn skip(&mut self, bytes: u64) -> Result<(), Misshapen> {
        let rest = usize::try_from(bytes).ok().and_then(|bytes| self.rest.get(bytes..));
        self.rest = rest.ok_or(Misshapen::Form("it ends inside a value"))?;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Misshapen> {
        let first = self.rest.first().copied();
        self.skip(1)?;
        Ok(first.unwrap_or_default())
    }

    fn number(&mut self) -> Result<u64, Misshapen> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Misshapen::Form("a number is too long"))
    }

    fn value(&mut self, shape: Shape) -> Result<(), Misshapen> {
        match shape {
            Bool | I8 => self.skip(1),
            I16 | I32 | I64 => self.number().map(drop),
            Double => self.skip(8),
            Binary => {
                let length = self.number()?;
                self.skip(length)
            }
            Struct(fields) => self.fields(fields, None),
            List(element, most) => self.list(*element, most),
        }
    }

    /// A number with its sign, of at most 32 bits.
    fn signed(&mut self) -> Result<i64, Misshapen> {
        let zigzag = self.number()?;
        let value = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        if i32::try_from(value).is_err() {
            return Err(Misshapen::Form("a number is too large"));
        }
        Ok(value)
    }

    /// The fields of a structure; `children` is where the number of an element's children goes.
    fn fields(&mut self, fields: &[(i16, Shape)], mut children: Option<&mut i64>) -> Result<(), Misshapen> {
        let mut id = 0_i16;
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Ok(());
            }
            let (step, code) = (i16::from(header >> 4), header & 0x0f);
            let next = if step == 0 && self.foreign {
                i16::try_from(self.signed()?).ok()
            } else {
                // Zero stands for an id written out, which ascending fields of small ids never need.
                id.checked_add(step)
            };
            id = next.filter(|next| *next > id).ok_or(Misshapen::Form("fields out of order"))?;
            let shape = fields.iter().find(|(known, _)| *known == id).map(|(_, shape)| *shape);
            let Some(shape) = shape else {
                if self.foreign {
                    self.unknown(code, true, UNKNOWN_DEPTH)?;
                    continue;
                }
                return Err(Misshapen::Form("it has a field that is not known"));
            };
            match (shape, &mut children) {
                (Bool, _) if matches!(code, 1 | 2) => {
                    self.note(id, i64::from(code == 1));
                }
                _ if code != shape.code() => return Err(Misshapen::Form("a field has another type")),
                (I32, Some(children)) if id == CHILDREN => {
                    **children = self.signed()?;
                    if **children < 0 {
                        return Err(Misshapen::Form("a negative number of children"));
                    }
                }
                (I32, _) if self.noted.is_some() => {
                    let value = self.signed()?;
                    self.note(id, value);
                }
                (Struct(_), _) => {
                    let outer = std::mem::replace(&mut self.within, id);
                    self.depth += 1;
                    self.value(shape)?;
                    self.depth -= 1;
                    self.within = outer;
                }
                _ => self.value(shape)?,
            }
        }
    }

    /// Notes the value of a field, where it is wanted: statistics, deeper in, have fields of the same numbers.
    fn note(&mut self, id: i16, value: i64) {
        if let Some(noted) = self.noted.as_mut().filter(|_| self.depth < 2) {
            noted.push((self.within, id, value));
        }
    }

    /// Skips a value of which only the type is known; that of a field that is a truth value stands in its header.
    fn unknown(&mut self, code: u8, field: bool, depth: usize) -> Result<(), Misshapen> {
        let depth = depth.checked_sub(1).ok_or(Misshapen::Form("its fields nest too deeply"))?;
        match code {
            1 | 2 if field => Ok(()),
            1..=3 => self.skip(1),
            4..=6 => self.number().map(drop),
            7 => self.skip(8),
            8 => {
                let length = self.number()?;
                self.skip(length)
            }
            9 | 10 => {
                let header = self.byte()?;
                let size = if header >> 4 == 15 { self.number()? } else { u64::from(header >> 4) };
                (0..size).try_for_each(|_| self.unknown(header & 0x0f, false, depth))
            }
            12 => loop {
                let header = self.byte()?;
                if header == 0 {
                    return Ok(());
                }
                if header >> 4 == 0 {
                    self.number()?;
                }
                self.unknown(header & 0x0f, true, depth)?;
            },
            _ => Err(Misshapen::Form("a field has a type that is not known")),
        }
    }

    fn list(&mut self, element: Shape, most: Most) -> Result<(), Misshapen> {
        let header = self.byte()?;
        let (size, code) = match header >> 4 {
            15 => (self.number()?, header & 0x0f),
            size => (u64::from(size), header & 0x0f),
        };
        // Some writers give an empty list no type.
        if header != 0 && code != element.code() && !(matches!(element, Bool) && code == 1) {
            return Err(Misshapen::Form("a list has elements of another type"));
        }
        let elements = self.children.len() as u64;
        let bound = match most {
            Most::Small => MAX_SMALL,
            Most::RowGroups => MAX_ROW_GROUPS,
            Most::Columns => self.leaves,
            Most::Schema if self.foreign => limits::PARQUET_SCHEMA_ELEMENTS as u64,
            Most::Schema => elements,
        };
        if matches!(most, Most::Schema) && size != elements && !self.foreign {
            return Err(Misshapen::Schema("it has not as many columns and members as the contract"));
        }
        if size > bound {
            return Err(Misshapen::Form("a list is longer than it may be"));
        }
        match (most, element) {
            (Most::Schema, Struct(fields)) if self.foreign => self.schema(fields, size),
            (Most::Schema, Struct(fields)) => self.children.iter().try_for_each(|children| {
                let mut found = 0;
                self.fields(fields, Some(&mut found))?;
                if *children == found {
                    return Ok(());
                }
                Err(Misshapen::Schema("its columns are not nested as the contract has them"))
            }),
            (Most::Columns, Struct(_)) if self.foreign => {
                self.chunks = self.chunks.saturating_add(size);
                if self.chunks > limits::PARQUET_CHUNKS {
                    return Err(Misshapen::Form("it has too many column chunks"));
                }
                (0..size).try_for_each(|_| self.value(element))
            }
            _ => (0..size).try_for_each(|_| self.value(element)),
        }
    }

    /// The elements of a schema that others chose: how deep it is, is known before anybody follows it.
    fn schema(&mut self, fields: &[(i16, Shape)], size: u64) -> Result<(), Misshapen> {
        // For each element around the next one, how many children of it are still to come.
        let mut open = vec![1_i64];
        for _ in 0..size {
            while open.last() == Some(&0) {
                open.pop();
            }
            let Some(left) = open.last_mut() else {
                return Err(Misshapen::Form("the schema has more elements than its columns take"));
            };
            *left -= 1;
            let mut children = 0;
            self.fields(fields, Some(&mut children))?;
            if children == 0 {
                self.leaves += 1;
            } else {
                open.push(children);
            }
            if open.len() > limits::PARQUET_SCHEMA_DEPTH + 2 {
                return Err(Misshapen::Form("its columns nest too deeply"));
            }
        }
        if open.iter().any(|left| *left != 0) {
            return Err(Misshapen::Form("the schema ends inside a column"));
        }
        Ok(())
    }
}
