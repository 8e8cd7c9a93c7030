//! The key somebody probably meant.

/// A longer word is no misspelling of a key.
const LONGEST: usize = 64;

/// The candidate nearest to `word`: a few slips of the finger away, or beginning as it does.
pub(super) fn closest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_ascii_lowercase().replace('-', "_");
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .iter()
        .map(|candidate| (distance(&word, candidate), *candidate))
        .filter(|(slips, _)| *slips <= allowed)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
        .or_else(|| {
            let begins = |candidate: &&&'a str| {
                word.len() >= 3 && (candidate.starts_with(&word) || word.starts_with(**candidate))
            };
            candidates.iter().find(begins).copied()
        })
}

/// How many insertions, deletions and replacements lead from one word to the other (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut next = vec![index + 1];
        let steps = row.iter().zip(row.iter().skip(1)).zip(&right);
        for ((diagonal, above), to) in steps {
            let before = next.last().copied().unwrap_or_default();
            next.push((diagonal + usize::from(from != *to)).min(above + 1).min(before + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_beginnings_find_their_key() {
        let keys = ["prefix", "temp_prefix", "max_latency_seconds", "kms_key_arn"];
        for (word, expected) in [
            ("prefx", Some("prefix")),
            ("Prefix", Some("prefix")),
            ("temp-prefix", Some("temp_prefix")),
            ("max_latency", Some("max_latency_seconds")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(closest(word, &keys), expected, "{word}");
        }
        assert_eq!(closest(&"prefix".repeat(20), &keys), None);
    }
}
