//! The arrow schema of columns, and with it the Parquet schema of their files.

use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field, Fields, Schema, TimeUnit as ArrowUnit};
use landfall_core::contract::Column;
use landfall_core::data_type::{DataType, TimeUnit};

/// The arrow schema of the columns of a file, in their order. Lists and maps get the names of the Parquet format
/// (`list.element`, `key_value.key`, `key_value.value`), `json` is text, instants are UTC.
pub fn arrow_schema(columns: &[Column]) -> Schema {
    let fields: Vec<Field> = columns
        .iter()
        .map(|column| Field::new(&column.name, arrow_type(&column.data_type), column.nullable))
        .collect();
    Schema::new(fields)
}

fn arrow_type(data_type: &DataType) -> ArrowType {
    match data_type {
        DataType::Bool => ArrowType::Boolean,
        DataType::Int(8) => ArrowType::Int8,
        DataType::Int(16) => ArrowType::Int16,
        DataType::Int(32) => ArrowType::Int32,
        DataType::Int(_) => ArrowType::Int64,
        DataType::UInt(8) => ArrowType::UInt8,
        DataType::UInt(16) => ArrowType::UInt16,
        DataType::UInt(32) => ArrowType::UInt32,
        DataType::UInt(_) => ArrowType::UInt64,
        DataType::Float32 => ArrowType::Float32,
        DataType::Float64 => ArrowType::Float64,
        DataType::Decimal(precision, scale) => {
            ArrowType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(i8::MAX))
        }
        DataType::String | DataType::Json => ArrowType::Utf8,
        DataType::Binary => ArrowType::Binary,
        DataType::Date => ArrowType::Date32,
        DataType::Time(TimeUnit::Millis) => ArrowType::Time32(ArrowUnit::Millisecond),
        DataType::Time(TimeUnit::Micros) => ArrowType::Time64(ArrowUnit::Microsecond),
        DataType::Timestamp(TimeUnit::Millis) => {
            ArrowType::Timestamp(ArrowUnit::Millisecond, Some("UTC".into()))
        }
        DataType::Timestamp(TimeUnit::Micros) => {
            ArrowType::Timestamp(ArrowUnit::Microsecond, Some("UTC".into()))
        }
        DataType::List(item) => ArrowType::List(Arc::new(Field::new("element", arrow_type(item), true))),
        DataType::Struct(members) => {
            let fields: Vec<Field> =
                members.iter().map(|(name, member)| Field::new(name, arrow_type(member), true)).collect();
            ArrowType::Struct(fields.into())
        }
        DataType::Map(value) => {
            let entries = Fields::from(vec![
                Field::new("key", ArrowType::Utf8, false),
                Field::new("value", arrow_type(value), true),
            ]);
            ArrowType::Map(Arc::new(Field::new("key_value", ArrowType::Struct(entries), false)), false)
        }
    }
}
