use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::types::Int64Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, StructArray, UInt32Array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields};
use bytes::Bytes;
use landfall_core::contract::{Column, Contract, DuplicateKeys, UnknownFields, ViolationPolicy};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;

use super::super::footer::Opened;
use super::super::plan::{Plan, Wishes};
use super::super::rows::Walk;
use super::*;
use crate::contract::CompiledContract;

/// A list of numbers.
type Numbers = Option<Vec<Option<i64>>>;

/// A struct in a list.
type Item = Option<(Option<String>, Option<i64>)>;

/// What a record holds.
#[derive(Debug, Clone)]
struct Record {
    whole: Option<i64>,
    narrow: Option<i32>,
    float: Option<f64>,
    flag: Option<bool>,
    text: Option<String>,
    ruled: Option<String>,
    numbers: Numbers,
    nested: Option<(Option<String>, Numbers)>,
    items: Option<Vec<Item>>,
    deep: Option<Vec<Numbers>>,
    unsigned: Option<u32>,
    bytes: Option<Vec<u8>>,
    map: Option<BTreeMap<String, Option<i64>>>,
}

fn record() -> impl Strategy<Value = Record> {
    let whole = || proptest::option::weighted(0.9, prop_oneof![20 => -300_i64..300, 1 => any::<i64>()]);
    let text = || proptest::option::weighted(0.9, "[a-zäß]{0,12}");
    let numbers = || proptest::option::weighted(0.9, proptest::collection::vec(whole(), 0..4));
    let item = proptest::option::weighted(0.9, (text(), whole()));
    (
        whole(),
        proptest::option::of(any::<i32>()),
        proptest::option::of(prop_oneof![2000 => -1e9..1e9, 1 => Just(f64::NAN)]),
        any::<Option<bool>>(),
        text(),
        proptest::option::of("[a-z]{0,8}"),
        numbers(),
        proptest::option::weighted(0.8, (text(), numbers())),
        proptest::option::weighted(0.8, proptest::collection::vec(item, 0..4)),
        (
            proptest::option::weighted(0.8, proptest::collection::vec(numbers(), 0..4)),
            any::<Option<u32>>(),
            prop_oneof![
                2000 => proptest::option::of("[a-zä]{0,4}".prop_map(String::into_bytes)),
                1 => Just(Some(b"\xc3".to_vec())),
            ],
            proptest::option::of(proptest::collection::btree_map("[a-c]{1,2}", whole(), 0..3)),
        ),
    )
        .prop_map(|(whole, narrow, float, flag, text, ruled, numbers, nested, items, more)| Record {
            whole,
            narrow,
            float,
            flag,
            text,
            ruled,
            numbers,
            nested,
            items,
            deep: more.0,
            unsigned: more.1,
            bytes: more.2,
            map: more.3,
        })
}

fn column(name: &str, data_type: &str) -> Column {
    Column::new(name, data_type.parse().unwrap())
}

fn contract(whole: &str, nullable: bool) -> CompiledContract {
    let ruled = Column { max_length: Some(8), ..column("ruled", "string") };
    let columns = vec![
        Column { nullable, ..column("whole", whole) },
        column("narrow", "int32"),
        column("float", "float64"),
        column("flag", "bool"),
        column("text", "string"),
        ruled,
        column("numbers", "list<int64>"),
        column("nested", "struct<t: string, n: list<int64>, absent: string>"),
        column("items", "list<struct<t: string, w: int64>>"),
        column("deep", "list<list<int64>>"),
        column("unsigned", "uint32"),
        column("bytes", "string"),
        column("map", "map<string, int64>"),
        column("absent", "struct<a: int64>"),
    ];
    let contract = Contract {
        version: 1,
        on_violation: ViolationPolicy::Strict,
        unknown_fields: UnknownFields::Violation,
        duplicate_keys: DuplicateKeys::Refuse,
        unique_key: Vec::new(),
        columns,
        tracking: None,
    };
    CompiledContract::new(&contract).unwrap()
}

