//! The engine over data written by others: `make corpora`, with the folder in the variable `CORPORA`. A file that is missing
//! fails the test.

#![cfg(test)]

#[path = "../it/kit.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod kit;

mod duckdb;
mod json;
mod parquet;

use std::path::{Path, PathBuf};

fn corpora() -> PathBuf {
    PathBuf::from(std::env::var_os("CORPORA").expect("CORPORA names the folder of the corpora"))
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// The files of a folder and the folders in it, by their path below it, in order.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let root = corpora().join(folder);
    let mut open = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push((name, read(&path)));
            }
        }
    }
    found.sort();
    found
}
