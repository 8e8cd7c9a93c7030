//! Merges as the targets run them: small contracts, inputs in slices, all of the outcome in hand.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use bytes::Bytes;
use landfall_core::contract::{Column, Contract, DuplicateKeys, UnknownFields, ViolationPolicy};
use landfall_core::delivery::PinnedConfig;
use landfall_core::layout::{Compression, Layout};
use landfall_parquet::{Flow, InputInfo, InputVerdict, Merge, MergeSpec, OutputEvent, RejectedRow};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// What a merge came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) verdicts: Vec<InputVerdict>,
    pub(crate) rejected: Vec<RejectedRow>,
    pub(crate) files: Vec<Bytes>,
    pub(crate) rows: u64,
}

/// A contract that leaves unknown members out and sets bad records aside.
pub(crate) fn contract(columns: Vec<Column>) -> Contract {
    Contract {
        version: 1,
        on_violation: ViolationPolicy::QuarantineRow,
        unknown_fields: UnknownFields::Ignore,
        duplicate_keys: DuplicateKeys::Refuse,
        columns,
        unique_key: Vec::new(),
        tracking: None,
    }
}

/// A nullable column.
pub(crate) fn column(name: &str, data_type: &str) -> Column {
    Column::new(name, data_type.parse().expect("a type"))
}

/// A contract that no record satisfies: every record comes back as it was found, as a rejected row.
pub(crate) fn nothing_fits() -> Contract {
    let mut impossible = column("impossible", "string");
    impossible.nullable = false;
    impossible.pattern = Some("[a&&b]".to_owned());
    contract(vec![impossible])
}

/// Merges inputs, each given in slices, into one file without partitions.
pub(crate) fn merge(contract: &Contract, inputs: &[Vec<&[u8]>]) -> Outcome {
    let spec = MergeSpec {
        config: PinnedConfig {
            version: 1,
            engine: "1".into(),
            delivery: "clicks".into(),
            dataset: "clicks".into(),
            bucket: "lake".into(),
            prefix: "clicks/".into(),
            temp_prefix: "_tmp/clicks/".into(),
            contract: contract.clone(),
            glue: None,
            layout: Layout { compression: Compression::None, ..Layout::default() },
        },
        job_id: "job1".into(),
        intent_hash: "ab".repeat(32),
        planned_at: "2026-05-19T10:15:00Z".parse().expect("a time"),
        partition: Vec::new(),
        drift_from: 0,
    };
    let mut merge = Merge::new(spec).expect("a contract that compiles");
    let mut outcome = Outcome { verdicts: Vec::new(), rejected: Vec::new(), files: Vec::new(), rows: 0 };
    let mut open = BTreeMap::new();
    for (index, slices) in inputs.iter().enumerate() {
        let size = slices.iter().map(|slice| slice.len() as u64).sum();
        merge.begin_input(InputInfo { index, key: format!("in/{index}"), size }).expect("in order");
        for slice in slices {
            if merge.push(slice).expect("no small input ends a merge") == Flow::Settled {
                break;
            }
        }
        outcome.verdicts.push(merge.end_input().expect("no small input ends a merge"));
        outcome.rejected.append(&mut merge.take_rejected());
        gather(merge.take_output(), &mut open, &mut outcome);
    }
    merge.finish().expect("what was accepted can be written");
    gather(merge.take_output(), &mut open, &mut outcome);
    assert!(open.is_empty(), "every opened file is finished");
    assert_eq!(merge.rows(), outcome.rows, "every accepted row is in a file");
    outcome.agrees_with_itself();
    outcome
}

fn gather(events: Vec<OutputEvent>, open: &mut BTreeMap<u32, Vec<u8>>, outcome: &mut Outcome) {
    for event in events {
        match event {
            OutputEvent::Opened(file) => assert!(open.insert(file.seq, Vec::new()).is_none()),
            OutputEvent::Bytes { seq, bytes } => {
                open.get_mut(&seq).expect("opened").extend_from_slice(&bytes);
            }
            OutputEvent::Finished(file) => {
                let bytes = open.remove(&file.seq).expect("opened");
                assert_eq!(bytes.len() as u64, file.bytes);
                outcome.rows += file.rows;
                outcome.files.push(bytes.into());
            }
        }
    }
}

impl Outcome {
    /// The verdicts count what was delivered and rejected.
    fn agrees_with_itself(&self) {
        let (mut delivered, mut refused) = (0, 0);
        for verdict in &self.verdicts {
            if let InputVerdict::Merged { rows, rejected } = verdict {
                delivered += rows;
                refused += rejected;
            }
        }
        assert_eq!((delivered, refused), (self.rows, self.rejected.len() as u64));
    }

    /// The rows of all files.
    pub(crate) fn batches(&self) -> Vec<RecordBatch> {
        let mut batches = Vec::new();
        for file in &self.files {
            let open = ParquetRecordBatchReaderBuilder::try_new(file.clone()).expect("our own file");
            let reader = open.build().expect("our own file");
            batches.extend(reader.map(|batch| batch.expect("our own rows")));
        }
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows as u64, self.rows, "a file holds the rows it was announced with");
        batches
    }
}

/// Cuts bytes into slices of these lengths, over and over; none of them longer than a byte when all are 0.
pub(crate) fn sliced<'a>(mut bytes: &'a [u8], lengths: &[u8]) -> Vec<&'a [u8]> {
    let mut slices = Vec::new();
    let least = usize::from(lengths.iter().all(|length| *length == 0));
    while !bytes.is_empty() {
        for length in lengths {
            let (slice, rest) =
                bytes.split_at_checked(usize::from(*length).max(least)).unwrap_or((bytes, &[]));
            slices.push(slice);
            bytes = rest;
        }
    }
    slices
}

/// The slices' lengths that stand before the bytes, and the bytes.
pub(crate) fn lengths_and_bytes(data: &[u8]) -> Option<([u8; 3], &[u8])> {
    let (lengths, bytes) = data.split_first_chunk::<3>()?;
    Some((*lengths, bytes))
}

/// What a merge of one input comes to, whole, and in slices, which must be the same.
pub(crate) fn merged_any_way(contract: &Contract, bytes: &[u8], lengths: [u8; 3]) -> Outcome {
    let whole = merge(contract, &[vec![bytes]]);
    let parts = merge(contract, &[sliced(bytes, &lengths)]);
    assert_eq!(whole, parts, "slices change nothing");
    whole
}
