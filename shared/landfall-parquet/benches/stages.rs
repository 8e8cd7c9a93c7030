//! `make bench`: what each stage of a merge takes, on one core, in bytes of JSON per second, so that a regression of one
//! of them shows. The records are click events, made here: the same in every run.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a benchmark may fail, and its numbers are its own"
)]

use std::fmt::Write as _;
use std::io::Write as _;

use arrow_array::RecordBatch;
use divan::Bencher;
use divan::counter::BytesCount;
use landfall_core::contract::Contract;
use landfall_parquet::stages::{Decoding, Reading};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

/// Rows of one benchmark: about 4 MB of JSON, what the engine gathers before it writes.
const ROWS: u64 = 8_000;

fn main() {
    divan::main();
}

/// A number that looks random and is the same every time (the finaliser of SplitMix64).
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

fn lines() -> Vec<u8> {
    let mut text = String::new();
    for n in 0..ROWS {
        let draw = mix(n);
        writeln!(
            text,
            r#"{{"event_id":"{draw:016x}-{n:08x}","event":"{}","ts":{},"user":{},"session":"{:032x}","page":{{"url":"https://www.globex.example/{}/{}?ref={:x}","title":"Caf\u00e9 {} \"{}\"","scroll":0.{}}},"geo":{{"country":"{}","lat":{}.{:04},"lon":-{}.{:04}}},"tags":["a{}","b{}"],"consent":true,"value":{}}}"#,
            ["view", "click", "scroll", "submit"][(draw % 4) as usize],
            1_777_000_000_000 + n * 731,
            if draw.is_multiple_of(3) { "null".to_owned() } else { (draw % 100_000).to_string() },
            u128::from(mix(n / 12)) << 40,
            draw % 40,
            draw % 900,
            draw >> 40,
            draw % 77,
            draw % 1300,
            1 + draw % 98,
            ["DE", "US", "FR", "CN"][(draw % 4) as usize],
            draw % 60,
            draw % 10_000,
            draw % 180,
            draw % 9_999,
            draw % 20,
            draw % 30,
            if draw.is_multiple_of(7) { format!("{}.{:02}", draw % 300, draw % 100) } else { "null".to_owned() },
        )
        .expect("a String takes all");
    }
    text.into_bytes()
}

fn reading() -> Reading {
    let types = [
        ("event_id", "string"),
        ("event", "string"),
        ("ts", "timestamp(ms, UTC)"),
        ("user", "int64"),
        ("session", "string"),
        ("page", "struct<url: string, title: string, scroll: float64>"),
        ("geo", "struct<country: string, lat: float64, lon: float64>"),
        ("tags", "list<string>"),
        ("consent", "bool"),
        ("value", "decimal(12,2)"),
    ];
    let columns: Vec<serde_json::Value> = types
        .iter()
        .map(|(name, data_type)| match *name {
            "ts" => serde_json::json!({ "name": name, "type": data_type, "format": "epoch_millis" }),
            _ => serde_json::json!({ "name": name, "type": data_type }),
        })
        .collect();
    let contract: Contract =
        serde_json::from_value(serde_json::json!({ "version": 1, "column": columns })).expect("a contract");
    Reading::new(&contract).expect("a sound contract")
}

fn batch() -> RecordBatch {
    let mut reading = reading();
    assert_eq!(reading.read(&lines()), ROWS, "every row fits");
    reading.build().expect("arrays")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("a Vec takes all");
    encoder.finish().expect("a Vec takes all")
}

fn encode(batch: &RecordBatch, compression: Compression) -> usize {
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_statistics_enabled(EnabledStatistics::Page)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("a writer");
    writer.write(batch).expect("rows are encoded");
    writer.into_inner().expect("a file").len()
}

/// Objects as they mostly are: decoded at once.
#[divan::bench]
fn gunzip_small_objects(bencher: Bencher<'_, '_>) {
    let lines = lines();
    let objects: Vec<Vec<u8>> = lines.chunks(192 * 1024).map(gzip).collect();
    let mut decoding = Decoding::default();
    bencher.counter(BytesCount::new(lines.len())).bench_local(|| {
        objects.iter().map(|object| decoding.decode(object).expect("a sound object")).sum::<u64>()
    });
}

/// An object too large to be decoded at once.
#[divan::bench]
fn gunzip_a_stream(bencher: Bencher<'_, '_>) {
    let lines = lines().repeat(12);
    let object = gzip(&lines);
    let mut decoding = Decoding::default();
    bencher
        .counter(BytesCount::new(lines.len()))
        .bench_local(|| decoding.decode(&object).expect("a sound object"));
}

/// Splitting, checking and reading into columns.
#[divan::bench]
fn parse_and_validate(bencher: Bencher<'_, '_>) {
    let lines = lines();
    bencher
        .counter(BytesCount::new(lines.len()))
        .with_inputs(reading)
        .bench_local_refs(|reading| reading.read(&lines));
}

#[divan::bench]
fn build_arrays(bencher: Bencher<'_, '_>) {
    let lines = lines();
    bencher
        .counter(BytesCount::new(lines.len()))
        .with_inputs(|| {
            let mut reading = reading();
            reading.read(&lines);
            reading
        })
        .bench_local_refs(|reading| reading.build().expect("arrays").num_rows());
}

#[divan::bench]
fn encode_without_compression(bencher: Bencher<'_, '_>) {
    let batch = batch();
    bencher.counter(BytesCount::new(lines().len())).bench_local(|| encode(&batch, Compression::UNCOMPRESSED));
}

/// Encoding and compressing: less what encoding alone takes, this is the codec.
#[divan::bench(args = ["snappy", "zstd"])]
fn encode_and_compress(bencher: Bencher<'_, '_>, codec: &str) {
    let batch = batch();
    let compression = match codec {
        "snappy" => Compression::SNAPPY,
        _ => Compression::ZSTD(ZstdLevel::try_new(3).expect("a level")),
    };
    bencher.counter(BytesCount::new(lines().len())).bench_local(|| encode(&batch, compression));
}
