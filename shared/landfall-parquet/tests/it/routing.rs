//! Which partition a row goes to.

use std::collections::BTreeMap;

use landfall_core::contract::Column;
use landfall_core::layout::{PartitionColumns, PartitionLevel, PartitionSource, PartitionTransform};
use landfall_core::record::KnownValue;
use landfall_parquet::validate::{check_footer, footer_bytes};
use landfall_parquet::{Flow, InputInfo, InputVerdict, Merge, MergeSpec, limits};
use parquet::file::metadata::ParquetMetaDataReader;
use serde_json::{Value, json};

use crate::kit::{column, contract, level, lines, merge, spec};

fn routed(columns: &[(&str, &str)], levels: Vec<PartitionLevel>) -> MergeSpec {
    let mut spec = spec(contract(columns.iter().map(|(name, data_type)| column(name, data_type)).collect()));
    spec.partition = vec![None; levels.len()];
    spec.config.layout.partitions = levels;
    spec
}

/// The rows under each directory.
fn directories(spec: &MergeSpec, text: &str) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for file in merge(spec, &[text.as_bytes()]).files {
        let (directory, _) = file.finished.relative_key.rsplit_once('/').unwrap_or_default();
        assert_eq!(landfall_core::partition::path(&file.finished.partition).trim_end_matches('/'), directory);
        found.entry(directory.to_owned()).or_default().extend(crate::kit::rows(&file.bytes));
    }
    found
}

#[test]
fn times_become_hive_levels_in_utc() {
    let at = |name: &str, transform| level(name, "at", transform);
    let levels = vec![
        at("year", PartitionTransform::Year),
        at("month", PartitionTransform::Month),
        at("day", PartitionTransform::Day),
        at("hour", PartitionTransform::Hour),
    ];
    let spec = routed(&[("at", "timestamp(ms, UTC)"), ("n", "int8")], levels);
    let text = "{\"at\":\"2026-01-01T00:30:00+01:00\",\"n\":1}\n{\"at\":\"2025-12-31T23:59:59Z\",\"n\":2}\n{\"at\":null,\"n\":3}\n{\"at\":\"1969-07-20T20:17:40Z\",\"n\":4}\n";
    let found = directories(&spec, text);
    let null = "__HIVE_DEFAULT_PARTITION__";
    let counts: Vec<(String, usize)> = found.into_iter().map(|(path, rows)| (path, rows.len())).collect();
    assert_eq!(
        counts,
        [
            ("year=1969/month=07/day=20/hour=20".to_owned(), 1),
            ("year=2025/month=12/day=31/hour=23".to_owned(), 2),
            (format!("year={null}/month={null}/day={null}/hour={null}"), 1),
        ]
    );
}

#[test]
fn values_become_escaped_segments() {
    let levels = vec![level("p_v", "v", PartitionTransform::Identity)];
    for (data_type, value, segment) in [
        ("string", "\"US/East\"", "p_v=US%2FEast"),
        ("string", "\"..\"", "p_v=%2E%2E"),
        ("string", "\"\"", "p_v=__HIVE_DEFAULT_PARTITION__"),
        ("string", "null", "p_v=__HIVE_DEFAULT_PARTITION__"),
        ("string", "\"\\u0000\\n\"", "p_v=%00%0A"),
        ("bool", "true", "p_v=true"),
        ("int64", "-7", "p_v=-7"),
        ("uint64", "18446744073709551615", "p_v=18446744073709551615"),
        ("date", "\"2026-05-19\"", "p_v=2026-05-19"),
        ("decimal(38,2)", "-0.5", "p_v=-0.50"),
        ("decimal(38,0)", "99999999999999999999", "p_v=99999999999999999999"),
        ("time(ms)", "\"10:15:00.250\"", "p_v=10%3A15%3A00.25"),
        ("timestamp(us, UTC)", "\"1969-12-31T23:00:00-00:30\"", "p_v=1969-12-31%2023%3A30%3A00"),
    ] {
        let spec = routed(&[("v", data_type)], levels.clone());
        let found = directories(&spec, &format!("{{\"v\":{value}}}\n"));
        assert_eq!(found.keys().collect::<Vec<_>>(), [segment]);
    }
}

