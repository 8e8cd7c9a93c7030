//! Reading a TOML table field by field, with its places, without stopping at an error.
//!
//! A [`Section`] is asked for each of its keys once; what it was never asked for is an unknown key. A [`Field`]
//! is absent, bad (its problem is already recorded) or given, so that a rule over several fields is checked
//! exactly when all of them can be trusted.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde::de::value::{Error as ValueError, StrDeserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::suggest::closest;

/// Where something stands: an offset in bytes and a dotted path.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) offset: usize,
    pub(super) path: String,
}

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) place: Place,
    pub(super) message: String,
}

/// The problems found so far, in the order they were found.
#[derive(Debug, Default)]
pub(super) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    pub(super) fn add(&self, place: &Place, message: impl Into<String>) {
        self.0.borrow_mut().push(Problem { place: place.clone(), message: message.into() });
    }

    pub(super) fn into_inner(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}

/// One key of a section, as it was read.
#[derive(Debug)]
pub(super) struct Field<'a, T> {
    problems: &'a Problems,
    place: Place,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Absent,
    Bad,
    Given(T),
}

impl<'a, T> Field<'a, T> {
    /// Reports the key as missing when it is absent.
    pub(super) fn required(mut self) -> Self {
        if matches!(self.state, State::Absent) {
            self.refuse("this key is missing");
            self.state = State::Bad;
        }
        self
    }

    /// Holds the value to a rule.
    pub(super) fn check<E: Display>(mut self, rule: impl FnOnce(&T) -> Result<(), E>) -> Self {
        if let State::Given(value) = &self.state
            && let Err(message) = rule(value)
        {
            self.refuse(message.to_string());
            self.state = State::Bad;
        }
        self
    }

    /// Records a problem of this field that its own rule cannot see.
    pub(super) fn refuse(&self, message: impl Into<String>) {
        self.problems.add(&self.place, message);
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn get(&self) -> Option<&T> {
        match &self.state {
            State::Given(value) => Some(value),
            State::Absent | State::Bad => None,
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self.state, State::Absent)
    }

    /// Whether the key stands in the document, well written or not.
    pub(super) fn is_present(&self) -> bool {
        !self.is_absent()
    }

    /// The value of a required field; `None` when the document cannot be used.
    pub(super) fn value(self) -> Option<T> {
        match self.state {
            State::Given(value) => Some(value),
            State::Absent | State::Bad => None,
        }
    }

    /// The value, or the default where the key is absent; `None` when the document cannot be used.
    pub(super) fn or_else(self, default: impl FnOnce() -> T) -> Option<T> {
        match self.state {
            State::Given(value) => Some(value),
            State::Absent => Some(default()),
            State::Bad => None,
        }
    }

    /// The value where there is one; the outer `None` when the document cannot be used.
    #[expect(clippy::option_option, reason = "the outer one ends the reading of a section by `?`")]
    pub(super) fn optional(self) -> Option<Option<T>> {
        match self.state {
            State::Given(value) => Some(Some(value)),
            State::Absent => Some(None),
            State::Bad => None,
        }
    }

    /// Makes something else of the value, or reports why it cannot be made.
    pub(super) fn and_then<U>(self, read: impl FnOnce(T) -> Result<U, String>) -> Field<'a, U> {
        let Self { problems, place, state } = self;
        let state = match state {
            State::Absent => State::Absent,
            State::Bad => State::Bad,
            State::Given(value) => match read(value) {
                Ok(value) => State::Given(value),
                Err(message) => {
                    problems.add(&place, message);
                    State::Bad
                }
            },
        };
        Field { problems, place, state }
    }
}

impl<T: Default> Field<'_, T> {
    /// The value, or its type's default where the key is absent; `None` when the document cannot be used.
    pub(super) fn or_default(self) -> Option<T> {
        self.or_else(T::default)
    }
}

