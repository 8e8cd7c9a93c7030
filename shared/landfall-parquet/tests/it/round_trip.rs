//! Random contracts and random records: what Parquet's own reader gives back is what serde_json reads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_core::contract::Column;
use landfall_core::data_type::{DataType, TimeUnit};
use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::{Map, Value, json};

use crate::kit::{column, contract, hex, merge, spec};

/// A value as it is written in the record, and as it is read back.
pub(crate) type Pair = (String, Value);

fn types() -> impl Strategy<Value = DataType> {
    let leaf = prop_oneof![
        Just(DataType::Bool),
        prop::sample::select(vec![8, 16, 32, 64]).prop_map(DataType::Int),
        prop::sample::select(vec![8, 16, 32, 64]).prop_map(DataType::UInt),
        Just(DataType::Float32),
        Just(DataType::Float64),
        Just(DataType::Binary),
        (1_u8..=38).prop_flat_map(|p| (Just(p), 0..=p)).prop_map(|(p, s)| DataType::Decimal(p, s)),
        Just(DataType::String),
        Just(DataType::Date),
        Just(DataType::Time(TimeUnit::Millis)),
        Just(DataType::Time(TimeUnit::Micros)),
        Just(DataType::Timestamp(TimeUnit::Millis)),
        Just(DataType::Timestamp(TimeUnit::Micros)),
        Just(DataType::Json),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|item| DataType::List(Box::new(item))),
            inner.clone().prop_map(|value| DataType::Map(Box::new(value))),
            prop::collection::vec(inner, 1..4).prop_map(|members| {
                let named = members.into_iter().enumerate().map(|(n, member)| (format!("m {n}"), member));
                DataType::Struct(named.collect())
            }),
        ]
    })
}

fn text() -> impl Strategy<Value = Pair> {
    prop_oneof![
        ".{0,12}".prop_map(|text| (Value::from(text.as_str()).to_string(), json!(text))),
        // Every character as an escape.
        ".{0,6}".prop_map(|text| {
            let escaped: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            (format!("\"{}\"", escaped.concat()), json!(text))
        }),
    ]
}

fn decimal(precision: u8, scale: u8) -> BoxedStrategy<Pair> {
    let limit = 10_i128.pow(u32::from(precision)) - 1;
    (-limit..=limit)
        .prop_map(move |unscaled| {
            let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = usize::from(scale) + 1);
            let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
            let sign = if unscaled < 0 { "-" } else { "" };
            let point = if fraction.is_empty() { "" } else { "." };
            (format!("{sign}{whole}{point}{fraction}"), json!(format!("{unscaled}e-{scale}")))
        })
        .boxed()
}

fn timestamp(unit: TimeUnit) -> BoxedStrategy<Pair> {
    let per_second = if unit == TimeUnit::Millis { 1_000 } else { 1_000_000 };
    (-62_135_596_800_i64 * per_second..253_402_300_799 * per_second)
        .prop_map(move |instant| {
            // jiff renders; it shares no code with the engine.
            let nanos = i128::from(instant) * i128::from(1_000_000_000 / per_second);
            let text = jiff::Timestamp::from_nanosecond(nanos).map(|time| time.to_string());
            (text, instant)
        })
        .prop_filter_map("outside jiff's range", |(text, instant)| {
            text.ok().map(|text| (format!("\"{text}\""), json!(instant)))
        })
        .boxed()
}

fn date() -> BoxedStrategy<Pair> {
    (-719_162_i32..=2_932_896)
        .prop_map(|days| {
            let date = jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(days);
            (format!("\"{date}\""), json!(days))
        })
        .boxed()
}

fn time(unit: TimeUnit) -> BoxedStrategy<Pair> {
    let (per_second, width) = if unit == TimeUnit::Millis { (1_000_i64, 3) } else { (1_000_000, 6) };
    (0..86_400 * per_second)
        .prop_map(move |value| {
            let (second, fraction) = (value / per_second, value % per_second);
            let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
            (format!("\"{h:02}:{m:02}:{s:02}.{fraction:0width$}\""), json!(value))
        })
        .boxed()
}