#[test]
fn empty_and_null_share_a_file_but_keep_their_values() {
    let spec = routed(&[("v", "string")], vec![level("p_v", "v", PartitionTransform::Identity)]);
    let hive = "__HIVE_DEFAULT_PARTITION__";
    let text = format!(
        "{{\"v\":\"\"}}\n{{\"v\":\"a\"}}\n{{\"v\":null}}\n{{}}\n{{\"v\":\"a\"}}\n{{\"v\":\"{hive}\"}}\n"
    );
    let run = merge(&spec, &[text.as_bytes()]);
    assert_eq!(run.files.len(), 2);
    assert_eq!(
        crate::kit::rows(&run.files[0].bytes),
        [json!({"v": ""}), json!({"v": null}), json!({"v": null}), json!({"v": hive})]
    );
    assert_eq!(run.files[0].finished.partition[0].value, None);
    assert_eq!(crate::kit::rows(&run.files[1].bytes), [json!({"v": "a"}), json!({"v": "a"})]);
}

#[test]
fn known_levels_stand_beside_those_of_the_record() {
    let known = PartitionLevel {
        name: Some("region".into()),
        source: PartitionSource::Key,
        field: None,
        transform: PartitionTransform::Identity,
    };
    let mut spec = routed(&[("d", "date")], vec![known, level("dt", "d", PartitionTransform::Date)]);
    spec.partition = vec![Some(KnownValue { value: Some("eu".into()) }), None];
    let found = directories(&spec, "{\"d\":\"2026-05-19\"}\n{\"d\":\"2026-05-20\"}\n");
    assert_eq!(found.keys().collect::<Vec<_>>(), ["region=eu/dt=2026-05-19", "region=eu/dt=2026-05-20"]);
    for partition in
        [vec![], vec![None, None], vec![Some(KnownValue { value: None }), Some(KnownValue { value: None })]]
    {
        spec.partition = partition;
        assert!(Merge::new(spec.clone()).is_err());
    }
}

#[test]
fn levels_that_do_not_fit_their_column_are_refused() {
    for (data_type, transform) in [
        ("float64", PartitionTransform::Identity),
        ("json", PartitionTransform::Identity),
        ("date", PartitionTransform::Hour),
        ("string", PartitionTransform::Year),
        ("list<int8>", PartitionTransform::Identity),
    ] {
        let error =
            Merge::new(routed(&[("v", data_type)], vec![level("p", "v", transform)])).map(drop).unwrap_err();
        assert!(error.to_string().contains("cannot be made of column `v`"), "{error}");
    }
    assert!(Merge::new(routed(&[("v", "date")], vec![level("p", "w", PartitionTransform::Date)])).is_err());
}

#[test]
fn a_value_too_long_for_a_key_rejects_its_row() {
    let spec = routed(&[("v", "string")], vec![level("p", "v", PartitionTransform::Identity)]);
    let text = format!("{{\"v\":\"{}\"}}\n{{\"v\":\"a\"}}\n", "é".repeat(100));
    let run = merge(&spec, &[text.as_bytes()]);
    assert_eq!(run.codes(), ["partition_too_long"]);
    assert_eq!(run.rejected[0].column.as_deref(), Some("v"));
    assert_eq!(run.rows(), [json!({"v": "a"})]);
}

#[test]
fn a_segment_is_as_long_as_a_file_system_takes() {
    let spec = routed(&[("v", "string")], vec![level("p", "v", PartitionTransform::Identity)]);
    for (length, expected) in
        [(253, Ok(255)), (254, Err("partition_too_long")), (600_000, Err("partition_too_long"))]
    {
        let run = merge(&spec, &[format!("{{\"v\":\"{}\"}}\n", "x".repeat(length)).as_bytes()]);
        let segment = run.files.first().and_then(|file| file.finished.relative_key.split('/').next());
        assert_eq!(
            segment.map(str::len).ok_or_else(|| run.codes().concat()),
            expected.map_err(str::to_owned)
        );
    }
}

/// Two levels of the record and one known in advance, and the bytes of their names and signs.
fn three_levels(known: Option<&str>) -> (MergeSpec, usize) {
    let key = PartitionLevel {
        name: Some("k".into()),
        source: PartitionSource::Key,
        field: None,
        transform: PartitionTransform::Identity,
    };
    let of = |name: &str, field: &str| level(name, field, PartitionTransform::Identity);
    let mut spec = routed(&[("v", "string"), ("w", "string")], vec![of("p", "v"), key, of("q", "w")]);
    spec.partition = vec![None, Some(KnownValue { value: known.map(str::to_owned) }), None];
    (spec, "p=/k=/q=/".len())
}

