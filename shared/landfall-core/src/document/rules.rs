//! What single values must look like. The same patterns and ranges go into the JSON Schema.
//!
//! Messages never repeat the value: a secret pasted into the wrong key must not reach a log.

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use regex::Regex;

/// The most bytes a document may have.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// The most bytes a prefix may have: half of what S3 allows a key, so that partitions and names fit behind it.
pub(super) const MAX_PREFIX_BYTES: usize = 512;
/// The most characters of a column's description: Glue's limit for a comment.
pub(super) const MAX_DESCRIPTION: usize = 255;

/// The form of documents this build reads.
pub(super) const DOCUMENT_VERSION: u32 = 1;
/// Half of what there is: the other half is for versions that a contract evolves to.
pub(super) const CONTRACT_VERSION: RangeInclusive<u32> = 1..=i32::MAX.cast_unsigned();
pub(super) const LENGTH: RangeInclusive<u32> = 0..=u32::MAX;
/// 64 KiB (for trials) to 5 GiB, the most that one copy can carry.
pub(super) const TARGET_BYTES: RangeInclusive<u64> = 65_536..=5_368_709_120;
/// One second to one day.
pub(super) const MAX_LATENCY_SECONDS: RangeInclusive<u32> = 1..=86_400;
/// None to one day.
pub(super) const CLOSE_GRACE_SECONDS: RangeInclusive<u32> = 0..=86_400;
/// 64 KiB to 1 GiB.
pub(super) const ROW_GROUP_BYTES: RangeInclusive<u64> = 65_536..=1_073_741_824;

/// The most columns with a Bloom filter: each takes memory for every open file.
pub(super) const BLOOM_FILTERS: usize = 8;

/// A pattern a text must match, in the syntax that `regex` and JSON Schema share.
#[derive(Debug)]
pub(super) struct TextRule {
    pub(super) pattern: &'static str,
    expected: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

impl TextRule {
    const fn new(pattern: &'static str, expected: &'static str) -> Self {
        Self { pattern, expected, compiled: OnceLock::new() }
    }

