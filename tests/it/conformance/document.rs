//! docs/conformance.md, held to what the suites contain and find.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use testkit::conformance::{Exemption, catalog, destinations, object_store, queue};

use super::fake::Fake;
use crate::conformance_ministack as ministack;

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// What is found on MiniStack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Holds,
    Differs(&'static str),
    NotApplicable,
}

/// Every case of every suite, in their order, with what is found on MiniStack; its suite holds this to be so.
fn found() -> Vec<(&'static str, Found)> {
    let names = |names: Vec<&'static str>, exemptions: &'static [Exemption]| {
        names.into_iter().map(move |name| {
            let exemption = exemptions.iter().find(|exemption| exemption.case == name);
            let found = match exemption {
                Some(exemption) => Found::Differs(exemption.reason),
                None if ministack::NOT_APPLICABLE.contains(&name) => Found::NotApplicable,
                None => Found::Holds,
            };
            (name, found)
        })
    };
    let of_store = object_store::cases::<Fake>().iter().map(testkit::conformance::Case::name).collect();
    let of_queue = queue::cases::<Fake>().iter().map(testkit::conformance::Case::name).collect();
    let of_catalog = catalog::cases::<Fake>().iter().map(testkit::conformance::Case::name).collect();
    let of_sessions = destinations::cases::<Fake>().iter().map(testkit::conformance::Case::name).collect();
    names(of_store, ministack::STORE_EXEMPTIONS)
        .chain(names(of_queue, ministack::QUEUE_EXEMPTIONS))
        .chain(names(of_catalog, ministack::CATALOG_EXEMPTIONS))
        .chain(names(of_sessions, ministack::DESTINATIONS_EXEMPTIONS))
        .collect()
}

/// The cells of the rows with four columns, without their heads.
fn rows(document: &str) -> Vec<[String; 4]> {
    let cells = document.lines().filter_map(|line| {
        let cells: Vec<String> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let [_, fact, fake, cases, found, _] = <[String; 6]>::try_from(cells).ok()?;
        (fact != "AWS" && !fact.starts_with("--")).then_some([fact, fake, cases, found])
    });
    cells.collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn each_case_stands_in_the_document_with_what_is_found_on_ministack() {
    let document = document();
    let found = found();
    let verdicts: BTreeMap<&str, Found> = found.iter().copied().collect();
    assert_eq!(verdicts.len(), found.len(), "two cases have one name");
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    let rows = rows(&document);
    for [fact, _, cases, says] in &rows {
        let of_row = quoted(cases);
        for case in &of_row {
            assert!(verdicts.contains_key(case), "{case} is no case: {fact}");
            *named.entry(case).or_default() += 1;
        }
        let of_row: Vec<Found> = of_row.iter().map(|case| verdicts[case]).collect();
        let expected = if of_row.is_empty() {
            "–"
        } else if of_row.iter().all(|found| *found == Found::Holds) {
            "holds"
        } else if of_row.iter().all(|found| matches!(found, Found::Differs(_))) {
            "differs"
        } else if of_row.iter().all(|found| *found == Found::NotApplicable) {
            "not applicable"
        } else {
            panic!("the cases of one row are found otherwise, part it: {fact}: {of_row:?}")
        };
        assert_eq!(says, expected, "{fact}");
    }
    let absent: Vec<&str> = verdicts.keys().copied().filter(|case| !named.contains_key(case)).collect();
    assert!(absent.is_empty(), "docs/conformance.md lacks {absent:?}");
    let twice: Vec<&str> = named.iter().filter(|(_, count)| **count > 1).map(|(case, _)| *case).collect();
    assert!(twice.is_empty(), "docs/conformance.md names twice {twice:?}");
}

#[test]
fn each_difference_of_ministack_stands_in_the_document_with_its_reason() {
    let mut expected = "| case | what MiniStack does |\n|---|---|\n".to_owned();
    for (case, found) in found() {
        let what = match found {
            Found::Holds => continue,
            Found::Differs(reason) => reason,
            Found::NotApplicable => "not declared by the endpoint: not run",
        };
        expected.extend(["| `", case, "` | ", what, " |\n"]);
    }
    assert!(document().contains(&expected), "docs/conformance.md must hold\n{expected}");
}

#[test]
fn the_tests_of_the_fake_that_the_document_names_exist() {
    let mut sources = String::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fake")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                sources.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let document = document();
    for [fact, fake, cases, _] in rows(&document) {
        assert!(!quoted(&fake).is_empty() || !quoted(&cases).is_empty(), "nothing holds: {fact}");
        for name in quoted(&fake) {
            let known = [format!("fn {name}("), format!("    {name},\n")];
            assert!(known.iter().any(|text| sources.contains(text)), "{name} is nothing of the fake");
        }
    }
}
