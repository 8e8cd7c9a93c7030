//! The bytes that the fuzzer found worth keeping, and those it broke something with, once more.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hostile_data::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Runs one target over its corpus; a panic names the file in what was printed last.
#[track_caller]
fn replay(name: &str) {
    let (_, target) = TARGETS.iter().find(|(other, _)| *other == name).unwrap();
    let corpus = files(&fuzz().join("corpus").join(name));
    assert!(!corpus.is_empty(), "there is no corpus of {name}");
    for path in corpus {
        println!("{}", path.display());
        target(&fs::read(&path).unwrap());
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
        $(#[test] fn $name() { replay(stringify!($name)); })*
    };
}

replays! {
    delivery_documents event_decoding gzip_framing json key_encoding line_splitting parquet_input
}

#[test]
fn every_target_is_fuzzed_and_replayed() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let replayed: BTreeSet<String> = REPLAYED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(replayed, targets);
    let names = |folder: &str| -> BTreeSet<String> {
        let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        files(&fuzz().join(folder)).into_iter().map(stem).collect()
    };
    assert_eq!(names("corpus"), targets, "folders of fuzz/corpus");
    assert_eq!(names("fuzz_targets"), targets, "files of fuzz/fuzz_targets");
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &targets {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name} in fuzz/Cargo.toml"
        );
    }
}