    /// Whether the text matches, else what was expected.
    pub(super) fn check(&self, text: &str) -> Result<(), String> {
        let regex = self.compiled.get_or_init(|| Regex::new(self.pattern).ok());
        if regex.as_ref().is_some_and(|regex| regex.is_match(text)) {
            Ok(())
        } else {
            Err(format!("expected {}", self.expected))
        }
    }
}

pub(super) static ID: TextRule = TextRule::new(
    "^[a-z0-9][a-z0-9-]{0,62}$",
    "1 to 63 lower-case letters, digits and `-`, beginning with a letter or digit",
);
pub(super) static DATASET: TextRule = TextRule::new(
    "^[A-Za-z0-9][A-Za-z0-9 ._:/@+=-]{0,127}$",
    "1 to 128 letters, digits, spaces and `._:/@+=-`, beginning with a letter or digit: it becomes a tag",
);
pub(super) static ROLE_ARN: TextRule = TextRule::new(
    "^arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:role/([A-Za-z0-9_+=,.@-]{1,64}/){0,8}[A-Za-z0-9_+=,.@-]{1,64}$",
    "a role, `arn:aws:iam::<12 digits>:role/<name>`",
);
pub(super) static EXTERNAL_ID: TextRule =
    TextRule::new("^[A-Za-z0-9_+=,.@:/-]{2,1224}$", "2 to 1,224 letters, digits and `_+=,.@:/-`");
pub(super) static REGION: TextRule =
    TextRule::new("^[a-z]{2,4}(-[a-z]{2,12}){1,3}-[0-9]{1,2}$", "a region such as `eu-central-1`");
pub(super) static BUCKET: TextRule = TextRule::new(
    "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
    "a bucket's name: 3 to 63 lower-case letters, digits, `-` and `.`, letter or digit at both ends",
);
pub(super) static PREFIX: TextRule = TextRule::new(
    "^([^/*?$\\x00-\\x1f\\x7f]+/)+$",
    "a prefix such as `datasets/products/`: ending with `/`, without `*`, `?`, `$` and control characters",
);
pub(super) static KMS_KEY_ARN: TextRule = TextRule::new(
    "^arn:aws(-cn|-us-gov)?:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,64}$",
    "a key, `arn:aws:kms:<region>:<12 digits>:key/<id>` (an alias can be pointed elsewhere)",
);
pub(super) static QUEUE_ARN: TextRule = TextRule::new(
    "^arn:aws(-cn|-us-gov)?:sqs:[a-z0-9-]+:[0-9]{12}:([A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\\.fifo)$",
    "a queue, `arn:aws:sqs:<region>:<12 digits>:<name>`",
);
pub(super) static GLUE_NAME: TextRule =
    TextRule::new("^[a-z0-9_]{1,255}$", "1 to 255 lower-case letters, digits and `_`");
pub(super) static COLUMN_NAME: TextRule = TextRule::new(
    "^[A-Za-z_][A-Za-z0-9_]{0,254}$",
    "1 to 255 letters, digits and `_`, not beginning with a digit",
);
pub(super) static COLUMN_PREFIX: TextRule = TextRule::new(
    "^[A-Za-z_][A-Za-z0-9_]{0,63}$",
    "1 to 64 letters, digits and `_`, not beginning with a digit",
);
pub(super) static LEVEL_NAME: TextRule = TextRule::new(
    "^[a-z_][a-z0-9_]{0,254}$",
    "1 to 255 lower-case letters, digits and `_`, not beginning with a digit",
);
pub(super) static KEY_SEGMENT: TextRule = TextRule::new(
    "^[^/=\\x00-\\x1f\\x7f]{1,255}$",
    "the name of a `name=value` segment, without `/` and `=`",
);

/// A prefix in a bucket.
pub(super) fn prefix(text: &str) -> Result<(), String> {
    if !text.ends_with('/') {
        return Err("a prefix must end with `/`".to_owned());
    }
    if text.starts_with('/') {
        return Err("a prefix must not begin with `/`".to_owned());
    }
    if text.len() > MAX_PREFIX_BYTES {
        return Err(format!("a prefix has at most {MAX_PREFIX_BYTES} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("a prefix must not contain control characters".to_owned());
    }
    if text.contains(['*', '?', '$']) {
        return Err("a prefix must not contain `*`, `?` or `$`: IAM policies give them a meaning".to_owned());
    }
    let within = text.strip_suffix('/').unwrap_or(text);
    if within.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("a prefix must not have an empty, `.` or `..` segment".to_owned());
    }
    PREFIX.check(text)
}

/// A bucket's name, by the rules of general purpose buckets.
pub(super) fn bucket(text: &str) -> Result<(), String> {
    BUCKET.check(text)?;
    if text.contains("..") {
        return Err("a bucket's name has no two dots side by side".to_owned());
    }
    if text.split('.').count() == 4 && text.split('.').all(|part| part.parse::<u8>().is_ok()) {
        return Err("a bucket's name is not an IP address".to_owned());
    }
    let reserved_start = ["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|start| text.starts_with(start));
    let reserved_end =
        ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"].iter().any(|end| text.ends_with(end));
    if reserved_start || reserved_end {
        return Err("a bucket's name with this beginning or end is reserved by S3".to_owned());
    }
    Ok(())
}

/// A column's description: it becomes a comment in the catalog.
pub(super) fn description(text: &str) -> Result<(), String> {
    if text.chars().count() > MAX_DESCRIPTION || text.chars().any(char::is_control) {
        return Err(format!(
            "expected at most {MAX_DESCRIPTION} characters on one line: it becomes a catalog comment"
        ));
    }
    Ok(())
}

/// The name of a member of a record.
pub(super) fn member(text: &str) -> Result<(), String> {
    if text.is_empty() { Err("expected the name of a member".to_owned()) } else { Ok(()) }
}

/// A regular expression that the whole text of a value must match.
pub(super) fn regular_expression(text: &str) -> Result<(), String> {
    let line = |error: regex::Error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default().trim().to_owned();
        format!("not a regular expression: {}", last.strip_prefix("error: ").unwrap_or(&last))
    };
    Regex::new(text).map_err(line)?;
    // The engine anchors it; a trailing comment in `(?x)` mode would swallow the anchor.
    Regex::new(&format!("^(?:{text})$")).map_err(line)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: impl Fn(&str) -> Result<(), String>, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(rule(text), Ok(()), "{text}");
        }
        for text in bad {
            assert!(rule(text).is_err(), "{text} must be refused");
        }
    }

