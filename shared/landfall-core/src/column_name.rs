//! Column names that Parquet readers, Glue and Athena all take, made of the names that producers write.
//!
//! | written | becomes | rule |
//! |---|---|---|
//! | `crème` | `creme` | accents are dropped |
//! | `日本` | `_` | other characters that are not ASCII, spaces and signs become `_`, runs of it one |
//! | `123abc` | `_123abc` | no digit in front |
//! | `Name`, `name` | `Name`, `name_1` | equal but for case: numbered, as Glue folds case |

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The longest name of a column in Glue, in characters.
pub const LONGEST: usize = 255;

/// A name of ASCII letters, digits and `_`, without a digit in front, of at most [`LONGEST`] characters.
pub fn normalize(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for char in name.nfd().filter(|char| !is_combining_mark(*char)) {
        let kept = if char.is_ascii_alphanumeric() { char } else { '_' };
        if kept != '_' || !normal.ends_with('_') {
            normal.push(kept);
        }
    }
    if normal.is_empty() {
        normal.push('_');
    }
    if normal.starts_with(|first: char| first.is_ascii_digit()) {
        normal.insert(0, '_');
    }
    normal.truncate(LONGEST);
    normal
}

/// Names that were given so far, equal regardless of case.
#[derive(Debug, Clone, Default)]
pub struct ColumnNames {
    given: BTreeSet<String>,
}

impl ColumnNames {
    /// Reserves a name as it is written: it is not given to anybody.
    pub fn reserve(&mut self, name: &str) {
        self.given.insert(name.to_ascii_lowercase());
    }

    /// The normal form of a name; with `_1`, `_2` and so on behind it when that was given before.
    pub fn give(&mut self, name: &str) -> String {
        let normal = normalize(name);
        let mut candidate = normal.clone();
        let mut number = 0_u64;
        while !self.given.insert(candidate.to_ascii_lowercase()) {
            number += 1;
            let suffix = format!("_{number}");
            let stem: String = normal.chars().take(LONGEST - suffix.len()).collect();
            candidate = format!("{stem}{suffix}");
        }
        candidate
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_become_what_every_reader_takes() {
        for (name, normal) in [
            ("accounts", "accounts"),
            ("crème", "creme"),
            ("cre\u{300}me", "creme"),
            ("123abc", "_123abc"),
            ("日本語", "_"),
            ("Δ", "_"),
            ("total (EUR)", "total_EUR_"),
            ("a - b", "a_b"),
            ("a__b", "a_b"),
            ("__a", "_a"),
            ("Ünïcode.Näme", "Unicode_Name"),
            ("", "_"),
        ] {
            assert_eq!(normalize(name), normal, "{name}");
        }
        assert_eq!(normalize(&"9".repeat(400)), format!("_{}", "9".repeat(254)));
    }

    #[test]
    fn names_that_fall_together_are_numbered() {
        let mut names = ColumnNames::default();
        let given: Vec<String> =
            ["name", "Name", "näme", "name_1", "name 1"].map(|name| names.give(name)).into();
        assert_eq!(given, ["name", "Name_1", "name_2", "name_1_1", "name_1_2"]);
        let long = "x".repeat(300);
        assert_eq!(names.give(&long).len(), LONGEST);
        assert!(names.give(&long).ends_with("x_1"));
    }

    proptest! {
        #[test]
        fn every_name_is_valid_and_none_is_given_twice(written in prop::collection::vec(".{0,12}", 0..20)) {
            let mut names = ColumnNames::default();
            let mut seen = BTreeSet::new();
            for name in &written {
                let given = names.give(name);
                prop_assert!(!given.is_empty() && given.len() <= LONGEST);
                prop_assert!(given.chars().all(|char| char.is_ascii_alphanumeric() || char == '_'), "{}", given);
                prop_assert!(!given.starts_with(|first: char| first.is_ascii_digit()), "{}", given);
                prop_assert!(seen.insert(given.to_ascii_lowercase()), "{} twice", given);
                prop_assert_eq!(normalize(&normalize(name)), normalize(name));
            }
        }
    }
}
