//! A contract proposed from data: what all records of all inputs have in common, so that each of them fits.
//!
//! The proposal does not depend on the order of the inputs, but for the order of columns and of members of structs: those of the
//! first record come first; and where no type holds all of a place, or there are too many places. What does not fit one type is kept as `json`, which holds any value as its text: nothing is guessed at.

mod doubt;
mod evolve;
mod propose;
mod shape;
mod typed;

use landfall_core::contract::{Column, Contract, DuplicateKeys};
use landfall_core::evolution::Change;

use crate::decode::{Decoder, Whole};
use crate::document::check_document;
use crate::fault::{Position, ViolationCode};
use crate::inbound::survey;
use crate::json::Cursor;
use crate::merge::{Stop, guarded};
use crate::records::{Form, Records, unmarked};
use shape::{Places, Shape};
use typed::Typed;

pub use doubt::Doubt;

/// What is known of the records that were seen.
#[derive(Debug)]
pub struct Inference {
    records: Shape,
    places: Places,
    /// Members that are told apart whatever else comes.
    known: Vec<String>,
    input: Option<Input>,
    /// What a decoder leaves to the next one.
    whole: Whole,
    refused: u64,
    first_refused: Option<Refused>,
    /// Records with a key that stands twice.
    repeated_keys: u64,
}

/// A line, or the rest of an input, that is no JSON record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Where.
    pub position: Position,
    /// Why. Holds no content.
    pub detail: String,
}

#[derive(Debug)]
struct Input {
    /// Its records: they count when it can be read to its end.
    records: Shape,
    places: Places,
    decoder: Decoder,
    split: Records,
    /// Set when the input cannot be read further.
    over: bool,
}

impl Default for Inference {
    fn default() -> Self {
        Self::new()
    }
}

impl Inference {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::knowing(Vec::new())
    }

    /// Nothing seen yet, and [`Inference::evolve`] will be asked of this contract.
    pub fn of_contract(contract: &Contract) -> Self {
        Self::knowing(contract.columns.iter().map(|column| column.source_name().to_owned()).collect())
    }

    fn knowing(known: Vec<String>) -> Self {
        Self {
            records: Shape::of_records(&known),
            places: Places::default(),
            known,
            input: None,
            whole: Whole::default(),
            refused: 0,
            first_refused: None,
            repeated_keys: 0,
        }
    }

    /// Begins the next input.
    pub fn begin_input(&mut self) {
        self.input = Some(Input {
            records: Shape::of_records(&self.known),
            places: Places::default(),
            decoder: Decoder::new(std::mem::take(&mut self.whole)),
            split: Records::new(),
            over: false,
        });
    }

    /// Takes the next bytes of the input, as they are staged: plain, gzip, zstd or Parquet.
    pub fn push(&mut self, bytes: &[u8]) {
        let Self { input, refused, first_refused, repeated_keys, .. } = self;
        let Some(input) = input.as_mut().filter(|input| !input.over) else { return };
        let Input { records, places, decoder, split, over } = input;
        let mut seen = Seen { records, places, refused, first_refused, repeated_keys };
        let done = decoder
            .push(bytes, &mut |bytes| split.push(bytes, &mut |form, text, at| seen.record(form, text, at)));
        if let Err(stop) = done {
            seen.stopped(stop);
            *over = true;
        }
    }

    /// Ends the input. What cannot be read to its end counts for nothing.
    pub fn end_input(&mut self) {
        let Self {
            records: all, places: of_all, input, whole, refused, first_refused, repeated_keys, ..
        } = self;
        let Some(input) = input.take() else { return };
        let Input { mut records, mut places, mut decoder, mut split, over } = input;
        let mut seen =
            Seen { records: &mut records, places: &mut places, refused, first_refused, repeated_keys };
        if !over {
            let done = decoder
                .finish(&mut |bytes| split.push(bytes, &mut |form, text, at| seen.record(form, text, at)))
                .and_then(|()| split.finish(&mut |form, text, at| seen.record(form, text, at)))
                .and_then(|()| decoder.take_whole().map_or(Ok(()), |object| seen.parquet(object)));
            match done {
                Ok(()) => all.join(records, of_all),
                Err(stop) => seen.stopped(stop),
            }
        }
        *whole = decoder.into_whole();
    }

    /// What a contract takes in of the records seen: nullable columns for members that it does not name and that are somewhere
    /// not null (or have a type, in Parquet), wider types where a number needs one. Nothing when it holds all that it can be made to hold. `taken` are
    /// names that no column may have.
    pub fn evolve<'a>(&self, contract: &Contract, taken: impl IntoIterator<Item = &'a str>) -> Vec<Change> {
        evolve::changes(&self.records, contract, taken)
    }

    /// How many lines were no JSON records, or inputs no such lines, and left out; and the first of the last input that had
    /// any, since the last call.
    pub fn take_refused(&mut self) -> (u64, Option<Refused>) {
        (std::mem::take(&mut self.refused), self.first_refused.take())
    }

    /// How many records were seen.
    pub fn records(&self) -> u64 {
        self.records.objects()
    }

    /// What of the records [`Self::columns`] do not hold, or may not.
    pub fn doubts(&self) -> Vec<Doubt> {
        let mut doubts = propose::doubts(&self.records);
        if self.repeated_keys > 0 {
            let times = self.repeated_keys;
            let detail = format!(
                "{times} records have a key twice: they are refused, unless `duplicate_keys = \"last_wins\"`"
            );
            doubts.push(Doubt { member: None, detail });
        }
        doubts
    }

    /// The columns that hold all records seen, but for the [`Self::doubts`]. With `required`, those that every record has a value for may not be null.
    pub fn columns(&self, required: bool) -> Vec<Column> {
        propose::columns(&self.records, required)
    }
}