    #[test]
    fn ids_are_lower_case_and_short() {
        check(
            |text| ID.check(text),
            &["a", "0", "acme-products", &"a".repeat(63)],
            &["", "-a", "A", "a_b", "a b", "a\n", "é", &"a".repeat(64)],
        );
    }

    #[test]
    fn prefixes_stay_in_their_place_and_out_of_policies() {
        check(
            prefix,
            &["a/", "a/b=c/", "_tmp/", ".hidden/", "a b/é/", &("x".repeat(511) + "/")],
            &[
                "",
                "a",
                "/",
                "/a/",
                "a//b/",
                "./",
                "../",
                "a/../b/",
                "a/./",
                "a*/",
                "a?/",
                "${aws:x}/",
                "a\u{1}/",
                "a\u{85}/",
                &("x".repeat(512) + "/"),
            ],
        );
    }

    #[test]
    fn buckets_follow_the_rules_of_s3() {
        check(
            bucket,
            &["abc", "acme-lake.eu", "1.2.3.256", &"a".repeat(63)],
            &[
                "ab",
                "Acme",
                "-ab",
                "ab-",
                "a..b",
                "1.2.3.4",
                "xn--abc",
                "abc-s3alias",
                "a_b",
                &"a".repeat(64),
            ],
        );
    }

    #[test]
    fn arns_name_an_account_of_twelve_digits() {
        check(
            |text| ROLE_ARN.check(text),
            &[
                "arn:aws:iam::123456789012:role/landfall",
                "arn:aws-cn:iam::123456789012:role/path/to/landfall",
                "arn:aws:iam::123456789012:role/a+b=c,d.e@f-g",
            ],
            &[
                "arn:aws:iam::12345678901:role/landfall",
                "arn:aws:iam::123456789012:user/landfall",
                "arn:aws:iam::123456789012:role/",
                "arn:aws:iam:eu-west-1:123456789012:role/landfall",
                "arn:aws:iam::123456789012:role/*",
                "landfall",
            ],
        );
        check(
            |text| KMS_KEY_ARN.check(text),
            &["arn:aws:kms:eu-central-1:123456789012:key/mrk-0123"],
            &["arn:aws:kms:eu-central-1:123456789012:alias/x", "arn:aws:kms:eu-central-1:1:key/x", "0123"],
        );
        check(
            |text| QUEUE_ARN.check(text),
            &["arn:aws:sqs:eu-central-1:123456789012:etl", "arn:aws:sqs:eu-central-1:123456789012:etl.fifo"],
            &["arn:aws:sqs:eu-central-1:123456789012:", "arn:aws:sqs:eu-central-1:123456789012:a.b", "etl"],
        );
    }

    #[test]
    fn external_ids_have_the_characters_of_iam() {
        check(
            |text| EXTERNAL_ID.check(text),
            &["ab", "A_+=,.@:/-9", &"x".repeat(1224)],
            &["", "a", "a b", "é1", "a\\b", &"x".repeat(1225)],
        );
    }

    #[test]
    fn regions_have_their_shape() {
        check(
            |text| REGION.check(text),
            &["eu-central-1", "us-gov-west-1", "ap-southeast-4", "eusc-de-east-1"],
            &["eu", "EU-CENTRAL-1", "eu-central", "eu-central-1a", "eu central 1"],
        );
    }

    #[test]
    fn names_fit_every_reader() {
        check(
            |text| COLUMN_NAME.check(text),
            &["a", "_a", "SkuName9", &"a".repeat(255)],
            &["", "9a", "a-b", "a b", "é", &"a".repeat(256)],
        );
        check(|text| LEVEL_NAME.check(text), &["dt", "_h1"], &["Dt", "1h", "", "a-b"]);
        check(|text| GLUE_NAME.check(text), &["a", "9", "a_b"], &["A", "a-b", "", "a.b"]);
        check(
            |text| DATASET.check(text),
            &["products", "Product catalogue, v2".split(',').next().unwrap()],
            &["", " a", "é"],
        );
        check(|text| KEY_SEGMENT.check(text), &["dt", "Día"], &["", "a/b", "a=b"]);
    }

    #[test]
    fn regular_expressions_compile_also_when_anchored() {
        check(regular_expression, &["[A-Z]{3}", "a|b", ""], &["(", "[a", "a)|(b", "(?x) a # b", "(?=a)"]);
        assert_eq!(regular_expression("(").unwrap_err(), "not a regular expression: unclosed group");
    }
}
