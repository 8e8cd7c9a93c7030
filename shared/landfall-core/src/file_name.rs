//! Names of delivered files: a pattern that is checked once, when the document is read, and rendered per file.
//!
//! | pattern | a name |
//! |---|---|
//! | `part-{job_id}-{seq}` | `part-7f3a-00000` |
//! | `{timestamp}_{uuid}` | `20260519T101500Z_0190f6c2-...` |
//! | `{date}.{hash}` | `2026-05-19.9f86d081...` |
//! | `{timestamp}-{hash}-{worker_id}` | `20260519T101500Z-9f86d081...-3a7bd3e2` |
//!
//! Files are never overwritten, so a pattern must tell any two files apart: by `{uuid}`, by `{hash}`, or by
//! `{job_id}` together with `{seq}`. A name never begins with `_` or `.`: Hive, Spark and Athena skip such files.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The most characters a pattern may have: rendered names stay far below S3's limit for a key.
pub const MAX_PATTERN_CHARACTERS: usize = 128;

/// A checked pattern of file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileNamePattern {
    parts: Vec<Part>,
}

/// What the variables of a pattern stand for. Texts are letters, digits, `-` and `_` only: they become part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileNameValues<'a> {
    /// `{seq}`: the number of the file within its job, written with at least five digits.
    pub seq: u32,
    /// `{uuid}`: an id of this file alone.
    pub uuid: &'a str,
    /// `{timestamp}` and `{date}`: the time the intent was planned, written in UTC.
    pub timestamp: Timestamp,
    /// `{job_id}`: the id of the intent.
    pub job_id: &'a str,
    /// `{worker_id}`: a short id of the merge that writes the file, the same for all files of a job.
    pub worker_id: &'a str,
    /// `{hash}`: a content hash that no other file of the delivery has.
    pub hash: &'a str,
}

/// A variable of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variable {
    Seq,
    Uuid,
    Timestamp,
    Date,
    JobId,
    WorkerId,
    Hash,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable),
}

/// A text that is not a pattern of file names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileNameError {
    /// Nothing is written.
    #[error("a file name pattern must not be empty")]
    Empty,
    /// More than [`MAX_PATTERN_CHARACTERS`].
    #[error("a file name pattern has at most {MAX_PATTERN_CHARACTERS} characters")]
    TooLong,
    /// A character outside the variables that may not stand in a name.
    #[error("character {0:?} may not stand in a file name: letters, digits, `.`, `_`, `-` and variables may")]
    Character(char),
    /// A brace without its partner.
    #[error("unbalanced brace in a file name pattern")]
    Brace,
    /// A variable that does not exist.
    #[error("unknown variable `{{{0}}}`: {KNOWN}")]
    UnknownVariable(String),
    /// Names that readers skip.
    #[error("a file name must not begin with `_` or `.`: query engines skip such files")]
    Hidden,
    /// The ending is added by the layout.
    #[error("a file name is written without its ending: `.parquet` or `.jsonl` is added")]
    Ending,
    /// Two files could get one name.
    #[error(
        "a file name needs `{{uuid}}` or `{{hash}}`, or `{{job_id}}` together with `{{seq}}`: files are never overwritten"
    )]
    NotUnique,
}

/// What the layout adds.
const ENDINGS: [&str; 4] = [".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst"];

const KNOWN: &str = "there are {seq}, {uuid}, {timestamp}, {date}, {job_id}, {worker_id} and {hash}";

impl Variable {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "seq" => Self::Seq,
            "uuid" => Self::Uuid,
            "timestamp" => Self::Timestamp,
            "date" => Self::Date,
            "job_id" => Self::JobId,
            "worker_id" => Self::WorkerId,
            "hash" => Self::Hash,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Seq => "seq",
            Self::Uuid => "uuid",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::JobId => "job_id",
            Self::WorkerId => "worker_id",
            Self::Hash => "hash",
        }
    }
}

impl FileNamePattern {
    /// Reads and checks a pattern.
    ///
    /// # Errors
    /// When the text is no pattern, or when two files could get one name.
    pub fn parse(text: &str) -> Result<Self, FileNameError> {
        if text.is_empty() {
            return Err(FileNameError::Empty);
        }
        if text.chars().count() > MAX_PATTERN_CHARACTERS {
            return Err(FileNameError::TooLong);
        }
        if text.starts_with(['_', '.']) {
            return Err(FileNameError::Hidden);
        }
        let pattern = Self { parts: parts(text)? };
        let lower = text.to_ascii_lowercase();
        if ENDINGS.iter().any(|ending| lower.ends_with(ending)) {
            return Err(FileNameError::Ending);
        }
        if pattern.is_unique() { Ok(pattern) } else { Err(FileNameError::NotUnique) }
    }

    /// The name of one file, without its ending.
    pub fn render(&self, values: &FileNameValues<'_>) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Variable(Variable::Seq) => format!("{:05}", values.seq),
                Part::Variable(Variable::Uuid) => values.uuid.to_owned(),
                Part::Variable(Variable::Timestamp) => utc(values.timestamp, "%Y%m%dT%H%M%SZ"),
                Part::Variable(Variable::Date) => utc(values.timestamp, "%Y-%m-%d"),
                Part::Variable(Variable::JobId) => values.job_id.to_owned(),
                Part::Variable(Variable::WorkerId) => values.worker_id.to_owned(),
                Part::Variable(Variable::Hash) => values.hash.to_owned(),
            })
            .collect()
    }

    fn is_unique(&self) -> bool {
        let has = |variable| self.parts.contains(&Part::Variable(variable));
        has(Variable::Uuid) || has(Variable::Hash) || (has(Variable::JobId) && has(Variable::Seq))
    }
}

