//! The records of a batch that have a unique key of their own.

use std::collections::HashSet;

use foldhash::fast::FixedState;
use landfall_core::contract::Contract;
use landfall_core::hash;

use crate::column::StructNode;
use crate::contract::ContractError;
use crate::fault::{Checked, Fault, QuarantineReason, ViolationCode};
use crate::given::last_texts;
use crate::limits;
use crate::merge::Stop;

/// The keys that are taken. Of each key 128 bits of its SHA-256 are kept: memory does not depend on how long keys are, and an
/// equal hash of another key is not to be met, even by who looks for one.
#[derive(Debug, Default)]
pub(crate) struct UniqueKeys {
    /// The places of the columns; none when the contract has no unique key.
    columns: Vec<usize>,
    /// What the first of them is called, for faults.
    name: String,
    /// Only looked up, never walked.
    taken: HashSet<u128, FixedState>,
    /// Those of the current input, which may be undone.
    of_input: Vec<u128>,
}

impl UniqueKeys {
    /// None is taken.
    pub(crate) fn new(contract: &Contract) -> Result<Self, ContractError> {
        let place = |name: &String| {
            let found = contract.columns.iter().position(|column| column.name == *name && !column.nullable);
            let message = "a unique key needs a column of this name that may not be null";
            found.ok_or_else(|| ContractError { column: name.clone(), message: message.to_owned() })
        };
        let columns = contract.unique_key.iter().map(place).collect::<Result<_, _>>()?;
        Ok(Self {
            columns,
            name: contract.unique_key.first().cloned().unwrap_or_default(),
            ..Self::default()
        })
    }

    /// Begins an input: what is taken stays so.
    pub(crate) fn begin(&mut self) {
        self.of_input.clear();
    }

    /// Gives back the keys of the current input.
    pub(crate) fn forget(&mut self) {
        for key in self.of_input.drain(..) {
            self.taken.remove(&key);
        }
    }

    /// Whether one more input could bring the merge beyond its bound of keys.
    pub(crate) fn is_full(&self) -> bool {
        self.taken.len() > limits::UNIQUE_KEYS - limits::OBJECT_UNIQUE_KEYS
    }

    /// Whether records have no unique key.
    pub(crate) fn is_none(&self) -> bool {
        self.columns.is_empty()
    }

    /// The key of the last record, where records have one; a fault when an earlier one has it.
    pub(crate) fn free_key(&self, records: &StructNode) -> Checked<Option<u128>> {
        if self.is_none() {
            return Ok(None);
        }
        let key = hash::bits_of_json(&last_texts(records, &self.columns));
        if self.taken.contains(&key) {
            let detail = "an earlier record of the batch has this unique key";
            return Err(Fault::new(ViolationCode::NotUnique, 0, detail).within(&self.name));
        }
        Ok(Some(key))
    }

    /// Takes a key that was free. The verdict on an object must not depend on its neighbours: its own keys are counted.
    pub(crate) fn claim(&mut self, key: Option<u128>) -> Result<(), Stop> {
        let Some(key) = key else { return Ok(()) };
        if self.of_input.len() >= limits::OBJECT_UNIQUE_KEYS {
            let detail = format!("the object has more than {} unique keys", limits::OBJECT_UNIQUE_KEYS);
            return Err(Stop::quarantine(QuarantineReason::TooManyKeys, detail));
        }
        self.taken.insert(key);
        self.of_input.push(key);
        Ok(())
    }
}