fn present(data_type: &DataType) -> BoxedStrategy<Pair> {
    match data_type {
        DataType::Bool => any::<bool>().prop_map(|value| (value.to_string(), json!(value))).boxed(),
        DataType::Int(bits) => {
            let shift = 64 - u32::from(*bits);
            any::<i64>().prop_map(move |value| (value >> shift).to_string()).prop_map(number).boxed()
        }
        DataType::UInt(bits) => {
            let shift = 64 - u32::from(*bits);
            any::<u64>().prop_map(move |value| (value >> shift).to_string()).prop_map(number).boxed()
        }
        DataType::Float64 => prop::num::f64::NORMAL.prop_map(|value| number(format!("{value:e}"))).boxed(),
        DataType::Decimal(precision, scale) => decimal(*precision, *scale),
        DataType::String => text().boxed(),
        DataType::Date => date(),
        DataType::Time(unit) => time(*unit),
        DataType::Timestamp(unit) => timestamp(*unit),
        DataType::Json => {
            let texts =
                vec!["1.50", "\"a\\u0041\"", "[1, null, {\"k\" :{}}]", "{\"x\":[],\"y\":1e9}", "-0", "true"];
            prop::sample::select(texts).prop_map(|text| (text.to_owned(), json!(text))).boxed()
        }
        DataType::List(item) => prop::collection::vec(value(item), 0..4)
            .prop_map(|items| {
                let (texts, values): (Vec<_>, Vec<_>) = items.into_iter().unzip();
                (format!("[{}]", texts.join(" , ")), Value::Array(values))
            })
            .boxed(),
        DataType::Map(item) => prop::collection::btree_map(".{0,4}", value(item), 0..4)
            .prop_map(|entries| {
                let texts: Vec<String> = entries
                    .iter()
                    .map(|(key, (text, _))| format!("{}:{text}", Value::from(key.as_str())))
                    .collect();
                let values = entries.into_iter().map(|(key, (_, value))| (key, value));
                (format!("{{{}}}", texts.join(",")), Value::Object(values.collect()))
            })
            .boxed(),
        DataType::Struct(members) => object(members),
        DataType::Float32 => {
            prop::num::f32::NORMAL.prop_map(|value| (format!("{value:e}"), json!(value))).boxed()
        }
        DataType::Binary => prop::collection::vec(any::<u8>(), 0..6)
            .prop_map(|bytes| (json!(STANDARD.encode(&bytes)).to_string(), json!(hex(&bytes))))
            .boxed(),
    }
}

fn number(text: String) -> Pair {
    let value = serde_json::from_str(&text).expect("a number");
    (text, value)
}

fn value(data_type: &DataType) -> BoxedStrategy<Pair> {
    let null = Just(("null".to_owned(), Value::Null)).boxed();
    Union::new_weighted(vec![(1, null), (6, present(data_type))]).boxed()
}

/// An object with any of its members, in any order.
fn object(members: &[(String, DataType)]) -> BoxedStrategy<Pair> {
    let names: Vec<String> = members.iter().map(|(name, _)| name.clone()).collect();
    let values: Vec<_> =
        members.iter().map(|(_, member)| prop::option::weighted(0.8, value(member))).collect();
    (values, any::<prop::sample::Index>())
        .prop_map(move |(values, turn)| {
            let all: Map<String, Value> = names
                .iter()
                .zip(&values)
                .map(|(name, pair)| {
                    (name.clone(), pair.as_ref().map_or(Value::Null, |(_, value)| value.clone()))
                })
                .collect();
            let mut texts: Vec<String> = names
                .iter()
                .zip(&values)
                .filter_map(|(name, pair)| {
                    Some(format!("{} : {}", Value::from(name.as_str()), pair.as_ref()?.0))
                })
                .collect();
            if !texts.is_empty() {
                let by = turn.index(texts.len());
                texts.rotate_left(by);
            }
            (format!("{{{}}}", texts.join(", ")), Value::Object(all))
        })
        .boxed()
}

/// Column types, and records of them.
pub(crate) fn dataset() -> impl Strategy<Value = (Vec<DataType>, Vec<Pair>)> {
    prop::collection::vec(types(), 1..5).prop_flat_map(|types| {
        let members: Vec<_> = types.iter().enumerate().map(|(n, t)| (format!("c{n}"), t.clone())).collect();
        (Just(types), prop::collection::vec(object(&members), 1..20))
    })
}

/// A column of each type.
pub(crate) fn columns(types: &[DataType]) -> Vec<Column> {
    types.iter().enumerate().map(|(n, data_type)| column(&format!("c{n}"), &data_type.to_string())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_is_read_back((types, records) in dataset(), target in prop::sample::select(vec![1_u64, 1 << 20])) {
        let mut spec = spec(contract(columns(&types)));
        spec.config.layout.target_bytes = target;
        let (texts, values): (Vec<String>, Vec<Value>) = records.into_iter().unzip();
        let half = texts.len() / 2;
        let inputs = [texts[..half].join("\n"), texts[half..].join("\r\n")];
        let run = merge(&spec, &[inputs[0].as_bytes(), inputs[1].as_bytes()]);
        prop_assert_eq!(&run.rejected, &[]);
        prop_assert_eq!(run.rows(), values);
    }
}
