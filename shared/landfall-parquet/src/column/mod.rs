//! Columns while they grow: plain vectors that a refused row is cut off from again, turned into arrow arrays at the end.

mod build;
mod nested;
mod nulls;
mod room;

pub(crate) use nested::{Field, ListNode, MapNode, StructNode};

use std::collections::HashSet;

use landfall_core::contract::TimeFormat;
use landfall_core::data_type::{DataType, TimeUnit};

use nulls::Nulls;

/// Values of one width, with their nulls.
#[derive(Debug)]
pub(crate) struct Flat<T> {
    pub(crate) values: Vec<T>,
    nulls: Nulls,
}

impl<T: Copy + Default> Flat<T> {
    pub(crate) fn new() -> Self {
        Self { values: Vec::new(), nulls: Nulls::new(0) }
    }

    #[inline]
    pub(crate) fn push(&mut self, value: T) {
        self.values.push(value);
        self.nulls.push_valid();
    }

    #[inline]
    pub(crate) fn push_null(&mut self) {
        self.values.push(T::default());
        self.nulls.push_nulls(1);
    }

    fn push_nulls(&mut self, count: usize) {
        self.values.resize(self.values.len() + count, T::default());
        self.nulls.push_nulls(count);
    }

    fn truncate(&mut self, length: usize) {
        self.values.truncate(length);
        self.nulls.truncate(length);
    }

    /// The last value, unless it is null.
    pub(crate) fn last(&self) -> Option<T> {
        self.values.last().copied().filter(|_| self.nulls.last_is_valid())
    }
}

/// Texts or byte strings, with their nulls.
#[derive(Debug)]
pub(crate) struct Texts {
    /// The bytes of all values; the value that is being read is appended here, then closed.
    pub(crate) bytes: Vec<u8>,
    /// Where each value begins, and where the last one ends.
    offsets: Vec<i32>,
    nulls: Nulls,
}

impl Texts {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0], nulls: Nulls::new(0) }
    }

    /// Makes what was appended to `bytes` the next value. The columns of unwritten rows stay far below 2 GiB, by
    /// [`crate::limits`].
    #[inline]
    pub(crate) fn close(&mut self) {
        self.offsets.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
        self.nulls.push_valid();
    }

    pub(crate) fn push_null(&mut self) {
        self.offsets.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
        self.nulls.push_nulls(1);
    }

    fn push_nulls(&mut self, count: usize) {
        let end = i32::try_from(self.bytes.len()).unwrap_or(i32::MAX);
        self.offsets.resize(self.offsets.len() + count, end);
        self.nulls.push_nulls(count);
    }

    fn truncate(&mut self, length: usize) {
        self.offsets.truncate(length + 1);
        let end = self.offsets.last().copied().unwrap_or(0);
        self.bytes.truncate(usize::try_from(end).unwrap_or(0));
        self.nulls.truncate(length);
    }

    /// The number of values.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether the values from `first` on are UTF-8, each by itself.
    pub(crate) fn are_utf8(&self, first: usize) -> bool {
        let place = |offset: &i32| usize::try_from(*offset).unwrap_or(0);
        let ends = self.offsets.get(first..).unwrap_or_default();
        let start = ends.first().map_or(0, place);
        let text = simdutf8::basic::from_utf8(self.bytes.get(start..).unwrap_or_default());
        text.is_ok_and(|text| ends.iter().all(|end| text.is_char_boundary(place(end).saturating_sub(start))))
    }

    /// Whether two of the values from `first` on are equal.
    pub(crate) fn has_repeated(&self, first: usize) -> bool {
        let values = self.offsets.get(first..).unwrap_or_default().windows(2).filter_map(|ends| {
            let range = usize::try_from(*ends.first()?).ok()?..usize::try_from(*ends.get(1)?).ok()?;
            self.bytes.get(range)
        });
        if self.len() <= first + 1 {
            return false;
        }
        let mut seen = HashSet::new();
        values.into_iter().any(|value| !seen.insert(value))
    }

    /// The last value, unless it is null.
    pub(crate) fn last(&self) -> Option<&[u8]> {
        let index = self.len().checked_sub(1)?;
        if !self.nulls.last_is_valid() {
            return None;
        }
        let start = usize::try_from(*self.offsets.get(index)?).ok()?;
        self.bytes.get(start..)
    }
}

/// One column, or one level of a nested one.
#[derive(Debug)]
pub(crate) enum Node {
    Bool(Flat<bool>),
    Int { bits: u8, values: Flat<i64> },
    UInt { bits: u8, values: Flat<u64> },
    Float32(Flat<f32>),
    Float64(Flat<f64>),
    Decimal { precision: u8, scale: u8, values: Flat<i128> },
    Text(Texts),
    Binary(Texts),
    Json(Texts),
    Date { format: TimeFormat, values: Flat<i32> },
    Time { unit: TimeUnit, values: Flat<i64> },
    Timestamp { unit: TimeUnit, format: TimeFormat, values: Flat<i64> },
    List(Box<ListNode>),
    Struct(Box<StructNode>),
    Map(Box<MapNode>),
}

