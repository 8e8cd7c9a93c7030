//! The stages of a merge one by one, for `make bench`. Behind the feature `stages`; no part of what the crate promises.

use arrow_array::RecordBatch;
use jiff::Timestamp;
use landfall_core::contract::Contract;

use crate::column::StructNode;
use crate::contract::{CompiledContract, ContractError};
use crate::decode::{Decoder, Whole};
use crate::given::Given;
use crate::lines::Lines;
use crate::merge::Stop;
use crate::read::RecordReader;

/// Decodes objects one after another, as a merge does.
#[derive(Debug, Default)]
pub struct Decoding {
    whole: Whole,
}

impl Decoding {
    /// Decodes one object; answers its decoded bytes, or `None` for one that is set aside.
    pub fn decode(&mut self, object: &[u8]) -> Option<u64> {
        let mut decoder = Decoder::new(std::mem::take(&mut self.whole));
        let mut decoded = 0;
        let mut sink = |bytes: &[u8]| {
            decoded += bytes.len() as u64;
            Ok(())
        };
        let outcome = decoder.push(object, &mut sink).and_then(|()| decoder.finish(&mut sink));
        self.whole = decoder.into_whole();
        outcome.ok().map(|()| decoded)
    }
}

/// Rows in columns.
#[derive(Debug)]
pub struct Reading {
    contract: CompiledContract,
    reader: RecordReader,
    records: StructNode,
}

impl Reading {
    /// Empty columns.
    ///
    /// # Errors
    /// When the contract cannot be compiled.
    pub fn new(contract: &Contract) -> Result<Self, ContractError> {
        let given = Given::new(contract, Timestamp::UNIX_EPOCH, "");
        let contract = CompiledContract::new(contract)?;
        let records = contract.empty_records();
        let reader = RecordReader::new(&records, &contract, given);
        Ok(Self { contract, reader, records })
    }

    /// Checks and reads lines; answers how many rows were taken.
    pub fn read(&mut self, lines: &[u8]) -> u64 {
        let Self { reader, records, .. } = self;
        let mut rows = 0;
        let mut sink = |line: &[u8], _| {
            rows += u64::from(reader.read(line, rows + 1, records).is_ok());
            Ok(())
        };
        let mut split = Lines::new();
        let outcome = split.push(lines, &mut sink).and_then(|()| split.finish(&mut sink));
        match outcome {
            Ok(()) => rows,
            Err(Stop::Quarantine { .. } | Stop::Failed(_)) => 0,
        }
    }

    /// The rows as arrow arrays; the columns are empty afterwards. `None` is a defect of the engine.
    pub fn build(&mut self) -> Option<RecordBatch> {
        self.records.finish_records(&self.contract.schema(), None).ok()
    }
}
