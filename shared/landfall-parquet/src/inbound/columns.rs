//! Many rows of a batch at once, a column at a time.
//!
//! Whatever is refused or takes too much makes the whole [`Unfit`]: then [`super::assemble`] reads the same rows one by one, and
//! alone says what is wrong with which. What both append, and what they count a row to cost, is the same. Values that are not
//! among the common ones, and those that have rules, are read by it here already, each for itself.

use std::ops::Range;

use arrow_array::Array as _;
use arrow_buffer::NullBuffer;

use super::assemble;
use super::convert::Tools;
use super::plan::{Members, Way};
use super::schema::Kind;
use super::source::{Cells, Form, Source, is_null, span};
use crate::column::{Field, Flat, ListNode, Node, StructNode, Texts};
use crate::limits;
use crate::number::fits;

/// The rows are to be read one by one.
#[derive(Debug)]
pub(super) struct Unfit;

type Fit = Result<(), Unfit>;

/// What many rows cost.
pub(super) struct Costs {
    /// Of each row what its lists and texts take, in bytes.
    rows: Vec<u64>,
    /// What all of them may still take.
    room: u64,
}

impl Costs {
    /// Of so many rows, whose lists and texts may take `room` bytes.
    pub(super) fn new(count: usize, room: u64) -> Self {
        Self { rows: vec![0; count], room }
    }

    /// What each row weighs with the `record_bytes` that every record takes; `None` when one takes more than a record may, or
    /// all of them more than `most`.
    pub(super) fn weights(mut self, record_bytes: u64, most: u64) -> Option<Vec<u64>> {
        let mut all = 0_u64;
        for cost in &mut self.rows {
            if *cost > limits::ROW_WEIGHT {
                return None;
            }
            *cost = cost.saturating_add(record_bytes);
            all = all.saturating_add(*cost);
        }
        (all <= most).then_some(self.rows)
    }

    /// Adds to what a row costs.
    #[inline]
    fn spend(&mut self, row: usize, bytes: u64) -> Fit {
        self.room = self.room.checked_sub(bytes).ok_or(Unfit)?;
        *self.rows.get_mut(row).ok_or(Unfit)? += bytes;
        Ok(())
    }
}

/// Appends rows to the columns of records, none of which may be landfall's own. What is left behind when they are unfit is the
/// caller's to cut off.
pub(super) fn records(
    node: &mut StructNode,
    plan: &Members,
    sources: &[Source<'_>],
    rows: Range<usize>,
    tools: &mut Tools,
    costs: &mut Costs,
) -> Fit {
    let count = rows.len();
    Batch { rows, absent: None, tools, costs }.members(node, plan, sources)?;
    (0..count).for_each(|_| node.close());
    Ok(())
}

/// Rows that are read.
struct Batch<'a> {
    rows: Range<usize>,
    /// Which of them do not exist, as the struct around them is null.
    absent: Option<&'a NullBuffer>,
    tools: &'a mut Tools,
    costs: &'a mut Costs,
}