#[test]
fn no_key_is_longer_than_s3_takes() {
    let null = "__HIVE_DEFAULT_PARTITION__".len();
    let (mut spec, signs) = three_levels(Some(&"k".repeat(200)));
    // The number of a file can have more digits than this one.
    let name = "part-job1-4294967295.snappy.parquet".len();
    spec.config.prefix = format!("{}/", "d".repeat(limits::KEY_BYTES - signs - 200 - name - 200 - null - 1));
    let line = |v: usize| format!("{{\"v\":\"{}\"}}\n", "v".repeat(v));
    let run = merge(&spec, &[line(200).as_bytes(), line(201).as_bytes()]);
    let merged = |rows, rejected| InputVerdict::Merged { rows, rejected };
    assert_eq!(run.verdicts, [merged(1, 0), merged(0, 1)]);
    let key = format!("{}{}", spec.config.prefix, run.files[0].finished.relative_key);
    assert_eq!(key.len(), limits::KEY_BYTES - 5, "five digits where ten would fit");
    assert_eq!((run.codes(), run.rejected[0].column.as_deref()), (vec!["partition_too_long"], Some("w")));
}

#[test]
fn objects_whose_known_key_is_too_long_are_set_aside() {
    let (mut long_prefix, _) = three_levels(None);
    long_prefix.config.prefix = format!("{}/", "d".repeat(1000));
    let (long_value, _) = three_levels(Some(&"é".repeat(43)));
    for spec in [long_prefix, long_value] {
        let run = merge(&spec, &[b"{\"v\":\"a\"}\n", b"", b"{\"v\":1}\n"]);
        let InputVerdict::Quarantined(quarantine) = &run.verdicts[0] else { panic!("{:?}", run.verdicts) };
        assert_eq!((quarantine.reason.as_str(), quarantine.rows), ("key_too_long", 0));
        assert_eq!(run.verdicts[1..], [InputVerdict::Empty, InputVerdict::Merged { rows: 0, rejected: 1 }]);
    }
}

