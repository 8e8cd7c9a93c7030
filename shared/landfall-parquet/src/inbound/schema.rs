//! The columns of a Parquet object as values of records, and what their leaves mean.
//!
//! The `parquet` crate turns the schema into lists, maps and structs, whatever shape their writer gave them, and decodes leaves
//! as they are stored: it is given a copy of the schema without the annotations of leaves ([`bare`]). What a stored value means
//! is told by the annotation here, so that a value with no exact place in an Arrow type (a text that is not UTF-8, a time of
//! INT96 beyond the years of 64 bits of nanoseconds, a decimal of 20 bytes) is one faulty value, and not the end of the object.

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor, Type};

use super::{Refused, footer_error};

/// The unit of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
    Nanos,
}

/// What a leaf holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int {
        signed: bool,
    },
    Decimal {
        precision: u8,
        scale: u8,
    },
    Date,
    Time(Unit),
    /// A moment; of which zone it is told, when it is UTC.
    Instant {
        unit: Unit,
        utc: bool,
    },
    /// The day and the nanosecond of old writers, of no zone that is told.
    Int96,
    Half,
    Float,
    Double,
    Text,
    Uuid,
    Bytes,
    /// Never anything but null.
    Null,
}

/// A value of the records, and what is below it.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) name: String,
    /// The leaves that hold it.
    pub(super) leaves: Range<usize>,
    pub(super) shape: Shape,
}

/// The shape of a value.
#[derive(Debug)]
pub(super) enum Shape {
    Leaf(Kind),
    Struct(Vec<Branch>),
    List(Box<Branch>),
    Map { key: Box<Branch>, value: Box<Branch> },
}

/// The same schema with leaves that say how they are stored and no more; INT96 is twelve bytes.
pub(super) fn bare(schema: &SchemaDescriptor) -> Result<SchemaDescriptor, ParquetError> {
    let fields = schema.root_schema().get_fields();
    let fields = fields.iter().map(|field| bare_type(field).map(Arc::new)).collect::<Result<_, _>>()?;
    let root = Type::group_type_builder(schema.root_schema().name()).with_fields(fields).build()?;
    Ok(SchemaDescriptor::new(Arc::new(root)))
}

fn bare_type(element: &Type) -> Result<Type, ParquetError> {
    let info = element.get_basic_info();
    match element {
        Type::PrimitiveType { physical_type, type_length, .. } => {
            let (physical, length) = match physical_type {
                Physical::INT96 => (Physical::FIXED_LEN_BYTE_ARRAY, 12),
                other => (*other, *type_length),
            };
            Type::primitive_type_builder(info.name(), physical)
                .with_repetition(info.repetition())
                .with_length(length)
                .build()
        }
        Type::GroupType { fields, .. } => {
            let fields =
                fields.iter().map(|field| bare_type(field).map(Arc::new)).collect::<Result<_, _>>()?;
            Type::group_type_builder(info.name())
                .with_repetition(info.repetition())
                .with_converted_type(info.converted_type())
                .with_logical_type(info.logical_type_ref().cloned())
                .with_fields(fields)
                .build()
        }
    }
}

/// The same Arrow schema with byte strings as views: these refer to the pages they stand in, so that a text that is stored
/// once and repeated a million times takes no more than it does in the object.
pub(super) fn with_views(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(field_with_views).collect::<Fields>())
}

fn field_with_views(field: &FieldRef) -> Field {
    let with = |field: &FieldRef| Arc::new(field_with_views(field));
    let data_type = match field.data_type() {
        DataType::Binary => DataType::BinaryView,
        DataType::List(item) => DataType::List(with(item)),
        DataType::Struct(members) => DataType::Struct(members.iter().map(with).collect()),
        DataType::Map(entries, sorted) => DataType::Map(with(entries), *sorted),
        other => other.clone(),
    };
    field.as_ref().clone().with_data_type(data_type)
}

/// Builds the tree of the records: `arrow` is what the bare schema became, `schema` still tells what leaves mean.
pub(super) fn tree(arrow: &Schema, schema: &SchemaDescriptor) -> Result<Branch, Refused> {
    let mut builder = Builder { schema, next: 0 };
    let members = arrow.fields().iter().map(|field| builder.branch(field)).collect::<Result<Vec<_>, _>>()?;
    if members.is_empty() || builder.next != schema.num_columns() {
        return Err(footer_error("the schema has columns that are not read"));
    }
    Ok(Branch { name: String::new(), leaves: 0..builder.next, shape: Shape::Struct(members) })
}

struct Builder<'a> {
    schema: &'a SchemaDescriptor,
    next: usize,
}

impl Builder<'_> {
    /// A field with all below it. As deep as the schema, which is bounded.
    fn branch(&mut self, field: &Field) -> Result<Branch, Refused> {
        let first = self.next;
        let shape = match field.data_type() {
            DataType::Struct(members) => {
                let members = members.iter().map(|member| self.branch(member));
                Shape::Struct(members.collect::<Result<_, _>>()?)
            }
            DataType::List(item) => Shape::List(Box::new(self.branch(item)?)),
            DataType::Map(entries, _) => {
                let DataType::Struct(members) = entries.data_type() else {
                    return Err(footer_error("a map has no keys and values"));
                };
                let [key, value] = members.as_ref() else {
                    return Err(footer_error("a map has no keys and values"));
                };
                Shape::Map { key: Box::new(self.branch(key)?), value: Box::new(self.branch(value)?) }
            }
            _ => {
                let leaf = self.schema.columns().get(first);
                let leaf = leaf.ok_or_else(|| footer_error("the schema ends inside a column"))?;
                self.next += 1;
                Shape::Leaf(kind(leaf)?)
            }
        };
        Ok(Branch { name: field.name().clone(), leaves: first..self.next, shape })
    }
}

