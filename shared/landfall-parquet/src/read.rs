//! One pass over a record: every byte checked, known members written straight into their columns.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_core::contract::{DuplicateKeys, TimeFormat, UnknownFields, ViolationPolicy};
use landfall_core::data_type::TimeUnit;

use crate::column::{Field, Flat, ListNode, MapNode, Node, StructNode, Texts};
use crate::contract::CompiledContract;
use crate::fault::{Checked, Fault, ViolationCode};
use crate::given::Given;
use crate::json::keys::skip_value;
use crate::json::text::unescape;
use crate::json::{Cursor, Keys, Text, blank_duplicates};
use crate::number::refused;
use crate::time;
use crate::token::{self, text_token, wrong_type};

/// Memory for unescaped texts that is kept from one line to the next.
const KEPT_SCRATCH: usize = 1024 * 1024;

/// Reads records into columns.
#[derive(Debug)]
pub(crate) struct RecordReader {
    context: Context,
    duplicate_keys: DuplicateKeys,
    given: Given,
    /// What a record costs before its lists and texts.
    record_bytes: u64,
}

/// What holds for one record while it is read.
#[derive(Debug)]
struct Context {
    unknown: UnknownFields,
    /// Keys that no column has.
    keys: Keys,
    /// A key or text without its escapes.
    scratch: Vec<u8>,
    /// Whether members of the record that no column holds are kept.
    rescues: bool,
    /// Whether the contract takes in members it does not name: null says of such a one what its absence says.
    evolves: bool,
    /// Those of this record: the inside of a JSON object.
    rescued: Vec<u8>,
}

impl RecordReader {
    pub(crate) fn new(records: &StructNode, contract: &CompiledContract, given: Given) -> Self {
        let context = Context {
            unknown: contract.unknown_fields,
            keys: Keys::default(),
            scratch: Vec::new(),
            rescues: contract.on_violation == ViolationPolicy::Rescue,
            evolves: contract.on_violation == ViolationPolicy::Evolve,
            rescued: Vec::new(),
        };
        let duplicate_keys = contract.duplicate_keys;
        Self { context, duplicate_keys, given, record_bytes: records.slot_bytes() }
    }

    /// What fills the columns that no member of a record is read into.
    pub(crate) fn given(&self) -> &Given {
        &self.given
    }

    /// Appends the record of one line, the job's `number`th; answers what it weighs: about the bytes its columns take. A
    /// faulty record leaves nothing behind.
    pub(crate) fn read(&mut self, line: &[u8], number: u64, records: &mut StructNode) -> Checked<u64> {
        let length = records.len();
        self.attempt(line, line, number, records).or_else(|fault| {
            records.truncate(length);
            self.explain(line, number, records, fault)
        })
    }

    /// Reads `line`, the record that was staged as `staged`.
    fn attempt(&mut self, line: &[u8], staged: &[u8], number: u64, records: &mut StructNode) -> Checked<u64> {
        // The fast check does not tell where; the other one does.
        if simdutf8::basic::from_utf8(line).is_err()
            && let Err(error) = std::str::from_utf8(line)
        {
            return Err(Fault::new(ViolationCode::InvalidUtf8, error.valid_up_to(), "the line is not UTF-8"));
        }
        self.context.keys.clear();
        self.context.scratch.clear();
        self.context.scratch.shrink_to(KEPT_SCRATCH);
        let mut cursor = Cursor::new(line);
        cursor.space();
        if cursor.peek() != Some(b'{') {
            return Err(Fault::new(ViolationCode::NotAnObject, cursor.at, "expected an object"));
        }
        self.context.rescued.clear();
        members::<true>(&mut cursor, records, &mut self.context)?;
        cursor.end()?;
        self.given.fill(records, &self.context.rescued, line, staged, number);
        let lists = self.context.keys.spent();
        let text = self.given.text_bytes(line).saturating_add(line.len() as u64);
        Ok(self.record_bytes.saturating_add(lists).saturating_add(text))
    }