impl Node {
    /// An empty column of a type; `format` holds for every date and timestamp in it.
    pub(crate) fn new(data_type: &DataType, format: TimeFormat) -> Self {
        match data_type {
            DataType::Bool => Self::Bool(Flat::new()),
            DataType::Int(bits) => Self::Int { bits: *bits, values: Flat::new() },
            DataType::UInt(bits) => Self::UInt { bits: *bits, values: Flat::new() },
            DataType::Float32 => Self::Float32(Flat::new()),
            DataType::Float64 => Self::Float64(Flat::new()),
            DataType::Decimal(precision, scale) => {
                Self::Decimal { precision: *precision, scale: *scale, values: Flat::new() }
            }
            DataType::String => Self::Text(Texts::new()),
            DataType::Binary => Self::Binary(Texts::new()),
            DataType::Json => Self::Json(Texts::new()),
            DataType::Date => Self::Date { format, values: Flat::new() },
            DataType::Time(unit) => Self::Time { unit: *unit, values: Flat::new() },
            DataType::Timestamp(unit) => Self::Timestamp { unit: *unit, format, values: Flat::new() },
            DataType::List(item) => Self::List(Box::new(ListNode::new(item, format))),
            DataType::Struct(members) => {
                let fields = members
                    .iter()
                    .map(|(name, member)| Field::new(name, name, Self::new(member, format), true, None));
                Self::Struct(Box::new(StructNode::new(fields.collect())))
            }
            DataType::Map(value) => Self::Map(Box::new(MapNode::new(value, format))),
        }
    }

    /// Appends a null.
    pub(crate) fn push_null(&mut self) {
        match self {
            Self::Bool(values) => values.push_null(),
            Self::Int { values, .. } | Self::Time { values, .. } | Self::Timestamp { values, .. } => {
                values.push_null();
            }
            Self::UInt { values, .. } => values.push_null(),
            Self::Float32(values) => values.push_null(),
            Self::Float64(values) => values.push_null(),
            Self::Decimal { values, .. } => values.push_null(),
            Self::Date { values, .. } => values.push_null(),
            Self::Text(texts) | Self::Binary(texts) | Self::Json(texts) => texts.push_null(),
            Self::List(list) => list.push_null(),
            Self::Struct(members) => members.push_nulls(1),
            Self::Map(map) => map.push_null(),
        }
    }

    /// Appends `count` nulls.
    pub(crate) fn push_nulls(&mut self, count: usize) {
        match self {
            Self::Bool(values) => values.push_nulls(count),
            Self::Int { values, .. } | Self::Time { values, .. } | Self::Timestamp { values, .. } => {
                values.push_nulls(count);
            }
            Self::UInt { values, .. } => values.push_nulls(count),
            Self::Float32(values) => values.push_nulls(count),
            Self::Float64(values) => values.push_nulls(count),
            Self::Decimal { values, .. } => values.push_nulls(count),
            Self::Date { values, .. } => values.push_nulls(count),
            Self::Text(texts) | Self::Binary(texts) | Self::Json(texts) => texts.push_nulls(count),
            Self::List(list) => list.spans.push_nulls(count),
            Self::Struct(members) => members.push_nulls(count),
            Self::Map(map) => map.spans.push_nulls(count),
        }
    }

    /// Cuts the column back to `length` values.
    pub(crate) fn truncate(&mut self, length: usize) {
        match self {
            Self::Bool(values) => values.truncate(length),
            Self::Int { values, .. } | Self::Time { values, .. } | Self::Timestamp { values, .. } => {
                values.truncate(length);
            }
            Self::UInt { values, .. } => values.truncate(length),
            Self::Float32(values) => values.truncate(length),
            Self::Float64(values) => values.truncate(length),
            Self::Decimal { values, .. } => values.truncate(length),
            Self::Date { values, .. } => values.truncate(length),
            Self::Text(texts) | Self::Binary(texts) | Self::Json(texts) => texts.truncate(length),
            Self::List(list) => list.truncate(length),
            Self::Struct(members) => members.truncate(length),
            Self::Map(map) => map.truncate(length),
        }
    }

    /// The number of values.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bool(values) => values.values.len(),
            Self::Int { values, .. } | Self::Time { values, .. } | Self::Timestamp { values, .. } => {
                values.values.len()
            }
            Self::UInt { values, .. } => values.values.len(),
            Self::Float32(values) => values.values.len(),
            Self::Float64(values) => values.values.len(),
            Self::Decimal { values, .. } => values.values.len(),
            Self::Date { values, .. } => values.values.len(),
            Self::Text(texts) | Self::Binary(texts) | Self::Json(texts) => texts.len(),
            Self::List(list) => list.len(),
            Self::Struct(members) => members.len(),
            Self::Map(map) => map.len(),
        }
    }

    /// The bytes that one value takes here beside those of its text: what a record can make us spend without being long.
    pub(crate) fn slot_bytes(&self) -> u64 {
        match self {
            Self::Bool(_) => 2,
            Self::Float32(_)
            | Self::Date { .. }
            | Self::Text(_)
            | Self::Binary(_)
            | Self::Json(_)
            | Self::List(_)
            | Self::Map(_) => 5,
            Self::Int { .. }
            | Self::UInt { .. }
            | Self::Float64(_)
            | Self::Time { .. }
            | Self::Timestamp { .. } => 9,
            Self::Decimal { .. } => 17,
            Self::Struct(members) => members.slot_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Texts;

    #[test]
    fn texts_are_utf8_each_by_itself() {
        let all: [(&[&[u8]], bool); 6] = [
            (&[], true),
            (&[b"", b"", b""], true),
            (&["ä".as_bytes(), b"x", "😀".as_bytes()], true),
            (&[b"\xc3", b"\xa4"], false),
            (&[b"x\xf0\x9f", b"", b"\x98\x80"], false),
            (&[b"x", b"\xff"], false),
        ];
        for (values, expected) in all {
            let mut texts = Texts::new();
            // What stands before does not count.
            for value in [&b"\xe4"[..]].iter().chain(values) {
                texts.bytes.extend_from_slice(value);
                texts.close();
            }
            assert_eq!(texts.are_utf8(1), expected, "{values:?}");
            assert!(!texts.are_utf8(0));
        }
    }
}