/// A table of the document.
#[derive(Debug)]
pub(super) struct Section<'a> {
    problems: &'a Problems,
    table: &'a DeTable<'a>,
    place: Place,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole document.
    pub(super) fn root(problems: &'a Problems, table: &'a DeTable<'a>) -> Self {
        Self { problems, table, place: Place { offset: 0, path: String::new() }, asked: Vec::new() }
    }

    /// Reports every key that was never asked for.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let name = key.get_ref();
            if self.asked.iter().any(|asked| asked == name) {
                continue;
            }
            let mut message = "unknown key".to_owned();
            if let Some(close) = closest(name, &self.asked) {
                message = format!("unknown key; did you mean `{close}`?");
            }
            self.problems.add(&Place { offset: key.span().start, path: self.path(&bare(name)) }, message);
        }
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str) -> Field<'a, String> {
        self.field(key).and_then(text)
    }

    /// A text that a type of the domain reads by itself, such as a choice.
    pub(super) fn parsed<T: DeserializeOwned>(&mut self, key: &'static str) -> Field<'a, T> {
        self.text(key).and_then(|text| {
            T::deserialize(StrDeserializer::<ValueError>::new(&text)).map_err(|error| {
                let message = error.to_string();
                // Serde quotes a choice it does not know; what is allowed says enough.
                match message.rsplit_once("`, expected ") {
                    Some((_, allowed)) => format!("expected {allowed}"),
                    None => message,
                }
            })
        })
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Field<'a, Vec<String>> {
        self.field(key).and_then(|value| match value.get_ref() {
            DeValue::Array(items) => items.iter().map(text).collect(),
            other => Err(format!("expected a list of texts in quotes, found {}", kind(other))),
        })
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Field<'a, bool> {
        self.field(key).and_then(|value| match value.get_ref() {
            DeValue::Boolean(flag) => Ok(*flag),
            other => Err(format!("expected `true` or `false`, found {}", kind(other))),
        })
    }

    /// A whole number within a range.
    pub(super) fn number<T>(&mut self, key: &'static str, range: &RangeInclusive<T>) -> Field<'a, T>
    where
        T: TryFrom<i128> + PartialOrd + Display,
    {
        self.field(key).and_then(|value| {
            let DeValue::Integer(integer) = value.get_ref() else {
                return Err(format!("expected a whole number, found {}", kind(value.get_ref())));
            };
            i128::from_str_radix(integer.as_str(), integer.radix())
                .ok()
                .and_then(|number| T::try_from(number).ok())
                .filter(|number| range.contains(number))
                .ok_or_else(|| format!("expected a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// A table.
    pub(super) fn section(&mut self, key: &'static str) -> Field<'a, Section<'a>> {
        let (problems, path) = (self.problems, self.path(key));
        self.field(key).and_then(|value| match value.get_ref() {
            DeValue::Table(table) => Ok(Section {
                problems,
                table,
                place: Place { offset: value.span().start, path },
                asked: Vec::new(),
            }),
            other => Err(format!("expected a table `[{path}]`, found {}", kind(other))),
        })
    }

    /// A list of tables, each written below its own `[[header]]`.
    pub(super) fn sections(&mut self, key: &'static str) -> Field<'a, Vec<Section<'a>>> {
        let (problems, path) = (self.problems, self.path(key));
        self.field(key).and_then(|value| {
            let expected = |found: &DeValue<'_>| {
                format!("expected tables, each below `[[{path}]]`, found {}", kind(found))
            };
            let DeValue::Array(items) = value.get_ref() else { return Err(expected(value.get_ref())) };
            let read = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| match item.get_ref() {
                DeValue::Table(table) => Ok(Section {
                    problems,
                    table,
                    place: Place { offset: item.span().start, path: format!("{path}[{index}]") },
                    asked: Vec::new(),
                }),
                other => Err(expected(other)),
            };
            items.iter().enumerate().map(read).collect()
        })
    }

    fn field(&mut self, key: &'static str) -> Field<'a, &'a Spanned<DeValue<'a>>> {
        self.asked.push(key);
        let path = self.path(key);
        let (offset, state) = match self.table.get(key) {
            Some(value) => (value.span().start, State::Given(value)),
            None => (self.place.offset, State::Absent),
        };
        Field { problems: self.problems, place: Place { offset, path }, state }
    }

    fn path(&self, key: &str) -> String {
        if self.place.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place.path) }
    }
}

fn text(value: &Spanned<DeValue<'_>>) -> Result<String, String> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        other => Err(format!("expected text in quotes, found {}", kind(other))),
    }
}

/// The kind of a value. Never the value: it may be a secret in the wrong place.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a time without quotes",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A key as TOML writes it: in quotes when it is not a bare word.
fn bare(key: &str) -> String {
    let is_bare =
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if is_bare { key.to_owned() } else { format!("{key:?}") }
}
