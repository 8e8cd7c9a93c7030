//! The shape of a footer, checked before the Parquet reader sees it: that reader reserves memory by the counts a footer
//! claims and follows its schema by recursion, and neither an allocation that fails nor a full stack can be caught.
//!
//! Every field must have the type that the Thrift definition of Parquet gives it, in ascending order, and none may be
//! unknown: a reader that skips what this one reads, or reads what this one skips, would see other counts.

use parquet::schema::types::Type;

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
    let mut walk = Walk { rest: footer, children: &children, leaves };
    walk.value(FILE_META_DATA)?;
    if walk.rest.is_empty() { Ok(()) } else { Err(Misshapen::Form("something follows its last field")) }
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
struct Walk<'a> {
    rest: &'a [u8],
    children: &'a [i64],
    leaves: u64,
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

    /// The fields of a structure; `children` is what an element of the schema must have.
    fn fields(&mut self, fields: &[(i16, Shape)], children: Option<i64>) -> Result<(), Misshapen> {
        let mut id = 0_i16;
        let mut found = 0;
        loop {
            let header = self.byte()?;
            if header == 0 {
                break;
            }
            // Zero stands for an id written out, which ascending fields of small ids never need.
            let step = i16::from(header >> 4);
            id = id.checked_add(step).filter(|_| step > 0).ok_or(Misshapen::Form("fields out of order"))?;
            let shape = fields.iter().find(|(known, _)| *known == id).map(|(_, shape)| *shape);
            let shape = shape.ok_or(Misshapen::Form("it has a field that is not known"))?;
            let code = header & 0x0f;
            match shape {
                Bool if matches!(code, 1 | 2) => {}
                _ if code != shape.code() => return Err(Misshapen::Form("a field has another type")),
                I32 if id == CHILDREN && children.is_some() => {
                    let zigzag = self.number()?;
                    found = i64::try_from(zigzag >> 1).unwrap_or(i64::MAX);
                    if zigzag & 1 != 0 {
                        return Err(Misshapen::Form("a negative number of children"));
                    }
                }
                _ => self.value(shape)?,
            }
        }
        match children {
            Some(children) if children != found => {
                Err(Misshapen::Schema("its columns are not nested as the contract has them"))
            }
            _ => Ok(()),
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
            Most::Schema => elements,
        };
        if matches!(most, Most::Schema) && size != elements {
            return Err(Misshapen::Schema("it has not as many columns and members as the contract"));
        }
        if size > bound {
            return Err(Misshapen::Form("a list is longer than it may be"));
        }
        match (most, element) {
            (Most::Schema, Struct(fields)) => {
                self.children.iter().try_for_each(|children| self.fields(fields, Some(*children)))
            }
            _ => (0..size).try_for_each(|_| self.value(element)),
        }
    }
}
