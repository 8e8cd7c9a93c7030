//! From grown columns to arrow arrays. The vectors move into the arrays; the columns begin anew.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, BinaryType, ByteArrayType, Date32Type, Decimal128Type, Float32Type, Float64Type,
    Int8Type, Int16Type,
};
use arrow_array::types::{
    Int32Type, Int64Type, Time32MillisecondType, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::types::{TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, Utf8Type};
use arrow_array::{
    ArrayRef, BooleanArray, GenericByteArray, ListArray, MapArray, PrimitiveArray, RecordBatch, StructArray,
};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType as ArrowType, Fields, SchemaRef};
use landfall_core::data_type::TimeUnit;

use super::nested::Spans;
use super::room::{Spent, empty};
use super::{Flat, Node, StructNode, Texts};

/// The values of a column. As many are expected the next time.
fn take<T: ArrowNativeType>(values: &mut Vec<T>, spent: &mut Spent) -> Vec<T> {
    let next = spent.vector(values.len());
    std::mem::replace(values, next)
}

/// The columns do not make up an array: a defect of the engine.
#[derive(Debug, thiserror::Error)]
#[error("cannot build an array of {data_type}: {message}")]
pub(crate) struct Broken {
    data_type: String,
    message: String,
}

impl Broken {
    fn new(data_type: &ArrowType, message: impl std::fmt::Display) -> Self {
        Self { data_type: data_type.to_string(), message: message.to_string() }
    }
}

impl<T: Copy> Flat<T> {
    /// The values as arrow stores them. Narrow integers were checked when they were read.
    fn narrow<P>(&mut self, data_type: &ArrowType, spent: &mut Spent) -> Result<ArrayRef, Broken>
    where
        P: ArrowPrimitiveType<Native: TryFrom<T> + Default>,
    {
        let mut values: Vec<P::Native> = spent.vector(self.values.len());
        values.extend(self.values.iter().map(|value| P::Native::try_from(*value).unwrap_or_default()));
        empty(&mut self.values);
        self.primitive::<P>(values.into(), data_type)
    }

    /// The values, which arrow stores as they are.
    fn exact<P>(&mut self, data_type: &ArrowType, spent: &mut Spent) -> Result<ArrayRef, Broken>
    where
        P: ArrowPrimitiveType<Native = T>,
        T: ArrowNativeType,
    {
        let values = take(&mut self.values, spent);
        self.primitive::<P>(values.into(), data_type)
    }

    fn primitive<P: ArrowPrimitiveType>(
        &mut self,
        values: ScalarBuffer<P::Native>,
        data_type: &ArrowType,
    ) -> Result<ArrayRef, Broken> {
        let array = PrimitiveArray::<P>::try_new(values, self.nulls.take())
            .map_err(|error: ArrowError| Broken::new(data_type, error))?;
        Ok(Arc::new(array.with_data_type(data_type.clone())))
    }
}

/// The offsets of variable-length values. They only ever grow.
fn offsets(offsets: &mut Vec<i32>, spent: &mut Spent) -> OffsetBuffer<i32> {
    let grown = take(offsets, spent);
    offsets.push(0);
    OffsetBuffer::new(grown.into())
}

impl Texts {
    fn array<T: ByteArrayType<Offset = i32>>(
        &mut self,
        data_type: &ArrowType,
        spent: &mut Spent,
    ) -> Result<ArrayRef, Broken> {
        let ends = offsets(&mut self.offsets, spent);
        let bytes = Buffer::from_vec(take(&mut self.bytes, spent));
        let array = GenericByteArray::<T>::try_new(ends, bytes, self.nulls.take());
        Ok(Arc::new(array.map_err(|error| Broken::new(data_type, error))?))
    }
}

impl Spans {
    fn offsets(&mut self, spent: &mut Spent) -> OffsetBuffer<i32> {
        offsets(&mut self.offsets, spent)
    }
}

