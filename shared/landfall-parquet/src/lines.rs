//! Lines of decoded bytes, however these are sliced. Only LF ends a line; a CR before it is white space of JSON.

use crate::fault::{Position, QuarantineReason};
use crate::limits;
use crate::merge::Stop;

/// Takes one line without its newline, and where it begins.
pub(crate) type LineSink<'a> = dyn FnMut(&[u8], Position) -> Result<(), Stop> + 'a;

/// The state of splitting one object.
#[derive(Debug)]
pub(crate) struct Lines {
    /// The beginning of a line that is not complete yet.
    carry: Vec<u8>,
    /// Where the next line begins.
    next: Position,
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self { carry: Vec::new(), next: Position { line: 1, byte_offset: 0 } }
    }

    /// Splits the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8], sink: &mut LineSink<'_>) -> Result<(), Stop> {
        let mut rest = bytes;
        while let Some(length) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = after.get(1..).unwrap_or_default();
            if self.carry.is_empty() {
                self.line(line, 1, sink)?;
            } else {
                self.keep(line)?;
                let mut carry = std::mem::take(&mut self.carry);
                self.line(&carry, 1, sink)?;
                carry.clear();
                self.carry = carry;
            }
        }
        self.keep(rest)
    }

    /// The object ends here: what is left is a line.
    pub(crate) fn finish(&mut self, sink: &mut LineSink<'_>) -> Result<(), Stop> {
        let carry = std::mem::take(&mut self.carry);
        if carry.is_empty() { Ok(()) } else { self.line(&carry, 0, sink) }
    }

    /// Where the next byte stands.
    pub(crate) fn position(&self) -> Position {
        let byte_offset = self.next.byte_offset + self.carry.len() as u64;
        Position { line: self.next.line, byte_offset }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        if self.carry.len().saturating_add(bytes.len()) > limits::LINE_BYTES {
            return Err(self.too_long());
        }
        self.carry.extend_from_slice(bytes);
        Ok(())
    }

    fn line(&mut self, line: &[u8], newline: u64, sink: &mut LineSink<'_>) -> Result<(), Stop> {
        if line.len() > limits::LINE_BYTES {
            return Err(self.too_long());
        }
        let position = self.next;
        self.next.line += 1;
        self.next.byte_offset += line.len() as u64 + newline;
        sink(line, position)
    }

    fn too_long(&self) -> Stop {
        Stop::Quarantine {
            reason: QuarantineReason::LineTooLong,
            detail: format!("a line is longer than {} bytes", limits::LINE_BYTES).into(),
            position: Some(self.next),
        }
    }
}
