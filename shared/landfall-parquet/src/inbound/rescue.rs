//! What the columns of the contract cannot hold of a row, kept as JSON beside them.

use super::Refused;
use super::assemble::Unread;
use super::convert::Tools;
use super::schema::{Branch, Shape};
use super::source::{Source, contradiction};
use super::text;
use crate::limits;

/// What is rescued of one row.
#[derive(Debug)]
pub(super) struct Rescue<'a> {
    /// The columns of the object: all of them are read.
    columns: &'a [Branch],
    /// The inside of a JSON object.
    kept: Vec<u8>,
}

impl<'a> Rescue<'a> {
    /// Nothing of a row of this object is kept yet.
    pub(super) fn new(root: &'a Branch) -> Result<Self, Refused> {
        match &root.shape {
            Shape::Struct(columns) => Ok(Self { columns, kept: Vec::new() }),
            _ => Err(contradiction()),
        }
    }

    /// Keeps the value of the column at this place, unless it is null.
    pub(super) fn keep(
        &mut self,
        place: usize,
        sources: &[Source<'_>],
        row: usize,
        tools: &mut Tools,
    ) -> Result<(), Unread> {
        let (column, source) = self.columns.get(place).zip(sources.get(place)).ok_or_else(contradiction)?;
        if source.is_null(row) {
            return Ok(());
        }
        if !self.kept.is_empty() {
            self.kept.push(b',');
        }
        let before = self.kept.len();
        self.kept.extend_from_slice(&text::member(column, source, row, limits::LINE_BYTES)?);
        let more = self.kept.len().saturating_sub(before) as u64;
        tools.budget.spend(more, 0).map_err(Unread::Row)
    }

    /// The inside of a JSON object with what was kept.
    pub(super) fn kept(&self) -> &[u8] {
        &self.kept
    }
}
