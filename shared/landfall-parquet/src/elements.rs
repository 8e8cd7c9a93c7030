//! The elements of a JSON array of records, however its bytes are sliced.
//!
//! Only where an element begins and ends is found here; each is then checked whole, as a line would be. What stands between
//! elements is checked here: white space, commas, and nothing after the array. An array that is broken anywhere is no JSON
//! document, and is refused as a whole.

use crate::fault::{Position, QuarantineReason, ViolationCode};
use crate::limits;
use crate::lines::LineSink;
use crate::merge::Stop;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The opening bracket.
    Start,
    /// The first element, or the end of an empty array.
    First,
    /// An element, after a comma.
    Element,
    /// More of an array, object or string: how many brackets are open, and whether a string is.
    Inside { open: u64, text: bool, escaped: bool },
    /// More of a number or literal.
    Word,
    /// A comma or the end.
    After,
    /// Nothing but white space.
    Done,
}

/// The state of splitting one array.
#[derive(Debug)]
pub(crate) struct Elements {
    state: State,
    /// The beginning of an element that is not complete yet.
    carry: Vec<u8>,
    /// Where the next byte that belongs to no complete element stands.
    next: Position,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

impl Elements {
    /// An array whose opening bracket stands at `start`.
    pub(crate) fn new(start: Position) -> Self {
        Self { state: State::Start, carry: Vec::new(), next: start }
    }

    /// Splits the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8], sink: &mut LineSink<'_>) -> Result<(), Stop> {
        let mut rest = bytes;
        while let Some(byte) = rest.first().copied() {
            if matches!(self.state, State::Inside { .. } | State::Word) {
                let length = self.scan(rest);
                let ended = self.state == State::After;
                let (part, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                rest = after;
                if ended && self.carry.is_empty() {
                    self.element(part, sink)?;
                } else {
                    self.keep(part)?;
                    if ended {
                        let mut carry = std::mem::take(&mut self.carry);
                        self.element(&carry, sink)?;
                        carry.clear();
                        self.carry = carry;
                    }
                }
            } else if self.between(byte)? {
                rest = rest.get(1..).unwrap_or_default();
                self.next.byte_offset += 1;
                self.next.line += u64::from(byte == b'\n');
            }
        }
        Ok(())
    }

    /// The object ends here: so must the array.
    pub(crate) fn finish(&mut self) -> Result<(), Stop> {
        if self.state == State::Done {
            return Ok(());
        }
        let carry = std::mem::take(&mut self.carry);
        self.pass(&carry);
        Err(self.broken("the array does not end"))
    }

    /// Takes a byte outside elements; false when it begins an element instead.
    fn between(&mut self, byte: u8) -> Result<bool, Stop> {
        if is_space(byte) {
            return Ok(true);
        }
        self.state = match (self.state, byte) {
            (State::Start, b'[') => State::First,
            (State::First | State::After, b']') => State::Done,
            (State::After, b',') => State::Element,
            (State::First | State::Element, b'{' | b'[' | b'"') => {
                self.state = State::Inside { open: 0, text: false, escaped: false };
                return Ok(false);
            }
            (State::First | State::Element, b'-' | b'0'..=b'9' | b'a'..=b'z') => {
                self.state = State::Word;
                return Ok(false);
            }
            (State::First | State::Element, _) => return Err(self.broken("expected a JSON value")),
            (State::After, _) => return Err(self.broken("expected `,` or `]`")),
            _ => return Err(self.broken("something follows the array")),
        };
        Ok(true)
    }

    /// Finds the end of the element; answers how many of the bytes are its own.
    fn scan(&mut self, bytes: &[u8]) -> usize {
        let State::Inside { mut open, mut text, mut escaped } = self.state else {
            let end = bytes.iter().position(|byte| is_space(*byte) || matches!(byte, b',' | b']' | b'}'));
            if end.is_some() {
                self.state = State::After;
            }
            return end.unwrap_or(bytes.len());
        };
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            at += 1;
            let closed = if text {
                match byte {
                    _ if escaped => {
                        escaped = false;
                        false
                    }
                    b'\\' => {
                        escaped = true;
                        false
                    }
                    b'"' => {
                        text = false;
                        true
                    }
                    _ => {
                        let rest = bytes.get(at..).unwrap_or_default();
                        at += memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                        false
                    }
                }
            } else {
                match byte {
                    b'"' => text = true,
                    b'{' | b'[' => open += 1,
                    b'}' | b']' => open = open.saturating_sub(1),
                    _ => {}
                }
                matches!(byte, b'}' | b']')
            };
            if closed && open == 0 {
                self.state = State::After;
                return at;
            }
        }
        self.state = State::Inside { open, text, escaped };
        bytes.len()
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        if self.carry.len().saturating_add(bytes.len()) > limits::LINE_BYTES {
            return Err(self.too_long());
        }
        self.carry.extend_from_slice(bytes);
        Ok(())
    }

    fn element(&mut self, element: &[u8], sink: &mut LineSink<'_>) -> Result<(), Stop> {
        if element.len() > limits::LINE_BYTES {
            return Err(self.too_long());
        }
        let position = self.next;
        self.pass(element);
        sink(element, position)
    }

    /// Counts bytes.
    fn pass(&mut self, bytes: &[u8]) {
        self.next.byte_offset += bytes.len() as u64;
        self.next.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
    }

    #[cold]
    fn broken(&self, detail: &'static str) -> Stop {
        Stop::Quarantine {
            reason: QuarantineReason::Violation(ViolationCode::InvalidJson),
            detail: detail.into(),
            position: Some(self.next),
        }
    }

    #[cold]
    fn too_long(&self) -> Stop {
        Stop::Quarantine {
            reason: QuarantineReason::LineTooLong,
            detail: format!("an element of the array is longer than {} bytes", limits::LINE_BYTES).into(),
            position: Some(self.next),
        }
    }
}
