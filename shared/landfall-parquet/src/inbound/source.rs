//! A batch of decoded rows, as values that can be asked for one by one.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;

use super::scalar::{Scalar, scalar};
use super::schema::Kind;
use super::{Refused, data_error};

/// A value as it is stored.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Bool(bool),
    Int32(i32),
    Int64(i64),
    Float(f32),
    Double(f64),
    Bytes(&'a [u8]),
}

/// The values of a leaf.
#[derive(Debug)]
pub(super) enum Cells<'a> {
    Bool(&'a BooleanArray),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Float(&'a [f32]),
    Double(&'a [f64]),
    Bytes(&'a BinaryViewArray),
    Fixed(&'a FixedSizeBinaryArray),
}

/// The values of a branch of the schema, or of what of it is read.
#[derive(Debug)]
pub(super) struct Source<'a> {
    nulls: Option<&'a NullBuffer>,
    pub(super) form: Form<'a>,
}

/// What a branch's values are made of.
#[derive(Debug)]
pub(super) enum Form<'a> {
    Leaf(Cells<'a>),
    /// The members that are read, in their order.
    Struct(Vec<Source<'a>>),
    /// Where the elements of each list begin and end.
    List(&'a [i32], Box<Source<'a>>),
    /// The same of maps: their keys and values.
    Map(&'a [i32], Box<Source<'a>>, Box<Source<'a>>),
}

impl<'a> Source<'a> {
    /// The columns of a batch.
    pub(super) fn of(batch: &'a RecordBatch) -> Result<Self, Refused> {
        let members = batch.columns().iter().map(|column| Self::new(column.as_ref()));
        Ok(Self { nulls: None, form: Form::Struct(members.collect::<Result<_, _>>()?) })
    }

    fn new(array: &'a dyn Array) -> Result<Self, Refused> {
        let form = match array.data_type() {
            DataType::Struct(_) => {
                let members = array.as_struct().columns().iter().map(|column| Self::new(column.as_ref()));
                Form::Struct(members.collect::<Result<_, _>>()?)
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Form::List(list.value_offsets(), Box::new(Self::new(list.values().as_ref())?))
            }
            DataType::Map(_, _) => {
                let map = array.as_map();
                let [keys, values] = [map.keys(), map.values()].map(|array| Self::new(array.as_ref()));
                Form::Map(map.value_offsets(), Box::new(keys?), Box::new(values?))
            }
            DataType::Boolean => Form::Leaf(Cells::Bool(array.as_boolean())),
            DataType::Int32 => Form::Leaf(Cells::Int32(array.as_primitive::<Int32Type>().values())),
            DataType::Int64 => Form::Leaf(Cells::Int64(array.as_primitive::<Int64Type>().values())),
            DataType::Float32 => Form::Leaf(Cells::Float(array.as_primitive::<Float32Type>().values())),
            DataType::Float64 => Form::Leaf(Cells::Double(array.as_primitive::<Float64Type>().values())),
            DataType::BinaryView => Form::Leaf(Cells::Bytes(array.as_binary_view())),
            DataType::FixedSizeBinary(_) => Form::Leaf(Cells::Fixed(array.as_fixed_size_binary())),
            _ => return Err(data_error("a column was decoded as what its schema does not say")),
        };
        Ok(Self { nulls: array.nulls(), form })
    }

    /// Which values are null.
    pub(super) fn nulls(&self) -> Option<&'a NullBuffer> {
        self.nulls
    }

    /// Whether a value is null.
    #[inline]
    pub(super) fn is_null(&self, row: usize) -> bool {
        is_null(self.nulls, row)
    }

    /// The stored value, and what it means, of a leaf that is not null.
    #[inline]
    pub(super) fn scalar(&self, kind: Kind, row: usize) -> Result<(Value<'a>, Scalar<'a>), Refused> {
        let stored = match &self.form {
            Form::Leaf(cells) => cells.get(row),
            _ => None,
        };
        let stored = stored.ok_or_else(contradiction)?;
        let meaning =
            scalar(kind, stored).ok_or_else(|| data_error("a column that has no values has one"))?;
        Ok((stored, meaning))
    }
}

impl<'a> Cells<'a> {
    #[inline]
    fn get(&self, row: usize) -> Option<Value<'a>> {
        match self {
            Self::Bool(array) => (row < array.len()).then(|| Value::Bool(array.value(row))),
            Self::Int32(values) => values.get(row).copied().map(Value::Int32),
            Self::Int64(values) => values.get(row).copied().map(Value::Int64),
            Self::Float(values) => values.get(row).copied().map(Value::Float),
            Self::Double(values) => values.get(row).copied().map(Value::Double),
            Self::Bytes(array) => (row < array.len()).then(|| Value::Bytes(array.value(row))),
            Self::Fixed(array) => (row < array.len()).then(|| Value::Bytes(array.value(row))),
        }
    }
}

/// Whether a value is null, of those that may be.
#[inline]
pub(super) fn is_null(nulls: Option<&NullBuffer>, row: usize) -> bool {
    nulls.is_some_and(|nulls| row >= nulls.len() || nulls.is_null(row))
}

/// The elements of a list or map.
#[inline]
pub(super) fn span(offsets: &[i32], row: usize) -> Result<std::ops::Range<usize>, Refused> {
    let end = |at: usize| offsets.get(at).and_then(|offset| usize::try_from(*offset).ok());
    match (end(row), end(row + 1)) {
        (Some(start), Some(end)) => Ok(start..end),
        _ => Err(contradiction()),
    }
}

#[cold]
pub(super) fn contradiction() -> Refused {
    data_error("the columns that belong together contradict each other")
}
