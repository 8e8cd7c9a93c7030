//! Exit codes and messages of the commands that need no AWS.

use std::path::Path;
use std::process::{Command, Output};

use landfall_core::document;

use crate::{document_text, line, write};

fn landfall(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_landfall")).args(arguments).output().unwrap()
}

#[test]
fn sound_documents_are_accepted_and_wrong_ones_named_with_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(folder.path(), "good.toml", document_text("sales"));
    let wrong = document_text("stock").replace("version = 2", "version = 0").replace("[layout]", "[layot]");
    let wrong = write(folder.path(), "wrong.toml", wrong);
    assert_eq!(landfall(&["validate", good.to_str().unwrap()]).status.code(), Some(0));
    let refused = landfall(&["validate", good.to_str().unwrap(), wrong.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8(refused.stdout).unwrap();
    for error in text.lines() {
        assert!(error.contains("wrong.toml:"), "{text}");
    }
    assert!(text.lines().count() >= 2, "{text}");
}

#[test]
fn overlapping_documents_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let outer = document_text("stock").replace("acme/stock/", "acme/");
    let paths =
        [write(folder.path(), "a.toml", document_text("sales")), write(folder.path(), "b.toml", outer)];
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let refused = landfall(&[&["validate"], paths.as_slice()].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stdout).unwrap().contains("overlaps"));
}

#[test]
fn the_schema_is_json() {
    let schema = landfall(&["schema"]);
    assert_eq!(schema.status.code(), Some(0));
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert!(schema.get("properties").is_some());
}

#[test]
fn output_never_mixes_with_older_files() {
    let folder = tempfile::tempdir().unwrap();
    let document = write(folder.path(), "sales.toml", document_text("sales"));
    write(folder.path(), "in/a.jsonl", line(1, 1));
    write(folder.path(), "out/old.parquet", "old");
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let arguments =
        ["convert", "--delivery", document.to_str().unwrap(), "--input", &at("in"), "--output", &at("out")];
    let refused = landfall(&arguments);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("is not empty"));
}

#[test]
fn the_demo_delivers_the_documented_catalogue() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| {
        let text = std::fs::read_to_string(root.join(path)).unwrap();
        document::parse(path, &text).unwrap()
    };
    let (demo, documented) =
        (read("infra/demo/product-catalogue.toml"), read("docs/examples/product-catalogue.toml"));
    assert_eq!(demo.contract, documented.contract);
    assert_eq!(demo.layout.partitions, documented.layout.partitions);
}
