//! What a source file may name.

use super::{files, none, read};

/// The most lines of a Rust file.
const MOST_LINES: usize = 520;
/// The most lines of a function's `main.rs`.
const MOST_LINES_OF_A_MAIN: usize = 40;

/// The lines of code of a file, with their numbers: comments are left out.
pub(super) fn code(path: &str) -> Vec<(usize, String)> {
    let text = read(path);
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines.map(|(index, line)| (index + 1, line.to_owned())).collect()
}

/// Complains of every line of shipped code that names one of `words`, but for the places where they belong.
fn named_only_in(words: &[&str], belongs: impl Fn(&str) -> bool) -> Vec<String> {
    let mut complaints = Vec::new();
    let shipped = |path: &&String| !is_aside(path) && !belongs(path);
    for path in files(".rs").iter().filter(shipped) {
        for (number, line) in code(path) {
            if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                complaints.push(format!("{path}:{number} names {word}"));
            }
        }
    }
    complaints
}

/// Whether a file is not shipped: tests, examples, benchmarks.
fn is_aside(path: &str) -> bool {
    path.starts_with("tests/")
        || ["/tests/", "/examples/", "/benches/"].iter().any(|folder| path.contains(folder))
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
}

#[test]
fn functions_build_adapters_only_in_main() {
    let outside = |path: &str| !path.starts_with("functions/") || path.ends_with("/src/main.rs");
    none(&named_only_in(&["landfall_aws", "aws_sdk"], outside));
}

#[test]
fn the_environment_is_read_in_one_place() {
    let place = |path: &str| path == "shared/landfall-lambda/src/env.rs" || path.starts_with("infra/");
    none(&named_only_in(&["env::var", "env::vars", "env::set_var", "env::remove_var"], place));
}

#[test]
fn clocks_are_read_in_named_places() {
    let places = ["shared/landfall-aws/src/clock.rs", "shared/landfall-lambda/src/deadline.rs"];
    let words = ["Timestamp::now", "Zoned::now", "SystemTime::now", "Instant::now"];
    none(&named_only_in(&words, |path| places.contains(&path) || path.starts_with("infra/")));
}

#[test]
fn the_kit_waits_for_nothing() {
    let mut complaints = Vec::new();
    for path in files(".rs").iter().filter(|path| path.starts_with("tests/src/")) {
        for (number, line) in code(path) {
            let words = ["::now()", "::sleep", "std::env", "std::fs", "std::net", "rand::"];
            if words.iter().any(|word| line.contains(word)) && !line.contains("clock()") {
                complaints.push(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    none(&complaints);
}

#[test]
fn files_are_short() {
    let mut complaints = Vec::new();
    for path in files(".rs") {
        let lines = read(&path).lines().count();
        if lines > MOST_LINES {
            complaints.push(format!("{path} has {lines} lines, {MOST_LINES} are allowed"));
        }
    }
    none(&complaints);
}

#[test]
fn a_main_only_builds_and_serves() {
    let mut complaints = Vec::new();
    for path in files("main.rs").into_iter().filter(|path| path.starts_with("functions/")) {
        let lines = read(&path).lines().count();
        if lines > MOST_LINES_OF_A_MAIN {
            complaints.push(format!("{path} has {lines} lines, {MOST_LINES_OF_A_MAIN} are allowed"));
        }
        let decides = ["if ", "match ", "while ", "for "];
        if code(&path).iter().any(|(_, line)| {
            decides
                .iter()
                .any(|word| line.trim_start().starts_with(word) || line.contains(&format!(" {word}")))
        }) {
            complaints.push(format!("{path} decides something"));
        }
    }
    none(&complaints);
}

#[test]
fn every_file_is_compiled() {
    let all = files(".rs");
    let mut complaints = Vec::new();
    for path in &all {
        let Some((folder, file)) = path.rsplit_once('/') else { continue };
        let in_tests = ["tests/it/", "tests/src/", "tests/records/", "tests/hostile/"];
        if path.starts_with("tests/") && !in_tests.iter().any(|folder| path.starts_with(folder)) {
            complaints.push(format!("{path} is outside of the test binary"));
        }
        if ["lib.rs", "main.rs", "build.rs"].contains(&file) || is_target(path) {
            continue;
        }
        let (home, name) = if file == "mod.rs" {
            folder.rsplit_once('/').unwrap_or(("", folder))
        } else {
            (folder, file.trim_end_matches(".rs"))
        };
        let parents = ["mod.rs", "lib.rs", "main.rs"].map(|parent| format!("{home}/{parent}"));
        let beside = format!("{home}.rs");
        let declared = parents.iter().chain([&beside]).filter(|parent| all.contains(parent)).any(|parent| {
            let text = read(parent);
            text.contains(&format!("mod {name};"))
        });
        if !declared && !named_by_path(&all, home, file) {
            complaints.push(format!("{path} is no module of anything"));
        }
    }
    none(&complaints);
}

/// Whether a file is a target of its own: a test or example of a crate, a benchmark, a binary.
fn is_target(path: &str) -> bool {
    let own = |folder: &str| path.rsplit_once('/').is_some_and(|(home, _)| home.ends_with(folder));
    path.starts_with("shared/") && (own("/tests") || own("/examples") || own("/benches"))
        || path.starts_with("functions/") && (own("/tests") || own("/benches"))
        || path.starts_with("infra/") && (own("/tests") || own("/examples"))
        || own("/src/bin")
        || path == "tests/hostile/tests/replay.rs"
        || path == "tests/it/simulate.rs"
}

/// Whether a neighbour takes the file in by its path.
fn named_by_path(all: &[String], home: &str, file: &str) -> bool {
    let attribute = format!("#[path = \"{file}\"]");
    let neighbours =
        all.iter().filter(|path| path.rsplit_once('/').is_some_and(|(folder, _)| folder == home));
    neighbours.into_iter().any(|path| read(path).contains(&attribute))
}

#[test]
fn no_machine_path_is_written_down() {
    let mut complaints = Vec::new();
    // Put together here, or this file would name them.
    let words = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat(), ["/tm", "p/"].concat()];
    for ending in [".rs", ".toml", ".yaml", ".py", ".md"] {
        for path in files(ending) {
            for (index, line) in read(&path).lines().enumerate() {
                if let Some(word) = words.iter().find(|word| line.contains(word.as_str())) {
                    complaints.push(format!("{path}:{} names {word}", index + 1));
                }
            }
        }
    }
    none(&complaints);
}