#[test]
fn more_partitions_than_open_files_lose_nothing() {
    let spec = routed(&[("v", "int64"), ("n", "int64")], vec![level("p", "v", PartitionTransform::Identity)]);
    let partitions = i64::try_from(limits::OPEN_FILES).unwrap() + 30;
    let text = lines(0..partitions * 3, |n| format!("{{\"v\":{},\"n\":{n}}}", n % partitions));
    let inputs: Vec<&[u8]> = vec![text.as_bytes(), text.as_bytes()];
    let run = merge(&spec, &inputs);
    let mut numbers: Vec<i64> = run.rows().iter().map(|row| row["n"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    let expected: Vec<i64> = (0..partitions * 3).flat_map(|n| [n, n]).collect();
    assert_eq!(numbers, expected);
    assert_eq!(run, merge(&spec, &inputs));
}

/// A spec of so many columns of numbers that only half the partitions can have an open row group.
fn many_numbers() -> MergeSpec {
    let numbers =
        limits::OPEN_DICTIONARY_BYTES / limits::NUMBER_DICTIONARY_BYTES / (limits::OPEN_FILES as u64 / 2);
    let names: Vec<String> = (1..numbers).map(|n| format!("n{n}")).collect();
    let columns: Vec<(&str, &str)> =
        [("v", "int64")].into_iter().chain(names.iter().map(|name| (name.as_str(), "int32"))).collect();
    let mut spec = routed(&columns, vec![level("p", "v", PartitionTransform::Identity)]);
    spec.config.layout.target_bytes = 1024 * 1024;
    spec.config.layout.row_group_bytes = 1024 * 1024;
    spec
}

/// Merges so many inputs, whose rows are written when each ends, those of each of 64 partitions at once: the row groups of
/// each file.
fn groups(inputs: i64, rows_each: i64) -> Vec<usize> {
    let spec = many_numbers();
    let partitions = i64::try_from(limits::OPEN_FILES).unwrap();
    let record = |n: i64| format!("{{\"v\":{},\"n7\":{n}}}", n % partitions);
    let rows = partitions * rows_each;
    let texts: Vec<String> =
        (0..inputs).map(|input| lines(input * rows..(input + 1) * rows, record)).collect();
    let inputs: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    let run = merge(&spec, &inputs);
    let mut found: Vec<i64> = run.rows().iter().map(|row| row["n7"].as_i64().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, (0..rows * i64::try_from(inputs.len()).unwrap()).collect::<Vec<_>>());
    assert_eq!(run, merge(&spec, &inputs));
    let groups = |bytes| ParquetMetaDataReader::new().parse_and_finish(bytes).unwrap().num_row_groups();
    run.files.iter().map(|file| groups(&file.bytes)).collect()
}

#[test]
fn row_groups_end_where_the_dictionaries_of_open_ones_would_take_too_much() {
    let groups = groups(2, 40);
    assert_eq!(groups.len(), limits::OPEN_FILES, "no file ends for it");
    assert!(groups.iter().all(|groups| *groups > 1), "{groups:?}");
}

#[test]
fn a_file_of_many_short_row_groups_ends() {
    let most = limits::SHORT_GROUPS as usize;
    let groups = groups(i64::from(limits::SHORT_GROUPS) + 2, 20);
    assert!(groups.len() > limits::OPEN_FILES && groups.iter().all(|groups| *groups <= most), "{groups:?}");
}

/// A row for each of some partitions.
fn spread(partitions: std::ops::Range<usize>) -> Vec<u8> {
    let number = |n: usize| i64::try_from(n).unwrap();
    lines(number(partitions.start)..number(partitions.end), |n| format!("{{\"v\":{n}}}")).into_bytes()
}

fn by_v() -> MergeSpec {
    routed(&[("v", "int64")], vec![level("p", "v", PartitionTransform::Identity)])
}

#[test]
fn too_many_partitions_set_the_object_aside() {
    let run = merge(&by_v(), &[&spread(0..limits::OBJECT_PARTITIONS + 1), b"{\"v\":5}\n"]);
    let InputVerdict::Quarantined(quarantine) = &run.verdicts[0] else { panic!("{:?}", run.verdicts[0]) };
    assert_eq!(quarantine.reason.as_str(), "too_many_partitions");
    assert_eq!(run.rows(), [json!({"v": 5})]);
}

/// Feeds inputs until the merge is to stop; answers their verdicts.
fn feed(merge: &mut Merge, inputs: &[Vec<u8>]) -> Vec<InputVerdict> {
    let mut verdicts = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        if merge.should_stop() {
            break;
        }
        merge.begin_input(InputInfo { index, key: "k".into(), size: input.len() as u64 }).unwrap();
        if merge.push(input).unwrap() == Flow::More {
            merge.take_output();
        }
        verdicts.push(merge.end_input().unwrap());
    }
    verdicts
}

#[test]
fn partitions_of_an_object_set_aside_do_not_count_against_its_neighbours() {
    let too_many = spread(0..limits::OBJECT_PARTITIONS + 1);
    let most = spread(50_000..50_000 + limits::OBJECT_PARTITIONS);
    let mut merge = Merge::new(by_v()).unwrap();
    let inputs = [too_many.clone(), too_many.clone(), too_many, b"{\"v\":1}\n".to_vec(), most];
    let verdicts = feed(&mut merge, &inputs);
    let set_aside: Vec<bool> =
        verdicts.iter().map(|verdict| matches!(verdict, InputVerdict::Quarantined(_))).collect();
    assert_eq!(set_aside, [true, true, true, false, false]);
    merge.finish().unwrap();
    assert_eq!(merge.rows(), 1 + limits::OBJECT_PARTITIONS as u64);
}

#[test]
fn an_undone_input_leaves_its_partitions_to_nobody() {
    let good = b"{\"v\":1}\n{\"v\":7}\n".to_vec();
    let mut merge = Merge::new(by_v()).unwrap();
    merge.begin_input(InputInfo { index: 0, key: "k".into(), size: 8 }).unwrap();
    assert_eq!(merge.push(b"{\"v\":7}\n{\"v\":7}\n").unwrap(), Flow::More);
    merge.drop_input().unwrap();
    assert_eq!(feed(&mut merge, &[good]), [InputVerdict::Merged { rows: 2, rejected: 0 }]);
    merge.finish().unwrap();
    let files = crate::kit::files(merge.take_output());
    let keys: Vec<&str> = files.iter().map(|file| file.finished.relative_key.as_str()).collect();
    assert_eq!(keys, ["p=1/part-job1-00000.snappy.parquet", "p=7/part-job1-00001.snappy.parquet"]);
}

#[test]
fn a_merge_stops_before_an_input_could_exceed_its_partitions() {
    let size = limits::OBJECT_PARTITIONS;
    let inputs = [spread(0..1), spread(0..size), spread(0..size + 1), spread(size..2 * size), spread(0..1)];
    let mut merge = Merge::new(by_v()).unwrap();
    let verdicts = feed(&mut merge, &inputs);
    // The third alone has too many; after the fourth there is no room for one more object. The last is not consumed.
    assert_eq!(verdicts.len(), 4);
    assert!(matches!(verdicts[2], InputVerdict::Quarantined(_)));
    assert_eq!(verdicts[3], InputVerdict::Merged { rows: size as u64, rejected: 0 });
    assert!(merge.should_stop());
    merge.finish().unwrap();
}

#[test]
fn a_level_without_a_name_is_a_folder_of_its_value() {
    let plain = |transform| PartitionLevel { name: None, ..level("", "d", transform) };
    let levels = vec![
        plain(PartitionTransform::Year),
        plain(PartitionTransform::Month),
        PartitionLevel { name: None, ..level("", "v", PartitionTransform::Identity) },
    ];
    let spec = routed(&[("d", "date"), ("v", "string")], levels);
    let found = directories(
        &spec,
        "{\"d\":\"2026-05-19\",\"v\":\"_a\"}\n{\"d\":\"2026-05-20\",\"v\":\"_a\"}\n{\"d\":null,\"v\":\"\"}\n",
    );
    assert_eq!(found.keys().collect::<Vec<_>>(), ["(null)/(null)/(null)", "2026/05/%5Fa"]);
}

#[test]
fn the_id_of_the_job_is_a_level_that_nobody_gives() {
    let job = |name: Option<&str>| PartitionLevel {
        name: name.map(Into::into),
        source: PartitionSource::Job,
        field: None,
        transform: PartitionTransform::Identity,
    };
    for (name, expected) in [(None, "job1"), (Some("sync_id"), "sync_id=job1")] {
        let mut spec = routed(&[("v", "string")], vec![job(name)]);
        spec.partition = vec![None];
        let found = directories(&spec, "{\"v\":\"a\"}\n");
        assert_eq!(found.keys().collect::<Vec<_>>(), [expected]);
        spec.partition = vec![Some(KnownValue { value: Some("other".into()) })];
        assert!(Merge::new(spec).is_err());
    }
}

#[test]
fn a_column_that_the_path_holds_can_be_left_out_of_the_files() {
    let mut spec = routed(
        &[("v", "string"), ("n", "int8"), ("w", "string")],
        vec![level("v", "v", PartitionTransform::Identity)],
    );
    spec.config.layout.partition_columns = PartitionColumns::Drop;
    let text =
        "{\"v\":\"a\",\"n\":1,\"w\":\"x\"}\n{\"v\":\"b\",\"n\":2,\"w\":\"y\"}\n{\"v\":\"a\",\"n\":3}\n";
    let found = directories(&spec, text);
    assert_eq!(
        found,
        BTreeMap::from([
            ("v=a".to_owned(), vec![json!({"n": 1, "w": "x"}), json!({"n": 3, "w": null})]),
            ("v=b".to_owned(), vec![json!({"n": 2, "w": "y"})]),
        ])
    );
    for file in merge(&spec, &[text.as_bytes()]).files {
        let length = usize::try_from(footer_bytes(&file.bytes[file.bytes.len() - 8..]).unwrap()).unwrap();
        let footer = &file.bytes[file.bytes.len() - length..];
        let check = |columns: &[Column]| check_footer(footer, file.finished.bytes, columns);
        assert!(check(&spec.config.file_columns()).is_ok());
        assert!(check(&spec.config.contract.file_columns()).is_err());
    }
}
