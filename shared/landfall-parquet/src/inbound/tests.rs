use arrow_array::{ArrayRef, Int64Array};
use landfall_core::contract::Column;
use parquet::arrow::ArrowWriter;

use super::*;
use crate::spec::InputInfo;
use crate::stage::tests::stage;

/// An object of so many rows, with the same number in all columns.
fn object(rows: usize, names: &[&str]) -> Vec<u8> {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![300; rows]));
    let batch = RecordBatch::try_from_iter(names.iter().map(|name| (*name, numbers.clone()))).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn rows(stage: &mut Stage) -> Rows {
    let input = InputInfo { index: 0, key: "k".to_owned(), size: 1 };
    stage.begin(input, 0)
}

#[test]
fn rows_are_taken_at_once_up_to_the_bounds_of_an_object() {
    let column = |data_type: &str| vec![Column::new("n", data_type.parse().unwrap())];
    // A number and its null weigh 9, the record 1.
    for (data_type, weight, taken, then) in [
        ("int64", 0, 1000, Some(1000)),
        ("int64", limits::ISOLATED_WEIGHT - 10_000, 1000, Some(0)),
        ("int64", limits::ISOLATED_WEIGHT - 9_999, 0, Some(250)),
        ("int8", 0, 0, Some(0)),
    ] {
        let mut stage = stage(column(data_type), Vec::new());
        let mut rows = rows(&mut stage);
        rows.weight = weight;
        let mut inbound = Inbound::open(object(1000, &["n"]), &stage, &rows).unwrap();
        assert!(inbound.takes_many(&stage, &rows));
        let (_, batch, _) = Progress::new(&inbound.opened, &[true]).take().unwrap().unwrap();
        let source = Source::of(&batch).unwrap();
        let found = inbound.rows(&mut stage, &mut rows, &source, 0..1000);
        assert_eq!((found, inbound.decoded), (taken, 10 * taken as u64), "{data_type} {weight}");
        assert_eq!((rows.accepted, rows.weight), (taken as u64, weight + 10 * taken as u64));
        assert_eq!(stage.records().len(), taken);
        // Where one does not fit, fewer are tried.
        let found = inbound.fewer().then(|| inbound.rows(&mut stage, &mut rows, &source, 0..1000));
        assert_eq!(found, then, "{data_type} {weight}");
        if data_type == "int8" {
            assert!(!inbound.fewer(), "the others are read row by row");
            assert_eq!(inbound.at_once, FEWEST_AT_ONCE);
        }
    }
}

#[test]
fn too_many_rows_do_not_wait_but_are_read_twice() {
    let columns: Vec<Column> =
        (0..100).map(|index| Column::new(format!("c{index}"), "int64".parse().unwrap())).collect();
    let mut stage = stage(columns, Vec::new());
    let mut rows = rows(&mut stage);
    let names: Vec<String> = (0..100).map(|index| format!("c{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // 901 bytes each: more than may wait from row 148,963 on.
    let mut inbound = Inbound::open(object(150_000, &names), &stage, &rows).unwrap();
    let mut again = false;
    while inbound.step(&mut stage, &mut rows).unwrap() {
        assert!(stage.records().len() as u64 * 901 <= limits::ISOLATED_WEIGHT);
        again |= matches!(inbound.phase, Phase::Writing(_));
    }
    assert!(again && rows.large && !rows.check_only);
    assert_eq!(rows.accepted, 150_000);
}