    /// What a refused line is refused for: a line that is not JSON is that, whatever else is wrong with it; and where the
    /// last of equal keys counts, the line is read again without the others.
    #[cold]
    fn explain(
        &mut self,
        line: &[u8],
        number: u64,
        records: &mut StructNode,
        fault: Box<Fault>,
    ) -> Checked<u64> {
        if fault.code == ViolationCode::InvalidUtf8 {
            return Err(fault);
        }
        match (blank_duplicates(line)?, self.duplicate_keys) {
            (Some(copy), DuplicateKeys::LastWins) => {
                let length = records.len();
                self.attempt(&copy, line, number, records).inspect_err(|_| records.truncate(length))
            }
            _ => Err(fault),
        }
    }
}

/// Reads the members of an object into fields; `{` is next. Only what is wrong with a member of the `RECORD` itself is
/// rescued.
fn members<const RECORD: bool>(
    cursor: &mut Cursor<'_>,
    node: &mut StructNode,
    context: &mut Context,
) -> Checked<()> {
    let row = node.len();
    let opened = cursor.at;
    cursor.enter()?;
    cursor.space();
    node.catch_up();
    node.generation += 1;
    let generation = node.generation;
    let mut seen = 0;
    if cursor.accept(b'}') {
        cursor.leave();
    } else {
        let mut hint = 0;
        let mark = context.keys.begin();
        loop {
            // The field that comes next if the record has the contract's order: nothing of its key is left to check.
            let (key, found) = if let Some(length) = node.begins_with(cursor.ahead(), hint) {
                (cursor.key(length), Some(hint))
            } else {
                let key = cursor.string()?;
                cursor.space();
                cursor.expect(b':', "expected `:`")?;
                (key, find(cursor, node, key, hint, context))
            };
            cursor.space();
            if let Some(index) = found {
                hint = index + 1;
                seen += 1;
                let Some(field) = node.fields.get_mut(index) else { continue };
                if field.seen == generation {
                    let detail = "a key stands twice in an object";
                    return Err(
                        Fault::new(ViolationCode::DuplicateKey, key.start - 1, detail).within(&field.name)
                    );
                }
                field.seen = generation;
                let (place, open) = (cursor.place(), context.keys.begin());
                if let Err(fault) = read_field(cursor, field, context) {
                    let fault = fault.within(&field.name);
                    if !(RECORD && context.rescues && field.nullable && fault.code.is_of_value()) {
                        return Err(fault);
                    }
                    cursor.back_to(place);
                    context.keys.back_to(open);
                    field.node.truncate(row);
                    rescue(cursor, key, context)?;
                    field.node.push_null();
                }
            } else {
                let rescued = RECORD && context.rescues && context.unknown == UnknownFields::Violation;
                let says_nothing = context.evolves && cursor.peek() == Some(b'n');
                if context.unknown == UnknownFields::Violation && !rescued && !says_nothing {
                    return Err(unknown(cursor, key));
                }
                context.keys.add(cursor, key)?;
                if rescued {
                    rescue(cursor, key, context)?;
                } else {
                    skip_value(cursor, &mut context.keys)?;
                }
            }
            if !cursor.another(b'}', "expected `,` or `}`")? {
                break;
            }
        }
        context.keys.end(cursor, mark)?;
    }
    if seen < node.fields.len() {
        for field in node.fields.iter_mut().filter(|field| field.seen != generation && !field.given) {
            if !field.nullable {
                return Err(missing(opened, "the member is missing").within(&field.name));
            }
            field.node.push_null();
        }
    }
    node.close();
    Ok(())
}

/// Keeps the member whose value is next, as it is written.
#[cold]
fn rescue(cursor: &mut Cursor<'_>, key: Text, context: &mut Context) -> Checked<()> {
    let start = cursor.at;
    skip_value(cursor, &mut context.keys)?;
    let rescued = &mut context.rescued;
    if !rescued.is_empty() {
        rescued.push(b',');
    }
    rescued.push(b'"');
    rescued.extend_from_slice(cursor.slice(key.start, key.end));
    rescued.extend_from_slice(b"\":");
    rescued.extend_from_slice(cursor.slice(start, cursor.at));
    Ok(())
}

/// The field a key belongs to.
#[inline]
fn find(
    cursor: &Cursor<'_>,
    node: &StructNode,
    key: Text,
    hint: usize,
    context: &mut Context,
) -> Option<usize> {
    let raw = cursor.slice(key.start, key.end);
    if !key.escaped {
        return node.find(raw, hint);
    }
    context.scratch.clear();
    unescape(raw, &mut context.scratch);
    node.find(&context.scratch, hint)
}

