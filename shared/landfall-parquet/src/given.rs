//! The columns that landfall fills itself, behind those of the contract: what was rescued, the tracking columns, and where files
//! are JSON lines the text of the record.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use landfall_core::contract::{Contract, ViolationPolicy};
use landfall_core::hash;

use crate::column::{Node, StructNode};
use crate::number::decimal_text;
use crate::time::{clock_text, date_text, instant_text};

/// What the given columns of a job hold. The same job gives the same values, however often it is executed.
#[derive(Debug)]
pub(crate) struct Given {
    /// The column that keeps what was rescued, where there is one.
    rescued: Option<usize>,
    tracking: Option<Tracked>,
    /// Whether one column keeps the text of the record.
    text: bool,
}

#[derive(Debug)]
struct Tracked {
    synced: i64,
    job_id: String,
    /// The columns of the key; none when a record's text is its key.
    key: Vec<usize>,
    deleted: Option<usize>,
}

impl Given {
    /// The given columns of a contract, for a job that was planned at this time.
    pub(crate) fn new(contract: &Contract, planned_at: Timestamp, job_id: &str) -> Self {
        let place =
            |name: &String| contract.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
        let tracking = contract.tracking.as_ref().map(|tracking| Tracked {
            synced: planned_at.as_microsecond(),
            job_id: job_id.to_owned(),
            key: tracking.key.iter().filter_map(place).collect(),
            deleted: tracking.deleted.as_ref().and_then(place),
        });
        let rescued = (contract.on_violation == ViolationPolicy::Rescue).then_some(contract.columns.len());
        Self { rescued, tracking, text: false }
    }

    /// The same with the text of each record, where the files are made of it.
    pub(crate) fn with_text(self, text: bool) -> Self {
        Self { text, ..self }
    }

    /// Whether something of the last record was rescued.
    pub(crate) fn is_rescued(&self, records: &StructNode) -> bool {
        let node = self.rescued.and_then(|place| records.fields.get(place)).map(|field| &field.node);
        matches!(node, Some(Node::Json(texts)) if texts.last().is_some())
    }

    /// Whether [`Given::fill`] asks for the text of a record: it is what a record without a key is told by, and what files of
    /// lines are made of.
    pub(crate) fn wants_text(&self) -> bool {
        self.text || self.tracking.as_ref().is_some_and(|tracking| tracking.key.is_empty())
    }

    /// What a record weighs more for its text being kept.
    pub(crate) fn text_bytes(&self, text: &[u8]) -> u64 {
        if self.text { text.len() as u64 + 1 } else { 0 }
    }

    /// Fills the given columns of the record that was just read into the others. `rescued` is the inside of a JSON object,
    /// `text` what the record was read from, `staged` how it was staged, keys that do not count included; `number` its place
    /// among the records of the job, from 1.
    pub(crate) fn fill(
        &self,
        records: &mut StructNode,
        rescued: &[u8],
        text: &[u8],
        staged: &[u8],
        number: u64,
    ) {
        let id = self.tracking.as_ref().map(|tracking| tracking.id(records, staged));
        let deleted = self.tracking.as_ref().is_some_and(|tracking| tracking.is_deleted(records));
        let mut given = records.fields.iter_mut().filter(|field| field.given).map(|field| &mut field.node);
        if self.rescued.is_some()
            && let Some(node) = given.next()
        {
            match node {
                Node::Json(texts) if !rescued.is_empty() => {
                    texts.bytes.push(b'{');
                    texts.bytes.extend_from_slice(rescued);
                    texts.bytes.push(b'}');
                    texts.close();
                }
                other => other.push_null(),
            }
        }
        if self.text
            && let Some(Node::Text(texts)) = given.next_back()
        {
            push_line(text, &mut texts.bytes);
            texts.close();
        }
        let (Some(tracking), Some(id)) = (&self.tracking, id) else { return };
        // In the order of `landfall_core::contract::Tracking::columns`.
        for (index, node) in given.enumerate() {
            match (index, node) {
                (0, Node::Timestamp { values, .. }) => values.push(tracking.synced),
                (1, Node::Bool(values)) => values.push(deleted),
                (2, Node::Int { values, .. }) => values.push(i64::try_from(number).unwrap_or(i64::MAX)),
                (3, Node::Text(texts)) => {
                    texts.bytes.extend_from_slice(id.as_bytes());
                    texts.close();
                }
                (4, Node::Text(texts)) => {
                    texts.bytes.extend_from_slice(tracking.job_id.as_bytes());
                    texts.close();
                }
                // Never: these are its columns.
                (_, other) => other.push_null(),
            }
        }
    }
}

/// The text of a record as one line. Within a record that was checked, line breaks stand between values only, and are white
/// space like any other: a string has them escaped.
fn push_line(text: &[u8], line: &mut Vec<u8>) {
    let blank = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
    line.extend(text.trim_ascii().iter().map(blank));
}

impl Tracked {
    fn is_deleted(&self, records: &StructNode) -> bool {
        let node = self.deleted.and_then(|place| records.fields.get(place)).map(|field| &field.node);
        matches!(node, Some(Node::Bool(values)) if values.last() == Some(true))
    }

    /// SHA-256, in hex, of the key as a JSON list of texts; of the record's own text where there is no key.
    fn id(&self, records: &StructNode, text: &[u8]) -> String {
        if self.key.is_empty() {
            return hash::hex(text.trim_ascii());
        }
        hash::hex_of_json(&last_texts(records, &self.key))
    }
}

/// The last values of columns, as [`last_text`] has them.
pub(crate) fn last_texts(records: &StructNode, places: &[usize]) -> Vec<String> {
    let nodes = places.iter().filter_map(|place| records.fields.get(*place)).map(|field| &field.node);
    nodes.map(|node| last_text(node).unwrap_or_default()).collect()
}

/// The last value of a column of single values, as text: two are equal exactly when their texts are.
fn last_text(node: &Node) -> Option<String> {
    match node {
        Node::Bool(values) => values.last().map(|value| value.to_string()),
        Node::Int { values, .. } => values.last().map(|value| value.to_string()),
        Node::UInt { values, .. } => values.last().map(|value| value.to_string()),
        Node::Decimal { scale, values, .. } => values.last().map(|value| decimal_text(value, *scale)),
        Node::Text(texts) => texts.last().map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        Node::Binary(texts) => texts.last().map(|bytes| STANDARD.encode(bytes)),
        Node::Date { values, .. } => values.last().map(|days| date_text(i64::from(days))),
        Node::Time { unit, values } => values.last().map(|value| clock_text(value, *unit)),
        Node::Timestamp { unit, values, .. } => values.last().map(|value| instant_text(value, *unit)),
        // The document refuses keys of other types.
        _ => None,
    }
}
