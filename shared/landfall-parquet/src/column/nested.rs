//! Columns of columns: lists, structs and maps.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use landfall_core::contract::TimeFormat;
use landfall_core::data_type::DataType;

use super::nulls::Nulls;
use super::{Node, Texts};
use crate::rules::Rules;

/// Where the elements of lists or maps begin, with their nulls.
#[derive(Debug)]
pub(crate) struct Spans {
    pub(super) offsets: Vec<i32>,
    pub(super) nulls: Nulls,
}

impl Spans {
    fn new() -> Self {
        Self { offsets: vec![0], nulls: Nulls::new(0) }
    }

    /// Ends a value whose elements reach up to `end`.
    fn close(&mut self, end: usize) {
        self.offsets.push(i32::try_from(end).unwrap_or(i32::MAX));
        self.nulls.push_valid();
    }

    fn push_null(&mut self) {
        let end = self.offsets.last().copied().unwrap_or(0);
        self.offsets.push(end);
        self.nulls.push_nulls(1);
    }

    pub(super) fn push_nulls(&mut self, count: usize) {
        let end = self.offsets.last().copied().unwrap_or(0);
        self.offsets.resize(self.offsets.len() + count, end);
        self.nulls.push_nulls(count);
    }

    /// Cuts back to `length` values; answers how many elements remain.
    fn truncate(&mut self, length: usize) -> usize {
        self.offsets.truncate(length + 1);
        self.nulls.truncate(length);
        usize::try_from(self.offsets.last().copied().unwrap_or(0)).unwrap_or(0)
    }

    fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }
}

/// A list column.
#[derive(Debug)]
pub(crate) struct ListNode {
    pub(super) spans: Spans,
    /// The elements of all lists.
    pub(crate) item: Node,
    /// What one more element costs.
    pub(crate) element_bytes: u64,
}

impl ListNode {
    pub(super) fn new(item: &DataType, format: TimeFormat) -> Self {
        let item = Node::new(item, format);
        Self { spans: Spans::new(), element_bytes: item.slot_bytes(), item }
    }

    /// Ends the list whose elements were just appended to `item`.
    pub(crate) fn close(&mut self) {
        self.close_at(self.item.len());
    }

    /// Ends the list whose elements are those up to `end`, not all of which need to be the last.
    pub(crate) fn close_at(&mut self, end: usize) {
        self.spans.close(end);
    }

    pub(crate) fn push_null(&mut self) {
        self.spans.push_null();
    }

    pub(super) fn truncate(&mut self, length: usize) {
        let elements = self.spans.truncate(length);
        self.item.truncate(elements);
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }
}

/// A map column.
#[derive(Debug)]
pub(crate) struct MapNode {
    pub(super) spans: Spans,
    /// The keys of all maps.
    pub(crate) keys: Texts,
    /// Their values.
    pub(crate) values: Node,
    /// What one more entry costs.
    pub(crate) element_bytes: u64,
}

impl MapNode {
    pub(super) fn new(value: &DataType, format: TimeFormat) -> Self {
        let values = Node::new(value, format);
        Self { spans: Spans::new(), keys: Texts::new(), element_bytes: values.slot_bytes() + 5, values }
    }

    /// Ends the map whose entries were just appended.
    pub(crate) fn close(&mut self) {
        self.spans.close(self.values.len());
    }

    pub(super) fn push_null(&mut self) {
        self.spans.push_null();
    }

    pub(super) fn truncate(&mut self, length: usize) {
        let entries = self.spans.truncate(length);
        self.keys.truncate(entries);
        self.values.truncate(entries);
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }
}

/// A member of a struct, or a column of the record.
#[derive(Debug)]
pub(crate) struct Field {
    /// The name in the file.
    pub(crate) name: String,
    /// The key in the record.
    pub(crate) source: Box<[u8]>,
    /// The key as most records write it: in quotes, with its colon. Empty for one that needs escapes.
    pub(crate) token: Box<[u8]>,
    pub(crate) node: Node,
    pub(crate) nullable: bool,
    pub(crate) rules: Option<Rules>,
    /// The last struct this member was seen in.
    pub(crate) seen: u64,
    /// Whether landfall fills it, and no member of the record.
    pub(crate) given: bool,
}

impl Field {
    pub(crate) fn new(name: &str, source: &str, node: Node, nullable: bool, rules: Option<Rules>) -> Self {
        let plain = source.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
        let token = if plain { format!("\"{source}\":") } else { String::new() };
        let (source, token) = (source.as_bytes().into(), token.into_bytes().into());
        Self { name: name.to_owned(), source, token, node, nullable, rules, seen: 0, given: false }
    }