#[inline]
fn read_field(cursor: &mut Cursor<'_>, field: &mut Field, context: &mut Context) -> Checked<()> {
    let at = cursor.at;
    if cursor.peek() == Some(b'n') {
        cursor.literal("null")?;
        if !field.nullable {
            return Err(missing(at, "the value is null"));
        }
        field.node.push_null();
        return Ok(());
    }
    value(cursor, &mut field.node, context)?;
    match &field.rules {
        Some(rules) => rules.check_last(&field.node).map_err(|refusal| refused(refusal, at)),
        None => Ok(()),
    }
}

#[cold]
fn missing(at: usize, detail: &'static str) -> Box<Fault> {
    Fault::new(ViolationCode::MissingValue, at, detail)
}

/// A member without a column. Its name stands in the column when it looks like one, as it shows how a producer's form has
/// changed; never in the detail, which is logged: names can be data.
#[cold]
fn unknown(cursor: &Cursor<'_>, key: Text) -> Box<Fault> {
    let raw = cursor.slice(key.start, key.end);
    let named = (1..=64).contains(&raw.len())
        && raw
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$' | b' '));
    let fault = Fault::new(ViolationCode::UnknownField, key.start - 1, "the contract has no such member");
    match std::str::from_utf8(raw) {
        Ok(name) if named => fault.within(name),
        _ => fault,
    }
}

/// Reads one value, which is not null at the top of a column, into its column.
fn value(cursor: &mut Cursor<'_>, node: &mut Node, context: &mut Context) -> Checked<()> {
    match node {
        Node::Text(texts) => {
            let text = text_token(cursor, "a string")?;
            let raw = cursor.slice(text.start, text.end);
            if text.escaped {
                unescape(raw, &mut texts.bytes);
            } else {
                texts.bytes.extend_from_slice(raw);
            }
            texts.close();
            Ok(())
        }
        Node::Int { bits, values } => {
            values.push(token::signed(cursor, *bits, "an integer")?);
            Ok(())
        }
        Node::UInt { bits, values } => {
            values.push(token::unsigned(cursor, *bits, "an integer")?);
            Ok(())
        }
        Node::Float64(values) => {
            values.push(token::float64(cursor)?);
            Ok(())
        }
        Node::Float32(values) => {
            values.push(token::float32(cursor)?);
            Ok(())
        }
        Node::Decimal { precision, scale, values } => {
            values.push(token::decimal(cursor, *precision, *scale)?);
            Ok(())
        }
        Node::Bool(values) => match cursor.peek() {
            Some(b't') => cursor.literal("true").map(|()| values.push(true)),
            Some(b'f') => cursor.literal("false").map(|()| values.push(false)),
            _ => Err(wrong_type(cursor, "a boolean")),
        },
        Node::Json(texts) => {
            let start = cursor.at;
            skip_value(cursor, &mut context.keys)?;
            texts.bytes.extend_from_slice(cursor.slice(start, cursor.at));
            texts.close();
            Ok(())
        }
        Node::Binary(texts) => binary(cursor, texts, context),
        Node::Date { format, values } => date(cursor, *format, values, context),
        Node::Time { unit, values } => {
            let at = cursor.at;
            let text = text_token(cursor, "a time of day as a string")?;
            let bytes = plain(cursor, text, context);
            values.push(time::time_of_day(bytes, *unit).map_err(|refusal| refused(refusal, at))?);
            Ok(())
        }
        Node::Timestamp { unit, format, values } => timestamp(cursor, *unit, *format, values, context),
        Node::List(list) => elements(cursor, list, context),
        Node::Struct(node) => {
            if cursor.peek() == Some(b'{') {
                members::<false>(cursor, node, context)
            } else {
                Err(wrong_type(cursor, "an object"))
            }
        }
        Node::Map(map) => entries(cursor, map, context),
    }
}

/// Reads one value that may be null.
#[inline]
fn value_or_null(cursor: &mut Cursor<'_>, node: &mut Node, context: &mut Context) -> Checked<()> {
    if cursor.peek() == Some(b'n') {
        cursor.literal("null")?;
        node.push_null();
        return Ok(());
    }
    value(cursor, node, context)
}