impl Batch<'_> {
    /// The members of all structs, or of the records themselves, which end after it.
    fn members(&mut self, node: &mut StructNode, plan: &Members, sources: &[Source<'_>]) -> Fit {
        node.catch_up();
        for (field, found) in node.fields.iter_mut().zip(&plan.found) {
            match found {
                Some((place, way)) => self.column(field, way, sources.get(*place).ok_or(Unfit)?)?,
                None => field.node.push_nulls(self.rows.len()),
            }
        }
        Ok(())
    }

    /// One member. Only columns of the contract may not be null, or have rules.
    fn column(&mut self, field: &mut Field, way: &Way, source: &Source<'_>) -> Fit {
        if !field.nullable && self.rows.clone().any(|row| source.is_null(row)) {
            return Err(Unfit);
        }
        let Some(rules) = &field.rules else { return self.values(&mut field.node, way, source) };
        for (place, row) in self.rows.clone().enumerate() {
            let node = &mut field.node;
            if self.value(node, way, source, place, row)? && rules.check_last(node).is_err() {
                return Err(Unfit);
            }
        }
        Ok(())
    }

    /// All values of a column, or of a part of one.
    fn values(&mut self, node: &mut Node, way: &Way, source: &Source<'_>) -> Fit {
        let nulls = NullBuffer::union(self.absent, source.nulls()).filter(|nulls| nulls.null_count() > 0);
        let nulls = nulls.as_ref();
        match (way, &source.form, node) {
            (
                Way::Leaf(Kind::Int { signed: true }),
                Form::Leaf(Cells::Int64(cells)),
                Node::Int { bits, values },
            ) => self.flat(values, cells, nulls, |cell| Some(cell).filter(|cell| fits(*cell, *bits))),
            (
                Way::Leaf(Kind::Int { signed: true }),
                Form::Leaf(Cells::Int32(cells)),
                Node::Int { bits, values },
            ) => self
                .flat(values, cells, nulls, |cell| Some(i64::from(cell)).filter(|cell| fits(*cell, *bits))),
            (Way::Leaf(Kind::Double), Form::Leaf(Cells::Double(cells)), Node::Float64(values)) => {
                self.flat(values, cells, nulls, |cell| Some(cell).filter(|cell| cell.is_finite()))
            }
            (Way::Leaf(Kind::Text | Kind::Bytes), Form::Leaf(Cells::Bytes(cells)), Node::Text(texts)) => {
                self.texts(texts, nulls, |row| (row < cells.len()).then(|| cells.value(row)))
            }
            (Way::Struct(plan), Form::Struct(sources), Node::Struct(node)) => {
                self.structs(node, plan, sources, nulls)
            }
            (Way::List(inner), Form::List(offsets, item), Node::List(list)) => {
                self.lists(list, inner, offsets, item, nulls)
            }
            (way, _, node) => {
                for (place, row) in self.rows.clone().enumerate() {
                    if is_null(nulls, row) {
                        node.push_null();
                    } else {
                        self.value(node, way, source, place, row)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// One value, as a row that is read alone has it; false when it is null.
    fn value(
        &mut self,
        node: &mut Node,
        way: &Way,
        source: &Source<'_>,
        place: usize,
        row: usize,
    ) -> Result<bool, Unfit> {
        self.tools.budget.clear();
        let there = assemble::value(node, way, source, row, self.tools).map_err(|_| Unfit)?;
        self.costs.spend(place, self.tools.budget.spent())?;
        Ok(there)
    }

    /// Values of one width that are known to fit, or not, by themselves.
    fn flat<T: Copy + Default, U: Copy>(
        &self,
        values: &mut Flat<T>,
        cells: &[U],
        nulls: Option<&NullBuffer>,
        value: impl Fn(U) -> Option<T>,
    ) -> Fit {
        for (row, cell) in self.rows.clone().zip(cells.get(self.rows.clone()).ok_or(Unfit)?) {
            if is_null(nulls, row) {
                values.push_null();
            } else {
                values.push(value(*cell).ok_or(Unfit)?);
            }
        }
        Ok(())
    }

    fn texts<'b>(
        &mut self,
        texts: &mut Texts,
        nulls: Option<&NullBuffer>,
        text: impl Fn(usize) -> Option<&'b [u8]>,
    ) -> Fit {
        let first = texts.len();
        for (place, row) in self.rows.clone().enumerate() {
            if is_null(nulls, row) {
                texts.push_null();
                continue;
            }
            let text = text(row).ok_or(Unfit)?;
            self.costs.spend(place, text.len() as u64)?;
            texts.bytes.extend_from_slice(text);
            texts.close();
        }
        // All of them together: most are too short to be looked at one by one.
        if texts.are_utf8(first) { Ok(()) } else { Err(Unfit) }
    }

    fn structs(
        &mut self,
        node: &mut StructNode,
        plan: &Members,
        sources: &[Source<'_>],
        nulls: Option<&NullBuffer>,
    ) -> Fit {
        Batch { rows: self.rows.clone(), absent: nulls, tools: self.tools, costs: self.costs }
            .members(node, plan, sources)?;
        for row in self.rows.clone() {
            if is_null(nulls, row) { node.close_null() } else { node.close() }
        }
        Ok(())
    }

    fn lists(
        &mut self,
        list: &mut ListNode,
        inner: &Way,
        offsets: &[i32],
        item: &Source<'_>,
        nulls: Option<&NullBuffer>,
    ) -> Fit {
        let Some(last) = self.rows.end.checked_sub(1).filter(|_| !self.rows.is_empty()) else {
            return Ok(());
        };
        let first = span(offsets, self.rows.start).map_err(|_| Unfit)?.start;
        let elements = first..span(offsets, last).map_err(|_| Unfit)?.end;
        let begin = list.item.len();
        let all = (elements.len() as u64).checked_mul(list.element_bytes).ok_or(Unfit)?;
        let room = self.costs.room.checked_sub(all).ok_or(Unfit)?;
        let mut costs = Costs { rows: vec![list.element_bytes; elements.len()], room };
        Batch { rows: elements, absent: None, tools: self.tools, costs: &mut costs }.values(
            &mut list.item,
            inner,
            item,
        )?;
        self.costs.room = costs.room;
        for (place, row) in self.rows.clone().enumerate() {
            let elements = span(offsets, row).map_err(|_| Unfit)?;
            if is_null(nulls, row) {
                if !elements.is_empty() {
                    return Err(Unfit);
                }
                list.push_null();
                continue;
            }
            let (start, end) = (elements.start.checked_sub(first), elements.end.checked_sub(first));
            let (Some(start), Some(end)) = (start, end) else { return Err(Unfit) };
            let cost: u64 = costs.rows.get(start..end).ok_or(Unfit)?.iter().sum();
            *self.costs.rows.get_mut(place).ok_or(Unfit)? += cost;
            list.close_at(begin + end);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
