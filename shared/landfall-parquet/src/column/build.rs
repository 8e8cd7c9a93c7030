//! From grown columns to arrow arrays. The vectors move into the arrays; the columns begin anew.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
};
use arrow_array::types::{
    Int32Type, Int64Type, Time32MillisecondType, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::types::{TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, ListArray, MapArray, PrimitiveArray, RecordBatch, StringArray,
    StructArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType as ArrowType, Fields, SchemaRef};
use landfall_core::data_type::TimeUnit;

use super::nested::Spans;
use super::{Flat, Node, StructNode, Texts};

/// The values of a column. As many are expected the next time: growing is dearer than room.
fn take<T>(values: &mut Vec<T>) -> Vec<T> {
    let next = Vec::with_capacity(values.len());
    std::mem::replace(values, next)
}

/// The nulls of a column, with room for as many the next time.
fn nulls(nulls: &mut NullBufferBuilder) -> Option<NullBuffer> {
    let next = NullBufferBuilder::new(nulls.len());
    std::mem::replace(nulls, next).build()
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
    fn array<P>(&mut self, data_type: &ArrowType) -> Result<ArrayRef, Broken>
    where
        P: ArrowPrimitiveType<Native: TryFrom<T> + Default>,
    {
        let values: Vec<P::Native> = take(&mut self.values)
            .into_iter()
            .map(|value| P::Native::try_from(value).unwrap_or_default())
            .collect();
        self.exact::<P>(values.into(), data_type)
    }

    fn exact<P: ArrowPrimitiveType>(
        &mut self,
        values: ScalarBuffer<P::Native>,
        data_type: &ArrowType,
    ) -> Result<ArrayRef, Broken> {
        let array = PrimitiveArray::<P>::try_new(values, nulls(&mut self.nulls))
            .map_err(|error: ArrowError| Broken::new(data_type, error))?;
        Ok(Arc::new(array.with_data_type(data_type.clone())))
    }
}

/// The offsets of variable-length values. They only ever grow.
fn offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let grown = take(offsets);
    offsets.push(0);
    OffsetBuffer::new(grown.into())
}

impl Texts {
    fn text(&mut self, data_type: &ArrowType) -> Result<StringArray, Broken> {
        let bytes = Buffer::from_vec(take(&mut self.bytes));
        StringArray::try_new(offsets(&mut self.offsets), bytes, nulls(&mut self.nulls))
            .map_err(|error| Broken::new(data_type, error))
    }

    fn binary(&mut self, data_type: &ArrowType) -> Result<BinaryArray, Broken> {
        let bytes = Buffer::from_vec(take(&mut self.bytes));
        BinaryArray::try_new(offsets(&mut self.offsets), bytes, nulls(&mut self.nulls))
            .map_err(|error| Broken::new(data_type, error))
    }
}

impl Spans {
    fn offsets(&mut self) -> OffsetBuffer<i32> {
        offsets(&mut self.offsets)
    }
}

impl Node {
    /// All values as an array of `data_type`, which is the arrow type of this column.
    fn finish(&mut self, data_type: &ArrowType) -> Result<ArrayRef, Broken> {
        match self {
            Self::Bool(flat) => {
                let values = BooleanBuffer::from(take(&mut flat.values));
                Ok(Arc::new(BooleanArray::new(values, nulls(&mut flat.nulls))))
            }
            Self::Int { bits, values } => match bits {
                8 => values.array::<Int8Type>(data_type),
                16 => values.array::<Int16Type>(data_type),
                32 => values.array::<Int32Type>(data_type),
                _ => {
                    let buffer = take(&mut values.values).into();
                    values.exact::<Int64Type>(buffer, data_type)
                }
            },
            Self::UInt { bits, values } => match bits {
                8 => values.array::<UInt8Type>(data_type),
                16 => values.array::<UInt16Type>(data_type),
                32 => values.array::<UInt32Type>(data_type),
                _ => {
                    let buffer = take(&mut values.values).into();
                    values.exact::<UInt64Type>(buffer, data_type)
                }
            },
            Self::Float32(flat) => {
                let buffer = take(&mut flat.values).into();
                flat.exact::<Float32Type>(buffer, data_type)
            }
            Self::Float64(flat) => {
                let buffer = take(&mut flat.values).into();
                flat.exact::<Float64Type>(buffer, data_type)
            }
            Self::Decimal { values, .. } => {
                let buffer = take(&mut values.values).into();
                values.exact::<Decimal128Type>(buffer, data_type)
            }
            Self::Date { values, .. } => {
                let buffer = take(&mut values.values).into();
                values.exact::<Date32Type>(buffer, data_type)
            }
            Self::Time { unit: TimeUnit::Millis, values } => values.array::<Time32MillisecondType>(data_type),
            Self::Time { unit: TimeUnit::Micros, values } => {
                let buffer = take(&mut values.values).into();
                values.exact::<Time64MicrosecondType>(buffer, data_type)
            }
            Self::Timestamp { unit, values, .. } => {
                let buffer = take(&mut values.values).into();
                match unit {
                    TimeUnit::Millis => values.exact::<TimestampMillisecondType>(buffer, data_type),
                    TimeUnit::Micros => values.exact::<TimestampMicrosecondType>(buffer, data_type),
                }
            }
            Self::Text(texts) | Self::Json(texts) => Ok(Arc::new(texts.text(data_type)?)),
            Self::Binary(texts) => Ok(Arc::new(texts.binary(data_type)?)),
            Self::List(list) => {
                let ArrowType::List(element) = data_type else {
                    return Err(Broken::new(data_type, "the column is a list"));
                };
                let values = list.item.finish(element.data_type())?;
                let array = ListArray::try_new(
                    element.clone(),
                    list.spans.offsets(),
                    values,
                    nulls(&mut list.spans.nulls),
                );
                Ok(Arc::new(array.map_err(|error| Broken::new(data_type, error))?))
            }
            Self::Struct(members) => {
                let ArrowType::Struct(fields) = data_type else {
                    return Err(Broken::new(data_type, "the column is a struct"));
                };
                let length = members.len();
                let missing = nulls(&mut members.nulls);
                let arrays = members.arrays(fields)?;
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
                let keys: ArrayRef = Arc::new(map.keys.text(key.data_type())?);
                let values = map.values.finish(value.data_type())?;
                let array =
                    StructArray::try_new(fields.clone(), vec![keys, values], None).and_then(|pairs| {
                        MapArray::try_new(
                            entries.clone(),
                            map.spans.offsets(),
                            pairs,
                            nulls(&mut map.spans.nulls),
                            false,
                        )
                    });
                Ok(Arc::new(array.map_err(|error| Broken::new(data_type, error))?))
            }
        }
    }
}

impl StructNode {
    fn arrays(&mut self, fields: &Fields) -> Result<Vec<ArrayRef>, Broken> {
        self.catch_up();
        let arrays = self
            .fields
            .iter_mut()
            .zip(fields)
            .map(|(field, arrow)| field.node.finish(arrow.data_type()))
            .collect();
        self.truncate(0);
        arrays
    }

    /// All records as a batch; the columns are empty afterwards.
    pub(crate) fn finish_records(&mut self, schema: &SchemaRef) -> Result<RecordBatch, Broken> {
        let arrays = self.arrays(schema.fields())?;
        RecordBatch::try_new(schema.clone(), arrays)
            .map_err(|error| Broken::new(&ArrowType::Struct(schema.fields().clone()), error))
    }
}
