//! What the decoded bytes of an object are: lines, each a record, or one array of records.
//!
//! | the first byte that is no white space | is read as |
//! |---|---|
//! | `[` | one JSON array; every element is a record |
//! | any other | JSON lines; every line that is not blank is a record |
//!
//! A byte order mark at the very beginning counts as white space. A line of JSONL is never an array, as records are objects: so
//! nothing that could be delivered as lines is taken for an array.

use crate::elements::Elements;
use crate::fault::Position;
use crate::lines::Lines;
use crate::merge::Stop;

const BOM: [u8; 3] = *b"\xef\xbb\xbf";

/// How a record stands in its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Line,
    Element,
}

/// Takes one record, how it stands, and where it begins.
pub(crate) type RecordSink<'a> = dyn FnMut(Form, &[u8], Position) -> Result<(), Stop> + 'a;

/// A record without the byte order mark that an object may begin with.
pub(crate) fn unmarked(record: &[u8], position: Position) -> &[u8] {
    match record.strip_prefix(&BOM) {
        Some(rest) if position.byte_offset == 0 => rest,
        _ => record,
    }
}

/// The state of splitting one object.
#[derive(Debug)]
pub(crate) struct Records {
    lines: Lines,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// White space only so far, and this much of a byte order mark. What has come went to `lines`.
    Unknown {
        mark: usize,
        begun: bool,
    },
    Lines,
    Array(Elements),
}

impl Records {
    pub(crate) fn new() -> Self {
        Self { lines: Lines::new(), kind: Kind::Unknown { mark: 0, begun: false } }
    }

    /// Splits the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8], sink: &mut RecordSink<'_>) -> Result<(), Stop> {
        let mut rest = bytes;
        if let Kind::Unknown { mark, begun } = &mut self.kind {
            let mut at = 0;
            let mut told = None;
            while let Some(byte) = rest.get(at).copied() {
                let marked = BOM.get(*mark).is_some_and(|wanted| *wanted == byte);
                if marked && (!*begun || *mark > 0) {
                    *mark += 1;
                } else if *mark != 0 && *mark != BOM.len() {
                    told = Some(false);
                } else if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                    told = Some(byte == b'[');
                }
                if told.is_some() {
                    break;
                }
                *begun = true;
                at += 1;
            }
            match told {
                None => {}
                Some(false) => self.kind = Kind::Lines,
                Some(true) => {
                    let (space, array) = rest.split_at_checked(at).unwrap_or((rest, &[]));
                    self.lines.push(space, &mut |line, position| sink(Form::Line, line, position))?;
                    self.kind = Kind::Array(Elements::new(self.lines.position()));
                    rest = array;
                }
            }
        }
        match &mut self.kind {
            Kind::Unknown { .. } | Kind::Lines => {
                self.lines.push(rest, &mut |line, position| sink(Form::Line, line, position))
            }
            Kind::Array(elements) => {
                elements.push(rest, &mut |element, position| sink(Form::Element, element, position))
            }
        }
    }

    /// The object ends here.
    pub(crate) fn finish(&mut self, sink: &mut RecordSink<'_>) -> Result<(), Stop> {
        match &mut self.kind {
            Kind::Unknown { .. } | Kind::Lines => {
                self.lines.finish(&mut |line, position| sink(Form::Line, line, position))
            }
            Kind::Array(elements) => elements.finish(),
        }
    }
}
