//! Which partition a row belongs to.
//!
//! | level | value |
//! |---|---|
//! | known in advance (arrival, key) | from the intent |
//! | job | the id of the job |
//! | column, `identity` | the value as text, a timestamp as `YYYY-MM-DD HH:MM:SS`; Hive's texts for null are null |
//! | column, `year` `month` `day` `date` | of a date or timestamp, UTC |
//! | column, `hour` | of a timestamp, UTC |

use std::collections::HashMap;

use landfall_core::data_type::DataType;
use landfall_core::layout::{PartitionLevel, PartitionSource, PartitionTransform};
use landfall_core::partition::{self, Partition, PartitionValue};

use crate::column::{Node, StructNode};
use crate::contract::CompiledContract;
use crate::fault::{Fault, QuarantineReason, ViolationCode};
use crate::limits;
use crate::merge::Stop;
use crate::number;
use crate::spec::MergeSpec;
use crate::time;

/// A partition's number, in the order of first appearance.
pub(crate) type PartitionId = usize;

/// Where a level's value comes from.
#[derive(Debug)]
enum Source {
    Known(Option<String>),
    Column { index: usize, transform: PartitionTransform },
}

#[derive(Debug)]
struct Level {
    name: Option<String>,
    source: Source,
}

/// Finds the partition of each row.
#[derive(Debug)]
pub(crate) struct Router {
    levels: Vec<Level>,
    /// What of every key is known in advance: the dataset's prefix, known levels, the longest name of a file.
    known_bytes: usize,
    /// Whether a known level is too long for its segment.
    known_too_long: bool,
    by_record: bool,
    partitions: Vec<Partition>,
    /// Partitions by the values they were made of. Only looked up, never walked for what is written.
    lookup: HashMap<Vec<u8>, PartitionId>,
    /// The input that last had a row in each partition, as a number that rises with every input.
    seen_by: Vec<u64>,
    /// The current input, and how many partitions its rows have.
    input: u64,
    of_input: usize,
    key: Vec<u8>,
    last_key: Vec<u8>,
    /// The partition of `last_key`, unless it is gone.
    last: Option<PartitionId>,
}

/// Why a row has no partition.
#[derive(Debug)]
pub(crate) enum Unrouted {
    Row(Box<Fault>),
    Object(Stop),
}

/// A value of a level, before it is written as text.
enum Value<'a> {
    Null,
    Text(&'a [u8]),
    Number(i128),
}

impl Router {
    /// Checks the levels of the layout against the contract and what is known in advance.
    pub(crate) fn new(spec: &MergeSpec, contract: &CompiledContract) -> Result<Self, String> {
        let layout = &spec.config.layout;
        if spec.partition.len() != layout.partitions.len() {
            return Err(format!(
                "{} partition values are given for {} levels",
                spec.partition.len(),
                layout.partitions.len()
            ));
        }
        let mut levels = Vec::new();
        let mut known_bytes = spec.config.prefix.len();
        let mut known_too_long = false;
        for (level, known) in layout.partitions.iter().zip(&spec.partition) {
            let source = match (level.source, known) {
                (PartitionSource::Column, None) => column(level, contract)?,
                (PartitionSource::Arrival | PartitionSource::Key, Some(known)) => {
                    Source::Known(known.value.clone())
                }
                (PartitionSource::Job, None) => Source::Known(Some(spec.job_id.clone())),
                (PartitionSource::Column | PartitionSource::Job, Some(_)) => {
                    return Err(format!(
                        "a value is given for partition level `{}`, which is not known in advance",
                        level.label()
                    ));
                }
                (PartitionSource::Arrival | PartitionSource::Key, None) => {
                    return Err(format!("no value is given for partition level `{}`", level.label()));
                }
            };
            if let Source::Known(value) = &source {
                let segment = segment_bytes(level.name.as_deref(), value.as_deref());
                known_bytes += segment + 1;
                known_too_long |= segment > limits::PARTITION_SEGMENT_BYTES;
            }
            levels.push(Level { name: level.name.clone(), source });
        }
        Ok(Self {
            levels,
            known_bytes,
            known_too_long,
            by_record: layout.routes_by_record(),
            partitions: Vec::new(),
            lookup: HashMap::new(),
            seen_by: Vec::new(),
            input: 0,
            of_input: 0,
            key: Vec::new(),
            last_key: Vec::new(),
            last: None,
        })
    }

    /// Keeps room in every key for the name of a file.
    pub(crate) fn leave_room(&mut self, name_bytes: usize) {
        self.known_bytes += name_bytes;
    }