/// Where the records of an input go.
struct Seen<'a> {
    records: &'a mut Shape,
    places: &'a mut Places,
    refused: &'a mut u64,
    first_refused: &'a mut Option<Refused>,
    repeated_keys: &'a mut u64,
}

impl Seen<'_> {
    #[expect(clippy::unnecessary_wraps, reason = "the form of a sink of records")]
    fn record(&mut self, _: Form, line: &[u8], position: Position) -> Result<(), Stop> {
        let line = unmarked(line, position);
        if line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            return Ok(());
        }
        // All of it is checked first: a shape has no way back.
        let checked = match check_document(line, DuplicateKeys::Refuse) {
            Err(fault) if fault.code == ViolationCode::DuplicateKey => {
                *self.repeated_keys += 1;
                check_document(line, DuplicateKeys::LastWins)
            }
            checked => checked,
        };
        if let Err(fault) = checked {
            self.refuse(position, fault.to_string());
            return Ok(());
        }
        let mut cursor = Cursor::new(line);
        cursor.space();
        if cursor.peek() == Some(b'{') {
            // What was checked is read without a fault.
            let _checked = self.records.see(&mut cursor, self.places);
        } else {
            self.refuse(position, "no JSON object".to_owned());
        }
        Ok(())
    }

    /// Reads a Parquet object: the rows for the values, the schema for the types.
    fn parquet(&mut self, object: Vec<u8>) -> Result<(), Stop> {
        let read = || survey(object, &mut |form, line, position| self.record(form, line, position));
        let columns = guarded(read)?;
        let members = self.records.objects.get_or_insert_default();
        for (name, data_type) in columns {
            let typed = data_type.map_or(Typed::Unclear, Typed::As);
            members.member(name, self.places).typed.join(typed);
        }
        Ok(())
    }

    fn refuse(&mut self, position: Position, detail: String) {
        *self.refused += 1;
        self.first_refused.get_or_insert(Refused { position, detail });
    }

    fn stopped(&mut self, stop: Stop) {
        let (detail, position) = match stop {
            Stop::Quarantine { reason, detail, position } => {
                (format!("{}: {detail}", reason.as_str()), position)
            }
            Stop::Failed(error) => (error.to_string(), None),
        };
        self.refuse(position.unwrap_or(Position { line: 1, byte_offset: 0 }), detail);
    }
}