fn deep(records: &[Record]) -> ArrayRef {
    let mut lists = ListBuilder::new(ListBuilder::new(Int64Builder::new()));
    for record in records {
        for numbers in record.deep.iter().flatten() {
            match numbers {
                Some(numbers) => lists.values().append_value(numbers.iter().copied()),
                None => lists.values().append_null(),
            }
        }
        lists.append(record.deep.is_some());
    }
    Arc::new(lists.finish())
}

fn map(records: &[Record]) -> ArrayRef {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for record in records {
        for (key, value) in record.map.iter().flatten() {
            maps.keys().append_value(key);
            maps.values().append_option(*value);
        }
        maps.append(record.map.is_some()).unwrap();
    }
    Arc::new(maps.finish())
}

/// The records as an object.
fn object(records: &[Record]) -> Bytes {
    fn all<T, R: FromIterator<T>>(records: &[Record], value: impl Fn(&Record) -> T) -> R {
        records.iter().map(value).collect()
    }
    let fields = |fields: &[(&str, DataType)]| -> Fields {
        fields.iter().map(|(name, of)| Field::new(*name, of.clone(), true)).collect()
    };
    let numbers = |lists: Vec<Numbers>| -> ArrayRef {
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))
    };
    let list_type = numbers(Vec::new()).data_type().clone();
    let there: Vec<bool> = all(records, |record| record.nested.is_some());
    let nested = StructArray::new(
        fields(&[("t", DataType::Utf8), ("n", list_type)]),
        vec![
            Arc::new(all::<_, StringArray>(records, |record| {
                record.nested.clone().and_then(|nested| nested.0)
            })),
            numbers(all(records, |record| record.nested.clone().and_then(|nested| nested.1))),
        ],
        Some(there.into()),
    );
    let items: Vec<_> = records.iter().flat_map(|record| record.items.clone().unwrap_or_default()).collect();
    let item = StructArray::new(
        fields(&[("t", DataType::Utf8), ("w", DataType::Int64)]),
        vec![
            Arc::new(items.iter().map(|item| item.clone().and_then(|item| item.0)).collect::<StringArray>()),
            Arc::new(items.iter().map(|item| item.clone().and_then(|item| item.1)).collect::<Int64Array>()),
        ],
        Some(items.iter().map(Option::is_some).collect::<Vec<_>>().into()),
    );
    let there: Vec<bool> = all(records, |record| record.items.is_some());
    let items = ListArray::new(
        Arc::new(Field::new("item", item.data_type().clone(), true)),
        OffsetBuffer::from_lengths(records.iter().map(|record| record.items.as_ref().map_or(0, Vec::len))),
        Arc::new(item),
        Some(there.into()),
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("whole", Arc::new(all::<_, Int64Array>(records, |record| record.whole))),
        ("narrow", Arc::new(all::<_, Int32Array>(records, |record| record.narrow))),
        ("float", Arc::new(all::<_, Float64Array>(records, |record| record.float))),
        ("flag", Arc::new(all::<_, BooleanArray>(records, |record| record.flag))),
        ("text", Arc::new(all::<_, StringArray>(records, |record| record.text.clone()))),
        ("ruled", Arc::new(all::<_, StringArray>(records, |record| record.ruled.clone()))),
        ("numbers", numbers(all(records, |record| record.numbers.clone()))),
        ("nested", Arc::new(nested)),
        ("items", Arc::new(items)),
        ("deep", deep(records)),
        ("unsigned", Arc::new(all::<_, UInt32Array>(records, |record| record.unsigned))),
        ("bytes", Arc::new(all::<_, BinaryArray>(records, |record| record.bytes.clone()))),
        ("map", map(records)),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    );
    let batch = batch.unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    Bytes::from(writer.into_inner().unwrap())
}

/// Rows of a weight each, as a batch; `None` where one is refused.
type Read = Option<(RecordBatch, Vec<u64>)>;

