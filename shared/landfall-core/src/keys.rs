//! The one place that renders and parses the keys of the state bucket.
//!
//! | key | holds |
//! |---|---|
//! | `config/<delivery>.toml` | the delivery document |
//! | `log/<delivery>/<n as 20 digits>/intent` … | one record of intent n, see [`RecordName`] |
//! | `log/<delivery>/floor` | the highest number that is retired |
//! | `log/<delivery>/identities/<day>-<hash>` | fingerprints of the inputs of closed intents |
//! | `log/<delivery>/pins/<hash>` | a pinned configuration |
//! | `log/<delivery>/contracts/<version as 10 digits>` | how the contract evolved up to this version |
//! | `due/<delivery>` | when to look at the delivery next |
//! | `holds/<delivery>/<resource>` | a destination that only the client can mend |
//! | `quarantine/<delivery>/<n>/<execution>/…` | rejected rows and objects |
//!
//! Digits sort before letters, so one listing from the floor meets all open intents first.

use std::fmt;

/// Where delivery documents live.
pub const CONFIG_PREFIX: &str = "config/";
/// Where due records live.
pub const DUE_PREFIX: &str = "due/";
/// Where hold records live.
pub const HOLDS_PREFIX: &str = "holds/";

/// One record of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordName {
    /// What is to be merged.
    Intent,
    /// What was merged; generation 1 first, the highest holds.
    Outcome(u32),
    /// Attempt k at publishing a file is about to be made.
    Attempt {
        /// The file's index in the outcome, from 0.
        file: u32,
        /// The attempt, from 1.
        k: u32,
    },
    /// Attempt k surely had no effect.
    Refused {
        /// The file's index in the outcome, from 0.
        file: u32,
        /// The attempt, from 1.
        k: u32,
    },
    /// The file stands at its production key.
    Published(u32),
    /// All files are published and catalogued. Part 1, and one more for each time the intent was resumed.
    Receipt(u32),
    /// All client queues have been told of a part.
    Notified(u32),
    /// The intent ran out of time (72 h) in this part.
    Expired(u32),
    /// An operator let the intent go on that had expired in this part.
    Resumed(u32),
    /// An operator gave up what of the intent was not published.
    Discarded,
    /// The inputs are deleted; nothing is left to do but to tell.
    Closed,
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intent => f.write_str("intent"),
            Self::Outcome(generation) => numbered(f, "outcome", *generation),
            Self::Attempt { file, k } => write!(f, "attempt-{file}-{k}"),
            Self::Refused { file, k } => write!(f, "refused-{file}-{k}"),
            Self::Published(file) => write!(f, "published-{file}"),
            Self::Receipt(part) => numbered(f, "receipt", *part),
            Self::Notified(part) => numbered(f, "notified", *part),
            Self::Expired(part) => numbered(f, "expired", *part),
            Self::Resumed(part) => numbered(f, "resumed", *part),
            Self::Discarded => f.write_str("discarded"),
            Self::Closed => f.write_str("closed"),
        }
    }
}

/// A name that is counted; the first is seldom followed by a second and goes without its number.
fn numbered(f: &mut fmt::Formatter<'_>, name: &str, number: u32) -> fmt::Result {
    if number == 1 { f.write_str(name) } else { write!(f, "{name}-{number}") }
}

impl RecordName {
    /// Reads a record's name; `None` for a name of a later version.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let name = parts.next()?;
        let mut number = || parts.next().map(str::parse::<u32>).transpose().ok();
        let record = match name {
            "intent" => Self::Intent,
            "outcome" => Self::Outcome(number()?.unwrap_or(1)),
            "attempt" => Self::Attempt { file: number()??, k: number()?? },
            "refused" => Self::Refused { file: number()??, k: number()?? },
            "published" => Self::Published(number()??),
            "receipt" => Self::Receipt(number()?.unwrap_or(1)),
            "notified" => Self::Notified(number()?.unwrap_or(1)),
            "expired" => Self::Expired(number()?.unwrap_or(1)),
            "resumed" => Self::Resumed(number()?.unwrap_or(1)),
            "discarded" => Self::Discarded,
            "closed" => Self::Closed,
            _ => return None,
        };
        // Only the form that is written is read: `outcome-1` and `published-01` are not records.
        (record.to_string() == text).then_some(record)
    }
}

/// The key of a delivery document.
pub fn config(delivery: &str) -> String {
    format!("{CONFIG_PREFIX}{delivery}.toml")
}

/// The prefix of everything the log holds of a delivery.
pub fn log_prefix(delivery: &str) -> String {
    format!("log/{delivery}/")
}

/// The prefix of the records of intent `n`.
pub fn intent_prefix(delivery: &str, n: u64) -> String {
    format!("log/{delivery}/{n:020}/")
}

/// The key of one record of intent `n`.
pub fn record(delivery: &str, n: u64, name: RecordName) -> String {
    format!("log/{delivery}/{n:020}/{name}")
}

/// Reads a key of the log below `log/<delivery>/`: the intent's number and the record.
/// `None` for the other kinds of key and for records of a later version.
pub fn parse_record(delivery: &str, key: &str) -> Option<(u64, RecordName)> {
    let rest = key.strip_prefix("log/")?.strip_prefix(delivery)?.strip_prefix('/')?;
    let (digits, name) = rest.split_once('/')?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, RecordName::parse(name)?))
}