impl Node {
    /// All values as an array of `data_type`, which is the arrow type of this column. The next ones take the place of those of
    /// `spent`.
    fn finish(&mut self, data_type: &ArrowType, mut spent: Spent) -> Result<ArrayRef, Broken> {
        let spent = &mut spent;
        match self {
            Self::Bool(flat) => {
                let values = BooleanBuffer::from(&flat.values[..]);
                empty(&mut flat.values);
                Ok(Arc::new(BooleanArray::new(values, flat.nulls.take())))
            }
            Self::Int { bits, values } => match bits {
                8 => values.narrow::<Int8Type>(data_type, spent),
                16 => values.narrow::<Int16Type>(data_type, spent),
                32 => values.narrow::<Int32Type>(data_type, spent),
                _ => values.exact::<Int64Type>(data_type, spent),
            },
            Self::UInt { bits, values } => match bits {
                8 => values.narrow::<UInt8Type>(data_type, spent),
                16 => values.narrow::<UInt16Type>(data_type, spent),
                32 => values.narrow::<UInt32Type>(data_type, spent),
                _ => values.exact::<UInt64Type>(data_type, spent),
            },
            Self::Float32(flat) => flat.exact::<Float32Type>(data_type, spent),
            Self::Float64(flat) => flat.exact::<Float64Type>(data_type, spent),
            Self::Decimal { values, .. } => values.exact::<Decimal128Type>(data_type, spent),
            Self::Date { values, .. } => values.exact::<Date32Type>(data_type, spent),
            Self::Time { unit: TimeUnit::Millis, values } => {
                values.narrow::<Time32MillisecondType>(data_type, spent)
            }
            Self::Time { unit: TimeUnit::Micros, values } => {
                values.exact::<Time64MicrosecondType>(data_type, spent)
            }
            Self::Timestamp { unit, values, .. } => match unit {
                TimeUnit::Millis => values.exact::<TimestampMillisecondType>(data_type, spent),
                TimeUnit::Micros => values.exact::<TimestampMicrosecondType>(data_type, spent),
            },
            Self::Text(texts) | Self::Json(texts) => texts.array::<Utf8Type>(data_type, spent),
            Self::Binary(texts) => texts.array::<BinaryType>(data_type, spent),
            Self::List(list) => {
                let ArrowType::List(element) = data_type else {
                    return Err(Broken::new(data_type, "the column is a list"));
                };
                let ends = list.spans.offsets(spent);
                let values = list.item.finish(element.data_type(), spent.child())?;
                let array = ListArray::try_new(element.clone(), ends, values, list.spans.nulls.take());
                Ok(Arc::new(array.map_err(|error| Broken::new(data_type, error))?))
            }
            Self::Struct(members) => {
                let ArrowType::Struct(fields) = data_type else {
                    return Err(Broken::new(data_type, "the column is a struct"));
                };
                let length = members.len();
                let missing = members.nulls.take();
                let arrays = members.arrays(fields, std::iter::from_fn(|| Some(spent.child())))?;
                let array = StructArray::try_new_with_length(fields.clone(), arrays, missing, length);
                Ok(Arc::new(array.map_err(|error| Broken::new(data_type, error))?))
            }
            Self::Map(map) => {
                let ArrowType::Map(entries, _) = data_type else {
                    return Err(Broken::new(data_type, "the column is a map"));
                };
                let ArrowType::Struct(fields) = entries.data_type() else {
                    return Err(Broken::new(data_type, "the entries of a map are a struct"));
                };
                let [key, value] = fields.as_ref() else {
                    return Err(Broken::new(data_type, "the entries of a map are keys and values"));
                };
                let ends = map.spans.offsets(spent);
                let mut entries_spent = spent.child();
                let keys = map.keys.array::<Utf8Type>(key.data_type(), &mut entries_spent.child())?;
                let values = map.values.finish(value.data_type(), entries_spent.child())?;
                let array =
                    StructArray::try_new(fields.clone(), vec![keys, values], None).and_then(|pairs| {
                        MapArray::try_new(entries.clone(), ends, pairs, map.spans.nulls.take(), false)
                    });
                Ok(Arc::new(array.map_err(|error| Broken::new(data_type, error))?))
            }
        }
    }
}

impl StructNode {
    fn arrays(
        &mut self,
        fields: &Fields,
        spent: impl Iterator<Item = Spent>,
    ) -> Result<Vec<ArrayRef>, Broken> {
        self.catch_up();
        let spent = spent.chain(std::iter::repeat_with(Spent::default));
        let arrays = self
            .fields
            .iter_mut()
            .zip(fields)
            .zip(spent)
            .map(|((field, arrow), spent)| field.node.finish(arrow.data_type(), spent))
            .collect();
        self.truncate(0);
        arrays
    }

    /// All records as a batch; the columns are empty afterwards, and have the memory of `spent`, a batch of earlier records that
    /// is not read any more.
    pub(crate) fn finish_records(
        &mut self,
        schema: &SchemaRef,
        spent: Option<RecordBatch>,
    ) -> Result<RecordBatch, Broken> {
        let arrays = self.arrays(schema.fields(), spent.into_iter().flat_map(Spent::columns))?;
        RecordBatch::try_new(schema.clone(), arrays)
            .map_err(|error| Broken::new(&ArrowType::Struct(schema.fields().clone()), error))
    }
}