/// What a leaf holds. An annotation that does not fit how it is stored is ignored, as the format asks for.
fn kind(leaf: &ColumnDescPtr) -> Result<Kind, Refused> {
    use Physical::{BOOLEAN, BYTE_ARRAY, DOUBLE, FIXED_LEN_BYTE_ARRAY, FLOAT, INT32, INT64, INT96};
    let physical = leaf.physical_type();
    let length = leaf.type_length();
    if physical == FIXED_LEN_BYTE_ARRAY && length < 1 {
        return Err(footer_error("a column of fixed length has none"));
    }
    let kind = match leaf.logical_type_ref() {
        Some(LogicalType::Unknown) => Some(Kind::Null),
        Some(LogicalType::Decimal(decimal)) => decimal_kind(physical, decimal.precision, decimal.scale)?,
        Some(LogicalType::Integer(int)) => {
            matches!(physical, INT32 | INT64).then_some(Kind::Int { signed: int.is_signed })
        }
        Some(LogicalType::Date) => (physical == INT32).then_some(Kind::Date),
        Some(LogicalType::Time(time)) => match (physical, unit(time.unit)) {
            (INT32, unit @ Unit::Millis) | (INT64, unit @ (Unit::Micros | Unit::Nanos)) => {
                Some(Kind::Time(unit))
            }
            _ => None,
        },
        Some(LogicalType::Timestamp(stamp)) => (physical == INT64)
            .then(|| Kind::Instant { unit: unit(stamp.unit), utc: stamp.is_adjusted_to_u_t_c }),
        Some(LogicalType::String | LogicalType::Json | LogicalType::Enum) => {
            (physical == BYTE_ARRAY).then_some(Kind::Text)
        }
        Some(LogicalType::Uuid) => (physical == FIXED_LEN_BYTE_ARRAY && length == 16).then_some(Kind::Uuid),
        Some(LogicalType::Float16) => (physical == FIXED_LEN_BYTE_ARRAY && length == 2).then_some(Kind::Half),
        _ => converted_kind(physical, leaf)?,
    };
    Ok(kind.unwrap_or(match physical {
        BOOLEAN => Kind::Bool,
        INT32 | INT64 => Kind::Int { signed: true },
        INT96 => Kind::Int96,
        FLOAT => Kind::Float,
        DOUBLE => Kind::Double,
        BYTE_ARRAY | FIXED_LEN_BYTE_ARRAY => Kind::Bytes,
    }))
}

/// What the older annotation says.
fn converted_kind(physical: Physical, leaf: &ColumnDescPtr) -> Result<Option<Kind>, Refused> {
    use Physical::{BYTE_ARRAY, INT32, INT64};
    let whole = |signed| matches!(physical, INT32 | INT64).then_some(Kind::Int { signed });
    let instant = |unit| (physical == INT64).then_some(Kind::Instant { unit, utc: true });
    Ok(match leaf.converted_type() {
        ConvertedType::DECIMAL => decimal_kind(physical, leaf.type_precision(), leaf.type_scale())?,
        ConvertedType::UTF8 | ConvertedType::JSON | ConvertedType::ENUM => {
            (physical == BYTE_ARRAY).then_some(Kind::Text)
        }
        ConvertedType::DATE => (physical == INT32).then_some(Kind::Date),
        ConvertedType::TIME_MILLIS => (physical == INT32).then_some(Kind::Time(Unit::Millis)),
        ConvertedType::TIME_MICROS => (physical == INT64).then_some(Kind::Time(Unit::Micros)),
        ConvertedType::TIMESTAMP_MILLIS => instant(Unit::Millis),
        ConvertedType::TIMESTAMP_MICROS => instant(Unit::Micros),
        ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
            whole(false)
        }
        ConvertedType::INT_8 | ConvertedType::INT_16 | ConvertedType::INT_32 | ConvertedType::INT_64 => {
            whole(true)
        }
        _ => None,
    })
}

fn decimal_kind(physical: Physical, precision: i32, scale: i32) -> Result<Option<Kind>, Refused> {
    use Physical::{BYTE_ARRAY, FIXED_LEN_BYTE_ARRAY, INT32, INT64};
    if !matches!(physical, INT32 | INT64 | BYTE_ARRAY | FIXED_LEN_BYTE_ARRAY) {
        return Ok(None);
    }
    let scale = u8::try_from(scale).ok().filter(|scale| i32::from(*scale) <= precision && *scale <= 76);
    let scale = scale.ok_or_else(|| footer_error("a decimal has a scale that cannot be"))?;
    Ok(Some(Kind::Decimal { precision: u8::try_from(precision).unwrap_or(u8::MAX), scale }))
}

fn unit(unit: TimeUnit) -> Unit {
    match unit {
        TimeUnit::MILLIS => Unit::Millis,
        TimeUnit::MICROS => Unit::Micros,
        TimeUnit::NANOS => Unit::Nanos,
    }
}