    /// Begins an input; answers what [`Self::forget`] takes to undo it.
    pub(crate) fn begin(&mut self) -> usize {
        self.input += 1;
        self.of_input = 0;
        self.last = None;
        self.partitions.len()
    }

    /// Forgets the partitions that only the current input has: it is undone, and must not count against its neighbours.
    pub(crate) fn forget(&mut self, known: usize) {
        self.last = None;
        if self.partitions.len() > known {
            self.partitions.truncate(known);
            self.seen_by.truncate(known);
            self.lookup.retain(|_, id| *id < known);
        }
    }

    /// Whether one more input could bring the merge beyond its bound of partitions.
    pub(crate) fn is_full(&self) -> bool {
        self.partitions.len() > limits::PARTITIONS.saturating_sub(limits::OBJECT_PARTITIONS)
    }

    /// Whether rows of one input can belong to several partitions.
    pub(crate) fn by_record(&self) -> bool {
        self.by_record
    }

    /// The values of a partition.
    pub(crate) fn partition(&self, id: PartitionId) -> Partition {
        self.partitions.get(id).cloned().unwrap_or_default()
    }

    /// The partition of the last record.
    pub(crate) fn route(&mut self, records: &StructNode) -> Result<PartitionId, Unrouted> {
        if let Some(last) = self.last.filter(|_| !self.by_record) {
            return Ok(last);
        }
        self.key.clear();
        for level in &self.levels {
            if let Source::Column { index, transform } = &level.source {
                match records.fields.get(*index).map_or(Value::Null, |field| value(&field.node, *transform)) {
                    Value::Null => self.key.push(0),
                    Value::Text(text) => {
                        self.key.push(1);
                        self.key.extend_from_slice(&(text.len() as u64).to_le_bytes());
                        self.key.extend_from_slice(text);
                    }
                    Value::Number(number) => {
                        self.key.push(2);
                        self.key.extend_from_slice(&number.to_le_bytes());
                    }
                }
            }
        }
        if let Some(last) = self.last.filter(|_| self.key == self.last_key) {
            return Ok(last);
        }
        let id = match self.lookup.get(&self.key) {
            Some(id) => *id,
            None => self.add(records)?,
        };
        self.count(id)?;
        self.last_key.clone_from(&self.key);
        self.last = Some(id);
        Ok(id)
    }

    /// Counts the partitions of the current input, those that earlier inputs have too: its verdict must not depend on its
    /// neighbours.
    fn count(&mut self, id: PartitionId) -> Result<(), Unrouted> {
        let Some(seen_by) = self.seen_by.get_mut(id).filter(|seen_by| **seen_by != self.input) else {
            return Ok(());
        };
        *seen_by = self.input;
        self.of_input += 1;
        if self.of_input > limits::OBJECT_PARTITIONS {
            let detail =
                format!("the rows of the object have more than {} partitions", limits::OBJECT_PARTITIONS);
            return Err(Unrouted::Object(Stop::quarantine(QuarantineReason::TooManyPartitions, detail)));
        }
        Ok(())
    }

    fn add(&mut self, records: &StructNode) -> Result<PartitionId, Unrouted> {
        if self.known_too_long || self.known_bytes > limits::KEY_BYTES {
            let detail = "prefix, partition values known in advance and file name make too long a key";
            return Err(Unrouted::Object(Stop::quarantine(QuarantineReason::KeyTooLong, detail)));
        }
        let mut values = Partition::new();
        let mut key_bytes = self.known_bytes;
        for level in &self.levels {
            let value = match &level.source {
                Source::Known(value) => value.clone(),
                Source::Column { index, transform } => {
                    let field = records.fields.get(*index);
                    let value = match field.map_or(Value::Null, |field| value(&field.node, *transform)) {
                        // Escaping never shortens: a value as long as a line is not even escaped.
                        Value::Text(text) if text.len() > limits::PARTITION_SEGMENT_BYTES => None,
                        _ => Some(field.and_then(|field| render(&field.node, *transform))),
                    };
                    let segment = value
                        .as_ref()
                        .map_or(usize::MAX, |value| segment_bytes(level.name.as_deref(), value.as_deref()));
                    key_bytes = key_bytes.saturating_add(segment).saturating_add(1);
                    if segment > limits::PARTITION_SEGMENT_BYTES || key_bytes > limits::KEY_BYTES {
                        let detail = "the partition value makes too long a key";
                        let fault = Fault::new(ViolationCode::PartitionTooLong, 0, detail);
                        return Err(Unrouted::Row(match field {
                            Some(field) => fault.within(&field.name),
                            None => fault,
                        }));
                    }
                    value.flatten()
                }
            };
            values.push(PartitionValue { name: level.name.clone(), value });
        }
        let id = self.partitions.len();
        self.partitions.push(values);
        self.seen_by.push(0);
        self.lookup.insert(self.key.clone(), id);
        Ok(id)
    }
}