/// A text without its escapes.
fn plain<'a>(cursor: &Cursor<'a>, text: Text, context: &'a mut Context) -> &'a [u8] {
    let raw = cursor.slice(text.start, text.end);
    if !text.escaped {
        return raw;
    }
    context.scratch.clear();
    unescape(raw, &mut context.scratch);
    &context.scratch
}

/// Base64 text (RFC 4648, standard alphabet, with padding).
fn binary(cursor: &mut Cursor<'_>, texts: &mut Texts, context: &mut Context) -> Checked<()> {
    let at = cursor.at;
    let text = text_token(cursor, "base64 as a string")?;
    let encoded = plain(cursor, text, context);
    if STANDARD.decode_vec(encoded, &mut texts.bytes).is_err() {
        let detail = "expected base64 with its padding (RFC 4648, standard alphabet)";
        return Err(Fault::new(ViolationCode::InvalidFormat, at, detail));
    }
    texts.close();
    Ok(())
}

/// A number of epoch units.
fn epoch(cursor: &mut Cursor<'_>) -> Checked<i64> {
    token::signed(cursor, 64, "a whole number of epoch units")
}

fn date(
    cursor: &mut Cursor<'_>,
    format: TimeFormat,
    values: &mut Flat<i32>,
    context: &mut Context,
) -> Checked<()> {
    let at = cursor.at;
    let days = match time::epoch_unit(format) {
        None => {
            let text = text_token(cursor, "a date as a string")?;
            time::date(plain(cursor, text, context))
        }
        Some(per_second) => time::date_from_epoch(epoch(cursor)?, per_second),
    };
    values.push(days.map_err(|refusal| refused(refusal, at))?);
    Ok(())
}

fn timestamp(
    cursor: &mut Cursor<'_>,
    unit: TimeUnit,
    format: TimeFormat,
    values: &mut Flat<i64>,
    context: &mut Context,
) -> Checked<()> {
    let at = cursor.at;
    let instant = match time::epoch_unit(format) {
        None => {
            let text = text_token(cursor, "a time as a string")?;
            time::timestamp(plain(cursor, text, context), unit, format == TimeFormat::Iso)
        }
        Some(per_second) => time::timestamp_from_epoch(epoch(cursor)?, per_second, unit),
    };
    values.push(instant.map_err(|refusal| refused(refusal, at))?);
    Ok(())
}

fn elements(cursor: &mut Cursor<'_>, list: &mut ListNode, context: &mut Context) -> Checked<()> {
    if cursor.peek() != Some(b'[') {
        return Err(wrong_type(cursor, "an array"));
    }
    cursor.enter()?;
    cursor.space();
    if cursor.accept(b']') {
        cursor.leave();
    } else {
        loop {
            context.keys.spend(list.element_bytes, cursor.at)?;
            value_or_null(cursor, &mut list.item, context).map_err(|fault| fault.within("[]"))?;
            if !cursor.another(b']', "expected `,` or `]`")? {
                break;
            }
        }
    }
    list.close();
    Ok(())
}

/// An object whose keys are data. No key may stand twice: a map of the file would hold it twice as well.
fn entries(cursor: &mut Cursor<'_>, map: &mut MapNode, context: &mut Context) -> Checked<()> {
    if cursor.peek() != Some(b'{') {
        return Err(wrong_type(cursor, "an object"));
    }
    cursor.enter()?;
    cursor.space();
    if cursor.accept(b'}') {
        cursor.leave();
        map.close();
        return Ok(());
    }
    let mark = context.keys.begin();
    loop {
        context.keys.spend(map.element_bytes, cursor.at)?;
        let key = cursor.string()?;
        context.keys.add(cursor, key)?;
        let raw = cursor.slice(key.start, key.end);
        if key.escaped {
            unescape(raw, &mut map.keys.bytes);
        } else {
            map.keys.bytes.extend_from_slice(raw);
        }
        map.keys.close();
        cursor.space();
        cursor.expect(b':', "expected `:`")?;
        cursor.space();
        value_or_null(cursor, &mut map.values, context).map_err(|fault| fault.within("{}"))?;
        if !cursor.another(b'}', "expected `,` or `}`")? {
            break;
        }
    }
    context.keys.end(cursor, mark)?;
    map.close();
    Ok(())
}