    /// A column that no member of a record is read into: its key is no UTF-8, which every key of a record is.
    pub(crate) fn given(name: &str, node: Node) -> Self {
        let source = [b"\xff", name.as_bytes()].concat().into();
        let token = Box::default();
        Self { name: name.to_owned(), source, token, node, nullable: true, rules: None, seen: 0, given: true }
    }
}

/// Whether two keys are equal. Keys are short, and a call to compare memory would cost more than comparing them.
#[inline]
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && match left.len() {
            17..=32 => {
                left.first_chunk::<16>() == right.first_chunk()
                    && left.last_chunk::<16>() == right.last_chunk()
            }
            8..=16 => {
                left.first_chunk::<8>() == right.first_chunk() && left.last_chunk::<8>() == right.last_chunk()
            }
            4..=7 => {
                left.first_chunk::<4>() == right.first_chunk() && left.last_chunk::<4>() == right.last_chunk()
            }
            0..=3 => left.iter().eq(right),
            _ => left == right,
        }
}

/// A struct column, or the record itself.
#[derive(Debug)]
pub(crate) struct StructNode {
    pub(crate) fields: Vec<Field>,
    /// The fields by key. Only looked up, never walked: its order is of no consequence. Its keys are the contract's, so a
    /// hash that anybody can foresee does no harm.
    lookup: HashMap<Box<[u8]>, usize, FixedState>,
    /// How many structs were begun.
    pub(crate) generation: u64,
    pub(super) nulls: Nulls,
    length: usize,
    /// How many of the last values are nulls that the fields do not have yet. A struct that most records lack, hundreds
    /// of columns below it, costs a record one addition.
    behind: usize,
}

impl StructNode {
    pub(crate) fn new(fields: Vec<Field>) -> Self {
        let lookup = fields.iter().enumerate().map(|(index, field)| (field.source.clone(), index)).collect();
        Self { fields, lookup, generation: 0, nulls: Nulls::new(0), length: 0, behind: 0 }
    }

    /// Whether the bytes ahead, which reach to the end of the record, begin with the key of a field, as most records write
    /// it; answers how many bytes that are.
    #[inline]
    pub(crate) fn begins_with(&self, ahead: &[u8], field: usize) -> Option<usize> {
        let token = &self.fields.get(field)?.token;
        let length = token.len();
        (length > 0 && same(ahead.get(..length)?, token)).then_some(length)
    }

    /// The field of a key. `hint` is the field that comes next if the record has the contract's order.
    #[inline]
    pub(crate) fn find(&self, key: &[u8], hint: usize) -> Option<usize> {
        if self.fields.get(hint).is_some_and(|field| same(&field.source, key)) {
            return Some(hint);
        }
        self.lookup.get(key).copied()
    }

    /// Ends a struct all of whose fields got a value or null.
    pub(crate) fn close(&mut self) {
        self.length += 1;
        self.nulls.push_valid();
    }

    /// Ends a struct that is null, and whose fields all got null.
    pub(crate) fn close_null(&mut self) {
        self.length += 1;
        self.nulls.push_nulls(1);
    }

    pub(super) fn push_nulls(&mut self, count: usize) {
        self.behind += count;
        self.length += count;
        self.nulls.push_nulls(count);
    }

    /// Gives the fields the nulls that they do not have yet. Before a value is appended to one of them.
    #[inline]
    pub(crate) fn catch_up(&mut self) {
        if self.behind > 0 {
            let count = std::mem::take(&mut self.behind);
            for field in &mut self.fields {
                field.node.push_nulls(count);
            }
        }
    }

    /// Cuts all fields back to `length` values.
    pub(crate) fn truncate(&mut self, length: usize) {
        let filled = self.length - self.behind;
        // Fields that are behind are all of one length: no value of a struct was begun.
        let in_fields = if self.behind > 0 { length.min(filled) } else { length };
        self.behind = length.saturating_sub(filled).min(self.behind);
        for field in &mut self.fields {
            field.node.truncate(in_fields);
        }
        self.length = length;
        self.nulls.truncate(length);
    }

    /// The number of values.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// What one more struct costs.
    pub(crate) fn slot_bytes(&self) -> u64 {
        1 + self.fields.iter().map(|field| field.node.slot_bytes()).sum::<u64>()
    }
}