/// Reads the batches of an object, each by itself, from row `from` on.
fn read(
    object: &Bytes,
    contract: &CompiledContract,
    from: usize,
    mut rows: impl FnMut(&mut StructNode, &Members, &[Source<'_>], Range<usize>, &mut Tools) -> Option<Vec<u64>>,
) -> Vec<Read> {
    let opened = Arc::new(Opened::new(object.clone()).unwrap());
    let mut records = contract.empty_records();
    let wishes = Wishes { unknown: UnknownFields::Violation, policy: ViolationPolicy::Strict, text: false };
    let plan = Plan::new(&records, &opened.root, wishes).unwrap();
    let mut tools = Tools::new(DuplicateKeys::Refuse);
    let mut walk = Walk::new(opened, &plan.wanted);
    let mut batches = Vec::new();
    while let Some((_, batch)) = walk.next().unwrap() {
        let source = Source::of(&batch).unwrap();
        let Form::Struct(sources) = &source.form else { panic!("records") };
        // Something stands before them, and stays.
        records.truncate(0);
        records.catch_up();
        for _ in 0..3 {
            for field in &mut records.fields {
                match &mut field.node {
                    Node::Int { values, .. } if !field.nullable => values.push(7),
                    node => node.push_null(),
                }
            }
            records.close();
        }
        let range = from.min(batch.num_rows())..batch.num_rows();
        let weights = rows(&mut records, &plan.members, sources, range, &mut tools);
        if weights.is_none() {
            records.truncate(3);
            let left = records.finish_records(&contract.schema(), None).unwrap();
            assert_eq!(left.num_rows(), 3, "and every column has as many");
        }
        batches.push(
            weights.map(|weights| (records.finish_records(&contract.schema(), None).unwrap(), weights)),
        );
    }
    batches
}

proptest! {
    #[test]
    fn columns_at_once_are_what_rows_one_by_one_are(
        records in proptest::collection::vec(record(), 1..80),
        narrow in proptest::bool::weighted(0.1),
        nullable in proptest::bool::weighted(0.9),
        from in 0_usize..4,
    ) {
        let (object, contract) = (object(&records), contract(if narrow { "int16" } else { "int64" }, nullable));
        let one_by_one = read(&object, &contract, from, |node, plan, sources, rows, tools| {
            rows.map(|row| {
                tools.budget.clear();
                assemble::members(node, plan, sources, row, tools, None).ok().map(|()| tools.budget.spent())
            })
            .collect()
        });
        let at_once = read(&object, &contract, from, |node, plan, sources, rows, tools| {
            let mut costs = Costs::new(rows.len(), u64::MAX);
            super::records(node, plan, sources, rows, tools, &mut costs).ok()?;
            costs.weights(0, u64::MAX)
        });
        prop_assert_eq!(one_by_one, at_once);
    }
}

#[test]
fn what_takes_too_much_is_left_to_whoever_reads_one_by_one() {
    let long = Record {
        whole: None,
        narrow: None,
        float: None,
        flag: None,
        text: Some("x".repeat(1000)),
        ruled: None,
        numbers: Some(vec![Some(1); 100]),
        nested: None,
        items: None,
        deep: None,
        unsigned: None,
        bytes: None,
        map: None,
    };
    let (object, contract) = (object(&[long.clone(), long]), contract("int64", true));
    // A text of 1,000 bytes and 100 numbers of 9 each.
    for (room, most, fits) in [
        (3800, 3820, true),
        (3799, 3820, false),
        (1899, 3820, false),
        (3800, 3819, false),
        (999, 3820, false),
    ] {
        let read = read(&object, &contract, 0, |node, plan, sources, rows, tools| {
            let mut costs = Costs::new(rows.len(), room);
            super::records(node, plan, sources, rows, tools, &mut costs).ok()?;
            costs.weights(10, most)
        });
        let weights = read.into_iter().map(|read| read.map(|(_, weights)| weights)).collect::<Vec<_>>();
        assert_eq!(weights, [fits.then(|| vec![1910, 1910])], "{room} {most}");
    }
}
