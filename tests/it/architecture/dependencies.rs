//! Edges between crates, and what comes from outside.

use std::collections::BTreeSet;
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

use super::{none, read, root};

/// What the core may use from outside: nothing that waits, reads a clock, or talks to anybody.
const CORE_MAY_USE: &[&str] = &[
    "bytes",
    "jiff",
    "percent-encoding",
    "regex",
    "schemars",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
    "toml",
    // Names without accents: text in, text out.
    "unicode-normalization",
    // Compression of log bodies: bytes in, bytes out.
    "zstd",
];

const FUNCTIONS: &[&str] = &["compactor", "committer", "notifier"];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .unwrap()
}

/// Whether `from` may depend on `to` in what it ships.
fn allowed(from: &str, to: &str) -> bool {
    match from {
        "landfall-parquet" | "landfall-aws" | "landfall-lambda" | "testkit" => to == "landfall-core",
        "compactor" | "committer" => {
            ["landfall-core", "landfall-parquet", "landfall-aws", "landfall-lambda"].contains(&to)
        }
        "notifier" => ["landfall-core", "landfall-aws", "landfall-lambda"].contains(&to),
        "landfall" | "landfall-embedded" => {
            !FUNCTIONS.contains(&to) && to != "testkit" && to != "hostile-data"
        }
        // What is held against the bytes of others, where these are read.
        "hostile-data" => ["landfall-core", "landfall-parquet", "landfall-lambda"].contains(&to),
        // The core rests on none of ours; whoever is not named here has no rule yet.
        _ => false,
    }
}

/// Whether the tests of `from` may depend on `to`.
fn allowed_in_tests(from: &str, to: &str) -> bool {
    match from {
        // The core's own tests would meet two copies of its types; what only makes records needs nothing.
        "landfall-core" | "sample-records" => false,
        "testkit" => true,
        _ => to == "testkit" || allowed(from, to),
    }
}

/// The edge's complaint, if it is not allowed.
fn complaint(from: &str, to: &str, kind: DependencyKind) -> Option<String> {
    let fine =
        if kind == DependencyKind::Development { allowed_in_tests(from, to) } else { allowed(from, to) };
    (!fine).then(|| format!("{from} must not depend on {to} ({kind:?})"))
}

fn is_ours(packages: &[Package], name: &str) -> bool {
    packages.iter().any(|package| package.name == name)
}

#[test]
fn crates_depend_only_downwards() {
    let packages = metadata().packages;
    let edges = packages.iter().flat_map(|package| package.dependencies.iter().map(move |to| (package, to)));
    let complaints: Vec<String> = edges
        .filter(|(_, to)| is_ours(&packages, &to.name))
        .filter_map(|(from, to)| complaint(&from.name, &to.name, to.kind))
        .collect();
    none(&complaints);
}

#[test]
fn forbidden_edges_are_seen() {
    use DependencyKind::{Development, Normal};
    for (from, to, kind, fine) in [
        ("landfall-core", "landfall-aws", Normal, false),
        ("landfall-core", "testkit", Development, false),
        ("landfall-parquet", "landfall-core", Normal, true),
        ("landfall-parquet", "landfall-aws", Normal, false),
        ("compactor", "committer", Normal, false),
        ("compactor", "committer", Development, false),
        ("compactor", "testkit", Normal, false),
        ("compactor", "testkit", Development, true),
        ("notifier", "landfall-parquet", Normal, false),
        ("landfall", "landfall-embedded", Normal, true),
        ("landfall", "notifier", Normal, false),
        ("landfall", "hostile-data", Normal, false),
        ("hostile-data", "landfall-aws", Normal, false),
        ("unheard-of", "landfall-core", Normal, false),
    ] {
        assert_eq!(complaint(from, to, kind).is_none(), fine, "{from} -> {to}");
    }
}

#[test]
fn every_member_is_known_here() {
    let known = [
        "landfall-core",
        "landfall-parquet",
        "landfall-aws",
        "landfall-lambda",
        "landfall",
        "landfall-embedded",
        "hostile-data",
        "sample-records",
        "brotli",
    ];
    for package in metadata().packages {
        let name = package.name.as_str();
        assert!(
            known.contains(&name) || FUNCTIONS.contains(&name) || name == "testkit",
            "{name} has no rule"
        );
    }
}

#[test]
fn the_core_stays_pure() {
    let packages = metadata().packages;
    let core = packages.iter().find(|package| package.name == "landfall-core").unwrap();
    let shipped = core.dependencies.iter().filter(|to| to.kind != DependencyKind::Development);
    let foreign: Vec<String> = shipped
        .filter(|to| !CORE_MAY_USE.contains(&to.name.as_str()))
        .map(|to| format!("landfall-core must not use {}", to.name))
        .collect();
    none(&foreign);
}

#[test]
fn only_the_adapters_know_the_sdk() {
    let mut complaints = Vec::new();
    for package in metadata().packages {
        if ["landfall-aws", "landfall-embedded"].contains(&package.name.as_str()) {
            continue;
        }
        let sdk = package.dependencies.iter().filter(|to| to.name.starts_with("aws-"));
        complaints.extend(sdk.map(|to| format!("{} must not use {}", package.name, to.name)));
    }
    none(&complaints);
}