fn utc(time: Timestamp, form: &str) -> String {
    time.to_zoned(TimeZone::UTC).strftime(form).to_string()
}

fn parts(text: &str) -> Result<Vec<Part>, FileNameError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            '{' => {
                let (name, after) = rest.as_str().split_once('}').ok_or(FileNameError::Brace)?;
                let variable =
                    Variable::named(name).ok_or_else(|| FileNameError::UnknownVariable(name.to_owned()))?;
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Part::Variable(variable));
                rest = after.chars();
            }
            '}' => return Err(FileNameError::Brace),
            plain if plain.is_ascii_alphanumeric() || matches!(plain, '.' | '_' | '-') => literal.push(plain),
            other => return Err(FileNameError::Character(other)),
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(parts)
}

impl fmt::Display for FileNamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Variable(variable) => write!(f, "{{{}}}", variable.name())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> FileNameValues<'static> {
        FileNameValues {
            seq: 7,
            uuid: "0190f6c2",
            timestamp: "2026-05-19T10:15:00Z".parse().unwrap(),
            job_id: "j1",
            worker_id: "w1",
            hash: "9f86",
        }
    }

    #[test]
    fn patterns_render_every_variable() {
        for (pattern, name) in [
            ("part-{job_id}-{seq}", "part-j1-00007"),
            ("{timestamp}_{uuid}", "20260519T101500Z_0190f6c2"),
            ("{date}.{hash}", "2026-05-19.9f86"),
            ("{uuid}{uuid}", "0190f6c20190f6c2"),
            ("{timestamp}-{hash}-{worker_id}", "20260519T101500Z-9f86-w1"),
        ] {
            let parsed = FileNamePattern::parse(pattern).expect(pattern);
            assert_eq!(parsed.render(&values()), name);
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn seq_grows_beyond_five_digits() {
        let parsed = FileNamePattern::parse("{job_id}{seq}").unwrap();
        assert_eq!(parsed.render(&FileNameValues { seq: 123_456, ..values() }), "j1123456");
    }

    #[test]
    fn patterns_that_could_collide_or_leave_their_place_are_refused() {
        for (pattern, error) in [
            ("", FileNameError::Empty),
            ("data", FileNameError::NotUnique),
            ("{seq}", FileNameError::NotUnique),
            ("{job_id}", FileNameError::NotUnique),
            ("{date}-{timestamp}-{seq}", FileNameError::NotUnique),
            ("{worker_id}-{seq}", FileNameError::NotUnique),
            ("a/{uuid}", FileNameError::Character('/')),
            ("dt={uuid}", FileNameError::Character('=')),
            ("{uuid", FileNameError::Brace),
            ("uuid}", FileNameError::Brace),
            ("{uid}", FileNameError::UnknownVariable("uid".into())),
            ("_{uuid}", FileNameError::Hidden),
            (".{uuid}", FileNameError::Hidden),
            ("{uuid}.parquet", FileNameError::Ending),
            ("{uuid}.jsonl.GZ", FileNameError::Ending),
            (&"{uuid}".repeat(30), FileNameError::TooLong),
        ] {
            assert_eq!(FileNamePattern::parse(pattern), Err(error), "{pattern}");
        }
    }

    /// The name of a file of a job, its variables as the engine makes them: of one length each, but for the number.
    fn name_of(pattern: &FileNamePattern, job: u32, seq: u32) -> String {
        let of_job = crate::hash::hex(format!("job {job}").as_bytes());
        let of_file = crate::hash::hex(format!("file {job} {seq}").as_bytes());
        pattern.render(&FileNameValues {
            seq,
            uuid: of_file.get(..32).unwrap(),
            // Jobs that are planned at the same time are the ones to be told apart.
            timestamp: "2026-05-19T10:15:00Z".parse().unwrap(),
            job_id: of_job.get(..20).unwrap(),
            worker_id: of_job.get(20..28).unwrap(),
            hash: of_file.get(32..52).unwrap(),
        })
    }

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("{seq}".to_owned()),
            Just("{uuid}".to_owned()),
            Just("{timestamp}".to_owned()),
            Just("{date}".to_owned()),
            Just("{job_id}".to_owned()),
            Just("{worker_id}".to_owned()),
            Just("{hash}".to_owned()),
            "[0-9a-z._-]{0,3}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn an_accepted_pattern_gives_each_file_of_each_job_a_name_of_its_own(
            pieces in proptest::collection::vec(piece(), 1..8),
            jobs in proptest::collection::btree_set(0_u32..1_000, 1..4),
            seqs in proptest::collection::btree_set(
                prop_oneof![0_u32..20, 99_990_u32..100_010, 999_990_u32..1_000_010, any::<u32>()],
                1..6,
            ),
        ) {
            let text = pieces.concat();
            let Ok(pattern) = FileNamePattern::parse(&text) else { return Ok(()) };
            let files = jobs.iter().flat_map(|job| seqs.iter().map(move |seq| (*job, *seq)));
            let names: std::collections::BTreeSet<String> =
                files.map(|(job, seq)| name_of(&pattern, job, seq)).collect();
            prop_assert_eq!(names.len(), jobs.len() * seqs.len(), "{}", text);
        }
    }
}