/// The key after which intents above `floor` begin in a listing.
pub fn after_floor(delivery: &str, floor: u64) -> String {
    // `~` sorts after every record name.
    format!("log/{delivery}/{floor:020}/~")
}

/// The key of a delivery's floor.
pub fn floor(delivery: &str) -> String {
    format!("log/{delivery}/floor")
}

/// The prefix of a delivery's identity lists.
pub fn identities_prefix(delivery: &str) -> String {
    format!("log/{delivery}/identities/")
}

/// The key of an identity list written on `day` (`YYYYMMDD`), named by its content: the same list has one name, and two lists
/// never share one.
pub fn identities(delivery: &str, day: &str, body: &[u8]) -> String {
    let hash: String = crate::hash::hex(body).chars().take(32).collect();
    format!("log/{delivery}/identities/{day}-{hash}")
}

/// The day (`YYYYMMDD`) of an identity list's key.
pub fn parse_identities(delivery: &str, key: &str) -> Option<String> {
    let rest = key.strip_prefix(&identities_prefix(delivery))?;
    let (day, _) = rest.split_once('-')?;
    (day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit())).then(|| day.to_owned())
}

/// The key of a pinned configuration.
pub fn pin(delivery: &str, hash: &str) -> String {
    format!("log/{delivery}/pins/{hash}")
}

/// The prefix of the versions to which a delivery's contract has evolved.
pub fn contracts_prefix(delivery: &str) -> String {
    format!("log/{delivery}/contracts/")
}

/// The key of one version to which a delivery's contract has evolved. Later versions sort later.
pub fn contract(delivery: &str, version: u32) -> String {
    format!("log/{delivery}/contracts/{version:010}")
}

/// The key of a delivery's due record.
pub fn due(delivery: &str) -> String {
    format!("{DUE_PREFIX}{delivery}")
}

/// The delivery of a due record's key.
pub fn parse_due(key: &str) -> Option<&str> {
    key.strip_prefix(DUE_PREFIX).filter(|rest| !rest.is_empty() && !rest.contains('/'))
}

/// The prefix of a delivery's hold records.
pub fn holds_prefix(delivery: &str) -> String {
    format!("{HOLDS_PREFIX}{delivery}/")
}

/// The key of a hold record.
pub fn hold(delivery: &str, resource: &str) -> String {
    format!("{HOLDS_PREFIX}{delivery}/{resource}")
}

/// The prefix of what one execution of intent `n` quarantined.
pub fn quarantine_prefix(delivery: &str, n: u64, execution: &str) -> String {
    format!("quarantine/{delivery}/{n:020}/{execution}/")
}

/// The temp key of a file of one execution, below the delivery's hidden prefix.
pub fn temp_file(temp_prefix: &str, n: u64, execution: &str, file: u32) -> String {
    format!("{temp_prefix}{n:020}/{execution}/{file:05}.parquet")
}

/// The prefix of everything that executions of intent `n` staged, below the delivery's hidden prefix.
pub fn temps_of_intent(temp_prefix: &str, n: u64) -> String {
    format!("{temp_prefix}{n:020}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_names_are_read_as_written() {
        for name in [
            RecordName::Intent,
            RecordName::Outcome(1),
            RecordName::Outcome(7),
            RecordName::Attempt { file: 3, k: 2 },
            RecordName::Refused { file: 0, k: 1 },
            RecordName::Published(12),
            RecordName::Receipt(1),
            RecordName::Receipt(2),
            RecordName::Notified(1),
            RecordName::Notified(2),
            RecordName::Expired(1),
            RecordName::Resumed(1),
            RecordName::Discarded,
            RecordName::Closed,
        ] {
            assert_eq!(RecordName::parse(&name.to_string()), Some(name));
            assert_eq!(parse_record("a-b", &record("a-b", 42, name)), Some((42, name)));
        }
        for text in [
            "outcome-1",
            "receipt-1",
            "outcome-x",
            "published",
            "published-01",
            "attempt-1",
            "intent-2",
            "floor",
            "",
        ] {
            assert_eq!(RecordName::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_listing_from_the_floor_meets_only_later_intents() {
        let after = after_floor("d", 9);
        assert!(record("d", 9, RecordName::Receipt(1)) < after);
        assert!(record("d", 10, RecordName::Attempt { file: 0, k: 1 }) > after);
        assert!(floor("d") > record("d", u64::MAX, RecordName::Receipt(1)));
        assert!(pin("d", "x") > floor("d"));
        assert!(contract("d", 1) > record("d", u64::MAX, RecordName::Receipt(1)));
        assert!(contract("d", 10) > contract("d", 9));
    }

    #[test]
    fn identity_lists_name_their_day() {
        let key = identities("d", "20260519", b"one");
        assert_eq!(parse_identities("d", &key), Some("20260519".into()));
        assert_eq!(key, identities("d", "20260519", b"one"));
        assert_ne!(key, identities("d", "20260519", b"two"));
        assert_eq!(parse_identities("d", "log/d/identities/x-7"), None);
    }
}
