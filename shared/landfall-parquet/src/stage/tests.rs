use landfall_core::contract::{Column, Contract, DuplicateKeys, UnknownFields, ViolationPolicy};
use landfall_core::delivery::PinnedConfig;
use landfall_core::layout::{Layout, PartitionLevel, PartitionSource, PartitionTransform};

use super::*;

/// A merge whose partitions are the values of the column `p`.
fn routed() -> Stage {
    let level = PartitionLevel {
        name: Some("level".to_owned()),
        source: PartitionSource::Column,
        field: Some("p".to_owned()),
        transform: PartitionTransform::Identity,
    };
    stage(vec![Column::new("p", "int64".parse().unwrap())], vec![level])
}

/// A merge of records with these columns, encoded where they are read.
pub(crate) fn stage(columns: Vec<Column>, partitions: Vec<PartitionLevel>) -> Stage {
    let partition = vec![None; partitions.len()];
    let contract = Contract {
        version: 1,
        on_violation: ViolationPolicy::QuarantineRow,
        unknown_fields: UnknownFields::Violation,
        duplicate_keys: DuplicateKeys::Refuse,
        unique_key: Vec::new(),
        columns,
        tracking: None,
    };
    let spec = MergeSpec {
        config: PinnedConfig {
            version: 1,
            engine: "1".to_owned(),
            delivery: "d".to_owned(),
            dataset: "d".to_owned(),
            bucket: "lake".to_owned(),
            prefix: "d/".to_owned(),
            temp_prefix: "_tmp/d/".to_owned(),
            contract,
            glue: None,
            layout: Layout { partitions, ..Layout::default() },
        },
        job_id: "job".to_owned(),
        intent_hash: "ab".repeat(32),
        planned_at: "2026-05-19T10:15:00Z".parse().unwrap(),
        partition,
        drift_from: 0,
    };
    let compiled = CompiledContract::new(&spec.config.contract).unwrap();
    Stage::new(spec, compiled, false).unwrap()
}

/// Takes a row for each of so many partitions; whether the object is still wanted.
fn one_row_each(stage: &mut Stage, rows: &mut Rows, partitions: usize) -> bool {
    (0..partitions).all(|partition| {
        let line = format!("{{\"p\":{partition}}}");
        let position = Position { line: 1, byte_offset: 1 };
        stage.record(rows, Form::Line, line.as_bytes(), position).is_ok()
    })
}

#[test]
fn partitions_of_rows_that_do_not_wait_are_not_counted_twice() {
    let most = limits::OBJECT_PARTITIONS;
    let mut stage = routed();
    let mut rows = stage.begin(InputInfo { index: 0, key: "in/0".to_owned(), size: 1 }, 0);
    assert!(one_row_each(&mut stage, &mut rows, most - 1));
    stage.check_only(&mut rows);
    assert!(one_row_each(&mut stage, &mut rows, most));
    stage.begin_again(&mut rows);
    assert!(one_row_each(&mut stage, &mut rows, most));
    assert!(!one_row_each(&mut stage, &mut rows, most + 1));
}
