//! Bloom filters and sorted row groups.

use bytes::Bytes;
use landfall_core::layout::{PartitionTransform, SortKey};
use landfall_parquet::MergeSpec;
use landfall_parquet::validate::{check_footer, footer_bytes};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use proptest::prelude::*;
use serde_json::Value;

use crate::kit::{File, column, contract, level, merge, rows, spec};

fn sorted_by(keys: &[&str]) -> MergeSpec {
    let mut spec = spec(contract(vec![
        column("tags", "struct<a: int8, b: string>"),
        column("id", "int64"),
        column("name", "string"),
        column("price", "decimal(9,2)"),
    ]));
    spec.config.layout.sort_by =
        keys.iter().map(|key| SortKey::try_from((*key).to_owned()).unwrap()).collect();
    spec
}

/// Lines whose ids come in no order, some of them null, with names that repeat.
fn lines(count: i64) -> String {
    crate::kit::lines(0..count, |n| {
        let id = if n % 17 == 0 { "null".to_owned() } else { (n * 7919 % 1009).to_string() };
        format!("{{\"id\":{id},\"name\":\"n{}\",\"price\":{n}.25,\"tags\":{{\"a\":1}}}}", n % 5)
    })
}

fn reader(file: &File) -> SerializedFileReader<Bytes> {
    let properties = ReaderProperties::builder().set_read_bloom_filter(true).build();
    let options = ReadOptionsBuilder::new().with_reader_properties(properties).build();
    SerializedFileReader::new_with_options(file.bytes.clone(), options).expect("a Parquet file")
}

/// The rows of each row group.
fn groups(file: &File) -> Vec<Vec<Value>> {
    let mut all = rows(&file.bytes).into_iter();
    let reader = reader(file);
    let groups = reader.metadata().row_groups().iter();
    groups.map(|group| all.by_ref().take(usize::try_from(group.num_rows()).unwrap()).collect()).collect()
}

fn key(row: &Value) -> (String, i64) {
    (row["name"].as_str().unwrap().to_owned(), row["id"].as_i64().map_or(i64::MIN, |id| id))
}

#[test]
fn the_rows_of_each_row_group_are_sorted_and_the_footer_says_so() {
    let text = lines(5_000);
    let plain = merge(&sorted_by(&[]), &[text.as_bytes()]);
    let mut spec = sorted_by(&["name", "id desc"]);
    // Sizes are looked at after every 32nd of the target.
    spec.config.layout.target_bytes = 1_000_000;
    spec.config.layout.row_group_bytes = 4_000;
    let run = merge(&spec, &[text.as_bytes()]);
    let file = &run.files[0];
    let found = groups(file);
    assert!(found.len() > 3, "{} row groups", found.len());
    for group in &found {
        let is_in_order = |pair: &[Value]| {
            let (left, right) = (key(&pair[0]), key(&pair[1]));
            left.0 < right.0 || (left.0 == right.0 && left.1 >= right.1)
        };
        assert!(group.windows(2).all(is_in_order));
    }
    // `id` is the third leaf: the struct before it has two.
    let expected = [(3, false, true), (2, true, false)]
        .map(|(column_idx, descending, nulls_first)| SortingColumn { column_idx, descending, nulls_first });
    for group in reader(file).metadata().row_groups() {
        assert_eq!(group.sorting_columns(), Some(&expected.to_vec()));
    }
    let texts = |rows: Vec<Value>| {
        let mut texts: Vec<String> = rows.iter().map(Value::to_string).collect();
        texts.sort();
        texts
    };
    assert_eq!(texts(run.rows()), texts(plain.rows()), "no row is lost or changed");
    let length = usize::try_from(footer_bytes(&file.bytes[file.bytes.len() - 8..]).unwrap()).unwrap();
    let footer = &file.bytes[file.bytes.len() - length..];
    assert!(check_footer(footer, file.finished.bytes, &spec.config.file_columns()).is_ok());
}

#[test]
fn rows_that_are_equal_stay_in_the_order_in_which_they_came() {
    let run = merge(&sorted_by(&["name"]), &[lines(3_000).as_bytes()]);
    let prices: Vec<(String, String)> =
        run.rows().iter().map(|row| (row["name"].to_string(), row["price"].to_string())).collect();
    let mut expected: Vec<(String, String)> = merge(&sorted_by(&[]), &[lines(3_000).as_bytes()])
        .rows()
        .iter()
        .map(|row| (row["name"].to_string(), row["price"].to_string()))
        .collect();
    expected.sort_by(|left, right| left.0.cmp(&right.0));
    assert_eq!(prices, expected);
}

#[test]
fn sorted_files_are_cut_near_their_target() {
    let mut spec = sorted_by(&["id"]);
    spec.config.layout.target_bytes = 60_000;
    spec.config.layout.row_group_bytes = 20_000;
    let text = crate::kit::lines(0..40_000, |n| {
        format!("{{\"id\":{},\"name\":\"{:x}\"}}", n * 7919 % 65_537, n * 2_654_435_761)
    });
    let files = merge(&spec, &[text.as_bytes()]).files;
    let (last, whole) = files.split_last().unwrap();
    assert!(whole.len() > 3, "{}", whole.len());
    for file in whole {
        assert!((55_000..90_000).contains(&file.finished.bytes), "{}", file.finished.bytes);
    }
    assert!(last.finished.bytes < 90_000);
}

#[test]
fn a_bloom_filter_knows_every_value_of_its_row_group_and_is_small() {
    for routed in [false, true] {
        let mut spec = sorted_by(&[]);
        spec.config.layout.bloom_filters = vec!["name".into(), "id".into()];
        if routed {
            spec.config.layout.partitions = vec![level("p", "price", PartitionTransform::Identity)];
            spec.partition = vec![None];
        }
        let text = crate::kit::lines(0..2_000, |n| format!("{{\"id\":{n},\"name\":\"n{n}\",\"price\":1}}"));
        let files = merge(&spec, &[text.as_bytes()]).files;
        let reader = reader(&files[0]);
        assert_eq!(reader.metadata().num_row_groups(), 1);
        let group = reader.get_row_group(0).unwrap();
        let (ids, names) =
            (group.get_column_bloom_filter(2).unwrap(), group.get_column_bloom_filter(3).unwrap());
        assert!((0..2_000_i64).all(|n| ids.check(&n) && names.check(format!("n{n}").as_str())));
        let wrong = (2_000..12_000_i64).filter(|n| ids.check(n)).count();
        assert!(wrong < 300, "{wrong} of 10,000 are taken to be there");
        assert!(group.get_column_bloom_filter(4).is_none());
        let bytes = group.metadata().column(2).bloom_filter_length().unwrap();
        assert!(bytes < 8_192, "{bytes} bytes for 2,000 values");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn how_an_input_is_sliced_changes_no_sorted_file(cuts in proptest::collection::vec(0_usize..20_000, 0..6)) {
        let mut spec = sorted_by(&["id", "name desc"]);
        spec.config.layout.bloom_filters = vec!["id".into()];
        spec.config.layout.target_bytes = 9_000;
        spec.config.layout.row_group_bytes = 3_000;
        let text = lines(2_000);
        let slices = crate::kit::cut(&text, cuts);
        let sliced = crate::kit::merge_slices(&spec, &[slices]).unwrap();
        prop_assert_eq!(sliced, merge(&spec, &[text.as_bytes()]));
    }
}