/// Crates from outside that belong to some of ours only: prefix of the name, and who may use it in what it ships.
const BELONGS: &[(&str, &[&str])] = &[
    ("arrow", &["landfall-parquet", "hostile-data"]),
    ("parquet", &["landfall-parquet", "hostile-data"]),
    ("lambda_runtime", &["landfall-lambda", "compactor", "committer", "notifier"]),
    ("aws_lambda_events", &["landfall-lambda"]),
    ("clap", &["landfall"]),
    ("indicatif", &["landfall"]),
];

/// What the engine must not know: it is bytes in, bytes out.
const NOT_IN_THE_ENGINE: &[&str] = &["tokio", "futures", "tracing", "hyper", "http"];

#[test]
fn outside_crates_stay_where_they_belong() {
    let packages = metadata().packages;
    let mut complaints = Vec::new();
    for package in &packages {
        for to in package.dependencies.iter().filter(|to| to.kind != DependencyKind::Development) {
            let foreign = BELONGS.iter().any(|(prefix, users)| {
                to.name.starts_with(prefix) && !users.contains(&package.name.as_str())
            });
            let engine = package.name == "landfall-parquet" && NOT_IN_THE_ENGINE.contains(&to.name.as_str());
            if foreign || engine {
                complaints.push(format!("{} must not use {}", package.name, to.name));
            }
        }
    }
    none(&complaints);
}

/// Everything that is linked into a package, by name.
fn linked(root_package: &str) -> BTreeSet<String> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(["--offline".to_owned(), "--filter-platform".to_owned(), PLATFORM.to_owned()])
        .exec()
        .unwrap();
    let graph = metadata.resolve.as_ref().unwrap();
    let name = |id| metadata[id].name.to_string();
    let start = graph.nodes.iter().find(|node| name(&node.id) == root_package).unwrap();
    let mut found = BTreeSet::new();
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        let shipped = node
            .deps
            .iter()
            .filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
        for dep in shipped {
            if found.insert(name(&dep.pkg)) {
                open.extend(graph.nodes.iter().find(|node| node.id == dep.pkg));
            }
        }
    }
    found
}

/// Where functions run: other platforms' crates are not fetched by a build.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

#[test]
fn the_notifier_links_no_engine_and_the_core_no_executor() {
    let notifier = linked("notifier");
    assert!(notifier.contains("aws-sdk-sqs"), "the graph is read: {notifier:?}");
    let core = linked("landfall-core");
    let mut complaints = Vec::new();
    for name in &notifier {
        if name.starts_with("arrow") || name == "parquet" || name == "landfall-parquet" {
            complaints.push(format!("notifier links {name}"));
        }
    }
    for name in &core {
        if ["tokio", "hyper", "reqwest", "arrow", "aws-"].iter().any(|prefix| name.starts_with(prefix)) {
            complaints.push(format!("landfall-core links {name}"));
        }
    }
    none(&complaints);
}

#[test]
fn there_is_one_arrow() {
    let lock = read("Cargo.lock");
    for name in ["arrow-array", "arrow-schema", "parquet"] {
        let entry = format!("name = \"{name}\"");
        assert_eq!(lock.lines().filter(|line| *line == entry).count(), 1, "versions of {name} in Cargo.lock");
    }
}

/// An update of `parquet` that asks for another version of it would bring the encoder back, with a warning that few read.
#[test]
fn the_brotli_that_is_linked_is_our_own() {
    let lock: toml::Table = read("Cargo.lock").parse().unwrap();
    let packages = lock.get("package").and_then(toml::Value::as_array).unwrap();
    let named =
        packages.iter().filter(|package| package.get("name").and_then(toml::Value::as_str) == Some("brotli"));
    let sources: Vec<Option<&toml::Value>> = named.map(|package| package.get("source")).collect();
    assert_eq!(sources, [None], "where brotli is from");
    assert!(linked("compactor").contains("brotli"), "parquet uses it");
}

#[test]
fn every_crate_obeys_the_lints_and_the_version_table() {
    let mut complaints = Vec::new();
    for package in metadata().packages {
        let path = package.manifest_path.strip_prefix(root().to_str().unwrap()).unwrap().to_string();
        let manifest: toml::Table = read(path.trim_start_matches('/')).parse().unwrap();
        if manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool)
            != Some(true)
        {
            complaints.push(format!("{path}: no `lints.workspace = true`"));
        }
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let entries = manifest.get(table).and_then(toml::Value::as_table).into_iter().flatten();
            let own = entries.filter(|(_, value)| value.get("workspace").is_none());
            complaints.extend(own.map(|(name, _)| format!("{path}: {name} has a version of its own")));
        }
    }
    none(&complaints);
}

#[test]
fn the_core_bans_clock_environment_and_files() {
    let core = read("shared/landfall-core/clippy.toml");
    // Clippy reads the nearest file only: the shared lines must be repeated.
    let missing: Vec<String> = read("clippy.toml")
        .lines()
        .filter(|line| !line.trim().is_empty() && !core.contains(line))
        .map(|line| format!("shared/landfall-core/clippy.toml lacks: {line}"))
        .collect();
    none(&missing);
    for banned in
        ["std::env::var", "std::time::SystemTime::now", "jiff::Timestamp::now", "std::collections::HashMap"]
    {
        assert!(core.contains(&format!("\"{banned}\"")), "{banned} is not banned in the core");
    }
    assert!(Path::new(&root().join("shared/landfall-core/Cargo.toml")).is_file());
}
