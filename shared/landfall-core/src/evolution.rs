//! How a contract takes in what is new, under [`ViolationPolicy::Evolve`]: additions and widenings, each version recorded.
//!
//! What a file was made with stands in the pin of its intent. This record only says what the next intents are planned with:
//! the contract of the document, and on it all changes so far. A document that is edited later keeps them.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::contract::{Column, Contract, ViolationPolicy};
use crate::data_type::DataType;

/// The most columns a contract evolves to, members of structs counted one by one: what is beyond is data, not a form.
pub const MOST_COLUMNS: usize = 2_000;

/// One change of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A column behind the others, which may be null.
    Added {
        /// The column.
        column: Column,
    },
    /// A wider type of a column.
    Widened {
        /// The column's name.
        column: String,
        /// The type it has now.
        #[serde(rename = "type")]
        to: DataType,
    },
}

/// The changes that made one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The version they made.
    pub contract_version: u32,
    /// The intent whose inputs asked for them.
    pub n: u64,
    /// When that intent was planned, UTC.
    pub planned_at: Timestamp,
    /// The changes: at least one.
    pub changes: Vec<Change>,
}

/// The record `contracts/<version>`: every step up to that version. The newest one holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evolution {
    /// Form of this record.
    pub version: u32,
    /// The delivery.
    pub delivery: String,
    /// The steps, oldest first.
    pub steps: Vec<Step>,
}

impl Evolution {
    /// The version it leads to; 0 without a step.
    pub fn contract_version(&self) -> u32 {
        self.steps.last().map_or(0, |step| step.contract_version)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { column } => write!(f, "+ {} {}", column.name, column.data_type),
            Self::Widened { column, to } => write!(f, "{column} is {to}"),
        }
    }
}

impl Contract {
    /// This contract, as a document has it, with all that it has taken in since. Its version is the greater of both.
    #[must_use]
    pub fn evolved(&self, evolution: &Evolution) -> Self {
        let mut contract = self.clone();
        let own: Vec<String> = self.file_columns().into_iter().map(|column| column.name).collect();
        for change in evolution.steps.iter().flat_map(|step| &step.changes) {
            change.apply(&mut contract.columns, &own);
        }
        contract.version = contract.version.max(evolution.contract_version());
        contract
    }

    /// Whether this is `other`, or what it may have evolved to.
    pub fn is_or_evolved_from(&self, other: &Self) -> bool {
        if other.on_violation != ViolationPolicy::Evolve {
            return self == other;
        }
        let settings = |contract: &Self| Self { version: 0, columns: Vec::new(), ..contract.clone() };
        let evolved = |(column, from): (&Column, &Column)| {
            let same = Column { data_type: from.data_type.clone(), ..column.clone() } == *from;
            same && from.data_type.widened(&column.data_type).as_ref() == Some(&column.data_type)
        };
        settings(self) == settings(other)
            && self.version >= other.version
            && self.columns.len() >= other.columns.len()
            && self.columns.iter().zip(&other.columns).all(evolved)
    }
}

