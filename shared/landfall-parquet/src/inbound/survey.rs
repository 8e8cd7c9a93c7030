//! What a Parquet object holds, for those who have no contract for it yet: the types of its columns, and its rows as text.
//!
//! | stored | type |
//! |---|---|
//! | integers | `int64`, `uint64` |
//! | floats of 16 and 32 bits | `float32` |
//! | decimals | the same, of at most 38 digits |
//! | instants in UTC, times of day | in microseconds, but for milliseconds |
//! | text, UUIDs | `string` |
//! | times without a zone, INT96 | none: their zone is to be declared |

use std::sync::Arc;

use bytes::Bytes;
use landfall_core::data_type::{DataType, MOST_DIGITS, TimeUnit};

use super::footer::Opened;
use super::schema::{Branch, Kind, Shape, Unit};
use super::source::Source;
use super::{Progress, row_position, text};
use crate::limits;
use crate::merge::Stop;
use crate::records::{Form, RecordSink};

/// The type of a column, by its name: `None` when no type is told by what is stored. A column of nulls alone is none.
pub(crate) type ColumnType = (String, Option<DataType>);

/// How much text of rows is read of one object: enough to see what numbers its columns need. Its types stand in the schema.
const MOST_TEXT: u64 = 128 * 1024 * 1024;

/// Reads an object: `row` takes each of its first rows as JSON text. Answers the types of its columns.
///
/// # Errors
/// [`Stop::Quarantine`] when it cannot be read.
pub(crate) fn survey(object: Vec<u8>, row: &mut RecordSink<'_>) -> Result<Vec<ColumnType>, Stop> {
    let opened = Arc::new(Opened::new(Bytes::from(object))?);
    let mut progress = Progress::new(&opened, &vec![true; opened.root.leaves.end]);
    let mut decoded = 0_u64;
    while let Some((first, batch, _)) = progress.take()? {
        let source = Source::of(&batch)?;
        for index in 0..batch.num_rows() {
            let at = first + index as u64;
            let line = text::row(&opened.root, &source, index, limits::LINE_BYTES)
                .map_err(|refused| refused.at(Some(at)))?;
            decoded = decoded.saturating_add(line.len() as u64);
            if decoded > MOST_TEXT {
                return Ok(column_types(&opened.root));
            }
            row(Form::Line, &line, row_position(at))?;
        }
    }
    Ok(column_types(&opened.root))
}

fn column_types(root: &Branch) -> Vec<ColumnType> {
    let Shape::Struct(columns) = &root.shape else { return Vec::new() };
    let typed = columns.iter().filter(|column| !matches!(column.shape, Shape::Leaf(Kind::Null)));
    let written = |column: &Branch| data_type(&column.shape).filter(DataType::is_written);
    typed.map(|column| (column.name.clone(), written(column))).collect()
}

/// As deep as the schema, which is bounded.
fn data_type(shape: &Shape) -> Option<DataType> {
    Some(match shape {
        Shape::Leaf(kind) => leaf(*kind)?,
        Shape::List(item) => DataType::List(Box::new(data_type(&item.shape)?)),
        Shape::Map { key, value } => match key.shape {
            Shape::Leaf(Kind::Text | Kind::Uuid) => DataType::Map(Box::new(data_type(&value.shape)?)),
            _ => return None,
        },
        Shape::Struct(members) => {
            let member = |member: &Branch| Some((member.name.clone(), data_type(&member.shape)?));
            DataType::Struct(members.iter().map(member).collect::<Option<_>>()?)
        }
    })
}

fn leaf(kind: Kind) -> Option<DataType> {
    let unit = |unit| match unit {
        Unit::Millis => TimeUnit::Millis,
        Unit::Micros | Unit::Nanos => TimeUnit::Micros,
    };
    Some(match kind {
        Kind::Bool => DataType::Bool,
        Kind::Int { signed: true } => DataType::Int(64),
        Kind::Int { signed: false } => DataType::UInt(64),
        Kind::Decimal { precision, scale } => {
            let precision = precision.min(MOST_DIGITS);
            return (scale <= precision).then_some(DataType::Decimal(precision, scale));
        }
        Kind::Date => DataType::Date,
        Kind::Time(stored) => DataType::Time(unit(stored)),
        Kind::Instant { unit: stored, utc: true } => DataType::Timestamp(unit(stored)),
        Kind::Half | Kind::Float => DataType::Float32,
        Kind::Double => DataType::Float64,
        Kind::Text | Kind::Uuid => DataType::String,
        Kind::Bytes => DataType::Binary,
        Kind::Instant { utc: false, .. } | Kind::Int96 | Kind::Null => return None,
    })
}
