//! Documents that would go stale unseen.

use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// All test sources of the workspace, as one text.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
    text
}

#[test]
fn the_semantics_name_tests_that_exist() {
    let semantics = fs::read_to_string(root().join("docs/semantics.md")).unwrap();
    let sources: String =
        ["tests", "infra", "functions", "shared"].map(|top| sources(&root().join(top))).concat();
    let words = semantics.split('`').skip(1).step_by(2);
    // Names of tests are sentences; other words in backticks are keys and records.
    let named: Vec<&str> = words
        .filter(|word| word.matches('_').count() >= 3 && !word.contains(['/', '.', ' ', '-']))
        .filter(|word| *word != "full_object_multipart_checksum")
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(sources.contains(&format!("fn {name}(")), "docs/semantics.md names {name}, which is no test");
    }
}