impl Change {
    /// Makes the change, as far as it is not made. A document that was edited may stand against it (its column of this name
    /// reads another member, or has another type; one of its `own` names is that of the column): then nothing happens, and
    /// what is new is found anew.
    fn apply(&self, columns: &mut Vec<Column>, own: &[String]) {
        let widen = |column: &mut Column, to: &DataType| {
            if let Some(data_type) = column.data_type.widened(to) {
                column.data_type = data_type;
            }
        };
        match self {
            Self::Added { column: added } => {
                let known = columns.iter_mut().find(|column| column.source_name() == added.source_name());
                if let Some(column) = known {
                    return widen(column, &added.data_type);
                }
                let names = columns.iter().map(|column| &column.name).chain(own);
                if !names.into_iter().any(|name| name.eq_ignore_ascii_case(&added.name)) {
                    columns.push(added.clone());
                }
            }
            Self::Widened { column, to } => {
                if let Some(column) = columns.iter_mut().find(|known| known.name == *column) {
                    widen(column, to);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{DuplicateKeys, UnknownFields};
    use crate::record::FORMAT;

    fn column(name: &str, data_type: &str) -> Column {
        Column::new(name, data_type.parse().expect("a type"))
    }

    fn contract(version: u32, columns: &[(&str, &str)]) -> Contract {
        Contract {
            version,
            on_violation: ViolationPolicy::Evolve,
            unknown_fields: UnknownFields::Violation,
            duplicate_keys: DuplicateKeys::Refuse,
            columns: columns.iter().map(|(name, data_type)| column(name, data_type)).collect(),
            unique_key: Vec::new(),
            tracking: None,
        }
    }

    fn evolution(steps: &[(u32, Vec<Change>)]) -> Evolution {
        let step = |(contract_version, changes): &(u32, Vec<Change>)| Step {
            contract_version: *contract_version,
            n: 1,
            planned_at: Timestamp::UNIX_EPOCH,
            changes: changes.clone(),
        };
        Evolution { version: FORMAT, delivery: "d".into(), steps: steps.iter().map(step).collect() }
    }

    fn added(name: &str, data_type: &str) -> Change {
        Change::Added { column: column(name, data_type) }
    }

    fn widened(name: &str, to: &str) -> Change {
        Change::Widened { column: name.into(), to: to.parse().expect("a type") }
    }

    fn shape(contract: &Contract) -> Vec<(&str, String)> {
        contract.columns.iter().map(|column| (column.name.as_str(), column.data_type.to_string())).collect()
    }

    #[test]
    fn a_document_takes_in_all_changes_and_keeps_them_when_it_is_edited() {
        let changes = evolution(&[
            (2, vec![added("b", "int32"), widened("a", "int64")]),
            (3, vec![widened("b", "int64"), added("c", "string")]),
        ]);
        let first = contract(1, &[("a", "int32")]);
        let evolved = first.evolved(&changes);
        assert_eq!(evolved.version, 3);
        assert_eq!(shape(&evolved), [("a", "int64".into()), ("b", "int64".into()), ("c", "string".into())]);
        assert_eq!(evolved.evolved(&changes), evolved, "all of it is made");
        assert!(evolved.is_or_evolved_from(&first) && first.is_or_evolved_from(&first));
        assert!(!first.is_or_evolved_from(&evolved));

        // The edited document names one of the new columns itself, and another one of its own.
        let edited = contract(7, &[("a", "int32"), ("b", "int64"), ("d", "date")]).evolved(&changes);
        let expected = [("a", "int64"), ("b", "int64"), ("d", "date"), ("c", "string")];
        assert_eq!(shape(&edited), expected.map(|(name, data_type)| (name, data_type.to_owned())));
        assert_eq!(edited.version, 7);
    }

    #[test]
    fn a_change_that_an_edited_document_stands_against_is_not_made() {
        let changes = evolution(&[(2, vec![added("b", "int32"), widened("a", "int64")])]);
        let mut edited = contract(3, &[("a", "string"), ("b", "date")]);
        if let Some(column) = edited.columns.last_mut() {
            column.from = Some("other".into());
        }
        assert_eq!(edited.evolved(&changes), edited);
    }

    #[test]
    fn only_a_contract_that_evolves_is_met_in_another_form() {
        let strict = |contract: Contract| Contract { on_violation: ViolationPolicy::Strict, ..contract };
        let (one, two) = (contract(1, &[("a", "int32")]), contract(2, &[("a", "int64")]));
        assert!(two.is_or_evolved_from(&one));
        assert!(!strict(two.clone()).is_or_evolved_from(&strict(one.clone())));
        assert!(!strict(two.clone()).is_or_evolved_from(&one));
        assert!(!contract(2, &[("a", "string")]).is_or_evolved_from(&one));
        assert!(!contract(2, &[("b", "int32")]).is_or_evolved_from(&one));
    }

    #[test]
    fn the_record_is_read_as_written() {
        assert_eq!(added("b", "int32").to_string(), "+ b int32");
        assert_eq!(widened("a", "int64").to_string(), "a is int64");
        let changes = evolution(&[(2, vec![added("b", "list<int32>"), widened("a", "decimal(12,2)")])]);
        let body = crate::record::encode("k", &changes).expect("encodes");
        assert_eq!(crate::record::decode::<Evolution>("k", &body).expect("decodes"), changes);
    }
}