/// The length of a level's segment of the path, without its slash.
fn segment_bytes(name: Option<&str>, value: Option<&str>) -> usize {
    partition::segment(name, value).len()
}

/// A level whose value comes from a column: the transform must fit the type.
fn column(level: &PartitionLevel, contract: &CompiledContract) -> Result<Source, String> {
    let name = level.reads();
    let (index, data_type) = contract.column(name).ok_or_else(|| {
        format!("partition level `{}` reads column `{name}`, which the contract does not have", level.label())
    })?;
    let fits = match level.transform {
        PartitionTransform::Identity => !matches!(
            data_type,
            DataType::Float32
                | DataType::Float64
                | DataType::Binary
                | DataType::Json
                | DataType::List(_)
                | DataType::Struct(_)
                | DataType::Map(_)
        ),
        PartitionTransform::Hour => matches!(data_type, DataType::Timestamp(_)),
        PartitionTransform::Year
        | PartitionTransform::Month
        | PartitionTransform::Day
        | PartitionTransform::Date => {
            matches!(data_type, DataType::Timestamp(_) | DataType::Date)
        }
    };
    if fits {
        Ok(Source::Column { index, transform: level.transform })
    } else {
        let label = level.label();
        Err(format!("partition level `{label}` cannot be made of column `{name}` of type {data_type}"))
    }
}

/// The last value of a column, as far as the transform needs it.
fn value(node: &Node, transform: PartitionTransform) -> Value<'_> {
    let number = match node {
        Node::Text(texts) => {
            let null = |text: &[u8]| text.is_empty() || text == partition::HIVE_NULL.as_bytes();
            return texts.last().filter(|text| !null(text)).map_or(Value::Null, Value::Text);
        }
        Node::Bool(values) => values.last().map(i128::from),
        Node::Int { values, .. } | Node::Time { values, .. } => values.last().map(i128::from),
        Node::UInt { values, .. } => values.last().map(i128::from),
        Node::Decimal { values, .. } => values.last(),
        Node::Date { values, .. } => values.last().map(|day| i128::from(of_day(day.into(), 0, transform))),
        Node::Timestamp { unit, values, .. } => values.last().map(|instant| {
            if transform == PartitionTransform::Identity {
                return i128::from(instant);
            }
            let seconds = instant.div_euclid(time::per_second(*unit));
            i128::from(of_day(seconds.div_euclid(86_400), seconds.rem_euclid(86_400), transform))
        }),
        Node::Float32(_)
        | Node::Float64(_)
        | Node::Binary(_)
        | Node::Json(_)
        | Node::List(_)
        | Node::Struct(_)
        | Node::Map(_) => None,
    };
    number.map_or(Value::Null, Value::Number)
}

/// What a transform makes of a day since the epoch and a second of that day.
fn of_day(day: i64, second: i64, transform: PartitionTransform) -> i64 {
    match transform {
        PartitionTransform::Identity | PartitionTransform::Date => day,
        PartitionTransform::Year => time::civil_from_days(day).0,
        PartitionTransform::Month => time::civil_from_days(day).1,
        PartitionTransform::Day => time::civil_from_days(day).2,
        PartitionTransform::Hour => second / 3600,
    }
}

/// The last value of a column as it stands in a path, before escaping.
fn render(node: &Node, transform: PartitionTransform) -> Option<String> {
    let number = match value(node, transform) {
        Value::Null => return None,
        Value::Text(text) => return Some(String::from_utf8_lossy(text).into_owned()),
        Value::Number(number) => number,
    };
    // All but decimals fit: they were made of 64 bits.
    let small = i64::try_from(number).unwrap_or_default();
    Some(match (transform, node) {
        (PartitionTransform::Identity, Node::Bool(_)) => (number != 0).to_string(),
        (PartitionTransform::Identity, Node::Decimal { scale, .. }) => number::decimal_text(number, *scale),
        (PartitionTransform::Identity, Node::Time { unit, .. }) => time::clock_text(small, *unit),
        (PartitionTransform::Identity, Node::Timestamp { unit, .. }) => time::instant_text(small, *unit),
        (PartitionTransform::Identity, Node::Date { .. }) | (PartitionTransform::Date, _) => {
            time::date_text(small)
        }
        (PartitionTransform::Year, _) => format!("{number:04}"),
        (PartitionTransform::Month | PartitionTransform::Day | PartitionTransform::Hour, _) => {
            format!("{number:02}")
        }
        (PartitionTransform::Identity, _) => number.to_string(),
    })
}
